"""What a tensor is before it has values: its shape and its element type."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch.utils.dlpack import from_dlpack

from graphc import dims
from graphc.capacity import LARGEST, need
from graphc.dims import Dim, Size
from graphc.errors import DTypeError, InputError, ShapeError, brief, one_line

__all__ = [
    "DTYPES",
    "Array",
    "DType",
    "TensorType",
    "as_array",
    "as_index",
    "check_dtype",
    "check_shape",
    "check_sizes",
    "dtype_name",
    "same_shape",
]

Array = torch.Tensor
"""A tensor with values, where the symbolic `graphc.Tensor` has none yet."""

DType = torch.dtype
"""For annotations where `torch` is something else, as in the body of an op that says how torch calls it."""

DTYPES: Mapping[torch.dtype, str] = {
    torch.float32: "f32",
    torch.float64: "f64",
    torch.float16: "f16",
    torch.bfloat16: "bf16",
    torch.int64: "i64",
    torch.int32: "i32",
    torch.int16: "i16",
    torch.int8: "i8",
    torch.uint8: "u8",
    torch.bool: "bool",
}
"""The element types that graphc computes with, and their short names in printed graphs."""


@dataclass(frozen=True, slots=True, eq=False)
class TensorType:
    """Shape and element type. Equal when they are so under every binding of the symbolic sizes."""

    shape: tuple[Size, ...]
    dtype: torch.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def numel(self) -> Size:
        """Number of elements."""
        return dims.product(self.shape)

    @property
    def nbytes(self) -> Size:
        """Size of a contiguous tensor of this type, in bytes."""
        return self.numel * self.dtype.itemsize

    @property
    def is_static(self) -> bool:
        """Whether every size is a number."""
        return not any(isinstance(size, Dim) for size in self.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorType):
            return NotImplemented
        return self is other or (self.dtype is other.dtype and same_shape(self.shape, other.shape))

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __str__(self) -> str:
        return f"{dtype_name(self.dtype)}[{','.join(str(size).replace(' ', '') for size in self.shape)}]"


def same_shape(a: Sequence[Size], b: Sequence[Size]) -> bool:
    """Whether two shapes are equal under every binding. Never raises."""
    return len(a) == len(b) and all(map(dims.same, a, b))


class _Lent:
    """The memory of a read-only array, which torch would warn about: graphc writes to nothing that it is given."""

    def __init__(self, array: numpy.ndarray[Any, Any]) -> None:
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
        self.array = array  # keeps the memory


def as_array(value: object, dtype: torch.dtype | None = None, device: str | None = None) -> Array:
    """`value` as a plain dense torch tensor, which shares its memory where torch allows it.

    A tensor stays where it is. What has no device yet goes to `device`, torch's default one if None.
    Raises what torch and NumPy raise: BufferError, TypeError, ValueError, RuntimeError or OverflowError.
    """
    if hasattr(value, "__array__") and not isinstance(value, torch.Tensor):
        array = numpy.asarray(value)
        if not array.flags.aligned or any(stride < 0 or stride % max(1, array.itemsize) for stride in array.strides):
            # torch has no strides that are negative or not whole elements; elements lie at multiples of their size.
            need(array.nbytes, lambda: f"a copy of an array, {array.dtype}{list(array.shape)},")
            array = array.copy()
        value = array if array.flags.writeable else numpy.asarray(_Lent(array))
    elif hasattr(value, "__dlpack__") and not isinstance(value, torch.Tensor):
        value = from_dlpack(value)
    there = value.device if isinstance(value, torch.Tensor) else device
    return _plain(torch.as_tensor(value, dtype=dtype, device=there))


def _plain(value: Array) -> Array:
    """`value` without its subclass and history. Raises TypeError where torch keeps no elements in memory."""
    if value.is_nested or value.layout is not torch.strided:
        kind, remedy = ("nested", "to_padded_tensor") if value.is_nested else (value.layout, "to_dense")
        raise TypeError(f"the tensor is {kind}, not dense. Use .{remedy}()")
    value = value.detach()
    if type(value) is not torch.Tensor:
        value = value.as_subclass(torch.Tensor)
    if value._is_zerotensor():
        return value.clone()
    try:
        storage = value.untyped_storage()
        is_there = storage.device == value.device and (storage.data_ptr() or not value.numel() or value.is_meta)
    except (NotImplementedError, RuntimeError):
        is_there = False
    if not is_there:
        raise TypeError("the tensor has no memory: it stands for others, as within torch.vmap and torch.func")
    return value


def as_index(value: object) -> int | None:
    """`value` as an int when it is a whole number of any library's, else None. Booleans and arrays are not."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else int(value)
    if isinstance(value, Dim) or not hasattr(value, "__index__"):
        return None
    if getattr(value, "ndim", 0) != 0 or getattr(value, "dtype", None) is torch.bool:
        return None
    try:
        return operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def dtype_name(dtype: torch.dtype) -> str:
    return DTYPES.get(dtype, str(dtype))


def check_dtype(dtype: object) -> torch.dtype:
    """`dtype` itself. Raises DTypeError for what graphc does not compute with."""
    if isinstance(dtype, torch.dtype) and dtype in DTYPES:
        return dtype
    known = ", ".join(str(known) for known in DTYPES)
    raise DTypeError(f"dtype {brief(dtype)} is not one that graphc computes with; use one of {known}")


def check_shape(shape: object) -> tuple[Size, ...]:
    """`shape` as sizes: integers, names, and sizes taken from another tensor. Raises ShapeError."""
    if isinstance(shape, (int, str, Dim)) or not isinstance(shape, Sequence):
        raise ShapeError(f'a shape is a sequence of sizes such as ("batch", 2), not {brief(shape)}')
    sizes: list[Size] = []
    for entry in shape:
        if isinstance(entry, str):
            if not entry.isidentifier():
                raise ShapeError(
                    f'a size is named like a variable, such as "batch"; {brief(entry)} is not such a name. '
                    "A size that depends on another is computed from it, as in 2 * x.shape[0]"
                )
            sizes.append(dims.symbol(entry))
        elif isinstance(entry, Dim):
            sizes.append(entry)
        else:
            size = as_index(entry)
            if size is None:
                raise ShapeError(f'a size is an integer or a name, such as "batch", not {brief(entry)}')
            if size < 0:
                raise ShapeError(f'size {size} is negative; give an unknown size a name, such as "batch"')
            if size > LARGEST:
                raise ShapeError(f"size {brief(size)} is not one of a tensor: sizes are integers of 64 bits")
            sizes.append(size)
    return tuple(sizes)


def check_sizes(caller: str, given: object, needed: Iterable[Size]) -> dict[str, int]:
    """A number for each name in `needed`, from what a user gives. Raises InputError."""
    names = sorted(dims.symbols_of(needed))
    example = ", ".join(f'"{name}": 32' for name in names)
    remedy = f"Write {caller}({{{example}}})"
    if not isinstance(given, Mapping):
        raise InputError(f"{caller}: sizes are a mapping from names to numbers, not {brief(given)}. {remedy}")
    sizes = {}
    for name in names:
        if name not in given:
            others = ", ".join(one_line(str(each)) for each in given) or "nothing"
            raise InputError(f"{caller}: size {name!r} has no number; given is {others}. {remedy}")
        number = as_index(given[name])
        if number is None or number < 0:
            raise InputError(f"{caller}: size {name!r} is an integer of 0 or more, not {brief(given[name])}. {remedy}")
        sizes[name] = number
    return sizes
