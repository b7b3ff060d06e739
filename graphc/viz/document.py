"""Everything that is known of one object, as data: what a page shows, and what a `.json` file has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphc.ir import Graph, Node
from graphc.ir.printer import names_of
from graphc.viz.code import Listing
from graphc.viz.collapse import closed_box
from graphc.viz.dot import arrow_attributes, box_attributes, defaults, frame_attributes
from graphc.viz.labels import shown
from graphc.viz.model import Change, Drawing, Entry, Frame, FrameKind
from graphc.viz.palette import THEMES
from graphc.viz.passes import PassRow
from graphc.viz.quantities import Overlay
from graphc.viz.request import Direction, Theme

__all__ = ["FORMAT", "VERSION", "Document", "Sheet", "record_of"]

FORMAT, VERSION = "graphc-drawing", 1
MOST_ROWS = 500
"""Lines of a ranking."""


@dataclass(frozen=True)
class Sheet:
    """One view. `open` are the frames that are open at first; `svg` is drawn so, None where it is not drawn ahead.

    A chart, such as that of memory, has no boxes: `chart` is its DOT text, and `marks` says which nodes its elements
    stand for, by their ids.
    """

    name: str
    title: str
    drawing: Drawing
    open: frozenset[int] = frozenset()
    svg: str | None = None
    marks: Mapping[str, Sequence[int]] | None = None
    chart: str = ""


@dataclass(frozen=True)
class Document:
    """What is drawn of one object. `graphs` are the stages in which its nodes have printed names.

    `start` is the name of the sheet that is seen first, if that is not the first one.
    """

    name: str
    sheets: tuple[Sheet, ...]
    graphs: Mapping[str, Graph]
    direction: Direction = "TB"
    theme: Theme = "light"
    summary: tuple[str, ...] = ()
    listings: tuple[Listing, ...] = ()
    overlays: tuple[Overlay, ...] = ()
    passes: tuple[PassRow, ...] = ()
    start: str = ""


def record_of(document: Document) -> dict[str, Any]:
    """The document as JSON has it. Nodes are numbered in the order of the stages, and are the same in all views."""
    numbers, nodes = _nodes(document)
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": shown(document.name, None),
        "direction": document.direction,
        "theme": document.theme,
        "start": document.start or document.sheets[0].name,
        "summary": list(document.summary),
        "nodes": nodes,
        "views": [_view(sheet, numbers, document) for sheet in document.sheets],
        "code": [
            {
                "title": each.title,
                "language": each.language,
                "text": each.text,
                "kernels": {str(kernel): [list(part) for part in found] for kernel, found in each.kernels.items()},
                "nodes": {
                    str(numbers[ident]): [list(part) for part in found]
                    for ident, found in each.nodes.items()
                    if ident in numbers
                },
            }
            for each in document.listings
        ],
        "overlays": [_overlay(each, numbers) for each in document.overlays],
        "passes": [_pass(row) for row in document.passes] or None,
    }


def _nodes(document: Document) -> tuple[dict[int, int], list[dict[str, Any]]]:
    """The number of each ident that is drawn, and what is known of its nodes; the first stage that has it counts."""
    drawn = {ident for sheet in document.sheets for box in sheet.drawing.boxes for ident in box.nodes}
    drawn |= {ident for sheet in document.sheets for idents in (sheet.marks or {}).values() for ident in idents}
    numbers: dict[int, int] = {}
    found: list[dict[str, Any]] = []
    forward: list[int | None] = []
    for stage, graph in document.graphs.items():
        for node, name in names_of((*graph.inputs, *graph.nodes)).items():
            ident = node.origin.ident
            if ident not in drawn:
                continue
            if ident not in numbers:
                numbers[ident] = len(found)
                found.append(_node(node))
                forward.append(node.origin.forward)
            found[numbers[ident]]["names"].setdefault(stage, name)
    for entry, ident_of_forward in zip(found, forward, strict=True):
        entry["forward"] = None if ident_of_forward is None else numbers.get(ident_of_forward)
    return numbers, found


def _node(node: Node) -> dict[str, Any]:
    cell = node.op.cell
    label = f"{cell.role.value} {cell.name}" if cell is not None else str(node.op)
    origin = node.origin
    return {
        "label": shown(label, None),
        "op": node.op.name,
        "type": str(node.type),
        "where": shown(origin.location, None),
        "module": shown(origin.module, None),
        "forward": None,
        "names": {},
    }


def _view(sheet: Sheet, numbers: Mapping[int, int], document: Document) -> dict[str, Any]:
    if sheet.marks is not None:
        marks = {key: _numbered(idents, numbers) for key, idents in sheet.marks.items()}
        return {"name": sheet.name, "title": sheet.title, "static": True, "svg": sheet.svg, "marks": marks}
    drawing = sheet.drawing
    palette = THEMES[document.theme]
    caption = list(drawing.caption)
    given = defaults(document.direction, palette)
    inside = _idents_inside(drawing)
    largest = [(each, _largest(each.of_nodes), _largest(each.of_kernels)) for each in document.overlays]
    return {
        "name": sheet.name,
        "title": sheet.title,
        "caption": caption,
        "boxes": [
            {
                "kind": box.kind.name.lower(),
                "lines": list(box.lines),
                "tooltip": list(box.tooltip),
                "frame": box.frame,
                "nodes": _numbered(box.nodes, numbers),
                "like": box.like,
                "change": _change(box.change),
                "dot": _dot(box_attributes(box, palette)),
            }
            for box in drawing.boxes
        ],
        "arrows": [
            {
                "tail": arrow.tail,
                "head": arrow.head,
                "label": arrow.label,
                "mark": arrow.mark,
                "tooltip": list(arrow.tooltip),
                "change": _change(arrow.change),
                "dot": _dot(arrow_attributes(arrow, drawing.boxes[arrow.tail].kind, palette)),
            }
            for arrow in drawing.arrows
        ],
        "frames": [
            {
                "kind": frame.kind.name.lower(),
                "title": frame.title,
                "calls": frame.calls,
                "times": frame.times,
                "tooltip": list(frame.tooltip),
                "parent": frame.parent,
                "open": i in sheet.open,
                "contents": frame.contents,
                "path": shown(frame.path, None),
                "kernel": frame.kernel,
                "change": _change(frame.change),
                "dot": _dot(frame_attributes(frame, palette)),
                "closed": _dot(box_attributes(closed_box(drawing, i), palette)),
                "heat": _heats(frame, inside[i], largest),
            }
            for i, frame in enumerate(drawing.frames)
        ],
        "legend": [_entry(entry) for entry in drawing.legend],
        "graph": "".join(f"{scope}{_dot(attributes, brackets=True)};" for scope, attributes in given.items()),
        "svg": sheet.svg,
    }


def _entry(entry: Entry) -> dict[str, str]:
    if isinstance(entry.kind, Change):
        return {"of": "change", "kind": entry.kind.value, "text": entry.text}
    of = "frame" if isinstance(entry.kind, FrameKind) else "box"
    return {"of": of, "kind": entry.kind.name.lower(), "text": entry.text}


def _idents_inside(drawing: Drawing) -> list[list[int]]:
    inside: list[list[int]] = [[] for _ in drawing.frames]
    for box in drawing.boxes:
        if box.frame is not None:
            inside[box.frame].extend(box.nodes)
    for i in reversed(range(len(drawing.frames))):
        parent = drawing.frames[i].parent
        if parent is not None:
            inside[parent].extend(inside[i])
    return inside


def _heats(frame: Frame, idents: Iterable[int], largest: Sequence[tuple[Overlay, float, float]]) -> dict[str, Any]:
    """What a frame has of each overlay, when it is closed; a kernel also when it is open.

    The shade is relative to the `largest` number of a node and of a kernel.
    """
    found: dict[str, Any] = {}
    idents = list(idents)
    for overlay, of_node, of_kernel in largest:
        if frame.kernel is not None and frame.kernel in overlay.of_kernels:
            value: float | None = overlay.of_kernels[frame.kernel]
            most = of_kernel
        else:
            value, most = overlay.of(idents), of_node
        if value:
            share = overlay.shares({"own": value, "most": most})["own"]
            found[overlay.name] = {"text": overlay.format(value), "share": round(share, 4)}
    return found


def _largest(values: Mapping[int, float]) -> float:
    return max((value for value in values.values() if math.isfinite(value)), default=0.0)


def _numbered(idents: Iterable[int], numbers: Mapping[int, int]) -> list[int]:
    return [numbers[ident] for ident in dict.fromkeys(idents) if ident in numbers]


def _change(change: Change | None) -> str | None:
    return None if change is None else change.value


def _dot(attributes: Mapping[str, str], *, brackets: bool = False) -> str:
    """Attributes as DOT writes them; text stays quoted as `graphviz` does it."""
    from graphviz.quoting import attr_list

    text: str = attr_list(kwargs=dict(attributes)).strip()
    return text if brackets else text.removeprefix("[").removesuffix("]")


def _overlay(overlay: Overlay, numbers: Mapping[int, int]) -> dict[str, Any]:
    shares = overlay.shares(overlay.of_nodes)
    of_kernels = overlay.shares(overlay.of_kernels)
    return {
        "name": overlay.name,
        "title": overlay.title,
        "unit": overlay.unit,
        "nodes": {
            str(numbers[ident]): {"text": overlay.format(value), "share": round(shares[ident], 4)}
            for ident, value in overlay.of_nodes.items()
            if ident in numbers and value
        },
        "kernels": {
            str(kernel): {"text": overlay.format(value), "share": round(of_kernels[kernel], 4)}
            for kernel, value in overlay.of_kernels.items()
        },
        "rows": [
            {
                "what": shown(row.what, None),
                "module": shown(row.module, None),
                "where": shown(row.where, None),
                "value": overlay.format(row.value),
                "share": None if row.share != row.share else round(row.share, 4),
                "text": shown(row.text, None),
                "nodes": _numbered(row.nodes, numbers),
            }
            for row in overlay.rows[:MOST_ROWS]
        ],
        "notes": list(overlay.notes),
    }


def _pass(row: PassRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "seconds": row.seconds,
        "nodes": None if row.comparison is None else [row.nodes_before, row.nodes_after],
        "added": row.added,
        "removed": row.removed,
        "rewritten": row.rewritten,
        "rules": dict(row.counts),
        "note": row.made,
    }
