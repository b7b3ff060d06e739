"""Dead code: updates that store what the cell holds already. Nodes that no output needs are in no graph anyway."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir import Graph
from graphc.ops import CellValue

__all__ = ["dce"]


def dce(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph without updates that change nothing, and how many nodes that spared."""
    kept = tuple(
        output
        for output in graph.outputs
        if not (
            output.cell is not None and isinstance(output.node.op, CellValue) and output.node.op.cell is output.cell
        )
    )
    if len(kept) == len(graph.outputs):
        return graph, {}
    result = Graph(graph.inputs, kept, graph.name)
    return result, {
        "drop_idle_update": len(graph.outputs) - len(kept),
        "drop_dead_node": len(graph.nodes) - len(result.nodes),
    }
