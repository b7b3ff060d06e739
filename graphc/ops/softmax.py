"""Normalisation over the classes along one dimension, and the sum of exponentials behind it.

Each is one op, which torch computes in one call and whose gradient is closed; `passes.decompose` has their parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from graphc.dims import Size
from graphc.errors import DTypeError
from graphc.ir import Arg, Op, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.operands import as_tensor, normalise_dim, normalise_dims
from graphc.ops.pointwise import floating
from graphc.ops.reductions import kept_shape
from graphc.types import Array, TensorType, dtype_name

__all__ = ["log_softmax", "logsumexp", "softmax"]


@dataclass(frozen=True)
class Softmax(Op):
    """exp(x[i]) / Σ_k exp(x[k]) along `dim`, computed from x less its maximum."""

    torch = TorchCall(torch.softmax, arguments=("dim",))
    exempt = ("0-d: the functions make one dimension of none",)
    dim: int

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_floating_point:
            raise DTypeError(f"needs a floating dtype, not {dtype_name(x.dtype)}")
        return x

    def eval(self, x: Array) -> Array:
        return torch.softmax(x, self.dim)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return ((g - (g * y).sum(self.dim, keepdim=True)) * y,)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape, dim in (((3, 5), 1), ((3, 5), 0), ((2, 3, 4), 1), ((4,), 0), ((2, 1), 1), ((0, 3), 1), ((3, 0), 1)):
            yield Sample(cls(dim), (Arg(shape),))
        yield Sample(cls(1), (Arg((4, 3), torch.float64, -300.0, 300.0, integer=True),))


@dataclass(frozen=True)
class LogSoftmax(Softmax):
    """x[i] - log Σ_k exp(x[k]) along `dim`, computed from x less its maximum."""

    torch = TorchCall(torch.log_softmax, arguments=("dim",))

    def eval(self, x: Array) -> Array:
        return torch.log_softmax(x, self.dim)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g - y.exp() * g.sum(self.dim, keepdim=True),)


@dataclass(frozen=True)
class LogSumExp(Op):
    """log Σ exp(x) over `dims`, which are dropped; -inf over nothing. `dims` are sorted and not empty."""

    torch = TorchCall(torch.logsumexp, keywords={"dim": "dims"})
    exempt = ("0-d: the functions make one dimension of none",)
    dims: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_floating_point:
            raise DTypeError(f"needs a floating dtype, not {dtype_name(x.dtype)}")
        return TensorType(tuple(size for d, size in enumerate(x.shape) if d not in self.dims), x.dtype)

    def eval(self, x: Array) -> Array:
        return torch.logsumexp(x, self.dims)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        kept = kept_shape(x, self.dims)
        return (g.reshape(kept) * (x - y.reshape(kept)).exp(),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape, dims in (((3, 5), (1,)), ((3, 5), (0,)), ((2, 3, 4), (0, 2)), ((4,), (0,)), ((0, 3), (1,))):
            yield Sample(cls(dims), (Arg(shape),))
        yield Sample(cls((1,)), (Arg((4, 3), torch.float64, -300.0, 300.0, integer=True),))


@function
def softmax(x: TensorLike, dim: int) -> Tensor:
    """exp(x) along `dim`, divided by its sum."""
    return _normalised(Softmax, "softmax", x, dim)


@function
def log_softmax(x: TensorLike, dim: int) -> Tensor:
    """The logarithm of the softmax along `dim`, which does not overflow."""
    return _normalised(LogSoftmax, "log_softmax", x, dim)


@function
def logsumexp(x: TensorLike, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """log Σ exp(x) over `dim`, which does not overflow; all dimensions where `dim` is empty."""
    tensor = floating("logsumexp", x)
    dims = tuple(sorted(normalise_dims("logsumexp", dim, tensor))) or tuple(range(tensor.ndim))
    if not tensor.ndim:
        return tensor
    result = apply(LogSumExp(dims), tensor, name="logsumexp")
    return result.reshape(kept_shape(tensor, dims)) if keepdim else result


def _normalised(op: type[Softmax], name: str, x: TensorLike, dim: int) -> Tensor:
    tensor = as_tensor(name, x)
    if not tensor.dtype.is_floating_point:
        problem = f"needs a floating dtype, not {dtype_name(tensor.dtype)}"
        raise complaint(DTypeError, name, problem, tensor, remedy="convert it with x.to(torch.float32)")
    at = normalise_dim(name, dim, tensor.ndim, tensor)
    shape: tuple[Size, ...] = tensor.shape or (1,)
    return apply(op(at), tensor.reshape(shape)).reshape(tensor.shape)
