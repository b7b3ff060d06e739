"""The non-linear functions of networks. Gradients are written in terms of the result where torch does so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from graphc.errors import DTypeError
from graphc.expr import Expr, Operand, call, select
from graphc.ir import Arg, Sample, Tensor, TensorLike, TorchCall, apply, function
from graphc.ops.operands import as_float, as_tensor, operands
from graphc.ops.pointwise import Pointwise
from graphc.types import Array, TensorType, dtype_name

__all__ = ["leaky_relu", "relu", "sigmoid", "tanh"]


class Activation(Pointwise, abstract=True):
    """A pointwise op on one floating tensor."""

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_floating_point:
            raise DTypeError(f"needs a floating dtype, not {dtype_name(x.dtype)}")
        return x

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (0, 2)):
            yield Sample(cls(), (Arg(shape),))
        yield Sample(cls(), (Arg((4, 3), torch.float64, -5.0, 5.0),))


@dataclass(frozen=True)
class Tanh(Activation):
    """Hyperbolic tangent."""

    torch = TorchCall(torch.tanh, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.tanh(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * (1.0 - y.square()),)


@dataclass(frozen=True)
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    torch = TorchCall(torch.sigmoid, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.sigmoid(x)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g * ((1.0 - y) * y),)


@dataclass(frozen=True)
class Relu(Activation):
    """max(x, 0); NaN stays NaN."""

    torch = TorchCall(torch.clamp_min, alias=(0,), keywords={"min": "zero"})
    zero = 0

    def infer(self, x: TensorType) -> TensorType:
        if x.dtype is torch.bool:
            raise DTypeError("is not defined for bool")
        return x

    def eval(self, x: Array) -> Array:
        return torch.relu(x)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        return select(call("lt", a, 0), 0, a)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        zero = as_tensor("relu", 0.0, g.dtype).broadcast_to(g.shape)
        return (zero.where(y <= 0.0, g),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        yield Sample(cls(), (Arg((4, 5), integer=True),))


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """x where x > 0, else slope · x."""

    torch = TorchCall(torch._C._nn.leaky_relu, alias=(0,), arguments=("negative_slope",))
    negative_slope: float = 0.01

    def eval(self, x: Array) -> Array:
        return torch.nn.functional.leaky_relu(x, self.negative_slope)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        return select(call("gt", a, 0), a, call("mul", a, self.negative_slope))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        return (g.where(x > 0.0, g * self.negative_slope),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        yield Sample(cls(0.2), (Arg((4, 5), integer=True),))


@function
def tanh(x: TensorLike) -> Tensor:
    """Hyperbolic tangent of x."""
    return apply(Tanh(), *operands("tanh", x, floating=True))


@function
def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + exp(-x))."""
    return apply(Sigmoid(), *operands("sigmoid", x, floating=True))


@function
def relu(x: TensorLike) -> Tensor:
    """max(x, 0)."""
    return apply(Relu(), as_tensor("relu", x))


@function
def leaky_relu(x: TensorLike, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope · x."""
    tensor = as_tensor("leaky_relu", x)
    return apply(LeakyRelu(as_float("leaky_relu", "negative_slope", negative_slope)), tensor)
