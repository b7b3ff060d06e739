"""The memory of a step: which slot has what when, what is alive at once, and its chart."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

import graphc
from graphc import nn, optim, placeholder
from graphc.backends.c import NativePlan, Relayout
from graphc.memory.plan import Slot
from graphc.viz import DrawingError, draw
from graphc.viz.chart import MOST_BARS, MOST_ROWS, MOST_STEPS, chart_of, rows_of
from graphc.viz.layout import render
from graphc.viz.model import Kind
from graphc.viz.palette import THEMES, contrast
from graphc.viz.request import Theme
from graphc.viz.timeline import Bar, Timeline, lanes_of, timeline_of
from tests.viz.networks import mlp

SIZES = {"batch": 25}


@pytest.fixture(scope="module", params=["torch", "c"])
def program(request: pytest.FixtureRequest) -> graphc.Program:
    x, y = placeholder("x", ("batch", 8)), placeholder("y", ("batch", 3))
    net = mlp(8, 20, 20, 3)
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile([x, y], loss, optim.Adam(net.parameters()).minimize(loss), backend=request.param)


def test_slots_are_those_of_the_plan(program: graphc.Program) -> None:
    timeline = timeline_of(program, SIZES)
    assert program.memory is not None
    assert timeline.total == program.memory.nbytes(SIZES)
    assert {bar.slot for bar in timeline.bars} == set(range(len(timeline.slots)))
    assert all(bar.offset + bar.nbytes <= timeline.slots[bar.slot] for bar in timeline.bars)


def test_every_value_is_there_whenever_a_step_needs_it(program: graphc.Program) -> None:
    """Counted again: from the first step that touches a value to the last."""
    timeline = timeline_of(program, SIZES)
    plan = program.memory
    needed: dict[int, set[int]] = {}
    if isinstance(plan, NativePlan):
        for i, task in enumerate(plan.tasks):
            owners = (
                [task.source.owner, task.target.owner]
                if isinstance(task, Relayout)
                else [*(load.source for load in task.body.loads), *task.kernel.stores]
            )
            for owner in owners:
                if isinstance(owner, graphc.ir.Node) and plan.memory_of[owner] in plan.slot_of:
                    needed.setdefault(owner.origin.ident, set()).add(i)
    else:
        schedule = program.schedule
        assert isinstance(schedule, graphc.schedule.Schedule)
        assert plan is not None
        for i, step in enumerate(step for step in schedule.steps if not step.is_view):
            for node in (step.node, *map(schedule.root, step.operands)):
                if node in plan.places and isinstance(plan.places[node].area, Slot):
                    needed.setdefault(node.origin.ident, set()).add(i)
    spans: dict[int, list[tuple[int, int]]] = {}
    for bar in timeline.bars:
        for ident in bar.idents:
            spans.setdefault(ident, []).append((bar.first, bar.last))
    assert len(needed) > 10
    for ident, steps in needed.items():
        assert any(first <= min(steps) and max(steps) <= last for first, last in spans[ident])


def test_no_two_values_are_in_one_place_at_once(program: graphc.Program) -> None:
    bars = timeline_of(program, SIZES).bars
    for a, b in itertools.combinations(bars, 2):
        if a.slot == b.slot and a.last > b.first and b.last > a.first:
            ends = a.offset + a.nbytes, b.offset + b.nbytes
            apart = ends[0] <= b.offset or ends[1] <= a.offset
            inside = (a.offset <= b.offset and ends[1] <= ends[0]) or (b.offset <= a.offset and ends[0] <= ends[1])
            assert apart or inside, (a, b)


def test_what_is_alive_is_counted_step_by_step(program: graphc.Program) -> None:
    timeline = timeline_of(program, SIZES)
    assert len(timeline.live) == len(timeline.steps)
    for step, alive in enumerate(timeline.live):
        there = [bar for bar in timeline.bars if bar.first <= step <= bar.last]
        assert alive == len({(bar.slot, bar.offset + byte) for bar in there for byte in range(bar.nbytes)})
    step, most = timeline.peak
    assert timeline.live[step] == most == max(timeline.live)
    assert most <= timeline.total
    assert timeline.without_reuse >= timeline.total


def test_bytes_without_reuse() -> None:
    """A value that is written over another one, and one that comes later, would have memory of their own."""
    bars = (
        *(Bar(0, 0, 2, "a", 100, Kind.OP), Bar(0, 2, 3, "over a", 100, Kind.OP), Bar(0, 4, 4, "later", 10, Kind.OP)),
        *(Bar(1, 0, 4, "piece", 60, Kind.OP, offset=60), Bar(1, 1, 4, "piece", 60, Kind.OP)),
        Bar(1, 3, 4, "pack", 120, Kind.OP),
    )
    timeline = Timeline(("",) * 5, (128, 128), bars, {})
    assert timeline.without_reuse == 128 + 128 + 64 + 128
    assert timeline.live == (100 + 60, 100 + 120, 100 + 120, 100 + 120, 10 + 120)
    assert timeline.peak == (1, 220)


def test_views_are_no_steps_and_copies_at_the_end_are_one() -> None:
    x, cell = placeholder("x", ("batch", 3)), graphc.Parameter(torch.zeros(3), name="w")
    total = x.exp().sum(0)
    program = graphc.compile([x], (total.reshape(1, 3) + 1).tanh(), {cell: total * 2 + cell[0]}, backend="torch")
    assert isinstance(program.schedule, graphc.schedule.Schedule)
    assert any(step.is_view for step in program.schedule.steps)
    timeline = timeline_of(program)
    assert len(timeline.steps) == sum(not step.is_view for step in program.schedule.steps) + 1
    assert timeline.steps[-1] == "copies into cells"
    assert max(bar.last for bar in timeline.bars) == len(timeline.steps) - 1


def test_cells_that_are_packed_link_to_their_nodes() -> None:
    x, y = placeholder("x", ("batch", 8)), placeholder("y", ("batch", 3))
    net = mlp(8, 20, 3)
    loss = nn.MSELoss()(net(x), y)
    program = graphc.compile([x, y], loss, optim.Adam(net.parameters()).minimize(loss), backend="c")
    assert isinstance(program.memory, NativePlan)
    idents: dict[str, set[int]] = {}
    for node in program.memory.graph.nodes:
        if node.op.cell is not None:
            idents.setdefault(node.op.cell.name, set()).add(node.origin.ident)
    cells = [bar for bar in timeline_of(program).bars if bar.kind in (Kind.PARAMETER, Kind.STATE)]
    assert len(cells) > 6
    for bar in cells:
        assert set(bar.idents) <= idents[bar.name]
        assert bar.idents


def test_a_long_chain_is_quick() -> None:
    """Every value outlives thousands of steps: nothing here may look at each of them at each step."""
    count = 20_000
    bars = tuple(Bar(i, i, 2 * count - 1 - i, f"%{i}", 64, Kind.OP) for i in range(count))
    timeline = Timeline(tuple(f"tanh %{i}" for i in range(2 * count)), (64,) * count, bars, {})
    assert timeline.peak == (count - 1, 64 * count)
    assert timeline.without_reuse == timeline.total


def test_sizes_that_are_not_given_are_32(program: graphc.Program) -> None:
    assert timeline_of(program).sizes == {"batch": 32}
    assert timeline_of(program).total > timeline_of(program, {"batch": 1}).total
    assert timeline_of(program, {"batch": 0}).bars
    with pytest.raises(DrawingError, match="size"):
        timeline_of(program, {"other": 3})


def test_bars_have_the_colours_of_their_nodes(program: graphc.Program) -> None:
    kinds = {bar.kind for bar in timeline_of(program).bars}
    assert {Kind.OP, Kind.GRADIENT_OP} <= kinds
    for bar in timeline_of(program).bars:
        if "exp_avg" in bar.name:
            assert bar.kind is Kind.STATE


def test_lanes_never_overlap(program: graphc.Program) -> None:
    placed = [(bar, lane) for bar, lane in lanes_of(timeline_of(program, SIZES).bars)]
    for (a, i), (b, j) in itertools.combinations(placed, 2):
        assert (a.slot, i) != (b.slot, j) or a.last <= b.first or b.last <= a.first


def test_the_reference_backend_has_no_plan() -> None:
    x = placeholder("x", ("batch", 3))
    program = graphc.compile([x], x.tanh().exp(), backend="reference")
    with pytest.raises(
        DrawingError, match='makes a new tensor for every value; compile it with backend="c" or "torch"'
    ):
        timeline_of(program)
    with pytest.raises(DrawingError, match="that is of a program, which graphc"):
        draw(x.tanh(), "chart.svg", view="memory", name="y")


def test_a_program_without_scratch_memory() -> None:
    x = placeholder("x", ("batch", 3))
    timeline = timeline_of(graphc.compile([x], x.tanh(), backend="torch"))
    assert timeline.bars == ()
    assert timeline.peak[1] == 0
    assert b"<svg" in render(chart_of(timeline), "svg")


# The chart ------------------------------------------------------------------------------------------------------------


def elements(svg: bytes) -> dict[str, str]:
    """The text and tooltip of each bar."""
    found = {}
    for group in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g"):
        if str(group.get("id")).startswith("s") and str(group.get("id"))[1:].isdigit():
            found[str(group.get("id"))] = " ".join(group.itertext()).strip()
    return found


def corners_of(svg: bytes) -> dict[str, tuple[float, float]]:
    """Where the outline of each bar is furthest left, and where it is highest."""
    found = {}
    for group in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}g"):
        outlines = list(group.iter("{http://www.w3.org/2000/svg}path"))
        if outlines and str(group.get("id"))[1:].isdigit():
            numbers = [float(number) for number in re.findall(r"-?[\d.]+", str(outlines[0].get("d")))]
            found[str(group.get("id"))] = min(numbers[::2]), min(numbers[1::2])
    return found


@pytest.mark.parametrize("engine", ["dot", "pygraphviz"])
def test_both_engines_put_everything_in_its_place(
    program: graphc.Program, engine: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if engine == "pygraphviz":
        monkeypatch.setenv("PATH", str(tmp_path))
    elif not any((Path(folder) / "dot").exists() for folder in os.environ["PATH"].split(os.pathsep)):
        pytest.skip("Graphviz is not installed here")
    timeline = timeline_of(program, SIZES)
    svg = render(chart_of(timeline), "svg")
    assert len(elements(svg)) == len(timeline.bars)
    corners = corners_of(svg)
    for (i, a), (j, b) in itertools.combinations(enumerate(timeline.bars), 2):
        (left, top), (other_left, other_top) = corners[f"s{i}"], corners[f"s{j}"]
        assert (a.first < b.first) == (left < other_left - 1), (a, b)
        assert a.slot == b.slot or top < other_top - 10
    text = " ".join("".join(t.itertext()) for t in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"))
    assert "peak" in text
    assert "when batch = 25" in text
    width, height = (
        float(str(ElementTree.fromstring(svg).get(side)).removesuffix("pt")) for side in ("width", "height")
    )
    assert 300 < width < 6000
    assert 300 < height < 6000


@pytest.mark.parametrize(
    "name", ["</svg><script>alert(1)</script>", '"; x [label="', "\\N\\G", "&lt;b&gt;", "<b>x</b>"]
)
def test_names_are_text(name: str) -> None:
    bar = Bar(0, 0, 1, name, 64, Kind.PARAMETER, (name,))
    svg = ElementTree.fromstring(render(chart_of(Timeline((name, "b"), (64,), (bar,), {})), "svg"))
    titles = [link.get("{http://www.w3.org/1999/xlink}title") for link in svg.iter("{http://www.w3.org/2000/svg}a")]
    assert name in titles
    assert {element.tag.rpartition("}")[2] for element in svg.iter()} <= {
        *("svg", "g", "a", "title", "text", "path", "polygon")
    }


def test_very_many_values_are_summarised() -> None:
    count = 6000
    bars = tuple(Bar(i % 50, i, min(i + 40, count - 1), f"%{i}", 64 + i, Kind.OP) for i in range(count))
    timeline = Timeline(tuple(f"k{i}" for i in range(count)), (6400,) * 50, bars, {})
    source = chart_of(timeline)
    assert source.count("id=s") == MOST_BARS
    assert source.count("pos=") < MOST_BARS + 2 * MOST_STEPS + 200
    assert f"the {count - MOST_BARS:,} smallest values are left out" in source


def many_slots(cells: int, others: int) -> Timeline:
    """Cells and states that stay, and values of other sizes that do not."""
    kinds = (Kind.PARAMETER, Kind.STATE)
    bars = [Bar(i, 0, 9, f"w{i}", 60, kinds[i % 2], (f"w{i}: f32",), (i,)) for i in range(cells)]
    bars += [Bar(cells + i, i % 9, i % 9 + 1, f"%{i}", 64 * (i + 2), Kind.OP) for i in range(others)]
    slots = (64,) * cells + tuple(64 * (i + 2) for i in range(others))
    return Timeline(tuple(f"k{i} matmul" for i in range(10)), slots, tuple(bars), {})


def test_slots_that_hold_one_value_throughout_share_a_row() -> None:
    few = rows_of(many_slots(40, 20))
    assert [row.label for row in few[:2]] == ["slot 0: 64 B", "slot 1: 64 B"]
    assert len(few) == MOST_ROWS
    rows = rows_of(many_slots(41, 20))
    assert [row.label for row in rows[:3]] == ["21 slots: 1.3 kB", "20 slots: 1.3 kB", "slot 41: 128 B"]
    assert len(rows) == 2 + 20
    ((number, whole),) = rows[0].bars
    assert (number, whole.name, whole.nbytes) == (0, "21 packed parameters", 21 * 64)
    assert whole.idents == tuple(range(0, 41, 2))
    assert whole.tooltip[0] == "21 packed parameters: 1,344 bytes"
    assert whole.tooltip[-1] == "and 9 more"
    assert "left out" not in chart_of(many_slots(41, 20))


def test_the_largest_slots_have_rows() -> None:
    timeline = many_slots(3, 100)
    rows = rows_of(timeline)
    assert len(rows) == MOST_ROWS
    assert {row.bars[0][1].slot for row in rows} == set(range(103 - MOST_ROWS, 103))
    assert f"the {103 - MOST_ROWS} smallest slots are left out" in chart_of(timeline)


def test_a_row_is_never_higher_than_a_page() -> None:
    bars = tuple(Bar(0, i, 120, f"%{i}", 64, Kind.OP, offset=64 * i) for i in range(120))
    svg = ElementTree.fromstring(render(chart_of(Timeline(("k",) * 121, (64 * 120,), bars, {})), "svg"))
    assert float(str(svg.get("height")).removesuffix("pt")) < 600


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_peak_says_when_it_is_and_has_a_colour_of_its_own(theme: Theme) -> None:
    source = chart_of(many_slots(41, 20), theme)
    step, _ = many_slots(41, 20).peak
    assert f"at step {step}: k{step} matmul" in source
    (fill,) = re.findall(r"class=peak[^]]*fillcolor=\"(#\w+)\"", source)
    palette = THEMES[theme]
    assert fill not in {style["fillcolor"] for style in palette.boxes.values()}
    assert contrast(fill, palette.boxes[Kind.GROUP]["fillcolor"]) > 3
    assert contrast(fill, palette.background) > 3


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed here")
def test_every_label_has_room() -> None:
    """Graphviz warns where it has not."""
    bars = tuple(
        Bar(i, 0, i, name, 64, Kind.OP) for i, name in enumerate(["WWWWWWWW", "%@mwMW%", "層層層層層", "iiii" * 9])
    )
    timeline = Timeline(tuple(f"WWWW {i} 層層層" * 9 for i in range(4)), (10**12,) * 4, bars, {"batch": 32})
    done = subprocess.run(["dot", "-Tsvg"], input=chart_of(timeline).encode(), capture_output=True, check=True)
    assert done.stderr == b""
