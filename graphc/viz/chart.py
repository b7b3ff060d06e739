"""The chart of a program's memory as DOT: every element has its place, so that Graphviz only draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphc.viz.labels import shown
from graphc.viz.model import FrameKind, Kind
from graphc.viz.palette import FONT, THEMES
from graphc.viz.quantities import amount, sizes_text
from graphc.viz.quote import text, tooltip
from graphc.viz.request import Theme
from graphc.viz.timeline import Bar, Timeline, lanes_of

if TYPE_CHECKING:
    import graphviz

__all__ = ["Row", "chart_of", "rows_of"]

# Inches.
WIDEST, NARROWEST = 1.1, 0.12
WIDTH = 24.0
"""What all steps together may take, unless each is NARROWEST already."""
LANE, GAP = 0.3, 0.06
TALLEST = 4.0
"""What one row may take: beyond, the values that stand in it one above the other are thinner, and without names."""
HEIGHT = 1.6
"""The curve of what is alive."""
MARGIN = 1.6
LETTER, BROAD = 0.08, 0.14

MOST_STEPS = 400
"""Steps up to which each has a column; beyond, several share one."""
MOST_BARS = 1500
MOST_ROWS = 60
"""Slots up to which each has a row; beyond, those that hold one value throughout share one for each kind."""

MOST_LETTERS = 80
"""Letters of what is said about the peak."""
MOST_LINES = 12
"""Lines of a tooltip that say what is in a row of several slots."""
LASTING = {Kind.PARAMETER: "packed parameters", Kind.STATE: "packed states"}


@dataclass(frozen=True)
class Row:
    """A slot, or several that hold one value each from the first step to the last. Bars have their numbers."""

    label: str
    nbytes: int
    bars: tuple[tuple[int, Bar], ...]
    slots: int = 1


def rows_of(timeline: Timeline) -> tuple[Row, ...]:
    """The rows of the chart, from the top; the smallest slots have none where there are too many."""
    by_slot: dict[int, list[tuple[int, Bar]]] = {}
    for i, bar in enumerate(timeline.bars):
        by_slot.setdefault(bar.slot, []).append((i, bar))
    together: dict[Kind, list[tuple[int, Bar]]] = {}
    if len(by_slot) > MOST_ROWS:
        for bars in by_slot.values():
            if len(bars) == 1 and (bars[0][1].first, bars[0][1].last) == (0, len(timeline.steps) - 1):
                together.setdefault(bars[0][1].kind, []).append(bars[0])
    rows = [_row_of_several(kind, bars, timeline) for kind, bars in together.items()]
    taken = {bar.slot for bars in together.values() for _, bar in bars}
    rows += [_row(slot, by_slot[slot], timeline) for slot in sorted(by_slot.keys() - taken)]
    kept = sorted(range(len(rows)), key=lambda i: -rows[i].nbytes)[:MOST_ROWS]
    return tuple(rows[i] for i in sorted(kept))


def _row(slot: int, bars: Iterable[tuple[int, Bar]], timeline: Timeline) -> Row:
    nbytes = timeline.slots[slot]
    return Row(f"slot {slot}: {amount(nbytes, 'B')}", nbytes, tuple(bars))


def _row_of_several(kind: Kind, bars: Sequence[tuple[int, Bar]], timeline: Timeline) -> Row:
    """One bar for all of `bars`, with the number of the first."""
    number, first = bars[0]
    if len(bars) == 1:
        return _row(first.slot, bars, timeline)
    nbytes = sum(timeline.slots[bar.slot] for _, bar in bars)
    name = f"{len(bars)} {LASTING.get(kind, 'values that stay')}"
    others = [f"and {len(bars) - MOST_LINES} more"] if len(bars) > MOST_LINES else []
    note = (f"{name}: {nbytes:,} bytes", *(bar.tooltip[0] for _, bar in bars[:MOST_LINES] if bar.tooltip), *others)
    idents = tuple(dict.fromkeys(ident for _, bar in bars for ident in bar.idents))
    whole = Bar(first.slot, first.first, first.last, name, nbytes, kind, note, idents)
    return Row(f"{len(bars)} slots: {amount(nbytes, 'B')}", nbytes, ((number, whole),), len(bars))


def chart_of(timeline: Timeline, theme: Theme = "light") -> str:
    """The DOT text: a row for each slot with what it has when, and below the bytes that are alive, the peak marked."""
    import graphviz

    palette = THEMES[theme]
    font = {"fontname": FONT, "fontsize": "10", "fontcolor": palette.ink}
    dot = graphviz.Digraph(
        "graphc",
        graph_attr={"layout": "neato", "bgcolor": palette.background, "charset": "UTF-8", "tooltip": " ", "pad": "0.2"},
        node_attr={**font, "shape": "box", "fixedsize": "true", "margin": "0", "penwidth": "1"},
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
        rows = rows_of(self.timeline)
        bars = [bar for row in rows for _, bar in row.bars]
        kept = {id(bar) for bar in sorted(bars, key=lambda bar: -bar.nbytes)[:MOST_BARS]}
        y = 0.0
        color = self.palette.frames[FrameKind.MODULE]["fillcolor"]
        for row in rows:
            number = {id(bar): i for i, bar in row.bars}
            placed = [(bar, lane) for bar, lane in lanes_of([bar for _, bar in row.bars]) if id(bar) in kept]
            if not placed:
                continue
            lanes = 1 + max(lane for _, lane in placed)
            each = min(LANE, TALLEST / lanes)
            height = lanes * each + GAP
            self._words(-MARGIN / 2, y + height / 2, row.label)
            self._area(0.0, y, self.columns * self.width, height, color)
            for bar, lane in placed:
                self._bar(bar, y + GAP / 2 + (lane + 0.5) * each, each, number[id(bar)])
            y += height + GAP
        y = self._curve(y + 0.3)
        hidden_slots = len({bar.slot for bar in self.timeline.bars}) - sum(row.slots for row in rows)
        self._caption(y, len(bars) - len(kept), hidden_slots)

    def _bar(self, bar: Bar, y: float, lane: float, index: int) -> None:
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
            lane * (1 - GAP / LANE),
            {
                "label": text(bar.name) if lane == LANE and _length(bar.name) <= width else "",
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
        # No kind of value has the colour of text.
        marked = {"color": self.palette.ink, "fillcolor": self.palette.soft_ink}
        self._words(-MARGIN / 2, y + HEIGHT / 2, "bytes alive")
        for column in range(self.columns):
            steps = range(column * self.each, min((column + 1) * self.each, len(live)))
            alive = max(live[each] for each in steps)
            is_peak = step in steps
            height = max(HEIGHT * alive / most if most else 0.0, 0.01)
            place = (column + 0.5) * self.width
            names = tuple(f"step {each}: {self.timeline.steps[each]}" for each in steps)
            note = (*names[:6], f"{alive:,} bytes alive{', the peak' if is_peak else ''}")
            style = marked if is_peak else plain
            fill = {"style": "filled", "color": style["color"], "fillcolor": style["fillcolor"]}
            given = {"label": "", "tooltip": tooltip(note), "class": "peak" if is_peak else "alive"}
            self._node(place, y + HEIGHT - height / 2, self.width * 0.92, height, {**given, **fill})
            if is_peak:
                words = shown(f"peak {amount(alive, 'B')} at step {step}: {self.timeline.steps[step]}", MOST_LETTERS)
                half, whole = _length(words) / 2, self.columns * self.width
                self._words(max(half, min(place, whole - half)), y - 0.14, words)
            if self.width > _length(str(steps[0])) + 0.1 or not column % 10:
                self._words(place, y + HEIGHT + 0.13, str(steps[0]))
        self._words(-MARGIN / 2, y + HEIGHT + 0.13, "step")
        return y + HEIGHT + 0.5

    def _caption(self, y: float, hidden: int, slots: int) -> None:
        """`hidden` values and `slots` slots are left out."""
        timeline = self.timeline
        bound = f"when {sizes_text(timeline.sizes)}: " if timeline.sizes else ""
        saved = f"{amount(timeline.without_reuse, 'B')} if every value had memory of its own"
        line = f"{bound}{len(timeline.slots)} slots of {amount(timeline.total, 'B')} together; {saved}"
        if slots:
            line += f"; the {slots:,} smallest slots are left out"
        if hidden:
            line += f"; the {hidden:,} smallest values are left out"
        self._words(_length(line) / 2 - MARGIN, y, line)

    def _words(self, x: float, y: float, words: str) -> None:
        style = {"shape": "plaintext", "fixedsize": "false", "tooltip": " ", "class": "words"}
        self._node(x, y, 0.1, 0.22, {"label": text(words), **style})

    def _area(self, x: float, y: float, width: float, height: float, color: str) -> None:
        given = {"label": "", "style": "filled", "color": color, "fillcolor": color, "tooltip": " ", "class": "row"}
        self._node(x + width / 2, y + height / 2, width, height, given)

    def _node(self, x: float, y: float, width: float, height: float, attributes: dict[str, str]) -> None:
        place = {"pos": f"{x:.3f},{-y:.3f}!", "width": f"{width:.3f}", "height": f"{height:.3f}"}
        self.dot.node(f"m{self.count}", **{**attributes, **place})
        self.count += 1


def _length(words: str) -> float:
    """About how wide a line is, rather too much than too little."""
    return sum(LETTER if c.isascii() and not (c.isupper() or c in "%@mw") else BROAD for c in words)
