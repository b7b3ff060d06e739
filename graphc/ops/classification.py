"""Losses over classes. What a target picks is a comparison with every class number, a choice and a sum."""

from __future__ import annotations

import math
from typing import Literal

import torch

from graphc.dims import Size
from graphc.errors import CompileError, DTypeError, ShapeError, brief
from graphc.ir import Tensor, TensorLike, apply, complaint, function
from graphc.ops.leaves import Iota
from graphc.ops.operands import as_tensor
from graphc.ops.selections import clamp, where
from graphc.ops.softmax import log_softmax
from graphc.types import dtype_name, same_shape

__all__ = ["Reduction", "check_reduction", "check_smoothing", "cross_entropy", "nll_loss"]

Reduction = Literal["mean", "sum", "none"]


def check_reduction(name: str, reduction: object) -> None:
    """Raises CompileError for a reduction that does not exist."""
    if not isinstance(reduction, str) or reduction not in ("mean", "sum", "none"):
        problem = f"reduction {brief(reduction)} does not exist"
        raise complaint(CompileError, name, problem, remedy="choose 'mean', 'sum' or 'none'")


def check_smoothing(name: str, label_smoothing: object) -> None:
    """Raises CompileError for what is no share of a target."""
    if not isinstance(label_smoothing, (int, float)) or not 0.0 <= label_smoothing <= 1.0:
        raise complaint(CompileError, name, f"label_smoothing is a number from 0 to 1, not {brief(label_smoothing)}")


@function
def nll_loss(
    input: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """-weight[target] · input[target] for log-probabilities `input`, f[n, classes, …], and `target`, i64[n, …].

    The mean is weighted. Targets equal to `ignore_index` do not count; others that are no class give NaN, where torch
    raises.
    """
    x, t = as_tensor("nll_loss", input), as_tensor("nll_loss", target)
    check_reduction("nll_loss", reduction)
    dim = _class_dim("nll_loss", x)
    _check_indices("nll_loss", x, t, dim)
    return _of_indices(x, t, _along_classes("nll_loss", x, weight, dim), ignore_index, reduction, 0.0)


@function
def cross_entropy(
    input: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-Σ_c weight[c] · p[c] · log_softmax(input)[c], for logits `input`, f[n, classes, …], and targets p.

    `target` is the number of a class, i64[n, …], or the probability of each, of the type of `input`. Of numbers, those
    equal to `ignore_index` do not count and others that are no class give NaN, where torch raises; their mean is
    weighted. `label_smoothing` is the share of the target that is spread over all classes.
    """
    x, t = as_tensor("cross_entropy", input), as_tensor("cross_entropy", target)
    check_reduction("cross_entropy", reduction)
    check_smoothing("cross_entropy", label_smoothing)
    dim = _class_dim("cross_entropy", x)
    weights = _along_classes("cross_entropy", x, weight, dim)
    if not t.dtype.is_floating_point:
        _check_indices("cross_entropy", x, t, dim)
        return _of_indices(log_softmax(x, dim), t, weights, ignore_index, reduction, float(label_smoothing))
    if t.dtype is not x.dtype or not same_shape(t.shape, x.shape):
        problem = "probabilities of classes have the type of the input"
        raise complaint(
            DTypeError if same_shape(t.shape, x.shape) else ShapeError,
            "cross_entropy",
            problem,
            x,
            t,
            remedy="numbers of classes are int64, one for each prediction: target.to(torch.int64); probabilities are "
            "target.to(input.dtype)",
        )
    if label_smoothing:
        t = t * (1.0 - label_smoothing) + label_smoothing / _as_number(x.shape[dim], x.dtype)
    terms = -(log_softmax(x, dim) * (t if weights is None else t * weights)).sum(dim)
    if reduction == "none":
        return terms
    return terms.mean() if reduction == "mean" else terms.sum()


def _of_indices(
    x: Tensor, target: Tensor, weights: Tensor | None, ignore_index: int, reduction: Reduction, smoothing: float
) -> Tensor:
    """The loss of log-probabilities x, where `weights` broadcast to x."""
    dim = _class_dim("nll_loss", x)
    classes = x.shape[dim]
    ignored = target == ignore_index
    zero = as_tensor("nll_loss", 0.0, x.dtype)
    # What picks nothing gives 0, also from -inf: so does the number of a class that is ignored.
    picking = where(ignored, -1, target) if ignore_index >= 0 else target
    numbers = apply(Iota(classes)).reshape((classes, *[1] * (x.ndim - dim - 1)))
    chosen = picking.unsqueeze(dim) == numbers
    known = where(target == clamp(target, 0, classes - 1), as_tensor("nll_loss", 1.0, x.dtype), math.nan)
    share = where(ignored, zero, known)
    terms = where(chosen, x, zero).sum(dim)
    if weights is not None:
        share = share * where(chosen, weights, zero).sum(dim)
    terms = terms * share
    if smoothing:
        every = where(ignored, zero, (x if weights is None else x * weights).sum(dim))
        terms = terms * (1.0 - smoothing) + every * (smoothing / _as_number(classes, x.dtype))
    if reduction == "none":
        return -terms
    total = -terms.sum()
    return total / share.sum() if reduction == "mean" else total


def _as_number(size: Size, dtype: torch.dtype) -> float | Tensor:
    return size if isinstance(size, int) else as_tensor("cross_entropy", size, dtype)


def _class_dim(name: str, x: Tensor) -> int:
    if not x.ndim or not x.dtype.is_floating_point:
        kind = DTypeError if x.ndim else ShapeError
        problem = "the input is floating, [classes] or [n,classes,…]"
        raise complaint(kind, name, problem, x, remedy="the input comes first, and then the target")
    return min(x.ndim - 1, 1)


def _check_indices(name: str, x: Tensor, target: Tensor, dim: int) -> None:
    if target.dtype is not torch.int64:
        problem = f"the target is {dtype_name(target.dtype)}, and numbers of classes are int64"
        raise complaint(DTypeError, name, problem, x, target, remedy="convert it with target.to(torch.int64)")
    wanted = (*x.shape[:dim], *x.shape[dim + 1 :])
    if not same_shape(target.shape, wanted):
        problem = f"the target has shape {_shape(target.shape)}, not {_shape(wanted)}: one class for each prediction"
        remedy = "a column [n,1] becomes [n] by target.reshape(-1)"
        if same_shape(target.shape, x.shape):
            remedy = "one-hot targets are probabilities, of the input's dtype: target.to(torch.float32)"
        raise complaint(ShapeError, name, problem, x, target, remedy=remedy)


def _along_classes(name: str, x: Tensor, weight: TensorLike | None, dim: int) -> Tensor | None:
    """The weights such that they broadcast to x."""
    if weight is None:
        return None
    weights = as_tensor(name, weight)
    classes = x.shape[dim]
    if not same_shape(weights.shape, (classes,)) or not weights.dtype.is_floating_point:
        problem = f"the weights are {weights.type}, not one floating number for each of {classes} classes"
        raise complaint(ShapeError, name, problem, x, remedy="give weight=torch.tensor([1.0, ...]), one for each class")
    return weights.to(x.dtype).reshape((classes, *[1] * (x.ndim - dim - 1)))


def _shape(shape: tuple[Size, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
