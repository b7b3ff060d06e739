"""How tests run graphs and compare values. Eager torch and torch.autograd are the judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

import graphc
from graphc import GraphcError
from graphc.backends.reference import evaluate
from graphc.ir import OPS, Graph, Op, Output, OutputRole, Tensor, apply
from graphc.ir.verify import verify
from graphc.runtime.signature import Signature
from graphc.state import State, Variable
from graphc.types import DTYPES, TensorType

Array = torch.Tensor

# What IEEE arithmetic treats specially, as far as float16 has it: the least denormal is added for each dtype.
SPECIAL = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1.0, -1.0, 0.5, -2.0]


def graph_of(
    outputs: Iterable[Tensor], inputs: Iterable[Tensor] = (), updates: Mapping[Variable, Tensor] | None = None
) -> Graph:
    """A verified graph, as it was built: no pass has run."""
    results = [Output(y.node, OutputRole.OUTPUT, f"output{k}") for k, y in enumerate(outputs)]
    results += [Output(y.node, OutputRole.UPDATE, p.name, p.cell) for p, y in (updates or {}).items()]
    graph = Graph(tuple(x.node for x in inputs), tuple(results))
    verify(graph)
    return graph


def results_of(graph: Graph, arrays: Sequence[Array] = ()) -> list[Array]:
    """The values of all outputs of `graph`, updates among them, node by node. Nothing is stored."""
    values = evaluate(graph, arrays, Signature.of(graph).bind(arrays), State(graph.cells))
    return [values[output.node] for output in graph.outputs]


def values_of(outputs: Sequence[Tensor], inputs: Sequence[Tensor], arrays: Sequence[Array]) -> list[Array]:
    """The values of `outputs`, node by node, without any pass."""
    return results_of(graph_of(outputs, inputs), arrays)


def placeholders_for(arrays: Sequence[Array]) -> list[Tensor]:
    """A placeholder for each array, of its shape and dtype."""
    return [graphc.placeholder(f"x{k}", tuple(x.shape), x.dtype) for k, x in enumerate(arrays)]


def assert_same(actual: Array, expected: Array, note: object = "", *, bits: bool = False, **tolerance: float) -> None:
    """Equal shape, dtype and values, NaN included; with `bits`, exactly so, and zeros have equal signs."""
    if bits:
        tolerance = {"rtol": 0.0, "atol": 0.0}
    shown = (lambda text: f"{note}: {text}") if note else None
    torch.testing.assert_close(actual, expected, equal_nan=True, check_stride=False, msg=shown, **tolerance)
    if bits and actual.dtype.is_floating_point:
        zero = expected == 0
        assert torch.equal(actual.signbit() & zero, expected.signbit() & zero), f"{note} zeros: {actual} {expected}"


def special_values(dtype: torch.dtype) -> Array:
    """NaN, infinities, signed zeros, denormals and plain numbers of a floating dtype.

    There are 18, of which torch computes 16 doubles as vectors: some of its loops for what is left over lose NaN.
    """
    limits = torch.finfo(dtype)
    small = [limits.smallest_normal * limits.eps, limits.smallest_normal / 4, limits.smallest_normal]
    return torch.tensor([*SPECIAL, *small, -small[1], -small[2], limits.max, -limits.max, 2.0, 3.0], dtype=dtype)


def random_like(x: Array, generator: torch.Generator) -> Array:
    return torch.randn(x.shape, dtype=x.dtype, generator=generator)


# A vector loop and the loop for what is left over differ in the last bits of these.
ROUNDED = {"exp", "log", "log1p", "pow", "sigmoid", "tanh", "reciprocal", "sqrt", "matmul"}
ROUNDED |= {"cos", "elu", "erf", "gelu", "log_softmax", "logsumexp", "silu", "sin", "softmax", "softplus"}


def label_of(name: str, *operands: object) -> str:
    """One case, for messages: the function and what it is called with."""
    shown = [f"{DTYPES[x.dtype]}{list(x.shape)}" if isinstance(x, Array) else repr(x) for x in operands]
    return f"{name} {' '.join(shown)}"


Case = tuple[str, Callable[..., Any], Callable[..., Any], tuple[Any, ...]]
"""A label, our function, torch's, and the operands. The label starts with the name of the function."""


def same_as_torch(cases: Iterable[Case], backend: str = "reference") -> int:
    """Compare cases in one compiled program, and tell how many; where torch refuses, we do when the graph is built.

    Tensors among the operands become inputs.
    """
    inputs: dict[int, tuple[Tensor, Array]] = {}
    outputs: dict[str, Tensor] = {}
    expected: dict[str, Array] = {}
    cases = list(cases)
    for label, ours, theirs, operands in cases:
        for x in operands:
            if isinstance(x, Array) and id(x) not in inputs:
                inputs[id(x)] = graphc.placeholder(f"x{len(inputs)}", tuple(x.shape), x.dtype), x
        symbols = [inputs[id(x)][0] if isinstance(x, Array) else x for x in operands]
        try:
            result = theirs(*operands)
        except (RuntimeError, TypeError, ValueError, IndexError, OverflowError):
            with pytest.raises(GraphcError, match=r"built at .*tests/"):
                pytest.fail(f"{label}: torch refuses, and we give {ours(*symbols)}")
        else:
            outputs[label], expected[label] = ours(*symbols), result
    if not outputs:
        return len(cases)
    placeholders, arrays = zip(*inputs.values(), strict=True)
    actual = graphc.compile(placeholders, outputs, backend=backend)(*arrays)
    units = 2 if backend == "reference" else 8
    for label, value in actual.items():
        if label.split()[0] in ROUNDED and value.dtype.is_floating_point:
            assert_same(value, expected[label], label, rtol=units * torch.finfo(value.dtype).eps, atol=0.0)
        else:
            assert_same(value, expected[label], label, bits=True)
    return len(cases)


@dataclass(frozen=True)
class Probe(Op, abstract=True):
    """x. It has no torch call, so that every backend evaluates it, and then calls `tell`."""

    tell: Callable[[], object] = field(compare=False)

    def infer(self, x: TensorType) -> TensorType:
        return x

    def eval(self, x: Array) -> Array:
        self.tell()
        return x.clone()


def probed(x: Tensor, tell: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """`x`, where `tell` is called whenever it is computed. The op exists for this test only."""
    monkeypatch.setitem(OPS, Probe.name, Probe)
    return apply(Probe(tell), x)
