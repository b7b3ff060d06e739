"""From a drawing to Mermaid, which code hosts draw inside of Markdown pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphc.viz.model import Change, Drawing, Kind
from graphc.viz.palette import MARKS, THEMES, Palette
from graphc.viz.request import Direction, Theme

__all__ = ["mermaid_source"]

SHAPES = {
    Kind.PARAMETER: ('[("', '")]'),
    Kind.SHARED: ('[("', '")]'),
    Kind.STATE: ('[("', '")]'),
    Kind.UPDATE: ('[("', '")]'),
    Kind.INPUT: ('(["', '"])'),
    Kind.OUTPUT: ('(["', '"])'),
    Kind.GRADIENT: ('(["', '"])'),
    Kind.GROUP: ('[["', '"]]'),
}
DASHES = "stroke-dasharray:5 4"


def mermaid_source(drawing: Drawing, direction: Direction = "TB", theme: Theme = "light") -> str:
    """The text of a Mermaid flowchart of all of `drawing`."""
    palette = THEMES[theme]
    lines = [f"flowchart {direction}"]
    inside: dict[int | None, list[int]] = {}
    for i, box in enumerate(drawing.boxes):
        inside.setdefault(box.frame, []).append(i)
    children: dict[int | None, list[int]] = {}
    for i, frame in enumerate(drawing.frames):
        children.setdefault(frame.parent, []).append(i)
    work: list[tuple[int | None, int, bool]] = [(None, 0, False)]
    while work:
        level, depth, is_end = work.pop()
        indent = "  " * depth
        if is_end:
            lines.append(f"{indent}end")
            continue
        if level is not None:
            frame = drawing.frames[level]
            title = f"{frame.title} ×{frame.calls}" if frame.calls > 1 else frame.title
            lines.append(f'{indent}subgraph f{level}["{quoted(title)}"]')
            work.append((level, depth, True))
        for i in inside.get(level, ()):
            box = drawing.boxes[i]
            mark = MARKS[box.change] if box.change is not None else ""
            heat = (box.heat.text,) if box.heat is not None else ()
            left, right = SHAPES.get(box.kind, ('("', '")'))
            text = "<br>".join(map(quoted, (mark + box.lines[0], *box.lines[1:], *heat)))
            style = f":::{box.kind.name.lower()}" if box.change is None else f":::{box.change.value}"
            lines.append(f"{indent}  n{i}{left}{text}{right}{style}")
        work.extend((child, depth + 1, False) for child in reversed(children.get(level, ())))
    for arrow in drawing.arrows:
        label = ": ".join(part for part in (arrow.mark, arrow.label) if part)
        link = "-.->" if arrow.change is Change.REMOVED else "-->"
        note = f'|"{quoted(label)}"|' if label else ""
        lines.append(f"  n{arrow.tail} {link}{note} n{arrow.head}")
    lines += _styles(drawing, palette)
    return "\n".join(lines) + "\n"


def _styles(drawing: Drawing, palette: Palette) -> Iterator[str]:
    for kind in dict.fromkeys(box.kind for box in drawing.boxes if box.change is None):
        style = palette.boxes[kind]
        yield _style(f"classDef {kind.name.lower()}", style, style.get("fontcolor", palette.ink))
    for change in dict.fromkeys(box.change for box in drawing.boxes if box.change is not None):
        style = palette.changes[change]
        yield _style(f"classDef {change.value}", style, style["fontcolor"])
    for i, frame in enumerate(drawing.frames):
        yield _style(f"style f{i}", palette.frames[frame.kind], palette.ink)


def _style(what: str, style: Mapping[str, str], ink: str) -> str:
    dashes = f",{DASHES}" if "dashed" in style.get("style", "") else ""
    return f"  {what} fill:{style['fillcolor']},stroke:{style['color']},color:{ink}{dashes}"


def quoted(text: str) -> str:
    """Text in which Mermaid, Markdown and HTML find nothing to read: letters, digits and a few signs stay."""
    return "".join(c if c.isalnum() or c in " .,:=+−×∂…~→" else f"#{ord(c)};" for c in text) or "#8203;"
