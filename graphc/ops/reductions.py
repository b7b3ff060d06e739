"""Reductions over dimensions, which the ops drop; `keepdim` is a reshape afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from graphc.dims import Size, product
from graphc.errors import DTypeError, ShapeError, brief
from graphc.expr import Combine, Expr, Index, Operand, call, cast, literal, reduce
from graphc.ir import Arg, Op, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.operands import as_tensor, normalise_dims
from graphc.types import Array, TensorType, dtype_name

__all__ = ["amax", "amin", "mean", "sum_"]

Dims = int | Sequence[int] | None


class Reduction(Op, abstract=True):
    """An op that joins what lies along `dims`, which are dropped: y[i] is over all x[i, r]."""

    exempt = ("0-d: without dimensions there is nothing to reduce, and the functions build no op",)
    combine: ClassVar[Combine]
    dims: tuple[int, ...]

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        def term(r: tuple[Index, ...]) -> Expr:
            kept, reduced = iter(i), iter(r)
            return x[tuple(next(reduced) if d in self.dims else next(kept) for d in range(len(x.shape)))]

        return reduce(self.combine, [x.shape[d] for d in self.dims], term)


@dataclass(frozen=True)
class Sum(Reduction):
    """Sum over `dims`, which are dropped: y[i] = Σ_r x[i, r]. `dims` are sorted and not empty."""

    torch = TorchCall(torch.sum, keywords={"dim": "dims"})
    combine: ClassVar[Combine] = "sum"
    dims: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        assert self.dims, "torch reads an empty list of dimensions as all of them"
        if not x.dtype.is_floating_point and x.dtype is not torch.int64:
            raise DTypeError(f"sums int64 or floating numbers, as torch does, not {dtype_name(x.dtype)}")
        return TensorType(tuple(size for d, size in enumerate(x.shape) if d not in self.dims), x.dtype)

    def eval(self, x: Array) -> Array:
        return torch.sum(x, dim=self.dims)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        return (g.reshape(kept_shape(x, self.dims)).broadcast_to(x.shape),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape, dims in (((3, 5), (0,)), ((3, 5), (1,)), ((3, 5), (0, 1)), ((2, 3, 4), (0, 2)), ((0, 4), (0,))):
            yield Sample(cls(dims), (Arg(shape),))
        yield Sample(cls((1,)), (Arg((0, 4)),))
        yield Sample(cls((0,)), (Arg((4, 2), torch.float64),))


@dataclass(frozen=True)
class Mean(Sum):
    """Mean over `dims`, which are dropped. `dims` are sorted and not empty."""

    torch = TorchCall(torch.mean, keywords={"dim": "dims"})

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_floating_point:
            raise DTypeError(f"needs a floating dtype, not {dtype_name(x.dtype)}")
        return super().infer(x)

    def eval(self, x: Array) -> Array:
        return torch.mean(x, dim=self.dims)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        count = literal(product(x.shape[d] for d in self.dims))
        return call("div", super().at(i, x), cast(count, x.dtype))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        count: Size = product(x.shape[d] for d in self.dims)
        # Divided last, so that the derivative of this over nothing is 0, as in torch, and not 0 / 0.
        return (g.reshape(kept_shape(x, self.dims)).broadcast_to(x.shape) / count,)


@dataclass(frozen=True)
class Amax(Reduction):
    """Largest element over `dims`, which are dropped; NaN if there is one. Ties share the gradient, as in torch."""

    torch = TorchCall(torch.amax, keywords={"dim": "dims"})
    combine: ClassVar[Combine] = "amax"
    dims: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        assert self.dims, "torch reads an empty list of dimensions as all of them"
        for d in self.dims:
            if isinstance(x.shape[d], int) and x.shape[d] == 0:
                raise ShapeError(f"dimension {d} is empty, so there is no element to take")
        return TensorType(tuple(size for d, size in enumerate(x.shape) if d not in self.dims), x.dtype)

    def guards(self, x: TensorType) -> tuple[Size, ...]:
        return tuple(x.shape[d] - 1 for d in self.dims)

    def eval(self, x: Array) -> Array:
        return torch.amax(x, dim=self.dims)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        kept = kept_shape(x, self.dims)
        tied = (x == y.reshape(kept).broadcast_to(x.shape)).to(g.dtype)
        share = (g / tied.sum(self.dims)).reshape(kept).broadcast_to(x.shape)
        return (share * tied,)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape, dims in (((3, 5), (0,)), ((3, 5), (1,)), ((3, 5), (0, 1)), ((2, 3, 4), (0, 2)), ((0, 3), (1,))):
            yield Sample(cls(dims), (Arg(shape),))
            yield Sample(cls(dims), (Arg(shape, low=-1, high=1, integer=True),))
        for dtype in (torch.int64, torch.uint8, torch.bool):
            yield Sample(cls((1,)), (Arg((3, 2), dtype, 0, 5),))


@dataclass(frozen=True)
class Amin(Amax):
    """Smallest element over `dims`, which are dropped; NaN if there is one. Ties share the gradient, as in torch."""

    torch = TorchCall(torch.amin, keywords={"dim": "dims"})
    combine: ClassVar[Combine] = "amin"

    def eval(self, x: Array) -> Array:
        return torch.amin(x, dim=self.dims)


def kept_shape(x: Tensor, dims: Sequence[int]) -> tuple[Size, ...]:
    return tuple(1 if d in dims else size for d, size in enumerate(x.shape))


def _reduce(op: type[Sum] | type[Amax], name: str, x: Tensor, dim: Dims, keepdim: bool) -> Tensor:
    if not isinstance(keepdim, bool):
        problem = f"keepdim is True or False, not {brief(keepdim)}"
        raise complaint(ShapeError, name, problem, x, remedy="give several dimensions as one tuple")
    if dim is None or (isinstance(dim, Sequence) and not dim):
        dims = tuple(range(x.ndim))
    else:
        dims = tuple(sorted(normalise_dims(name, dim, x)))
    if not x.ndim:
        return x
    result = apply(op(dims), x)
    return result.reshape(kept_shape(x, dims)) if keepdim else result


@function
def sum_(x: TensorLike, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Sum over `dim` (all dimensions by default). Integers and booleans sum to int64."""
    tensor = as_tensor("sum", x)
    if not tensor.dtype.is_floating_point:
        tensor = tensor.to(torch.int64)
    return _reduce(Sum, "sum", tensor, dim, keepdim)


@function
def mean(x: TensorLike, dim: Dims = None, keepdim: bool = False) -> Tensor:
    """Mean over `dim` (all dimensions by default); the mean of nothing is NaN."""
    tensor = as_tensor("mean", x)
    if not tensor.dtype.is_floating_point:
        raise complaint(
            DTypeError,
            "mean",
            f"needs a floating dtype, not {dtype_name(tensor.dtype)}",
            tensor,
            remedy="convert it with x.to(torch.float32)",
        )
    return _reduce(Mean, "mean", tensor, dim, keepdim)


@function
def amax(x: TensorLike, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """Largest element over `dim` (all dimensions by default)."""
    return _reduce(Amax, "amax", as_tensor("amax", x), dim, keepdim)


@function
def amin(x: TensorLike, dim: Dims = (), keepdim: bool = False) -> Tensor:
    """Smallest element over `dim` (all dimensions by default)."""
    return _reduce(Amin, "amin", as_tensor("amin", x), dim, keepdim)
