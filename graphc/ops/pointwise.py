"""What pointwise ops have in common: one or two operands of one type, and its samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import torch

from graphc.errors import DTypeError
from graphc.expr import INTRINSICS, Expr, Operand, call
from graphc.ir import Arg, Op, Sample, Tensor, TensorLike, complaint
from graphc.ops.operands import as_tensor, operands
from graphc.types import TensorType, dtype_name, same_shape

__all__ = ["Binary", "FloatUnary", "Pointwise", "Unary", "floating", "numeric"]


class Pointwise(Op, abstract=True):
    """An op of one element of each operand, named as the intrinsic that it is, if it is one."""

    is_pointwise = True

    def at(self, i: tuple[Expr, ...], *x: Any, **unused: Any) -> Expr | None:
        return call(self.name, *(each[i] for each in x)) if self.name in INTRINSICS else None


class Unary(Pointwise, abstract=True):
    """A pointwise op of one operand that keeps its dtype."""

    bools: ClassVar[bool] = False
    """Whether torch computes it on booleans."""
    domain: ClassVar[tuple[float, float]] = (-2.0, 2.0)

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype is torch.bool and not self.bools:
            raise DTypeError("is not defined for bool")
        return x

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        low, high = cls.domain
        for shape in ((3, 5), (), (0, 2)):
            yield Sample(cls(), (Arg(shape, low=low, high=high),))
        yield Sample(cls(), (Arg((4, 3), torch.float64, low, high),))


class FloatUnary(Unary, abstract=True):
    """A unary op on floating tensors."""

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_floating_point:
            raise DTypeError(f"needs a floating dtype, not {dtype_name(x.dtype)}")
        return x


class Binary(Pointwise, abstract=True):
    """A pointwise op of two operands of one type."""

    bools: ClassVar[str] = ""
    """The intrinsic that it is on booleans, where torch computes it on them."""

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if x.dtype is not y.dtype:
            raise DTypeError(f"dtypes differ, {dtype_name(x.dtype)} != {dtype_name(y.dtype)}")
        if x.dtype is torch.bool and not self.bools:
            raise DTypeError("is not defined for bool")
        assert same_shape(x.shape, y.shape), "operands are broadcast before the op is built"
        return x

    def at(self, i: tuple[Expr, ...], x: Operand, y: Operand) -> Expr:
        return call(self.bools if x.dtype is torch.bool else self.name, x[i], y[i])

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (2, 0)):
            yield Sample(cls(), (Arg(shape), Arg(shape)))
        yield Sample(cls(), (Arg((4,), torch.int64, -5, 5), Arg((4,), torch.int64, 1, 5)))


def floating(name: str, x: TensorLike) -> Tensor:
    return operands(name, x, floating=True)[0]


def numeric(name: str, x: TensorLike) -> Tensor:
    result = as_tensor(name, x)
    if result.dtype is torch.bool:
        raise complaint(DTypeError, name, "is not defined for bool", result)
    return result
