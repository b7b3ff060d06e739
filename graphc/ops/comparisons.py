"""Comparisons, which give booleans, and the conversion of dtypes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from graphc import expr
from graphc.errors import DTypeError
from graphc.expr import Expr, Operand
from graphc.ir import Arg, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.operands import as_tensor, operands
from graphc.ops.pointwise import Pointwise
from graphc.types import Array, DType, TensorType, check_dtype, dtype_name, same_shape

__all__ = ["cast", "eq", "ge", "gt", "le", "lt", "ne"]


class Comparison(Pointwise, abstract=True):
    """A pointwise op of two operands of one type that gives booleans; it has no gradient."""

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if x.dtype is not y.dtype:
            raise DTypeError(f"dtypes differ, {dtype_name(x.dtype)} != {dtype_name(y.dtype)}")
        assert same_shape(x.shape, y.shape), "operands are broadcast before the op is built"
        return TensorType(x.shape, torch.bool)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[None, None]:
        return None, None

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield Sample(cls(), (Arg((3, 5), integer=True), Arg((3, 5), integer=True)))
        for shape in ((), (0, 2)):
            yield Sample(cls(), (Arg(shape), Arg(shape)))
        yield Sample(cls(), (Arg((4,), torch.int64), Arg((4,), torch.int64)))


@dataclass(frozen=True)
class Eq(Comparison):
    """x == y."""

    torch = TorchCall(torch.eq)

    def eval(self, x: Array, y: Array) -> Array:
        return torch.eq(x, y)


@dataclass(frozen=True)
class Ne(Comparison):
    """x != y."""

    torch = TorchCall(torch.ne)

    def eval(self, x: Array, y: Array) -> Array:
        return torch.ne(x, y)


@dataclass(frozen=True)
class Lt(Comparison):
    """x < y."""

    torch = TorchCall(torch.lt)

    def eval(self, x: Array, y: Array) -> Array:
        return torch.lt(x, y)


@dataclass(frozen=True)
class Le(Comparison):
    """x <= y."""

    torch = TorchCall(torch.le)

    def eval(self, x: Array, y: Array) -> Array:
        return torch.le(x, y)


@dataclass(frozen=True)
class Gt(Comparison):
    """x > y."""

    torch = TorchCall(torch.gt)

    def eval(self, x: Array, y: Array) -> Array:
        return torch.gt(x, y)


@dataclass(frozen=True)
class Ge(Comparison):
    """x >= y."""

    torch = TorchCall(torch.ge)

    def eval(self, x: Array, y: Array) -> Array:
        return torch.ge(x, y)


@dataclass(frozen=True)
class Cast(Pointwise):
    """x in another dtype."""

    torch = TorchCall(torch.Tensor.copy_, form="into")
    dtype: DType

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(x.shape, self.dtype)

    def eval(self, x: Array) -> Array:
        return x.to(self.dtype, copy=True)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        return expr.cast(x[i], self.dtype)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (cast(g, y.inputs[0].dtype),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (0, 2)):
            yield Sample(cls(torch.float64), (Arg(shape),))
        yield Sample(cls(torch.float32), (Arg((3, 5), torch.float64),))
        yield Sample(cls(torch.int64), (Arg((3, 5)),))
        yield Sample(cls(torch.float32), (Arg((3, 5), torch.bool),))
        yield Sample(cls(torch.bool), (Arg((3, 5), torch.int64),))


@function
def eq(x: TensorLike, y: TensorLike) -> Tensor:
    """x == y, element by element."""
    return apply(Eq(), *operands("eq", x, y))


@function
def ne(x: TensorLike, y: TensorLike) -> Tensor:
    """x != y, element by element."""
    return apply(Ne(), *operands("ne", x, y))


@function
def lt(x: TensorLike, y: TensorLike) -> Tensor:
    """x < y, element by element."""
    return apply(Lt(), *operands("lt", x, y))


@function
def le(x: TensorLike, y: TensorLike) -> Tensor:
    """x <= y, element by element."""
    return apply(Le(), *operands("le", x, y))


@function
def gt(x: TensorLike, y: TensorLike) -> Tensor:
    """x > y, element by element."""
    return apply(Gt(), *operands("gt", x, y))


@function
def ge(x: TensorLike, y: TensorLike) -> Tensor:
    """x >= y, element by element."""
    return apply(Ge(), *operands("ge", x, y))


@function
def cast(x: TensorLike, dtype: torch.dtype) -> Tensor:
    """x in `dtype`; x itself when it has it already."""
    tensor = as_tensor("cast", x)
    try:
        wanted = check_dtype(dtype)
    except DTypeError as error:
        raise complaint(DTypeError, "cast", str(error), tensor) from None
    return tensor if tensor.dtype is wanted else apply(Cast(wanted), tensor)
