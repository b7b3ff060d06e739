"""Common subexpressions: what is one node afterwards, and what stays two."""

from __future__ import annotations

from collections.abc import Callable
from math import nan

import pytest
import torch

import graphc
from graphc import Parameter
from graphc.ir import Graph, Tensor, apply
from graphc.ir.verify import verify
from graphc.ops.leaves import TensorConstant
from graphc.passes.cse import cse
from tests.judge import assert_same, graph_of, results_of

ROWS = torch.tensor([[1.0, -0.0, nan], [2.0, 0.0, -3.0]])


def merged(outputs: list[Tensor], inputs: list[Tensor]) -> tuple[Graph, int]:
    """The graph after the pass and how many nodes it merged, after everything that must hold was checked."""
    before = graph_of(outputs, inputs)
    text = str(before)
    after, counts = cse(before)
    verify(after)
    assert str(before) == text, "the graph that was given is as it was"
    assert cse(after) == (after, {"merge_equal_nodes": 0})
    arrays = [ROWS] * len(inputs)
    for actual, expected in zip(results_of(after, arrays), results_of(before, arrays), strict=True):
        assert_same(actual, expected, bits=True)
    return after, counts["merge_equal_nodes"]


def declared(name: str = "x") -> Tensor:
    return graphc.placeholder(name, ("n", 3))


ONE: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "calls": lambda x: (x.exp(), x.exp()),
    "chains of calls": lambda x: (x.exp().log().tanh(), x.exp().log().tanh()),
    "numbers": lambda x: (x * 2.0, x * 2.0),
    "NaN": lambda x: (x * nan, x * nan),
    "zeros": lambda x: (x * -0.0, x * -0.0),
    "sizes": lambda x: (x.mean(), x.mean()),
    "views": lambda x: (x.T[1:].reshape(-1), x.T[1:].reshape(-1)),
    "cells": lambda x, p=Parameter(torch.ones(3)): (apply(p.node.op) * x, p * x),  # noqa: B008 - one parameter
    "one array": lambda x, v=torch.ones(3): (x * apply(TensorConstant(v)), x * apply(TensorConstant(v))),  # noqa: B008
}


@pytest.mark.parametrize("name", ONE)
def test_equal_nodes_become_one(name: str) -> None:
    x = declared()
    a, b = ONE[name](x)
    after, count = merged([a, b], [x])
    assert count > 0
    assert after.outputs[0].node is after.outputs[1].node
    assert after.outputs[0].node.origin.ident == a.node.origin.ident, "the first keeps its origin"


TWO: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "0.0 and -0.0": lambda x: (x * 0.0, x * -0.0),
    "dtypes": lambda x: (x.to(torch.float64), x.to(torch.float16)),
    "numbers of two dtypes": lambda x: (graphc.constant(1), graphc.constant(1.0)),
    "True and 1": lambda x: (graphc.constant(True), graphc.constant(1)),
    "attributes": lambda x: (x.sum(0), x.sum(1)),
    "operands in another order": lambda x: (x - x.exp(), x.exp() - x),
    "equal arrays": lambda x: (x * torch.ones(3), x * torch.ones(3)),
    "cells with equal values": lambda x: (x * Parameter(torch.ones(3)), x * Parameter(torch.ones(3))),
    "amax and amin": lambda x: (x.amax(1), x.amin(1)),
}


@pytest.mark.parametrize("name", TWO)
def test_different_nodes_stay_two(name: str) -> None:
    x = declared()
    after, _ = merged(list(TWO[name](x)), [x])
    assert after.outputs[0].node is not after.outputs[1].node


def test_placeholders_are_never_merged() -> None:
    """Not even those that look the same: each is a value of its own."""
    x, y = declared(), declared()
    after, count = merged([x - y, x.exp(), y.exp()], [x, y])
    assert count == 0
    assert len(set(after.nodes)) == 5


def test_a_merged_operand_makes_its_users_equal() -> None:
    x = declared()
    a, b = (x.exp() + 1.0).sum(), (x.exp() + 1.0).sum()
    after, count = merged([a * b], [x])
    assert count == 5  # exp, 1.0, its broadcast, the sum of both, the sum of all
    assert [node.op.name for node in after.nodes][1:] == ["exp", "constant", "broadcast", "add", "sum", "mul"]


def test_nothing_to_merge_gives_the_same_graph() -> None:
    x = declared()
    graph = graph_of([x.exp() + x], [x])
    assert cse(graph)[0] is graph
