"""The judge: eager torch and torch.autograd on the declared graph, and how far from that rounding may lead.

A compiled program may round differently: it fuses, reassociates sums, computes before it broadcasts. How much that can
move a result depends on the graph. So the judge evaluates the graph several times, with every rounding moved at random
by a few units in the last place, and allows a multiple of what that changes. Where a comparison flips or an
integer changes under such noise, the element has no single right value and is not compared. Noise makes equal numbers
different, but hardly ever the other way round; so in one evaluation, numbers that are nearly equal are equal. And
roundings do not cancel where a sum adds the same number again and again; so in another, equal numbers move alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch

from graphc import dims
from graphc.ir import Cell, Graph, Node, Op, Output, OutputRole, topological_order
from graphc.ops.linear_units import Gelu, GeluBackward
from graphc.ops.softmax import LogSoftmax, LogSumExp
from graphc.passes.specialise import specialise
from graphc.types import TensorType
from tools.fuzzing.cases import Case

__all__ = [
    "Derivatives",
    "Expected",
    "Mismatch",
    "OutsideDomain",
    "evaluate",
    "expect",
    "expect_derivatives",
    "noises",
    "same_bits",
]

Array = torch.Tensor
UNITS = 4.0
"""Noise, in units of the last place: pointwise functions of torch are mostly right to 1, vectorised ones to 4."""
ROOM = 16.0
"""Allowed difference, in multiples of what the noise changed: four draws find the size of an effect, not its bound."""

NEAR = 2.0**-13
"""By how much of themselves numbers may differ that count as nearly equal: sums that cancel lose some digits."""

HUGE = 1e30
"""Where torch's gelu is what it is, or infinite, or NaN, by the strides of its operand: some are oneDNN's."""

FLOOR = 2.0**-23
"""A difference of its square is never wrong. Functions that saturate, such as erf, are right to so much of 1, and what
is left of 1 next to them is a rest of rounding: one side may have 0 there, and the other a product of two such rests.
"""


class Mismatch(AssertionError):  # noqa: N818 - the name that the report gives it
    """A result that is not what the judge says."""


@dataclass(frozen=True, eq=False)
class Expected:
    """A value, and how far from it each element may be; infinite where there is no single right value."""

    value: Array
    slack: Array

    @staticmethod
    def of(runs: Sequence[Array]) -> Expected:
        """From one exact and several noisy evaluations."""
        value = runs[0]
        slack = torch.zeros(value.shape, dtype=torch.float64)
        for noisy in runs[1:]:
            same = (noisy == value) | (noisy.isnan() & value.isnan())
            moved = (noisy.double() - value.double()).abs().nan_to_num(nan=torch.inf)
            if not value.dtype.is_floating_point:
                moved = torch.full_like(moved, torch.inf)
            slack = slack.maximum(torch.where(same, 0.0, moved))
        if value.dtype.is_floating_point and len(runs) > 1:
            limits = torch.finfo(value.dtype)
            rounding = 4 * limits.eps * value.double().abs().nan_to_num(nan=0.0, posinf=0.0)
            slack = ROOM * slack + rounding + min(limits.eps, FLOOR) ** 2
        return Expected(value, slack)

    @property
    def firm(self) -> int:
        """How many elements are held to four digits or more."""
        return int((self.slack <= 1e-4 * self.value.double().abs().nan_to_num().clamp(min=1.0)).sum())

    def compare(self, actual: Array, what: str) -> None:
        """Raises Mismatch, with the worst element."""
        if actual.dtype is not self.value.dtype or actual.shape != self.value.shape:
            raise Mismatch(f"{what} is {_type(actual)}, expected {_type(self.value)}")
        difference = (actual.double() - self.value.double()).abs()
        same = (actual == self.value) | (actual.isnan() & self.value.isnan())
        wrong = ~(same | (difference <= self.slack) | self.slack.isinf())
        if bool(wrong.any()):
            at = tuple(wrong.nonzero()[0].tolist())
            raise Mismatch(
                f"{what} : {_type(actual)} differs in {int(wrong.sum())} of {wrong.numel()} elements; at {list(at)}: "
                f"{actual[at].item()}, expected {self.value[at].item()} within {self.slack[at].item():.3g}"
            )


def _type(x: Array) -> str:
    return f"{str(x.dtype).removeprefix('torch.')}{list(x.shape)}"


def same_bits(actual: Array, expected: Array, what: str) -> None:
    """Raises Mismatch unless equal to the bit, whatever kind of NaN a NaN is."""
    same = (actual == expected) & (actual.signbit() == expected.signbit()) | (actual.isnan() & expected.isnan())
    if actual.shape != expected.shape or actual.dtype is not expected.dtype or not bool(same.all()):
        raise Mismatch(f"{what} differs in its bits: {actual} and {expected}")


class Noise:
    """Moves floating numbers by a few units in the last place.

    With `levels`, comparisons take near ones for equal; with `alike`, equal numbers of one tensor move alike, and as
    far as any.
    """

    def __init__(self, seed: int, *, levels: bool = False, alike: bool = False) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.levels = levels
        self.alike = alike

    def shake(self, x: Array) -> Array:
        if not x.dtype.is_floating_point:
            return x
        units = UNITS * torch.finfo(x.dtype).eps
        if not self.alike:
            return torch.empty(x.shape, dtype=x.dtype).uniform_(1 - units, 1 + units, generator=self.generator).mul_(x)
        values, where = x.detach().unique(return_inverse=True)
        signs = torch.randint(2, values.shape, dtype=x.dtype, generator=self.generator).mul_(2).sub_(1)
        return (1 + units * signs)[where] * x


def evaluate(
    graph: Graph,
    inputs: Sequence[Array],
    cells: Mapping[Cell, Array],
    sizes: Mapping[str, int],
    noise: Noise | None = None,
    *,
    judged: bool = False,
) -> dict[Node, Array]:
    """The value of every node, by `eval`; with `judged`, by the functions whose derivative `vjp` follows."""
    values: dict[Node, Array] = dict(zip(graph.inputs, inputs, strict=True))
    for node, op, is_view in _bound(graph, tuple(sizes.items())):
        if node in values:
            continue
        if op.cell is not None:
            values[node] = cells[op.cell]
            continue
        operands: Sequence[Array] = [values[x] for x in node.inputs]
        if noise is not None and not op.is_pointwise and not is_view:  # sums may be reassociated
            operands = [noise.shake(x) for x in operands]
        if noise is not None and noise.levels and not node.type.dtype.is_floating_point:
            operands = _levelled(operands)
        value = _judged(op, operands, noise) if judged else op.eval(*operands)
        if noise is not None:
            value = _disturbed(op, operands, value, noise)
        values[node] = value if noise is None or is_view else noise.shake(value)
    return values


@lru_cache(4)
def _bound(graph: Graph, sizes: tuple[tuple[str, int], ...]) -> list[tuple[Node, Op, bool]]:
    """Each node with its op for these sizes, and whether it only views its operand."""
    ops = [(node, node.op.bound(dict(sizes))) for node in graph.nodes]
    return [(node, op, op.torch is not None and op.torch.form == "view") for node, op in ops]


class OutsideDomain(Exception):  # noqa: N818 - not an error: there is nothing to compare with
    """torch refuses the operands of a function whose derivative was wanted."""


def _judged(op: Op, operands: Sequence[Array], noise: Noise | None) -> Array:
    """By the function whose derivative `vjp` follows, unless the noise has led out of its domain."""
    if op.judge is None:
        return op.eval(*operands)
    try:
        return op.judge(*operands)
    except RuntimeError:
        if noise is None:
            raise OutsideDomain from None
        return op.eval(*operands)


def _disturbed(op: Op, operands: Sequence[Array], value: Array, noise: Noise) -> Array:
    """What rounding may make of a value beyond its last place: what is added up may be larger, and has the digits."""
    if isinstance(op, (LogSoftmax, LogSumExp)):  # a logarithm of what may be hardly more than 1
        part = torch.ones_like(value)
    elif isinstance(op, (Gelu, GeluBackward)):  # which cancel left of -3
        *cotangent, x = operands
        part = cotangent[0] * (1 + x.abs()) ** 3 if cotangent else x
        part = part.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
        value = value.where(x.abs() < HUGE, 0.0)
    else:
        return value
    return value + noise.shake(part) - part


def _levelled(operands: Sequence[Array]) -> Sequence[Array]:
    """What is compared, with nearly equal numbers made equal."""
    if len(operands) != 2 or not all(x.dtype.is_floating_point for x in operands):
        return operands
    x, y = operands
    is_near = (y - x).abs() <= max(NEAR, 8 * UNITS * torch.finfo(x.dtype).eps) * x.abs()
    return x, torch.where(is_near, x, y)


def noises(seed: int) -> list[Noise | None]:
    kinds: Sequence[dict[str, bool]] = ({"levels": True}, {"alike": True}, {}, {})
    return [None, *(Noise(seed + i, **kind) for i, kind in enumerate(kinds))]


def expect(
    graph: Graph, inputs: Sequence[Array], cells: Mapping[Cell, Array], sizes: Mapping[str, int], seed: int
) -> list[Expected]:
    """What each output of the graph must be, updates among them."""
    runs = [evaluate(graph, inputs, cells, sizes, noise) for noise in noises(seed)]
    return [Expected.of([values[output.node] for values in runs]) for output in graph.outputs]


@dataclass(frozen=True, eq=False)
class Derivatives:
    """The nodes that derivatives are taken of and by, as the program has them: with masks where it trains.

    `gradients` and `weights` are for the second derivatives, which are those of the declared gradients: torch's own
    second derivatives have errors by design. What the loss does not depend on is not in `graph`.
    """

    graph: Graph
    loss: Node
    wrt: tuple[Node, ...]
    gradients: tuple[Node, ...] = ()
    weights: tuple[Node, ...] = ()

    @staticmethod
    def of(case: Case, outputs: Sequence[Output]) -> Derivatives:
        """`outputs` are all of the program, which decide about masks."""
        assert case.loss is not None, "there are derivatives"
        reached = set(topological_order([case.loss.node]))
        gradients = [case.outputs[name].node for name in (case.gradients if case.seconds else ())]
        weights = [x.node for x in (case.weights if case.seconds else ())]
        wrt = [x.node for x in case.wrt if x.node in reached]
        wanted = [case.loss.node, *gradients, *weights, *wrt]
        chosen = tuple(Output(node, OutputRole.OUTPUT, "") for node in wanted)
        graph = Graph(tuple(x.node for x in case.inputs), (*chosen, *outputs))
        if case.training:
            graph, _ = specialise(graph, True)
        graph = Graph(graph.inputs, graph.outputs[: len(wanted)])
        loss, *rest = (output.node for output in graph.outputs)
        found = iter(rest[len(gradients) + len(weights) :])
        return Derivatives(
            graph,
            loss,
            tuple(next(found) if x.node in reached else x.node for x in case.wrt),
            tuple(rest[: len(gradients)]),
            tuple(rest[len(gradients) : len(gradients) + len(weights)]),
        )


def expect_derivatives(
    of: Derivatives, inputs: Sequence[Array], cells: Mapping[Cell, Array], sizes: Mapping[str, int], seed: int
) -> list[Expected]:
    """What the gradients must be, by torch.autograd, and then the second derivatives.

    Nothing where a function of torch refuses its operands.
    """
    try:
        runs = [_derivatives(of, inputs, cells, sizes, noise) for noise in noises(seed)]
    except OutsideDomain:
        return []
    return [Expected.of(values) for values in zip(*runs, strict=True)]


def _derivatives(
    of: Derivatives,
    inputs: Sequence[Array],
    cells: Mapping[Cell, Array],
    sizes: Mapping[str, int],
    noise: Noise | None,
) -> list[Array]:
    leaves = {cell: _leaf(x) for cell, x in cells.items()}
    values = evaluate(of.graph, [_leaf(x) for x in inputs], leaves, sizes, noise, judged=True)
    wrt = [values[node] if node in values else _zeros(node.type, sizes) for node in of.wrt]
    loss = values[of.loss]
    found = _gradients(loss, wrt)
    if of.gradients:
        weighted = zip(of.gradients, of.weights, strict=True)
        parts = [(values[g] * values[w]).to(loss.dtype).sum() for g, w in weighted]
        found += _gradients(torch.stack(parts).sum(), wrt)
    return found


def _leaf(x: Array) -> Array:
    return x.detach().requires_grad_(x.dtype.is_floating_point)


def _zeros(type_: TensorType, sizes: Mapping[str, int]) -> Array:
    return torch.zeros([dims.evaluate(size, sizes) for size in type_.shape], dtype=type_.dtype)


def _gradients(y: Array, wrt: Sequence[Array]) -> list[Array]:
    """As torch.autograd, with zeros for what is not connected."""
    active = [x for x in wrt if x.requires_grad]
    if not y.requires_grad or not active:
        return [torch.zeros_like(x) for x in wrt]
    found = iter(torch.autograd.grad(y, active, retain_graph=True, allow_unused=True, materialize_grads=True))
    return [next(found) if x.requires_grad else torch.zeros_like(x) for x in wrt]
