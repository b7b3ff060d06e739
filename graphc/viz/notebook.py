"""Graphs, programs and pages show themselves in a notebook: IPython is told how, when it is running."""

from __future__ import annotations

import html
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphc.ir import Graph
from graphc.runtime import Program
from graphc.viz.dot import dot_source
from graphc.viz.draw import contents
from graphc.viz.errors import DrawingError
from graphc.viz.layout import render
from graphc.viz.model import Drawing
from graphc.viz.request import Request, View
from graphc.viz.sheets import shown_drawing
from graphc.viz.subject import Drawable
from graphc.viz.views import GRAPHS, available

__all__ = ["Page", "explore", "register", "svg_of"]

HEIGHT = 640
"""Of a page in a notebook, in pixels."""
PATIENCE = 10.0
"""Seconds that a cell waits for a layout before it shows text instead."""


@dataclass(frozen=True)
class Page:
    """The text of a page; a notebook shows it in a frame of its own, in which it can reach nothing else."""

    html: str = field(repr=False)

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" sandbox="allow-scripts" '
            f'style="width:100%;height:{HEIGHT}px;border:1px solid #C4CAD0"></iframe>'
        )


def explore(
    value: Drawable,
    *,
    view: View = "forward",
    sizes: Mapping[str, int] | None = None,
    batch: Sequence[object] | None = None,
    name: str = "output",
) -> Page:
    """The page of a tensor, of several, of a graph or of a program: all its views, to walk through in a notebook.

    `view` is what is seen first, `sizes` and `batch` are for the numbers, as of `draw`. Raises DrawingError.
    """
    return Page(contents(value, ".html", Request(view, sizes=dict(sizes or {})), name, batch).decode())


def register() -> None:
    """Tell the notebook that runs this process, if one does, to show graphs, programs and drawings as SVG."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        formatter = shell.display_formatter.formatters["image/svg+xml"]
        for shown_type in (Graph, Program, Drawing):
            formatter.for_type(shown_type, svg_of)


def svg_of(value: Graph | Program | Drawing) -> str | None:
    """The SVG text of `value`; None where it cannot be laid out, so that the notebook shows its text."""
    try:
        drawing = value if isinstance(value, Drawing) else _drawn(value)
        text = render(dot_source(drawing), "svg", PATIENCE).decode()
    except DrawingError:
        return None
    return text[text.index("<svg") :]  # a page takes the element without the head of an XML file


def _drawn(value: Graph | Program) -> Drawing:
    """All of the graph, as far as it can be seen at once."""
    view = [each for each in available(value) if each in GRAPHS][-1]
    return shown_drawing(value, Request(view))
