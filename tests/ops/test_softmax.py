"""softmax, log_softmax and logsumexp against torch: dimensions, dtypes, large numbers, gradients to second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import graphc
from graphc import DTypeError, ShapeError
from tests.judge import Array, assert_same, label_of, same_as_torch

SHAPES = [(), (1,), (4,), (3, 4), (2, 3, 4), (0, 3), (3, 0)]


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_every_dimension(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    f, g = getattr(graphc, name), getattr(torch, name)
    cases = []
    for shape in SHAPES:
        for dtype in (torch.float32, torch.float64, torch.int64, torch.bool):
            x = (torch.randn(shape, generator=generator) * 3).to(dtype)
            if not x.numel() and not dtype.is_floating_point:
                continue  # torch refuses integers only where there are some
            cases += [(label_of(name, x, d), f, g, (x, d)) for d in range(-4, 4)]
    same_as_torch(cases)


def test_several_dimensions() -> None:
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    cases = [(x, dim, keepdim) for dim in ((0,), (0, 2), (2, 1), (0, 1, 2)) for keepdim in (False, True)]
    same_as_torch((label_of("logsumexp", *case), graphc.logsumexp, torch.logsumexp, case) for case in cases)
    assert graphc.logsumexp(graphc.placeholder("x", (2, 3)), (), keepdim=True).shape == (1, 1)


def test_large_numbers_do_not_overflow(backend: str) -> None:
    x = graphc.placeholder("x", ("n", 3))
    program = graphc.compile([x], [x.softmax(1), x.log_softmax(1), x.logsumexp(1)], backend=backend)
    soft, log, total = program(torch.tensor([[1000.0, 1000.0, -1000.0], [-1000.0, -1001.0, -3000.0]]))
    assert_same(soft.sum(1), torch.ones(2))
    assert_same(log.exp(), soft)
    assert_same(total, torch.tensor([1000.6931, -999.6867]))


@pytest.mark.parametrize("dim", [0, 1, -1, (0, 2)])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_gradients(name: str, dim: Any, backend: str) -> None:
    """Of first and second order, with cotangents that differ."""
    if isinstance(dim, tuple) and name != "logsumexp":
        return

    def twice(f: Callable[..., Any], x: Any, w: Any, differentiate: Callable[[Any, Any], Any]) -> list[Any]:
        y = f(x, dim)
        first = differentiate((y * w[: y.shape[0]]).sum() if y.ndim < 3 else (y * w).sum(), x)
        return [y, first, differentiate((first * first * w).sum(), x)]

    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(3, 3, 3, dtype=torch.float64, generator=generator) for _ in range(2))
    a, b = (graphc.placeholder(each, (3, 3, 3), torch.float64) for each in "ab")
    ours = twice(getattr(graphc, name), a, b, graphc.grad)
    leaf = x.clone().requires_grad_()
    theirs = twice(getattr(torch, name), leaf, w, lambda y, x: torch.autograd.grad(y, x, create_graph=True)[0])
    for actual, expected in zip(graphc.compile([a, b], ours, backend=backend)(x, w), theirs, strict=True):
        assert_same(actual, expected.detach(), rtol=1e-11, atol=1e-12)


def test_refusals() -> None:
    x = graphc.placeholder("x", (2, 3))
    with pytest.raises(ShapeError, match=r"^softmax: dimension 2 does not exist, there are 2, in softmax\(f32"):
        graphc.softmax(x, 2)
    with pytest.raises(DTypeError, match=r"^log_softmax: needs a floating dtype, not i64, .* x\.to\(torch\.float32\)"):
        graphc.log_softmax(graphc.placeholder("i", (3,), torch.int64), 0)


def test_one_call_each() -> None:
    """Forward and backward, on the torch plan."""
    x, w = graphc.placeholder("x", ("n", 3)), graphc.placeholder("w", ("n", 3))
    for f, forward, backward in (
        (graphc.softmax, "softmax(", "_softmax_backward_data("),
        (graphc.log_softmax, "log_softmax(", "_log_softmax_backward_data("),
    ):
        program = graphc.compile([x, w], graphc.grad((f(x, 1) * w).sum(), x), backend="torch")
        assert program.schedule is not None
        calls = [step for step in program.schedule.steps if not step.is_view]
        assert len(calls) == 2
        assert forward in program.source
        assert backward in program.source


def test_uniform_over_nothing() -> None:
    x: Array = torch.ones(0, 3)
    same_as_torch([("softmax of nothing", graphc.softmax, torch.softmax, (x, 0))])
