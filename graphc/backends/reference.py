"""The reference backend: evaluates a graph node by node with the ops' own `eval`. It judges all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.ir import Graph, Node
from graphc.state import State
from graphc.types import Array

__all__ = ["ReferenceExecutable", "evaluate"]


def evaluate(graph: Graph, inputs: Sequence[Array], sizes: Mapping[str, int], state: State) -> dict[Node, Array]:
    """The value of every node. Values may share memory with each other, with `inputs` and with the State."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    device = state.device
    for node in graph.nodes:
        if node in values:
            continue
        if node.op.cell is not None:
            values[node] = state.read(node.op.cell)
        else:
            value = node.op.bound(sizes).eval(*[values[operand] for operand in node.inputs])
            values[node] = value if node.inputs else value.to(device)
    return values


@dataclass(frozen=True, eq=False)
class _ReferenceBound:
    graph: Graph
    sizes: Mapping[str, int]
    state: State
    threads: int | None = None

    def is_current(self, state: State) -> bool:
        return state is self.state

    def run(self, *inputs: Array) -> list[Array]:
        values = evaluate(self.graph, inputs, self.sizes, self.state)
        results = [values[output.node].clone() for output in self.graph.outputs]
        given = []
        # Every new value is complete before the first is stored: updates read the values from before the step.
        for output, result in zip(self.graph.outputs, results, strict=True):
            if output.cell is None:
                given.append(result)
            else:
                self.state.read(output.cell).copy_(result)
        return given


@dataclass(frozen=True, eq=False)
class ReferenceExecutable:
    """Runs `graph` as it is."""

    graph: Graph
    source: str = ""

    def bind(self, sizes: Mapping[str, int], state: State) -> _ReferenceBound:
        return _ReferenceBound(self.graph, dict(sizes), state)
