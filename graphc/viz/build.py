"""From a graph to its drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphc.ir import Graph, Node, Output, OutputRole, Role, topological_order
from graphc.ops import Placeholder, TensorConstant
from graphc.viz.fold import Folded, Operand, fold
from graphc.viz.frames import Frames, frames_of
from graphc.viz.labels import label_of, shown, type_text
from graphc.viz.model import Arrow, Box, Drawing, Entry, Frame, Kind

__all__ = ["drawing_of"]

RESULTS = {OutputRole.OUTPUT: Kind.OUTPUT, OutputRole.GRADIENT: Kind.GRADIENT, OutputRole.UPDATE: Kind.UPDATE}
LEAVES = {Kind.INPUT, Kind.PARAMETER, Kind.SHARED, Kind.STATE, Kind.CONSTANT}


def drawing_of(graph: Graph, unused: Sequence[Node] = ()) -> Drawing:
    """Draw all that the outputs of `graph` need, and the inputs `unused`, which nothing needs."""
    folded = fold(graph)
    kinds = _kinds(graph, folded)
    users = _users(folded, kinds)
    frames = frames_of({node: folded.operands[node] for node in folded.operands if kinds[node] not in LEAVES})
    number = {node: i for i, node in enumerate(folded.operands)}
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    for node, operands in folded.operands.items():
        kind = kinds[node]
        if kind in LEAVES:
            boxes.append(_leaf(node, kind, users[node], folded, frames))
            continue
        nodes = folded.merged.get(node, (node,))
        label, marks = label_of(nodes, operands)
        boxes.append(Box(kind, (shown(label),), _tooltip(nodes), frames.around(node.origin.scopes)))
        for operand, mark in zip(operands, marks, strict=True):
            if operand.source is not None:
                arrows.append(_arrow(number[operand.source], number[node], operand, kinds[operand.source], mark))
    for output in graph.outputs:
        tail = number[output.node]
        arrows.append(_arrow(tail, len(boxes), Operand(output.node.type, output.node), kinds[output.node], ""))
        boxes.append(_result(output))
    boxes.extend(Box(Kind.INPUT, (*_named(node, None, frames), "not used"), _tooltip((node,))) for node in unused)
    return Drawing(tuple(boxes), tuple(arrows), frames.frames, _legend(boxes, frames.frames))


def _kinds(graph: Graph, folded: Folded) -> dict[Node, Kind]:
    """What each node stands for. An update reads gradients or state, and leads to nothing that a call returns."""
    returned = set(topological_order(o.node for o in graph.outputs if o.role is not OutputRole.UPDATE))
    changing = (Kind.GRADIENT_OP, Kind.UPDATE_OP, Kind.STATE)
    kinds: dict[Node, Kind] = {}
    for node in graph.nodes:
        if isinstance(node.op, Placeholder):
            kinds[node] = Kind.INPUT
        elif node.op.cell is not None:
            kinds[node] = Kind.PARAMETER if node.op.cell.role is Role.PARAMETER else Kind.STATE
        elif node in folded.texts or isinstance(node.op, TensorConstant):
            kinds[node] = Kind.CONSTANT
        elif node.origin.forward is not None:
            kinds[node] = Kind.GRADIENT_OP
        elif node not in returned and any(kinds[x] in changing for x in node.inputs):
            kinds[node] = Kind.UPDATE_OP
        else:
            kinds[node] = Kind.OP
    return kinds


def _users(folded: Folded, kinds: Mapping[Node, Kind]) -> dict[Node, list[Node]]:
    """Who reads each box, once for each arrow: in the forward computation, or anywhere if it has no place there."""
    users: dict[Node, list[Node]] = {node: [] for node in folded.operands}
    others: dict[Node, list[Node]] = {node: [] for node in folded.operands}
    for node, operands in folded.operands.items():
        for operand in operands:
            if operand.source is not None:
                (users if kinds[node] is Kind.OP else others)[operand.source].append(node)
    return {node: users[node] or others[node] for node in folded.operands}


def _leaf(node: Node, kind: Kind, users: Sequence[Node], folded: Folded, frames: Frames) -> Box:
    """A box that nothing leads into. What a module owns stands inside it, although it was made before any call."""
    if kind is Kind.INPUT:
        return Box(kind, _named(node, None, frames), _tooltip((node,)))
    if kind is Kind.CONSTANT:
        lines = (folded.texts.get(node, "constant"), *((type_text(node.type),) if node.type.shape else ()))
        return Box(kind, lines, _tooltip((node,)), frames.around(node.origin.scopes))
    frame = frames.around_all(frames.around(user.origin.scopes) for user in users)
    lines = _named(node, frame, frames)
    if kind is Kind.PARAMETER and len(users) > 1:
        kind, lines = Kind.SHARED, (*lines, f"used {len(users)} times")
    return Box(kind, lines, _tooltip((node,)), frame)


def _named(node: Node, frame: int | None, frames: Frames) -> tuple[str, str]:
    """Name and type of an input or a cell; inside a module the name leaves out that module's path."""
    name = node.op.label if isinstance(node.op, Placeholder) else node.op.cell.name if node.op.cell else ""
    *path, last = name.split(".")
    if frame is not None and path and last and frames.paths[frame][-len(path) :] == tuple(path):
        name = last
    return shown(name) or node.op.name, type_text(node.type)


def _arrow(tail: int, head: int, operand: Operand, kind: Kind, mark: str) -> Arrow:
    """What flows is written beside the arrow, unless the box that it comes from says it."""
    label = "" if kind in LEAVES else type_text(operand.type)
    if operand.is_transposed:
        label = "transposed"
    notes = [str(operand.type)]
    if operand.is_broadcast:
        notes.append("broadcast to the shape of the result")
    return Arrow(tail, head, label, mark, tuple(notes))


def _result(output: Output) -> Box:
    kind = RESULTS[output.role]
    note = f"{output.role.value} {shown(output.name, None)}: {output.node.type}"
    name = shown(output.name) or output.role.value
    return Box(kind, (f"new {name}" if output.cell is not None else name,), (note,))


def _tooltip(nodes: Sequence[Node]) -> tuple[str, ...]:
    """The nodes behind a box in full, and where the user built them."""
    origin = nodes[-1].origin
    lines = [_described(node) for node in nodes]
    if origin.location:
        lines.append(shown(origin.location, None))
    if origin.module:
        lines.append(f"in {shown(origin.module, None)}")
    if origin.forward is not None:
        lines.append("part of the gradient")
    return tuple(lines)


def _described(node: Node) -> str:
    cell = node.op.cell
    if cell is not None:
        return shown(f"{cell.role.value} {cell.name}: {cell.type}, {cell.type.numel} values", None)
    if isinstance(node.op, Placeholder):
        return shown(f"input {node.op.label}: {node.type}", None)
    return shown(f"{node.op}: {node.type}", None)


def _legend(boxes: Iterable[Box], frames: Iterable[Frame]) -> tuple[Entry, ...]:
    found = {box.kind for box in boxes}
    entries = [Entry(kind, kind.value) for kind in Kind if kind in found]
    if any(frame.calls > 1 for frame in frames):
        entries.append(Entry(None, "shared module"))
    return tuple(entries)
