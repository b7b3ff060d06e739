"""Colours and shapes, by what a box or a frame stands for, as Graphviz attributes, for light and for dark pages.

Strokes are the colours of Okabe and Ito (2008), which people with any kind of colour vision tell apart; fills are tints
of them, far enough from the text. Shapes differ as well, so that a print in grey says the same. Shades for measured
values are those of ColorBrewer's YlOrBr (Harrower and Brewer 2003), which grow darker throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from graphc.viz.model import Change, FrameKind, Kind

__all__ = ["DARK", "FONT", "LIGHT", "MARKS", "THEMES", "Palette", "contrast"]

FONT = "Helvetica,Arial,sans-serif"
Attributes = Mapping[str, str]

MARKS = {Change.ADDED: "+ ", Change.REMOVED: "− ", Change.REWRITTEN: "~ ", Change.SAME: ""}
"""What is written before a box that has changed, for those who do not see colours."""


@dataclass(frozen=True)
class Palette:
    """Everything that depends on the background: `ramp` are shades from little to much."""

    background: str
    ink: str
    soft_ink: str
    boxes: Mapping[Kind, Attributes]
    arrows: Mapping[Kind, Attributes]
    frames: Mapping[FrameKind, Attributes]
    changes: Mapping[Change, Attributes]
    ramp: tuple[str, ...]

    def shade(self, share: float) -> Attributes:
        """The fill for a measured share between 0 and 1, and text that stands out from it."""
        place = min(max(share, 0.0), 1.0) * (len(self.ramp) - 1)
        low = min(int(place), len(self.ramp) - 2)
        fill = _between(self.ramp[low], self.ramp[low + 1], place - low)
        return {"fillcolor": fill, "fontcolor": max(("#000000", "#FFFFFF"), key=lambda ink: contrast(ink, fill))}


def contrast(a: str, b: str) -> float:
    """How far two colours are apart, from 1 to 21. Source: WCAG 2.1."""
    dark, light = sorted((_luminance(a), _luminance(b)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in _channels(color))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _between(a: str, b: str, share: float) -> str:
    return "#" + "".join(f"{round(x + (y - x) * share):02X}" for x, y in zip(_channels(a), _channels(b)))


BLUE, GREEN, ORANGE, VERMILLION, PURPLE = "#0072B2", "#009E73", "#E69F00", "#D55E00", "#CC79A7"
DARK_ORANGE, DARK_PURPLE, SLATE, GREY = "#B87500", "#9C3F76", "#5F6B76", "#7A7A7A"
RAMP = ("#FFFFE5", "#FEE391", "#FE9929", "#CC4C02", "#662506")


def _box(color: str, fill: str, **others: str) -> Attributes:
    return {"shape": "box", "style": "filled,rounded", "color": color, "fillcolor": fill, **others}


def _cylinder(color: str, fill: str, **others: str) -> Attributes:
    """The shape of what is stored between calls."""
    return {"shape": "cylinder", "style": "filled", "color": color, "fillcolor": fill, **others}


def _frame(color: str, fill: str, ink: str, **others: str) -> Attributes:
    # A frame has the width of the one around it where it has none of its own.
    return {"style": "filled,rounded", "color": color, "fillcolor": fill, "fontcolor": ink, "penwidth": "1", **others}


def _changes(
    added: str, removed: str, rewritten: str, ink: str, same: tuple[str, str, str]
) -> Mapping[Change, Attributes]:
    return MappingProxyType(
        {
            Change.ADDED: {"color": GREEN, "fillcolor": added, "fontcolor": ink, "penwidth": "2.2"},
            Change.REMOVED: {
                "color": VERMILLION,
                "fillcolor": removed,
                "fontcolor": ink,
                "style": "filled,rounded,dashed",
                "penwidth": "1.6",
            },
            Change.REWRITTEN: {"color": ORANGE, "fillcolor": rewritten, "fontcolor": ink, "penwidth": "2.2"},
            Change.SAME: {"color": same[0], "fillcolor": same[1], "fontcolor": same[2]},
        }
    )


def _light() -> Palette:
    ink = "#1A1A1A"
    return Palette(
        "#FFFFFF",
        ink,
        "#4A4A4A",
        {
            Kind.INPUT: _box(BLUE, "#D3E8F6", penwidth="1.6"),
            Kind.PARAMETER: _cylinder(ORANGE, "#FDF1D6"),
            Kind.SHARED: _cylinder(DARK_ORANGE, "#FAD98F", penwidth="2.4"),
            Kind.STATE: _cylinder(GREEN, "#D9F0E8"),
            Kind.CONSTANT: _box(GREY, "#EFEFEF", style="filled"),
            Kind.OP: _box(SLATE, "#FFFFFF"),
            Kind.GRADIENT_OP: _box(PURPLE, "#F9E9F2"),
            Kind.UPDATE_OP: _box(VERMILLION, "#FBE5D8"),
            Kind.GROUP: _box(SLATE, "#E9EDF1", penwidth="2"),
            Kind.OUTPUT: _box(BLUE, BLUE, fontcolor="#FFFFFF"),
            Kind.GRADIENT: _box(DARK_PURPLE, DARK_PURPLE, fontcolor="#FFFFFF"),
            Kind.UPDATE: _cylinder(VERMILLION, "#F6BF9E"),
            Kind.ERROR: _box("#B3261E", "#FCE4E2", penwidth="2.4", style="filled"),
        },
        {Kind.GRADIENT_OP: {"color": DARK_PURPLE}, Kind.UPDATE_OP: {"color": VERMILLION}},
        {
            FrameKind.MODULE: _frame("#A9B4BF", "#F4F6F8", ink),
            FrameKind.SHARED: _frame(DARK_ORANGE, "#FFFAF0", ink, penwidth="2.4"),
            FrameKind.BACKWARD: _frame(PURPLE, "#FDF6FA", ink),
            FrameKind.UPDATE: _frame("#E8A27C", "#FEF7F2", ink),
            FrameKind.KERNEL: _frame(BLUE, "#EFF6FB", ink, penwidth="1.6"),
            FrameKind.REPEAT: _frame(SLATE, "#FFFFFF", ink, style="filled,rounded,dashed", penwidth="2"),
            FrameKind.PART: _frame(GREY, "#FFFFFF", ink, style="filled,dashed"),
        },
        _changes("#D9F0E8", "#FBE5D8", "#FDF1D6", ink, ("#C4CAD0", "#FFFFFF", "#5A5A5A")),
        RAMP,
    )


def _dark() -> Palette:
    ink = "#ECEEF0"
    return Palette(
        "#15191E",
        ink,
        "#B4BCC4",
        {
            Kind.INPUT: _box("#56B4E9", "#173A52", penwidth="1.6"),
            Kind.PARAMETER: _cylinder(ORANGE, "#4A3A12"),
            Kind.SHARED: _cylinder("#FFC04D", "#6B5010", penwidth="2.4"),
            Kind.STATE: _cylinder("#2FC79B", "#123F33"),
            Kind.CONSTANT: _box("#9AA3AC", "#33383E", style="filled"),
            Kind.OP: _box("#9AA7B3", "#1F252C"),
            Kind.GRADIENT_OP: _box("#E29CC3", "#46263A"),
            Kind.UPDATE_OP: _box("#F08A4B", "#4E2A14"),
            Kind.GROUP: _box("#9AA7B3", "#2C343C", penwidth="2"),
            Kind.OUTPUT: _box("#56B4E9", "#56B4E9", fontcolor="#10151A"),
            Kind.GRADIENT: _box("#E29CC3", "#E29CC3", fontcolor="#10151A"),
            Kind.UPDATE: _cylinder("#F08A4B", "#7A3D18"),
            Kind.ERROR: _box("#FF8A80", "#541B18", penwidth="2.4", style="filled"),
        },
        {Kind.GRADIENT_OP: {"color": "#E29CC3"}, Kind.UPDATE_OP: {"color": "#F08A4B"}},
        {
            FrameKind.MODULE: _frame("#59636D", "#1B2127", ink),
            FrameKind.SHARED: _frame("#FFC04D", "#262218", ink, penwidth="2.4"),
            FrameKind.BACKWARD: _frame("#A5688B", "#241C22", ink),
            FrameKind.UPDATE: _frame("#B06A3C", "#251D18", ink),
            FrameKind.KERNEL: _frame("#56B4E9", "#18222B", ink, penwidth="1.6"),
            FrameKind.REPEAT: _frame("#9AA7B3", "#171C21", ink, style="filled,rounded,dashed", penwidth="2"),
            FrameKind.PART: _frame("#9AA3AC", "#171C21", ink, style="filled,dashed"),
        },
        _changes("#123F33", "#4E2A14", "#4A3A12", ink, ("#4C555E", "#1B2127", "#A8B0B8")),
        RAMP,
    )


LIGHT, DARK = _light(), _dark()
THEMES: Mapping[str, Palette] = MappingProxyType({"light": LIGHT, "dark": DARK})
