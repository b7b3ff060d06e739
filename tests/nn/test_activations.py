"""Activation modules against torch.nn's: how they print, values, gradients of first and second order."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import CompileError, DTypeError, nn
from tests.judge import assert_same

PAIRS: list[tuple[nn.Module, torch.nn.Module]] = [
    (nn.ReLU(), torch.nn.ReLU()),
    (nn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)),
    (nn.Tanh(), torch.nn.Tanh()),
    (nn.Sigmoid(), torch.nn.Sigmoid()),
    (nn.GELU(), torch.nn.GELU()),
    (nn.GELU("tanh"), torch.nn.GELU("tanh")),
    (nn.SiLU(), torch.nn.SiLU()),
    (nn.Softplus(), torch.nn.Softplus()),
    (nn.Softplus(2.0, 5.0), torch.nn.Softplus(2.0, 5.0)),
    (nn.ELU(), torch.nn.ELU()),
    (nn.ELU(0.5), torch.nn.ELU(0.5)),
    (nn.Softmax(1), torch.nn.Softmax(1)),
    (nn.LogSoftmax(0), torch.nn.LogSoftmax(0)),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=[repr(ours) for ours, _ in PAIRS])
def test_activation(ours: nn.Module, theirs: torch.nn.Module, backend: str) -> None:
    assert repr(ours) == repr(theirs)
    generator = torch.Generator().manual_seed(0)
    values, weights = (torch.randn(7, 5, dtype=torch.float64, generator=generator) * 3 for _ in range(2))
    x, w = graphc.placeholder("x", (7, 5), torch.float64), graphc.placeholder("w", (7, 5), torch.float64)
    y = ours(x)
    first = graphc.grad((y * w).sum(), x)
    second = graphc.grad((first * first).sum(), x)
    leaf = values.clone().requires_grad_()
    value = theirs(leaf)
    (one,) = torch.autograd.grad((value * weights).sum(), leaf, create_graph=True)
    (two,) = torch.autograd.grad((one * one).sum(), leaf, materialize_grads=True)
    found = graphc.compile([x, w], [y, first, second], backend=backend)(values, weights)
    for actual, expected in zip(found, (value, one, two), strict=True):
        assert_same(actual, expected.detach(), rtol=1e-12, atol=1e-12)


def test_softplus_has_no_infinity_beyond_its_threshold(backend: str) -> None:
    x = graphc.placeholder("x", (3,))
    first = graphc.grad(graphc.softplus(x).sum(), x)
    program = graphc.compile([x], [first, graphc.grad(first.sum(), x)], backend=backend)
    slope, bend = program(torch.tensor([1e4, 100.0, 21.0]))
    assert_same(slope, torch.ones(3))
    assert_same(bend, torch.zeros(3))


def test_gelu_is_two_calls_in_training() -> None:
    x, w = graphc.placeholder("x", ("n",)), graphc.placeholder("w", ("n",))
    program = graphc.compile([x, w], graphc.grad((graphc.gelu(x) * w).sum(), x), backend="torch")
    assert "gelu_backward(in_w, in_x, approximate='none'" in program.source


def test_refusals() -> None:
    x = graphc.placeholder("x", (3,))
    with pytest.raises(CompileError, match=r"^gelu: approximate 'erf' does not exist; .* Choose 'none' or 'tanh'"):
        graphc.gelu(x, "erf")  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match=r"^softplus: beta is a number, not 'a'"):
        graphc.softplus(x, "a")  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match=r"^silu: needs a floating dtype, not i64"):
        graphc.silu(x.to(torch.int64))
