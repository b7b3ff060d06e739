"""Draws one module only: what is inside, and what leads into it and out of it."""

from __future__ import annotations

import difflib
from dataclasses import replace

from graphc.viz.collapse import parents_first
from graphc.viz.errors import DrawingError
from graphc.viz.labels import shown
from graphc.viz.legend import legend_of
from graphc.viz.model import Drawing

__all__ = ["focused"]


def focused(drawing: Drawing, path: str) -> Drawing:
    """The part of `drawing` inside the module called `path`, with the boxes around it. Raises DrawingError."""
    named = {frame.path: i for i, frame in reversed(list(enumerate(drawing.frames))) if frame.path}
    if path not in named:
        close = difflib.get_close_matches(path, named, 1)
        among = ", ".join(shown(name) for name in list(dict.fromkeys(reversed(list(named))))[:8]) or "none"
        hint = f"did you mean {shown(close[0])!r}?" if close else f"its modules are {among}"
        raise DrawingError(f"there is no module {shown(path)!r} in this drawing; {hint}")
    chosen: dict[int, int] = {}
    """Each frame that is kept, with the outermost one around it that is kept too."""
    for i, frame in enumerate(drawing.frames):
        if frame.parent in chosen:
            chosen[i] = chosen[frame.parent]
        elif frame.path == path:
            chosen[i] = i
    inside = {i: chosen[box.frame] for i, box in enumerate(drawing.boxes) if box.frame in chosen}
    arrows = [arrow for arrow in drawing.arrows if arrow.tail in inside or arrow.head in inside]
    kept = sorted({*inside, *(end for arrow in arrows for end in (arrow.tail, arrow.head))})
    number = {old: new for new, old in enumerate(kept)}
    frame_number = {old: new for new, old in enumerate(sorted(chosen))}
    boxes = tuple(
        replace(
            box,
            frame=frame_number.get(box.frame) if box.frame is not None else None,
            # Modules of one name that repeat each other are all drawn: the block that they are of is left out.
            like=number[box.like] if box.like in inside and inside.get(i) == inside[box.like] else None,
        )
        for i, box in ((i, drawing.boxes[i]) for i in kept)
    )
    frames = tuple(
        replace(frame, parent=frame_number.get(frame.parent) if frame.parent is not None else None)
        for frame in (drawing.frames[old] for old in frame_number)
    )
    moved = tuple(replace(arrow, tail=number[arrow.tail], head=number[arrow.head]) for arrow in arrows)
    return parents_first(replace(drawing, boxes=boxes, arrows=moved, frames=frames, legend=legend_of(boxes, frames)))
