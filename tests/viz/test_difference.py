"""Two graphs in one drawing: what was added, removed and rewritten is marked, and nothing else."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

import graphc
from graphc import Tensor, nn, optim, placeholder
from graphc.ir import Graph
from graphc.viz.collapse import visible
from graphc.viz.compare import Comparison, compare
from graphc.viz.difference import difference_of, opening_of_difference
from graphc.viz.dot import dot_source
from graphc.viz.model import Change, Drawing
from graphc.viz.subject import subject_of
from tests.viz.networks import disk

X = placeholder("x", ("batch", 2))


def net(*layers: nn.Module) -> Tensor:
    return nn.Sequential(*layers)(X)


def difference(before: Tensor, after: Tensor) -> Drawing:
    return difference_of(compare(subject_of(before)[0], subject_of(after)[0]))


def marked(drawing: Drawing, change: Change) -> list[str]:
    return sorted(box.lines[0] for box in drawing.boxes if box.change is change)


def test_nothing_has_changed() -> None:
    drawing = difference(net(nn.Linear(2, 3)), net(nn.Linear(2, 3)))
    assert {box.change for box in drawing.boxes} == {Change.SAME}
    assert opening_of_difference(drawing) == frozenset()


def test_a_layer_more() -> None:
    small = net(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3))
    large = net(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.Sigmoid())
    drawing = difference(small, large)
    assert marked(drawing, Change.ADDED) == ["sigmoid"]
    assert marked(drawing, Change.REMOVED) == []
    back = difference(large, small)
    assert marked(back, Change.REMOVED) == ["sigmoid"]
    assert marked(back, Change.ADDED) == []


def test_another_activation() -> None:
    drawing = difference(
        net(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), net(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    )
    changed = marked(drawing, Change.REWRITTEN) + marked(drawing, Change.ADDED)
    assert "relu" in changed
    assert marked(drawing, Change.SAME).count("+") == 2


def test_what_was_removed_stands_in_its_module() -> None:
    before = net(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU())
    after = net(nn.Linear(2, 3), nn.ReLU())
    drawing = difference(before, after)
    titles = [frame.title for frame in drawing.frames]
    assert titles.count("Sequential") == 1
    gone = [frame for frame in drawing.frames if frame.change is Change.REMOVED]
    assert [frame.title for frame in gone] == ["2: Linear"]


def test_arrows_of_what_changed_are_marked() -> None:
    drawing = difference(X.tanh().exp(), X.tanh().sin().exp())
    ends = {(drawing.boxes[a.tail].lines[0], drawing.boxes[a.head].lines[0]): a.change for a in drawing.arrows}
    assert ends["tanh", "sin"] is Change.ADDED
    assert ends["sin", "exp"] is Change.ADDED
    assert ends["tanh", "exp"] is Change.REMOVED
    assert ends["x", "tanh"] is None


def test_what_has_changed_is_open_and_the_rest_closed() -> None:
    before = net(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.Tanh())
    after = net(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3), nn.Sigmoid())
    drawing = difference(before, after)
    seen = visible(drawing, opening_of_difference(drawing))
    assert [frame.title for frame in seen.frames] == ["Sequential"]
    assert {"0: Linear", "2: Linear"} <= set(marked(seen, Change.SAME))


def test_marks_can_be_read_without_colours() -> None:
    source = dot_source(difference(X.tanh().exp(), X.tanh().sin().exp()))
    assert 'label="+ sin"' in source
    assert 'label="− ' not in source
    back = dot_source(difference(X.tanh().sin().exp(), X.tanh().exp()))
    assert 'label="− sin"' in back
    legend = source[source.index("<TABLE") :]
    assert "+ added" in legend
    assert "operation" not in legend


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_every_pass_of_a_program(loss: str) -> None:
    program = disk(loss, lambda p: optim.Adam(p))
    graphs = [stage.value for stage in program.stages if isinstance(stage.value, Graph)]
    for before, after in itertools.pairwise(graphs):
        comparison = compare(before, after)
        drawing = difference_of(comparison)
        _check(drawing, comparison)


def _check(drawing: Drawing, comparison: Comparison) -> None:
    """Each box says what became of a node, and all that changed is there unless the drawing folds it."""
    found = Counter(box.change for box in drawing.boxes if box.nodes)
    for change in (Change.ADDED, Change.REMOVED):
        assert found[change] <= comparison.counts[change]
    if comparison.is_same:
        assert {box.change for box in drawing.boxes} == {Change.SAME}
    idents = {node.origin.ident for node in (*comparison.before.nodes, *comparison.after.nodes)}
    assert {ident for box in drawing.boxes for ident in box.nodes} <= idents | {
        node.origin.ident for node in comparison.after.inputs
    }
    assert all(arrow.tail != arrow.head for arrow in drawing.arrows)


def test_two_graphs_that_have_nothing_in_common() -> None:
    other = placeholder("other", (3,))
    drawing = difference(X.tanh(), other.exp())
    assert marked(drawing, Change.REMOVED)
    assert marked(drawing, Change.ADDED)
    assert Change.SAME not in {box.change for box in drawing.boxes if box.nodes}


def test_an_output_less() -> None:
    both = {"a": X.tanh(), "b": X.exp()}
    before, after = (subject_of(value)[0] for value in (both, {"a": both["a"]}))
    drawing = difference_of(compare(before, after))
    assert marked(drawing, Change.REMOVED) == ["b", "exp"]


def test_a_graph_without_modules_or_outputs_in_common() -> None:
    empty = Graph((), ())
    some = subject_of(graphc.constant(1.0) + X)[0]
    assert difference_of(compare(some, empty)).boxes
    assert difference_of(compare(empty, some)).boxes
