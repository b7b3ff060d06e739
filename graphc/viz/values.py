"""Overlays of what a program computes on a batch: norms of its gradients, and where NaN and infinities come from.

They are found by evaluating what was declared, node by node, on values that stay as they are: no pass has moved or
merged anything, and each number belongs to a line of the user's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import torch

from graphc.backends.nonfinite import cause_of, given_name
from graphc.backends.reference import evaluate
from graphc.errors import StateError, compose, type_name
from graphc.ir import Graph, Node
from graphc.ops import Constant, TensorConstant
from graphc.runtime import Program
from graphc.runtime.signature import Signature
from graphc.schedule.kernels import is_literal, is_view
from graphc.state import State
from graphc.types import Array, dtype_name
from graphc.viz.errors import DrawingError
from graphc.viz.gradients import results_of
from graphc.viz.quantities import Overlay, Row, checked_program, evaluated_graph, ranked, sizes_text

__all__ = ["gradient_norms", "nan_origin"]


def gradient_norms(program: Program, inputs: Sequence[object], state: State | None = None) -> Overlay:
    """The L2 norm of every gradient that a step computes on `inputs`; `state` stays as it is.

    A node has one if it belongs to a backward part and depends on the derivative of the loss to itself, 1, where that
    part begins: `w.T`, by which a gradient is multiplied, is none. Rows are the gradients of parameters, by name, and
    outputs that are gradients. That of a parameter is the backward value of its type that is the fewest steps back from
    its new value; the parameter's own node has its norm, too. Raises DrawingError without gradients, InputError and
    StateError as a call does.
    """
    graph, sizes, values = _evaluated("gradient", program, inputs, state)
    gradients = _gradients(graph)
    if not gradients:
        remedy = "compile it with updates=optimizer.minimize(loss), or with outputs that graphc.grad made"
        raise DrawingError(compose("overlay 'gradient'", "the program has no gradients", remedy=remedy))
    of_nodes = {node.origin.ident: _norm(values[node]) for node in gradients}
    parameters = {node.op.cell: node.origin.ident for node in graph.nodes if node.op.cell is not None}
    rows = []
    for output, node in results_of(graph):
        norm = _norm(values[node])
        own = () if output.cell is None or output.cell not in parameters else (parameters[output.cell],)
        idents = (node.origin.ident, *own)
        of_nodes.update(dict.fromkeys(idents, norm))
        rows.append(Row(output.name, node.origin.module, node.origin.location, norm, norm, idents))
    largest = max((row.value for row in rows if math.isfinite(row.value)), default=0.0)
    return Overlay(
        "gradient",
        "L2 norms of gradients",
        "norm",
        MappingProxyType(of_nodes),
        MappingProxyType({}),
        ranked(replace(row, share=row.value / largest if largest else 0.0) for row in rows),
        (sizes_text(sizes),) if sizes else (),
    )


def nan_origin(program: Program, inputs: Sequence[object], state: State | None = None) -> Overlay:
    """Where NaN and infinities come from in a step on `inputs`; `state` stays as it is.

    Nodes have the number of entries that are not finite, if there are any. Rows are the origins, the nodes with such
    entries none of whose operands has any, in the order of evaluation; last those from which none gets to a result, as
    where `where` takes the other side. Constants are as they were meant: an infinite one is no origin, but what is made
    of it may be. Raises InputError and StateError as a call does.
    """
    graph, sizes, values = _evaluated("nan", program, inputs, state)
    meant: set[Node] = set()
    counts: dict[Node, int] = {}
    origins: list[Node] = []
    for node in graph.nodes:
        if is_literal(node) or isinstance(node.op, TensorConstant) or (is_view(node) and node.inputs[0] in meant):
            meant.add(node)
        elif values[node].is_floating_point():
            count = int((~values[node].isfinite()).sum())
            if count:
                counts[node] = count
                if not any(x in counts for x in node.inputs):
                    origins.append(node)
    reaching = {output.node for output in graph.outputs if output.node in counts}
    for node in reversed(graph.nodes):
        if node in reaching:
            reaching.update(x for x in node.inputs if x in counts)
    origins.sort(key=lambda node: node not in reaching)
    ops = {node.origin.ident: node.op.name for node in graph.nodes}
    rows = tuple(_origin(node, [values[x] for x in node.inputs], values[node], counts[node], ops) for node in origins)
    if origins and origins[0] in reaching:
        findings = [rows[0].text, *_further(len(rows) - 1, len(counts) - len(rows))]
    else:
        findings = ["every result is finite", *_further(len(rows), len(counts) - len(rows))]
    return Overlay(
        "nan",
        "values that are NaN or infinite",
        "entries",
        MappingProxyType({node.origin.ident: count for node, count in counts.items()}),
        MappingProxyType({}),
        rows,
        tuple(text for text in (sizes_text(sizes), *findings) if text),
    )


def _evaluated(
    name: str, program: Program, inputs: Sequence[object], state: State | None
) -> tuple[Graph, dict[str, int], dict[Node, Array]]:
    """The graph that is evaluated, the sizes of `inputs`, and the value of every node."""
    state = checked_program(name, program).state if state is None else state
    if not isinstance(state, State):
        raise StateError(f"state is a {type_name(state)}, not a graphc State. Make one with program.new_state()")
    graph = evaluated_graph(program)
    arrays = program.check_inputs(inputs, state)
    sizes = Signature.of(graph).bind(arrays)
    # Counters of random masks follow the State to its device when a program is called, and none has been called here.
    placed = State(graph.cells, {cell: state.read(cell).to(state.device) for cell in graph.cells})
    with torch.no_grad():
        return graph, sizes, evaluate(graph, arrays, sizes, placed)


# Gradients ------------------------------------------------------------------------------------------------------------


def _norm(value: Array) -> float:
    return float(torch.linalg.vector_norm(value.to(torch.float64)))


def _gradients(graph: Graph) -> list[Node]:
    """The floating backward nodes that depend on the 1 where their backward part begins.

    That is the first node that was built for the loss. Other ops may begin with a 1, too, but what they are given comes
    from the backward part of a later node, which read theirs.
    """
    first: dict[int, Node] = {}
    given: set[int] = set()
    for node in graph.nodes:
        forward = node.origin.forward
        if forward is not None:
            if forward not in first or node.origin.ident < first[forward].origin.ident:
                first[forward] = node
            if any(x.origin.forward is not None and x.origin.forward > forward for x in node.inputs):
                given.add(forward)
    found: dict[Node, None] = {}
    for node in graph.nodes:
        forward = node.origin.forward
        if forward is None or not node.type.dtype.is_floating_point:
            continue
        is_start = first[forward] is node and forward not in given and isinstance(node.op, Constant)
        if is_start or any(x in found for x in node.inputs):
            found[node] = None
    return list(found)


# NaN ------------------------------------------------------------------------------------------------------------------


def _further(origins: int, reached: int) -> list[str]:
    """How many more origins there are than those that were named, and how many values have it from origins."""
    found = []
    if origins:
        found.append(f"{origins:,} more origin{'s' if origins > 1 else ''}")
    if reached:
        found.append(f"{reached:,} more value{'s are' if reached > 1 else ' is'} not finite because of that")
    return found


def _origin(node: Node, operands: Sequence[Array], value: Array, count: int, ops: Mapping[int, str]) -> Row:
    origin = node.origin
    nans = int(value.isnan().sum())
    kind = "NaN" if nans == count else "NaN or infinite" if nans else "infinite"
    found = f"{count:,} of {value.numel():,} entries {'is' if count == 1 else 'are'} {kind}"
    text = f"{_cause(node, operands, value)}{_backward(node, ops)}: {found if value.ndim else f'the value is {kind}'}"
    if origin.location:
        text += f"; built at {origin.location}"
    if origin.module:
        text += f" in {origin.module}"
    share = count / value.numel()
    return Row(given_name(node) or node.op.name, origin.module, origin.location, count, share, (origin.ident,), text)


def _backward(node: Node, ops: Mapping[int, str]) -> str:
    forward = node.origin.forward
    if forward is None:
        return ""
    return f" in the gradient of {ops[forward]}" if forward in ops else " in a gradient"


def _cause(node: Node, operands: Sequence[Array], value: Array) -> str:
    name = node.op.name
    if not operands:
        return given_name(node) or name
    cause = cause_of(node, operands, value)
    if cause is not None:
        return cause.text
    if not bool(value.isnan().any()) and all(bool(x.isfinite().all()) for x in operands):
        return f"{name} beyond the largest {dtype_name(value.dtype)}"
    return name
