"""Graphs and programs draw themselves in a notebook: IPython is told how, when it is running."""

from __future__ import annotations

import sys

from graphc.ir import Graph
from graphc.runtime import Program
from graphc.viz.dot import dot_source
from graphc.viz.errors import DrawingError
from graphc.viz.layout import render
from graphc.viz.model import Drawing
from graphc.viz.request import Request
from graphc.viz.sheets import shown_drawing
from graphc.viz.views import GRAPHS, available

__all__ = ["register", "svg_of"]

PATIENCE = 10.0
"""Seconds that a cell waits for a layout before it shows text instead."""


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
