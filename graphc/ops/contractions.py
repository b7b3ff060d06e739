"""Matrix products."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from graphc import dims
from graphc.errors import DTypeError, ShapeError
from graphc.expr import Expr, Operand, call, reduce
from graphc.ir import Arg, Op, Sample, Tensor, TensorLike, TorchCall, apply, complaint, function
from graphc.ops.operands import as_tensor, broadcast_shapes
from graphc.types import Array, TensorType, dtype_name, same_shape

__all__ = ["matmul"]


@dataclass(frozen=True)
class Matmul(Op):
    """y[b, i, j] = Σ_k x[b, i, k] · y[b, k, j], with any number of equal leading sizes b."""

    torch = TorchCall(torch.matmul)
    exempt = ("0-d: a matrix has two dimensions or more",)

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        if x.dtype is not y.dtype:
            raise DTypeError(f"dtypes differ, {dtype_name(x.dtype)} != {dtype_name(y.dtype)}")
        if x.dtype is torch.bool:
            raise DTypeError("is not defined for bool")
        assert x.ndim == y.ndim >= 2, "operands are made of equal rank before the op is built"
        assert same_shape(x.shape[:-2], y.shape[:-2]), "operands are broadcast before the op is built"
        if not dims.equal(x.shape[-1], y.shape[-2]):
            raise ShapeError(f"inner sizes differ, {x.shape[-1]} != {y.shape[-2]}")
        return TensorType((*x.shape[:-1], y.shape[-1]), x.dtype)

    def eval(self, x: Array, y: Array) -> Array:
        return torch.matmul(x, y)

    def at(self, i: tuple[Expr, ...], x: Operand, y: Operand) -> Expr:
        *batch, row, column = i
        return reduce("sum", x.shape[-1:], lambda k: call("mul", x[*batch, row, *k], y[*batch, *k, column]))

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        a, b = y.inputs
        return g @ b.mT, a.mT @ g

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for a, b in (
            ((3, 4), (4, 5)),
            ((2, 3, 4), (2, 4, 1)),
            ((1, 1), (1, 1)),
            ((3, 0), (0, 2)),
            ((2, 2, 3, 1), (2, 2, 1, 3)),
        ):
            yield Sample(cls(), (Arg(a), Arg(b)))
        yield Sample(cls(), (Arg((0, 4)), Arg((4, 2))))


@function
def matmul(x: TensorLike, y: TensorLike) -> Tensor:
    """Matrix product as `torch.matmul`: vectors are rows or columns that are dropped again, leading sizes broadcast."""
    a, b = as_tensor("matmul", x), as_tensor("matmul", y)
    if not a.ndim or not b.ndim:
        raise complaint(ShapeError, "matmul", "takes at least 1 dimension on each side", a, b, remedy="use *")
    if a.dtype is not b.dtype:
        problem = f"dtypes differ, {dtype_name(a.dtype)} != {dtype_name(b.dtype)}"
        raise complaint(DTypeError, "matmul", problem, a, b, remedy="convert one of them with .to(dtype)")
    inner = a.shape[-1], b.shape[-2 if b.ndim > 1 else 0]
    try:
        differ = not dims.equal(*inner)
    except ShapeError as error:
        raise complaint(ShapeError, "matmul", f"inner sizes: {error}", a, b) from None
    if differ:
        problem = f"inner sizes differ, {inner[0]} != {inner[1]}"
        raise complaint(ShapeError, "matmul", problem, a, b)
    result_shape_x = () if a.ndim == 1 else a.shape[-2:-1]
    result_shape_y = () if b.ndim == 1 else b.shape[-1:]
    a = a.unsqueeze(0) if a.ndim == 1 else a
    b = b.unsqueeze(1) if b.ndim == 1 else b
    if b.ndim == 2:
        # One matrix for all leading sizes: a single product of a tall matrix, not many small ones.
        batch = a.shape[:-2]
        product = apply(Matmul(), a.reshape((dims.product(a.shape[:-1]), a.shape[-1])), b)
    else:
        batch = broadcast_shapes("matmul", (a, b), trailing=2)
        a = a.broadcast_to((*batch, *a.shape[-2:]))
        b = b.broadcast_to((*batch, *b.shape[-2:]))
        product = apply(Matmul(), a, b)
    return product.reshape((*batch, *result_shape_x, *result_shape_y))
