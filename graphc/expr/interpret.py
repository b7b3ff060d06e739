"""What an expression means: an interpreter that computes it for all indices at once, on torch tensors.

It is slow and plain, and computes in the dtypes of the expression; code that is generated from an expression is
measured against it. Both branches of every `Select` are computed, so a load outside of its tensor is no error yet: it
is a fault of the elements that it is part of, and an error where one of these is an element of the result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.expr.expr import Call, Cast, Combine, Expr, Index, Literal, Load, Reduce, Select
from graphc.expr.intrinsics import INTRINSICS
from graphc.types import Array

__all__ = ["interpret"]


def interpret(
    expr: Expr, i: Sequence[Index], shape: Sequence[Size], arrays: Mapping[Any, Array], sizes: Mapping[str, int]
) -> Array:
    """The tensor of `shape` whose element at the indices `i` is `expr`.

    `arrays` are the tensors that are loaded from, by source; `sizes` the numbers that symbolic sizes stand for. Raises
    IndexError for a load out of range.
    """
    bounds = [dims.evaluate(size, sizes) for size in shape]
    bound: dict[Index, Array] = {}
    for k, size in zip(reversed(i), reversed(bounds), strict=True):
        bound[k] = _along_a_new_axis(size, bound)
    loads: list[Load] = []
    result = _Scope(bound, arrays, sizes, loads).compute(expr)
    fault = max(torch.broadcast_to(result.fault, bounds).flatten().tolist(), default=0)
    if fault:
        load = loads[fault - 1]
        raise IndexError(f"{load} is out of range: {load.source} has shape {tuple(arrays[load.source].shape)}")
    return torch.broadcast_to(result.values, bounds).clone(memory_format=torch.contiguous_format)


@dataclass(frozen=True)
class _Elements:
    """An expression for all values of the bound indices; `fault` is the number of a load out of range, 0 for none."""

    values: Array
    fault: Array


NO_FAULT = torch.tensor(0)


def _along_a_new_axis(size: int, bound: Mapping[Index, Array]) -> Array:
    """0, 1, 2, … along an axis before those of the indices that are bound, so that all broadcast."""
    return torch.arange(size).reshape(size, *[1] * len(bound))


@dataclass
class _Scope:
    """Where some indices are bound; it computes each expression once, however often it is shared."""

    bound: Mapping[Index, Array]
    arrays: Mapping[Any, Array]
    sizes: Mapping[str, int]
    loads: list[Load]

    def __post_init__(self) -> None:
        self.known: dict[int, _Elements] = {}

    def compute(self, expr: Expr) -> _Elements:
        if id(expr) not in self.known:
            result = self._compute(expr)
            assert result.values.dtype is expr.dtype, f"{expr} is {result.values.dtype}, not {expr.dtype}"
            self.known[id(expr)] = result
        return self.known[id(expr)]

    def _compute(self, expr: Expr) -> _Elements:
        match expr:
            case Literal(value, dtype):
                number = value.evaluate(self.sizes) if isinstance(value, Dim) else value
                return _Elements(torch.tensor(number, dtype=dtype), NO_FAULT)
            case Index():
                return _Elements(self.bound[expr], NO_FAULT)
            case Cast(x, dtype):
                operand = self.compute(x)
                return _Elements(operand.values.to(dtype), operand.fault)
            case Call(function, args):
                operands = [self.compute(x) for x in args]
                values = INTRINSICS[function].torch(*(operand.values for operand in operands))
                return _Elements(values, _any_of(operands))
            case Select():
                condition, then, otherwise = map(self.compute, (expr.condition, expr.then, expr.otherwise))
                values = torch.where(condition.values, then.values, otherwise.values)
                fault = torch.where(condition.values, then.fault, otherwise.fault)
                return _Elements(values, torch.maximum(condition.fault, fault))
            case Load():
                return self._load(expr)
            case Reduce(combine, index, size, body):
                numbers = _along_a_new_axis(dims.evaluate(size, self.sizes), self.bound)
                inner = _Scope({**self.bound, index: numbers}, self.arrays, self.sizes, self.loads).compute(body)
                values = _filled(inner.values, numbers)
                return _Elements(_reduced(combine, values), _reduced("amax", _filled(inner.fault, numbers)).clamp(0))

    def _load(self, load: Load) -> _Elements:
        array = self.arrays[load.source]
        assert len(load.indices) == array.ndim, f"{load} is not an element of {array.ndim} dimensions"
        indices = [self.compute(k) for k in load.indices]
        values = [k.values for k in indices]
        places = torch.broadcast_tensors(*values) if values else ()  # type: ignore[no-untyped-call]  # torch has no types
        outside = torch.tensor(False)
        for place, size in zip(places, array.shape, strict=True):
            outside = outside | (place < 0) | (place >= size)
        self.loads.append(load)
        fault = torch.where(outside, len(self.loads), _any_of(indices))
        if not array.numel():
            return _Elements(torch.zeros(outside.shape, dtype=array.dtype), fault)
        inside = tuple(place.clamp(0, size - 1) for place, size in zip(places, array.shape, strict=True))
        return _Elements(array[inside], fault)


def _any_of(parts: Sequence[_Elements]) -> Array:
    """A fault of one of the parts, where there is one."""
    result = NO_FAULT
    for part in parts:
        result = torch.maximum(result, part.fault)
    return result


def _filled(x: Array, numbers: Array) -> Array:
    """`x` with as many elements as `numbers` along the first axis of these."""
    shape = torch.broadcast_shapes(x.shape, numbers.shape)  # type: ignore[no-untyped-call]  # torch has no types
    return torch.broadcast_to(x, shape)


def _reduced(combine: Combine, x: Array) -> Array:
    """`x` without its first axis."""
    match combine:
        case "sum":
            return torch.sum(x, 0, dtype=x.dtype)
        case "amax" | "amin":
            neutral = torch.full(x.shape[1:], _neutral(combine, x.dtype), dtype=x.dtype)
            return getattr(torch, combine)(torch.cat([neutral[None], x]), 0)  # type: ignore[no-any-return]


def _neutral(combine: Combine, dtype: torch.dtype) -> float:
    """What changes no maximum or minimum."""
    if dtype is torch.bool:
        return combine == "amin"
    if dtype.is_floating_point:
        return -math.inf if combine == "amax" else math.inf
    limits = torch.iinfo(dtype)
    return limits.min if combine == "amax" else limits.max
