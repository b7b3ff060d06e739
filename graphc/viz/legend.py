"""The legend: only what occurs."""

from __future__ import annotations

from collections.abc import Iterable

from graphc.viz.model import Box, Entry, Frame, FrameKind, Kind

__all__ = ["legend_of"]


def legend_of(boxes: Iterable[Box], frames: Iterable[Frame]) -> tuple[Entry, ...]:
    """The kinds that occur, and what became of them where that is drawn."""
    boxes, frames = list(boxes), list(frames)
    # What has changed has the colours of that.
    found = {box.kind for box in boxes if box.change is None}
    entries = [Entry(kind, kind.value) for kind in Kind if kind in found]
    if any(frame.kind is FrameKind.SHARED for frame in frames):
        entries.append(Entry(FrameKind.SHARED, FrameKind.SHARED.value))
    changes = {box.change for box in boxes if box.change is not None}
    return (*entries, *(Entry(change, change.value) for change in sorted(changes, key=lambda each: each.value)))
