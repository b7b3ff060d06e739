"""Constant folding: what is computed when compiling, and what is left for later."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan

import pytest
import torch

import graphc
from graphc.dims import symbol
from graphc.ir import Graph, Tensor
from graphc.ir.verify import verify
from graphc.passes.fold import MAX_ELEMENTS, fold_constants
from tests.judge import assert_same, graph_of, results_of

N = symbol("n")


def folded(y: Tensor) -> tuple[Graph, int]:
    """The graph of `y` after the pass, after everything that must hold was checked."""
    before = graph_of([y])
    text = str(before)
    after, counts = fold_constants(before)
    verify(after)
    assert str(before) == text, "the graph that was given is as it was"
    assert fold_constants(after)[0] is after
    [actual], [expected] = results_of(after), results_of(before)
    assert_same(actual, expected, bits=True)
    return after, counts["fold"]


def c(value: object, dtype: torch.dtype | None = None) -> Tensor:
    return graphc.constant(value, dtype)


VALUES: dict[str, tuple[Callable[[], Tensor], int]] = {
    "a number": (lambda: c(2.0) * c(3.0), 1),
    "a chain": (lambda: (c(2.0) * c(3.0) + c(1.0)).exp().sqrt(), 4),
    "special values": (lambda: c([nan, inf, -inf, -0.0, 0.0, 1e-45]) / c([1.0, inf, 0.0, 1.0, -1.0, 2.0]), 1),
    "a double": (lambda: c(0.1, torch.float64) / c(3.0, torch.float64), 1),
    "a half": (lambda: c([0.1, 7e4], torch.float16).exp(), 1),
    "an integer": (lambda: c(7) * c(2**62), 1),
    "a comparison": (lambda: c([1, 2]) == c([1, 3]), 1),
    "a cast": (lambda: c([0.5, -0.5]).to(torch.int8), 1),
    "a view": (lambda: c([[1.0, 2.0], [3.0, 4.0]]).T[1:].reshape(2), 3),
    "a reduction": (lambda: c(torch.arange(12.0).reshape(3, 4)).amax(1).mean(), 2),
    "nothing": (lambda: c(torch.ones(0, 3)).sum(0), 1),
    "joined": (lambda: graphc.cat([c([1.0]), c([2.0])]), 1),
}


@pytest.mark.parametrize("name", VALUES)
def test_constants_become_one(name: str) -> None:
    build, count = VALUES[name]
    y = build()
    after, fired = folded(y)
    assert fired == count
    assert len(after.nodes) == 1
    assert not after.nodes[0].inputs
    assert after.nodes[0].origin.line == y.node.origin.line
    assert "fold_constants" in after.nodes[0].origin.passes


@pytest.mark.parametrize(
    "build",
    [
        lambda: c(1.0).broadcast_to((3, 4)),
        lambda: c(torch.ones(MAX_ELEMENTS + 1)).exp(),
        lambda: graphc.Parameter(torch.ones(2)) * c([1.0, 2.0]),
        lambda: graphc.Parameter(torch.ones(())).exp(),
        lambda: c([1.0, 2.0, 3.0])[N : N + 1],
        lambda: c(torch.ones(0, 2)).reshape(N, 0),
    ],
    ids=[
        "a number that is repeated",
        "large",
        "a parameter",
        "a function of a parameter",
        "a slice at a symbolic position",
        "a symbolic shape without elements",
    ],
)
def test_what_is_kept(build: Callable[[], Tensor]) -> None:
    graph = graph_of([build()])
    after, counts = fold_constants(graph)
    assert after is graph
    assert counts == {"fold": 0}


def test_sizes_are_known_only_later() -> None:
    x = graphc.placeholder("x", ("n",))
    graph = graph_of([x / x.shape[0]], [x])
    assert fold_constants(graph)[0] is graph


def test_only_the_constant_part_is_folded() -> None:
    x = graphc.placeholder("x", (2,))
    before = graph_of([x * (c([1.0, 2.0]) + c([3.0, 4.0]))], [x])
    after, counts = fold_constants(before)
    assert counts == {"fold": 1}
    assert [node.op.name for node in after.nodes] == ["placeholder", "tensor_constant", "mul"]
    assert_same(results_of(after, [torch.ones(2)])[0], torch.tensor([4.0, 6.0]))


def test_large_constants_are_folded_into_small_results() -> None:
    after, _ = folded(c(torch.ones(MAX_ELEMENTS + 1)).sum())
    assert [node.op.name for node in after.nodes] == ["constant"]
