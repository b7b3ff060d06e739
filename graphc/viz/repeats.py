"""Blocks that repeat: found in the drawing, and framed, so that one of them can stand for all.

What stands together in a frame is a sequence of items: boxes, and frames with all that is in them. Two items are alike
when the same ops are joined in the same way inside; where the same few items follow one another again and again, each
reading from the one before as the others do, they are repetitions of a block.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from graphc.viz.collapse import parents_first
from graphc.viz.model import STORED, Arrow, Drawing, Frame, FrameKind, Kind

__all__ = ["FEWEST", "with_repeats"]

FEWEST = 4
"""Repetitions from which on a block is drawn once."""
LONGEST = 48
"""Items in one repetition, at most."""
GIVEN = {Kind.INPUT, Kind.CONSTANT, *STORED}
"""What repetitions may read from afar, all the same or each its own."""
NEAR = 64
"""How many items back a repetition may read from another; beyond, only what it reads counts."""
ROUNDS = 3
"""How deep blocks that are made of blocks are looked for, within one frame."""


@dataclass(frozen=True)
class _Item:
    """`boxes` in order; `frame` if the item is a frame, with all that is inside; `shape` is what it is like."""

    boxes: tuple[int, ...]
    frame: int | None
    shape: int


def with_repeats(drawing: Drawing, alike: Sequence[Hashable]) -> Drawing:
    """`drawing` with a frame around the repetitions of each block, and `like` set for the boxes of all but the first.

    `alike` says of each frame what it has in common with those that it may be a repetition of.
    """
    return _Finder(drawing, alike).run()


class _Finder:
    def __init__(self, drawing: Drawing, alike: Sequence[Hashable]) -> None:
        self.drawing = drawing
        self.alike = list(alike)
        self.boxes = list(drawing.boxes)
        self.frames = list(drawing.frames)
        self.into: list[list[Arrow]] = [[] for _ in drawing.boxes]
        for arrow in drawing.arrows:
            self.into[arrow.head].append(arrow)
        self.numbers: dict[Hashable, int] = {}
        self.like: dict[int, int] = {}
        self.parent_of_box: dict[int, int | None] = {i: box.frame for i, box in enumerate(self.boxes)}

    def run(self) -> Drawing:
        inside: dict[int | None, list[int]] = {}
        for i, box in enumerate(self.boxes):
            inside.setdefault(box.frame, []).append(i)
        children: dict[int | None, list[int]] = {}
        for i, frame in enumerate(self.frames):
            children.setdefault(frame.parent, []).append(i)
        items: dict[int, _Item] = {}
        outermost_last: list[int | None] = [*reversed(range(len(self.frames))), None]
        for level in outermost_last:
            members = [_Item((i,), None, self._shape_of_box(i)) for i in inside.get(level, ())]
            members += [items.pop(child) for child in children.get(level, ()) if child in items]
            members.sort(key=lambda item: item.boxes[0])
            for _ in range(ROUNDS if level is None or self._has_order(self.frames[level]) else 0):
                shorter = self._fold(members, level)
                if len(shorter) == len(members):
                    break
                members = shorter
            if level is not None and members:
                items[level] = self._item(members, level, self.alike[level])
        return self._result()

    def _has_order(self, frame: Frame) -> bool:
        """Not updates, which stand side by side, nor the calls of one module, which have the rest between them."""
        return frame.kind is not FrameKind.UPDATE and frame.calls == 1

    def _number(self, key: Hashable) -> int:
        return self.numbers.setdefault(key, len(self.numbers))

    def _shape_of_box(self, i: int) -> int:
        """What a box is, apart from its name; inputs and outputs are like nothing else."""
        box = self.boxes[i]
        if box.kind in (Kind.INPUT, Kind.OUTPUT, Kind.GRADIENT):
            return self._number(("only", i))
        lines = box.lines[1:] if box.kind in STORED else () if box.kind is Kind.UPDATE else box.lines
        return self._number((box.kind, lines))

    def _item(self, members: Sequence[_Item], frame: int | None, alike: Hashable) -> _Item:
        boxes = tuple(sorted(i for member in members for i in member.boxes))
        position = {i: k for k, i in enumerate(boxes)}
        parts = []
        for i in boxes:
            # What comes from outside has a label only where it does not come from an input.
            reads = tuple(
                (position.get(a.tail, -1), a.label if a.tail in position else "", a.mark) for a in self.into[i]
            )
            parts.append((self._shape_of_box(i), reads))
        return _Item(boxes, frame, self._number((alike, tuple(parts))))

    def _links(self, items: Sequence[_Item]) -> list[int]:
        """For each item its shape together with what it reads from outside, relative to its place."""
        at = {i: (k, j) for k, item in enumerate(items) for j, i in enumerate(item.boxes)}
        links = []
        for k, item in enumerate(items):
            own = set(item.boxes)
            reads: list[Hashable] = []
            for j, i in enumerate(item.boxes):
                for arrow in self.into[i]:
                    if arrow.tail in own:
                        continue
                    place = at.get(arrow.tail)
                    if place is not None and k - place[0] <= NEAR and self.boxes[arrow.tail].kind not in GIVEN:
                        reads.append((j, k - place[0], place[1]))
                    else:
                        reads.append((j, self._shape_of_box(arrow.tail)))
            links.append(self._number((item.shape, tuple(reads))))
        return links

    def _fold(self, items: list[_Item], parent: int | None) -> list[_Item]:
        """`items` with each run of repetitions as one item, the shortest blocks first."""
        if len(items) < FEWEST:
            return items
        links = np.array(self._links(items))
        shapes = np.array([item.shape for item in items])
        taken = np.zeros(len(items), dtype=bool)
        runs: list[tuple[int, int, int]] = []
        for period in range(1, min(LONGEST, len(items) // FEWEST) + 1):
            same = (links[period:] == links[:-period]) & ~taken[period:] & ~taken[:-period]
            edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
            for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist()):
                # Items start .. stop + period - 1 are equal to those a period earlier or later. The first repetition of
                # all may read from elsewhere, as long as it is made of the same.
                first = start
                while (
                    start - first < period
                    and first > 0
                    and shapes[first - 1] == shapes[first - 1 + period]
                    and not taken[first - 1]
                ):
                    first -= 1
                times = (stop + period - first) // period
                if (
                    times >= FEWEST
                    and not taken[first : first + times * period].any()
                    and self._is_block(items, first, period)
                ):
                    taken[first : first + times * period] = True
                    runs.append((first, period, times))
        result = []
        position = 0
        for first, period, times in sorted(runs):
            result += items[position:first]
            result.append(self._repeat(items[first : first + period * times], period, times, parent))
            position = first + period * times
        return result + items[position:]

    def _is_block(self, items: Sequence[_Item], first: int, period: int) -> bool:
        """Whether there is something to fold: an operation, not mere leaves or results side by side."""
        kinds = {self.boxes[i].kind for item in items[first : first + period] for i in item.boxes}
        return not kinds <= {Kind.CONSTANT, Kind.UPDATE, *STORED}

    def _repeat(self, items: Sequence[_Item], period: int, times: int, parent: int | None) -> _Item:
        """A frame around `items`: the boxes of later repetitions are like those of the first."""
        index = len(self.frames)
        block = sorted(i for item in items[:period] for i in item.boxes)
        for k in range(1, times):
            again = sorted(i for item in items[k * period : (k + 1) * period] for i in item.boxes)
            for i, first in zip(again, block, strict=True):
                self.like.setdefault(i, first)
        contents = f"{times} times the same {len(block)} boxes" if len(block) > 1 else f"{times} times the same"
        self.frames.append(Frame(f"×{times:,}", 1, (contents,), parent, FrameKind.REPEAT, times, contents=contents))
        self.alike.append((FrameKind.REPEAT, period, times))
        for item in items:
            if item.frame is not None:
                self.frames[item.frame] = replace(self.frames[item.frame], parent=index)
            else:
                self.parent_of_box[item.boxes[0]] = index
        return self._item(items, index, self.alike[index])

    def _result(self) -> Drawing:
        """The drawing with its new frames, each after the one around it."""
        boxes = tuple(
            replace(box, frame=self.parent_of_box[i], like=self.like.get(i)) for i, box in enumerate(self.boxes)
        )
        return parents_first(replace(self.drawing, boxes=boxes, frames=tuple(self.frames)))
