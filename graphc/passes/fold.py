"""Constant folding: what needs no input, no state and no size is computed once, when compiling."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from graphc.ir import Graph, Node
from graphc.ir.rewrite import rebuild
from graphc.ops import constant
from graphc.ops.leaves import Constant, TensorConstant
from graphc.ops.views import Broadcast

__all__ = ["fold_constants"]

MAX_ELEMENTS = 4096
"""Larger results are computed when sizes are bound: a compiled program should not hold them."""


def fold_constants(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph with nodes over constants replaced by their values. Broadcast numbers stay as they are."""
    folded = 0

    def step(node: Node) -> Node:
        nonlocal folded
        if not node.inputs or isinstance(node.op, Broadcast):
            return node
        if not all(isinstance(x.op, (Constant, TensorConstant)) for x in node.inputs):
            return node
        numel = node.type.numel
        if node.op.sizes or not isinstance(numel, int) or numel > MAX_ELEMENTS:
            return node
        folded += 1
        value = constant(node.op.eval(*[x.op.eval() for x in node.inputs]))
        return Node(value.node.op, (), node.type, node.origin.touched_by("fold_constants"))

    with torch.no_grad():
        return rebuild(graph, step), {"fold": folded}
