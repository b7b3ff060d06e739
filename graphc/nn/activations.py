"""The non-linear functions of networks as modules."""

from __future__ import annotations

from graphc.errors import ShapeError, brief
from graphc.ir import Tensor, complaint
from graphc.nn.module import Module
from graphc.ops import (
    as_float,
    check_approximate,
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from graphc.ops.linear_units import Approximate
from graphc.types import as_index

__all__ = ["ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh"]


class ReLU(Module):
    """max(x, 0), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope · x, element by element."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        as_float("LeakyReLU", "negative_slope", negative_slope)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        return leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class Tanh(Module):
    """Hyperbolic tangent, element by element."""

    def forward(self, x: Tensor) -> Tensor:
        return tanh(x)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        return sigmoid(x)


class GELU(Module):
    """x · Φ(x), Φ the distribution function of the standard normal, element by element; "tanh" approximates it."""

    def __init__(self, approximate: Approximate = "none") -> None:
        super().__init__()
        check_approximate("GELU", approximate)
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        return gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class SiLU(Module):
    """x · sigmoid(x), element by element."""

    def forward(self, x: Tensor) -> Tensor:
        return silu(x)


class Softplus(Module):
    """log(1 + exp(beta · x)) / beta, element by element; x where beta · x exceeds the threshold."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        as_float("Softplus", "beta", beta)
        as_float("Softplus", "threshold", threshold)
        self.beta = beta
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        return softplus(x, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class ELU(Module):
    """x where x > 0, else alpha · (exp(x) - 1), element by element."""

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        as_float("ELU", "alpha", alpha)
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class Softmax(Module):
    """exp(x) along `dim`, divided by its sum."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        _check_dim("Softmax", dim)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """The logarithm of the softmax along `dim`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        _check_dim("LogSoftmax", dim)
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


def _check_dim(name: str, dim: object) -> None:
    if as_index(dim) is None:
        problem = f"dim, a dimension, is an integer, not {brief(dim)}"
        raise complaint(ShapeError, name, problem, remedy="write dim=-1 for the last one")
