"""Ops without operands: placeholders, constants, sizes as numbers, and the values of cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from graphc.capacity import need
from graphc.dims import Dim, Size
from graphc.errors import DTypeError, ShapeError, SymbolicValueError, brief, explained, one_line, type_name
from graphc.expr import Expr, cast, literal
from graphc.ir import Cell, Op, Tensor, apply, complaint, function, is_number
from graphc.types import Array, TensorType, as_array, check_dtype, check_shape, dtype_name

__all__ = [
    "CellValue",
    "Constant",
    "Full",
    "Iota",
    "Placeholder",
    "SizeValue",
    "TensorConstant",
    "constant",
    "placeholder",
]


_MAKING_CONSTANTS = "give a number, a torch tensor, or lists of numbers of one length each"


@dataclass(frozen=True)
class Placeholder(Op):
    """A value that each call supplies."""

    label: str
    type: TensorType = field(compare=False)

    def infer(self) -> TensorType:
        return self.type


@dataclass(frozen=True)
class Constant(Op):
    """A number."""

    value: int | float | bool
    dtype: torch.dtype

    def infer(self) -> TensorType:
        return TensorType((), self.dtype)

    def eval(self) -> Array:
        return torch.tensor(self.value, dtype=self.dtype, device="cpu")

    def at(self, i: tuple[Expr, ...]) -> Expr:
        return literal(self.value, self.dtype)


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
        return torch.tensor(self.size, dtype=self.dtype, device="cpu")

    def at(self, i: tuple[Expr, ...]) -> Expr:
        return cast(literal(self.size), self.dtype)


@dataclass(frozen=True)
class Full(Op):
    """A number at every place of a tensor that has memory of its own, which a broadcast number has not."""

    value: int | float | bool
    shape: tuple[Size, ...]
    dtype: torch.dtype

    def infer(self) -> TensorType:
        return TensorType(self.shape, self.dtype)

    def eval(self) -> Array:
        shape: Any = self.shape  # sizes are bound
        return torch.full(shape, self.value, dtype=self.dtype, device="cpu")

    def at(self, i: tuple[Expr, ...]) -> Expr:
        return literal(self.value, self.dtype)


@dataclass(frozen=True)
class Iota(Op):
    """0, 1, 2, …: each place of a vector has its own index."""

    size: Size

    def infer(self) -> TensorType:
        return TensorType((self.size,), torch.int64)

    def eval(self) -> Array:
        size: Any = self.size  # it is bound
        return torch.arange(size, device="cpu")

    def at(self, i: tuple[Expr, ...]) -> Expr:
        return i[0]


@dataclass(frozen=True)
class CellValue(Op):
    """The value that a cell (parameter, optimiser slot, hyper-parameter) has before the step."""

    cell: Cell

    def infer(self) -> TensorType:
        return self.cell.type


@explained
def placeholder(name: str, shape: Sequence[Size | str], dtype: torch.dtype = torch.float32) -> Tensor:
    """Declare an input of a program.

    `shape` entries are integers, names of sizes such as `"batch"` (bound at each call, zero included), or sizes taken
    from another tensor's `.shape`. Raises ShapeError or DTypeError for what is neither.
    """
    if not isinstance(name, str) or not name:
        problem = f"a name is a non-empty string, not {brief(name)}"
        raise complaint(ShapeError, "placeholder", problem, remedy='write graphc.placeholder("x", shape=("batch", 2))')
    try:
        type_ = TensorType(check_shape(shape), check_dtype(dtype))
    except (ShapeError, DTypeError) as error:
        raise complaint(type(error), f"placeholder {name!r}", str(error)) from None
    return apply(Placeholder(name, type_))


@function
def constant(value: object, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of fixed values: a number, or a copy of a torch tensor (or of what `torch.as_tensor` takes)."""
    if isinstance(value, Tensor):
        raise complaint(DTypeError, "constant", "a symbolic tensor is not a constant", value, remedy="use it as it is")
    if isinstance(value, torch.Tensor) and value.requires_grad:
        problem = (
            f"a torch tensor of shape {list(value.shape)} requires a gradient, and in a graph it would be a constant, "
            "which never trains"
        )
        remedy = "write graphc.Parameter(tensor) for what trains, or tensor.detach() for its values as they are"
        raise complaint(DTypeError, "constant", problem, remedy=remedy)
    try:
        if isinstance(value, Dim):
            return apply(SizeValue(value, check_dtype(dtype or torch.int64)))
        # A number is kept as `dtype` holds it, so that equal constants are equal ops.
        array = as_array(value, dtype if dtype is None else check_dtype(dtype), device="cpu")
        if array.is_meta:
            raise TypeError("it is on meta, where tensors have no elements")
        kept = check_dtype(array.dtype)
    except DTypeError as error:
        raise complaint(DTypeError, "constant", str(error)) from None
    except SymbolicValueError:
        problem = f"a {type_name(value)} with symbolic tensors is not a constant"
        raise complaint(DTypeError, "constant", problem, remedy="join them with graphc.stack or graphc.cat") from None
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        shown = brief(value) if is_number(value) else type_name(value)
        wanted = "a tensor" if dtype is None else f"{dtype_name(dtype)}"
        problem = f"cannot make {wanted} of {shown}: {one_line(str(error))}"
        remedy = f"{wanted} cannot hold it: choose a larger dtype" if is_number(value) else _MAKING_CONSTANTS
        raise complaint(DTypeError, "constant", problem, remedy=remedy) from None
    if array.ndim == 0:
        return apply(Constant(array.item(), kept))
    need(array.numel() * array.itemsize, lambda: f"a constant, {TensorType(tuple(array.shape), kept)},")
    # On the CPU wherever it comes from, as all constants are: each program moves them to where its State is.
    return apply(TensorConstant(array.to("cpu", copy=True, memory_format=torch.contiguous_format).resolve_neg()))
