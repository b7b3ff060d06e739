"""Element-wise losses whose gradient torch defines apart from their formula."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import torch

from graphc.errors import DTypeError
from graphc.expr import Expr, Operand, call
from graphc.ir import Arg, Sample, Tensor, TensorLike, apply, function
from graphc.ops.operands import operands
from graphc.ops.pointwise import Pointwise
from graphc.types import Array, TensorType, dtype_name

__all__ = ["binary_cross_entropy_terms"]

SMALLEST_DENOMINATOR = torch.tensor(1e-12, device="cpu").item()
"""1e-12 as torch has it: in float32, whatever the dtype of the operands."""


@dataclass(frozen=True)
class BinaryCrossEntropy(Pointwise):
    """-(t·log p + (1 - t)·log(1 - p)), logarithms clamped at -100.

    The gradient to p has a denominator of at least 1e-12; that to t has the logarithms as they are. Source: torch
    documentation of `torch.nn.BCELoss`. Unlike torch, p outside [0, 1] gives NaN and not an exception.
    """

    judge = partial(torch.nn.functional.binary_cross_entropy, reduction="none")

    def infer(self, p: TensorType, t: TensorType) -> TensorType:
        if not p.dtype.is_floating_point or p.dtype is not t.dtype:
            raise DTypeError(f"needs one floating dtype, not {dtype_name(p.dtype)} and {dtype_name(t.dtype)}")
        return p

    def eval(self, p: Array, t: Array) -> Array:
        return (t - 1) * torch.log1p(-p).clamp_min(-100) - t * torch.log(p).clamp_min(-100)

    def at(self, i: tuple[Expr, ...], p: Operand, t: Operand) -> Expr:
        a, b = p[i], t[i]
        of_one = call("maximum", call("log", a), -100)
        of_zero = call("maximum", call("log1p", call("neg", a)), -100)
        return call("sub", call("mul", call("sub", b, 1), of_zero), call("mul", b, of_one))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        p, t = y.inputs
        to_p = g * (p - t) / ((1.0 - p) * p).clamp(min=SMALLEST_DENOMINATOR)
        to_t = g * ((-p).log1p() - p.log())
        return to_p, to_t

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (0, 1)):
            yield Sample(cls(), (Arg(shape, low=0.05, high=0.95), Arg(shape, low=0.0, high=1.0)))
        yield Sample(
            cls(), (Arg((4, 2), low=0.0, high=1.0, integer=True), Arg((4, 2), low=0.0, high=1.0, integer=True))
        )


@function
def binary_cross_entropy_terms(p: TensorLike, t: TensorLike) -> Tensor:
    """The element-wise binary cross-entropy of probabilities `p` against targets `t`."""
    return apply(BinaryCrossEntropy(), *operands("binary_cross_entropy", p, t, floating=True))
