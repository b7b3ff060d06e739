"""The reference backend: evaluates a graph node by node with the ops' own `eval`. It judges all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import ref

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


class _ReferenceBound:
    """Evaluates with one State, which it does not keep alive."""

    threads = None
    nbytes = 0
    written = (0, 0)  # every new value is complete before the first is stored

    def __init__(self, graph: Graph, sizes: Mapping[str, int], state: State) -> None:
        self._graph = graph
        self._sizes = sizes
        self._state = ref(state)

    def is_current(self, state: State) -> bool:
        return state is self._state()

    def reads_and_writes(self, address: int) -> bool:
        return False

    def run(self, *inputs: Array) -> list[Array]:
        state = self._state()
        assert state is not None, "whoever calls holds the State"
        values = evaluate(self._graph, inputs, self._sizes, state)
        results = [values[output.node].clone() for output in self._graph.outputs]
        given = []
        for output, result in zip(self._graph.outputs, results, strict=True):
            if output.cell is None:
                given.append(result)
            else:
                state.read(output.cell).copy_(result)
        return given


@dataclass(frozen=True, eq=False)
class ReferenceExecutable:
    """Runs `graph` as it is."""

    graph: Graph
    source: str = ""

    def bind(self, sizes: Mapping[str, int], state: State) -> _ReferenceBound:
        return _ReferenceBound(self.graph, dict(sizes), state)

    def loop(self, *run: object) -> None:
        """None: Python calls step by step."""
