"""From what users pass to what ops take: torch's promotion of dtypes, and broadcasting as explicit nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy
import torch

from graphc import dims
from graphc.dims import Size
from graphc.errors import DTypeError, ShapeError, brief, type_name
from graphc.ir import FUNCTIONS, OPS, Tensor, TensorLike, apply, complaint, is_number, is_tensor_like
from graphc.ir.tensor import range_of_dims
from graphc.types import as_index, dtype_name, same_shape

__all__ = [
    "as_float",
    "as_tensor",
    "broadcast_shapes",
    "held",
    "is_number",
    "normalise_dim",
    "normalise_dims",
    "operands",
    "plain",
    "result_dtype",
]


def as_tensor(name: str, value: TensorLike, dtype: torch.dtype | None = None) -> Tensor:
    """`value` as a symbolic tensor. Raises DTypeError for what cannot be one."""
    if isinstance(value, Tensor):
        return value
    if is_tensor_like(value):
        try:
            result: Tensor = FUNCTIONS["constant"](value, dtype)
        except DTypeError as error:
            error.args = (f"{name}: an operand cannot be: {str(error).removeprefix('constant: ')}",)
            raise
        return result
    problem = f"an operand is {brief(value)}, of type {type_name(value)}"
    remedy = "operands are symbolic tensors, torch tensors or numbers"
    if isinstance(value, (list, tuple)):
        symbols = any(isinstance(each, Tensor) for each in value)
        remedy += ": join these with graphc.cat or graphc.stack" if symbols else ": write torch.tensor(...)"
    raise complaint(DTypeError, name, problem, remedy=remedy)


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    result: Tensor = FUNCTIONS["cast"](x, dtype)
    return result


def plain(value: TensorLike) -> TensorLike:
    """A scalar of NumPy as the Python number that it counts as; anything else as it is."""
    number: TensorLike = value.item() if isinstance(value, numpy.generic) else value
    return number


def result_dtype(values: Sequence[object]) -> torch.dtype:
    """The dtype that torch computes in: tensors with dimensions count before 0-d ones, those before numbers.

    Source: torch documentation, "Tensor Attributes", type promotion.
    """
    groups: list[torch.dtype | None] = [None, None, None]
    for value in values:
        if isinstance(value, Tensor):
            group, dtype = (0 if value.ndim else 1), value.dtype
        elif isinstance(value, float):
            group, dtype = 2, torch.get_default_dtype()
        else:
            group, dtype = 2, torch.bool if isinstance(value, bool) else torch.int64
        known = groups[group]
        groups[group] = dtype if known is None else torch.promote_types(known, dtype)
    result = _combine(groups[0], _combine(groups[1], groups[2]))
    assert result is not None, "there is at least one operand"
    return result


def _combine(higher: torch.dtype | None, lower: torch.dtype | None) -> torch.dtype | None:
    if higher is None or lower is None:
        return higher or lower
    if not higher.is_floating_point and (higher is torch.bool or lower.is_floating_point):
        return torch.promote_types(higher, lower)
    return higher


def operands(
    name: str,
    *values: TensorLike,
    floating: bool = False,
    dtype: torch.dtype | None = None,
    wraps: bool = True,
) -> list[Tensor]:
    """The operands of a pointwise op with one dtype (torch's promotion, or `dtype`) and one shape.

    With `floating`, integers become the default floating dtype. An integer that the dtype cannot hold wraps around, as
    in torch's arithmetic, or is a DTypeError when not `wraps`, or when 64 bits do not hold it.
    """
    numbers = map(plain, values)
    kept = [value if is_number(value) else as_tensor(name, value) for value in numbers]
    if dtype is None:
        dtype = result_dtype(kept)
    if floating and not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    tensors = []
    for value in kept:
        if isinstance(value, Tensor):
            tensors.append(cast(value, dtype))
        else:
            number = held(name, value, dtype, wraps) if isinstance(value, int) else value
            tensors.append(as_tensor(name, number, dtype))
    return broadcast(name, tensors)


def held(name: str, value: int, dtype: torch.dtype, wraps: bool = True) -> int | float | bool:
    """What a tensor of `dtype` makes of an integer operand. Raises DTypeError as `operands` says."""
    if isinstance(value, bool) or dtype is torch.bool:
        return value
    if dtype.is_floating_point:
        if not -(2**63) <= value < 2**64:
            raise complaint(DTypeError, name, f"{brief(value)} does not fit 64 bits", remedy="write it as a float")
        return value
    limiting = torch.int64 if wraps else dtype
    if not torch.iinfo(limiting).min <= value <= torch.iinfo(limiting).max:
        problem = f"{brief(value)} does not fit {dtype_name(limiting)}"
        raise complaint(DTypeError, name, problem, remedy="convert with .to(dtype)")
    return torch.tensor(value, device="cpu").to(dtype).item()


def as_float(name: str, argument: str, value: object) -> float:
    """A number that a function takes besides its operands. Raises DTypeError for anything else."""
    number = value.item() if isinstance(value, numpy.generic) else value
    if not isinstance(number, (int, float)):
        raise complaint(DTypeError, name, f"{argument} is a number, not {brief(value)}")
    return float(held(name, number, torch.float64) if isinstance(number, int) else number)


def broadcast(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """All tensors with one shape."""
    first = tensors[0].shape
    if all(tensor.shape is first for tensor in tensors):
        return list(tensors)
    shape = broadcast_shapes(name, tensors)
    op = OPS["broadcast"](shape)  # type: ignore[call-arg]  # the op behind the name
    return [tensor if same_shape(tensor.shape, shape) else apply(op, tensor, name=name) for tensor in tensors]


def broadcast_shapes(name: str, tensors: Sequence[Tensor], trailing: int = 0) -> tuple[Size, ...]:
    """The shape that torch's broadcasting gives, all but the last `trailing` sizes taken. Raises ShapeError."""
    shapes = [tensor.shape[: tensor.ndim - trailing] if trailing else tensor.shape for tensor in tensors]
    if sum(map(bool, shapes)) <= 1:
        return next(filter(bool, shapes), ())
    result: list[Size] = []
    for back in range(1, max(map(len, shapes)) + 1):
        size: Size = 1
        for shape in shapes:
            if len(shape) < back or dims.same(shape[-back], size) or dims.same(shape[-back], 1):
                continue
            if not dims.same(size, 1):
                raise complaint(ShapeError, name, *_conflict(size, shape[-back], back + trailing), *tensors)
            size = shape[-back]
        result.append(size)
    return tuple(reversed(result))


def _conflict(a: Size, b: Size, back: int) -> tuple[str]:
    try:
        dims.equal(a, b)
    except ShapeError as error:
        return (f"in dimension -{back}, {error}",)
    return (f"sizes differ in dimension -{back}, {a} != {b}, and neither is 1",)


def normalise_dim(name: str, dim: int, ndim: int, x: Tensor) -> int:
    """`dim` counted from the front; a 0-d tensor has dimension 0, as in torch. Raises ShapeError when out of range."""
    index = as_index(dim)
    if index is None:
        problem = f"a dimension is an integer, not {brief(dim)}"
        raise complaint(ShapeError, name, problem, x, remedy="write dim=-1 for the last one")
    if not -max(ndim, 1) <= index < max(ndim, 1):
        problem = f"dimension {index} does not exist, there are {ndim}"
        raise complaint(ShapeError, name, problem, x, remedy=range_of_dims(ndim))
    return index % ndim if ndim else 0


def normalise_dims(name: str, dim: int | Sequence[int], x: Tensor) -> tuple[int, ...]:
    """One dimension or several, counted from the front, in the order given. Raises ShapeError."""
    entries = dim if isinstance(dim, Sequence) and not isinstance(dim, str) else (dim,)
    found = tuple(normalise_dim(name, d, x.ndim, x) for d in entries)
    if len(set(found)) != len(found):
        raise complaint(ShapeError, name, f"a dimension appears twice in {brief(dim)}", x)
    return found
