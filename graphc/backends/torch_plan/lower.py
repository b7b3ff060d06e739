"""What torch computes faster in another form: rewrites that only the torch plan makes.

They reassociate sums, as the products that they become do, and change no other result.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from graphc import dims
from graphc.ir import Graph, Node, Tensor, apply
from graphc.ir.rewrite import rewrite, rule
from graphc.ops.arithmetic import Square
from graphc.ops.contractions import Matmul
from graphc.ops.leaves import Full
from graphc.ops.likelihoods import BinaryCrossEntropy
from graphc.ops.reductions import Sum
from graphc.ops.views import Broadcast

__all__ = ["lower"]

BLAS_DTYPES = (torch.float32, torch.float64)


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
                return apply(Matmul(), row, column).reshape(())
    return None


@rule(Sum)
def sum_of_rows(n: Node) -> Tensor | None:
    """Σ_i x[i, j] as a row of ones times x: a product is called twice as fast as a reduction."""
    match n:
        case Node(op=Sum(dims=(0,)), inputs=(x,)) if x.type.ndim == 2 and x.type.dtype in BLAS_DTYPES:
            if not isinstance(x.op, Broadcast) and not dims.same(x.type.shape[0], 1):
                ones = apply(Full(1.0, (1, x.type.shape[0]), x.type.dtype))
                return apply(Matmul(), ones, Tensor(x)).reshape(n.type.shape)
    return None


@rule(BinaryCrossEntropy)
def cross_entropy_by_formula(n: Node) -> Tensor | None:
    """torch's own call raises for probabilities outside [0, 1] and is slower than its parts in planned memory."""
    p, t = map(Tensor, n.inputs)
    return (t - 1.0) * (-p).log1p().clamp(min=-100.0) - t * p.log().clamp(min=-100.0)


RULES = (sum_of_squares, sum_of_rows, cross_entropy_by_formula)
