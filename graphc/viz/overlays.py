"""Numbers to lay over a drawing: operations, bytes, memory, measured time, norms of gradients, where NaN comes from.

They are of a graph or a program, whatever part of it is drawn and however.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import torch

from graphc import dims
from graphc.backends.c import NativePlan
from graphc.backends.c.cost import Cost, cost
from graphc.backends.c.plan import Task
from graphc.backends.nonfinite import given_name
from graphc.errors import CompileError, brief, compose, type_name
from graphc.ir import Graph, Node
from graphc.ops import TensorConstant
from graphc.runtime import Profile, Program
from graphc.runtime.profile import ProfileRow
from graphc.schedule import Kernel, KernelSchedule
from graphc.schedule.kernels import is_literal, is_view
from graphc.schedule.operations import operations
from graphc.state import State
from graphc.types import Array
from graphc.viz.errors import DrawingError
from graphc.viz.quantities import (
    Overlay,
    Row,
    Unit,
    bound_sizes,
    checked_program,
    evaluated_graph,
    ranked,
    sizes_text,
)
from graphc.viz.totals import node_bytes
from graphc.viz.values import gradient_norms, nan_origin

__all__ = [
    "OVERLAYS",
    "Overlay",
    "Row",
    "batch_for",
    "bytes_of",
    "flops_of",
    "gradient_norms",
    "memory_of",
    "nan_origin",
    "overlay_of",
    "time_of",
]

OVERLAYS = ("time", "flops", "bytes", "memory", "gradient", "nan")

SECONDS = 0.2
"""How long steps are run to find their time."""

SHOWN = 3
"""Ops of a kernel that its row names."""


def overlay_of(
    name: str,
    value: Graph | Program,
    *,
    sizes: Mapping[str, int] | None = None,
    inputs: Sequence[object] | None = None,
    state: State | None = None,
) -> Overlay:
    """The overlay called `name`, one of OVERLAYS.

    `sizes` are for what is counted, and for a batch drawn at random where `time` has no `inputs`, 32 if not given;
    what is evaluated takes its sizes from `inputs`. Raises DrawingError for what cannot be found out.
    """
    if name not in OVERLAYS:
        problem = f"overlay {brief(name)} does not exist"
        raise DrawingError(compose("overlay", problem, remedy=f"choose one of {', '.join(map(repr, OVERLAYS))}"))
    if name == "flops":
        return flops_of(value, sizes)
    if name == "bytes":
        return bytes_of(value, sizes)
    if name == "memory":
        return memory_of(value, sizes)
    program = checked_program(name, value)
    if inputs is not None and (isinstance(inputs, str) or not isinstance(inputs, Sequence)):
        problem = f"inputs is a {type_name(inputs)}, not a list with a value for each input of the program"
        raise DrawingError(compose(f"overlay {name!r}", problem))
    if name == "time":
        return time_of(
            program, batch_for(program, sizes) if inputs is None else inputs, state, is_random=inputs is None
        )
    if inputs is None:
        problem = "it depends on the values that the program is called with"
        raise DrawingError(compose(f"overlay {name!r}", problem, remedy="give a batch, as in inputs=[...]"))
    return gradient_norms(program, inputs, state) if name == "gradient" else nan_origin(program, inputs, state)


def batch_for(program: Program, sizes: Mapping[str, int] | None = None, seed: int = 0) -> tuple[Array, ...]:
    """Inputs for `program`, drawn at random, for measurements for which any values will do.

    Floating inputs are normal, integers and booleans are 0 or 1, which are indices wherever there are two things to
    choose from. `sizes` are completed as by `bound_sizes`. Raises DrawingError.
    """
    bound = bound_sizes(evaluated_graph(program), sizes)
    generator = torch.Generator("cpu").manual_seed(seed)
    drawn = []
    for type_ in program.input_types:
        shape = [dims.evaluate(size, bound) for size in type_.shape]
        values = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
        values = values if type_.dtype.is_floating_point else values > 0
        drawn.append(values.to(type_.dtype).to(program.state.device))
    return tuple(drawn)


def flops_of(value: Graph | Program, sizes: Mapping[str, int] | None = None) -> Overlay:
    """The floating-point operations of each node, as `schedule.operations` counts them, and of each kernel."""
    graph = evaluated_graph(value)
    bound = bound_sizes(graph, sizes)
    found = {node: dims.evaluate(operations(node), bound) for node in graph.nodes}
    of_kernels = _of_kernels(value, bound, lambda each: each.flops)
    return _counted("flops", "floating-point operations", "flop", found, of_kernels, bound)


def bytes_of(value: Graph | Program, sizes: Mapping[str, int] | None = None) -> Overlay:
    """The bytes that each node reads and writes if it is computed alone, each value once; and that each kernel does.

    Through views a node reads the memory that they look at; views themselves, and constants that are numbers, move
    nothing. A kernel moves less than its nodes: what they hand to each other stays in registers.
    """
    graph = evaluated_graph(value)
    bound = bound_sizes(graph, sizes)
    seen: dict[Node, tuple[Node, int]] = {}
    found: dict[Node, int] = {}
    for node in graph.nodes:
        nbytes = node_bytes(node, bound)
        if is_view(node):
            source, least = seen[node.inputs[0]]
            seen[node] = source, min(least, nbytes)
            continue
        seen[node] = node, nbytes
        if given_name(node) or isinstance(node.op, TensorConstant) or is_literal(node):
            continue
        read: dict[Node, int] = {}
        for source, reached in (seen[x] for x in dict.fromkeys(node.inputs)):
            if not is_literal(source):
                read[source] = min(read.get(source, 0) + reached, seen[source][1])
        found[node] = nbytes + sum(read.values())
    of_kernels = _of_kernels(value, bound, lambda each: each.nbytes)
    return _counted("bytes", "bytes read and written", "B", found, of_kernels, bound)


def memory_of(value: Graph | Program, sizes: Mapping[str, int] | None = None) -> Overlay:
    """The bytes of each node's value, inputs and cells too; views and constants that are numbers have no memory."""
    graph = evaluated_graph(value)
    bound = bound_sizes(graph, sizes)
    found = {node: node_bytes(node, bound) for node in graph.nodes if not is_view(node) and not is_literal(node)}
    return _counted("memory", "memory of values", "B", found, {}, bound)


def time_of(
    program: Program,
    inputs: Sequence[object],
    state: State | None = None,
    *,
    seconds: float = SECONDS,
    is_random: bool = False,
) -> Overlay:
    """The time of each kernel in a step on `inputs`, measured for about `seconds` on a copy of `state`.

    A node has the time of the whole kernel that computes it. Copies into another layout are rows without nodes.
    `is_random` only says in a note that `inputs` were drawn. Raises DrawingError where the program is not native code,
    InputError and StateError as a call does.
    """
    checked_program("time", program)
    try:
        found = program.profile(*inputs, state=state, seconds=seconds)
    except CompileError as error:
        raise DrawingError(f"overlay 'time': {error}") from error
    schedule = program.schedule
    assert isinstance(schedule, KernelSchedule), "native code is made of kernels"
    kernels = {kernel.index: kernel for kernel in schedule.kernels}
    times = {row.kernel: row.seconds for row in found.rows if row.kernel is not None}
    kernel_of = {node.origin.ident: index for index in times for node in kernels[index].nodes}
    rows = [_of_copy(row) if row.kernel is None else _of_kernel(kernels[row.kernel], row) for row in found.rows]
    return Overlay(
        "time",
        "time of each kernel",
        "s",
        MappingProxyType({ident: times[index] for ident, index in kernel_of.items()}),
        MappingProxyType(times),
        ranked(rows),
        _notes(found.sizes, _how(found), "values drawn at random" if is_random else ""),
        MappingProxyType(kernel_of),
    )


def _how(found: Profile) -> str:
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    return f"a step takes {found.step * 1e6:,.3g} µs on {threads}"


def _of_kernel(kernel: Kernel, row: ProfileRow) -> Row:
    names = list(dict.fromkeys(node.op.name for node in kernel.nodes)) or ["copy"]
    what = " ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    leading = kernel.core or (kernel.nodes[0] if kernel.nodes else kernel.writes[0].node)
    idents = tuple(node.origin.ident for node in kernel.nodes)
    return Row(what, leading.origin.module, leading.origin.location, row.seconds, row.share, idents)


def _of_copy(row: ProfileRow) -> Row:
    return Row("copy in another layout", "", row.where, row.seconds, row.share)


def _of_kernels(value: Graph | Program, sizes: Mapping[str, int], of: Callable[[Cost], int]) -> dict[int, float]:
    """What native code must at least do, by kernel; nothing for what is no native code."""
    plan = value.memory if isinstance(value, Program) else None
    if not isinstance(plan, NativePlan):
        return {}
    return {task.kernel.index: of(cost(plan, task, sizes)) for task in plan.tasks if isinstance(task, Task)}


def _counted(
    name: str,
    title: str,
    unit: Unit,
    found: Mapping[Node, int],
    of_kernels: Mapping[int, float],
    sizes: Mapping[str, int],
) -> Overlay:
    """The overlay of numbers that are counted node by node; nodes with 0 are left out."""
    total = sum(found.values())
    of_nodes: dict[int, float] = {}
    found = {node: count for node, count in found.items() if count}
    for node, count in found.items():
        of_nodes[node.origin.ident] = of_nodes.get(node.origin.ident, 0) + count
    rows = (_of_node(node, count, count / total) for node, count in found.items())
    notes = _notes(sizes)
    return Overlay(
        name, title, unit, MappingProxyType(of_nodes), MappingProxyType(dict(of_kernels)), ranked(rows), notes
    )


def _of_node(node: Node, count: int, share: float) -> Row:
    origin = node.origin
    name = given_name(node) or node.op.name
    name = name if origin.forward is None else f"{name} (backward)"
    return Row(name, origin.module, origin.location, count, share, (origin.ident,))


def _notes(sizes: Mapping[str, int], *others: str) -> tuple[str, ...]:
    return tuple(text for text in (sizes_text(sizes), *others) if text)
