"""Arithmetic, element by element."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from graphc.errors import DTypeError
from graphc.ir import Arg, Op, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.operands import as_tensor, broadcast, cast, operands, result_dtype
from graphc.types import Array, TensorType, dtype_name, same_shape

__all__ = [
    "abs_",
    "add",
    "clamp",
    "div",
    "exp",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "pow_",
    "reciprocal",
    "sign",
    "sqrt",
    "square",
    "sub",
    "where",
]


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


@dataclass(frozen=True)
class Add(Binary):
    """x + y."""

    torch = TorchCall(torch.add, alias=(0, 1))
    bools = True

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
    bools = True

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
        base = where(b == 0.0, 0.0, g * (b * a.pow(b - 1.0)))
        exponent = g * where(where(a == 0.0, b >= 0.0, False), 0.0, y * a.log())
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
        largest = torch.finfo(x.dtype).max if is_floating else torch.iinfo(x.dtype).max
        if largest < abs(self.exponent) < math.inf:
            raise DTypeError(f"exponent {self.exponent} does not fit {dtype_name(x.dtype)}")
        return x

    def eval(self, x: Array) -> Array:
        return torch.pow(x, self.exponent)

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
class Exp(FloatUnary):
    """e to the power x."""

    torch = TorchCall(torch.exp, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.exp(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * y,)


@dataclass(frozen=True)
class Log(FloatUnary):
    """Natural logarithm."""

    torch = TorchCall(torch.log, alias=(0,))
    domain = (0.2, 3.0)

    def eval(self, x: Array) -> Array:
        return torch.log(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g / y.inputs[0],)


@dataclass(frozen=True)
class Log1p(FloatUnary):
    """log(1 + x), exact for small x."""

    torch = TorchCall(torch.log1p, alias=(0,))
    domain = (-0.8, 3.0)

    def eval(self, x: Array) -> Array:
        return torch.log1p(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g / (y.inputs[0] + 1.0),)


@dataclass(frozen=True)
class Sqrt(FloatUnary):
    """Square root."""

    torch = TorchCall(torch.sqrt, alias=(0,))
    domain = (0.2, 3.0)

    def eval(self, x: Array) -> Array:
        return torch.sqrt(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g / (y * 2.0),)


@dataclass(frozen=True)
class Abs(Unary):
    """Absolute value; its derivative at 0 is 0, as torch has it."""

    torch = TorchCall(torch.abs, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.abs(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * y.inputs[0].sign(),)


@dataclass(frozen=True)
class Sign(Unary):
    """-1, 0 or 1; its derivative is 0 everywhere, as torch has it."""

    torch = TorchCall(torch.sign, alias=(0,))
    bools = True

    def eval(self, x: Array) -> Array:
        return torch.sign(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[None]:
        return (None,)


@dataclass(frozen=True)
class Square(Unary):
    """x · x."""

    torch = TorchCall(torch.square, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.square(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * (y.inputs[0] * 2.0),)


@dataclass(frozen=True)
class Reciprocal(FloatUnary):
    """1 / x."""

    torch = TorchCall(torch.reciprocal, alias=(0,))
    domain = (0.3, 3.0)

    def eval(self, x: Array) -> Array:
        return torch.reciprocal(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (-g * (y * y),)


@dataclass(frozen=True)
class Minimum(Binary):
    """The smaller of x and y; NaN if either is. Ties share the gradient, as in torch."""

    torch = TorchCall(torch.minimum, alias=(0, 1))
    bools = True

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
class Where(Op):
    """x where the condition holds, else y."""

    torch = TorchCall(torch.where, alias=(1, 2))
    is_pointwise = True

    def infer(self, condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
        if condition.dtype is not torch.bool:
            raise DTypeError(f"the condition is {dtype_name(condition.dtype)}, not bool")
        if x.dtype is not y.dtype:
            raise DTypeError(f"dtypes differ, {dtype_name(x.dtype)} != {dtype_name(y.dtype)}")
        return x

    def eval(self, condition: Array, x: Array, y: Array) -> Array:
        return torch.where(condition, x, y)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[None, Tensor, Tensor]:
        condition = y.inputs[0]
        return None, where(condition, g, 0.0), where(condition, 0.0, g)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (0, 2)):
            yield Sample(cls(), (Arg(shape, torch.bool), Arg(shape), Arg(shape)))
        yield Sample(cls(), (Arg((4,), torch.bool), Arg((4,), torch.int64), Arg((4,), torch.int64)))


@function
def add(x: TensorLike, y: TensorLike) -> Tensor:
    """x + y, broadcast and promoted as in torch."""
    return apply(Add(), *operands("add", x, y))


@function
def sub(x: TensorLike, y: TensorLike) -> Tensor:
    """x - y, not of booleans, as in torch."""
    for each in (x, y):
        if isinstance(each, bool) or (isinstance(each, (Tensor, Array)) and each.dtype is torch.bool):
            problem, remedy = "is not defined for bool", "convert it with .to(dtype)"
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
    if isinstance(x, Tensor) and isinstance(exponent, (int, float)):
        return apply(PowNumber(exponent), cast(x, result_dtype([x, exponent])), name="pow")
    return apply(Pow(), *operands("pow", x, exponent))


@function
def neg(x: TensorLike) -> Tensor:
    """-x."""
    return apply(Neg(), numeric("neg", x))


@function
def exp(x: TensorLike) -> Tensor:
    """e to the power x."""
    return apply(Exp(), floating("exp", x))


@function
def log(x: TensorLike) -> Tensor:
    """Natural logarithm of x."""
    return apply(Log(), floating("log", x))


@function
def log1p(x: TensorLike) -> Tensor:
    """log(1 + x), exact for small x."""
    return apply(Log1p(), floating("log1p", x))


@function
def sqrt(x: TensorLike) -> Tensor:
    """Square root of x."""
    return apply(Sqrt(), floating("sqrt", x))


@function
def abs_(x: TensorLike) -> Tensor:
    """Absolute value of x."""
    return apply(Abs(), numeric("abs", x))


@function
def sign(x: TensorLike) -> Tensor:
    """-1, 0 or 1 as x is negative, zero or positive; a bool is its own sign."""
    tensor = as_tensor("sign", x)
    return tensor if tensor.dtype is torch.bool else apply(Sign(), tensor)


@function
def square(x: TensorLike) -> Tensor:
    """x · x, which is int64 for a bool."""
    tensor = as_tensor("square", x)
    return apply(Square(), cast(tensor, torch.int64) if tensor.dtype is torch.bool else tensor)


@function
def reciprocal(x: TensorLike) -> Tensor:
    """1 / x."""
    return apply(Reciprocal(), floating("reciprocal", x))


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
    limits = [limit for limit in (min, max) if limit is not None]
    base, *_ = operands("clamp", x, *limits, wraps=False)
    if all(isinstance(limit, (int, float)) for limit in limits):
        low, high = (limit if limit is None else torch.tensor(limit, dtype=base.dtype).item() for limit in (min, max))
        return apply(Clamp(low, high), base)
    if min is not None:
        base, limit = operands("clamp", base, min)
        base = where(base < limit, limit, where(limit == limit, base, limit))
    if max is not None:
        base, limit = operands("clamp", base, max)
        base = where(base > limit, limit, where(limit == limit, base, limit))
    return base


@function
def where(condition: TensorLike, x: TensorLike, y: TensorLike) -> Tensor:
    """x where `condition` (bool) holds, else y; all three broadcast."""
    mask = as_tensor("where", condition)
    if mask.dtype is not torch.bool:
        raise complaint(DTypeError, "where", f"the condition is {dtype_name(mask.dtype)}, not bool", mask)
    a, b = operands("where", x, y, wraps=False)
    return apply(Where(), *broadcast("where", [mask, a, b]))
