"""The colours of drawings as a style sheet: by kind, for light and dark pages, from the palettes that Graphviz has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphc.viz.palette import LIGHT, THEMES, Palette

__all__ = ["STEPS", "colors"]

STEPS = 9
"""Shades of measured values; ranking.js has the same number."""


def colors() -> str:
    """Rules that set `--fill`, `--stroke` and `--text` for boxes, frames and arrows by their classes."""
    rules = [rule for theme, palette in THEMES.items() for rule in _theme(f'[data-theme="{theme}"] svg', palette)]
    for step in range(STEPS):
        shade = LIGHT.shade(step / (STEPS - 1))
        fill, ink = shade["fillcolor"], shade["fontcolor"]
        rules.append(f"[data-theme] svg .measured.heat-{step}:is(.node, .cluster) {{ --fill: {fill}; --text: {ink}; }}")
        rules.append(f".ramp-{step} {{ background: {fill}; }}")
    return "\n".join(rules) + "\n"


def _theme(scope: str, palette: Palette) -> Iterator[str]:
    yield f"{scope} :is(.node, .cluster) {{ --fill: none; --stroke: {palette.soft_ink}; --text: {palette.ink}; }}"
    yield f"{scope} .edge {{ --stroke: {palette.soft_ink}; }}"
    for kind, style in palette.boxes.items():
        yield f"{scope} .node.{kind.name.lower()} {_values(style, palette)}"
    for frame, style in palette.frames.items():
        yield f"{scope} .cluster.{frame.name.lower()} {_values(style, palette)}"
    for kind, style in palette.arrows.items():
        yield f"{scope} .edge.{kind.name.lower()} {{ --stroke: {style['color']}; }}"
    for change, style in palette.changes.items():
        name = change.value
        yield f"{scope} :is(.node, .cluster).{name} {_values(style, palette)}"
        yield f"{scope} .edge.{name} {{ --stroke: {style['color']}; }}"


def _values(style: Mapping[str, str], palette: Palette) -> str:
    text = style.get("fontcolor", palette.ink)
    return f"{{ --fill: {style['fillcolor']}; --stroke: {style['color']}; --text: {text}; }}"
