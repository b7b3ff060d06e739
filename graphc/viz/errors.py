"""What goes wrong when something is to be drawn."""

from __future__ import annotations

from graphc.errors import GraphcError

__all__ = ["DrawingError"]


class DrawingError(GraphcError, ValueError):
    """An object that cannot be drawn, or a drawing that cannot be laid out or written."""
