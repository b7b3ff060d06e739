"""How much arithmetic a node is: the rule by which floating-point operations are counted everywhere."""

from __future__ import annotations

from graphc import dims
from graphc.dims import Size
from graphc.ir import Node
from graphc.ops.contractions import Matmul
from graphc.ops.reductions import Amax, Sum
from graphc.ops.softmax import LogSoftmax, LogSumExp, Softmax

__all__ = ["operations"]


def operations(node: Node) -> Size:
    """2·M·N·K for a product, one for each element of a pointwise node, whatever it computes, and one for each element
    that a reduction joins. Softmax and its like count as the parts that `passes.decompose` makes of them; what only
    moves or makes values counts nothing.
    """
    results = node.type.numel
    if isinstance(node.op, Matmul):
        return 2 * results * node.inputs[0].type.shape[-1]
    if isinstance(node.op, (Sum, Amax)):
        return node.inputs[0].type.numel
    if isinstance(node.op, LogSumExp):  # maximum, -, exp and Σ; of each sum |maximum|, = ∞, where, log and +
        return 4 * node.inputs[0].type.numel + 5 * results
    if isinstance(node.op, Softmax):  # maximum, -, exp, Σ and ÷ or -; a logarithm of each sum
        d = node.op.dim
        sums = dims.product(size for k, size in enumerate(node.type.shape) if k != d)
        return 5 * results + (sums if isinstance(node.op, LogSoftmax) else 0)
    return results if node.op.is_pointwise else 0
