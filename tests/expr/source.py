"""Tensors that expressions read from, and what an op's `at` makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from graphc.dims import Size
from graphc.expr import Expr, Index, Load, interpret
from graphc.ir import Op
from graphc.types import TensorType

Array = torch.Tensor


@dataclass(frozen=True)
class Source:
    """An operand with a name."""

    name: str
    shape: tuple[Size, ...]
    dtype: torch.dtype = torch.float32

    def __getitem__(self, indices: tuple[Expr, ...]) -> Load:
        return Load(self, indices, self.dtype)

    def __str__(self) -> str:
        return self.name


def indices_of(shape: Sequence[Size]) -> tuple[Index, ...]:
    """i0, i1, …, one for each dimension."""
    return tuple(Index(f"i{d}") for d in range(len(shape)))


def element_of(op: Op, *types: TensorType) -> Expr:
    """Element i0, i1, … of what the op makes of operands x0, x1, … of these types."""
    sources = [Source(f"x{k}", x.shape, x.dtype) for k, x in enumerate(types)]
    element = op.at(indices_of(op.infer(*types).shape), *sources)
    assert element is not None, f"{op.name} does not say what an element of it is"
    return element


def interpreted(op: Op, types: Sequence[TensorType], arrays: Sequence[Array], sizes: Mapping[str, int]) -> Array:
    """The result that the op's `at` tells, for operands of these types, whose symbolic sizes are `sizes`."""
    shape = op.infer(*types).shape
    element = element_of(op, *types)
    values = {Source(f"x{k}", x.shape, x.dtype): array for k, (x, array) in enumerate(zip(types, arrays, strict=True))}
    return interpret(element, indices_of(shape), shape, values, sizes)
