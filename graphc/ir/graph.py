"""A graph: what the passes take and give. Immutable; its nodes are found from its outputs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from graphc.dims import symbols_of
from graphc.ir.cell import Cell
from graphc.ir.node import Node
from graphc.ir.output import Output, OutputRole
from graphc.ir.printer import print_graph

if TYPE_CHECKING:
    import networkx

__all__ = ["Graph", "topological_order"]


@dataclass(frozen=True, eq=False)
class Graph:
    """`inputs` are the placeholder nodes in call order, used or not. `name` says which stage this is."""

    inputs: tuple[Node, ...]
    outputs: tuple[Output, ...]
    name: str = "graph"

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node that an output needs, operands before users; placeholders that nothing uses are not among them."""
        return topological_order(output.node for output in self.outputs)

    def topological_order(self) -> tuple[Node, ...]:
        return self.nodes

    @cached_property
    def users(self) -> dict[Node, tuple[Node, ...]]:
        """For each node the nodes that read it, once for each operand position."""
        found: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for operand in node.inputs:
                found[operand].append(node)
        return {node: tuple(users) for node, users in found.items()}

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell that is read or updated, in order of first appearance."""
        found: dict[Cell, None] = {}
        for node in self.nodes:
            if node.op.cell is not None:
                found[node.op.cell] = None
        for output in self.outputs:
            if output.cell is not None:
                found[output.cell] = None
        return tuple(found)

    @cached_property
    def symbols(self) -> tuple[str, ...]:
        """Names of the sizes that are bound at each call, sorted."""
        found: set[str] = set()
        for node in (*self.inputs, *self.nodes):
            found |= symbols_of(node.type.shape) | symbols_of(node.op.sizes)
        return tuple(sorted(found))

    def __str__(self) -> str:
        return print_graph(self.name, self.inputs, self.nodes, self.outputs)

    def subgraph(self, *roles: OutputRole) -> Graph:
        """The graph of the outputs with one of `roles`: forward, gradient and update stages are such graphs."""
        return Graph(self.inputs, tuple(output for output in self.outputs if output.role in roles), self.name)

    def to_networkx(self) -> networkx.MultiDiGraph:
        """The graph for other tools: a node for each node (with `op`, `type` and `origin`), an edge for each operand.

        Nodes are numbered in topological order. Edges have the operand's `position`.
        """
        import networkx

        result: networkx.MultiDiGraph = networkx.MultiDiGraph(name=self.name)
        nodes = topological_order([*self.inputs, *(output.node for output in self.outputs)])
        number = {node: i for i, node in enumerate(nodes)}
        for node, i in number.items():
            result.add_node(i, op=node.op, type=node.type, origin=node.origin, label=str(node.op))
        for node, i in number.items():
            for position, operand in enumerate(node.inputs):
                result.add_edge(number[operand], i, position=position)
        return result


def topological_order(roots: Iterable[Node]) -> tuple[Node, ...]:
    """All nodes that `roots` need, operands before users, in the order of a depth-first walk. Does not recurse."""
    done: dict[Node, None] = {}
    entered: set[Node] = set()
    for root in roots:
        stack = [root]
        while stack:
            node = stack[-1]
            if node in done:
                stack.pop()
            elif node in entered:
                stack.pop()
                done[node] = None
            else:
                entered.add(node)
                stack.extend(operand for operand in reversed(node.inputs) if operand not in done)
    return tuple(done)
