"""nll_loss and cross_entropy against torch, option by option, and what a target that is no class does."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

import graphc
from graphc import CompileError, DTypeError, ShapeError, nn
from tests.judge import Array, assert_same

F = torch.nn.functional
F64 = torch.float64
SHAPES = [(5, 3), (3,), (4, 5, 2, 3), (1, 1), (6, 1)]
OPTIONS = list(
    itertools.product(("mean", "sum", "none"), (False, True), (None, -100, 1), (0.0, 0.2))
)  # reduction, weights, ignored class, smoothing


def indices_for(shape: tuple[int, ...], ignored: int | None, generator: torch.Generator) -> Array:
    rest = (*shape[:1], *shape[2:]) if len(shape) > 1 else ()
    target = torch.randint(0, shape[min(len(shape) - 1, 1)], rest, generator=generator)
    if ignored is None:
        return target
    return torch.where(torch.rand(rest, generator=generator) < 0.3, ignored, target)


def assert_as_torch(name: str, arrays: dict[str, Array], backend: str, **options: Any) -> None:
    """The loss, its gradients by all floating arrays, and the gradient of a function of the first of these."""
    symbols = {key: graphc.placeholder(key, tuple(x.shape), x.dtype) for key, x in arrays.items()}
    floating = [key for key, x in arrays.items() if x.dtype.is_floating_point]
    loss = getattr(graphc, name)(**symbols, **options)
    cotangent = torch.linspace(0.5, 1.5, max(1, math.prod(loss.shape)), dtype=F64).reshape(loss.shape)
    first = graphc.grad((loss * cotangent).sum(), [symbols[key] for key in floating])
    second = graphc.grad(first[0].square().sum(), [symbols[key] for key in floating])
    program = graphc.compile(list(symbols.values()), [loss, *first, *second], backend=backend)

    leaves = {key: x.clone().requires_grad_(key in floating) for key, x in arrays.items()}
    wrt = [leaves[key] for key in floating]
    value = getattr(F, name)(**leaves, **options)
    ones = torch.autograd.grad((value * cotangent).sum(), wrt, create_graph=True)
    twos = torch.autograd.grad(ones[0].square().sum(), wrt, materialize_grads=True)
    for actual, expected in zip(program(*arrays.values()), [value, *ones, *twos], strict=True):
        assert_same(actual, expected.detach(), (name, options), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy_of_indices(shape: tuple[int, ...], backend: str) -> None:
    generator = torch.Generator().manual_seed(0)
    for reduction, weighted, ignored, smoothing in OPTIONS:
        arrays = {"input": torch.randn(shape, dtype=F64, generator=generator)}
        arrays["target"] = indices_for(shape, ignored, generator)
        constants: dict[str, Any] = {} if ignored is None else {"ignore_index": ignored}
        if weighted:
            weight = torch.rand(shape[min(len(shape) - 1, 1)], dtype=F64, generator=generator)
            constants["weight"] = weight
        assert_as_torch("cross_entropy", arrays, backend, reduction=reduction, label_smoothing=smoothing, **constants)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_cross_entropy_of_probabilities(shape: tuple[int, ...], backend: str) -> None:
    generator = torch.Generator().manual_seed(0)
    for reduction, weighted, _, smoothing in OPTIONS:
        arrays = {"input": torch.randn(shape, dtype=F64, generator=generator)}
        arrays["target"] = torch.randn(shape, dtype=F64, generator=generator).softmax(min(len(shape) - 1, 1))
        if weighted:
            arrays["weight"] = torch.rand(shape[min(len(shape) - 1, 1)], dtype=F64, generator=generator)
        assert_as_torch("cross_entropy", arrays, backend, reduction=reduction, label_smoothing=smoothing)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nll_loss(shape: tuple[int, ...], backend: str) -> None:
    generator = torch.Generator().manual_seed(0)
    for reduction, weighted, ignored, _ in OPTIONS[::2]:
        arrays = {"input": torch.randn(shape, dtype=F64, generator=generator)}
        arrays["target"] = indices_for(shape, ignored, generator)
        constants: dict[str, Any] = {} if ignored is None else {"ignore_index": ignored}
        if weighted:
            constants["weight"] = torch.rand(shape[min(len(shape) - 1, 1)], dtype=F64, generator=generator)
        assert_as_torch("nll_loss", arrays, backend, reduction=reduction, **constants)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes(dtype: torch.dtype, backend: str) -> None:
    x, t = graphc.placeholder("x", ("n", 7), dtype), graphc.placeholder("t", ("n",), torch.int64)
    torch.manual_seed(0)
    values, targets = torch.randn(9, 7).to(dtype), torch.randint(0, 7, (9,))
    found = graphc.compile([x, t], graphc.cross_entropy(x, t, torch.rand(7, dtype=F64)), backend=backend)
    torch.manual_seed(0)
    torch.randn(9, 7), torch.randint(0, 7, (9,))
    weight = torch.rand(7, dtype=F64).to(dtype)
    eps = torch.finfo(dtype).eps
    assert_same(found(values, targets), F.cross_entropy(values, targets, weight), rtol=4 * eps, atol=eps)


def test_the_number_of_classes_may_be_symbolic(backend: str) -> None:
    x, t = graphc.placeholder("x", ("n", "k"), F64), graphc.placeholder("t", ("n",), torch.int64)
    losses = [graphc.cross_entropy(x, t, label_smoothing=s) for s in (0.0, 0.1)]
    program = graphc.compile([x, t], losses, backend=backend)
    for n, k in ((4, 3), (2, 9), (1, 1)):
        values, targets = torch.randn(n, k, dtype=F64), torch.randint(0, k, (n,))
        for smoothing, value in zip((0.0, 0.1), program(values, targets), strict=True):
            assert_same(value, F.cross_entropy(values, targets, label_smoothing=smoothing), rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("wrong", [3, -1, 2**40, -(2**62)])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_a_target_that_is_no_class_gives_nan(wrong: int, reduction: Any, backend: str) -> None:
    x, t = graphc.placeholder("x", ("n", 3)), graphc.placeholder("t", ("n",), torch.int64)
    loss = graphc.cross_entropy(x, t, reduction=reduction)
    program = graphc.compile([x, t], [loss, graphc.grad(loss.sum(), x)], backend=backend)
    value, gradient = program(torch.randn(4, 3), torch.tensor([0, wrong, 2, -100]))
    if reduction == "none":
        assert value.isnan().tolist() == [False, True, False, False]
    else:
        assert value.isnan()
    assert gradient[0].isnan().all() == (reduction == "mean"), "the weights of a mean have it, too"


@pytest.mark.parametrize("ignored", [-100, 1, 7])
def test_what_is_ignored_counts_nothing(ignored: int, backend: str) -> None:
    """Not even where the prediction is impossible."""
    x, t = graphc.placeholder("x", (3, 4), F64), graphc.placeholder("t", (3,), torch.int64)
    loss = graphc.cross_entropy(x, t, ignore_index=ignored, label_smoothing=0.1)
    plain = graphc.cross_entropy(x, t, ignore_index=ignored)
    program = graphc.compile([x, t], [loss, plain, graphc.grad(plain, x)], backend=backend)
    values = torch.randn(3, 4, dtype=F64)
    values[1, 1] = -math.inf
    targets = torch.tensor([0, ignored, 3])
    leaf = values.clone().requires_grad_()
    expected = F.cross_entropy(leaf, targets, ignore_index=ignored)
    expected.backward()
    smooth, value, gradient = program(values, targets)
    assert_same(
        smooth, F.cross_entropy(values, targets, ignore_index=ignored, label_smoothing=0.1), rtol=1e-12, atol=0.0
    )
    assert_same(value, expected.detach(), rtol=1e-12, atol=0.0)
    assert leaf.grad is not None
    assert_same(gradient, leaf.grad, rtol=1e-12, atol=0.0)


def test_the_mean_of_nothing_is_nan(backend: str) -> None:
    x, t = graphc.placeholder("x", ("n", 3)), graphc.placeholder("t", ("n",), torch.int64)
    program = graphc.compile([x, t], graphc.cross_entropy(x, t), backend=backend)
    assert program(torch.ones(0, 3), torch.ones(0, dtype=torch.int64)).isnan()
    assert program(torch.ones(2, 3), torch.full((2,), -100)).isnan()


def test_modules(backend: str) -> None:
    generator = torch.Generator().manual_seed(0)
    values, targets = torch.randn(5, 3, generator=generator), torch.tensor([0, 2, 1, 1, -1])
    weight = torch.rand(3, generator=generator)
    x, t = graphc.placeholder("x", ("n", 3)), graphc.placeholder("t", ("n",), torch.int64)
    options: dict[str, Any] = {"ignore_index": -1, "reduction": "sum"}
    ours = [nn.CrossEntropyLoss(weight, label_smoothing=0.3, **options), nn.NLLLoss(weight, **options), nn.NLLLoss()]
    theirs = [
        torch.nn.CrossEntropyLoss(weight, label_smoothing=0.3, **options),
        torch.nn.NLLLoss(weight, **options),
        torch.nn.NLLLoss(),
    ]
    found = graphc.compile([x, t], [loss(x, t) for loss in ours], backend=backend)(values, targets)
    for actual, loss, inside in zip(found, theirs, (True, True, False), strict=True):
        if inside:
            assert_same(actual, loss(values, targets), rtol=1e-5, atol=0.0)
        else:
            assert actual.isnan()


def test_refusals() -> None:
    x, t = graphc.placeholder("x", ("n", 3)), graphc.placeholder("t", ("n",), torch.int64)
    loss = graphc.cross_entropy
    with pytest.raises(ShapeError, match=r"^cross_entropy: the target has shape \[n,1\], not \[n\]: one class for"):
        loss(x, t.reshape(-1, 1))
    with pytest.raises(DTypeError, match=r"the target is i32, .* int64, in .*\. Convert it with target\.to\("):
        loss(x, t.to(torch.int32))
    with pytest.raises(DTypeError, match=r"probabilities of classes have the type of the input, in cross_entropy\(f32"):
        loss(x, x.double())
    with pytest.raises(ShapeError, match=r"have the type of the input, .*Numbers of classes are int64"):
        loss(x, t.float())
    with pytest.raises(ShapeError, match=r"^nll_loss: the weights are f32\[2\], not one floating number for each"):
        graphc.nll_loss(x, t, torch.ones(2))
    with pytest.raises(CompileError, match=r"^cross_entropy: label_smoothing is a number from 0 to 1, not 1\.5"):
        loss(x, t, label_smoothing=1.5)
    with pytest.raises(CompileError, match=r"^NLLLoss: reduction 'max' does not exist"):
        nn.NLLLoss(reduction="max")  # type: ignore[arg-type]
    with pytest.raises(CompileError, match=r"^nll_loss: reduction 'max' does not exist"):
        graphc.nll_loss(x, t, reduction="max")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"^cross_entropy: the input is floating, \[classes\] or \[n,classes,…\]"):
        loss(graphc.placeholder("y", ()), t)
    with pytest.raises(DTypeError, match=r"^nll_loss: the input is floating"):
        graphc.nll_loss(t, t)
