"""What is seen of a drawing: closed frames, repeated blocks, parts of what is too much."""

from __future__ import annotations

import random
import sys
from dataclasses import replace

import pytest

import graphc
from graphc import nn, placeholder
from graphc.viz import DrawingError, draw
from graphc.viz.collapse import CROWDED, MOST_BOXES, opening, visible, with_parts
from graphc.viz.model import Arrow, Box, Drawing, Frame, FrameKind, Kind
from graphc.viz.repeats import FEWEST, with_repeats
from graphc.viz.views import drawing_for
from tests.viz.networks import Layer, Residual, mlp, residual, sequential, tanh, weight_sharing

X = placeholder("x", ("batch", 16))


def arrows(drawing: Drawing) -> list[tuple[str, str, str]]:
    boxes = drawing.boxes
    return [(boxes[a.tail].lines[0], boxes[a.head].lines[0], a.label) for a in drawing.arrows]


def titles(drawing: Drawing) -> list[str]:
    return [frame.title for frame in drawing.frames]


# Closed and open ------------------------------------------------------------------------------------------------------


def test_a_closed_frame_is_a_box() -> None:
    full = drawing_for(mlp(3, 5, 2)(placeholder("x", ("batch", 3))), "forward")
    seen = visible(full, ())
    assert [box.lines for box in seen.boxes] == [
        ("x", "[batch, 3]"),
        ("Sequential", "5 operations, 32 parameters"),
        ("output",),
    ]
    assert seen.boxes[1].kind is Kind.GROUP
    assert [(a.tail, a.head, a.label) for a in seen.arrows] == [(0, 1, ""), (1, 2, "[batch, 2]")]
    assert [entry.kind for entry in seen.legend] == [Kind.INPUT, Kind.GROUP, Kind.OUTPUT]


def test_depth() -> None:
    net = mlp(16, 4, 2)
    full = drawing_for(net(X), "forward")
    assert titles(visible(full, opening(full, 0))) == []
    assert titles(visible(full, opening(full, 1))) == ["Sequential"]
    assert titles(visible(full, opening(full, 2))) == ["Sequential", "0: Linear", "2: Linear"]
    assert [box.lines[0] for box in visible(full, opening(full, 1)).boxes] == [
        *("x", "0: Linear", "tanh", "2: Linear", "output")
    ]


def test_modules_may_be_very_deep() -> None:
    """Nothing recurses over them, and each way inwards is looked at once."""
    layer = Layer("m", "Inner", graphc.tanh)
    for _ in range(600):
        layer = Layer("m", "Outer", lambda x, inner=layer: inner(x) * 2.0)  # type: ignore[misc]
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        y = layer(X)
    finally:
        sys.setrecursionlimit(limit)
    assert len(drawing_for(y, "forward").frames) == 600 + 1


def test_all_open_is_the_drawing_itself() -> None:
    full = drawing_for(weight_sharing(), "forward")
    seen = visible(full, range(len(full.frames)))
    assert [replace(box, id="") for box in seen.boxes] == list(full.boxes)
    assert [replace(arrow, id="") for arrow in seen.arrows] == list(full.arrows)
    assert [replace(frame, id="") for frame in seen.frames] == list(full.frames)


def test_what_is_left_keeps_its_id() -> None:
    full = drawing_for(mlp(16, 4, 2)(X), "forward")
    seen = visible(full, opening(full, 1))
    for box in seen.boxes:
        if box.id.startswith("n"):
            assert full.boxes[int(box.id[1:])].lines == box.lines
        else:
            assert full.frames[int(box.id[1:])].title == box.lines[0]
    assert {full.frames[int(frame.id[1:])].title for frame in seen.frames} == {"Sequential"}


def test_modules_are_closed_by_path_and_by_class() -> None:
    def seen(*names: str) -> list[str]:
        return [box.lines[0] for box in draw(mlp(16, 4, 2)(X), collapse=names).boxes if box.kind is Kind.GROUP]

    assert seen("Linear") == ["0: Linear", "2: Linear"]
    assert seen("sequential.2") == ["2: Linear"]
    assert seen("Sequential") == ["Sequential"]
    with pytest.raises(DrawingError, match="no module 'Liner' to collapse in this drawing; did you mean 'Linear'"):
        seen("Liner")


def test_several_tensors_of_a_closed_frame_are_one_arrow() -> None:
    pair = Layer("pair", "Pair", lambda x: graphc.cat([x.tanh(), x.exp()], 1))
    split = Layer("split", "Split", lambda x: x[:, :1] * x[:, 1:2] + x[:, 2:3])
    seen = draw(split(pair(X)), depth=0)
    assert arrows(seen) == [
        ("x", "Pair", ""),
        ("Pair", "Split", "[batch, 32]"),
        ("Split", "output", "[batch, 1]"),
    ]


def test_operands_of_an_open_box_stay_apart() -> None:
    seen = draw((X.tanh() - X.tanh()).sum())
    assert len([a for a in seen.arrows if seen.boxes[a.head].lines[0] == "x − y"]) == 2
    same = X.tanh()
    assert len([a for a in draw(same * same).arrows if a.head == 2]) == 2


def test_no_more_boxes_than_can_be_seen() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Linear(16, 16 + k), nn.Linear(16 + k, 16)) for k in range(60)))
    seen = draw(net(X))
    assert len(seen.boxes) <= MOST_BOXES
    assert {box.lines[0].split(": ")[1] for box in seen.boxes if box.kind is Kind.GROUP} == {"Sequential"}


@pytest.mark.parametrize("seed", range(20))
def test_any_frames_may_be_closed(seed: int) -> None:
    chooser = random.Random(seed)
    full = drawing_for(chooser.choice([residual, weight_sharing])(), "forward")
    open_ = {i for i in range(len(full.frames)) if chooser.random() < 0.6}
    seen = visible(full, open_)
    assert len({box.id for box in seen.boxes}) == len(seen.boxes)
    for arrow in seen.arrows:
        assert arrow.tail != arrow.head
        assert 0 <= min(arrow.tail, arrow.head) <= max(arrow.tail, arrow.head) < len(seen.boxes)
    for i, frame in enumerate(seen.frames):
        assert frame.parent is None or frame.parent < i
        assert int(frame.id[1:]) in open_
    # Everything that is seen leads on to the output.
    reached = {i for i, box in enumerate(seen.boxes) if box.kind is Kind.OUTPUT}
    for _ in seen.boxes:
        reached |= {arrow.tail for arrow in seen.arrows if arrow.head in reached}
    assert reached == set(range(len(seen.boxes)))


# Repeated blocks ------------------------------------------------------------------------------------------------------


def test_repeated_blocks_are_drawn_once() -> None:
    seen = draw(residual())
    assert [frame.title for frame in seen.frames if frame.kind is FrameKind.REPEAT] == ["×12"]
    assert titles(seen).count("1: Residual") == 1
    assert "12: Residual" not in titles(seen)
    # In and out as for a single one, and nothing twice.
    assert len(arrows(seen)) == len(arrows(draw(_one_block())))


def _one_block() -> graphc.Tensor:
    x = placeholder("x", ("batch", 8))
    return nn.Sequential(nn.Linear(8, 16), Residual(16), nn.Linear(16, 1))(x)


def test_what_reads_repetitions_from_outside() -> None:
    values = [X]
    for _ in range(6):
        values.append(values[-1].tanh())
    twice = draw(values[6] + values[6])
    assert [a for a in arrows(twice) if a[1] == "+"] == [("tanh", "+", "[batch, 16]")] * 2
    two = draw(values[6] + values[4])
    assert [a for a in arrows(two) if a[1] == "+"] == [("tanh", "+", "2 tensors")]
    all_ = draw(graphc.cat(values[2:], 1))
    assert [a for a in arrows(all_) if a[1].startswith("cat")] == [
        ("tanh", "cat dim 1: 16 + 16 + 16 + 16 + 16", "5 tensors")
    ]


def test_repetitions_can_be_unfolded() -> None:
    full = drawing_for(residual(), "forward")
    [block] = [i for i, frame in enumerate(full.frames) if frame.kind is FrameKind.REPEAT]
    everything = visible(full, range(len(full.frames)), [block])
    assert len(everything.boxes) == len(full.boxes)
    assert len(everything.arrows) == len(full.arrows)


@pytest.mark.parametrize("times", [1, 2, FEWEST - 1])
def test_few_repetitions_are_drawn_out(times: int) -> None:
    assert "×" not in "".join(titles(draw(sequential("net", *(tanh(str(k)) for k in range(times)))(X))))


def test_blocks_of_several_modules() -> None:
    layers = [layer for _ in range(6) for layer in (nn.Linear(16, 16), nn.Tanh())]
    seen = draw(nn.Sequential(*layers)(X))
    assert titles(seen) == ["Sequential", "×6", "0: Linear"]


def test_blocks_inside_blocks() -> None:
    net = nn.Sequential(*(nn.Sequential(*(nn.Linear(16, 16) for _ in range(5)), nn.Tanh()) for _ in range(7)))
    full = drawing_for(net(X), "forward")
    seen = visible(full, opening(full))
    assert titles(seen) == ["Sequential", "×7", "0: Sequential", "×5", "0: Linear"]
    assert len(full.boxes) == 7 * (5 * 4 + 1) + 2


def test_what_differs_is_no_repetition() -> None:
    net = nn.Sequential(*(nn.Linear(16 + k, 17 + k) for k in range(6)))
    assert FrameKind.REPEAT not in {frame.kind for frame in drawing_for(net(X), "forward").frames}
    y = X
    for k in range(6):
        y = y * k
    assert FrameKind.REPEAT not in {frame.kind for frame in drawing_for(y, "forward").frames}


def test_the_calls_of_one_module_are_no_repetition() -> None:
    layer = nn.Linear(16, 16)
    y = X
    for _ in range(6):
        y = layer(y).tanh()
    assert FrameKind.REPEAT not in {
        frame.kind for frame in drawing_for(y, "forward").frames if frame.parent is not None
    }


def test_a_block_that_reads_the_same_input_each_time() -> None:
    y = X
    for _ in range(100):
        y = y.tanh() + X
    seen = draw(y)
    assert titles(seen) == ["×100"]
    assert sorted(box.lines[0] for box in seen.boxes) == ["+", "output", "tanh", "x"]


@pytest.mark.parametrize("seed", range(10))
def test_repetitions_of_random_chains_map_to_the_first(seed: int) -> None:
    chooser = random.Random(seed)
    kinds = [chooser.choice("ab") for _ in range(60)]
    boxes = (Box(Kind.INPUT, ("x",)), *(Box(Kind.OP, (kind,)) for kind in kinds))
    drawing = with_repeats(Drawing(boxes, tuple(Arrow(k, k + 1) for k in range(60))), [])
    for box in drawing.boxes:
        if box.like is not None:
            assert drawing.boxes[box.like].lines == box.lines
            assert drawing.boxes[box.like].like is None or drawing.boxes[box.like].like != box.like
    seen = visible(drawing, range(len(drawing.frames)))
    assert len(seen.boxes) == sum(box.like is None for box in drawing.boxes)


# Parts ----------------------------------------------------------------------------------------------------------------


def test_what_is_too_much_is_drawn_in_parts() -> None:
    count = 5 * CROWDED
    boxes = tuple(Box(Kind.OP, (f"op {k}",), (f"op {k}",)) for k in range(count))
    drawing = with_parts(Drawing(boxes, tuple(Arrow(k, k + 1) for k in range(count - 1))))
    seen = visible(drawing, opening(drawing))
    assert {box.kind for box in seen.boxes} == {Kind.GROUP}
    assert 1 < len(seen.boxes) <= MOST_BOXES
    assert sum(int(box.lines[1].split()[0].replace(",", "")) for box in seen.boxes) == count
    assert seen.boxes[0].tooltip[0] == "from op 0"
    assert len(visible(drawing, range(len(drawing.frames))).boxes) == count


def test_what_is_little_has_no_parts() -> None:
    drawing = Drawing(tuple(Box(Kind.OP, ("op",)) for _ in range(CROWDED)), frames=(Frame("f"),))
    assert with_parts(drawing) is drawing
