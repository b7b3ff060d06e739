"""The drawings of one object, view by view, and the document of all of them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphc.ir import Graph
from graphc.runtime import Program
from graphc.viz.chart import chart_of, rows_of
from graphc.viz.code import listings_of
from graphc.viz.collapse import MOST_BOXES, opening, visible, with_parts
from graphc.viz.compare import Comparison
from graphc.viz.difference import difference_of, opening_of_difference
from graphc.viz.document import Document, Sheet
from graphc.viz.errors import DrawingError
from graphc.viz.focus import focused
from graphc.viz.heat import with_heat
from graphc.viz.labels import shown
from graphc.viz.model import Drawing
from graphc.viz.overlays import Overlay, overlay_of
from graphc.viz.passes import pass_rows
from graphc.viz.request import Overlay as OverlayName
from graphc.viz.request import Request
from graphc.viz.subject import subject_of
from graphc.viz.timeline import Timeline, timeline_of
from graphc.viz.totals import totals_of
from graphc.viz.views import TITLES, available, drawing_for

__all__ = [
    "chart_source",
    "document_of",
    "document_of_difference",
    "document_of_passes",
    "measured",
    "shown_difference",
    "shown_drawing",
    "summary_of",
]

MOST_IN_STEP = 60
"""Boxes up to which frames of a training step are open: it is read for how its parts work together."""
MOST_IN_PAGE = 20_000
"""Boxes of one view up to which a page has all of them."""

Batch = Sequence[object] | None


def measured(value: object, request: Request, name: str = "output", batch: Batch = None) -> Overlay | None:
    """The numbers that are asked for, if any are. Raises DrawingError."""
    return None if request.overlay is None else _overlay(_counted(value, name), request.overlay, request, batch)


def shown_drawing(value: object, request: Request, name: str = "output", overlay: Overlay | None = None) -> Drawing:
    """What is to be seen of `value`, with modules open or closed as asked for. Raises DrawingError."""
    full = _whole(value, request, name)
    _check_collapse(full, request)
    drawing = visible(full, _opening(full, request))
    caption = summary_of(value, request, name)
    if overlay is not None:
        drawing = with_heat(drawing, overlay)
        caption = (*caption, "; ".join((overlay.title, *overlay.notes)))
    return replace(drawing, caption=caption)


def shown_difference(comparison: Comparison, request: Request) -> Drawing:
    """What is to be seen of two graphs in one. Raises DrawingError."""
    full = with_parts(difference_of(comparison))
    return visible(full, opening_of_difference(full, request.depth))


def summary_of(value: object, request: Request, name: str = "output") -> tuple[str, ...]:
    """The totals of `value`, in a line."""
    return (str(totals_of(_counted(value, name), request.sizes)),)


def document_of(
    value: object, request: Request, name: str = "output", batch: Batch = None, overlay: Overlay | None = None
) -> Document:
    """All views of `value`, with the code and the numbers that belong to them."""
    views = available(value, name)
    if request.view not in views:
        _sheet(value, request, name)  # says why there is no such view
    sheets = [_sheet(value, replace(request, view=view), name) for view in views]
    start = next(sheet for sheet in sheets if sheet.name == request.view)
    if start.chart == "":
        _check_collapse(start.drawing, request)
    program = value if isinstance(value, Program) else None
    counted = _counted(value, name)
    return Document(
        name,
        tuple(sheets),
        _graphs(value, name),
        request.direction,
        request.theme,
        (str(totals_of(counted, request.sizes)),),
        listings_of(program) if program is not None else (),
        _overlays(counted, request, batch, overlay),
        pass_rows(program) if program is not None else (),
        request.view,
    )


def document_of_difference(comparison: Comparison, request: Request, name: str) -> Document:
    """A comparison, and the two graphs by themselves."""
    whole = {"before": comparison.before, "after": comparison.after}
    sheets = [_sheet_of_difference("difference", "Difference", comparison, request)]
    for stage, graph in whole.items():
        drawing = _pruned(with_parts(drawing_for(graph, "training", name, is_whole=True)))
        sheets.append(Sheet(stage, stage.capitalize(), drawing, _opening(drawing, request)))
    counts = ", ".join(f"{count} {change.value}" for change, count in comparison.counts.items())
    return Document(name, tuple(sheets), whole, request.direction, request.theme, (counts,))


def document_of_passes(program: Program, request: Request, name: str) -> Document:
    """What each pass that changed something has made of a program."""
    rows = pass_rows(program)
    sheets = []
    graphs = {}
    for i, row in enumerate(rows):
        if row.comparison is not None and not row.comparison.is_same:
            sheets.append(_sheet_of_difference(f"{i}-{row.name}", row.name, row.comparison, request))
            graphs[f"before {row.name}"] = row.comparison.before
            graphs[f"after {row.name}"] = row.comparison.after
    if not sheets:
        raise DrawingError(f"{shown(name)!r} was not changed by any pass")
    summary = summary_of(program, request, name)
    return Document(name, tuple(sheets), graphs, request.direction, request.theme, summary, passes=rows)


def chart_source(value: object, request: Request, name: str) -> str:
    """DOT of the memory of a program. Raises DrawingError."""
    return chart_of(_timeline(value, request, name), request.theme)


def _whole(value: object, request: Request, name: str) -> Drawing:
    drawing = drawing_for(value, request.view, name)
    return with_parts(focused(drawing, request.only) if request.only else drawing)


def _check_collapse(drawing: Drawing, request: Request) -> None:
    """A name of no module is a slip of the pen. Raises DrawingError."""
    known = list(dict.fromkeys(name for frame in drawing.frames for name in (frame.path, frame.type_) if name))
    for name in request.collapse:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {shown(close[0])!r}?" if close else "--collapse takes paths and classes of modules"
            raise DrawingError(f"there is no module {shown(name)!r} to collapse in this drawing; {hint}")


def _opening(drawing: Drawing, request: Request) -> frozenset[int]:
    most = MOST_IN_STEP if request.view == "training" else MOST_BOXES
    return opening(drawing, request.depth, request.collapse, most)


def _sheet(value: object, request: Request, name: str) -> Sheet:
    title = TITLES[request.view]
    if request.view == "memory":
        timeline = _timeline(value, request, name)
        marks = {f"s{i}": bar.idents for row in rows_of(timeline) for i, bar in row.bars}
        return Sheet(request.view, title, Drawing(()), marks=marks, chart=chart_of(timeline, request.theme))
    drawing = drawing_for(value, request.view, name)
    # The module that is asked for may not be in all views: these are drawn as a whole.
    if any(frame.path == request.only for frame in drawing.frames if request.only):
        drawing = focused(drawing, request.only)
    drawing = _pruned(with_parts(drawing))
    return Sheet(request.view, title, drawing, _opening(drawing, request))


def _sheet_of_difference(name: str, title: str, comparison: Comparison, request: Request) -> Sheet:
    drawing = _pruned(with_parts(difference_of(comparison)))
    return Sheet(name, title, drawing, opening_of_difference(drawing, request.depth))


def _pruned(drawing: Drawing) -> Drawing:
    """The drawing with no more boxes than a page can hold: what is too much inside a frame is one box for good."""
    if len(drawing.boxes) <= MOST_IN_PAGE:
        return drawing
    seen = visible(drawing, opening(drawing, most=MOST_IN_PAGE, parts=True))
    boxes = tuple(
        replace(box, nodes=(), id="") if box.id.startswith("f") else replace(box, id="") for box in seen.boxes
    )
    arrows = tuple(replace(arrow, id="") for arrow in seen.arrows)
    return replace(seen, boxes=boxes, arrows=arrows, frames=tuple(replace(frame, id="") for frame in seen.frames))


def _timeline(value: object, request: Request, name: str) -> Timeline:
    if not isinstance(value, Program):
        raise DrawingError(f"{shown(name)!r} has no memory plan: that is of a program, which graphc.compile gives")
    return timeline_of(value, request.sizes)


def _counted(value: object, name: str) -> Graph | Program:
    """What is counted: a program, or the graph of what else there is."""
    return value if isinstance(value, (Graph, Program)) else subject_of(value, name)[0]


def _overlay(counted: Graph | Program, overlay: OverlayName, request: Request, batch: Batch) -> Overlay:
    return overlay_of(overlay, counted, sizes=request.sizes, inputs=batch)


def _overlays(counted: Graph | Program, request: Request, batch: Batch, asked: Overlay | None) -> tuple[Overlay, ...]:
    """What was asked for, what is counted, and what needs a batch if there is one."""
    names: list[OverlayName] = ["flops", "bytes", "memory"]
    if batch is not None and isinstance(counted, Program):
        names += ["gradient", "nan"]
    first = () if asked is None else (asked,)
    return (*first, *(_overlay(counted, each, request, batch) for each in names if each != request.overlay))


def _graphs(value: object, name: str) -> Mapping[str, Graph]:
    """The stages in which nodes have printed names: as declared, and as it is computed."""
    graph, _ = subject_of(value, name)
    if isinstance(value, Program) and value.schedule is not None:
        return {"declared": graph, "compiled": value.schedule.graph}
    return {"declared": graph}
