"""From a drawing to DOT. Whatever a user named is text here: quoted, and escaped where Graphviz would read it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING

from graphc.viz.model import STORED, Arrow, Box, Change, Drawing, Entry, Frame, FrameKind, Kind
from graphc.viz.palette import FONT, LIGHT, MARKS, THEMES, Palette
from graphc.viz.quote import text, tooltip
from graphc.viz.request import Direction, Theme

if TYPE_CHECKING:
    import graphviz

__all__ = ["Direction", "arrow_attributes", "box_attributes", "defaults", "dot_source", "frame_attributes"]

# Arrows stop a little before even the smallest box; its outline, which they do not heed, fills the gap.
DOOR = {"shape": "box", "fixedsize": "true", "width": "0.01", "height": "0.01", "penwidth": "1"}
STRAIGHT = "200"
"""How much more it matters that data flows straight on than that a parameter is near."""
LEGEND_COLUMNS = 4
CLASSES: Mapping[Kind | FrameKind, str] = {kind: kind.name.lower() for kind in (*Kind, *FrameKind)}
"""What a box or a frame is called in a page, by its kind."""


def defaults(direction: Direction, palette: Palette) -> dict[str, dict[str, str]]:
    """The attributes of the graph, and those that boxes and arrows have where they have none of their own."""
    font = {"fontname": FONT}
    return {
        "graph": {
            **font,
            "bgcolor": palette.background,
            "charset": "UTF-8",
            "fontcolor": palette.ink,
            "fontsize": "12",
            "newrank": "true",  # ranks across all frames: what a module computes from its own result may stand below it
            "nodesep": "0.3",
            "rankdir": direction,
            "ranksep": "0.35",
            "tooltip": " ",
        },
        "node": {
            **font,
            "fontsize": "12",
            "fontcolor": palette.ink,
            "height": "0.36",
            "margin": "0.12,0.06",
            "penwidth": "1.2",
        },
        "edge": {
            **font,
            "fontsize": "10",
            "fontcolor": palette.soft_ink,
            "color": palette.soft_ink,
            "arrowsize": "0.7",
        },
    }


def dot_source(drawing: Drawing, direction: Direction = "TB", theme: Theme = "light", *, legend: bool = True) -> str:
    """The DOT text of all of `drawing`, flowing from top to bottom or from left to right."""
    import graphviz

    palette = THEMES[theme]
    given = defaults(direction, palette)
    dot = graphviz.Digraph("graphc", graph_attr=given["graph"], node_attr=given["node"], edge_attr=given["edge"])
    top, bottom = ("n", "s") if direction == "TB" else ("w", "e")
    beside = _beside(drawing)
    through = _through(drawing, beside)
    _add_boxes(dot, drawing, through, palette)
    for i, arrow in enumerate(drawing.arrows):
        attributes = {**arrow_attributes(arrow, drawing.boxes[arrow.tail].kind, palette), "id": arrow.id or f"e{i}"}
        tail, head = f"n{arrow.tail}", f"n{arrow.head}"
        if i in through:
            dot.edge(tail, f"door{i}", **attributes, arrowhead="none", headport=top)
            del attributes["label"]
            attributes["id"] += "d"
            dot.edge(f"door{i}", head, **attributes, tailport=bottom)
        else:
            dot.edge(tail, head, **attributes, **({"minlen": "0"} if i in beside else {}))
    if legend and (len(drawing.legend) > 1 or drawing.caption):
        dot.attr(label=_legend(drawing, palette), labelloc="b", labeljust="l", fontsize="10")
    return str(dot.source)


def _beside(drawing: Drawing) -> set[int]:
    """The arrows whose two ends stand side by side: from a parameter that is used once to its user."""
    uses: dict[int, list[int]] = {}
    for i, arrow in enumerate(drawing.arrows):
        if drawing.boxes[arrow.tail].kind in STORED and drawing.boxes[arrow.head].kind is Kind.OP:
            uses.setdefault(arrow.tail, []).append(i)
    return {arrows[0] for arrows in uses.values() if len(arrows) == 1}


def _through(drawing: Drawing, beside: set[int]) -> set[int]:
    """The arrows that come into a frame through a door: a point beside the parameters that lead to the same box.

    Graphviz leads an arrow around a frame down to the rank of its head, which for these is not the first in the frame.
    """
    below = {arrow.head for i, arrow in enumerate(drawing.arrows) if _is_stored(drawing, arrow) and i not in beside}
    return {
        i
        for i, arrow in enumerate(drawing.arrows)
        if arrow.head in below
        and not _is_stored(drawing, arrow)
        and drawing.boxes[arrow.head].frame not in (None, drawing.boxes[arrow.tail].frame)
        and drawing.boxes[arrow.head].kind is Kind.OP
    }


def _is_stored(drawing: Drawing, arrow: Arrow) -> bool:
    return drawing.boxes[arrow.tail].kind in STORED


def _add_boxes(dot: graphviz.Digraph, drawing: Drawing, through: set[int], palette: Palette) -> None:
    """Boxes in their frames. Inner frames are made before those around them, so that nothing recurses."""
    import graphviz

    children: dict[int | None, list[int]] = {}
    for i, frame in enumerate(drawing.frames):
        children.setdefault(frame.parent, []).append(i)
    parts: dict[int | None, graphviz.Digraph] = {None: dot}
    for i, frame in enumerate(drawing.frames):
        attributes = {**frame_attributes(frame, palette), "id": frame.id or f"f{i}"}
        parts[i] = graphviz.Digraph(f"cluster_{i}", graph_attr=attributes)
    for i, box in enumerate(drawing.boxes):
        parts[box.frame].node(f"n{i}", **box_attributes(box, palette), id=box.id or f"n{i}")
    for i in sorted(through):
        door = parts[drawing.boxes[drawing.arrows[i].head].frame]
        door.node(f"door{i}", "", **DOOR, color=palette.soft_ink, tooltip=" ")
    for outer in (*reversed(range(len(drawing.frames))), None):
        for inner in children.get(outer, ()):
            parts[outer].subgraph(parts.pop(inner))


def box_attributes(box: Box, palette: Palette = LIGHT) -> dict[str, str]:
    """How a box looks."""
    lines = box.lines
    attributes = dict(palette.boxes[box.kind])
    classes = CLASSES[box.kind]
    if box.change is not None:
        lines = (MARKS[box.change] + lines[0], *lines[1:])
        attributes.update(palette.changes[box.change])
        classes += f" {box.change.value}"
    if box.heat is not None:
        lines = (*lines, box.heat.text)
        attributes.update(palette.shade(box.heat.share))
    return {"label": text(*lines), "tooltip": tooltip(box.tooltip), "class": classes, **attributes}


def frame_attributes(frame: Frame, palette: Palette = LIGHT) -> dict[str, str]:
    """How an open frame looks."""
    title = f"{frame.title}  ×{frame.calls}" if frame.calls > 1 else frame.title
    heat = {} if frame.heat is None else palette.shade(frame.heat.share)
    parts = [title]
    if frame.parameters and frame.kind in (FrameKind.MODULE, FrameKind.SHARED):
        parts.append(f"{frame.parameters:,} parameter{'s' if frame.parameters > 1 else ''}")
    if frame.heat is not None:
        parts.append(frame.heat.text)
    return {
        **palette.frames[frame.kind],
        **heat,
        "label": text("   ".join(parts)),
        "tooltip": tooltip((*frame.tooltip, frame.contents) if frame.contents else frame.tooltip),
        "class": f"frame {CLASSES[frame.kind]}",
        "labeljust": "l",
        "margin": "10",
    }


def arrow_attributes(arrow: Arrow, kind: Kind, palette: Palette = LIGHT) -> dict[str, str]:
    """How an arrow from a box of `kind` looks."""
    tip = tooltip(arrow.tooltip)
    label = f"{arrow.mark}: {arrow.label}" if arrow.mark and arrow.label else arrow.mark or arrow.label
    weight = {} if kind in STORED else {"weight": STRAIGHT}
    colors = palette.arrows.get(kind, {})
    if arrow.change is not None:
        style = palette.changes[arrow.change]
        colors = {"color": style["color"], **({"style": "dashed"} if "dashed" in style.get("style", "") else {})}
    return {
        "label": text(f" {label} ") if label else "",
        "tooltip": tip,
        "labeltooltip": tip,
        "class": f"arrow {CLASSES[kind]}",
        **weight,
        **colors,
    }


def _legend(drawing: Drawing, palette: Palette) -> str:
    """Caption and legend as an HTML-like label, the only one: whatever it says is escaped."""
    cells = []
    for entry in drawing.legend if len(drawing.legend) > 1 else ():
        style = _style(entry, palette)
        mark = MARKS[entry.kind] if isinstance(entry.kind, Change) else ""
        border = "2" if float(style.get("penwidth", "1")) > 2 else "1"
        rounded = ' STYLE="ROUNDED"' if "rounded" in style.get("style", "rounded") else ""
        colors = f'COLOR="{style["color"]}" BGCOLOR="{style["fillcolor"]}"'
        label = f'<FONT COLOR="{style.get("fontcolor", palette.ink)}">{html.escape(mark + entry.text)}</FONT>'
        cells.append(f'<TD BORDER="{border}"{rounded} {colors}>{label}</TD>')
    rows = ["".join(cells[i : i + LEGEND_COLUMNS]) for i in range(0, len(cells), LEGEND_COLUMNS)]
    table = "".join(f"<TR>{row}</TR>" for row in rows)
    legend = f'<TABLE BORDER="0" CELLSPACING="6" CELLPADDING="3">{table}</TABLE>' if table else ""
    parts = [legend, *map(html.escape, drawing.caption)]
    whole = "".join(f'<TR><TD ALIGN="LEFT">{part}</TD></TR>' for part in parts if part)
    return f'<<TABLE BORDER="0" CELLSPACING="2" CELLPADDING="1">{whole}</TABLE>>'


def _style(entry: Entry, palette: Palette) -> Mapping[str, str]:
    if isinstance(entry.kind, Kind):
        return palette.boxes[entry.kind]
    return palette.frames[entry.kind] if isinstance(entry.kind, FrameKind) else palette.changes[entry.kind]
