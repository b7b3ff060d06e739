"""`x[...]`: integers, slices, None and Ellipsis, as in torch."""

from __future__ import annotations

from typing import Any

from graphc.dims import Dim, Size, divide
from graphc.errors import ShapeError
from graphc.ir import OPS, Tensor, apply, complaint, function

__all__ = ["getitem"]


@function
def getitem(x: Tensor, key: Any) -> Tensor:
    """`x[key]` for basic indices. Raises ShapeError for an index out of range or whose size depends on the binding.

    On a symbolic size `n`, `a:`, `:-b`, `a:-b` and single indices are accepted; that they fit is checked at each call.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    for entry in keys:
        if isinstance(entry, bool) or not (entry is None or entry is Ellipsis or isinstance(entry, (int, slice))):
            raise complaint(
                ShapeError,
                "getitem",
                f"an index is a {type(entry).__name__}",
                x,
                remedy="use integers, slices, None and ...; to choose by element use graphc.where",
            )
    ellipses = sum(entry is Ellipsis for entry in keys)
    taken = sum(isinstance(entry, (int, slice)) for entry in keys)
    if ellipses > 1:
        raise complaint(ShapeError, "getitem", "an index has at most one ...", x)
    if taken > x.ndim:
        raise complaint(ShapeError, "getitem", f"{taken} indices for {x.ndim} dimensions", x)
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


def _slice(x: Tensor, dim: int, start: Size, length: Size, step: int) -> Tensor:
    if step == 1 and isinstance(start, int) and start == 0 and _is_same(length, x.shape[dim]):
        return x
    return apply(OPS["slice"](dim, start, length, step), x)  # type: ignore[call-arg]  # the op behind the name


def _is_same(a: Size, b: Size) -> bool:
    difference = a - b
    return isinstance(difference, int) and difference == 0


def _position(x: Tensor, dim: int, index: int) -> Size:
    size = x.shape[dim]
    if isinstance(size, int) and not -size <= index < size:
        raise complaint(ShapeError, "getitem", f"index {index} is out of range for dimension {dim} of size {size}", x)
    return size + index if index < 0 else index


def _range(x: Tensor, dim: int, key: slice) -> tuple[Size, Size, int]:
    """Start, length and step of a slice."""
    size = x.shape[dim]
    step = 1 if key.step is None else key.step
    for part in (key.start, key.stop, step):
        if not (part is None or isinstance(part, (int, Dim))) or isinstance(part, bool):
            raise complaint(ShapeError, "getitem", f"a slice is made of integers, not {part!r}", x)
    if not isinstance(step, int) or step < 1:
        raise complaint(ShapeError, "getitem", f"step {step} is not a positive integer", x)
    if isinstance(size, int) and not isinstance(key.start, Dim) and not isinstance(key.stop, Dim):
        start, stop, _ = key.indices(size)
        return start, max(0, -(-(stop - start) // step)), step
    start = _bound(0 if key.start is None else key.start, size)
    if key.stop is not None and isinstance(key.stop, int) and key.stop >= 0 and isinstance(size, Dim):
        problem = f"the length of [{_shown(key)}] on size {size} depends on whether {size} reaches {key.stop}"
        raise complaint(ShapeError, "getitem", problem, x, remedy="slice from a position (a:) or up to the end (:-b)")
    stop = size if key.stop is None else _bound(key.stop, size)
    length = divide(stop - start, step)
    if length is None:
        problem = f"the length of [{_shown(key)}] on size {size}, ({stop - start}) / {step}, is not a polynomial"
        raise complaint(
            ShapeError, "getitem", problem, x, remedy="reshape to (..., -1, step) and index, or drop the step"
        )
    return start, length, step


def _bound(position: Size, size: Size) -> Size:
    return size + position if isinstance(position, int) and position < 0 else position


def _shown(key: slice) -> str:
    parts = ["" if part is None else str(part) for part in (key.start, key.stop)]
    return ":".join(parts) + (f":{key.step}" if key.step is not None else "")
