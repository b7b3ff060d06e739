"""Which nodes are the gradients of a graph: those that it returns, and those that updates of parameters use."""

from __future__ import annotations

from collections import deque

from graphc.ir import Cell, Graph, Node, Output, OutputRole, Role

__all__ = ["results_of"]


def results_of(graph: Graph) -> list[tuple[Output, Node]]:
    """The outputs that are gradients, and the updates of parameters, each with its gradient."""
    after: set[Node] = set()
    for node in graph.nodes:
        if node.origin.forward is not None or any(x in after for x in node.inputs):
            after.add(node)
    found = []
    for output in graph.outputs:
        if output.role is OutputRole.GRADIENT:
            found.append((output, output.node))
        elif output.cell is not None and output.cell.role is Role.PARAMETER:
            gradient = _nearest(output.node, output.cell, after)
            if gradient is not None:
                found.append((output, gradient))
    return found


def _nearest(new: Node, cell: Cell, after: set[Node]) -> Node | None:
    """The backward node of the cell's type that is the fewest steps back from its new value."""
    waiting, seen = deque([new]), {new}
    while waiting:
        node = waiting.popleft()
        if node.origin.forward is not None:
            if node.type == cell.type:
                return node
            continue
        for operand in node.inputs:
            if operand in after and operand not in seen:
                seen.add(operand)
                waiting.append(operand)
    return None
