"""Decomposition: what is left has elements that code can compute, and the values are those of the whole ops."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

import graphc
from graphc import Tensor, grad
from graphc.ir.verify import verify
from graphc.passes.decompose import RULES, decompose
from tests.judge import Array, assert_same, graph_of, results_of, special_values

CASES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean_as_sum": lambda x: x.mean(1),
    "softmax_in_parts": lambda x: x.softmax(1),
    "log_softmax_in_parts": lambda x: x.log_softmax(-1),
    "log_sum_exp_in_parts": lambda x: x.logsumexp((1,)),
}


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in RULES} == CASES.keys()


def rows(dtype: torch.dtype) -> Array:
    """Moderate and large numbers, infinities and NaN, each in rows of its own."""
    torch.manual_seed(0)
    large = torch.tensor([[300.0, -300.0, 299.0], [1e4, 1e4, -1e4], [-1e4, -1e4, -1e4]])
    infinite = torch.tensor([[-math.inf, 1.0, 2.0], [-math.inf] * 3, [math.inf, 1.0, 2.0], [math.nan, 1.0, 2.0]])
    special = special_values(dtype)
    return torch.cat([torch.randn(4, 3).to(dtype), large.to(dtype), infinite.to(dtype), special.reshape(-1, 3)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", CASES)
def test_parts_give_what_the_whole_gives(name: str, dtype: torch.dtype) -> None:
    x = graphc.placeholder("x", ("n", 3), dtype)
    before = graph_of([CASES[name](x)], [x])
    after, fired = decompose(before)
    verify(after)
    assert fired == {name: 1}
    assert decompose(after)[0] is after
    values = rows(dtype)
    eps = torch.finfo(dtype).eps
    for n in (0, 1, len(values)):
        for actual, expected in zip(results_of(after, [values[:n]]), results_of(before, [values[:n]]), strict=True):
            assert_same(actual, expected, name, rtol=8 * eps, atol=4 * eps)


@pytest.mark.parametrize("name", CASES)
def test_nothing_to_normalise(name: str) -> None:
    x = graphc.placeholder("x", ("n", 0))
    before = graph_of([CASES[name](x)], [x])
    after, _ = decompose(before)
    assert_same(results_of(after, [torch.ones(3, 0)])[0], results_of(before, [torch.ones(3, 0)])[0])


def test_gradients_decompose() -> None:
    x = graphc.placeholder("x", (4, 3), torch.float64)
    loss = (x.softmax(1) * x).sum() + x.log_softmax(0).square().sum() + x.logsumexp(1).square().sum()
    second = grad((grad(loss, x) * x).sum(), x)
    before = graph_of([loss, second], [x])
    after, _ = decompose(before)
    names = {node.op.name for node in after.nodes}
    assert not names & {"softmax", "log_softmax", "log_sum_exp"}
    torch.manual_seed(0)
    values = torch.randn(4, 3, dtype=torch.float64)
    for actual, expected in zip(results_of(after, [values]), results_of(before, [values]), strict=True):
        assert_same(actual, expected, rtol=1e-11, atol=1e-12)
