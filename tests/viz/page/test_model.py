"""What is visible is decided in two places, in Python for pictures and in the page for its drawings: they agree."""

from __future__ import annotations

import random
from typing import Any

import pytest

from graphc.viz.collapse import visible
from graphc.viz.model import Arrow, Box, Drawing, Frame, FrameKind, Kind
from tests.viz.page.browser import Browser
from tests.viz.page.records import training

VISIBLE = """
return arguments[0].map(({view, cases}) => {
  const model = graphcPage.modelOf(view);
  return cases.map(([open, unfolded]) => {
    const seen = graphcPage.visible(model, new Set(open), new Set(unfolded));
    return {
      boxes: seen.shown.map(([kind, i], k) => [kind + i, seen.around[k] === null ? null : 'f' + seen.around[k]]),
      frames: seen.frames.map((i) => 'f' + i),
      arrows: seen.arrows.map((a) => [a.tail, a.head, a.label, a.mark, 'e' + a.members[0]]),
    };
  });
});
"""


class Grower:
    """A drawing with frames in frames and blocks that repeat, as `random` has it."""

    def __init__(self, seed: int) -> None:
        self.boxes: list[Box] = []
        self.frames: list[Frame] = []
        self.like: dict[int, int] = {}
        self.grow(random.Random(seed), None, 3)
        rng = random.Random(-seed - 1)
        count = len(self.boxes)
        self.arrows = [
            Arrow(*sorted(rng.sample(range(count), 2)), rng.choice(["", "[3]"]), rng.choice(["", "x"]), (f"about {i}",))
            for i in range(2 * count if count > 1 else 0)
        ]

    def grow(self, rng: random.Random, parent: int | None, depth: int) -> list[int]:
        """Boxes and frames inside `parent`; the indices of all the boxes."""
        made = []
        for _ in range(rng.randint(1, 4)):
            what = rng.choice(["box", "box", "frame", "repeat"]) if depth else "box"
            if what == "box":
                made.append(len(self.boxes))
                self.boxes.append(Box(Kind.OP, (f"op{len(self.boxes)}",), frame=parent))
                continue
            index = len(self.frames)
            kind = FrameKind.MODULE if what == "frame" else FrameKind.REPEAT
            times = 1 if what == "frame" else rng.randint(2, 4)
            self.frames.append(Frame(what, parent=parent, kind=kind, times=times))
            seed = rng.random()
            block: list[int] = []
            for k in range(times):
                again = self.grow(random.Random(seed), index, depth - 1)
                made += again
                block = block or again
                if k:
                    for i, first in zip(again, block, strict=True):
                        self.like.setdefault(i, first)
        return made

    def drawing(self) -> Drawing:
        boxes = (Box(b.kind, b.lines, frame=b.frame, like=self.like.get(i)) for i, b in enumerate(self.boxes))
        return Drawing(tuple(boxes), tuple(self.arrows), tuple(self.frames))


def as_view(drawing: Drawing) -> dict[str, Any]:
    return {
        "boxes": [
            {"kind": "op", "lines": b.lines, "frame": b.frame, "like": b.like, "nodes": []} for b in drawing.boxes
        ],
        "arrows": [
            {"tail": a.tail, "head": a.head, "label": a.label, "mark": a.mark, "tooltip": a.tooltip}
            for a in drawing.arrows
        ],
        "frames": [{"kind": f.kind.name.lower(), "parent": f.parent, "title": f.title} for f in drawing.frames],
    }


def expected(drawing: Drawing, open_: list[int], unfolded: list[int]) -> dict[str, Any]:
    seen = visible(drawing, open_, unfolded)
    return {
        "boxes": [[b.id, None if b.frame is None else seen.frames[b.frame].id] for b in seen.boxes],
        "frames": [f.id for f in seen.frames],
        "arrows": [[seen.boxes[a.tail].id, seen.boxes[a.head].id, a.label, a.mark, a.id] for a in seen.arrows],
    }


@pytest.mark.parametrize("start", [0, 50])
def test_what_is_visible(browser: Browser, start: int) -> None:
    browser.open(training())
    asked, wanted = [], []
    for seed in range(start, start + 50):
        drawing = Grower(seed).drawing()
        rng = random.Random(seed)
        frames = range(len(drawing.frames))
        cases = [(list(frames), []), ([], []), (list(frames), list(frames))]
        cases += [
            ([i for i in frames if rng.random() < 0.8], [i for i in frames if rng.random() < 0.3]) for _ in range(5)
        ]
        asked.append({"view": as_view(drawing), "cases": cases})
        wanted.append([expected(drawing, open_, unfolded) for open_, unfolded in cases])
    found = browser.run(VISIBLE, asked)
    assert any(len(case["arrows"]) > 10 for cases in wanted for case in cases)
    for seed, (one, other) in enumerate(zip(found, wanted, strict=True), start):
        assert one == other, f"seed {seed}"
