"""From a drawing to DOT. Whatever a user named is text here: quoted, and escaped where Graphviz would read it."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from graphc.viz.model import STORED, Arrow, Drawing, Frame, Kind
from graphc.viz.palette import ARROWS, FONT, FRAME, INK, SHARED_FRAME, SOFT_INK, STYLES

if TYPE_CHECKING:
    import graphviz

__all__ = ["Direction", "dot_source"]

Direction = Literal["TB", "LR"]

GRAPH = {
    "bgcolor": "white",
    "charset": "UTF-8",
    "fontname": FONT,
    "fontsize": "12",
    "newrank": "true",  # ranks across all frames: what a module computes from its own result may stand below it
    "nodesep": "0.3",
    "ranksep": "0.35",
    "tooltip": " ",
}
BOXES = {
    "fontname": FONT,
    "fontsize": "12",
    "fontcolor": INK,
    "height": "0.36",
    "margin": "0.12,0.06",
    "penwidth": "1.2",
}
LINES = {"fontname": FONT, "fontsize": "10", "fontcolor": SOFT_INK, "color": SOFT_INK, "arrowsize": "0.7"}
# Arrows stop a little before even the smallest box; its outline, which they do not heed, fills the gap.
DOOR = {"shape": "box", "fixedsize": "true", "width": "0.01", "height": "0.01", "penwidth": "1", "color": SOFT_INK}
STRAIGHT = "200"
"""How much more it matters that data flows straight on than that a parameter is near."""
LEGEND_COLUMNS = 4


def dot_source(drawing: Drawing, direction: Direction = "TB") -> str:
    """The DOT text of `drawing`, flowing from top to bottom or from left to right."""
    import graphviz

    dot = graphviz.Digraph("graphc", graph_attr={**GRAPH, "rankdir": direction}, node_attr=BOXES, edge_attr=LINES)
    top, bottom = ("n", "s") if direction == "TB" else ("w", "e")
    beside = _beside(drawing)
    through = _through(drawing, beside)
    _add_boxes(dot, drawing, through)
    for i, arrow in enumerate(drawing.arrows):
        attributes = _arrow_attributes(arrow, drawing.boxes[arrow.tail].kind)
        tail, head = f"n{arrow.tail}", f"n{arrow.head}"
        if i in through:
            dot.edge(tail, f"door{i}", **attributes, arrowhead="none", headport=top)
            del attributes["label"]
            dot.edge(f"door{i}", head, **attributes, tailport=bottom)
        else:
            dot.edge(tail, head, **attributes, **({"minlen": "0"} if i in beside else {}))
    if len(drawing.legend) > 1:
        dot.attr(label=_legend(drawing), labelloc="b", labeljust="l", fontsize="10")
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
    }


def _is_stored(drawing: Drawing, arrow: Arrow) -> bool:
    return drawing.boxes[arrow.tail].kind in STORED


def _add_boxes(dot: graphviz.Digraph, drawing: Drawing, through: set[int]) -> None:
    """Boxes in their frames. Inner frames are made before those around them, so that nothing recurses."""
    import graphviz

    children: dict[int | None, list[int]] = {}
    for i, frame in enumerate(drawing.frames):
        children.setdefault(frame.parent, []).append(i)
    parts: dict[int | None, graphviz.Digraph] = {None: dot}
    for i, frame in enumerate(drawing.frames):
        parts[i] = graphviz.Digraph(f"cluster_{i}", graph_attr=_frame_attributes(frame))
    for i, box in enumerate(drawing.boxes):
        parts[box.frame].node(f"n{i}", _text(*box.lines), tooltip=_tooltip(box.tooltip), **STYLES[box.kind])
    for i in sorted(through):
        door = parts[drawing.boxes[drawing.arrows[i].head].frame]
        door.node(f"door{i}", "", **DOOR, tooltip=" ")
    for outer in (*reversed(range(len(drawing.frames))), None):
        for inner in children.get(outer, ()):
            parts[outer].subgraph(parts.pop(inner))


def _frame_attributes(frame: Frame) -> dict[str, str]:
    title = f"{frame.title}  ×{frame.calls}" if frame.calls > 1 else frame.title
    style = SHARED_FRAME if frame.calls > 1 else FRAME
    return {**style, "label": _text(title), "tooltip": _tooltip(frame.tooltip), "labeljust": "l", "margin": "10"}


def _arrow_attributes(arrow: Arrow, kind: Kind) -> dict[str, str]:
    tooltip = _tooltip(arrow.tooltip)
    label = f"{arrow.mark}: {arrow.label}" if arrow.mark and arrow.label else arrow.mark or arrow.label
    weight = {} if kind in STORED else {"weight": STRAIGHT}
    return {
        "label": _text(f" {label} ") if label else "",
        "tooltip": tooltip,
        "labeltooltip": tooltip,
        **weight,
        **ARROWS.get(kind, {}),
    }


def _legend(drawing: Drawing) -> str:
    """The legend as an HTML-like label, the only one: it says nothing that a user named."""
    cells = []
    for entry in drawing.legend:
        style = SHARED_FRAME if entry.kind is None else STYLES[entry.kind]
        border = "2" if float(style.get("penwidth", "1")) > 2 else "1"
        rounded = ' STYLE="ROUNDED"' if "rounded" in style["style"] else ""
        colors = f'COLOR="{style["color"]}" BGCOLOR="{style["fillcolor"]}"'
        text = f'<FONT COLOR="{style.get("fontcolor", INK)}">{html.escape(entry.text)}</FONT>'
        cells.append(f'<TD BORDER="{border}"{rounded} {colors}>{text}</TD>')
    rows = ["".join(cells[i : i + LEGEND_COLUMNS]) for i in range(0, len(cells), LEGEND_COLUMNS)]
    table = "".join(f"<TR>{row}</TR>" for row in rows)
    return f'<<TABLE BORDER="0" CELLSPACING="6" CELLPADDING="3">{table}</TABLE>>'


def _text(*lines: str, backslash: str = "\\\\") -> str:
    """Lines as one label, on which Graphviz's escapes (`\\N`), entities (`&lt;`) and HTML-like labels have no hold."""
    import graphviz

    # Graphviz decodes entities in all labels, and its escapes start with a backslash.
    safe = (line.replace("&", "&amp;").replace("\\", backslash) for line in lines)
    text: str = graphviz.nohtml("\\n".join(safe))
    return text


def _tooltip(lines: Sequence[str]) -> str:
    """Lines as a tooltip, in which Graphviz looks for escapes twice."""
    return _text(*lines, backslash="\\\\\\\\")
