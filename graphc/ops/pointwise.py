"""What pointwise ops have in common: one or two operands of one type, and its samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import torch

from graphc.errors import DTypeError
from graphc.ir import Arg, Op, Sample, Tensor, TensorLike, complaint
from graphc.ops.operands import as_tensor, operands
from graphc.types import TensorType, dtype_name, same_shape

__all__ = ["Binary", "FloatUnary", "Unary", "floating", "numeric"]


class Unary(Op, abstract=True):
    """A pointwise op of one operand that keeps its dtype."""

    is_pointwise = True
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


class Binary(Op, abstract=True):
    """A pointwise op of two operands of one type."""

    is_pointwise = True
    bools: ClassVar[bool] = False
    """Whether torch computes it on booleans."""

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if x.dtype is not y.dtype:
            raise DTypeError(f"dtypes differ, {dtype_name(x.dtype)} != {dtype_name(y.dtype)}")
        if x.dtype is torch.bool and not self.bools:
            raise DTypeError("is not defined for bool")
        assert same_shape(x.shape, y.shape), "operands are broadcast before the op is built"
        return x

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
