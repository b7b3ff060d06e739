"""Graphs that cannot be built: the drawing goes up to the call that failed, and has its error."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import graphc
from graphc import nn
from graphc.errors import GraphcError
from graphc.ir.tensor import Attempt
from graphc.viz.errors import DrawingError
from graphc.viz.failure import BuildFailure, failure_contents, failure_drawing, failure_of
from graphc.viz.find import find
from graphc.viz.model import Box, Drawing, Kind
from graphc.viz.request import Request

HERE = Path(__file__)


def failing(build: Callable[[], object]) -> BuildFailure:
    with pytest.raises(GraphcError, match=r"built at") as caught:
        build()
    error = failure_of("it fails", caught.value, HERE)
    assert isinstance(error, BuildFailure)
    return error


def drawn(build: Callable[[], object]) -> Drawing:
    return failure_drawing(failing(build).failure)


def the_error(drawing: Drawing) -> tuple[int, Box]:
    [(place, box)] = [(i, box) for i, box in enumerate(drawing.boxes) if box.kind is Kind.ERROR]
    return place, box


def into(drawing: Drawing, head: int) -> list[tuple[str, ...]]:
    return [drawing.boxes[arrow.tail].lines for arrow in drawing.arrows if arrow.head == head]


x = graphc.placeholder("x", ("batch", 3))
w = graphc.placeholder("w", (4, 2))


def test_what_is_there_is_drawn_and_the_error_stands_where_the_node_would() -> None:
    drawing = drawn(lambda: x.tanh() @ w)
    place, box = the_error(drawing)
    assert box.lines[:3] == ("matmul: ShapeError", "inner sizes differ, 3 != 4, in f32[batch,3] @", box.lines[2])
    assert into(drawing, place) == [("tanh",), ("w", "[4, 2]")]
    assert sorted(each.kind.value for each in drawing.boxes) == ["error", "input", "input", "operation"]
    assert all(arrow.tail != place for arrow in drawing.arrows)
    assert all(max(arrow.tail, arrow.head) < len(drawing.boxes) for arrow in drawing.arrows)
    assert {entry.kind for entry in drawing.legend} == {Kind.INPUT, Kind.OP, Kind.ERROR}


def test_operands_say_which_is_which() -> None:
    drawing = drawn(lambda: x.tanh() @ w)
    place, _ = the_error(drawing)
    assert len({arrow.mark for arrow in drawing.arrows if arrow.head == place}) == 2


def test_the_error_is_wrapped() -> None:
    _, box = the_error(drawn(lambda: x @ w))
    assert len(box.lines) > 2
    assert max(map(len, box.lines)) <= 48
    assert "inner sizes differ, 3 != 4" in " ".join(box.lines)
    assert box.tooltip[0].startswith("matmul: inner sizes differ, 3 != 4, in f32[batch,3] @ f32[4,2]; built at ")


class Net(nn.Module):
    """Fails in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 5)
        self.weight = graphc.Parameter(torch.ones(4, 2))

    def forward(self, x: graphc.Tensor) -> graphc.Tensor:
        result: graphc.Tensor = self.first(x).tanh() @ self.weight
        return result


def test_the_error_is_seen_whatever_is_closed() -> None:
    failure = failing(lambda: Net()(x)).failure
    for request in (Request(depth=0), Request(collapse=("Net",)), Request()):
        for suffix in (".dot", ".mmd"):
            text = failure_contents(failure, suffix, request, "net").decode()
            assert "inner sizes differ" in text
    assert "tanh" in failure_contents(failure, ".dot", Request(), "net").decode()


def test_a_long_name_is_cut() -> None:
    long = nn.Sequential(*(nn.Tanh() for _ in range(30)))
    with pytest.raises(GraphcError, match=r"built at") as caught:
        raise graphc.ir.complaint(graphc.errors.ShapeError, repr(long), "is wrong", x)
    error = failure_of("it fails", caught.value, HERE)
    assert isinstance(error, BuildFailure)
    _, box = the_error(failure_drawing(error.failure))
    assert box.lines[0].endswith("…: ShapeError")
    assert max(map(len, box.lines)) <= 48


def test_the_error_stands_in_the_module_that_was_running() -> None:
    drawing = drawn(lambda: Net()(x))
    _, box = the_error(drawing)
    assert box.frame is not None
    assert drawing.frames[box.frame].title == "Net"
    assert len(drawing.frames) == 2


@pytest.mark.parametrize(
    ("build", "name", "kind", "operands"),
    [
        (lambda: x + w, "add", "ShapeError", 2),
        (lambda: x.reshape(7), "reshape", "ShapeError", 1),
        (lambda: graphc.cat([x, w]), "cat", "ShapeError", 2),
        (lambda: x.sum(5), "sum", "ShapeError", 1),
        (lambda: x[5:, 0, 0], "getitem", "ShapeError", 1),
        (lambda: x @ w.double(), "matmul", "DTypeError", 2),
        (lambda: graphc.where(x, x, x), "where", "DTypeError", 1),
        (lambda: graphc.grad(x, x), "grad", "GradientError", 1),
        (lambda: 1 if x.sum() > 0 else 2, "bool()", "SymbolicValueError", 1),
        (lambda: list(x), "iteration", "SymbolicValueError", 1),
        (lambda: x.sum().backward(), "backward()", "SymbolicValueError", 1),
        (lambda: x.__setitem__(0, 1), "item assignment", "SymbolicValueError", 1),
    ],
)
def test_whatever_fails_has_its_operands(build: Callable[[], object], name: str, kind: str, operands: int) -> None:
    drawing = drawn(build)
    place, box = the_error(drawing)
    assert box.lines[0] == f"{name}: {kind}"
    assert sum(arrow.head == place for arrow in drawing.arrows) == operands


@pytest.mark.parametrize("build", [lambda: graphc.placeholder("x", (-1,)), lambda: graphc.constant("abc")])
def test_nothing_is_drawn_where_there_is_nothing(build: Callable[[], object]) -> None:
    with pytest.raises(GraphcError, match="built at") as caught:
        build()
    assert not isinstance(failure_of("it fails", caught.value, HERE), BuildFailure)


def test_names_are_inert() -> None:
    bad = graphc.placeholder("a\n\x1b[31m<b>", (3, 3))
    drawing = drawn(lambda: bad @ w)
    for line in [line for box in drawing.boxes for line in (*box.lines, *box.tooltip)]:
        assert line.isprintable()


def test_a_parameter_in_a_failed_call_is_not_used() -> None:
    net = nn.Linear(3, 2)
    with pytest.raises(GraphcError, match="matmul") as caught:
        graphc.matmul(x, net.bias.reshape(1, 2))  # type: ignore[union-attr]  # it has a bias
    assert isinstance(caught.value.attempt, Attempt)
    assert not net.weight.is_used


def test_deep_graphs() -> None:
    y = x
    for _ in range(10_000):
        y = y.tanh()
    drawing = drawn(lambda: y @ w)
    assert len(drawing.boxes) == 10_003


def test_errors_travel_without_their_operands() -> None:
    with pytest.raises(GraphcError, match="matmul") as caught:
        x @ w
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy), copy.attempt) == (type(caught.value), str(caught.value), None)
    sweep = pickle.loads(pickle.dumps(graphc.errors.SweepError("runs failed", {3: ValueError("no")})))
    assert repr(sweep.errors) == "{3: ValueError('no')}"


def test_a_file_that_fails(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text("import graphc\n\nx = graphc.placeholder('x', (2, 3))\ny = x @ x\nz = 1\n")
    where = re.escape(str(file))
    with pytest.raises(
        BuildFailure, match=rf"^{where} fails while it is read: ShapeError: matmul: .*model\.py:4\. (?!.*line 4)"
    ) as e:
        find(file, "y")
    assert len(failure_drawing(e.value.failure).boxes) == 2
    file.write_text("raise ValueError('no graph')")
    with pytest.raises(DrawingError, match="ValueError: no graph") as caught:
        find(file, "y")
    assert not isinstance(caught.value, BuildFailure)
