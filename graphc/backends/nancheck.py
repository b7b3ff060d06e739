"""Programs that stop where NaN or infinity first appears: node by node, before the backend takes the step.

Each step is evaluated by the reference, over the nodes that the user declared, and every value is looked at. Only if
that made nothing that is not finite, the backend runs the step: what a program computes is bit for bit what it computes
without the check, and a State never gets what was found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import ref

import torch

from graphc.backends.executable import Bound, Executable
from graphc.backends.nonfinite import is_constant, made_by, not_the_same, was_given
from graphc.backends.reference import evaluate_in_order
from graphc.ir import Graph, Node
from graphc.state import State
from graphc.types import Array

__all__ = ["CheckedExecutable", "check_step"]


def check_step(graph: Graph, inputs: Sequence[Array], sizes: Mapping[str, int], state: State) -> tuple[bool, ...]:
    """Evaluate `graph`; whether each output is finite. Raises NonFiniteError for the first node that makes NaN or
    infinity, and for inputs and cells that have it.

    Infinities that a constant has are meant, and so is what other nodes make of them, unless that is NaN or is to be
    stored. What a gradient rule makes and then takes away, as `where` does, is no mistake of the user's: inside of
    gradients a node counts only if what it makes gets to a result.
    """
    found: dict[Node, bool] = {}
    fixed: set[Node] = set()
    suspects: list[tuple[Node, list[Array], Array]] = []
    values: dict[Node, Array] = {}
    for node, value in evaluate_in_order(graph, inputs, sizes, state, values):
        if not value.is_floating_point() or bool(value.isfinite().all()):
            continue
        found[node] = True
        if is_constant(node):
            fixed.add(node)
            continue
        if not node.inputs:
            raise was_given(graph, node, value)
        operands = [values[operand] for operand in node.inputs]
        if all(operand in fixed for operand in node.inputs) and not bool(_made(node, operands, value).any()):
            fixed.add(node)  # such as a constant that is broadcast
            continue
        given = [operand in fixed for operand in node.inputs]
        made = _made(node, operands, value, given)
        if not bool(made.any()):
            continue
        if node.origin.forward is None:
            raise made_by(graph, node, operands, value, made)
        suspects.append((node, operands, value))
    if not found:
        return (True,) * len(graph.outputs)
    reaching = {output.node for output in graph.outputs if output.node in found}
    stored = {output.node for output in graph.outputs if output.node in found and output.cell is not None}
    for node in reversed(graph.nodes):
        for nodes in (reaching, stored):
            if node in nodes:
                nodes.update(operand for operand in node.inputs if operand in found)
    for node, operands, value in suspects:
        if node in reaching:
            given = [operand in fixed for operand in node.inputs]
            raise made_by(graph, node, operands, value, _made(node, operands, value, given))
    for node in found:
        if node in stored:
            raise was_given(graph, node, values[node])
    return tuple(output.node not in found for output in graph.outputs)


def _made(node: Node, operands: Sequence[Array], value: Array, fixed: Sequence[bool] = ()) -> Array:
    """Where `value` is NaN and no operand is, or infinite and all operands are finite.

    NaN of a `fixed` operand, which no data make, counts as made here: it is what the program has for a case that must
    not come, and `where` picks it when the case comes, such as for a target that is no class.
    """
    floating = [x for x in operands if x.is_floating_point()]
    varying = [x for i, x in enumerate(operands) if x.is_floating_point() and not (fixed and fixed[i])]
    if node.op.is_pointwise:  # each element has operands of its own
        nan = _any([x.isnan() for x in varying], value)
        infinite = _any([x.isinf() for x in floating], value)
    else:
        nan = torch.tensor(any(bool(x.isnan().any()) for x in varying), device=value.device)
        infinite = torch.tensor(any(bool(x.isinf().any()) for x in floating), device=value.device)
    return (value.isnan() & ~nan) | (value.isinf() & ~(nan | infinite))


def _any(where: Sequence[Array], like: Array) -> Array:
    found = torch.zeros(like.shape, dtype=torch.bool, device=like.device)
    for each in where:
        found = found | each
    return found


class _CheckedBound:
    """Checks a step, takes it, and checks its results; does not keep its State alive."""

    def __init__(self, whole: CheckedExecutable, inner: Bound, sizes: Mapping[str, int], state: State) -> None:
        self._whole = whole
        self._inner = inner
        self._sizes = sizes
        self._state = ref(state)

    @property
    def threads(self) -> int | None:
        return self._inner.threads

    @property
    def nbytes(self) -> int:
        return self._inner.nbytes

    @property
    def written(self) -> tuple[int, int]:
        return self._inner.written

    def reads_and_writes(self, address: int) -> bool:
        return self._inner.reads_and_writes(address)

    def is_current(self, state: State) -> bool:
        return self._inner.is_current(state)

    def run(self, *inputs: Array) -> Sequence[Array]:
        state = self._state()
        assert state is not None, "whoever calls holds the State"
        graph = self._whole.graph
        finite = check_step(graph, inputs, self._sizes, state)
        before = {o.cell: state.read(o.cell).clone() for o in graph.outputs if o.cell is not None}
        results = self._inner.run(*inputs)
        given = iter(results)
        for output, was_finite in zip(graph.outputs, finite, strict=True):
            value = next(given) if output.cell is None else state.read(output.cell)
            if was_finite and value.is_floating_point() and not bool(value.isfinite().all()):
                error = not_the_same(output, value, self._whole.backend)
                for cell, old in before.items():
                    state.read(cell).copy_(old)
                raise error
        return results


@dataclass(frozen=True, eq=False)
class CheckedExecutable:
    """Runs `inner` after the check of `graph`, the declared one with dropout decided. Python leads each step."""

    graph: Graph
    inner: Executable
    backend: str

    @property
    def source(self) -> str:
        return self.inner.source

    def bind(self, sizes: Mapping[str, int], state: State) -> _CheckedBound:
        return _CheckedBound(self, self.inner.bind(sizes, state), dict(sizes), state)

    def loop(self, *run: object) -> None:
        """None: Python calls step by step."""
