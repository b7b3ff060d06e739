"""Losses against torch.nn's: values and gradients for every reduction, at the edges too, and what they refuse."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import CompileError, DTypeError, ShapeError, nn

Array = torch.Tensor
REDUCTIONS = ["mean", "sum", "none"]
BATCH = ("batch", 3)


def ours(loss: nn.Module, prediction: Array, target: Array, backend: str) -> tuple[Array, Array, Array]:
    """The loss, and the gradients of its weighted sum."""
    p = graphc.placeholder("p", BATCH, prediction.dtype)
    t = graphc.placeholder("t", BATCH, target.dtype)
    value = loss(p, t)
    gradients = graphc.grad(weighted(value), [p, t])
    result: tuple[Array, Array, Array] = graphc.compile([p, t], (value, *gradients), backend=backend)(
        prediction, target
    )
    return result


def theirs(loss: torch.nn.Module, prediction: Array, target: Array) -> tuple[Array, Array, Array]:
    p, t = prediction.clone().requires_grad_(), target.clone().requires_grad_()
    value = loss(p, t)
    weighted(value).backward()
    assert p.grad is not None
    assert t.grad is not None
    return value.detach(), p.grad, t.grad


def weighted(value):  # type: ignore[no-untyped-def]
    """One number in which the columns of an unreduced loss count differently, on symbolic tensors and on torch's."""
    return value if value.ndim == 0 else (value[:, :1] * 2.0 - value[:, 1:]).sum()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["MSELoss", "L1Loss", "BCELoss", "BCEWithLogitsLoss"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_those_of_torch(name: str, reduction: str, dtype: torch.dtype, backend: str) -> None:
    torch.manual_seed(0)
    prediction, target = torch.rand(5, 3, dtype=dtype), torch.rand(5, 3, dtype=dtype)
    target[0, 0] = prediction[0, 0]  # where |x| has a corner
    found = ours(getattr(nn, name)(reduction=reduction), prediction, target, backend)
    expected = theirs(getattr(torch.nn, name)(reduction=reduction), prediction, target)
    tolerance = 1e-13 if dtype is torch.float64 else 2e-6
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_of_certainty_is_finite(reduction: str, dtype: torch.dtype, backend: str) -> None:
    prediction = torch.tensor([[0.0, 1.0, 0.5], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]], dtype=dtype)
    target = torch.tensor([[0.0, 1.0, 0.5], [1.0, 0.0, 0.5], [0.5, 1.0, 1.0]], dtype=dtype)
    found = ours(nn.BCELoss(reduction=reduction), prediction, target, backend)  # type: ignore[arg-type]
    expected = theirs(torch.nn.BCELoss(reduction=reduction), prediction, target)
    # The gradient to the target is not: as in torch, it has the logarithms without their clamp.
    assert all(each.isfinite().all() for each in found[:2])
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(5, 3), (3,), (5, 1), ()])
def test_cross_entropy_takes_weights(reduction: str, shape: tuple[int, ...], backend: str) -> None:
    torch.manual_seed(0)
    prediction, target, weight = (torch.rand(s, dtype=torch.float64) for s in ((5, 3), (5, 3), shape))
    p, t = (graphc.placeholder(name, (5, 3), torch.float64) for name in "pt")
    value = nn.BCELoss(weight, reduction=reduction)(p, t)  # type: ignore[arg-type]
    program = graphc.compile([p, t], [value, graphc.grad(weighted(value), p)], backend=backend)
    expected = theirs(torch.nn.BCELoss(weight, reduction=reduction), prediction, target)
    for a, b in zip(program(prediction, target), expected[:2], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


LOGITS = [-1000.0, -90.0, -81.0, -79.0, -30.0, -1e-3, -0.0, 0.0, 1e-30, 2.0, 30.0, 79.0, 81.0, 500.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cross_entropy_of_logits_is_exact_where_probabilities_are_not(dtype: torch.dtype, backend: str) -> None:
    prediction = torch.tensor(LOGITS, dtype=dtype)[:, None].repeat(1, 3)
    target = torch.tensor([[0.0, 1.0, 0.25]], dtype=dtype).expand_as(prediction).contiguous()
    found = ours(nn.BCEWithLogitsLoss(reduction="sum"), prediction, target, backend)
    expected = theirs(torch.nn.BCEWithLogitsLoss(reduction="sum"), prediction, target)
    # torch's gradient, sigmoid - t, loses what is left of it where the two are nearly equal.
    tolerance = 4 * torch.finfo(dtype).eps
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", ["reference", "torch", "c"])
def test_cross_entropy_of_logits_keeps_digits_on_both_sides(dtype: torch.dtype, backend: str) -> None:
    """Loss and gradient of what is nearly certain, and right: e⁻ˣ and its like, in float64 from their definitions."""
    logits = torch.tensor([3.0, 10.0, 20.0, 30.0, 70.0], dtype=dtype)
    prediction, target = torch.cat([logits, -logits])[:, None].repeat(1, 3), torch.zeros(10, 3, dtype=dtype)
    target[:5] = 1
    loss, gradient, _ = ours(nn.BCEWithLogitsLoss(reduction="sum"), prediction, target, backend)
    small = (-prediction.double().abs()).exp()
    expected = torch.where(target > 0, -1.0, 1.0) * small / (1 + small)
    rtol = 1e-13 if dtype is torch.float64 else 2e-6
    torch.testing.assert_close(gradient.double(), expected.double(), rtol=rtol, atol=0.0)
    torch.testing.assert_close(loss.double(), small.log1p().sum(), rtol=rtol, atol=0.0)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_logits_takes_weights(reduction: str, backend: str) -> None:
    torch.manual_seed(0)
    prediction, target, weight = (torch.randn(s, dtype=torch.float64) for s in ((5, 3), (5, 3), (5, 1)))
    positive = torch.rand(3, dtype=torch.float64) * 4
    p, t = (graphc.placeholder(name, (5, 3), torch.float64) for name in "pt")
    value = nn.BCEWithLogitsLoss(weight, reduction=reduction, pos_weight=positive)(p, t)  # type: ignore[arg-type]
    program = graphc.compile([p, t], [value, graphc.grad(weighted(value), p)], backend=backend)
    loss = torch.nn.BCEWithLogitsLoss(weight, reduction=reduction, pos_weight=positive)
    for a, b in zip(program(prediction, target), theirs(loss, prediction, target)[:2], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


def test_the_mean_over_nothing_is_nan(backend: str) -> None:
    p, t = graphc.placeholder("p", ("batch", 1)), graphc.placeholder("t", ("batch", 1))
    program = graphc.compile([p, t], nn.MSELoss()(p, t), backend=backend)
    assert program(torch.ones(0, 1), torch.ones(0, 1)).isnan()


def test_a_target_may_be_a_torch_tensor(backend: str) -> None:
    p = graphc.placeholder("p", (2, 1))
    loss = nn.L1Loss()(p, torch.tensor([[1.0], [3.0]]))
    assert graphc.compile([p], loss, backend=backend)(torch.zeros(2, 1)) == 2.0


@pytest.mark.parametrize("name", ["MSELoss", "L1Loss", "BCELoss", "BCEWithLogitsLoss"])
def test_shapes_that_would_broadcast_are_refused(name: str) -> None:
    prediction, target = graphc.placeholder("p", ("batch", 1)), graphc.placeholder("t", ("batch",))
    match = (
        rf"{name}: prediction f32\[batch,1\] and target f32\[batch\] have different shapes; torch would broadcast "
        r"them, and each prediction would meet targets that are not its own; built at .*losses\.py:\d+ in \w+ \(\w+\)"
        r"\. "
        r"If they differ .* target\.reshape\(prediction\.shape\)"
    )
    with pytest.raises(ShapeError, match=match):
        getattr(nn, name)()(prediction, target)
    assert getattr(nn, name)()(prediction, target.reshape(prediction.shape)).shape == ()


def test_dtypes_that_differ_are_refused() -> None:
    p = graphc.placeholder("p", ("batch",))
    with pytest.raises(
        DTypeError, match=r"prediction f32\[batch\] and target f64\[batch\] are not of one .*target\.to\("
    ):
        nn.MSELoss()(p, graphc.placeholder("t", ("batch",), torch.float64))
    with pytest.raises(DTypeError, match=r"MSELoss: prediction i64\[batch\] .*The prediction is floating"):
        nn.MSELoss()(graphc.placeholder("p", ("batch",), torch.int64), p)


def test_reductions_are_torchs_three() -> None:
    with pytest.raises(
        CompileError, match=r"L1Loss: reduction 'max' does not exist; .* Choose 'mean', 'sum' or 'none'"
    ):
        nn.L1Loss(reduction="max")  # type: ignore[arg-type]
