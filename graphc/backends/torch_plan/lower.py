"""What torch computes faster in another form: rewrites that only the torch plan makes.

They reassociate short sums, as the products that they become do, and change no other result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from graphc import dims
from graphc.dims import Size
from graphc.ir import Arg, Graph, Node, Sample, Tensor, TorchCall, apply
from graphc.ir.rewrite import rewrite, rule
from graphc.ops.arithmetic import Square
from graphc.ops.contractions import Matmul
from graphc.ops.leaves import Full
from graphc.ops.likelihoods import BinaryCrossEntropy
from graphc.ops.reductions import Sum
from graphc.ops.views import Broadcast
from graphc.types import Array

__all__ = ["lower"]

BLAS_DTYPES = (torch.float32, torch.float64)

SHORT = 1024
"""Terms up to which a sum may be a product: BLAS adds them one after another, and its error grows with their number;
`torch.sum` adds them pairwise.
"""


def product_or_sum_of_rows(terms: int) -> Callable[..., Array]:
    """A function of (ones[1, n], x[n, m]) that sums the rows of x."""
    return torch.mm if terms <= SHORT else lambda ones, x, out: torch.sum(x, 0, keepdim=True, out=out)


def product_or_sum_of_squares(terms: int) -> Callable[..., Array]:
    """A function of (x[1, n], x[n, 1]) that sums the squares of x."""
    return torch.mm if terms <= SHORT else lambda row, x, out: torch.sum(torch.square(row), 1, keepdim=True, out=out)


@dataclass(frozen=True)
class SumOfRows(Matmul):
    """The product of a row of ones and a matrix; `terms` is the number of rows."""

    torch = TorchCall(product_or_sum_of_rows, factory=("terms",))
    exempt = ("0-d: the operands are matrices",)
    terms: Size

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for n, m in ((3, 4), (1, 1), (0, 2), (5, 0)):
            yield Sample(cls(n), (Arg((1, n), low=1.0, high=1.0), Arg((n, m))))


@dataclass(frozen=True)
class SumOfSquares(Matmul):
    """The product of a row and the same numbers as a column; `terms` is how many there are."""

    torch = TorchCall(product_or_sum_of_squares, factory=("terms",))
    exempt = ("0-d: the operands are matrices",)
    terms: Size

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for n in (3, 1, 0):
            yield Sample(cls(n), (Arg((1, n)), Arg((n, 1))))


def lower(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph in the form that torch runs fastest, and how often each rule fired."""
    return rewrite(graph, RULES, "lower")


@rule(Sum)
def sum_of_squares(n: Node) -> Tensor | None:
    """Σ x² as a row times a column: one call, and the squares are never stored."""
    match n:
        case Node(op=Sum(), inputs=(Node(op=Square(), inputs=(x,)),), type=type_) if not type_.shape:
            if type_.dtype in BLAS_DTYPES and not isinstance(x.op, Broadcast):
                row = Tensor(x).reshape((1, x.type.numel))
                column = Tensor(x).reshape((x.type.numel, 1))
                return apply(SumOfSquares(x.type.numel), row, column).reshape(())
    return None


@rule(Sum)
def sum_of_rows(n: Node) -> Tensor | None:
    """Σ_i x[i, j] as a row of ones times x: a product is called twice as fast as a reduction."""
    match n:
        case Node(op=Sum(dims=(0,)), inputs=(x,)) if x.type.ndim == 2 and x.type.dtype in BLAS_DTYPES:
            if not isinstance(x.op, Broadcast) and not dims.same(x.type.shape[0], 1):
                ones = apply(Full(1.0, (1, x.type.shape[0]), x.type.dtype))
                return apply(SumOfRows(x.type.shape[0]), ones, Tensor(x)).reshape(n.type.shape)
    return None


@rule(BinaryCrossEntropy)
def cross_entropy_by_formula(n: Node) -> Tensor | None:
    """torch's own call raises for probabilities outside [0, 1] and is slower than its parts in planned memory."""
    p, t = map(Tensor, n.inputs)
    return (t - 1.0) * (-p).log1p().clamp(min=-100.0) - t * p.log().clamp(min=-100.0)


RULES = (sum_of_squares, sum_of_rows, cross_entropy_by_formula)
