"""The smooth relatives of relu where formulas of the same value differ: at zero, far out, and for negative factors."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import DTypeError
from tests.judge import Array, assert_same, values_of


def gradient(function: str, x: Array, g: Array, *options: float) -> Array:
    symbol, cotangent = (graphc.placeholder(name, tuple(x.shape), x.dtype) for name in "xg")
    y = getattr(graphc, function)(symbol, *options)
    return values_of(graphc.grad((y * cotangent).sum(), [symbol]), [symbol, cotangent], [x, g])[0]


def test_elu_of_zero_is_that_zero() -> None:
    """Whatever the sign of alpha: torch multiplies what is below 0 only."""
    x = torch.tensor([0.0, -0.0] * 16)
    symbol = graphc.placeholder("x", (32,))
    expected = torch.nn.functional.elu(x, -0.5)
    for backend in ("reference", "torch", "c"):
        assert_same(graphc.compile([symbol], graphc.elu(symbol, -0.5), backend=backend)(x), expected, bits=True)


def test_gradient_of_elu_is_exact_far_below_zero() -> None:
    """alpha + elu(x) would be 0 there."""
    x = torch.linspace(-100.0, -1.0, 64, dtype=torch.float64)
    assert_same(gradient("elu", x, torch.ones_like(x), 0.5), 0.5 * x.exp(), rtol=1e-15, atol=0.0)


def test_gradient_of_silu_does_not_overflow() -> None:
    largest = torch.finfo(torch.float32).max
    x, g = torch.tensor([largest, -largest] * 16), torch.full((32,), 3.0)
    assert_same(gradient("silu", x, g), torch.tensor([3.0, 0.0] * 16), rtol=0.0, atol=0.0)


def test_options_that_are_no_numbers() -> None:
    x = graphc.placeholder("x", (3,))
    with pytest.raises(DTypeError, match=r"^leaky_relu: negative_slope is a number, not 'a'; built at .*units.py:\d+"):
        graphc.leaky_relu(x, "a")  # type: ignore[arg-type]
    with pytest.raises(
        DTypeError, match=r"^elu: int does not fit 64 bits; built at .*units.py:\d+. Write it as a float"
    ):
        graphc.elu(x, 10**5000)
