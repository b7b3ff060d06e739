"""What nodes refer to, and the attributes of ops, as JSON and back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import torch

from graphc.errors import GraphFileError
from graphc.ir.cell import Cell, Role
from graphc.ir.encoding import (
    read_bool,
    read_choice,
    read_dtype,
    read_fields,
    read_index,
    read_int,
    read_ints,
    read_number,
    read_size,
    read_sizes,
    read_static,
    read_text,
    read_type,
    refuse,
    shown,
    write_dtype,
    write_number,
    write_size,
    write_sizes,
    write_type,
)
from graphc.ir.op import Op
from graphc.types import TensorType, dtype_name

__all__ = [
    "Tables",
    "check_attributes",
    "kinds_of",
    "read_cell",
    "read_tensor",
    "values_of",
    "write_cell",
    "write_tensor",
]


# Tensors and cells ----------------------------------------------------------------------------------------------------


def write_tensor(tensor: torch.Tensor, place: str) -> dict[str, Any]:
    """Its type, and its bytes row by row, as all machines have them that torch is built for: little-endian."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    type_ = TensorType(tuple(tensor.shape), tensor.dtype)
    return {
        "type": write_type(type_, place),
        "base64": base64.b64encode(flat.view(torch.uint8).numpy().tobytes()).decode("ascii"),
    }


def read_tensor(value: Any, place: str) -> torch.Tensor:
    found = read_fields(value, place, ("type", "base64"))
    type_ = read_static(found["type"], f"{place}.type")
    text = read_text(found["base64"], f"{place}.base64")
    wanted = int(type_.nbytes)
    if len(text) != -(-wanted // 3) * 4:
        refuse(f"{place}.base64", f"{len(text)} characters are not the {wanted} bytes of {type_}")
    try:
        data = bytearray(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        refuse(f"{place}.base64", "is not base64")
    if len(data) != wanted:
        refuse(f"{place}.base64", f"{len(data)} bytes are not the {wanted} of {type_}")
    if type_.dtype is torch.bool and data.translate(None, b"\0\1"):
        refuse(f"{place}.base64", "a boolean is the byte 0 or 1")
    shape: Any = type_.shape
    if not wanted:
        return torch.empty(shape, dtype=type_.dtype, device="cpu")
    return torch.frombuffer(data, dtype=type_.dtype).reshape(shape)


class _Blank(Cell):
    """A cell of zeros. They are made when somebody asks: a file may declare any size, and drawings need no values."""

    __slots__ = ("_made",)

    def __init__(self, name: str, type: TensorType, role: Role) -> None:
        def zeros(generator: torch.Generator | None) -> torch.Tensor:
            shape: Any = self.type.shape
            with torch.inference_mode(False):  # what is made in inference mode could not be updated outside it
                return torch.zeros(shape, dtype=self.type.dtype, device="cpu")

        super().__init__(name, type, role, torch.empty(0, device="cpu"), zeros)
        self._made: torch.Tensor | None = None

    @property
    def value(self) -> torch.Tensor:
        if self._made is None:
            self._made = self.initial(None)
        return self._made

    @value.setter
    def value(self, new: torch.Tensor) -> None:
        self._made = new


def _has_value(role: Role, type_: TensorType) -> bool:
    """A hyper-parameter is a number that somebody chose; all other values belong to States."""
    return role is Role.HYPER and not type_.shape


def write_cell(cell: Cell, place: str) -> dict[str, Any]:
    found = {"name": cell.name, "role": cell.role.value, "type": write_type(cell.type, place)}
    return {**found, "value": write_number(cell.value.item())} if _has_value(cell.role, cell.type) else found


def read_cell(value: Any, place: str) -> Cell:
    found = read_fields(value, place, ("name", "role", "type"), ("value",))
    name = read_text(found["name"], f"{place}.name")
    role = Role(read_choice(*(each.value for each in Role))(found["role"], f"{place}.role"))
    type_ = read_static(found["type"], f"{place}.type")
    if _has_value(role, type_) != ("value" in found):
        refuse(place, "a number that is a hyper-parameter has a value, and no other cell")
    if "value" not in found:
        return _Blank(name, type_, role)
    number = read_number(found["value"], f"{place}.value")
    first = _held(number, type_.dtype, f"{place}.value")
    if repr(first.item()) != repr(number):
        refuse(f"{place}.value", f"{shown(number)} is not exactly one of {type_}")
    return Cell(name, type_, role, first.clone(), lambda generator: first.clone())


def _held(number: int | float | bool, dtype: torch.dtype, place: str) -> torch.Tensor:
    """What a tensor of `dtype` makes of a number. Refuses what it cannot hold, such as NaN where there are integers."""
    try:
        with torch.inference_mode(False):  # the value of a cell
            return torch.tensor(number, dtype=dtype, device="cpu")
    except (RuntimeError, OverflowError, ValueError, TypeError):
        refuse(place, f"{shown(number)} is no {dtype_name(dtype)}")


# Attributes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tables:
    """What nodes refer to by its number, so that two nodes which share it still do."""

    cells: Sequence[Cell]
    constants: Sequence[torch.Tensor]


@dataclass(frozen=True)
class Kind:
    """How values of one annotation are written, with the numbers of cells and tensors, and read."""

    write: Callable[[Any, Mapping[object, int]], Any]
    read: Callable[[Any, str, Tables], Any]


def _plain(write: Callable[[Any], Any], read: Callable[[Any, str], Any]) -> Kind:
    return Kind(lambda value, numbers: write(value), lambda value, place, tables: read(value, place))


def _optional(write: Callable[[Any], Any], read: Callable[[Any, str], Any]) -> Kind:
    return _plain(
        lambda value: None if value is None else write(value),
        lambda value, place: None if value is None else read(value, place),
    )


_NUMBER = _plain(write_number, read_number)
_DTYPE = _plain(write_dtype, read_dtype)

KINDS: Mapping[str, Kind] = {
    "bool": _plain(bool, read_bool),
    "int": _plain(int, read_int),
    "float": _NUMBER,
    "int | float": _NUMBER,
    "int | float | bool": _NUMBER,
    "int | float | None": _optional(write_number, read_number),
    "str": _plain(str, read_text),
    "Approximate": _plain(str, read_choice("none", "tanh")),
    "Size": _plain(write_size, read_size),
    "tuple[int, ...]": _plain(lambda value: [int(entry) for entry in value], read_ints),
    "tuple[Size, ...]": _plain(write_sizes, read_sizes),
    "torch.dtype": _DTYPE,
    "DType": _DTYPE,
    "TensorType": _plain(write_type, read_type),
    "Cell": Kind(
        lambda value, numbers: numbers[value],
        lambda value, place, tables: tables.cells[read_index(value, place, tables.cells, "cells")],
    ),
    "Array": Kind(
        lambda value, numbers: numbers[id(value)],
        lambda value, place, tables: tables.constants[read_index(value, place, tables.constants, "constants")],
    ),
}
"""By the annotation of the field, as it is written in the source of the op."""


def kinds_of(op: type[Op]) -> Mapping[str, Kind]:
    """How each attribute of `op` is written. Raises GraphFileError for one that has no encoding."""
    for name, annotation in _fields(op).items():
        if annotation not in KINDS:
            raise GraphFileError(f"{op.name}: its {name!r} is a {annotation}, for which files have no encoding")
    return {name: KINDS[annotation] for name, annotation in _fields(op).items()}


def values_of(op: Op) -> dict[str, Any]:
    """What `op` is made with: its attributes, and what does not count when ops are compared."""
    return {name: getattr(op, name) for name in _fields(type(op))}


def _fields(op: type[Op]) -> dict[str, str]:
    return _fields_of_class(op)  # type: ignore[arg-type]  # mypy takes the hash of instances for the class's


@cache
def _fields_of_class(op: type[Op]) -> dict[str, str]:
    return {field.name: str(field.type) for field in fields(op)}  # type: ignore[arg-type]  # ops are dataclasses


_RANGES = {"p": (0, 1), "step": (1, 2**63 - 1), "stream": (0, 2**31 - 1), "threshold": (0, 2**32)}


def check_attributes(op: Op, inputs: Sequence[TensorType], result: TensorType, place: str) -> None:
    """What the functions that build ops see to, and `infer` takes for granted: dimensions exist, numbers fit.

    An attribute of one name means the same in all ops: `dim` and `dims` are dimensions of the first operand, counted
    from the front. `dims` of an op that drops them are sorted; otherwise they are an order of all dimensions.
    """
    attributes = op.attributes
    for name in _RANGES.keys() & attributes.keys():
        low, high = _RANGES[name]
        if not low <= attributes[name] <= high:
            refuse(f"{place}.{name}", f"{shown(attributes[name])} is not between {low} and {high}")
    if "value" in attributes and "dtype" in attributes:
        _held(attributes["value"], attributes["dtype"], f"{place}.value")
    ndim = inputs[0].ndim if inputs else 0
    if "dim" in attributes and not 0 <= attributes["dim"] < ndim:
        refuse(f"{place}.dim", f"{attributes['dim']} is not one of {ndim} dimensions")
    if "dims" in attributes:
        found = attributes["dims"]
        if len(set(found)) != len(found) or not all(0 <= d < ndim for d in found):
            refuse(f"{place}.dims", f"{shown(found)} are not dimensions of a tensor that has {ndim}")
        drops = result.ndim == ndim - len(found) and (found or not ndim)
        if list(found) != sorted(found) if drops else len(found) != ndim:
            refuse(f"{place}.dims", f"{shown(found)} neither are sorted nor an order of all {ndim} dimensions")
