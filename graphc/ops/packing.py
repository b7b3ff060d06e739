"""Many small tensors as one flat tensor, so that one call updates them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from graphc.dims import Size, product
from graphc.errors import DTypeError, ShapeError
from graphc.expr import Expr, Operand, joined, unflattened
from graphc.ir import Arg, Op, Sample, Tensor, TorchCall
from graphc.types import Array, TensorType, dtype_name

__all__ = ["Pack"]


def pack_into(out: Array, parts: Sequence[Array]) -> Array:
    """Copy the elements of `parts` into `out`, one after another."""
    start = 0
    for part in parts:
        out.narrow(0, start, part.numel()).view(part.shape).copy_(part)
        start += part.numel()
    return out


@dataclass(frozen=True)
class Pack(Op):
    """The elements of all operands, row by row, one after another in one dimension.

    A memory plan places the operands inside the result where it can, and then nothing is copied.
    """

    torch = TorchCall(pack_into, form="into", sequence=True)

    def infer(self, *inputs: TensorType) -> TensorType:
        total: Size = 0
        for x in inputs:
            if x.dtype is not inputs[0].dtype:
                raise DTypeError(f"dtypes differ, {dtype_name(inputs[0].dtype)} != {dtype_name(x.dtype)}")
            if not x.is_static:
                raise ShapeError(f"packs tensors whose sizes are numbers, not {x}: their offsets are part of the plan")
            total = total + x.numel
        return TensorType((total,), inputs[0].dtype)

    def eval(self, *inputs: Array) -> Array:
        return torch.cat([x.reshape(-1) for x in inputs])

    def at(self, i: tuple[Expr, ...], *x: Operand) -> Expr:
        sizes = [product(each.shape) for each in x]
        return joined(i[0], sizes, lambda k, place: x[k][unflattened(place, x[k].shape)])

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, ...]:
        parts = []
        start: Size = 0
        for x in y.inputs:
            parts.append(g[start : start + x.type.numel].reshape(x.shape))
            start = start + x.type.numel
        return tuple(parts)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        yield Sample(cls(), (Arg((3, 2)), Arg(()), Arg((4,))))
        yield Sample(cls(), (Arg((0, 2)), Arg((2,))))
