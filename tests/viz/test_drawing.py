"""What a drawing shows: boxes, arrows, frames and legend, before any layout."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch

import graphc
from graphc import Tensor, nn, optim, placeholder
from graphc.ir import OutputRole
from graphc.viz import Drawing, DrawingError, draw
from graphc.viz.model import Box, Kind
from graphc.viz.views import drawing_for
from tests.viz.networks import Layer, linear, perceptron, sequential, shared, tanh, training

W = graphc.Parameter(torch.zeros(3, 3), name="w")
ROW = graphc.Parameter(torch.zeros(3), name="row")
X = placeholder("x", ("batch", 3))
Y = placeholder("y", ("batch", 3))


def texts(drawing: Drawing, kind: Kind) -> list[str]:
    return [" ".join(box.lines) for box in drawing.boxes if box.kind is kind]


def box(drawing: Drawing, first: str) -> Box:
    [found] = [box for box in drawing.boxes if box.lines[0] == first]
    return found


def arrows(drawing: Drawing) -> list[str]:
    """Each arrow as text, by the first lines of its ends."""
    result = []
    for arrow in drawing.arrows:
        label = ": ".join(part for part in (arrow.mark, arrow.label) if part)
        ends = drawing.boxes[arrow.tail].lines[0], drawing.boxes[arrow.head].lines[0]
        result.append(f"{ends[0]} -{f'({label})' if label else ''}-> {ends[1]}")
    return result


def paths(drawing: Drawing) -> list[str]:
    """Each frame with those around it."""
    found: list[str] = []
    for frame in drawing.frames:
        title = f"{frame.title} ×{frame.calls}" if frame.calls > 1 else frame.title
        found.append(title if frame.parent is None else f"{found[frame.parent]} / {title}")
    return found


# Boxes and arrows -----------------------------------------------------------------------------------------------------


def test_a_layer() -> None:
    drawing = draw(linear("fc", 2, 5)(placeholder("x", ("batch", 2))), name="y")
    assert texts(drawing, Kind.INPUT) == ["x [batch, 2]"]
    assert texts(drawing, Kind.PARAMETER) == ["weight [5, 2]", "bias [5]"]
    assert texts(drawing, Kind.OP) == ["matmul", "+"]
    assert texts(drawing, Kind.OUTPUT) == ["y"]
    assert arrows(drawing) == [
        "x --> matmul",
        "weight -(transposed)-> matmul",
        "matmul -([batch, 5])-> +",
        "bias --> +",
        "+ -([batch, 5])-> y",
    ]


@pytest.mark.parametrize(
    ("build", "label"),
    [
        (lambda: X + 1, "+ 1"),
        (lambda: 1 + X, "+ 1"),
        (lambda: X - 0.1, "− 0.1"),
        (lambda: 1 - X, "1 − x"),
        (lambda: X * 2, "× 2"),
        (lambda: 1e-8**X, "1e-08 ^ x"),
        (lambda: X * X.shape[0], "× batch"),
        (lambda: X * (2 * X.shape[0]), "× (2*batch)"),
        (lambda: X > 0, "> 0"),
        (lambda: X <= 1, "≤ 1"),
        (lambda: X**2, "^ 2"),
        (lambda: X.maximum(0), "maximum(x, 0)"),
        (lambda: graphc.where(X > 0, X, 0.5), "where(x, y, 0.5)"),
        (lambda: X.clamp(0, 1), "clamp 0 to 1"),
        (lambda: X.clamp(max=0.5), "clamp … to 0.5"),
        (lambda: X.sum(), "sum"),
        (lambda: X.sum(1), "sum dim 1"),
        (lambda: placeholder("z", (2, 3, 4)).amax((0, 2)), "amax dims 0, 2"),
        (lambda: X.double(), "to f64"),
        (lambda: X.T, "transpose"),
        (lambda: placeholder("z", (2, 3, 4)).permute(2, 0, 1), "permute 2, 0, 1"),
        (lambda: X.reshape(-1), "reshape"),
        (lambda: graphc.leaky_relu(X, 0.2), "leaky_relu negative_slope 0.2"),
        (lambda: graphc.gelu(X), "gelu"),
        (lambda: X.softmax(1), "softmax dim 1"),
        (lambda: graphc.dropout(X, 0.25), "dropout 0.25"),
        (lambda: X[:, 0:2], "[:, 0:2]"),
        (lambda: X[:, ::2], "[:, 0:3:2]"),
        (lambda: X[:, 1], "[:, 1]"),
        (lambda: X[0], "[0]"),
        (lambda: X[-1, 0:2], "[-1, 0:2]"),
        (lambda: X[1:, 0:2], "[1:, 0:2]"),
        (lambda: X[:-1], "[:-1]"),
        (lambda: placeholder("z", (4, 5, 6))[1:3, 0, 2:4], "[1:3, 0, 2:4]"),
    ],
)
def test_labels(build: Callable[[], Tensor], label: str) -> None:
    assert texts(draw(build()), Kind.OP)[-1] == label


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: X + Y, ["x --> +", "y --> +"]),
        (lambda: X - Y, ["x -(x)-> x − y", "y -(y)-> x − y"]),
        (lambda: X - X, ["x --> −", "x --> −"]),
        (lambda: X.exp() / Y, ["x --> exp", "exp -(x: [batch, 3])-> x / y", "y -(y)-> x / y"]),
        (lambda: graphc.cat([X, Y], 1), ["x -(1)-> cat dim 1: 3 + 3", "y -(2)-> cat dim 1: 3 + 3"]),
        (lambda: placeholder("z", (2, 3)) @ placeholder("v", (3, 4)), ["z --> matmul", "v --> matmul"]),
        (lambda: placeholder("z", (3, 3)) @ placeholder("v", (3, 3)), ["z -(x)-> x @ y", "v -(y)-> x @ y"]),
    ],
)
def test_operands_are_marked_where_their_order_matters(build: Callable[[], Tensor], expected: list[str]) -> None:
    assert arrows(draw(build()))[:-1] == expected


def test_types_beside_arrows() -> None:
    total = X.double().sum()
    assert arrows(draw(total, name="s"))[1:] == ["to f64 -(f64[batch, 3])-> sum", "sum -(f64 scalar)-> s"]


def test_a_broadcast_that_shapes_imply_is_no_box() -> None:
    row = placeholder("row", (3,))
    assert texts(draw(X + row), Kind.OP) == ["+"]
    assert "broadcast to the shape of the result" in draw(X + row).arrows[1].tooltip


def test_a_broadcast_that_shapes_do_not_imply_is_a_box() -> None:
    row = placeholder("row", (3,))
    assert texts(draw(row.expand(5, 3) + 1), Kind.OP) == ["broadcast", "+ 1"]
    assert texts(draw(row.expand(5, 3).sum(0)), Kind.OP) == ["broadcast", "sum dim 0"]


def test_a_parameter_is_drawn_once_with_all_its_uses() -> None:
    drawing = draw((X @ W.T + X @ W + W.sum()).sum())
    assert texts(drawing, Kind.SHARED) == ["w [3, 3] used 3 times"]
    assert sum(arrow.startswith("w -") for arrow in arrows(drawing)) == 3


def test_a_parameter_transposed_twice_is_the_parameter() -> None:
    assert arrows(draw(X @ W.T.T, name="y"))[:-1] == ["x --> matmul", "w --> matmul"]
    assert texts(draw(X.T.T), Kind.OP) == ["transpose", "transpose"]


def test_what_is_returned_is_a_box_even_if_it_would_be_folded() -> None:
    drawing = draw({"zero": graphc.constant(0.5).broadcast_to((2, 3)), "copy": X, "weight": W.T})
    assert texts(drawing, Kind.CONSTANT) == ["0.5 [2, 3]"]
    assert arrows(drawing) == ["w --> transpose", "0.5 --> zero", "x --> copy", "transpose -([3, 3])-> weight"]


def test_large_constants_are_boxes() -> None:
    assert texts(draw(X + torch.ones(3)), Kind.CONSTANT) == ["constant [3]"]


def test_slices_of_other_lines_are_boxes_of_their_own() -> None:
    first = X[:, 0:2]
    second = first[1:]
    assert texts(draw(second), Kind.OP) == ["[:, 0:2]", "[1:]"]


def test_a_slice_that_is_used_twice_is_a_box_of_its_own() -> None:
    part = X[1:]
    both = graphc.cat([part[:, 0:1], part], 1)
    assert texts(draw(both), Kind.OP) == ["[1:]", "[:, 0:1]", "cat dim 1: 1 + 3"]


def test_outputs_have_the_names_that_they_were_given() -> None:
    assert texts(draw([X, Y], name="both"), Kind.OUTPUT) == ["both[0]", "both[1]"]
    assert texts(draw({"a": X, "b": Y}), Kind.OUTPUT) == ["a", "b"]
    assert texts(draw(training()), Kind.OUTPUT) == ["loss"]


def test_tooltips_say_where() -> None:
    drawing = draw(perceptron())
    tooltip = box(drawing, "tanh").tooltip
    assert tooltip[0] == "tanh: f32[batch,5]"
    assert tooltip[1].rpartition(":")[0].endswith("networks.py")
    assert tooltip[2] == "in net.1"
    assert box(drawing, "x").tooltip[0] == "input x: f32[batch,2]"
    assert "parameter 0.weight: f32[5,2], 10 values" in {box.tooltip[0] for box in drawing.boxes}


# Modules --------------------------------------------------------------------------------------------------------------


def test_modules_are_nested_frames() -> None:
    drawing = draw(perceptron())
    assert paths(drawing) == ["net: Sequential", "net: Sequential / 0: Linear", "net: Sequential / 2: Linear"]
    inside = {box.lines[0]: box.frame for box in drawing.boxes}
    assert inside["tanh"] == 0
    assert inside["sigmoid"] is None
    assert inside["x"] is None
    assert [box.frame for box in drawing.boxes if box.lines[0] == "weight"] == [1, 2]


def test_a_module_called_several_times_is_one_frame() -> None:
    drawing = draw(shared())
    assert paths(drawing) == ["encoder: Sequential ×3", "encoder: Sequential ×3 / 0: Linear ×3", "head: Linear"]
    assert texts(drawing, Kind.SHARED) == ["weight [4, 2] used 3 times", "bias [4] used 3 times"]
    assert [box.frame for box in drawing.boxes if box.lines[0] == "matmul"] == [1, 1, 1, 2]


def test_calls_of_other_graphs_do_not_count() -> None:
    layer = linear("fc", 3, 3)
    layer(X)
    assert paths(draw(layer(Y))) == ["fc: Linear"]


def test_a_frame_that_would_repeat_its_op_is_left_out() -> None:
    assert paths(draw(tanh("act")(X))) == []
    assert paths(draw(Layer("act", "LeakyReLU", graphc.leaky_relu)(X))) == []
    assert paths(draw(Layer("act", "Twice", graphc.tanh)(X))) == ["act: Twice"]
    assert paths(draw(graphc.grad(Layer("act", "Double", lambda x: x * 2)(X).sum(), [X]))) == []
    assert paths(draw(graphc.grad(tanh("act")(X).sum(), [X]))) == ["backward of act: Tanh"]


def test_a_frame_that_holds_a_parameter_stays() -> None:
    assert paths(draw(Layer("add", "Add", lambda x: x + ROW)(X))) == ["Add"]


def test_a_module_of_two_parents_stands_in_what_they_share() -> None:
    layer = linear("fc", 3, 3)
    parents = [sequential("a", layer, tanh("t")), sequential("b", tanh("t"), layer)]
    net = Layer("net", "Net", lambda x: parents[1](parents[0](x)))
    assert paths(draw(net(X))) == ["Net", "Net / a: Sequential", "Net / fc: Linear ×2", "Net / b: Sequential"]


def test_modules_inside_each_other_do_not_go_round_in_circles() -> None:
    outer = Layer("outer", "Outer", lambda x: inner(x).exp())
    inner = Layer("inner", "Inner", lambda x: x.tanh().exp())
    first = outer(X)
    outer.forward, inner.forward = (lambda x: x.tanh().exp()), (lambda x: outer(x).exp())
    assert paths(draw(inner(first))) == ["Outer ×2", "Inner ×2"]


def test_a_parameter_of_two_modules_stands_outside_both() -> None:
    layers = [Layer(name, "Scale", lambda x: (x * W.sum()).tanh()) for name in "ab"]
    drawing = draw(layers[1](layers[0](X)))
    assert box(drawing, "w").frame is None
    assert box(drawing, "w").kind is Kind.SHARED


def test_names_leave_out_the_path_of_their_module() -> None:
    own = linear("fc", 3, 3, prefix="net.")
    assert texts(draw(sequential("net", own)(X)), Kind.PARAMETER) == ["weight [3, 3]", "bias [3]"]
    other = linear("fc", 3, 3, prefix="elsewhere.")
    assert texts(draw(sequential("net", other)(X)), Kind.PARAMETER)[0] == "elsewhere.fc.weight [3, 3]"


# Gradients, updates, views --------------------------------------------------------------------------------------------


def test_forward_view_of_a_program() -> None:
    drawing = draw(training())
    assert texts(drawing, Kind.OP) == ["matmul", "square", "sum"]
    assert texts(drawing, Kind.INPUT) == ["x [batch, 3]", "spare [n] not used"]
    assert [entry.text for entry in drawing.legend] == ["input", "parameter", "operation", "output"]


def test_whole_program() -> None:
    drawing = draw(training(), view="training")
    assert texts(drawing, Kind.OP) == ["matmul", "square", "sum"]
    assert "matmul" in texts(drawing, Kind.GRADIENT_OP)
    assert texts(drawing, Kind.UPDATE_OP) == ["× 0.1", "x − y"]
    assert texts(drawing, Kind.UPDATE) == ["new weight"]
    assert texts(drawing, Kind.PARAMETER) == ["weight [3, 1]"]
    legend = [entry.text for entry in drawing.legend]
    assert legend == [
        "input",
        "parameter",
        "operation",
        "backward operation",
        "update operation",
        "output",
        "new value",
    ]


def test_gradients_by_themselves() -> None:
    loss = (X @ W).sum()
    drawing = draw(graphc.grad(loss, [W]), name="gradients")
    assert texts(drawing, Kind.GRADIENT) == ["gradients[0]"]


def test_what_is_computed_from_gradients_and_returned_is_no_update() -> None:
    penalty = graphc.grad((X @ W).square().sum(), W).square().sum()
    assert texts(draw(penalty), Kind.OP)[-2:] == ["square", "sum"]


def test_an_optimizer_keeps_its_hyper_parameters_inside_boxes() -> None:
    weight = graphc.Parameter(torch.zeros(3, 1), name="weight")
    loss = (X @ weight).sum()
    updates = optim.SGD([weight], lr=0.5, momentum=0.9).minimize(loss)
    drawing = draw(graphc.compile([X], loss, updates), view="training")
    assert any("lr" in text for text in texts(drawing, Kind.UPDATE_OP))
    assert len(texts(drawing, Kind.STATE)) == 1


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (torch.ones(1), "'it' is a Tensor; torch's tensors have values and no graph: draw a symbolic tensor"),
        ([], "'it' is an empty list; what can be drawn is a tensor"),
        ({"a": 1}, "'it' is a dict; what can be drawn"),
        (3, "'it' is an int; what can be drawn"),
        (graphc.Graph((), ()), "'it' has nothing to draw"),
        (training().graph.subgraph(OutputRole.UPDATE), "'it' has only gradients and updates to draw"),
    ],
)
def test_what_cannot_be_drawn(value: object, problem: str) -> None:
    with pytest.raises(DrawingError, match=problem):
        draw(value, name="it")  # type: ignore[arg-type]


def test_a_module_cannot_be_drawn() -> None:
    with pytest.raises(DrawingError, match=r"a Linear module.*write y = net\(x\) in the file and draw y"):
        draw(nn.Linear(2, 3), name="net")  # type: ignore[arg-type]


def test_layers_as_users_call_them() -> None:
    layer = nn.Linear(3, 3)
    drawing = draw(layer(layer(X)))
    assert paths(drawing) == ["Linear ×2"]
    assert texts(drawing, Kind.SHARED) == ["weight [3, 3] used 2 times", "bias [3] used 2 times"]


# Size -----------------------------------------------------------------------------------------------------------------


def test_a_long_chain() -> None:
    y = X
    for _ in range(10_000):
        y = y.tanh()
    start = time.perf_counter()
    drawing = draw(y)
    assert texts(drawing, Kind.OP) == ["tanh"]
    assert paths(drawing) == ["×10,000"]
    assert time.perf_counter() - start < 5


def test_many_modules_inside_each_other() -> None:
    layer = tanh("0")
    for _ in range(200):
        layer = Layer("deep", "Deep", lambda x, layer=layer: layer(x).exp())
    drawing = drawing_for(layer(X), "forward")
    assert len(drawing.frames) == 200
    assert drawing.frames[-1].parent == 198
