"""Ops that one call of torch computes and generated code does not, in terms of ops of which it computes each element.

The backends that generate code run this after the other passes: rules find softmax and its like whole, and a plan of
torch calls keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from graphc import dims
from graphc.ir import Graph, Node, Tensor
from graphc.ir.rewrite import rewrite, rule
from graphc.ops.leaves import constant
from graphc.ops.selections import where
from graphc.ops.softmax import LogSoftmax, LogSumExp, Softmax
from graphc.passes.canonicalise import mean_as_sum

__all__ = ["decompose"]


def decompose(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph without the ops that `RULES` know, and how often each rule fired."""
    return rewrite(graph, RULES, "decompose")


def _is_empty(x: Tensor, summed: Sequence[int]) -> bool:
    """Whether there is no maximum, since a dimension has no elements."""
    return any(dims.same(x.shape[d], 0) for d in summed)


@rule(Softmax)
def softmax_in_parts(n: Node) -> Tensor | None:
    match n:
        case Node(op=Softmax(dim=d), inputs=(node,)):
            x = Tensor(node)
            if _is_empty(x, (d,)):
                return x
            e = (x - x.amax(d, keepdim=True)).exp()
            return e / e.sum(d, keepdim=True)
    return None


@rule(LogSoftmax)
def log_softmax_in_parts(n: Node) -> Tensor | None:
    match n:
        case Node(op=LogSoftmax(dim=d), inputs=(node,)):
            x = Tensor(node)
            if _is_empty(x, (d,)):
                return x
            shifted = x - x.amax(d, keepdim=True)
            return shifted - shifted.exp().sum(d, keepdim=True).log()
    return None


@rule(LogSumExp)
def log_sum_exp_in_parts(n: Node) -> Tensor | None:
    """A maximum that is infinite is not subtracted, which would give NaN."""
    match n:
        case Node(op=LogSumExp(dims=summed), inputs=(node,)):
            x = Tensor(node)
            if _is_empty(x, summed):
                return constant(-math.inf, x.dtype).broadcast_to(n.type.shape)
            largest = x.amax(summed, keepdim=True)
            shift = where(largest.abs() == math.inf, 0.0, largest)
            return (x - shift).exp().sum(summed).log() + shift.reshape(n.type.shape)
    return None


RULES = (mean_as_sum, softmax_in_parts, log_softmax_in_parts, log_sum_exp_in_parts)
