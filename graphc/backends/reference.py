"""The reference backend: evaluates a graph node by node with the ops' own `eval`. It judges all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from weakref import ref

from graphc import dims
from graphc.backends.binding import need_for_call
from graphc.ir import Graph, Node
from graphc.schedule.kernels import is_view
from graphc.state import State
from graphc.types import Array

__all__ = ["ReferenceExecutable", "evaluate", "evaluate_in_order"]


def evaluate(graph: Graph, inputs: Sequence[Array], sizes: Mapping[str, int], state: State) -> dict[Node, Array]:
    """The value of every node. Values may share memory with each other, with `inputs` and with the State."""
    values: dict[Node, Array] = {}
    for _ in evaluate_in_order(graph, inputs, sizes, state, values):
        pass
    return values


def evaluate_in_order(
    graph: Graph, inputs: Sequence[Array], sizes: Mapping[str, int], state: State, values: dict[Node, Array]
) -> Iterator[tuple[Node, Array]]:
    """Each node with its value, as soon as there is one; `values`, empty at first, has those so far."""
    values.update(zip(graph.inputs, inputs, strict=True))
    yield from list(values.items())
    device = state.device
    for node in graph.nodes:
        if node in values:
            continue
        if node.op.cell is not None:
            values[node] = state.read(node.op.cell)
        else:
            value = node.op.bound(sizes).eval(*[values[operand] for operand in node.inputs])
            values[node] = value if node.inputs else value.to(device)
        yield node, values[node]


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
        if state.device.type == "cpu":
            held = [node for node in self.graph.nodes if node.inputs and not is_view(node)]
            held += [output.node for output in self.graph.outputs]
            need_for_call(sum(dims.evaluate(node.type.nbytes, sizes) for node in held), held, sizes)
        return _ReferenceBound(self.graph, dict(sizes), state)

    def loop(self, *run: object) -> None:
        """None: Python calls step by step."""
