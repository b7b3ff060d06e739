"""The verifier: what a legal graph is, as a specification that runs.

It runs between passes in tests and under GRAPHC_VERIFY=1. A fault is shown inside the printed graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from typing import TYPE_CHECKING, NoReturn

from graphc.errors import VerifyError
from graphc.ir.cell import Cell
from graphc.ir.node import Node
from graphc.ir.op import OPS
from graphc.ir.output import OutputRole
from graphc.ir.printer import excerpt
from graphc.types import same_shape

if TYPE_CHECKING:
    from graphc.ir.graph import Graph

__all__ = ["problem_of", "verify"]


def verify(graph: Graph, stage: str = "") -> None:
    """Check every rule of a legal graph. Raises VerifyError with the faulty node in its place."""
    stage = stage or graph.name
    done: set[Node] = set()
    inputs = set(graph.inputs)
    for node in graph.inputs:
        if node.op.name != "placeholder":
            _fail(graph, stage, node, "an input that is not a placeholder")
    if len(inputs) != len(graph.inputs):
        twice = next(node for node, count in Counter(graph.inputs).items() if count > 1)
        _fail(graph, stage, twice, "an input that is listed twice")
    for node in graph.nodes:
        problem = problem_of(node, done, inputs)
        if problem:
            _fail(graph, stage, node, problem)
        done.add(node)
    updated: set[Cell] = set()
    for output in graph.outputs:
        is_update = output.role is OutputRole.UPDATE
        if is_update != (output.cell is not None):
            problem = f"output {output.name!r} has role {output.role.value} and cell {output.cell}"
            _fail(graph, stage, output.node, problem)
        if output.cell is not None:
            if output.cell in updated:
                _fail(graph, stage, output.node, f"{output.cell} is updated twice")
            if output.node.type != output.cell.type:
                _fail(graph, stage, output.node, f"an update of {output.cell} that has type {output.node.type}")
            updated.add(output.cell)


def _fail(graph: Graph, stage: str, node: Node, problem: str) -> NoReturn:
    raise VerifyError(f"{stage}: {problem}\n{excerpt(graph.inputs, graph.nodes, node, problem)}")


def problem_of(node: Node, done: Set[Node], inputs: Set[Node]) -> str | None:
    """What is illegal about a node, if anything, of a graph with `inputs`; `done` are the nodes before it."""
    if OPS.get(node.op.name) is not type(node.op):
        return f"{type(node.op).__name__} is not a registered op"
    if not all(operand in done for operand in node.inputs):
        return "an operand comes after its user"
    if node.op.name == "placeholder" and node not in inputs:
        return "a placeholder that is not an input of the graph"
    types = [operand.type for operand in node.inputs]
    try:
        inferred = node.op.infer(*types)
        guards = node.op.guards(*types)
    except Exception as error:  # whatever is wrong with the node, the fault is shown in its place
        return f"infer fails: {type(error).__name__}: {error}"
    if inferred != node.type:
        return f"has type {node.type}, but infer says {inferred}"
    if any(isinstance(size, int) and size < 0 for size in (*node.type.shape, *guards)):
        return "takes elements that its operand does not have"
    if node.op.is_pointwise and not all(same_shape(x.type.shape, node.type.shape) for x in node.inputs):
        return "a pointwise op whose operands are not broadcast"
    return None
