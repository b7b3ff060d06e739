"""The native plan: where values lie, what is copied into another layout, and which memory is used twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch

import graphc
from graphc import Parameter, Tensor, Variable, grad
from graphc.backends.c import NativePlan, plan_native
from graphc.backends.c.check import check
from graphc.backends.c.layout import Buffer
from graphc.backends.c.plan import LARGEST_PACKED, STRIP_DEPTH, Contraction, Relayout, Task
from graphc.passes import PASSES
from graphc.schedule import schedule_kernels
from tests.judge import graph_of


def planned(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    updates: Mapping[Variable, Tensor] | None = None,
    vector_bytes: int = 64,
) -> NativePlan:
    """A plan that the checker has nothing against."""
    graph = graph_of(outputs, inputs, updates)
    for each in PASSES:
        graph, _ = each.run(graph)
    plan = plan_native(schedule_kernels(graph), vector_bytes)
    for size in (0, 1, 7):
        check(plan, dict.fromkeys(graph.symbols, size))
    return plan


def parameter(*shape: int, name: str = "w", dtype: torch.dtype = torch.float32) -> Parameter:
    return Parameter(torch.zeros(shape, dtype=dtype), name=name)


def inside(plan: NativePlan) -> dict[str, str]:
    """The layouts of what lies in the workspace, by label."""
    return {plan.label(buffer): str(buffer.layout) for buffer in plan.buffers if buffer in plan.slot_of}


def relaid(plan: NativePlan) -> list[str]:
    return [plan.label(task.source) for task in plan.tasks if isinstance(task, Relayout)]


def contractions(plan: NativePlan) -> list[Contraction]:
    return [task.contraction for task in plan.tasks if isinstance(task, Task) and task.contraction is not None]


def the(buffers: Sequence[Buffer]) -> Buffer:
    [buffer] = buffers
    return buffer


# Layouts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vector_bytes", "row"), [(16, 28), (32, 32), (64, 32)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_rows_are_padded_to_whole_vectors(vector_bytes: int, row: int, dtype: torch.dtype) -> None:
    """Of float32, whatever the dtype is: then vectors of float64 fit, too."""
    x, w = graphc.placeholder("x", ("n", 2), dtype), graphc.placeholder("w", (2, 25), dtype)
    plan = planned([((x @ w).tanh() @ w.T)], [x, w], vector_bytes=vector_bytes)
    hidden = the([b for b in plan.buffers if b.kind == "slot" and b.shape[1:] == (25,)])
    assert hidden.layout.strides == (row, 1)
    assert hidden.layout.padded
    assert hidden.layout.extent == hidden.shape[0] * row + vector_bytes // 4


def test_narrow_matrices_lie_in_columns() -> None:
    x, w = graphc.placeholder("x", ("n", 9)), graphc.placeholder("w", (9, 4))
    plan = planned([(x @ w).tanh() @ w.T], [x, w])
    narrow = plan.memory_of[next(node for node in plan.graph.nodes if node.op.name == "tanh")]
    assert narrow.layout.lane == 0
    assert narrow.layout.strides == (1, x.shape[0] + 16)


def test_what_a_reshape_reads_has_no_gaps() -> None:
    x, w = graphc.placeholder("x", ("n", 2)), graphc.placeholder("w", (2, 25))
    plan = planned([(x @ w).tanh().reshape(-1)], [x, w])
    assert [b.layout.padded for b in plan.buffers if b.kind == "slot"] == [False]


def test_what_the_caller_has_is_as_torch_has_it() -> None:
    x, w = graphc.placeholder("x", ("n", 3)), parameter(5, 3)
    plan = planned([x @ w.T, (x @ w.T).T], [x], {w: w * 2.0})
    for buffer in plan.buffers:
        if buffer.kind in ("input", "cell", "output"):
            assert buffer.layout.strides == ((buffer.shape[1], 1) if buffer.shape else ())


# Cells ----------------------------------------------------------------------------------------------------------------


def packed(shape: Sequence[int], flat: bool = False, vector_bytes: int = 64) -> bool:
    w = parameter(*shape)
    outputs = [w.reshape(-1)] if flat else [w * 2.0]
    plan = planned(outputs, [], {w: w + 1.0}, vector_bytes)
    assert len(plan.enter) == len(plan.leave) <= 1
    return bool(plan.enter)


def test_which_cells_are_packed() -> None:
    assert packed((5, 3))
    assert packed((7,))
    assert packed((2, LARGEST_PACKED // 2 - 1))
    assert not packed((2, LARGEST_PACKED // 2 + 1)), "the copy would cost more than it saves"
    assert not packed(()), "a number has no rows"
    assert not packed((0, 3))
    assert not packed((5, 3), flat=True)


def test_cells_that_are_whole_vectors_stay_where_they_are() -> None:
    for shape in ((16,), (5, 32)):
        w = parameter(*shape)
        plan = planned([w * 2.0], [], {w: w + 1.0})
        assert not plan.enter
        assert the([b for b in plan.buffers if b.kind == "cell"]).layout.padded
    assert packed((5, 8))
    assert not packed((5, 8), vector_bytes=32)


def test_only_cells_that_change_are_copied_back() -> None:
    x, w = graphc.placeholder("x", ("n", 3)), parameter(5, 3)
    plan = planned([x @ w.T], [x])
    assert len(plan.enter) == 1
    assert not plan.leave


def test_a_cell_lies_as_products_read_it() -> None:
    """The weight of a first layer is read by its forward product only: it lies transposed."""
    x, w = graphc.placeholder("x", ("n", 3)), parameter(25, 3)
    loss = (x @ w.T).tanh().sum()
    plan = planned([loss], [x], {w: w - grad(loss, w)})
    assert inside(plan)["w"] == "strides 1 32, lanes along 0, padded"
    assert not relaid(plan)


# Contractions ---------------------------------------------------------------------------------------------------------


def test_how_products_are_summed() -> None:
    x, y = graphc.placeholder("x", ("n", 20)), graphc.placeholder("y", ("n", "m"))
    w, v = graphc.placeholder("w", (20, 30)), graphc.placeholder("v", (20, 2))
    plan = planned([x @ w, x @ v, x.T @ x, y.T @ x, y.T @ y], [x, y, w, v])
    assert [str(each) for each in contractions(plan)] == [
        "tile with i1 along the lanes",
        "inner with i0 along the lanes",
        "tile with i1 along the lanes",
        "blas",
        "blas",
    ]


def test_a_weight_that_is_read_both_ways_is_transposed_once() -> None:
    x, g, w = graphc.placeholder("x", ("n", 20)), graphc.placeholder("g", ("n", 30)), parameter(30, 20)
    plan = planned([x @ w.T, (x * 2.0) @ w.T, g @ w], [x, g])
    assert len(relaid(plan)) == 1
    task = next(task for task in plan.tasks if isinstance(task, Relayout))
    assert {task.source.layout.lane, task.target.layout.lane} == {0, 1}
    assert task.target.layout.extent >= 32 * 32, "whole squares are written"


@pytest.mark.parametrize(
    ("depth", "width", "is_large", "copies"),
    [
        (181, 181, False, 1),  # 32761 products: a copy of the weight
        (182, 181, True, 0),  # strips are transposed on the way
        (STRIP_DEPTH, 17, True, 0),
        (STRIP_DEPTH + 1, 17, True, 1),  # strips of the depth would not fit
    ],
)
def test_large_products_need_no_copy_of_a_factor(depth: int, width: int, is_large: bool, copies: int) -> None:
    x, g, w = graphc.placeholder("x", ("n", depth)), graphc.placeholder("g", ("n", width)), parameter(width, depth)
    plan = planned([x @ w.T, g @ w, g.T @ x], [x, g])
    assert [each.large for each in contractions(plan)] == [is_large] * 3
    assert len(relaid(plan)) == copies


def test_a_large_cell_is_updated_along_its_rows() -> None:
    """It is not packed, and elements one by one would take as long as the product."""
    x, g, w = graphc.placeholder("x", ("n", 300)), graphc.placeholder("g", ("n", 305)), parameter(305, 300)
    plan = planned([], [x, g], {w: w - g.T @ x})
    assert str(contractions(plan)[0]) == "tile with i1 along the lanes"


# Memory ---------------------------------------------------------------------------------------------------------------


def chain(length: int) -> NativePlan:
    x, w = graphc.placeholder("x", ("n", 20)), graphc.placeholder("w", (20, 20))
    y = x
    for _ in range(length):
        y = (y @ w).tanh()
    return planned([y], [x, w])


def test_memory_is_used_again() -> None:
    plan = chain(10)
    assert len([buffer for buffer in plan.buffers if buffer.kind == "slot"]) == 9
    assert len(plan.slots) == 2
    assert plan.nbytes({"n": 100}) == chain(3).nbytes({"n": 100})


def test_slots_start_at_cache_lines() -> None:
    assert all(size % 64 == 0 for size in chain(3).slot_sizes({"n": 7}))
    assert sum(chain(3).slot_sizes({"n": 7})) == chain(3).nbytes({"n": 7})


def test_a_plan_can_be_read() -> None:
    x, w = graphc.placeholder("x", ("n", 3)), parameter(25, 3)
    lines = str(planned([x @ w.T], [x])).splitlines()
    assert lines[0] == "copy w: strides 3 1, lanes along 1 -> strides 1 32, lanes along 0, padded"
    assert lines[1] == "kernel 0 over n × 25: tile with i1 along the lanes"
    assert lines[2] == "buffer 0 %0 : f32[n,3] in input, strides 3 1, lanes along 1"
