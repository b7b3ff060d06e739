"""Ops that rearrange without computing: reshape, permute, broadcast, slice; and cat, with what their gradients need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.errors import DTypeError, ShapeError, brief
from graphc.expr import Expr, Operand, call, joined, literal, reshaped, select
from graphc.ir import Arg, Op, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.operands import as_tensor, normalise_dim, normalise_dims, result_dtype
from graphc.types import Array, TensorType, as_index, check_shape, dtype_name, same_shape

__all__ = [
    "broadcast_to",
    "cat",
    "expand",
    "flatten",
    "permute",
    "reshape",
    "squeeze",
    "stack",
    "t",
    "transpose",
    "unsqueeze",
]


@dataclass(frozen=True)
class Reshape(Op):
    """The same elements, in row-major order, with another shape."""

    torch = TorchCall(torch.reshape, form="view", arguments=("shape",))
    shape: tuple[Size, ...]

    def infer(self, x: TensorType) -> TensorType:
        result = TensorType(self.shape, x.dtype)
        if not dims.equal(x.numel, result.numel):
            raise ShapeError(f"{x.numel} elements do not fit {result}, which has {result.numel}")
        return result

    def eval(self, x: Array) -> Array:
        return torch.reshape(x, self.shape)  # type: ignore[arg-type]  # sizes are bound before anything is evaluated

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        return x[reshaped(i, self.shape, x.shape)]

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g.reshape(y.inputs[0].shape),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for before, after in (((3, 4), (12,)), ((3, 4), (2, 1, 6)), ((), (1, 1)), ((0, 3), (3, 0))):
            yield Sample(cls(after), (Arg(before),))


def copy_reshaped(out: Array, x: Array) -> Array:
    """Copy the elements of x, in row-major order, to `out`, which is contiguous and may have another shape."""
    return out.view(x.shape).copy_(x)


@dataclass(frozen=True)
class Permute(Op):
    """Dimension d of the result is dimension dims[d] of x."""

    torch = TorchCall(torch.permute, form="view", arguments=("dims",))
    dims: tuple[int, ...]

    def infer(self, x: TensorType) -> TensorType:
        return TensorType(tuple(x.shape[d] for d in self.dims), x.dtype)

    def eval(self, x: Array) -> Array:
        return torch.permute(x, self.dims)

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        return x[tuple(i[self.dims.index(d)] for d in range(len(self.dims)))]

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (g.permute(tuple(self.dims.index(d) for d in range(len(self.dims)))),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape, order in (((3, 4), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((0, 3), (1, 0)), ((), ())):
            yield Sample(cls(order), (Arg(shape),))


@dataclass(frozen=True)
class Broadcast(Op):
    """x repeated to `shape`, aligned at the last dimension: sizes of 1 grow, missing dimensions are added in front."""

    torch = TorchCall(torch.broadcast_to, form="view", arguments=("shape",))
    shape: tuple[Size, ...]

    def infer(self, x: TensorType) -> TensorType:
        if x.ndim > len(self.shape):
            raise ShapeError(f"{x.ndim} dimensions do not broadcast to {len(self.shape)}")
        for size, wanted in zip(x.shape, self.shape[len(self.shape) - x.ndim :], strict=True):
            if not dims.same(size, 1) and not dims.equal(size, wanted):
                raise ShapeError(f"size {size} does not broadcast to {wanted}")
        return TensorType(self.shape, x.dtype)

    def eval(self, x: Array) -> Array:
        return torch.broadcast_to(x, self.shape)  # type: ignore[arg-type]  # sizes are bound

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        aligned = i[len(i) - len(x.shape) :]
        return x[tuple(literal(0) if dims.same(size, 1) else k for k, size in zip(aligned, x.shape, strict=True))]

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        x = y.inputs[0]
        added = g.ndim - x.ndim
        grown = [d for d in range(added, g.ndim) if dims.same(x.shape[d - added], 1) and not dims.same(g.shape[d], 1)]
        summed = (*range(added), *grown)
        return (g.sum(summed).reshape(x.shape) if summed else g,)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for before, after in (
            ((4,), (3, 4)),
            ((3, 1), (3, 4)),
            ((), (2, 3)),
            ((1, 3), (0, 3)),
            ((0, 1), (0, 3)),
            ((2, 1, 3), (2, 2, 4, 3)),
        ):
            yield Sample(cls(after), (Arg(before),))


def slice_along(x: Array, dim: int, start: int, length: int, step: int) -> Array:
    """The view of x with `length` elements of `dim` from `start` on, `step` apart."""
    if step == 1:
        return x.narrow(dim, start, length)
    return x[(slice(None),) * dim + (slice(start, start + max(0, (length - 1) * step + 1), step),)]


@dataclass(frozen=True)
class Slice(Op):
    """`length` elements of dimension `dim`, from `start` on, `step` apart."""

    torch = TorchCall(slice_along, form="view", arguments=("dim", "start", "length", "step"))
    exempt = ("0-d: there is no dimension to slice",)
    dim: int
    start: Size
    length: Size
    step: int = 1

    def infer(self, x: TensorType) -> TensorType:
        return TensorType((*x.shape[: self.dim], self.length, *x.shape[self.dim + 1 :]), x.dtype)

    def guards(self, x: TensorType) -> tuple[Size, ...]:
        return _slice_guards(x.shape[self.dim], self.start, self.length, self.step)

    def eval(self, x: Array) -> Array:
        return slice_along(x, self.dim, self.start, self.length, self.step)  # type: ignore[arg-type]  # sizes are bound

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        place = call("add", self.start, call("mul", i[self.dim], self.step))
        return x[*i[: self.dim], place, *i[self.dim + 1 :]]

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (apply(SlicePad(self.dim, self.start, y.inputs[0].shape[self.dim], self.step), g),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape, op in (
            ((5, 4), cls(1, 0, 2)),
            ((5, 4), cls(0, 1, 4)),
            ((7,), cls(0, 1, 3, 2)),
            ((7, 2), cls(0, 0, 0)),
            ((0, 3), cls(1, 1, 2)),
            ((2, 6), cls(1, 1, 2, 3)),
        ):
            yield Sample(op, (Arg(shape),))


def pad_into(out: Array, x: Array, dim: int, start: int, step: int) -> Array:
    """Fill `out` with zeros, and with `x` from `start` on, `step` apart."""
    out.zero_()
    slice_along(out, dim, start, x.shape[dim], step).copy_(x)
    return out


@dataclass(frozen=True)
class SlicePad(Op):
    """Zeros, with x at the places that a Slice of the same attributes reads; dimension `dim` grows to `size`."""

    torch = TorchCall(pad_into, form="into", arguments=("dim", "start", "step"))
    exempt = ("0-d: there is no dimension to pad",)
    dim: int
    start: Size
    size: Size
    step: int = 1

    def infer(self, x: TensorType) -> TensorType:
        return TensorType((*x.shape[: self.dim], self.size, *x.shape[self.dim + 1 :]), x.dtype)

    def guards(self, x: TensorType) -> tuple[Size, ...]:
        return _slice_guards(self.size, self.start, x.shape[self.dim], self.step)

    def eval(self, x: Array) -> Array:
        shape = (*x.shape[: self.dim], self.size, *x.shape[self.dim + 1 :])
        y = torch.zeros(shape, dtype=x.dtype, device=x.device)
        slice_along(y, self.dim, self.start, x.shape[self.dim], self.step).copy_(x)  # type: ignore[arg-type]
        return y

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        offset = call("sub", i[self.dim], self.start)
        place = call("floordiv", offset, self.step)
        inside = call("and", call("ge", offset, 0), call("lt", place, x.shape[self.dim]))
        if self.step != 1:
            inside = call("and", inside, call("eq", call("mod", offset, self.step), 0))
        return select(inside, x[*i[: self.dim], place, *i[self.dim + 1 :]], 0)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (apply(Slice(self.dim, self.start, y.inputs[0].shape[self.dim], self.step), g),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape, op in (((5, 2), cls(1, 1, 4)), ((3,), cls(0, 1, 7, 2)), ((0, 2), cls(0, 1, 3))):
            yield Sample(op, (Arg(shape),))


def _slice_guards(size: Size, start: Size, length: Size, step: int) -> tuple[Size, ...]:
    return start, length, size - 1 - (start + (length - 1) * step)


@dataclass(frozen=True)
class Cat(Op):
    """The operands one after another along `dim`; all other sizes are equal."""

    torch = TorchCall(torch.cat, sequence=True, keywords={"dim": "dim"})
    exempt = ("0-d: there is no dimension to concatenate along",)
    dim: int

    def infer(self, *inputs: TensorType) -> TensorType:
        first = inputs[0]
        total: Size = 0
        for x in inputs:
            if x.ndim != first.ndim:
                raise ShapeError(f"numbers of dimensions differ, {first.ndim} != {x.ndim}")
            if x.dtype is not first.dtype:
                raise DTypeError(f"dtypes differ, {dtype_name(first.dtype)} != {dtype_name(x.dtype)}")
            for d in range(x.ndim):
                if d != self.dim and not dims.equal(first.shape[d], x.shape[d]):
                    raise ShapeError(f"sizes differ in dimension {d}, {first.shape[d]} != {x.shape[d]}")
            total = total + x.shape[self.dim]
        return TensorType((*first.shape[: self.dim], total, *first.shape[self.dim + 1 :]), first.dtype)

    def eval(self, *inputs: Array) -> Array:
        return torch.cat(inputs, dim=self.dim)

    def at(self, i: tuple[Expr, ...], *x: Operand) -> Expr:
        def element(k: int, place: Expr) -> Expr:
            return x[k][*i[: self.dim], place, *i[self.dim + 1 :]]

        return joined(i[self.dim], [each.shape[self.dim] for each in x], element)

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, ...]:
        parts = []
        start: Size = 0
        for x in y.inputs:
            length = x.shape[self.dim]
            parts.append(apply(Slice(self.dim, start, length), g))
            start = start + length
        return tuple(parts)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield Sample(cls(1), (Arg((3, 2)), Arg((3, 4))))
        yield Sample(cls(0), (Arg((3, 2)), Arg((0, 2)), Arg((1, 2))))
        yield Sample(cls(0), (Arg((3,)),))


def _sizes(name: str, shape: Any, x: Tensor) -> list[Size]:
    """A target shape, in which -1 is left as it is."""
    if type(shape) is tuple and all(isinstance(size, Dim) or (type(size) is int and size >= 0) for size in shape):
        return list(shape)
    entries = shape if isinstance(shape, Sequence) and not isinstance(shape, str) else [shape]
    try:
        return [-1 if as_index(entry) == -1 else check_shape([entry])[0] for entry in entries]
    except ShapeError as error:
        raise complaint(ShapeError, name, str(error), x) from None


@function
def reshape(x: TensorLike, shape: Size | Sequence[Size]) -> Tensor:
    """x with another shape; one entry may be -1, the size that is left over, which must be a whole polynomial."""
    tensor = as_tensor("reshape", x)
    sizes = _sizes("reshape", shape, tensor)
    unknown = [d for d, size in enumerate(sizes) if isinstance(size, int) and size == -1]
    if len(unknown) > 1:
        remedy = "write the others as numbers, or as x.shape[0]"
        raise complaint(ShapeError, "reshape", "only one size can be -1", tensor, remedy=remedy)
    if unknown:
        known = dims.product(size for d, size in enumerate(sizes) if d != unknown[0])
        rest = None if isinstance(known, int) and known == 0 else dims.divide(tensor.type.numel, known)
        if rest is None:
            problem = f"{tensor.type.numel} elements are not a multiple of {known} for every value of the sizes"
            remedy = "choose sizes whose product divides the number of elements"
            raise complaint(ShapeError, "reshape", problem, tensor, remedy=remedy)
        sizes[unknown[0]] = rest
    if same_shape(tensor.shape, sizes):
        return tensor
    return apply(Reshape(tuple(sizes)), tensor)


@function
def flatten(x: TensorLike, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """x with the dimensions from `start_dim` to `end_dim` made one."""
    tensor = as_tensor("flatten", x)
    start = normalise_dim("flatten", start_dim, tensor.ndim, tensor)
    end = normalise_dim("flatten", end_dim, tensor.ndim, tensor)
    if start > end:
        raise complaint(ShapeError, "flatten", f"start_dim {start_dim} comes after end_dim {end_dim}", tensor)
    shape = tensor.shape
    return reshape(tensor, (*shape[:start], dims.product(shape[start : end + 1]), *shape[end + 1 :]))


@function
def broadcast_to(x: TensorLike, shape: Sequence[Size]) -> Tensor:
    """x repeated to `shape`, where -1 keeps a size."""
    return _broadcast("broadcast_to", x, shape)


@function
def expand(x: TensorLike, shape: Sequence[Size]) -> Tensor:
    """x repeated to `shape`, where -1 keeps a size."""
    return _broadcast("expand", x, shape)


def _broadcast(name: str, x: TensorLike, shape: Sequence[Size]) -> Tensor:
    tensor = as_tensor(name, x)
    sizes = _sizes(name, shape, tensor)
    added = len(sizes) - tensor.ndim
    if added < 0:
        problem = f"{tensor.ndim} dimensions do not broadcast to {len(sizes)}"
        raise complaint(ShapeError, name, problem, tensor, remedy="name a size for each dimension; -1 keeps it")
    for d, size in enumerate(sizes):
        if isinstance(size, int) and size == -1:
            if d < added:
                raise complaint(ShapeError, name, "-1 has no size to keep in an added dimension", tensor)
            sizes[d] = tensor.shape[d - added]
    return tensor if same_shape(tensor.shape, sizes) else apply(Broadcast(tuple(sizes)), tensor, name=name)


@function
def permute(x: TensorLike, dims: Sequence[int]) -> Tensor:
    """x with its dimensions in the order `dims`."""
    tensor = as_tensor("permute", x)
    order = normalise_dims("permute", dims, tensor)
    if len(order) != tensor.ndim:
        problem = f"{tuple(order)} does not name each of {tensor.ndim} dimensions once"
        raise complaint(ShapeError, "permute", problem, tensor)
    return tensor if order == tuple(range(tensor.ndim)) else apply(Permute(order), tensor)


@function
def transpose(x: TensorLike, dim0: int, dim1: int) -> Tensor:
    """x with two dimensions exchanged."""
    tensor = as_tensor("transpose", x)
    a = normalise_dim("transpose", dim0, tensor.ndim, tensor)
    b = normalise_dim("transpose", dim1, tensor.ndim, tensor)
    order = list(range(tensor.ndim))
    if order:
        order[a], order[b] = order[b], order[a]
    return permute(tensor, order)


@function
def t(x: TensorLike) -> Tensor:
    """The transpose of a matrix; vectors and 0-d tensors as they are."""
    tensor = as_tensor("t", x)
    if tensor.ndim > 2:
        raise complaint(ShapeError, "t", f"takes at most 2 dimensions, not {tensor.ndim}", tensor, remedy="use x.mT")
    return permute(tensor, tuple(reversed(range(tensor.ndim))))


@function
def squeeze(x: TensorLike, dim: int | Sequence[int] | None = None) -> Tensor:
    """x without the named dimensions that have size 1 (all such dimensions, when `dim` is None).

    Raises ShapeError for a dimension whose size is symbolic: it might be 1 at run time.
    """
    tensor = as_tensor("squeeze", x)
    named = range(tensor.ndim) if dim is None else normalise_dims("squeeze", dim, tensor)
    for d in named if tensor.ndim else ():
        if isinstance(tensor.shape[d], Dim):
            problem = f"cannot decide whether dimension {d} of size {tensor.shape[d]} is 1"
            remedy = "name the dimensions to drop, as in x.squeeze(-1), or use reshape"
            raise complaint(ShapeError, "squeeze", problem, tensor, remedy=remedy)
    return reshape(tensor, [size for d, size in enumerate(tensor.shape) if d not in named or not dims.same(size, 1)])


@function
def unsqueeze(x: TensorLike, dim: int) -> Tensor:
    """x with a dimension of size 1 put in at `dim`."""
    tensor = as_tensor("unsqueeze", x)
    at = normalise_dim("unsqueeze", dim, tensor.ndim + 1, tensor)
    return reshape(tensor, (*tensor.shape[:at], 1, *tensor.shape[at:]))


@function
def cat(tensors: Sequence[TensorLike], dim: int = 0) -> Tensor:
    """The tensors one after another along `dim`, promoted to one dtype."""
    parts = _parts("cat", tensors)
    if any(part.ndim == 0 for part in parts):
        raise complaint(ShapeError, "cat", "0-d tensors cannot be concatenated", *parts, remedy="use graphc.stack")
    # As torch, which lets an empty vector stand among tensors of any rank.
    parts = [part for part in parts if not same_shape(part.shape, (0,))] or parts[:1]
    at = normalise_dim("cat", dim, parts[0].ndim, parts[0])
    return parts[0] if len(parts) == 1 else apply(Cat(at), *parts)


@function
def stack(tensors: Sequence[TensorLike], dim: int = 0) -> Tensor:
    """The tensors side by side along a new dimension `dim`."""
    parts = _parts("stack", tensors)
    for part in parts[1:]:
        if part.ndim != parts[0].ndim:
            problem = f"numbers of dimensions differ, {parts[0].ndim} != {part.ndim}"
            raise complaint(ShapeError, "stack", problem, *parts)
    at = normalise_dim("stack", dim, parts[0].ndim + 1, parts[0])
    return cat([unsqueeze(part, at) for part in parts], at)


def _parts(name: str, tensors: Sequence[TensorLike]) -> list[Tensor]:
    if not isinstance(tensors, Sequence) or isinstance(tensors, str) or not tensors:
        problem = f"takes a non-empty list of tensors, not {brief(tensors)}"
        raise complaint(ShapeError, name, problem, remedy=f"write graphc.{name}([a, b], dim)")
    parts = [as_tensor(name, tensor) for tensor in tensors]
    dtype = result_dtype(parts)
    return [part.to(dtype) for part in parts]
