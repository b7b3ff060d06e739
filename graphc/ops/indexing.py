"""`x[...]`: integers, slices, None and Ellipsis, as in torch."""

from __future__ import annotations

from typing import Any

import torch

from graphc.dims import Dim, Size, divide, non_negative, same
from graphc.errors import ShapeError, brief, type_name
from graphc.ir import OPS, Tensor, apply, complaint, function
from graphc.types import as_index

__all__ = ["getitem"]


@function
def getitem(x: Tensor, key: Any) -> Tensor:
    """`x[key]` for basic indices. Raises ShapeError for an index out of range or whose size depends on the binding.

    On a symbolic size `n`, `a:`, `:-b`, `a:-b` and single indices are accepted; that they fit is checked at each call.
    """
    keys: list[Any] = [_index(entry, x) for entry in (key if isinstance(key, tuple) else (key,))]
    ellipses = sum(entry is Ellipsis for entry in keys)
    taken = sum(isinstance(entry, (int, slice)) for entry in keys)
    if ellipses > 1:
        raise complaint(ShapeError, "getitem", "an index has at most one ...", x)
    if taken > x.ndim:
        problem = f"{taken} indices for {x.ndim} dimensions"
        raise complaint(ShapeError, "getitem", problem, x, remedy="... stands for all dimensions that are not named")
    if not ellipses:
        keys.append(Ellipsis)
    shape: list[Size] = []
    dim = 0
    for entry in keys:
        if entry is None:
            shape.append(1)
        elif entry is Ellipsis:
            rest = x.ndim - taken
            shape.extend(x.shape[dim : dim + rest])
            dim += rest
        elif isinstance(entry, int):
            x = _slice(x, dim, _position(x, dim, entry), 1, 1)
            dim += 1
        else:
            x = _slice(x, dim, *_range(x, dim, entry))
            shape.append(x.shape[dim])
            dim += 1
    return x.reshape(shape)


def _index(entry: object, x: Tensor) -> Any:
    """One part of an index, with whole numbers of any library as int."""
    if entry is None or entry is Ellipsis:
        return entry
    if isinstance(entry, slice):
        return slice(*(_edge(part, x) for part in (entry.start, entry.stop, entry.step)))
    position = as_index(entry)
    if position is None:
        problem = f"an index is {type_name(entry)}, {entry.type if isinstance(entry, Tensor) else brief(entry)}"
        remedy = "an index is an integer, a slice, None or ...; to choose by element use graphc.where"
        if isinstance(entry, (list, tuple)):
            remedy = "take rows one by one and join them, as in graphc.stack([x[0], x[2]])"
        elif isinstance(entry, Tensor) and not entry.dtype.is_floating_point and entry.dtype is not torch.bool:
            remedy += ", and for the entries of classes graphc.cross_entropy or graphc.nll_loss"
        raise complaint(ShapeError, "getitem", problem, x, remedy=remedy)
    return position


def _edge(part: object, x: Tensor) -> Size | None:
    if part is None or isinstance(part, Dim):
        return part
    position = as_index(part)
    if position is None:
        problem = f"a slice is made of integers and sizes, not {brief(part)}"
        raise complaint(ShapeError, "getitem", problem, x, remedy="an integer quotient is written with //")
    return position


def _slice(x: Tensor, dim: int, start: Size, length: Size, step: int) -> Tensor:
    if step == 1 and same(start, 0) and same(length, x.shape[dim]):
        return x
    return apply(OPS["slice"](dim, start, length, step), x)  # type: ignore[call-arg]  # the op behind the name


def _position(x: Tensor, dim: int, index: int) -> Size:
    size = x.shape[dim]
    if isinstance(size, int) and not -size <= index < size:
        problem = f"index {index} is out of range for dimension {dim} of size {size}"
        remedy = f"indices go from {-size} to {size - 1}" if size else "a dimension of size 0 has no elements"
        raise complaint(ShapeError, "getitem", problem, x, remedy=remedy)
    return size + index if index < 0 else index


def _range(x: Tensor, dim: int, key: slice) -> tuple[Size, Size, int]:
    """Start, length and step of a slice."""
    size = x.shape[dim]
    step = 1 if key.step is None else key.step
    if not isinstance(step, int) or step < 1:
        problem = f"step {step} is not a positive integer"
        raise complaint(ShapeError, "getitem", problem, x, remedy="slices go forwards only, with a positive step")
    if isinstance(size, int) and not isinstance(key.start, Dim) and not isinstance(key.stop, Dim):
        first, last, _ = key.indices(size)
        return first, len(range(first, last, step)), step
    if isinstance(key.stop, int) and key.stop >= 0 and isinstance(size, Dim):
        problem = f"the length of [{_shown(key)}] on size {size} depends on whether {size} reaches {key.stop}"
        remedy = "slice from a position (a:) or up to the end (:-b); how many rows there are is up to batch_size"
        raise complaint(ShapeError, "getitem", problem, x, remedy=remedy)
    start = _bound(0 if key.start is None else key.start, size)
    stop = size if key.stop is None else _bound(key.stop, size)
    if non_negative(start - stop):
        return 0, 0, 1
    length = divide(stop - start, step)
    if length is None:
        problem = f"the length of [{_shown(key)}] on size {size}, ({stop - start}) / {step}, is not a polynomial"
        remedy = "reshape to (..., -1, step) and index, or drop the step"
        raise complaint(ShapeError, "getitem", problem, x, remedy=remedy)
    return start, length, step


def _bound(position: Size, size: Size) -> Size:
    return size + position if isinstance(position, int) and position < 0 else position


def _shown(key: slice) -> str:
    parts = ["" if part is None else str(part) for part in (key.start, key.stop)]
    return ":".join(parts) + (f":{key.step}" if key.step is not None else "")
