"""The chart of a program's memory as DOT: every element has its place, so that Graphviz only draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.viz.model import FrameKind, Kind
from graphc.viz.palette import FONT, THEMES
from graphc.viz.quantities import amount, sizes_text
from graphc.viz.quote import text, tooltip
from graphc.viz.request import Theme
from graphc.viz.timeline import Bar, Timeline, lanes_of

if TYPE_CHECKING:
    import graphviz

__all__ = ["chart_of"]

# Inches.
WIDEST, NARROWEST = 1.1, 0.12
WIDTH = 24.0
"""What all steps together may take, unless each is NARROWEST already."""
LANE, GAP = 0.3, 0.06
HEIGHT = 1.6
"""The curve of what is alive."""
MARGIN = 1.6
LETTER = 0.076

MOST_STEPS = 400
"""Steps up to which each has a column; beyond, several share one."""
MOST_BARS = 1500


def chart_of(timeline: Timeline, theme: Theme = "light") -> str:
    """The DOT text: a row for each slot with what it has when, and below the bytes that are alive, the peak marked."""
    import graphviz

    palette = THEMES[theme]
    font = {"fontname": FONT, "fontsize": "10", "fontcolor": palette.ink}
    dot = graphviz.Digraph(
        "graphc",
        graph_attr={"layout": "neato", "bgcolor": palette.background, "charset": "UTF-8", "tooltip": " ", "pad": "0.2"},
        node_attr={**font, "shape": "box", "fixedsize": "true", "penwidth": "1"},
    )
    _Chart(timeline, theme, dot).draw()
    return str(dot.source)


class _Chart:
    """Places: x to the right by columns of steps, y downwards, both in inches."""

    def __init__(self, timeline: Timeline, theme: Theme, dot: graphviz.Digraph) -> None:
        self.timeline = timeline
        self.palette = THEMES[theme]
        self.dot = dot
        self.each = -(-len(timeline.steps) // MOST_STEPS) or 1
        """Steps in a column."""
        self.columns = -(-len(timeline.steps) // self.each)
        self.width = min(WIDEST, max(NARROWEST, WIDTH / max(self.columns, 1)))
        self.starts = {(bar.slot, bar.first) for bar in timeline.bars if bar.first != bar.last}
        self.ends = {(bar.slot, bar.last) for bar in timeline.bars if bar.first != bar.last}
        self.count = 0

    def draw(self) -> None:
        bars = self.timeline.bars
        number = {id(bar): i for i, bar in enumerate(bars)}
        kept = {id(bar) for bar in sorted(bars, key=lambda bar: -bar.nbytes)[:MOST_BARS]}
        placed = [(bar, lane) for bar, lane in lanes_of(bars) if id(bar) in kept]
        lanes: dict[int, int] = {}
        for bar, lane in placed:
            lanes[bar.slot] = max(lanes.get(bar.slot, 0), lane + 1)
        top: dict[int, float] = {}
        y = 0.0
        row = self.palette.frames[FrameKind.MODULE]["fillcolor"]
        for slot in sorted(lanes):
            height = lanes[slot] * LANE + GAP
            top[slot] = y
            self._words(-MARGIN / 2, y + height / 2, f"slot {slot}: {amount(self.timeline.slots[slot], 'B')}", MARGIN)
            self._area(0.0, y, self.columns * self.width, height, row)
            y += height + GAP
        for bar, lane in placed:
            self._bar(bar, top[bar.slot] + GAP / 2 + (lane + 0.5) * LANE, number[id(bar)])
        y = self._curve(y + 0.3)
        self._caption(y, len(bars) - len(placed))

    def _bar(self, bar: Bar, y: float, index: int) -> None:
        # A value that is written over one that is read for the last time begins in the middle of the step.
        shares = bar.first != bar.last
        left = bar.first // self.each + (0.52 if shares and (bar.slot, bar.first) in self.ends else 0.04)
        right = bar.last // self.each + (0.48 if shares and (bar.slot, bar.last) in self.starts else 0.96)
        width = max((right - left) * self.width, 0.05)
        style = self.palette.boxes[bar.kind]
        self._node(
            (left + right) / 2 * self.width,
            y,
            width,
            LANE - GAP,
            {
                "label": text(bar.name) if len(bar.name) * LETTER <= width else "",
                "id": f"s{index}",
                "class": bar.kind.name.lower(),
                "tooltip": tooltip(bar.tooltip),
                "style": "filled,rounded",
                "color": style["color"],
                "fillcolor": style["fillcolor"],
            },
        )

    def _curve(self, y: float) -> float:
        """The bytes that are alive in each column; where it ends."""
        live = self.timeline.live
        step, most = self.timeline.peak
        plain = self.palette.boxes[Kind.GROUP]
        marked = self.palette.boxes[Kind.UPDATE]
        self._words(-MARGIN / 2, y + HEIGHT / 2, "bytes alive", MARGIN)
        for column in range(self.columns):
            steps = range(column * self.each, min((column + 1) * self.each, len(live)))
            alive = max(live[each] for each in steps)
            is_peak = step in steps
            style = marked if is_peak else plain
            height = max(HEIGHT * alive / most if most else 0.0, 0.01)
            place = (column + 0.5) * self.width
            names = tuple(f"step {each}: {self.timeline.steps[each]}" for each in steps)
            note = (*names[:6], f"{alive:,} bytes alive{', the peak' if is_peak else ''}")
            fill = {"style": "filled", "color": style["color"], "fillcolor": style["fillcolor"]}
            given = {"label": "", "tooltip": tooltip(note), "class": "peak" if is_peak else "alive"}
            self._node(place, y + HEIGHT - height / 2, self.width * 0.92, height, {**given, **fill})
            if is_peak:
                self._words(place, y - 0.14, f"peak {amount(alive, 'B')}", 1.6)
            if self.width > len(str(steps[0])) * LETTER + 0.1 or not column % 10:
                self._words(place, y + HEIGHT + 0.13, str(steps[0]), self.width)
        self._words(-MARGIN / 2, y + HEIGHT + 0.13, "step", MARGIN)
        return y + HEIGHT + 0.5

    def _caption(self, y: float, hidden: int) -> None:
        timeline = self.timeline
        bound = f"when {sizes_text(timeline.sizes)}: " if timeline.sizes else ""
        saved = f"{amount(timeline.without_reuse, 'B')} if every value had memory of its own"
        line = f"{bound}{len(timeline.slots)} slots of {amount(timeline.total, 'B')} together; {saved}"
        if hidden:
            line += f"; the {hidden:,} smallest values are left out"
        width = len(line) * LETTER
        self._words(width / 2 - MARGIN, y, line, width)

    def _words(self, x: float, y: float, words: str, width: float) -> None:
        self._node(x, y, width, 0.22, {"label": text(words), "shape": "plaintext", "tooltip": " ", "class": "words"})

    def _area(self, x: float, y: float, width: float, height: float, color: str) -> None:
        given = {"label": "", "style": "filled", "color": color, "fillcolor": color, "tooltip": " ", "class": "row"}
        self._node(x + width / 2, y + height / 2, width, height, given)

    def _node(self, x: float, y: float, width: float, height: float, attributes: dict[str, str]) -> None:
        place = {"pos": f"{x:.3f},{-y:.3f}!", "width": f"{width:.3f}", "height": f"{height:.3f}"}
        self.dot.node(f"m{self.count}", **{**attributes, **place})
        self.count += 1
