"""Numbers, sizes and types as JSON, and back.

What a file may say is a closed set, and each value in it has one spelling. Whatever else is found is refused with a
GraphFileError that starts with the place, such as `nodes[12].attributes.dims`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.errors import GraphFileError, brief
from graphc.types import DTYPES, TensorType

__all__ = [
    "list_of",
    "read_bool",
    "read_choice",
    "read_dtype",
    "read_fields",
    "read_index",
    "read_int",
    "read_ints",
    "read_number",
    "read_size",
    "read_sizes",
    "read_static",
    "read_text",
    "read_type",
    "refuse",
    "shown",
    "write_dtype",
    "write_number",
    "write_size",
    "write_sizes",
    "write_type",
]

LARGEST = 2**63 - 1
"""The largest size, and the most bytes that a tensor has."""
MOST_DIMENSIONS = 64
MOST_TERMS = 100
"""Of one size, and of the product of a shape: what it takes to multiply polynomials grows with it."""
MOST_FACTORS = 16
LONGEST_NAME = 1000
"""Of a size; other names may have any length."""

_BY_NAME = {name: dtype for dtype, name in DTYPES.items()}
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def refuse(place: str, problem: str) -> NoReturn:
    raise GraphFileError(f"{place}: {problem}")


# JSON's own values ----------------------------------------------------------------------------------------------------


def read_fields(value: Any, place: str, needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object with all of `needed`, perhaps some of `optional`, and nothing else."""
    if not isinstance(value, dict):
        refuse(place, f"is {shown(value)}, not an object")
    for name in needed:
        if name not in value:
            refuse(place, f"has no {name!r}")
    for name in value:
        if name not in needed and name not in optional:
            refuse(place, f"has {brief(name)}, which means nothing there")
    return value


def list_of(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        refuse(place, f"is {shown(value)}, not a list")
    return value


def read_int(value: Any, place: str, low: int = -LARGEST, high: int = LARGEST) -> int:
    if type(value) is not int:
        refuse(place, f"is {shown(value)}, not an integer")
    if not low <= value <= high:
        refuse(place, f"{shown(value)} is not between {low} and {high}")
    return value


def read_index(value: Any, place: str, table: Sequence[object], what: str) -> int:
    """The number of an entry of `table`, which is a list of `what`."""
    if type(value) is not int or not 0 <= value < len(table):
        refuse(place, f"{shown(value)} is not one of the {len(table)} {what}")
    return value


def read_text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        refuse(place, f"is {shown(value)}, not a text")
    return value


def read_bool(value: Any, place: str) -> bool:
    if not isinstance(value, bool):
        refuse(place, f"is {shown(value)}, neither true nor false")
    return value


def read_choice(*choices: str) -> Callable[[Any, str], str]:
    def read(value: Any, place: str) -> str:
        if not isinstance(value, str) or value not in choices:
            refuse(place, f"is {shown(value)}, not one of {', '.join(map(repr, choices))}")
        return value

    return read


def shown(value: object) -> str:
    """A value of the file within a message; large ones by their kind only."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) > 10**30:
        return "a huge integer"
    return brief(value)


# Numbers --------------------------------------------------------------------------------------------------------------


def write_number(value: Any) -> Any:
    """A boolean, an integer or a float, which stay apart: 1, 1.0 and true; JSON has no infinities and no NaN."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return read_int(int(value), "number")
    return float(value) if math.isfinite(value) else str(float(value))


def read_number(value: Any, place: str) -> int | float | bool:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return read_int(value, place)
    if not isinstance(value, float):
        refuse(place, f"is {shown(value)}, not a number")
    if not math.isfinite(value):  # JSON that says 1e999
        refuse(place, "is a number beyond all floats")
    return value


def read_ints(value: Any, place: str) -> tuple[int, ...]:
    if len(list_of(value, place)) > MOST_DIMENSIONS:
        refuse(place, f"has {len(value)} entries, more than {MOST_DIMENSIONS}")
    return tuple([read_int(entry, f"{place}[{i}]") for i, entry in enumerate(value)])


# Sizes and types ------------------------------------------------------------------------------------------------------


def write_size(size: Size, place: str = "size") -> Any:
    """An integer; a name; or the terms of a polynomial: 2·batch² + 1 is `[[2, "batch", "batch"], [1]]`."""
    if isinstance(size, int):
        return int(size)
    terms = [[k, *(name for name, power in monomial for _ in range(power))] for monomial, k in size.terms]
    if len(terms) > MOST_TERMS or any(len(term) > 1 + MOST_FACTORS for term in terms):
        refuse(place, f"a size of {len(terms)} terms is more than files have")
    for name in size.symbols:
        _check_name(name, place)
    return terms[0][1] if len(terms) == 1 and len(terms[0]) == 2 and terms[0][0] == 1 else terms


def read_size(value: Any, place: str) -> Size:
    if isinstance(value, str):
        _check_name(value, place)
        return dims.symbol(value)
    if not isinstance(value, list):
        return read_int(value, place)
    if len(value) > MOST_TERMS:
        refuse(place, f"has {len(value)} terms, more than {MOST_TERMS}")
    total: Size = 0
    for term in value:
        if not isinstance(term, list) or not 0 < len(term) <= 1 + MOST_FACTORS:
            refuse(place, f"a term is a list of a number and up to {MOST_FACTORS} names, not {shown(term)}")
        product: Size = read_int(term[0], place)
        for name in term[1:]:
            _check_name(name, place)
            product = product * dims.symbol(name)
        total = total + product
    if write_size(total, place) != value:
        refuse(place, "is a polynomial that is not in normal form")
    return total


def _check_name(name: object, place: str) -> None:
    if not isinstance(name, str) or not name.isidentifier() or len(name) > LONGEST_NAME:
        refuse(place, f"a size is an integer, a polynomial or a name like that of a variable, not {shown(name)}")


def write_sizes(sizes: tuple[Size, ...], place: str = "shape") -> list[Any]:
    return [write_size(size, place) for size in sizes]


def read_sizes(value: Any, place: str) -> tuple[Size, ...]:
    if len(list_of(value, place)) > MOST_DIMENSIONS:
        refuse(place, f"has {len(value)} sizes, more than {MOST_DIMENSIONS}")
    sizes = tuple([read_size(entry, f"{place}[{i}]") for i, entry in enumerate(value)])
    if math.prod(len(size.terms) for size in sizes if isinstance(size, Dim)) > MOST_TERMS:
        refuse(place, f"the product of the sizes has more than {MOST_TERMS} terms")
    return sizes


def write_dtype(dtype: torch.dtype, place: str = "dtype") -> str:
    if dtype not in DTYPES:
        refuse(place, f"graphc does not compute with {dtype}")
    return DTYPES[dtype]


def read_dtype(value: Any, place: str) -> torch.dtype:
    if not isinstance(value, str) or value not in _BY_NAME:
        refuse(place, f"{shown(value)} is not a dtype, which are {', '.join(_BY_NAME)}")
    return _BY_NAME[value]


def write_type(type_: TensorType, place: str = "type") -> list[Any]:
    """The dtype, then the sizes: `["f32", "batch", 2]`."""
    return [write_dtype(type_.dtype, place), *write_sizes(type_.shape, place)]


def read_type(value: Any, place: str) -> TensorType:
    if not list_of(value, place):
        refuse(place, "is an empty list, not a dtype and sizes")
    type_ = TensorType(read_sizes(value[1:], place), read_dtype(value[0], place))
    if any(isinstance(size, int) and size < 0 for size in type_.shape):
        refuse(place, f"{type_} has a size below 0")
    if type_.is_static and int(type_.nbytes) > LARGEST:
        refuse(place, "is a tensor that no memory holds")
    return type_


def read_static(value: Any, place: str) -> TensorType:
    type_ = read_type(value, place)
    if not type_.is_static:
        refuse(place, f"{type_} has values, and its sizes are no numbers")
    return type_
