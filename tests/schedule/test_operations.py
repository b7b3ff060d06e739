"""Counting operations: by hand, and for ops that are taken apart, by their parts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import graphc
from graphc import Tensor, dims
from graphc.ir import apply
from graphc.ops.leaves import Iota
from graphc.passes.decompose import RULES, decompose
from graphc.schedule.operations import operations
from tests.judge import graph_of

x = graphc.placeholder("x", ("n", 3))
batched = graphc.placeholder("batched", ("n", 2, 3))
whole = graphc.placeholder("whole", ("n",), torch.int64)

BY_HAND: list[tuple[Tensor, int]] = [
    (x @ graphc.placeholder("w", (3, 4)), 2 * 5 * 3 * 4),
    (batched @ batched.mT, 2 * 5 * 2 * 3 * 2),
    (x.sum(), 5 * 3),
    (x.mean(1), 5 * 3),
    (batched.amax((0, 2)), 5 * 2 * 3),
    (x + 1.0, 5 * 3),
    (x.tanh(), 5 * 3),
    (graphc.where(x > 0, x, 1.0), 5 * 3),
    (whole * 2, 5),
    (x.T, 0),
    (x[:, 1:], 0),
    (graphc.cat([x, x]), 0),
    (x.reshape((3, x.shape[0])), 0),
    (apply(Iota(x.shape[0])), 0),
    (x, 0),
    (graphc.Parameter(torch.ones(3)), 0),
    (graphc.constant(torch.ones(3)), 0),
]


@pytest.mark.parametrize(("y", "expected"), BY_HAND, ids=[y.node.op.name for y, _ in BY_HAND])
def test_by_hand(y: Tensor, expected: int) -> None:
    assert dims.evaluate(operations(y.node), {"n": 5}) == expected


WHOLE: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax_in_parts": lambda x: x.softmax(1),
    "log_softmax_in_parts": lambda x: x.log_softmax(0),
    "log_sum_exp_in_parts": lambda x: x.logsumexp((0, 2)),
}


def test_every_op_that_is_taken_apart_is_tried() -> None:
    uncounted = {"mean_as_sum"}  # the division of a mean, one for each result, is not counted
    assert {rule.name for rule in RULES} == WHOLE.keys() | uncounted


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("n", [1, 4])
def test_as_many_as_its_parts(name: str, n: int) -> None:
    graph = graph_of([WHOLE[name](batched)], [batched])
    [counted] = [dims.evaluate(operations(node), {"n": n}) for node in graph.nodes if node.inputs]
    assert counted > 0
    assert counted == sum(dims.evaluate(operations(node), {"n": n}) for node in decompose(graph)[0].nodes)
