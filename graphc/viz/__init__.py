"""Drawing graphs: `draw(tensor, "net.svg")`, and the command `graphc-viz`."""

from __future__ import annotations

from graphc.viz.draw import draw
from graphc.viz.errors import DrawingError
from graphc.viz.model import Drawing
from graphc.viz.notebook import Page, explore, register

__all__ = ["Drawing", "DrawingError", "Page", "draw", "explore"]

register()
