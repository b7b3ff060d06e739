"""Elementary functions, element by element."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from graphc.expr import Expr, Operand, call, cast
from graphc.ir import Arg, Sample, Tensor, TensorLike, TorchCall, apply, function
from graphc.ops.operands import as_tensor
from graphc.ops.pointwise import FloatUnary, Unary, floating, numeric
from graphc.types import Array

__all__ = ["abs_", "cos", "erf", "exp", "floor", "log", "log1p", "sign", "sin", "sqrt"]


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
class Erf(FloatUnary):
    """The error function, 2/√π · ∫ exp(-t²) dt from 0 to x."""

    torch = TorchCall(torch.erf, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.erf(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * ((-y.inputs[0].square()).exp() * (2.0 / math.sqrt(math.pi))),)


class Periodic(FloatUnary, abstract=True):
    """A function of angles, in radians."""

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        yield Sample(cls(), (Arg((9, 4), low=-20.0, high=20.0),))  # a few turns


@dataclass(frozen=True)
class Sin(Periodic):
    """Sine of x in radians."""

    torch = TorchCall(torch.sin, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.sin(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * y.inputs[0].cos(),)


@dataclass(frozen=True)
class Cos(Periodic):
    """Cosine of x in radians."""

    torch = TorchCall(torch.cos, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.cos(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * -y.inputs[0].sin(),)


@dataclass(frozen=True)
class Floor(FloatUnary):
    """The largest integer that is not above x, in the dtype of x; its derivative is 0 everywhere, as torch has it."""

    torch = TorchCall(torch.floor, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.floor(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[None]:
        return (None,)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        yield Sample(cls(), (Arg((4, 5), integer=True),))


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

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        if x.dtype is torch.bool:
            return a
        return call("sub", cast(call("gt", a, 0), x.dtype), cast(call("lt", a, 0), x.dtype))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[None]:
        return (None,)


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
def erf(x: TensorLike) -> Tensor:
    """The error function of x."""
    return apply(Erf(), floating("erf", x))


@function
def sin(x: TensorLike) -> Tensor:
    """Sine of x in radians."""
    return apply(Sin(), floating("sin", x))


@function
def cos(x: TensorLike) -> Tensor:
    """Cosine of x in radians."""
    return apply(Cos(), floating("cos", x))


@function
def floor(x: TensorLike) -> Tensor:
    """The largest integer that is not above x, in the dtype of x; an integer is its own floor."""
    tensor = numeric("floor", x)
    return apply(Floor(), tensor) if tensor.dtype.is_floating_point else tensor


@function
def abs_(x: TensorLike) -> Tensor:
    """Absolute value of x."""
    return apply(Abs(), numeric("abs", x))


@function
def sign(x: TensorLike) -> Tensor:
    """-1, 0 or 1 as x is negative, zero or positive; a bool is its own sign."""
    tensor = as_tensor("sign", x)
    return tensor if tensor.dtype is torch.bool else apply(Sign(), tensor)
