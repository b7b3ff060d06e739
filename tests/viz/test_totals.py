"""Totals of graphs and programs, by hand, and how quantities are written."""

from __future__ import annotations

import math

import pytest
import torch

import graphc
from graphc import Parameter, grad, nn, optim
from graphc.viz.errors import DrawingError
from graphc.viz.quantities import Row as Ranked
from graphc.viz.quantities import Unit, amount, ranked
from graphc.viz.totals import totals_of
from tests.judge import graph_of

AMOUNTS: list[tuple[float, Unit, str]] = [
    (0, "B", "0 B"),
    (404, "B", "404 B"),
    (999, "B", "999 B"),
    (1000, "B", "1 kB"),
    (3404, "B", "3.4 kB"),
    (18_000, "B", "18 kB"),
    (999_700, "B", "1 MB"),
    (1_234_567_890, "B", "1.2 GB"),
    (4e21, "B", "4,000,000 PB"),
    (62_400, "flop", "62.4 kflop"),
    (123_456_789, "flop", "123 Mflop"),
    (12.34e-6, "s", "12.3 µs"),
    (1.5, "s", "1.5 s"),
    (2.5e-10, "s", "0.2 ns"),
    (0.0, "s", "0 ns"),
    (3.2e-4, "norm", "3.2e-4"),
    (12345.0, "norm", "1.2e4"),
    (0.5, "norm", "0.5"),
    (0.0, "norm", "0"),
    (math.nan, "norm", "nan"),
    (math.inf, "norm", "inf"),
    (1, "entries", "1 entry"),
    (1200, "entries", "1,200 entries"),
]


@pytest.mark.parametrize(("value", "unit", "expected"), AMOUNTS)
def test_amounts_are_written_for_people(value: float, unit: Unit, expected: str) -> None:
    assert amount(value, unit) == expected


def test_the_largest_comes_first_and_nan_before_it() -> None:
    rows = [Ranked(str(value), "", "", value, 0.0) for value in (1.0, 3.0, math.nan, 3.0, math.inf)]
    assert [row.value for row in ranked(rows)[1:]] == [math.inf, 3.0, 3.0, 1.0]
    assert math.isnan(ranked(rows)[0].value)
    assert ranked(rows)[2] is rows[1]


def test_a_layer_by_hand() -> None:
    x = graphc.placeholder("x", ("batch", 3))
    weight, bias = Parameter(torch.ones(3, 5)), Parameter(torch.ones(5))
    graph = graph_of([(x @ weight + bias).tanh().sum()], [x])
    found = totals_of(graph, {"batch": 7})
    assert (found.parameters, found.values, found.parameter_bytes) == (2, 20, 80)
    assert found.flops == 2 * 7 * 3 * 5 + 3 * 7 * 5
    assert found.activation_bytes == 4 * (3 * 7 * 5 + 1)  # of +, too: nothing is fused; the broadcast bias is a view
    assert found.scratch_bytes is None
    assert str(found) == "20 parameters (80 B) · 315 flop, activations 424 B when batch = 7"
    assert totals_of(graph).sizes == {"batch": 32}
    assert totals_of(graph, {"batch": 0}).flops == 0


def test_shared_parameters_count_once_and_dtypes_count() -> None:
    x = graphc.placeholder("x", (4, 3), torch.float64)
    shared = Parameter(torch.ones(3, 3, dtype=torch.float64))
    rest = graphc.Variable(torch.ones(3, 3, dtype=torch.float64))
    found = totals_of(graph_of([x @ shared @ shared.T + (x @ rest) @ shared], [x]))
    assert (found.parameters, found.values, found.parameter_bytes) == (1, 9, 72)
    assert str(found).startswith("9 parameters (72 B) · ")
    assert "when" not in str(found)


def test_nothing_to_learn() -> None:
    x = graphc.placeholder("x", ())
    assert str(totals_of(graph_of([x * 2.0], [x]))) == "no parameters · 1 flop, activations 4 B"
    scalar = Parameter(torch.tensor(2.0))
    assert str(totals_of(graph_of([x * scalar], [x]))).startswith("1 parameter (4 B) · ")


def test_what_depends_on_gradients_is_no_activation() -> None:
    x, y = graphc.placeholder("x", ("batch", 3)), graphc.placeholder("y", ("batch", 2))
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    loss = nn.MSELoss()(net(x), y)
    forward = totals_of(graph_of([loss], [x, y]), {"batch": 5})
    parameters = list(net.parameters())
    backward = totals_of(graph_of(grad(loss, parameters), [x, y]), {"batch": 5})
    updates = optim.Adam(parameters).minimize(loss)
    step = totals_of(graph_of([loss], [x, y], updates), {"batch": 5})
    assert forward.activation_bytes == step.activation_bytes > 0
    assert backward.activation_bytes == forward.activation_bytes - 4 * (5 * 2 + 1)  # neither the squares nor their mean
    assert forward.flops < backward.flops < step.flops
    assert forward.parameters == step.parameters == 4


@pytest.mark.parametrize("backend", ["reference", "torch", "c"])
def test_scratch_memory_is_that_of_the_plan(backend: str) -> None:
    x = graphc.placeholder("x", ("batch", 3))
    program = graphc.compile(
        [x], (x @ Parameter(torch.ones(3, 5))).tanh() @ Parameter(torch.ones(5, 2)), backend=backend
    )
    found = totals_of(program, {"batch": 7})
    if program.memory is None:
        assert found.scratch_bytes is None
    else:
        assert found.scratch_bytes == program.memory.nbytes({"batch": 7})
        assert str(found).endswith(f", scratch {amount(found.scratch_bytes, 'B')} when batch = 7")
    assert found.flops == 2 * 7 * 3 * 5 + 7 * 5 + 2 * 7 * 5 * 2


def test_a_program_is_counted_as_it_runs_with_dropout_and_without() -> None:
    x = graphc.placeholder("x", ("batch", 10))
    y = nn.Dropout(0.5)(x)
    assert totals_of(graphc.compile([x], y, backend="reference"), {"batch": 2}).flops == 0
    training = totals_of(graphc.compile([x], y, backend="reference", training=True), {"batch": 2})
    assert training.flops == 20 + 20 + 2  # a product and a choice, and counting the step
    assert training.activation_bytes == 20 + 4 * 20 + 4 * 20  # the mask has a byte for each


SIZES: list[tuple[dict[str, object], str]] = [
    ({"bach": 3}, r"^sizes: there is no size 'bach'; there are 'batch'$"),
    ({"batch": -1}, r"^sizes: 'batch' is a whole number of at least 0, not -1$"),
    ({"batch": 2.0}, r"^sizes: 'batch' is a whole number of at least 0, not 2.0$"),
    ({"batch": True}, r"^sizes: 'batch' is a whole number of at least 0, not True$"),
    ({"batch": 2}, r"^slice: needs batch >= 3, but batch = 2; built at .*test_totals.py:\d+. Say how large they are"),
]


@pytest.mark.parametrize(("sizes", "text"), SIZES, ids=[str(sizes) for sizes, _ in SIZES])
def test_sizes_are_checked_at_the_door(sizes: dict[str, int], text: str) -> None:
    x = graphc.placeholder("x", ("batch",))
    with pytest.raises(DrawingError, match=text):
        totals_of(graph_of([x[3:]], [x]), sizes)


def test_a_size_that_nobody_gave_is_one_that_the_graph_can_have() -> None:
    x, y = graphc.placeholder("x", ("batch",)), graphc.placeholder("y", ("n",))
    graph = graph_of([x[100:], y[-40:-38]], [x, y])
    assert totals_of(graph).sizes == {"batch": 128, "n": 128}
    assert totals_of(graph, {"n": 50}).sizes == {"batch": 128, "n": 50}
    few = graphc.placeholder("few", (20 - y.shape[0],))
    assert totals_of(graph_of([few * 2.0, y], [few, y])).sizes == {"n": 16}
    with pytest.raises(DrawingError, match="needs n >= 40, but n = 39"):
        totals_of(graph, {"n": 39})


def test_no_sizes_to_give() -> None:
    x = graphc.placeholder("x", (3,))
    with pytest.raises(DrawingError, match="there is no size 'n'; all sizes are numbers"):
        totals_of(graph_of([x * 2], [x]), {"n": 3})


def test_only_graphs_and_programs_have_totals() -> None:
    with pytest.raises(DrawingError, match=r"^numbers are of a graph or a program, not of a graphc.Tensor$"):
        totals_of(graphc.placeholder("x", (3,)))  # type: ignore[arg-type]  # on purpose
