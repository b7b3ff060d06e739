"""The choice between values, element by element."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from graphc.errors import DTypeError
from graphc.expr import Expr, Operand, call, literal, select
from graphc.ir import Arg, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.operands import as_tensor, broadcast, operands, plain
from graphc.ops.pointwise import Binary, Pointwise, Unary
from graphc.types import Array, TensorType, dtype_name

__all__ = ["clamp", "maximum", "minimum", "where"]


@dataclass(frozen=True)
class Minimum(Binary):
    """The smaller of x and y; NaN if either is. Ties share the gradient, as in torch."""

    torch = TorchCall(torch.minimum, alias=(0, 1))
    bools = "and"

    def eval(self, x: Array, y: Array) -> Array:
        return torch.minimum(x, y)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        a, b = y.inputs
        half = where(a == b, g * 0.5, g)
        return where(a > b, 0.0, half), where(b > a, 0.0, half)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        yield Sample(cls(), (Arg((4, 5), low=-1, high=1, integer=True), Arg((4, 5), low=-1, high=1, integer=True)))


@dataclass(frozen=True)
class Maximum(Minimum):
    """The larger of x and y; NaN if either is. Ties share the gradient, as in torch."""

    torch = TorchCall(torch.maximum, alias=(0, 1))
    bools = "or"

    def eval(self, x: Array, y: Array) -> Array:
        return torch.maximum(x, y)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        a, b = y.inputs
        half = where(a == b, g * 0.5, g)
        return where(a < b, 0.0, half), where(b < a, 0.0, half)


@dataclass(frozen=True)
class Clamp(Unary):
    """x limited to [min, max]; the gradient passes where x lies within, ends included."""

    torch = TorchCall(torch.clamp, alias=(0,), keywords={"min": "min", "max": "max"})
    min: int | float | None
    max: int | float | None

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_floating_point and any(isinstance(limit, float) for limit in (self.min, self.max)):
            raise DTypeError(f"the limits {self.min} and {self.max} need a floating dtype, not {dtype_name(x.dtype)}")
        return super().infer(x)

    def eval(self, x: Array) -> Array:
        return torch.clamp(x, min=self.min, max=self.max)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        for limit, beyond in ((self.min, "lt"), (self.max, "gt")):
            if limit is not None:
                is_nan = limit != limit
                a = literal(limit, x.dtype) if is_nan else select(call(beyond, a, limit), limit, a)
        return a

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        if self.max is not None:
            g = g.where(x <= self.max, 0.0)
        if self.min is not None:
            g = g.where(x >= self.min, 0.0)
        return (g,)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for limits in ((-1.0, 1.0), (None, 0.5), (-0.5, None)):
            yield Sample(cls(*limits), (Arg((3, 5)),))
        yield Sample(cls(-1.0, 1.0), (Arg((4, 5), integer=True),))
        yield Sample(cls(-1, 2), (Arg((6,), torch.int64, -5, 5),))
        for shape in ((), (0, 2)):
            yield Sample(cls(-1.0, 1.0), (Arg(shape),))


@dataclass(frozen=True)
class ClampBetween(Pointwise):
    """x limited to [min, max], which are operands: max where they cross, NaN if any is.

    Gradients pass to the one that is chosen, as in torch; where the limits are equal, to x or to none.
    """

    torch = TorchCall(torch.clamp, alias=(0,))

    def infer(self, x: TensorType, low: TensorType, high: TensorType) -> TensorType:
        if not x.dtype is low.dtype is high.dtype:
            raise DTypeError(f"dtypes differ, {', '.join(dtype_name(each.dtype) for each in (x, low, high))}")
        if x.dtype is torch.bool:
            raise DTypeError("clamp is not defined for bool")
        return x

    def eval(self, x: Array, low: Array, high: Array) -> Array:
        return torch.clamp(x, low, high)

    def at(self, i: tuple[Expr, ...], x: Operand, low: Operand, high: Operand) -> Expr:
        return call("minimum", call("maximum", x[i], low[i]), high[i])

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, low, high = y.inputs
        return (
            g.where(x >= low, 0.0).where(x <= high, 0.0),
            g.where(x < low, 0.0).where(low < high, 0.0),
            g.where(x > high, g.where(high < low, 0.0)),
        )

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (0, 2)):
            yield Sample(cls(), (Arg(shape), Arg(shape, low=-1.5, high=0.5), Arg(shape, low=-0.5, high=1.5)))
        yield Sample(cls(), tuple(Arg((4, 5), integer=True) for _ in range(3)))
        yield Sample(cls(), tuple(Arg((6,), torch.int64, -5, 5) for _ in range(3)))


@dataclass(frozen=True)
class Where(Pointwise):
    """x where the condition holds, else y."""

    torch = TorchCall(torch.where, alias=(1, 2))

    def infer(self, condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
        if condition.dtype is not torch.bool:
            raise DTypeError(f"the condition is {dtype_name(condition.dtype)}, not bool")
        if x.dtype is not y.dtype:
            raise DTypeError(f"dtypes differ, {dtype_name(x.dtype)} != {dtype_name(y.dtype)}")
        return x

    def eval(self, condition: Array, x: Array, y: Array) -> Array:
        return torch.where(condition, x, y)

    def at(self, i: tuple[Expr, ...], condition: Operand, x: Operand, y: Operand) -> Expr:
        return select(condition[i], x[i], y[i])

    def vjp(self, y: Tensor, g: Tensor) -> tuple[None, Tensor, Tensor]:
        condition = y.inputs[0]
        return None, where(condition, g, 0.0), where(condition, 0.0, g)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (0, 2)):
            yield Sample(cls(), (Arg(shape, torch.bool), Arg(shape), Arg(shape)))
        yield Sample(cls(), (Arg((4,), torch.bool), Arg((4,), torch.int64), Arg((4,), torch.int64)))


@function
def minimum(x: TensorLike, y: TensorLike) -> Tensor:
    """The smaller of x and y; NaN if either is NaN."""
    return apply(Minimum(), *operands("minimum", x, y))


@function
def maximum(x: TensorLike, y: TensorLike) -> Tensor:
    """The larger of x and y; NaN if either is NaN."""
    return apply(Maximum(), *operands("maximum", x, y))


@function
def clamp(x: TensorLike, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """x limited to [min, max], where None is no limit. Limits are numbers or tensors."""
    if min is None and max is None:
        raise complaint(DTypeError, "clamp", "needs min, max or both", as_tensor("clamp", x))
    min, max = (limit if limit is None else plain(limit) for limit in (min, max))
    limits = [limit for limit in (min, max) if limit is not None]
    base, *_ = operands("clamp", x, *limits, wraps=False)
    if all(isinstance(limit, (int, float)) for limit in limits):
        low, high = (
            limit if limit is None else torch.tensor(limit, dtype=base.dtype, device="cpu").item()
            for limit in (min, max)
        )
        return apply(Clamp(low, high), base)
    if min is not None and max is not None:
        return apply(ClampBetween(), *operands("clamp", base, min, max))
    base, limit = operands("clamp", base, *limits)
    beyond, within = (base < limit, base >= limit) if max is None else (base > limit, base <= limit)
    if base.dtype.is_floating_point:  # one of the two may be NaN, and then neither has a gradient
        base = where(where(beyond, True, within), base, math.nan)
    return where(beyond, limit, base)


@function
def where(condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
    """x where `condition` (bool) holds, else y; all three broadcast."""
    mask = as_tensor("where", condition)
    if mask.dtype is not torch.bool:
        problem = f"the condition is {dtype_name(mask.dtype)}, not bool"
        raise complaint(DTypeError, "where", problem, mask, remedy="make it a comparison, such as x > 0")
    a, b = operands("where", x, y, wraps=False)
    return apply(Where(), *broadcast("where", [mask, a, b]))
