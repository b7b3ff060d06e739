"""Where the elements of a value lie: strides, padding, and which dimension runs along the lanes of a vector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal as Choice

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.expr import Call, Expr, Index, Literal
from graphc.ir import Cell, Node, Output
from graphc.types import TensorType

__all__ = ["Affine", "Buffer", "Layout", "address", "affine", "columns", "dense", "rows", "squares"]

Affine = Mapping[str, Size]
"""A sum of loop variables times sizes, by name; the name "" has the constant."""


@dataclass(frozen=True)
class Layout:
    """`strides` and `extent` (all of the memory, padding included) count elements. `lane` is the dimension of stride 1.

    `padded`: whole vectors may be read and written from any multiple of the vector length in a row, past its end.
    """

    strides: tuple[Size, ...]
    extent: Size
    lane: int | None
    padded: bool

    def __str__(self) -> str:
        if not self.strides:
            return "scalar"
        order = f"lanes along {self.lane}" if self.lane is not None else "no lanes"
        return f"strides {' '.join(map(str, self.strides))}, {order}{', padded' if self.padded else ''}"


@dataclass(frozen=True, eq=False)
class Buffer:
    """A piece of memory that kernels read and write; `index` is its place in the table of pointers.

    `owner` is what it has the value of: a node; a cell or an output, in torch's layout.
    """

    index: int
    kind: Choice["input", "constant", "cell", "output", "packed", "slot"]
    dtype: torch.dtype
    shape: tuple[Size, ...]
    layout: Layout
    owner: Node | Cell | Output

    @property
    def type(self) -> TensorType:
        return TensorType(self.shape, self.dtype)

    @property
    def nbytes(self) -> Size:
        return self.layout.extent * self.dtype.itemsize


def dense(shape: Sequence[Size]) -> Layout:
    """Row by row without gaps, as torch has it."""
    strides = _strides(shape)
    return Layout(strides, dims.product(shape), len(shape) - 1 if shape else None, False)


def rows(shape: Sequence[Size], pad: int, lane: int | None = None) -> Layout:
    """Rows along dimension `lane` (the last one by default), each padded to whole vectors of `pad` elements."""
    if not shape:
        return Layout((), pad, None, True)
    lane = len(shape) - 1 if lane is None else lane
    order = [*(d for d in range(len(shape)) if d != lane), lane]
    stretched = [shape[d] for d in order]
    stretched[-1] = padded(stretched[-1], pad)
    strides = dict(zip(order, _strides(stretched), strict=True))
    extent = dims.product(stretched) + pad  # so that a vector may start anywhere in the last row
    return Layout(tuple(strides[d] for d in range(len(shape))), extent, lane, True)


def squares(shape: Sequence[Size], pad: int, lane: int) -> Layout:
    """Rows along `lane` of a matrix, with memory for whole squares of `pad` by `pad`, which a transpose writes."""
    plain = rows(shape, pad, lane)
    across = 1 - lane
    return replace(plain, extent=padded(shape[across], pad) * plain.strides[across] + pad)


def columns(shape: Sequence[Size], pad: int) -> Layout:
    """Rows along the first dimension: for matrices of few columns."""
    return rows(shape, pad, lane=0)


def padded(size: Size, pad: int) -> Size:
    """At least `size` rounded up to a multiple of `pad`; exactly that for a number."""
    return size + pad if isinstance(size, Dim) else -(-size // pad) * pad


def _strides(shape: Sequence[Size]) -> tuple[Size, ...]:
    strides: list[Size] = []
    step: Size = 1
    for size in reversed(shape):
        strides.append(step)
        step = step * size
    return tuple(reversed(strides))


def affine(expr: Expr) -> dict[str, Size] | None:
    """An index expression as a sum of loop variables times sizes; None if it is not one."""
    match expr:
        case Index(name=name):
            return {name: 1}
        case Literal(value=value) if isinstance(value, (int, Dim)):
            return {"": value} if isinstance(value, Dim) or value else {}
        case Call(function="add" | "sub", args=(x, y)):
            a, b = affine(x), affine(y)
            if a is None or b is None:
                return None
            sign = 1 if expr.function == "add" else -1
            return _clean({name: a.get(name, 0) + b.get(name, 0) * sign for name in {**a, **b}})
        case Call(function="mul", args=(x, y)):
            a, b = affine(x), affine(y)
            for factor, other in ((a, b), (b, a)):
                if factor is not None and other is not None and set(factor) <= {""}:
                    k = factor.get("", 0)
                    return _clean({name: size * k for name, size in other.items()})
    return None


def _clean(terms: Mapping[str, Size]) -> dict[str, Size]:
    return {name: size for name, size in terms.items() if isinstance(size, Dim) or size}


def address(layout: Layout, indices: Sequence[Expr]) -> dict[str, Size] | None:
    """How far an element lies from the start of the memory, as a sum of loop variables; None if it is not one."""
    total: dict[str, Size] = {}
    for stride, each in zip(layout.strides, indices, strict=True):
        terms = affine(each)
        if terms is None:
            return None
        for name, size in terms.items():
            total[name] = total.get(name, 0) + size * stride
    return _clean(total)
