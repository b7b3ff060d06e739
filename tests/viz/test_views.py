"""The views of one program: the same nodes in all of them, what each shows, and what there is no view of."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import nn, optim, placeholder
from graphc.viz import DrawingError, draw
from graphc.viz.code import listings_of
from graphc.viz.model import Drawing, FrameKind, Kind
from graphc.viz.request import View
from graphc.viz.views import available, drawing_for
from tests.viz.networks import disk, mlp, perceptron, training


@pytest.fixture(scope="module")
def adam() -> graphc.Program:
    return disk("bce", optim.Adam)


def native() -> graphc.Program:
    x, y = placeholder("x", ("batch", 3)), placeholder("y", ("batch", 1))
    net = mlp(3, 4, 1)
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile([x, y], loss, optim.SGD(net.parameters(), lr=0.1).minimize(loss), backend="c")


def ops(drawing: Drawing, *kinds: Kind) -> list[str]:
    return [box.lines[0] for box in drawing.boxes if box.kind in kinds]


def frames(drawing: Drawing, kind: FrameKind) -> list[str]:
    return [frame.title for frame in drawing.frames if frame.kind is kind]


def test_which_views_there_are(adam: graphc.Program) -> None:
    assert available(adam) == ("forward", "backward", "training", "kernels", "memory")
    assert available(perceptron()) == ("forward",)
    x = placeholder("x", ("batch", 3))
    assert available([x.tanh(), *graphc.grad(x.tanh().sum(), [x])]) == ("forward", "backward")
    assert available(graphc.compile([x], x.tanh(), backend="reference")) == ("forward",)
    assert available(adam.graph)[:3] == ("forward", "backward", "training")


def test_each_view_has_more_than_the_one_before(adam: graphc.Program) -> None:
    views: list[View] = ["forward", "backward", "training"]
    found = [{i for box in drawing_for(adam, view).boxes for i in box.nodes} for view in views]
    assert found[0] < found[1] < found[2]


def test_a_node_has_one_colour_and_one_label_in_all_views(adam: graphc.Program) -> None:
    views: list[View] = ["forward", "backward", "training"]
    seen: dict[int, tuple[Kind, str]] = {}
    for view in views:
        for box in drawing_for(adam, view).boxes:
            if box.kind in (Kind.OP, Kind.GRADIENT_OP, Kind.UPDATE_OP):
                for node in box.nodes:
                    assert seen.setdefault(node, (box.kind, box.lines[0])) == (box.kind, box.lines[0])


def test_kernels_have_the_nodes_of_the_other_views() -> None:
    program = native()
    declared = {i: box for box in drawing_for(program, "training").boxes for i in box.nodes}
    kernels = drawing_for(program, "kernels")
    both = [(declared[i], box) for box in kernels.boxes for i in box.nodes if i in declared]
    assert len(both) > 10
    assert all(a.kind is b.kind for a, b in both if Kind.SHARED not in (a.kind, b.kind))


def test_backward_frames_mirror_the_modules(adam: graphc.Program) -> None:
    drawing = drawing_for(adam, "backward")
    assert frames(drawing, FrameKind.MODULE)[:2] == ["Sequential", "0: Linear"]
    assert "backward of 0: Linear" in frames(drawing, FrameKind.BACKWARD)
    around = {box.frame for box in drawing.boxes if box.kind is Kind.GRADIENT_OP}
    assert all(frame is None or drawing.frames[frame].kind is FrameKind.BACKWARD for frame in around)


def test_backward_view_names_the_gradient_of_each_parameter(adam: graphc.Program) -> None:
    names = [f"gradient of {k}.{name}" for k in (0, 2, 4, 6) for name in ("weight", "bias")]
    assert sorted(ops(drawing_for(adam, "backward"), Kind.GRADIENT)) == sorted(names)


def test_every_update_has_a_frame(adam: graphc.Program) -> None:
    drawing = drawing_for(adam, "training")
    names = [f"update of {k}.{name}" for k in (0, 2, 4, 6) for name in ("weight", "bias")]
    assert sorted(frames(drawing, FrameKind.UPDATE)) == sorted(["updates", "for all updates", *names])
    inside = {
        box.lines[0] for box in drawing.boxes if box.frame is not None and drawing.frames[box.frame].title == names[0]
    }
    assert {"exp_avg", "exp_avg_sq", "old 0.weight", "new 0.weight", "new exp_avg"} <= inside


def test_the_training_step_is_readable(adam: graphc.Program) -> None:
    seen = draw(adam, view="training")
    assert len(seen.boxes) <= 60
    assert "update of 0.weight" in ops(seen, Kind.UPDATE_OP)


def test_kernels_are_frames() -> None:
    program = native()
    seen = drawing_for(program, "kernels")
    kernels = [frame for frame in seen.frames if frame.kind is FrameKind.KERNEL]
    schedule = program.schedule
    assert isinstance(schedule, graphc.schedule.KernelSchedule)
    assert {frame.kernel for frame in kernels} <= {kernel.index for kernel in schedule.kernels}
    computing = {kernel.index for kernel in schedule.kernels if kernel.nodes}
    assert {frame.kernel for frame in kernels} == computing
    of_ident = {node.origin.ident: kernel.index for node, kernel in schedule.kernel_of.items()}
    for box in seen.boxes:
        if box.kind in (Kind.OP, Kind.GRADIENT_OP, Kind.UPDATE_OP) and box.nodes[-1] in of_ident:
            assert box.frame is not None
            assert seen.frames[box.frame].kernel == of_ident[box.nodes[-1]]


def test_kernels_have_the_names_of_their_functions_in_the_c() -> None:
    """Kernels that are alike are one function, which therefore has another number than most of them."""
    x = placeholder("x", ("batch", 4))
    program = graphc.compile([x], [x.sum(0).tanh(), (x * 2).sum(1).exp(), (x.sum(1) * 3).sum(0)], backend="c")
    assert program.source is not None
    lines = program.source.split("\n")
    listing = listings_of(program)[0]
    kernels = [frame for frame in drawing_for(program, "kernels").frames if frame.kind is FrameKind.KERNEL]
    assert len(kernels) > 2
    for frame in kernels:
        assert frame.kernel is not None
        (name,) = [line.removesuffix(" in the C") for line in frame.tooltip if line.endswith(" in the C")]
        start, _ = listing.kernels[frame.kernel][0]
        assert f"void {name}(" in lines[start - 1]
    plan = graphc.compile([x], x.exp(), backend="torch")
    assert not any("in the C" in line for frame in drawing_for(plan, "kernels").frames for line in frame.tooltip)


def test_calls_of_the_torch_plan_are_frames(adam: graphc.Program) -> None:
    titles = frames(drawing_for(adam, "kernels"), FrameKind.KERNEL)
    assert any("addmm" in title for title in titles)


@pytest.mark.parametrize(
    ("view", "problem"),
    [
        ("backward", "has no backward part: nothing in it is a gradient; draw a program that graphc.compile made with"),
        ("training", "has no backward part"),
        ("kernels", r"has no kernels: they are made of a program, which graphc\.compile gives"),
    ],
)
def test_views_that_a_tensor_does_not_have(view: View, problem: str) -> None:
    with pytest.raises(DrawingError, match=f"'net' {problem}"):
        draw(perceptron(), view=view, name="net")


def test_views_that_a_program_does_not_have() -> None:
    x = placeholder("x", ("batch", 3))
    program = graphc.compile([x], x.tanh(), backend="reference")
    with pytest.raises(DrawingError, match='reference backend evaluates node by node; compile it with backend="c"'):
        draw(program, view="kernels")
    gradient = graphc.compile([x], graphc.grad(x.tanh().sum(), [x])[0])
    with pytest.raises(DrawingError, match="has no updates: draw it with --view backward"):
        draw(gradient, view="training")


def test_an_input_that_nothing_uses_is_in_every_view() -> None:
    for view in ("forward", "backward", "training", "kernels"):
        assert "spare" in ops(drawing_for(training(), view), Kind.INPUT)


def test_captions_say_the_totals() -> None:
    caption = draw(disk("mse", lambda p: optim.SGD(p, lr=0.1)), sizes={"batch": 25}).caption
    assert len(caption) == 1
    assert caption[0].startswith("1,427 parameters (5.7 kB)")
    assert caption[0].endswith("when batch = 25")


# One module, numbers --------------------------------------------------------------------------------------------------


def test_only_one_module() -> None:
    x = placeholder("x", ("batch", 2))
    seen = draw(mlp(2, 5, 3)(x), only="sequential.2")
    assert [frame.title for frame in seen.frames] == ["2: Linear"]
    assert ops(seen, Kind.OP, Kind.PARAMETER, Kind.INPUT, Kind.OUTPUT) == [
        "tanh",
        "weight",
        "matmul",
        "bias",
        "+",
        "output",
    ]
    with pytest.raises(DrawingError, match=r"no module 'sequential\.3' in this drawing; did you mean 'sequential\.\d'"):
        draw(mlp(2, 5, 3)(x), only="sequential.3")
    with pytest.raises(DrawingError, match="there is no module 'net' in this drawing; its modules are none"):
        draw(x.tanh(), only="net")


def test_only_modules_of_one_name_that_repeat_each_other() -> None:
    """The block that they are repetitions of is not drawn: all of them are."""
    y = placeholder("x", ("batch", 8))
    for _ in range(5):
        y = nn.Linear(8, 8)(y).tanh()
    assert [frame.times for frame in draw(y).frames] == [5, 1]
    seen = draw(y, only="linear")
    assert [frame.title for frame in seen.frames] == ["Linear"] * 5
    assert ops(seen, Kind.OP).count("matmul") == 5


def test_overlays_shade_boxes_and_say_numbers() -> None:
    x = placeholder("x", ("batch", 2))
    seen = draw(mlp(2, 5, 3)(x), overlay="flops", sizes={"batch": 10})
    heats = {box.lines[0]: box.heat for box in seen.boxes if box.kind is Kind.OP}
    assert [heat.text if heat else "" for heat in heats.values()] == ["300 flop", "30 flop", "50 flop"]
    assert max(heat.share for heat in heats.values() if heat) == 1
    closed = draw(mlp(2, 5, 3)(x), overlay="flops", sizes={"batch": 10}, depth=0)
    [total] = [box.heat for box in closed.boxes if box.kind is Kind.GROUP]
    assert total is not None
    assert total.text == "630 flop"
    assert seen.caption[1] == "floating-point operations; batch = 10"


def test_time_is_shown_by_kernel() -> None:
    seen = draw(native(), view="kernels", overlay="time")
    kernels = [frame for frame in seen.frames if frame.kind is FrameKind.KERNEL]
    assert kernels
    assert all(frame.heat is not None and frame.heat.text.endswith("s") for frame in kernels)
    inside = [box for box in seen.boxes if box.frame is not None]
    assert all(box.heat is None for box in inside)


def test_norms_of_gradients_need_a_batch() -> None:
    program = native()
    with pytest.raises(DrawingError, match="Give a batch"):
        draw(program, view="training", overlay="gradient")
    batch = [torch.randn(6, 3), torch.randn(6, 1)]
    seen = draw(program, view="backward", overlay="gradient", batch=batch)
    assert any(box.heat is not None for box in seen.boxes if box.kind is Kind.GRADIENT_OP)


def test_updates_without_gradients_are_drawn() -> None:
    x = placeholder("x", ("n",))
    count = graphc.Variable(torch.tensor(0.0), name="count")
    program = graphc.compile([x], x * count, {count: count + 1.0}, backend="reference")
    assert available(program) == ("forward", "training")
    assert "new count" in {box.lines[0] for box in draw(program, view="training").boxes}
    with pytest.raises(DrawingError, match="'output' has no backward part"):
        draw(program, view="backward")
