"""Arithmetic, element by element."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from graphc.errors import DTypeError, brief
from graphc.expr import Expr, Operand, call, literal
from graphc.ir import Arg, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.operands import as_tensor, cast, held, operands, plain, result_dtype
from graphc.ops.pointwise import Binary, FloatUnary, Unary, floating, numeric
from graphc.types import Array, TensorType, dtype_name

__all__ = ["add", "div", "mul", "neg", "pow_", "reciprocal", "square", "sub"]


@dataclass(frozen=True)
class Add(Binary):
    """x + y."""

    torch = TorchCall(torch.add, alias=(0, 1))
    bools = "or"

    def eval(self, x: Array, y: Array) -> Array:
        return torch.add(x, y)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, g


@dataclass(frozen=True)
class Sub(Binary):
    """x - y."""

    torch = TorchCall(torch.sub, alias=(0, 1))

    def eval(self, x: Array, y: Array) -> Array:
        return torch.sub(x, y)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return g, -g


@dataclass(frozen=True)
class Mul(Binary):
    """x · y."""

    torch = TorchCall(torch.mul, alias=(0, 1))
    bools = "and"

    def eval(self, x: Array, y: Array) -> Array:
        return torch.mul(x, y)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        a, b = y.inputs
        return g * b, g * a


@dataclass(frozen=True)
class Div(Binary):
    """x / y, on floating tensors."""

    torch = TorchCall(torch.div, alias=(0, 1))

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if not x.dtype.is_floating_point:
            raise DTypeError(f"needs floating dtypes, not {dtype_name(x.dtype)}")
        return super().infer(x, y)

    def eval(self, x: Array, y: Array) -> Array:
        return torch.div(x, y)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        a, b = y.inputs
        return g / b, -g * (a / b / b)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (2, 0)):
            yield Sample(cls(), (Arg(shape), Arg(shape, low=0.5, high=2.0)))


@dataclass(frozen=True)
class Pow(Binary):
    """x to the power y, element by element."""

    torch = TorchCall(torch.pow, alias=(0, 1))

    def eval(self, x: Array, y: Array) -> Array:
        return torch.pow(x, y)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        a, b = y.inputs
        # As torch: no gradient to the base where the exponent is 0, none to the exponent where 0 ** positive.
        zero = as_tensor("pow", 0.0, g.dtype)
        base = zero.where(b == 0.0, g * (b * a.pow(b - 1.0)))
        exponent = g * zero.where((b >= 0.0).where(a == 0.0, False), y * a.log())
        return base, exponent

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield Sample(cls(), (Arg((3, 5), low=0.2, high=2.0), Arg((3, 5))))
        for shape in ((), (2, 0)):
            yield Sample(cls(), (Arg(shape, low=0.2, high=2.0), Arg(shape)))
        yield Sample(cls(), (Arg((6, 8), low=-1, high=2, integer=True), Arg((6, 8), low=-1, high=2, integer=True)))
        yield Sample(cls(), (Arg((4,), torch.int64, -3, 3), Arg((4,), torch.int64, 0, 3)))


@dataclass(frozen=True)
class PowNumber(Unary):
    """x to the power of a number, with torch's special cases (0.5 is a square root, 2 a square, …)."""

    torch = TorchCall(torch.pow, alias=(0,), arguments=("exponent",))
    exponent: int | float

    def infer(self, x: TensorType) -> TensorType:
        super().infer(x)
        is_floating = x.dtype.is_floating_point
        if not is_floating and (isinstance(self.exponent, float) or self.exponent < 0):
            raise DTypeError(f"exponent {self.exponent} needs a floating base, not {dtype_name(x.dtype)}")
        if x.dtype not in (torch.float32, torch.float64):  # these take an exponent that is too large for infinite
            largest = torch.finfo(x.dtype).max if is_floating else torch.iinfo(x.dtype).max
            if largest < abs(self.exponent) < math.inf:
                raise DTypeError(f"exponent {brief(self.exponent)} does not fit {dtype_name(x.dtype)}")
        return x

    def eval(self, x: Array) -> Array:
        return torch.pow(x, self.exponent)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        match self.exponent:
            case 0:
                return literal(1, x.dtype)
            case 1:
                return a
            case 2:
                return call("mul", a, a)
            case 3:
                return call("mul", call("mul", a, a), a)
            case 0.5:
                return call("sqrt", a)
            case -0.5:
                return call("div", 1, call("sqrt", a))
            case -1:
                return call("div", 1, a)
            case -2:
                return call("div", 1, call("mul", a, a))
            case exponent:
                return call("pow", a, exponent)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor | None]:
        if self.exponent == 0:
            return (None,)
        return (g * (y.inputs[0].pow(self.exponent - 1) * self.exponent),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for exponent in (3, 0.5, -1, 2.5, 0):
            yield Sample(cls(exponent), (Arg((3, 4), low=0.2, high=2.0),))
        yield Sample(cls(3), (Arg((5,), torch.int64, -3, 3),))
        yield Sample(cls(2), (Arg((4,), low=-1, high=1, integer=True),))
        for shape in ((), (0, 2)):
            yield Sample(cls(1.5), (Arg(shape, low=0.2, high=2.0),))


@dataclass(frozen=True)
class Neg(Unary):
    """-x."""

    torch = TorchCall(torch.neg, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.neg(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (-g,)


@dataclass(frozen=True)
class Square(Unary):
    """x · x."""

    torch = TorchCall(torch.square, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.square(x)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        return call("mul", a, a)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * (y.inputs[0] * 2.0),)


@dataclass(frozen=True)
class Reciprocal(FloatUnary):
    """1 / x."""

    torch = TorchCall(torch.reciprocal, alias=(0,))
    domain = (0.3, 3.0)

    def eval(self, x: Array) -> Array:
        return torch.reciprocal(x)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        return call("div", 1, x[i])

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (-g * (y * y),)


@function
def add(x: TensorLike, y: TensorLike) -> Tensor:
    """x + y, broadcast and promoted as in torch."""
    return apply(Add(), *operands("add", x, y))


@function
def sub(x: TensorLike, y: TensorLike) -> Tensor:
    """x - y, not of booleans, as in torch."""
    for each in (x, y):
        if isinstance(each, bool) or (isinstance(each, (Tensor, Array)) and each.dtype is torch.bool):
            problem, remedy = "is not defined for bool", "convert it with .to(torch.int64)"
            raise complaint(DTypeError, "sub", problem, as_tensor("sub", x), as_tensor("sub", y), remedy=remedy)
    return apply(Sub(), *operands("sub", x, y))


@function
def mul(x: TensorLike, y: TensorLike) -> Tensor:
    """x · y."""
    return _scaled(Mul(), x, y, scales=(x, y))


@function
def div(x: TensorLike, y: TensorLike) -> Tensor:
    """x / y; integers divide to the default floating dtype."""
    return _scaled(Div(), x, y, scales=(y,))


def _scaled(op: Mul | Div, x: TensorLike, y: TensorLike, scales: Sequence[TensorLike]) -> Tensor:
    """`op` on x and y. As in torch, a number or a 0-d tensor of another dtype scales half precision in float32."""
    pair = operands(op.name, x, y, floating=isinstance(op, Div))
    dtype = pair[0].dtype
    if dtype in (torch.float16, torch.bfloat16) and any(_is_scale(scale, dtype) for scale in scales):
        return cast(apply(op, *operands(op.name, x, y, dtype=torch.float32)), dtype)
    return apply(op, *pair)


def _is_scale(x: TensorLike, dtype: torch.dtype) -> bool:
    return not isinstance(x, (Tensor, Array)) or (x.ndim == 0 and x.dtype is not dtype)


@function
def pow_(x: TensorLike, exponent: TensorLike) -> Tensor:
    """x to the power `exponent`, a number or a tensor."""
    exponent = plain(exponent)
    if isinstance(x, Tensor) and isinstance(exponent, (int, float)):
        base = cast(x, result_dtype([x, exponent]))
        if isinstance(exponent, int) and base.dtype.is_floating_point:
            held("pow", exponent, base.dtype)
        return apply(PowNumber(exponent), base, name="pow")
    return apply(Pow(), *operands("pow", x, exponent))


@function
def neg(x: TensorLike) -> Tensor:
    """-x."""
    return apply(Neg(), numeric("neg", x))


@function
def square(x: TensorLike) -> Tensor:
    """x · x, which is int64 for a bool."""
    tensor = as_tensor("square", x)
    return apply(Square(), cast(tensor, torch.int64) if tensor.dtype is torch.bool else tensor)


@function
def reciprocal(x: TensorLike) -> Tensor:
    """1 / x."""
    return apply(Reciprocal(), floating("reciprocal", x))
