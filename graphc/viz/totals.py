"""What a graph has and does altogether: parameters, operations, activations, scratch memory."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from graphc import dims
from graphc.ir import Graph, Node, OutputRole, Role, topological_order
from graphc.runtime import Program
from graphc.schedule.kernels import is_view
from graphc.schedule.operations import operations
from graphc.viz.quantities import amount, bound_sizes, evaluated_graph, sizes_text

__all__ = ["Totals", "node_bytes", "totals_of"]


@dataclass(frozen=True)
class Totals:
    """Sums over a graph, each parameter once however often it is used. `str` is one line for people.

    `parameters` counts tensors and `values` what is in them. `flops` are those of all nodes, as `schedule.operations`
    counts them. `activation_bytes` are what the forward part computes: the values of nodes that an output or a gradient
    needs, and that no gradient goes into, apart from inputs, cells, constants and views. As much is kept for the
    backward part where nothing is fused. `scratch_bytes` is what a call of the program needs, None for a graph or where
    the backend has no plan.
    """

    parameters: int
    values: int
    parameter_bytes: int
    flops: int
    activation_bytes: int
    scratch_bytes: int | None
    sizes: Mapping[str, int]

    def __str__(self) -> str:
        held = f"{self.values:,} parameter{'' if self.values == 1 else 's'} ({amount(self.parameter_bytes, 'B')})"
        done = [amount(self.flops, "flop"), f"activations {amount(self.activation_bytes, 'B')}"]
        if self.scratch_bytes is not None:
            done.append(f"scratch {amount(self.scratch_bytes, 'B')}")
        bound = f" when {sizes_text(self.sizes)}" if self.sizes else ""
        return f"{held if self.parameters else 'no parameters'} · {', '.join(done)}{bound}"


def totals_of(value: Graph | Program, sizes: Mapping[str, int] | None = None) -> Totals:
    """The totals of a graph, or of what a program was told to compute, for `sizes`, completed as by `bound_sizes`.

    Raises DrawingError for sizes that do not exist or that the graph cannot have.
    """
    graph = evaluated_graph(value)
    bound = bound_sizes(graph, sizes)
    parameters = [cell.type for cell in graph.cells if cell.role is Role.PARAMETER]
    memory = value.memory if isinstance(value, Program) else None
    return Totals(
        len(parameters),
        sum(dims.evaluate(type_.numel, bound) for type_ in parameters),
        sum(dims.evaluate(type_.nbytes, bound) for type_ in parameters),
        sum(dims.evaluate(operations(node), bound) for node in graph.nodes),
        sum(node_bytes(node, bound) for node in _activations(graph)),
        None if memory is None else memory.nbytes(bound),
        bound,
    )


def node_bytes(node: Node, sizes: Mapping[str, int]) -> int:
    """Bytes of a node's value, as it lies in memory without padding."""
    return math.prod(dims.evaluate(size, sizes) for size in node.type.shape) * node.type.dtype.itemsize


def _activations(graph: Graph) -> list[Node]:
    """The nodes whose values `activation_bytes` counts."""
    roots = [output.node for output in graph.outputs if output.role is not OutputRole.UPDATE]
    roots += [node for node in graph.nodes if node.origin.forward is not None]
    after: set[Node] = set()
    found: list[Node] = []
    for node in topological_order(roots):
        if node.origin.forward is not None or any(x in after for x in node.inputs):
            after.add(node)
        elif node.inputs and not is_view(node):
            found.append(node)
    return found
