"""Losses: how far a prediction is from its target, as one number or element by element."""

from __future__ import annotations

from graphc.errors import CompileError, DTypeError, ShapeError, brief
from graphc.ir import Tensor, TensorLike, complaint
from graphc.nn.module import Module
from graphc.ops import (
    Reduction,
    as_tensor,
    binary_cross_entropy_terms,
    check_reduction,
    check_smoothing,
    cross_entropy,
    nll_loss,
    softplus,
)
from graphc.types import as_index, same_shape

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "L1Loss", "MSELoss", "NLLLoss"]


class _Loss(Module):
    """A loss reduced from one term for each element. Prediction and target have one type: nothing broadcasts."""

    def __init__(self, *, reduction: Reduction = "mean") -> None:
        super().__init__()
        check_reduction(type(self).__name__, reduction)
        self.reduction = reduction

    def terms(self, prediction: Tensor, target: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, prediction: TensorLike, target: TensorLike) -> Tensor:
        kind = type(self).__name__
        x, y = (as_tensor(kind, each) for each in (prediction, target))
        self._check(x, y)
        terms = self.terms(x, y)
        if self.reduction == "none":
            return terms
        return terms.mean() if self.reduction == "mean" else terms.sum()

    def _check(self, x: Tensor, y: Tensor) -> None:
        types = f"prediction {x.type} and target {y.type}"
        kind = type(self).__name__
        if not same_shape(x.shape, y.shape):
            raise complaint(
                ShapeError,
                kind,
                f"{types} have different shapes; torch would broadcast them, "
                "and each prediction would meet targets that are not its own",
                about=(x, y),
                remedy="if they differ by dimensions of size 1 only, as [batch,1] and [batch] do, "
                "pass target.reshape(prediction.shape); sizes that are always equal have the same name where they are "
                "declared",
            )
        if x.dtype is not y.dtype or not x.dtype.is_floating_point:
            remedy = f"pass target.to({x.dtype})" if x.dtype.is_floating_point else "the prediction is floating"
            raise complaint(DTypeError, kind, f"{types} are not of one floating dtype", about=(x, y), remedy=remedy)

    def _constant(self, argument: str, value: TensorLike | None) -> Tensor | None:
        """An argument of the constructor that is a tensor or nothing."""
        return None if value is None else as_tensor(f"{type(self).__name__}: {argument}", value)

    def _weighted(self, terms: Tensor, argument: str) -> Tensor:
        """The terms times a weight, which broadcasts to them and never they to it."""
        weight: Tensor | None = getattr(self, argument)
        if weight is None:
            return terms
        try:
            return terms * weight.to(terms.dtype).broadcast_to(terms.shape)
        except ShapeError:
            problem = f"{argument} {weight.type} does not broadcast to the target, {terms.type}"
            remedy = f"give {argument} the target's last dimensions, or reshape it so that others are 1"
            raise complaint(ShapeError, type(self).__name__, problem, about=(weight, terms), remedy=remedy) from None


class MSELoss(_Loss):
    """(prediction - target)²."""

    def terms(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).square()


class L1Loss(_Loss):
    """|prediction - target|; its gradient is 0 where they are equal."""

    def terms(self, prediction: Tensor, target: Tensor) -> Tensor:
        return (prediction - target).abs()


class BCELoss(_Loss):
    """-w·(t·log p + (1 - t)·log(1 - p)) for probabilities p and targets t, logarithms clamped at -100 as in torch.

    `weight` broadcasts to the target's shape. A p outside [0, 1] gives NaN, where torch raises.
    """

    def __init__(self, weight: TensorLike | None = None, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction=reduction)
        self.weight = self._constant("weight", weight)

    def terms(self, prediction: Tensor, target: Tensor) -> Tensor:
        return self._weighted(binary_cross_entropy_terms(prediction, target), "weight")


class BCEWithLogitsLoss(_Loss):
    """BCELoss of sigmoid(x), computed from the logits x: w·(pos_weight·t·log(1 + e⁻ˣ) + (1 - t)·log(1 + eˣ)).

    For targets of 0 and 1, it and its gradient keep all digits where the probability is close to the target. `weight`
    and `pos_weight` broadcast to the target's shape.
    Source: `torch.nn.BCEWithLogitsLoss`.
    """

    def __init__(
        self,
        weight: TensorLike | None = None,
        *,
        reduction: Reduction = "mean",
        pos_weight: TensorLike | None = None,
    ) -> None:
        super().__init__(reduction=reduction)
        self.weight = self._constant("weight", weight)
        self.pos_weight = self._constant("pos_weight", pos_weight)

    def terms(self, prediction: Tensor, target: Tensor) -> Tensor:
        # Above its threshold softplus leaves out what is below e⁻⁸⁰; float32 has no exponential of much more.
        missed = self._weighted(target * softplus(-prediction, threshold=80.0), "pos_weight")
        return self._weighted(missed + (1.0 - target) * softplus(prediction, threshold=80.0), "weight")


class NLLLoss(Module):
    """-weight[target] · input[target] for log-probabilities; see `graphc.nll_loss`."""

    def __init__(
        self, weight: TensorLike | None = None, *, ignore_index: int = -100, reduction: Reduction = "mean"
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        check_reduction(kind, reduction)
        if as_index(ignore_index) is None:
            raise complaint(CompileError, kind, f"ignore_index is an integer, not {brief(ignore_index)}")
        self.weight = None if weight is None else as_tensor(f"{kind}: weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: TensorLike, target: TensorLike) -> Tensor:
        return nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(NLLLoss):
    """The cross-entropy of logits against numbers or probabilities of classes; see `graphc.cross_entropy`."""

    def __init__(
        self,
        weight: TensorLike | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction)
        check_smoothing(type(self).__name__, label_smoothing)
        self.label_smoothing = label_smoothing

    def forward(self, input: TensorLike, target: TensorLike) -> Tensor:
        return cross_entropy(
            input,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
