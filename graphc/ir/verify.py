"""The verifier: what a legal graph is, as a specification that runs.

It runs between passes in tests and under GRAPHC_VERIFY=1. A fault is shown inside the printed graph.
"""

from __future__ import annotations

from graphc.errors import GraphcError, VerifyError
from graphc.ir.cell import Cell
from graphc.ir.graph import Graph
from graphc.ir.node import Node
from graphc.ir.op import OPS
from graphc.ir.output import OutputRole
from graphc.ir.printer import excerpt
from graphc.types import same_shape

__all__ = ["verify"]


def verify(graph: Graph, stage: str = "") -> None:
    """Check every rule of a legal graph. Raises VerifyError with the faulty lines."""
    stage = stage or graph.name
    done: set[Node] = set()
    inputs = set(graph.inputs)
    if len(inputs) != len(graph.inputs):
        raise VerifyError(f"{stage}: an input is listed twice")
    for node in graph.nodes:
        problem = _problem(node, done, inputs)
        if problem:
            raise VerifyError(f"{stage}: {problem}\n{excerpt(graph.nodes, node, problem)}")
        done.add(node)
    updated: set[Cell] = set()
    for output in graph.outputs:
        is_update = output.role is OutputRole.UPDATE
        if is_update != (output.cell is not None):
            raise VerifyError(f"{stage}: output {output.name!r} has role {output.role.value} and cell {output.cell}")
        if output.cell is not None:
            if output.cell in updated:
                raise VerifyError(f"{stage}: {output.cell} is updated twice")
            if output.node.type != output.cell.type:
                raise VerifyError(f"{stage}: update of {output.cell} has type {output.node.type}")
            updated.add(output.cell)


def _problem(node: Node, done: set[Node], inputs: set[Node]) -> str | None:
    if OPS.get(node.op.name) is not type(node.op):
        return f"{type(node.op).__name__} is not a registered op"
    if not all(operand in done for operand in node.inputs):
        return "an operand comes after its user"
    if node.op.name == "placeholder" and node not in inputs:
        return "a placeholder that is not an input of the graph"
    try:
        inferred = node.op.infer(*(operand.type for operand in node.inputs))
    except GraphcError as error:
        return f"infer fails: {error}"
    if inferred != node.type:
        return f"has type {node.type}, but infer says {inferred}"
    if node.op.is_pointwise and not all(same_shape(x.type.shape, node.type.shape) for x in node.inputs):
        return "a pointwise op whose operands are not broadcast"
    return None
