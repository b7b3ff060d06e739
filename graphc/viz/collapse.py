"""What of a drawing is visible: closed frames are boxes, and one repetition of a block stands for all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from graphc.viz.legend import legend_of
from graphc.viz.model import Arrow, Box, Drawing, Frame, FrameKind

__all__ = ["MOST_BOXES", "closed_box", "opening", "parents_first", "visible", "with_parts"]

MOST_BOXES = 100
"""Boxes up to which frames are open when nobody says which."""
CROWDED = 300
"""Boxes and frames side by side from which on they are drawn in parts."""
PART = 40
"""Boxes in a part of what is too much to be drawn at once, and parts in a part."""

FOLDED = (FrameKind.REPEAT,)


def visible(drawing: Drawing, open_: Collection[int], unfolded: Collection[int] = ()) -> Drawing:
    """The drawing with the frames `open_` open and all others closed. Frames in closed ones are not seen at all.

    Of an open repeated block one repetition is shown, unless it is among `unfolded`. What is left keeps its `id`.
    """
    stands = _Stands(drawing, open_, unfolded)
    shown = sorted({stands.for_box(i) for i in range(len(drawing.boxes))}, key=lambda each: (stands.order(each), each))
    around = {_frame_around(drawing, each) for each in shown}
    kept: dict[int, int] = {}
    for i in sorted(_with_parents(drawing.frames, around)):
        kept[i] = len(kept)
    boxes: list[Box] = []
    number: dict[tuple[str, int], int] = {}
    for each in shown:
        kind, i = each
        box = replace(drawing.boxes[i], id=f"n{i}") if kind == "n" else closed_box(drawing, i, stands.idents(i))
        frame = _frame_around(drawing, each)
        number[each] = len(boxes)
        boxes.append(replace(box, like=None, frame=None if frame is None else kept[frame]))
    frames = tuple(
        replace(
            frame,
            parent=None if frame.parent is None else kept[frame.parent],
            id=f"f{i}",
            title=frame.title if i not in unfolded else f"{frame.title}, all",
        )
        for i, frame in enumerate(drawing.frames)
        if i in kept
    )
    return replace(
        drawing,
        boxes=tuple(boxes),
        arrows=tuple(_arrows(drawing, stands, number)),
        frames=frames,
        legend=legend_of(boxes, frames),
    )


def _arrows(drawing: Drawing, stands: _Stands, number: Mapping[tuple[str, int], int]) -> Iterator[Arrow]:
    """The arrows that are seen: one for all that lead to or from the same closed frame, or that stand for the same."""
    own = {(a.tail, a.head, a.mark, a.label) for a in drawing.arrows if not stands.is_mapped(a)}
    groups: dict[tuple[object, ...], list[int]] = {}
    turns: dict[tuple[int, int], int] = {}
    for i, arrow in enumerate(drawing.arrows):
        tail, head = stands.for_box(arrow.tail), stands.for_box(arrow.head)
        if tail == head or stands.goes_round(arrow, tail, head):
            continue
        if "f" in (tail[0], head[0]):
            groups.setdefault((tail, head), []).append(i)
        elif not stands.is_mapped(arrow):
            groups[tail, head, i] = [i]  # two arrows between the same two boxes are two operands
        elif head == ("n", arrow.head):
            # From any of the repetitions: one arrow for all, unless the same value is read twice.
            turn = turns[arrow.tail, arrow.head] = turns.get((arrow.tail, arrow.head), -1) + 1
            groups.setdefault((tail, head, "turn", turn), []).append(i)
        elif (tail[1], head[1], arrow.mark, arrow.label) not in own:
            # What a later repetition reads, and the first one reads from elsewhere.
            groups.setdefault((tail, head, arrow.mark, arrow.label), [i])
    for group in groups.values():
        yield _merged([drawing.arrows[i] for i in group], group[0], number, stands)


def closed_box(drawing: Drawing, i: int, nodes: tuple[int, ...] = ()) -> Box:
    """The box that stands for a closed frame, with its title and what it contains: these `nodes`, among others."""
    frame = drawing.frames[i]
    title = f"{frame.title}  ×{frame.calls}" if frame.calls > 1 else frame.title
    lines = (title, frame.contents) if frame.contents else (title,)
    return Box(frame.closed, lines, frame.tooltip, frame.parent, nodes, None, frame.heat, frame.change, f"f{i}")


class _Stands:
    """Which box or closed frame stands for each box: `("n", i)` or `("f", i)`."""

    def __init__(self, drawing: Drawing, open_: Collection[int], unfolded: Collection[int]) -> None:
        self.drawing = drawing
        self.unfolded = set(unfolded)
        opened = set(open_)
        self.closed: list[int | None] = []
        """By frame: the outermost closed frame around it or it itself, None if all are open."""
        for i, frame in enumerate(drawing.frames):
            outer = None if frame.parent is None else self.closed[frame.parent]
            self.closed.append(outer if outer is not None else None if i in opened else i)
        self.first = [len(drawing.boxes)] * len(drawing.frames)
        for i, box in enumerate(drawing.boxes):
            if box.frame is not None:
                self.first[box.frame] = min(self.first[box.frame], i)
        for i in reversed(range(len(drawing.frames))):
            parent = drawing.frames[i].parent
            if parent is not None:
                self.first[parent] = min(self.first[parent], self.first[i])
        self.found = [self._find(i) for i in range(len(drawing.boxes))]
        self._idents: dict[int, list[int]] = {}
        for box, (kind, i) in zip(drawing.boxes, self.found):
            if kind == "f":
                self._idents.setdefault(i, []).extend(box.nodes)

    def idents(self, frame: int) -> tuple[int, ...]:
        """The nodes that a closed frame stands for."""
        return tuple(dict.fromkeys(self._idents.get(frame, ())))

    def for_box(self, i: int) -> tuple[str, int]:
        return self.found[i]

    def order(self, each: tuple[str, int]) -> int:
        return each[1] if each[0] == "n" else self.first[each[1]]

    def is_mapped(self, arrow: Arrow) -> bool:
        return self.found[arrow.tail] != ("n", arrow.tail) or self.found[arrow.head] != ("n", arrow.head)

    def goes_round(self, arrow: Arrow, tail: tuple[str, int], head: tuple[str, int]) -> bool:
        """Whether an arrow leads from one repetition to the next of the block of which only one is shown."""
        return (
            self.is_mapped(arrow)
            and self.order(tail) >= self.order(head)
            and bool(
                {i for i in self._chain(_frame_around(self.drawing, tail)) if self.drawing.frames[i].kind in FOLDED}
                & set(self._chain(_frame_around(self.drawing, head)))
            )
        )

    def _find(self, i: int) -> tuple[str, int]:
        boxes = self.drawing.boxes
        while True:
            box = boxes[i]
            if box.like is None:
                break
            block = self._block(box.frame, boxes[box.like].frame)
            if block in self.unfolded or self.closed[block] is not None:
                break
            i = box.like
        closed = None if box.frame is None else self.closed[box.frame]
        return ("n", i) if closed is None else ("f", closed)

    def _block(self, a: int | None, b: int | None) -> int:
        """The innermost frame around both: that of the block of which they are repetitions."""
        chain = set(self._chain(a))
        return next(frame for frame in self._chain(b) if frame in chain)

    def _chain(self, frame: int | None) -> Iterable[int]:
        while frame is not None:
            yield frame
            frame = self.drawing.frames[frame].parent


def _frame_around(drawing: Drawing, each: tuple[str, int]) -> int | None:
    return drawing.boxes[each[1]].frame if each[0] == "n" else drawing.frames[each[1]].parent


def _with_parents(frames: Sequence[Frame], inner: Iterable[int | None]) -> set[int]:
    found: set[int] = set()
    for frame in inner:
        while frame is not None and frame not in found:
            found.add(frame)
            frame = frames[frame].parent
    return found


def _merged(arrows: Sequence[Arrow], index: int, number: Mapping[tuple[str, int], int], stands: _Stands) -> Arrow:
    """One arrow for several between the same two ends."""
    arrow = arrows[0]
    tail, head = stands.for_box(arrow.tail), stands.for_box(arrow.head)
    labels = {each.label for each in arrows}
    sources = {each.tail for each in arrows if stands.for_box(each.tail) == tail}
    several = len(sources) > 1
    return Arrow(
        number[tail],
        number[head],
        arrow.label if len(labels) == 1 and not several else f"{len(sources)} tensors" if several else "",
        arrow.mark if len(arrows) == 1 and head[0] == "n" else "",
        arrow.tooltip
        if len(arrows) == 1
        else tuple(dict.fromkeys(line for each in arrows[:6] for line in each.tooltip)),
        arrow.change,
        f"e{index}",
    )


def opening(
    drawing: Drawing,
    depth: int | None = None,
    collapse: Collection[str] = (),
    most: int = MOST_BOXES,
    among: Collection[int] | None = None,
    *,
    parts: bool = False,
) -> frozenset[int]:
    """The frames that are open at first: those less than `depth` deep, or as many as there may be boxes.

    Frames of one depth are open or closed together; the forward part comes first, then the backward one and updates.
    Modules whose path or type is among `collapse` are closed, and so are all frames that are not `among` those given.
    Parts of what is too much to be seen at once are closed, unless `parts` are asked for.
    """
    closed = {
        i
        for i, frame in enumerate(drawing.frames)
        if frame.path in collapse or frame.type_ in collapse or (among is not None and i not in among)
    }
    level, group = _levels(drawing.frames)
    if depth is not None:
        return frozenset(i for i in range(len(drawing.frames)) if level[i] < depth and i not in closed)
    inside = _visible_inside(drawing)
    count = inside[-1]
    opened: set[int] = set()
    by_level: dict[tuple[bool, int, int], list[int]] = {}
    for i, frame in enumerate(drawing.frames):
        if inside[i] and (parts or frame.kind is not FrameKind.PART):
            by_level.setdefault((group[i] > 0, 2 * level[i] + (frame.kind not in FOLDED), group[i]), []).append(i)
    for key in sorted(by_level):
        able = [
            i
            for i in by_level[key]
            if i not in closed and ((parent := drawing.frames[i].parent) is None or parent in opened)
        ]
        # A block is opened whenever what is around it is: it has no box of its own to be closed into.
        more = sum(inside[i] - 1 for i in able)
        if count + more <= most or drawing.frames[by_level[key][0]].kind in FOLDED:
            opened.update(able)
            count += more
    return frozenset(opened)


def _levels(frames: Sequence[Frame]) -> tuple[list[int], list[int]]:
    """By frame: how many frames are around it, blocks apart, and whether it is forward, backward or an update."""
    level: list[int] = []
    group: list[int] = []
    groups = {FrameKind.BACKWARD: 1, FrameKind.UPDATE: 2}
    for frame in frames:
        parent = frame.parent
        level.append(0 if parent is None else level[parent] + (frames[parent].kind not in FOLDED))
        group.append(groups.get(frame.kind, 0 if parent is None else group[parent]))
    return level, group


def _visible_inside(drawing: Drawing) -> list[int]:
    """By frame, and last for the whole drawing: how many boxes it adds when it is open and those in it are closed."""
    count = [0] * (len(drawing.frames) + 1)
    for box in drawing.boxes:
        if box.like is None:
            count[-1 if box.frame is None else box.frame] += 1
    for i in reversed(range(len(drawing.frames))):
        if count[i]:
            parent = drawing.frames[i].parent
            count[-1 if parent is None else parent] += 1
    return count


def with_parts(drawing: Drawing) -> Drawing:
    """The drawing with frames for its parts, in order, wherever there are more things side by side than can be seen."""
    count = _visible_inside(drawing)
    members: dict[int | None, list[tuple[str, int]]] = {}
    for i, box in enumerate(drawing.boxes):
        if box.like is None:
            members.setdefault(box.frame, []).append(("n", i))
    for i, frame in enumerate(drawing.frames):
        if count[i]:
            members.setdefault(frame.parent, []).append(("f", i))
    crowded = [level for level, inside in members.items() if len(inside) > CROWDED]
    if not crowded:
        return drawing
    stands = _Stands(drawing, range(len(drawing.frames)), ())
    boxes, frames = list(drawing.boxes), list(drawing.frames)
    for level in crowded:
        work = [(level, sorted(members[level], key=lambda each: (stands.order(each), each)))]
        while work:
            outer, inside = work.pop()
            size = max(PART, -(-len(inside) // PART))
            chunks = [inside[k : k + size] for k in range(0, len(inside), size)]
            for k, chunk in enumerate(chunks):
                index = len(frames)
                title = f"part {k + 1} of {len(chunks)}"
                frames.append(Frame(title, tooltip=_places(drawing, chunk), parent=outer, kind=FrameKind.PART))
                for kind, i in chunk:
                    if kind == "n":
                        boxes[i] = replace(boxes[i], frame=index)
                    else:
                        frames[i] = replace(frames[i], parent=index)
                if len(chunk) > CROWDED:
                    work.append((index, chunk))
    return _counted(parents_first(replace(drawing, boxes=tuple(boxes), frames=tuple(frames))))


def _places(drawing: Drawing, chunk: Sequence[tuple[str, int]]) -> tuple[str, ...]:
    """What is first and last in a part."""
    ends = [drawing.boxes[i].tooltip if kind == "n" else drawing.frames[i].tooltip for kind, i in (chunk[0], chunk[-1])]
    return tuple(f"{word} {lines[0]}" for word, lines in zip(("from", "to"), ends) if lines)


def _counted(drawing: Drawing) -> Drawing:
    """The drawing whose parts say how many boxes they have."""
    inside = [0] * len(drawing.frames)
    for box in drawing.boxes:
        if box.frame is not None:
            inside[box.frame] += 1
    for i, frame in reversed(list(enumerate(drawing.frames))):
        if frame.parent is not None:
            inside[frame.parent] += inside[i]
    frames = tuple(
        replace(frame, contents=f"{inside[i]:,} boxes") if frame.kind is FrameKind.PART else frame
        for i, frame in enumerate(drawing.frames)
    )
    return replace(drawing, frames=frames)


def parents_first(drawing: Drawing) -> Drawing:
    """The drawing with each frame after the one around it."""
    children: dict[int | None, list[int]] = {}
    for i, frame in enumerate(drawing.frames):
        children.setdefault(frame.parent, []).append(i)
    moved: dict[int, int] = {}
    stack = list(reversed(children.get(None, [])))
    while stack:
        frame_index = stack.pop()
        moved[frame_index] = len(moved)
        stack.extend(reversed(children.get(frame_index, [])))
    frames = tuple(
        replace(drawing.frames[i], parent=None if (outer := drawing.frames[i].parent) is None else moved[outer])
        for i in moved
    )
    boxes = tuple(box if box.frame is None else replace(box, frame=moved[box.frame]) for box in drawing.boxes)
    return replace(drawing, boxes=boxes, frames=frames)
