"""The drawing of a comparison: both graphs in one, with what was added, removed and rewritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphc.ir import Graph, Node, Output, OutputRole, Scope, topological_order
from graphc.ops import Placeholder
from graphc.schedule.kernels import is_literal, source_of
from graphc.viz.build import drawing_of
from graphc.viz.collapse import opening
from graphc.viz.compare import Comparison, Union, merged
from graphc.viz.legend import legend_of
from graphc.viz.model import Arrow, Box, Change, Drawing, Frame, Kind

__all__ = ["difference_of", "opening_of_difference"]

MOST_CHANGED = 150
"""Boxes up to which frames are open in which something has changed."""

RESULTS = {Kind.OUTPUT, Kind.GRADIENT, Kind.UPDATE}


def difference_of(comparison: Comparison) -> Drawing:
    """The later graph with what was removed from the earlier one, each box and frame marked with what became of it."""
    union = merged(comparison)
    copies = _copies(comparison, union)
    outputs = [replace(each, node=copies[each.node]) for each in comparison.after.outputs]
    changes = {(each.role, each.name): each.change for each in comparison.outputs}
    of_results = [changes.get((output.role, output.name), Change.SAME) for output in outputs]
    for gone in comparison.outputs:
        if gone.change is Change.REMOVED and gone.was is not None:
            outputs.append(Output(copies[comparison.pairs.get(gone.was, gone.was)], gone.role, gone.name))
            of_results.append(Change.REMOVED)
    needed = set(topological_order(output.node for output in outputs))
    # What only removed nodes read would not be drawn: their ends are outputs for a while.
    read = {x for node in copies.values() for x in node.inputs}
    inputs = tuple(copies[node] for node in union.nodes if isinstance(node.op, Placeholder))
    ends = [
        node
        for node in copies.values()
        if node not in needed and node not in read and node not in inputs and not is_literal(source_of(node))
    ]
    graph = Graph(inputs, (*outputs, *(Output(node, OutputRole.UPDATE, "end") for node in ends)))
    drawing = drawing_of(graph, tuple(node for node in inputs if node not in graph.users))
    drawing = _without_ends(drawing, len(ends))
    boxes = _marked(drawing.boxes, comparison, union, of_results)
    frames = _of_frames(drawing.frames, boxes)
    arrows = (*_of_arrows(drawing.arrows, boxes), *_lost(union, copies, boxes))
    # From here on boxes stand for the nodes themselves, as in all other drawings.
    boxes = tuple(replace(box, nodes=tuple(union.nodes[i].origin.ident for i in box.nodes)) for box in boxes)
    return replace(drawing, boxes=boxes, arrows=arrows, frames=frames, legend=legend_of(boxes, frames))


def opening_of_difference(drawing: Drawing, depth: int | None = None) -> frozenset[int]:
    """The frames that are open at first: those in which something has changed, as far as that can be seen at once."""
    changed = {i for i, frame in enumerate(drawing.frames) if frame.change is not Change.SAME}
    return opening(drawing, depth, most=MOST_CHANGED, among=changed)


def _copies(comparison: Comparison, union: Union) -> dict[Node, Node]:
    """The nodes of the union as one graph: what was removed reads what its operands have become.

    Each has its place as its ident, since a rewrite may have given that of one node to another. What was removed stands
    in the modules of the later graph where these have the same path.
    """
    modules: dict[tuple[tuple[str, str], ...], Scope] = {}
    for node in comparison.after.nodes:
        for depth, scope in enumerate(node.origin.scopes, 1):
            modules.setdefault(_path(node.origin.scopes[:depth]), scope)
    copies: dict[Node, Node] = {}
    for i, node in enumerate(union.nodes):
        inputs = tuple(copies[comparison.pairs.get(x, x)] for x in node.inputs)
        scopes = node.origin.scopes
        if union.change[node] is Change.REMOVED:
            scopes = tuple(modules.get(_path(scopes[:depth]), scopes[depth - 1]) for depth in range(1, len(scopes) + 1))
        copies[node] = Node(node.op, inputs, node.type, replace(node.origin, ident=i, scopes=scopes))
    return copies


def _path(scopes: Sequence[Scope]) -> tuple[tuple[str, str], ...]:
    return tuple((scope.name, scope.kind) for scope in scopes)


def _without_ends(drawing: Drawing, count: int) -> Drawing:
    """The drawing without the boxes of its last `count` results, which lead nowhere."""
    results = [i for i, box in enumerate(drawing.boxes) if box.kind in RESULTS and not box.nodes]
    gone = set(results[len(results) - count :])
    kept = {old: new for new, old in enumerate(i for i in range(len(drawing.boxes)) if i not in gone)}
    boxes = tuple(
        replace(drawing.boxes[old], like=None if (like := drawing.boxes[old].like) is None else kept[like])
        for old in kept
    )
    arrows = tuple(
        replace(arrow, tail=kept[arrow.tail], head=kept[arrow.head])
        for arrow in drawing.arrows
        if arrow.head not in gone
    )
    return replace(drawing, boxes=boxes, arrows=arrows)


def _marked(
    boxes: Sequence[Box], comparison: Comparison, union: Union, of_results: Sequence[Change]
) -> tuple[Box, ...]:
    results = iter(of_results)
    marked = []
    for box in boxes:
        if not box.nodes:
            marked.append(replace(box, change=next(results)))
            continue
        nodes = [union.nodes[i] for i in box.nodes]
        changes = {union.change[node] for node in nodes}
        change = changes.pop() if len(changes) == 1 else Change.REWRITTEN
        reasons = [reason for node in nodes for reason in comparison.reasons.get(node, ())]
        marked.append(replace(box, change=change, tooltip=(*box.tooltip, *reasons)))
    return tuple(marked)


def _of_frames(frames: Sequence[Frame], boxes: Sequence[Box]) -> tuple[Frame, ...]:
    """A frame is what all that is in it is; None if that differs."""
    inside: list[set[Change | None]] = [set() for _ in frames]
    for box in boxes:
        if box.frame is not None:
            inside[box.frame].add(box.change)
    for i, frame in reversed(list(enumerate(frames))):
        if frame.parent is not None:
            inside[frame.parent] |= inside[i]
    return tuple(
        replace(frame, change=next(iter(found)) if len(found) == 1 else None) for frame, found in zip(frames, inside)
    )


def _of_arrows(arrows: Sequence[Arrow], boxes: Sequence[Box]) -> tuple[Arrow, ...]:
    """An arrow has changed where one of its ends was added or removed."""
    of_ends = {Change.ADDED, Change.REMOVED}
    marked = []
    for arrow in arrows:
        changes = {boxes[arrow.tail].change, boxes[arrow.head].change} & of_ends
        marked.append(replace(arrow, change=Change.REMOVED if Change.REMOVED in changes else next(iter(changes), None)))
    return tuple(marked)


def _lost(union: Union, copies: Mapping[Node, Node], boxes: Sequence[Box]) -> list[Arrow]:
    """Where a node that is still there has read something else before."""
    place = {i: k for k, box in enumerate(boxes) for i in box.nodes}
    found = []
    for tail, head, _, change in union.edges:
        a, b = place.get(copies[tail].origin.ident), place.get(copies[head].origin.ident)
        if change is Change.REMOVED and a is not None and b is not None and union.change[head] is not Change.REMOVED:
            found.append(Arrow(a, b, change=Change.REMOVED))
    return found
