"""From what users pass to what ops take: torch's promotion of dtypes, and broadcasting as explicit nodes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.errors import DTypeError, ShapeError
from graphc.ir import FUNCTIONS, Tensor, TensorLike, complaint

__all__ = ["as_tensor", "broadcast_shapes", "is_number", "normalise_dim", "normalise_dims", "operands", "result_dtype"]

Number = (bool, int, float)


def is_number(value: object) -> bool:
    """Whether `value` promotes like a Python number; a symbolic size does."""
    return isinstance(value, (*Number, Dim))


def as_tensor(name: str, value: TensorLike, dtype: torch.dtype | None = None) -> Tensor:
    """`value` as a symbolic tensor. Raises DTypeError for what cannot be one."""
    if isinstance(value, Tensor):
        return value
    if is_number(value) or isinstance(value, torch.Tensor) or hasattr(value, "__array__"):
        result: Tensor = FUNCTIONS["constant"](value, dtype)
        return result
    raise complaint(
        DTypeError,
        name,
        f"an operand is a {type(value).__name__}",
        remedy="operands are symbolic tensors, torch tensors or numbers",
    )


def cast(x: Tensor, dtype: torch.dtype) -> Tensor:
    result: Tensor = FUNCTIONS["cast"](x, dtype)
    return result


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


def operands(name: str, *values: TensorLike, floating: bool = False, dtype: torch.dtype | None = None) -> list[Tensor]:
    """The operands of a pointwise op: one dtype (torch's promotion; the default floating one if `floating`), one shape."""
    kept = [value if is_number(value) else as_tensor(name, value) for value in values]
    if dtype is None:
        dtype = result_dtype(kept)
    if floating and not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    tensors = [cast(value, dtype) if isinstance(value, Tensor) else as_tensor(name, value, dtype) for value in kept]
    return broadcast(name, tensors)


def broadcast(name: str, tensors: Sequence[Tensor]) -> list[Tensor]:
    """All tensors with one shape."""
    if all(tensor.shape is tensors[0].shape for tensor in tensors):
        return list(tensors)
    shape = broadcast_shapes(name, tensors)
    return [FUNCTIONS["broadcast_to"](tensor, shape) for tensor in tensors]


def broadcast_shapes(name: str, tensors: Sequence[Tensor], trailing: int = 0) -> tuple[Size, ...]:
    """The shape that torch's broadcasting gives, all but the last `trailing` sizes taken. Raises ShapeError."""
    shapes = [tensor.shape[: tensor.ndim - trailing] for tensor in tensors]
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
        return (f"{error} (dimension -{back}); give both sizes the same name if they are always equal",)
    return (f"sizes differ in dimension -{back}, {a} != {b}, and neither is 1",)


def normalise_dim(name: str, dim: int, ndim: int, x: Tensor) -> int:
    """`dim` counted from the front. Raises ShapeError when it is out of range."""
    if not isinstance(dim, int) or isinstance(dim, bool):
        raise complaint(ShapeError, name, f"a dimension is an integer, not {dim!r}", x)
    if not -max(ndim, 1) <= dim < max(ndim, 1):
        raise complaint(ShapeError, name, f"dimension {dim} does not exist, there are {ndim}", x)
    return dim % ndim if ndim else 0


def normalise_dims(name: str, dim: int | Sequence[int] | None, x: Tensor) -> tuple[int, ...]:
    """The dimensions of a reduction, sorted; None and the empty sequence mean all of them, as in torch."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return tuple(range(x.ndim))
    found = [normalise_dim(name, d, x.ndim, x) for d in ((dim,) if isinstance(dim, int) else dim)]
    if len(set(found)) != len(found):
        raise complaint(ShapeError, name, f"a dimension appears twice in {dim}", x)
    return tuple(sorted(found)) if x.ndim else ()
