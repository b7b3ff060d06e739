"""Numbers for drawings that are counted or measured: by hand, and against what the profile says."""

from __future__ import annotations

import math

import pytest
import torch

import graphc
from graphc import CompileError, InputError, Parameter, Program, Tensor, nn, optim
from graphc.ir import Graph, Output, OutputRole
from graphc.schedule import KernelSchedule
from graphc.viz.errors import DrawingError
from graphc.viz.overlays import OVERLAYS, Overlay, Row, batch_for, bytes_of, flops_of, memory_of, overlay_of, time_of
from tests.judge import assert_same, graph_of

x = graphc.placeholder("x", ("batch", 3))


def step(backend: str = "reference") -> Program:
    """A training step of a small network with dropout."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1))
    loss = net(x).square().mean()
    return graphc.compile([x], loss, optim.Adam(net.parameters()).minimize(loss), backend=backend)


def at(overlay: Overlay, y: Tensor) -> float | None:
    return overlay.of_nodes.get(y.node.origin.ident)


# Counted --------------------------------------------------------------------------------------------------------------


def test_operations_by_hand() -> None:
    weight = Parameter(torch.ones(3, 5))
    product = x @ weight
    y = product.tanh()
    found = flops_of(graph_of([y.sum()], [x]), {"batch": 7})
    assert (at(found, product), at(found, y), at(found, x), at(found, weight)) == (2 * 7 * 3 * 5, 7 * 5, None, None)
    assert [(row.what, row.value) for row in found.rows] == [("matmul", 210), ("tanh", 35), ("sum", 35)]
    assert [row.share for row in found.rows] == [0.75, 0.125, 0.125]
    assert found.rows[0].nodes == (product.node.origin.ident,)
    assert "test_overlays.py:" in found.rows[0].where
    assert found.format(found.rows[0].value) == "210 flop"
    assert (found.notes, found.of_kernels) == (("batch = 7",), {})


def test_bytes_by_hand() -> None:
    bias, table = Parameter(torch.ones(3)), graphc.constant(torch.ones(4, 3))
    total = x + bias
    twice, part = total * total, total[:, :1] * 2.0
    joined = total[:, :1] + total[:, 1:2]
    rows = total.reshape((x.shape[0], 1, 3)).broadcast_to((x.shape[0], 4, 3)) * table
    found = bytes_of(graph_of([twice, part, joined, rows], [x]), {"batch": 7})
    assert at(found, total) == 4 * (21 + 3 + 21)  # the bias is read once, not once for each row
    assert at(found, twice) == 4 * (21 + 21)  # one value, though it is both operands
    assert at(found, part) == 4 * (7 + 7)  # what the slice shows; the number is in the code
    assert at(found, joined) == 4 * (7 + 7 + 7)
    assert at(found, rows) == 4 * (21 + 12 + 7 * 4 * 3)
    assert at(found, x) is at(found, bias) is None
    assert {row.what for row in found.rows} == {"add", "mul"}


def test_no_value_is_read_more_than_once() -> None:
    head, tail = x[1:], x[:-1]
    y = head - tail
    assert at(bytes_of(graph_of([y], [x]), {"batch": 7}), y) == 4 * (21 + 18)


def test_memory_by_hand() -> None:
    wide = x.double()
    view, mask = wide.T, wide > 0.5
    found = memory_of(graph_of([view, mask, graphc.Parameter(torch.ones(2, 2)) * 2.0], [x]), {"batch": 7})
    assert (at(found, x), at(found, wide), at(found, view), at(found, mask)) == (84, 168, None, 21)
    assert [row.what for row in found.rows][:2] == ["cast", "input 'x'"]
    assert found.rows[-1].what in ("mul", "parameter ''")


@pytest.mark.parametrize("name", ["flops", "bytes", "memory"])
def test_nothing_is_counted_over_nothing(name: str) -> None:
    found = overlay_of(name, graph_of([x.tanh()], [x]), sizes={"batch": 0})
    assert found.rows == ()
    assert str(found) == f"{found.title}: batch = 0\n"


def test_sizes_that_are_not_given_are_32() -> None:
    y = graphc.placeholder("y", ("n", 1))
    found = overlay_of("flops", graph_of([x + 1.0, y], [x, y]), sizes={"n": 2})
    assert found.notes == ("batch = 32, n = 2",)
    assert found.rows[0].value == 96


def test_scalars_and_integers() -> None:
    scalar, whole = graphc.placeholder("s", ()), graphc.placeholder("k", ("n",), torch.int64)
    graph = graph_of([scalar * 2.0, whole + 1], [scalar, whole])
    assert [row.value for row in flops_of(graph, {"n": 4}).rows] == [4, 1]
    assert [row.value for row in bytes_of(graph, {"n": 4}).rows] == [64, 8]


def test_kernels_have_the_counts_of_the_profile() -> None:
    program = step("c")
    profile = program.profile(torch.rand(5, 3), seconds=0.01)
    expected = {row.kernel: (row.flops, row.nbytes) for row in profile.rows if row.kernel is not None}
    flops, moved = flops_of(program, {"batch": 5}), bytes_of(program, {"batch": 5})
    assert {k: (flops.of_kernels[k], moved.of_kernels[k]) for k in expected} == expected
    assert len(flops.of_kernels) == len(expected)


# Measured -------------------------------------------------------------------------------------------------------------


def test_each_kernel_has_its_time_and_each_node_that_of_its_kernel() -> None:
    program = step("c")
    found = time_of(program, [torch.rand(5, 3)], seconds=0.01)
    schedule = program.schedule
    assert isinstance(schedule, KernelSchedule)
    assert found.of_kernels.keys() == {kernel.index for kernel in schedule.kernels}
    for kernel in schedule.kernels:
        for node in kernel.nodes:
            assert found.of_nodes[node.origin.ident] == found.of_kernels[kernel.index]
            assert found.kernel_of[node.origin.ident] == kernel.index
    values = [row.value for row in found.rows]
    assert values == sorted(values, reverse=True)
    assert math.isclose(sum(row.share for row in found.rows), 1)
    named = next(row for row in found.rows if "matmul" in row.what)
    assert "test_overlays.py:" in named.where
    assert named.module.startswith("sequential.")
    assert named.nodes
    assert found.notes[0] == "batch = 5"
    assert found.notes[1].startswith("a step takes ")
    assert len(found.notes) == 2
    assert str(found).startswith("time of each kernel: batch = 5; a step takes ")


def test_a_kernel_counts_once_for_nodes_that_are_drawn_as_one() -> None:
    program = step("c")
    found = time_of(program, [torch.rand(5, 3)], seconds=0.01)
    kernels = [kernel for kernel in program.schedule.kernels if len(kernel.nodes) > 1]  # type: ignore[union-attr]
    idents = [node.origin.ident for kernel in kernels[:2] for node in kernel.nodes]
    together = found.of([*idents, *idents])
    assert together is not None
    assert math.isclose(together, sum(found.of_kernels[kernel.index] for kernel in kernels[:2]))
    assert found.of([-1]) is None


def test_time_of_a_batch_drawn_at_random() -> None:
    found = overlay_of("time", step("c"), sizes={"batch": 4})
    assert found.notes[0] == "batch = 4"
    assert found.notes[-1] == "values drawn at random"


def test_a_program_that_only_copies_has_times() -> None:
    program = graphc.compile([x], x, backend="c")
    [row] = time_of(program, [torch.rand(5, 3)], seconds=0.01).rows
    assert (row.what, row.nodes) == ("copy", ())


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_only_native_code_has_times(backend: str) -> None:
    text = r"""^overlay 'time': profile: only native code is measured, .*\. Compile it with backend="c"$"""
    with pytest.raises(DrawingError, match=text) as caught:
        overlay_of("time", step(backend), inputs=[torch.rand(5, 3)])
    assert isinstance(caught.value.__cause__, CompileError)


def test_wrong_inputs_are_an_input_error() -> None:
    with pytest.raises(InputError, match="2 inputs given, the program takes 1: x"):
        time_of(step("c"), [torch.rand(5, 3), torch.rand(5, 3)])


# Batches --------------------------------------------------------------------------------------------------------------


def test_a_batch_for_any_types() -> None:
    dtypes = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
    inputs = [graphc.placeholder(f"x{k}", ("n", 2 * k), dtype) for k, dtype in enumerate(dtypes)]
    inputs.append(graphc.placeholder("scalar", ()))
    program = graphc.compile(inputs, inputs, backend="reference")
    batch = batch_for(program, {"n": 50})
    assert [x.dtype for x in batch] == [*dtypes, torch.float32]
    assert [tuple(x.shape) for x in batch] == [*((50, 2 * k) for k in range(len(dtypes))), ()]
    for drawn in batch[4:7]:
        assert set(drawn.unique().tolist()) == {0, 1}
    assert 0.5 < float(batch[1].std()) < 2
    for drawn, again in zip(batch, batch_for(program, {"n": 50})):
        assert_same(drawn, again, bits=True)
    assert not batch[1].equal(batch_for(program, {"n": 50}, seed=1)[1])
    program(*batch)
    assert batch_for(program)[0].shape == (32, 0)
    assert batch_for(program, {"n": 0})[1].shape == (0, 2)


def test_a_program_without_inputs_has_an_empty_batch() -> None:
    assert batch_for(graphc.compile([], Parameter(torch.ones(3)) * 2.0, backend="reference")) == ()


# Heat -----------------------------------------------------------------------------------------------------------------


def overlay(unit: str, **values: float) -> Overlay:
    return Overlay("name", "title", unit, {int(key[1:]): value for key, value in values.items()}, {}, ())  # type: ignore[arg-type]


def test_counts_are_shared_out_in_proportion() -> None:
    counted = overlay("flop", n1=10, n2=30)
    assert counted.shares(counted.of_nodes) == {1: 1 / 3, 2: 1.0}
    assert counted.shares({"a": 0.0}) == {"a": 0.0}
    assert counted.shares({}) == {}
    assert counted.of([1, 2, 1, 5]) == 40


def test_norms_are_shared_out_by_decades() -> None:
    norms = overlay("norm", n1=1e-3, n2=1.0, n3=0.0, n4=1e-9, n5=math.nan, n6=math.inf)
    assert norms.shares(norms.of_nodes) == {1: 0.5, 2: 1.0, 3: 0.0, 4: 0.0, 5: 1.0, 6: 1.0}
    assert norms.of([1, 2]) == 1.0
    together = norms.of([2, 5])
    assert together is not None
    assert math.isnan(together)


def test_a_long_ranking_is_cut_when_it_is_printed() -> None:
    rows = tuple(Row(f"op{k}", "net.0", "", 100.0 - k, 0.25) for k in range(23))
    text = str(Overlay("flops", "operations", "flop", {}, {}, rows))
    assert text.splitlines()[:2] == ["operations", "100 flop  25.0%  op0   net.0"]
    assert text.splitlines()[-1] == "and 3 more"


# The door -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OVERLAYS)
def test_every_overlay_is_found_by_its_name_and_leaves_the_state_alone(name: str) -> None:
    program = step("c")
    state = program.new_state(seed=3)
    before = [{key: each[key].clone() for key in each} for each in (state, program.state)]
    batch = torch.rand(5, 3)
    kept = batch.clone()
    found = overlay_of(name, program, sizes={"batch": 5}, inputs=[batch], state=state)
    overlay_of(name, program, inputs=[batch])
    assert found.name == name
    assert found.notes[0] == "batch = 5"
    assert_same(batch, kept, bits=True)
    for each, values in zip((state, program.state), before):
        for key in each:
            assert_same(each[key], values[key], key, bits=True)


def graph() -> Graph:
    return graph_of([x.tanh()], [x])


@pytest.mark.parametrize("name", ["time", "gradient", "nan"])
def test_a_graph_is_not_run(name: str) -> None:
    text = rf"^overlay '{name}': a graphc.Graph is not run. Compile it, and ask for that of the program$"
    with pytest.raises(DrawingError, match=text):
        overlay_of(name, graph(), inputs=[torch.rand(5, 3)])


@pytest.mark.parametrize("name", ["gradient", "nan"])
def test_what_depends_on_values_needs_a_batch(name: str) -> None:
    text = rf"^overlay '{name}': it depends on the values that the program is called with. Give a batch, as in inputs="
    with pytest.raises(DrawingError, match=text):
        overlay_of(name, step(), sizes={"batch": 4})


@pytest.mark.parametrize("inputs", [torch.rand(5, 3), "x", 3])
def test_inputs_are_a_list(inputs: object) -> None:
    with pytest.raises(DrawingError, match=r"^overlay 'nan': inputs is a .*, not a list with a value for each input"):
        overlay_of("nan", step(), inputs=inputs)  # type: ignore[arg-type]  # on purpose


def test_an_overlay_that_does_not_exist() -> None:
    with pytest.raises(DrawingError, match=r"^overlay: overlay 'heat' does not exist. Choose one of 'time', 'flops'"):
        overlay_of("heat", graph())


def test_only_graphs_and_programs_have_overlays() -> None:
    with pytest.raises(DrawingError, match=r"^numbers are of a graph or a program, not of a graphc.Tensor$"):
        overlay_of("flops", x)  # type: ignore[arg-type]  # on purpose


def test_long_chains() -> None:
    deep = graphc.placeholder("deep", ("n",))
    y, views = deep, deep
    for _ in range(5000):
        y = y.tanh() + 1.0
        views = views.reshape((views.shape[0], 1)).reshape((views.shape[0],))
    results = [Output(each.node, OutputRole.OUTPUT, "deep") for each in (y, views * 2.0)]
    long = Graph((deep.node,), tuple(results))
    for name in ("flops", "bytes", "memory"):
        assert len(overlay_of(name, long, sizes={"n": 2}).rows) > 5000
