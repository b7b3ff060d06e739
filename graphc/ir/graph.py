"""A graph: what the passes take and give. Immutable; its nodes are found from its outputs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphc.dims import symbols_of
from graphc.errors import GraphFileError, VerifyError, one_line
from graphc.ir.builder import builder_code
from graphc.ir.cell import Cell
from graphc.ir.file import read_text_file, write_text_file
from graphc.ir.lazy import lazy
from graphc.ir.node import Node
from graphc.ir.output import Output, OutputRole
from graphc.ir.printer import print_graph
from graphc.ir.saved import graph_from_json, graph_to_json
from graphc.ir.verify import verify

if TYPE_CHECKING:
    import networkx

__all__ = ["Graph", "topological_order"]

LONGEST_PROBLEM = 400
"""Characters of what a message says about a file: names in it may have any length."""


@dataclass(frozen=True, eq=False)
class Graph:
    """`inputs` are the placeholder nodes in call order, used or not. `name` says which stage this is."""

    inputs: tuple[Node, ...]
    outputs: tuple[Output, ...]
    name: str = "graph"

    @lazy
    def nodes(self) -> tuple[Node, ...]:
        """Every node that an output needs, operands before users; placeholders that nothing uses are not among them."""
        return topological_order(output.node for output in self.outputs)

    def topological_order(self) -> tuple[Node, ...]:
        return self.nodes

    @lazy
    def users(self) -> dict[Node, tuple[Node, ...]]:
        """For each node the nodes that read it, once for each operand position."""
        found: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for operand in node.inputs:
                found[operand].append(node)
        return {node: tuple(users) for node, users in found.items()}

    @lazy
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

    @lazy
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the graph to a file that `Graph.load` reads: JSON, one line for each node, the same for equal graphs.

        A graph is structure. Values belong to States: of cells, only hyper-parameters keep theirs. Lines and modules
        are kept, with names of source files, which are relative where they lie below the working directory.
        Raises GraphFileError.
        """
        write_text_file(path, self.to_json())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Graph:
        """The graph of a file that `save` wrote. Nothing in the file is ever executed.

        Its cells are new: hyper-parameters have the value of the file, all others are zeros, at first and in a new
        State. Raises GraphFileError, which names the file and the place, for whatever is not a legal graph.
        """
        return cls.from_json(read_text_file(path), os.fspath(path))

    def to_json(self) -> str:
        """The text of the file that `save` writes. Raises GraphFileError, and VerifyError if the graph is not legal."""
        verify(self)
        return graph_to_json(self.name, self.inputs, self.nodes, self.outputs)

    @classmethod
    def from_json(cls, text: str, source: str = "the text") -> Graph:
        """The graph that `to_json` gave `text` for; errors call it `source`. As `load` otherwise."""
        try:
            name, inputs, outputs = graph_from_json(text)
            graph = cls(inputs, outputs, name)
            verify(graph, "the graph")
        except (GraphFileError, VerifyError) as error:
            problem = one_line(str(error).split("\n", 1)[0])  # a fault that verify finds is shown below its first line
            short = problem if len(problem) <= LONGEST_PROBLEM else f"{problem[:LONGEST_PROBLEM]}…"
            remedy = ". Graphs are written by graph.save(path), and the whole file is read" * (" JSON" in short)
            raise GraphFileError(f"{one_line(source)}: {short}{remedy}") from None
        return graph

    def to_python(self) -> str:
        """A Python program that builds the same graph, and calls it `graph`.

        Operations, types, inputs, outputs and cells are the same; lines and modules are not, and values only where
        `save` keeps them. Names that users chose are quoted text, or made identifiers.
        """
        return builder_code(self.name, self.inputs, self.nodes, self.outputs)

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
