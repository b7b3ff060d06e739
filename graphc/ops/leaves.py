"""Ops without operands: placeholders, constants, sizes as numbers, and the values of cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from graphc.dims import Dim, Size
from graphc.errors import DTypeError, ShapeError
from graphc.ir import Cell, Op, Tensor, apply, complaint, function
from graphc.types import Array, TensorType, check_dtype, check_shape

__all__ = ["CellValue", "Constant", "Placeholder", "SizeValue", "TensorConstant", "constant", "placeholder"]


@dataclass(frozen=True)
class Placeholder(Op):
    """A value that each call supplies."""

    label: str
    type: TensorType = field(compare=False)

    def infer(self) -> TensorType:
        return self.type


@dataclass(frozen=True)
class Constant(Op):
    """A number. Equal when the printed values are, so that -0.0 is not 0.0 and NaN is NaN."""

    value: int | float | bool = field(compare=False)
    dtype: torch.dtype
    text: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", repr(self.value))

    @property
    def attributes(self) -> dict[str, object]:
        return {"value": self.value, "dtype": self.dtype}

    def infer(self) -> TensorType:
        return TensorType((), self.dtype)

    def eval(self) -> Array:
        return torch.tensor(self.value, dtype=self.dtype)


@dataclass(frozen=True)
class TensorConstant(Op):
    """A tensor of fixed values, compared by identity: large arrays are not searched for duplicates."""

    value: Array

    def infer(self) -> TensorType:
        return TensorType(tuple(self.value.shape), self.value.dtype)

    def eval(self) -> Array:
        return self.value

    @property
    def attributes(self) -> dict[str, object]:
        return {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorConstant) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@dataclass(frozen=True)
class SizeValue(Op):
    """A symbolic size as a number, known once sizes are bound."""

    size: Size
    dtype: torch.dtype

    def infer(self) -> TensorType:
        return TensorType((), self.dtype)

    def eval(self) -> Array:
        assert isinstance(self.size, int), "sizes are bound before anything is evaluated"
        return torch.tensor(self.size, dtype=self.dtype)


@dataclass(frozen=True)
class CellValue(Op):
    """The value that a cell (parameter, optimiser slot, hyper-parameter) has before the step."""

    cell: Cell

    def infer(self) -> TensorType:
        return self.cell.type


def placeholder(name: str, shape: Sequence[Size | str], dtype: torch.dtype = torch.float32) -> Tensor:
    """Declare an input of a program.

    `shape` entries are integers, names of sizes such as `"batch"` (bound at each call, zero included), or sizes taken
    from another tensor's `.shape`. Raises ShapeError or DTypeError for what is neither.
    """
    if not isinstance(name, str) or not name:
        raise complaint(ShapeError, "placeholder", f"a name is a string, not {name!r}")
    try:
        type_ = TensorType(check_shape(shape), check_dtype(dtype))
    except (ShapeError, DTypeError) as error:
        raise complaint(type(error), f"placeholder {name!r}", str(error)) from None
    return apply(Placeholder(name, type_))


@function
def constant(value: object, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of fixed values: a number, or a copy of a torch tensor (or of what `torch.as_tensor` takes)."""
    if isinstance(value, Tensor):
        raise complaint(DTypeError, "constant", "a symbolic tensor is not a constant", value)
    if isinstance(value, Dim):
        return apply(SizeValue(value, check_dtype(dtype or torch.int64)))
    if isinstance(value, (bool, int, float)):
        default = {bool: torch.bool, int: torch.int64, float: torch.get_default_dtype()}[type(value)]
        return apply(_number(value, check_dtype(dtype or default)))
    try:
        array = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise complaint(DTypeError, "constant", f"cannot make a tensor of {type(value).__name__}: {error}") from None
    array = array.detach().to(check_dtype(dtype or array.dtype), copy=True).contiguous()
    return apply(_number(array.item(), array.dtype) if array.ndim == 0 else TensorConstant(array))


def _number(value: int | float | bool, dtype: torch.dtype) -> Constant:
    """The constant as `dtype` holds it, so that equal constants are equal ops."""
    if not dtype.is_floating_point and isinstance(value, float) and not math.isfinite(value):
        raise complaint(DTypeError, "constant", f"{value} has no value as {dtype}")
    try:
        return Constant(
            torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else None).to(dtype).item(), dtype
        )
    except (RuntimeError, OverflowError, ValueError) as error:
        raise complaint(DTypeError, "constant", f"{value} does not fit {dtype}: {error}") from None
