"""From a graph to its drawing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from graphc.ir import Cell, Graph, Node, Output, OutputRole, Role, topological_order
from graphc.ops import Placeholder, TensorConstant
from graphc.viz.fold import Folded, Operand, fold
from graphc.viz.frames import Frames, Level, counted, frames_of, levels_of
from graphc.viz.labels import label_of, shown, type_text
from graphc.viz.legend import legend_of
from graphc.viz.model import Arrow, Box, Drawing, FrameKind, Kind
from graphc.viz.repeats import with_repeats

__all__ = ["drawing_of", "kinds_of"]

RESULTS = {OutputRole.OUTPUT: Kind.OUTPUT, OutputRole.GRADIENT: Kind.GRADIENT, OutputRole.UPDATE: Kind.UPDATE}
LEAVES = {Kind.INPUT, Kind.PARAMETER, Kind.SHARED, Kind.STATE, Kind.CONSTANT}


def drawing_of(
    graph: Graph, unused: Sequence[Node] = (), kernels: Mapping[Node, Sequence[Level]] | None = None
) -> Drawing:
    """Draw all that the outputs of `graph` need, and the inputs `unused`, which nothing needs.

    Frames are those of modules and of updates, or those of `kernels`, by node.
    """
    folded = fold(graph)
    kinds = kinds_of(graph, folded)
    users = _users(folded, kinds)
    updates = {} if kernels is not None else _updates(graph, kinds)
    levels = {
        node: _levels(node, kinds[node], updates) if kernels is None else kernels.get(node, ())
        for node in folded.operands
        if kinds[node] not in LEAVES
    }
    frames = frames_of({node: folded.operands[node] for node in levels}, levels)
    around = {node: frames.around(found) for node, found in levels.items()}
    number = {node: i for i, node in enumerate(folded.operands)}
    partners = {node.origin.ident: node for node in graph.nodes}
    boxes: list[Box] = []
    arrows: list[Arrow] = []
    values: dict[int, int] = {}
    for node, operands in folded.operands.items():
        kind = kinds[node]
        if kind in LEAVES:
            if kind is Kind.PARAMETER and node.op.cell is not None:
                values[len(boxes)] = int(node.op.cell.type.numel)
            boxes.append(_leaf(node, kind, users[node], folded, frames, around, is_inside=kernels is None))
            continue
        nodes = folded.merged.get(node, (node,))
        label, marks = label_of(nodes, operands)
        idents = tuple(n.origin.ident for n in nodes)
        boxes.append(Box(kind, (shown(label),), _tooltip(nodes, partners), around[node], idents))
        for operand, mark in zip(operands, marks, strict=True):
            if operand.source is not None:
                arrows.append(_arrow(number[operand.source], number[node], operand, kinds[operand.source], mark))
    _add_old_values(boxes, arrows, folded, kinds, around, frames, number)
    for output in graph.outputs:
        tail = number[output.node]
        arrows.append(_arrow(tail, len(boxes), Operand(output.node.type, output.node), kinds[output.node], ""))
        boxes.append(_result(output, frames, updates))
    boxes.extend(
        Box(Kind.INPUT, (*_named(node, None, frames), "not used"), _tooltip((node,)), None, (node.origin.ident,))
        for node in unused
    )
    drawn = counted(boxes, frames.frames, values)
    drawing = Drawing(tuple(boxes), tuple(arrows), drawn, legend_of(boxes, drawn))
    return with_repeats(drawing, frames.alike)


def kinds_of(graph: Graph, folded: Folded) -> dict[Node, Kind]:
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


def _levels(node: Node, kind: Kind, updates: Mapping[Node, tuple[Level, ...]]) -> tuple[Level, ...]:
    if kind is Kind.UPDATE_OP:
        return updates.get(node, ())
    return levels_of(node.origin.scopes, FrameKind.BACKWARD if kind is Kind.GRADIENT_OP else FrameKind.MODULE)


def _updates(graph: Graph, kinds: Mapping[Node, Kind]) -> dict[Node, tuple[Level, ...]]:
    """The levels of what belongs to an update: that of its parameter, or of all if it serves several of them."""
    leading = [o for o in graph.outputs if o.cell is not None and o.cell.role is Role.PARAMETER]
    if len(leading) < 2:
        return {}
    owner: dict[Node, Cell | None] = {}

    def claim(node: Node, cell: Cell | None) -> None:
        if kinds[node] is Kind.UPDATE_OP:
            owner[node] = cell if owner.get(node, cell) is cell else None

    for output in leading:
        claim(output.node, output.cell)
    for node in reversed(graph.nodes):
        if node in owner:
            for x in node.inputs:
                claim(x, owner[node])
    whole = Level((FrameKind.UPDATE, "all"), FrameKind.UPDATE, "updates", "updates", path=())
    common = Level((FrameKind.UPDATE, "common"), FrameKind.UPDATE, "for all updates", "common", path=())
    found: dict[Node, tuple[Level, ...]] = {}
    for node, kind in kinds.items():
        if kind is Kind.UPDATE_OP:
            cell = owner.get(node)
            found[node] = (whole, common if cell is None else _level_of_update(cell))
    return found


def _level_of_update(cell: Cell) -> Level:
    path = tuple(cell.name.split("."))
    return Level((FrameKind.UPDATE, cell), FrameKind.UPDATE, f"update of {cell.name}", "update", path=path)


def _users(folded: Folded, kinds: Mapping[Node, Kind]) -> dict[Node, list[Node]]:
    """Who reads each box, once for each arrow: in the forward computation, or anywhere if it has no place there."""
    users: dict[Node, list[Node]] = {node: [] for node in folded.operands}
    others: dict[Node, list[Node]] = {node: [] for node in folded.operands}
    for node, operands in folded.operands.items():
        for operand in operands:
            if operand.source is not None:
                (users if kinds[node] is Kind.OP else others)[operand.source].append(node)
    return {node: users[node] or others[node] for node in folded.operands}


def _leaf(
    node: Node,
    kind: Kind,
    users: Sequence[Node],
    folded: Folded,
    frames: Frames,
    around: Mapping[Node, int | None],
    *,
    is_inside: bool,
) -> Box:
    """A box that nothing leads into. What a module owns stands inside it, although it was made before any call."""
    idents = (node.origin.ident,)
    if kind is Kind.INPUT:
        return Box(kind, _named(node, None, frames), _tooltip((node,)), None, idents)
    frame = frames.around_all(around[user] for user in users) if is_inside or kind is Kind.CONSTANT else None
    if kind is Kind.CONSTANT:
        lines = (folded.texts.get(node, "constant"), *((type_text(node.type),) if node.type.shape else ()))
        return Box(kind, lines, _tooltip((node,)), frame, idents)
    lines = _named(node, frame, frames)
    if kind is Kind.PARAMETER and len(users) > 1:
        kind, lines = Kind.SHARED, (*lines, f"used {len(users)} times")
    return Box(kind, lines, _tooltip((node,)), frame, idents)


def _add_old_values(
    boxes: list[Box],
    arrows: list[Arrow],
    folded: Folded,
    kinds: Mapping[Node, Kind],
    around: Mapping[Node, int | None],
    frames: Frames,
    number: Mapping[Node, int],
) -> None:
    """Inside the frame of an update stands the parameter once more, so that no arrow leads there across everything."""
    heads = {number[node]: node for node in around if kinds[node] is Kind.UPDATE_OP and around[node] is not None}
    cells = {number[node]: node for node in folded.operands if kinds[node] is Kind.PARAMETER}
    again: dict[tuple[int, int | None], int] = {}
    for i, arrow in enumerate(arrows):
        node, user = cells.get(arrow.tail), heads.get(arrow.head)
        if node is None or user is None or boxes[arrow.tail].frame == around[user]:
            continue
        key = (arrow.tail, around[user])
        if key not in again:
            again[key] = len(boxes)
            name, type_ = _named(node, around[user], frames)
            boxes.append(
                Box(Kind.PARAMETER, (f"old {name}", type_), _tooltip((node,)), around[user], (node.origin.ident,))
            )
        arrows[i] = replace(arrow, tail=again[key])


def _named(node: Node, frame: int | None, frames: Frames) -> tuple[str, str]:
    """Name and type of an input or a cell; inside a module the name leaves out that module's path."""
    name = node.op.label if isinstance(node.op, Placeholder) else node.op.cell.name if node.op.cell else ""
    return shown(_relative(name, frame, frames)) or node.op.name, type_text(node.type)


def _relative(name: str, frame: int | None, frames: Frames) -> str:
    *path, last = name.split(".")
    is_inside = frame is not None and path and last and frames.paths[frame][-len(path) :] == tuple(path)
    return last if is_inside else name


def _arrow(tail: int, head: int, operand: Operand, kind: Kind, mark: str) -> Arrow:
    """What flows is written beside the arrow, unless the box that it comes from says it."""
    label = "" if kind in LEAVES else type_text(operand.type)
    if operand.is_transposed:
        label = "transposed"
    notes = [str(operand.type)]
    if operand.is_broadcast:
        notes.append("broadcast to the shape of the result")
    return Arrow(tail, head, label, mark, tuple(notes))


def _result(output: Output, frames: Frames, updates: Mapping[Node, tuple[Level, ...]]) -> Box:
    kind = RESULTS[output.role]
    note = f"{output.role.value} {shown(output.name, None)}: {output.node.type}"
    frame = frames.around(updates.get(output.node, ())) if output.cell is not None else None
    name = shown(output.name if output.cell is None else _relative(output.name, frame, frames)) or output.role.value
    return Box(kind, (f"new {name}" if output.cell is not None else name,), (note,), frame)


def _tooltip(nodes: Sequence[Node], partners: Mapping[int, Node] = MappingProxyType({})) -> tuple[str, ...]:
    """The nodes behind a box in full, and where the user built them; `partners` are all nodes by their idents."""
    origin = nodes[-1].origin
    lines = [_described(node) for node in nodes]
    if origin.location:
        lines.append(shown(origin.location, None))
    if origin.module:
        lines.append(f"in {shown(origin.module, None)}")
    if origin.forward is not None:
        forward = partners.get(origin.forward)
        lines.append("part of the gradient" if forward is None else f"part of the gradient of {_described(forward)}")
    return tuple(lines)


def _described(node: Node) -> str:
    cell = node.op.cell
    if cell is not None:
        return shown(f"{cell.role.value} {cell.name}: {cell.type}, {cell.type.numel} values", None)
    if isinstance(node.op, Placeholder):
        return shown(f"input {node.op.label}: {node.type}", None)
    return shown(f"{node.op}: {node.type}", None)
