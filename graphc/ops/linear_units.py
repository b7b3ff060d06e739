"""The smooth relatives of relu. Where torch has one call for a gradient, the gradient is an op."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch

from graphc.errors import CompileError, DTypeError, brief
from graphc.expr import Expr, Operand, call, select
from graphc.ir import Arg, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.activations import Activation
from graphc.ops.operands import as_float, as_tensor
from graphc.ops.pointwise import Pointwise
from graphc.types import Array, TensorType, dtype_name

__all__ = ["check_approximate", "elu", "gelu", "silu", "softplus"]

Approximate = Literal["none", "tanh"]

# gelu is x·Φ(x), where Φ(x) = (1 + erf(x / √2)) / 2 has the slope DENSITY·exp(-x²/2); its approximation replaces
# erf(x / √2) by tanh(SCALE·(x + CUBIC·x³)).
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
SCALE = math.sqrt(2.0 / math.pi)
CUBIC = 0.044715


@dataclass(frozen=True)
class Gelu(Activation):
    """x · Φ(x), where Φ is the distribution function of the standard normal, or an approximation by tanh."""

    torch = TorchCall(torch._C._nn.gelu, alias=(0,), keywords={"approximate": "approximate"})
    approximate: Approximate = "none"

    def eval(self, x: Array) -> Array:
        return torch.nn.functional.gelu(x, approximate=self.approximate)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        return call("mul", call("mul", a, 0.5), call("add", _odd(a, self.approximate), 1.0))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (apply(GeluBackward(self.approximate), g, y.inputs[0]),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        for sample in super().samples():
            yield Sample(cls("tanh"), sample.args)


@dataclass(frozen=True)
class GeluBackward(Pointwise):
    """g times the derivative of gelu at x."""

    torch = TorchCall(
        torch.ops.aten.gelu_backward.grad_input,
        alias=(0, 1),
        keywords={"approximate": "approximate"},
        destination="grad_input",
        broadcasts=False,  # oneDNN refuses
    )
    approximate: Approximate = "none"

    def infer(self, g: TensorType, x: TensorType) -> TensorType:
        if not x.dtype.is_floating_point or g.dtype is not x.dtype:
            raise DTypeError(f"needs one floating dtype, not {dtype_name(g.dtype)} and {dtype_name(x.dtype)}")
        return x

    def eval(self, g: Array, x: Array) -> Array:
        return torch.ops.aten.gelu_backward(g, x, approximate=self.approximate)  # type: ignore[no-any-return]

    def at(self, i: tuple[Expr, ...], g: Operand, x: Operand) -> Expr:
        a = x[i]
        square = call("mul", a, a)
        if self.approximate == "none":
            slope = call("mul", call("exp", call("mul", square, -0.5)), DENSITY)
        else:
            inner = call("mul", call("add", call("mul", square, 3.0 * CUBIC), 1.0), SCALE)
            t = call("tanh", _argument(a))
            slope = call("mul", call("mul", call("sub", 1.0, call("mul", t, t)), inner), 0.5)
        probability = call("mul", call("add", _odd(a, self.approximate), 1.0), 0.5)
        return call("mul", g[i], call("add", probability, call("mul", a, slope)))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        h, x = y.inputs
        square = x.square()
        if self.approximate == "none":
            curvature = (square * -0.5).exp() * (2.0 - square) * DENSITY
        else:
            t = ((x + x * square * CUBIC) * SCALE).tanh()
            inner = (square * (3.0 * CUBIC) + 1.0) * SCALE
            bend = x * x * (3.0 * CUBIC * SCALE)
            curvature = (1.0 - t.square()) * (inner + bend - x * t * inner.square())
        return apply(GeluBackward(self.approximate), g, x), g * h * curvature

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for approximate in ("none", "tanh"):
            for shape in ((3, 5), (), (0, 2)):
                yield Sample(cls(approximate), (Arg(shape), Arg(shape, low=-3.0, high=3.0)))


def _argument(a: Expr) -> Expr:
    cube = call("mul", call("mul", a, a), a)
    return call("mul", call("add", a, call("mul", cube, CUBIC)), SCALE)


def _odd(a: Expr, approximate: Approximate) -> Expr:
    """2·Φ(a) - 1, or what approximates it."""
    return call("erf", call("mul", a, math.sqrt(0.5))) if approximate == "none" else call("tanh", _argument(a))


@dataclass(frozen=True)
class Silu(Activation):
    """x · sigmoid(x)."""

    torch = TorchCall(torch._C._nn.silu, alias=(0,))

    def eval(self, x: Array) -> Array:
        return torch.nn.functional.silu(x)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        return call("mul", a, call("sigmoid", a))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        s = x.sigmoid()
        return (g * s * (x * (1.0 - s) + 1.0),)  # in this order g · x, which may overflow, is not computed


@dataclass(frozen=True)
class Softplus(Activation):
    """log(1 + exp(beta · x)) / beta, and x itself where beta · x exceeds the threshold."""

    torch = TorchCall(torch._C._nn.softplus, alias=(0,), arguments=("beta", "threshold"))
    beta: float = 1.0
    threshold: float = 20.0

    def eval(self, x: Array) -> Array:
        return torch.nn.functional.softplus(x, self.beta, self.threshold)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        scaled = call("mul", a, self.beta)
        return select(call("gt", scaled, self.threshold), a, call("div", call("log1p", call("exp", scaled)), self.beta))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        scaled = y.inputs[0] * self.beta
        # Limited, so that the branch that is not taken has no infinity in its derivative.
        z = scaled.clamp(max=self.threshold).exp()
        return (g.where(scaled > self.threshold, g * z / (z + 1.0)),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        yield Sample(cls(2.0, 3.0), (Arg((5, 7), low=-4.0, high=4.0),))


@dataclass(frozen=True)
class Elu(Activation):
    """x where x > 0, else alpha · (exp(x) - 1)."""

    torch = TorchCall(torch._C._nn.elu, alias=(0,), arguments=("alpha",))
    alpha: float = 1.0

    def eval(self, x: Array) -> Array:
        return torch.nn.functional.elu(x, self.alpha)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        a = x[i]
        return select(call("lt", a, 0), call("mul", call("expm1", a), self.alpha), a)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        # The smaller of x and 0, so that the branch that is not taken has no infinity in its derivative; as relu, it
        # has no slope at 0, where torch has no second derivative either. NaN takes this branch.
        return (g.where(x > 0.0, g * self.alpha * (-(-x).relu()).exp()),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield from super().samples()
        yield Sample(cls(0.5), (Arg((4, 5), integer=True),))
        yield Sample(cls(-0.5), (Arg((4, 5), low=-30.0),))


def check_approximate(name: str, approximate: object) -> None:
    """Raises CompileError for a form of gelu that does not exist."""
    if not isinstance(approximate, str) or approximate not in ("none", "tanh"):
        problem = f"approximate {brief(approximate)} does not exist"
        raise complaint(CompileError, name, problem, remedy="choose 'none' or 'tanh'")


@function
def gelu(x: TensorLike, approximate: Approximate = "none") -> Tensor:
    """x · Φ(x), Φ the distribution function of the standard normal; "tanh" approximates it."""
    tensor = as_tensor("gelu", x)
    check_approximate("gelu", approximate)
    return apply(Gelu(approximate), tensor)


@function
def silu(x: TensorLike) -> Tensor:
    """x · sigmoid(x)."""
    return apply(Silu(), as_tensor("silu", x))


@function
def softplus(x: TensorLike, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + exp(beta · x)) / beta; x where beta · x exceeds the threshold."""
    tensor = as_tensor("softplus", x)
    return apply(Softplus(as_float("softplus", "beta", beta), as_float("softplus", "threshold", threshold)), tensor)


@function
def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha · (exp(x) - 1)."""
    tensor = as_tensor("elu", x)
    return apply(Elu(as_float("elu", "alpha", alpha)), tensor)
