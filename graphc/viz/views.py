"""The views of one object: its graph forward, backward and with updates, the kernels that compute it, their memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from graphc.ir import Graph, Node, Output, OutputRole
from graphc.runtime import Program
from graphc.schedule import KernelSchedule, Schedule
from graphc.schedule.kernels import is_view
from graphc.viz.build import drawing_of
from graphc.viz.code import functions_of
from graphc.viz.errors import DrawingError
from graphc.viz.frames import Level
from graphc.viz.gradients import results_of
from graphc.viz.labels import shown
from graphc.viz.model import Drawing, FrameKind, Kind
from graphc.viz.request import View
from graphc.viz.subject import subject_of

__all__ = ["GRAPHS", "TITLES", "available", "drawing_for"]

TITLES: dict[View, str] = {
    "forward": "Forward",
    "backward": "Backward",
    "training": "Training step",
    "kernels": "Kernels",
    "memory": "Memory",
}
GRAPHS: tuple[View, ...] = ("forward", "backward", "training")


def available(value: object, name: str = "output") -> tuple[View, ...]:
    """The views that there are of `value`, in the order of the stages."""
    graph, _ = subject_of(value, name)
    has = {
        "forward": True,
        "backward": _is_differentiated(graph) and any(o.role is OutputRole.OUTPUT for o in graph.outputs),
        "training": any(o.role is OutputRole.UPDATE for o in graph.outputs),
        "kernels": isinstance(value, Program) and value.schedule is not None,
        "memory": isinstance(value, Program) and value.memory is not None,
    }
    return tuple(view for view in get_args(View) if has[view])


def drawing_for(value: object, view: View, name: str = "output", *, is_whole: bool = False) -> Drawing:
    """The drawing of one view, with nothing collapsed; of all that there is in a graph if it `is_whole`.

    Raises DrawingError where there is no such view of `value`.
    """
    graph, unused = subject_of(value, name)
    if is_whole or (view == "forward" and not isinstance(value, (Graph, Program))):
        return drawing_of(graph, unused)
    if view in GRAPHS:
        return drawing_of(_part(graph, view, name), unused)
    assert view == "kernels", "memory is a chart"
    if not isinstance(value, Program):
        raise DrawingError(f"{shown(name)!r} has no kernels: they are made of a program, which graphc.compile gives")
    schedule = value.schedule
    if schedule is None:
        raise DrawingError(
            f"{shown(name)!r} has no kernels: the reference backend evaluates node by node; "
            'compile it with backend="c" or "torch"'
        )
    levels = dict(_kernels(schedule) if isinstance(schedule, KernelSchedule) else _calls(schedule))
    return _of_kernels(drawing_of(schedule.graph, unused, levels), functions_of(value))


def _part(graph: Graph, view: View, name: str) -> Graph:
    """What the view shows of the declared graph."""
    forward = graph.subgraph(OutputRole.OUTPUT)
    if view == "forward":
        if not forward.outputs:
            raise DrawingError(
                f"{shown(name)!r} has only gradients and updates to draw: ask for all of it (--view training)"
            )
        return forward
    has_updates = any(output.role is OutputRole.UPDATE for output in graph.outputs)
    if not _is_differentiated(graph) and (view == "backward" or not has_updates):
        raise DrawingError(
            f"{shown(name)!r} has no backward part: nothing in it is a gradient; draw a program that "
            "graphc.compile made with updates=optimizer.minimize(loss)"
        )
    if view == "backward":
        given = tuple(output for output in graph.outputs if output.role is not OutputRole.UPDATE)
        used = (
            Output(node, OutputRole.GRADIENT, f"gradient of {output.name}")
            for output, node in results_of(graph)
            if output.cell is not None
        )
        return Graph(graph.inputs, (*given, *used), graph.name)
    if not has_updates:
        raise DrawingError(f"{shown(name)!r} has no updates: draw it with --view backward")
    return graph


def _is_differentiated(graph: Graph) -> bool:
    return any(node.origin.forward is not None for node in graph.nodes)


def _kernels(schedule: KernelSchedule) -> Iterator[tuple[Node, Sequence[Level]]]:
    """Each node with its kernel; a view, which no kernel computes, with the one kernel that reads it."""
    levels = {}
    for kernel in schedule.kernels:
        space = " × ".join(map(str, kernel.space)) or "1"
        levels[kernel] = Level(
            (FrameKind.KERNEL, kernel.index), FrameKind.KERNEL, f"k{kernel.index} over {space}", call=kernel.index
        )
    readers: dict[Node, set[Level | None]] = {}
    for node in reversed(schedule.graph.nodes):
        kernel_of = schedule.kernel_of.get(node)
        found = readers.get(node, set())
        level = levels[kernel_of] if kernel_of is not None else None
        if level is None and is_view(node) and len(found) == 1:
            (level,) = found
        for x in node.inputs:
            readers.setdefault(x, set()).add(level)
        if level is not None:
            yield node, (level,)


def _calls(schedule: Schedule) -> Iterator[tuple[Node, Sequence[Level]]]:
    """Each node with the call that computes it, where one call computes several."""
    for i, step in enumerate(schedule.steps):
        if step.covers:
            called = step.call.function.__name__ if step.call is not None else step.node.op.name
            level = Level((FrameKind.KERNEL, i), FrameKind.KERNEL, f"call {i}: {called}", call=i)
            for node in (step.node, *step.covers):
                yield node, (level,)


def _of_kernels(drawing: Drawing, functions: Mapping[int, Sequence[str]]) -> Drawing:
    """The drawing whose kernels say which operations are inside, and which `functions` of the C they are."""
    inside: dict[int, list[str]] = {}
    for box in drawing.boxes:
        if box.frame is not None and box.kind in (Kind.OP, Kind.GRADIENT_OP, Kind.UPDATE_OP):
            inside.setdefault(box.frame, []).append(box.lines[0])
    frames = list(drawing.frames)
    for i, frame in enumerate(frames):
        if frame.kernel is not None:
            # The C numbers its functions by itself: kernels that are alike are one.
            names = ", ".join(functions.get(frame.kernel, ()))
            note = (f"{names} in the C",) if names else ()
            frames[i] = replace(frame, contents=_listed(inside.get(i, [])), tooltip=(*frame.tooltip, *note))
    return replace(drawing, frames=tuple(frames))


def _listed(labels: Sequence[str]) -> str:
    counts = {label: labels.count(label) for label in dict.fromkeys(labels)} if len(labels) <= 64 else {}
    text = ", ".join(label if count == 1 else f"{label} ({count}×)" for label, count in counts.items())
    return text if text and len(text) <= 48 else f"{len(labels)} operations"
