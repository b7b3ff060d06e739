"""Colours and shapes, by what a box stands for, as Graphviz attributes."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.viz.model import Kind

__all__ = ["ARROWS", "FONT", "FRAME", "INK", "SHARED_FRAME", "SOFT_INK", "STYLES"]

FONT = "Helvetica,Arial,sans-serif"
INK, SOFT_INK = "#1A1A1A", "#4A4A4A"

# Strokes are the colours of Okabe and Ito (2008), which people with any kind of colour vision tell apart; fills are
# tints of them, light enough for dark text. Shapes differ as well, so that a print in grey says the same.
BLUE, GREEN, ORANGE, VERMILLION, PURPLE = "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
DARK_ORANGE, DARK_PURPLE, SLATE, GREY = "#B87500", "#9C3F76", "#5F6B76", "#7A7A7A"


def _box(color: str, fill: str, **others: str) -> Mapping[str, str]:
    return {"shape": "box", "style": "filled,rounded", "color": color, "fillcolor": fill, **others}


def _cylinder(color: str, fill: str, **others: str) -> Mapping[str, str]:
    """The shape of what is stored between calls."""
    return {"shape": "cylinder", "style": "filled", "color": color, "fillcolor": fill, **others}


STYLES: Mapping[Kind, Mapping[str, str]] = {
    Kind.INPUT: _box(BLUE, "#D3E8F6", penwidth="1.6"),
    Kind.PARAMETER: _cylinder(ORANGE, "#FDF1D6"),
    Kind.SHARED: _cylinder(DARK_ORANGE, "#FAD98F", penwidth="2.4"),
    Kind.STATE: _cylinder(GREEN, "#D9F0E8"),
    Kind.CONSTANT: _box(GREY, "#EFEFEF", style="filled"),
    Kind.OP: _box(SLATE, "#FFFFFF"),
    Kind.GRADIENT_OP: _box(PURPLE, "#F9E9F2"),
    Kind.UPDATE_OP: _box(VERMILLION, "#FBE5D8"),
    Kind.OUTPUT: _box(BLUE, BLUE, fontcolor="#FFFFFF"),
    Kind.GRADIENT: _box(DARK_PURPLE, DARK_PURPLE, fontcolor="#FFFFFF"),
    Kind.UPDATE: _cylinder(VERMILLION, "#F6BF9E"),
}
ARROWS: Mapping[Kind, Mapping[str, str]] = {
    Kind.GRADIENT_OP: {"color": DARK_PURPLE},
    Kind.UPDATE_OP: {"color": VERMILLION},
}
FRAME: Mapping[str, str] = {"style": "filled,rounded", "color": "#A9B4BF", "fillcolor": "#F4F6F8", "fontcolor": INK}
SHARED_FRAME: Mapping[str, str] = {**FRAME, "color": DARK_ORANGE, "fillcolor": "#FFFAF0", "penwidth": "2.4"}
