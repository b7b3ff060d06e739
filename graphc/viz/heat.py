"""Lays measured numbers over a drawing: the boxes that have one are shaded and say it."""

from __future__ import annotations

import math
from dataclasses import replace

from graphc.viz.model import Drawing, Heat
from graphc.viz.quantities import Overlay

__all__ = ["with_heat"]


def with_heat(drawing: Drawing, overlay: Overlay) -> Drawing:
    """`drawing` with the numbers of `overlay`; kernels with a frame have theirs, and not what is inside."""
    of_frames = {
        i: overlay.of_kernels[frame.kernel]
        for i, frame in enumerate(drawing.frames)
        if frame.kernel is not None and frame.kernel in overlay.of_kernels
    }
    of_boxes = {
        i: value
        for i, box in enumerate(drawing.boxes)
        if (value := overlay.of(box.nodes)) is not None and (box.frame not in of_frames or not overlay.of_kernels)
    }
    together = {**{("n", i): value for i, value in of_boxes.items()}, **{("f", i): v for i, v in of_frames.items()}}
    shares = overlay.shares(together)
    heats = {
        key: Heat(overlay.format(value), 1.0 if math.isnan(shares[key]) else shares[key])
        for key, value in together.items()
        if value
    }
    boxes = tuple(replace(box, heat=heats.get(("n", i))) for i, box in enumerate(drawing.boxes))
    frames = tuple(replace(frame, heat=heats.get(("f", i))) for i, frame in enumerate(drawing.frames))
    return replace(drawing, boxes=boxes, frames=frames)
