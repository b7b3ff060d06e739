"""Common subexpressions: nodes with the same op on the same operands become one."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir import Graph, Node, Op
from graphc.ir.rewrite import rebuild
from graphc.ops import Placeholder

__all__ = ["cse"]


def cse(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph in which no two nodes have equal op and operands. The first one built keeps its origin."""
    known: dict[tuple[Op, tuple[Node, ...]], Node] = {}
    merged = 0

    def step(node: Node) -> Node:
        nonlocal merged
        if isinstance(node.op, Placeholder):
            return node
        first = known.setdefault((node.op, node.inputs), node)
        merged += first is not node
        return first

    return rebuild(graph, step), {"merge_equal_nodes": merged}
