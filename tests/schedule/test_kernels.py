"""Fusion for generated code: what is computed together, what is stored, and in which order cells are written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import pytest
import torch

import graphc
from graphc import Parameter, Tensor, Variable, grad, nn, optim
from graphc.ir import Node
from graphc.schedule import schedule_kernels
from graphc.schedule.kernels import LARGEST_BODY, Kernel, KernelSchedule
from tests.judge import graph_of


def scheduled(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor] = (), updates: Mapping[Variable, Tensor] | None = None
) -> KernelSchedule:
    """A schedule in which every node is computed once, and after what it reads."""
    graph = graph_of(outputs, inputs, updates)
    found = schedule_kernels(graph)
    known: set[Node] = set()
    for kernel in found.kernels:
        assert not known & kernel.local
        for node in kernel.reads:
            made = found.kernel_of.get(node)
            assert made is None or made is kernel or node in known
        known |= kernel.local
    return found


def names(nodes: Sequence[Node]) -> list[str]:
    return [node.op.name for node in nodes]


def the(schedule: KernelSchedule) -> Kernel:
    [kernel] = schedule.kernels
    return kernel


x = graphc.placeholder("x", ("n", 4))
w = graphc.placeholder("w", (4, 3))

# What goes together ---------------------------------------------------------------------------------------------------


def test_pointwise_nodes_share_a_kernel() -> None:
    kernel = the(scheduled([(x * 2.0).tanh() + x], [x]))
    assert names(kernel.body) == ["mul", "tanh", "add"]
    assert not kernel.stores


def test_a_product_takes_what_is_made_of_it() -> None:
    bias = graphc.placeholder("bias", (3,))
    kernel = the(scheduled([(x @ w + bias).tanh()], [x, w, bias]))
    assert kernel.core is not None
    assert (kernel.core.op.name, names(kernel.body)) == ("matmul", ["add", "tanh"])
    assert not kernel.stores


def test_a_reduction_takes_what_only_it_reads() -> None:
    kernel = the(scheduled([(x - 1.0).square().sum(0) * 0.5], [x]))
    assert names(kernel.prologue) == ["sub", "square"]
    assert names(kernel.body) == ["mul"]


def test_a_reduction_does_not_take_what_others_read() -> None:
    y = x.tanh()
    first, second = scheduled([y.sum(0), y], [x]).kernels
    assert names(first.body) == ["tanh"]
    assert not second.prologue
    assert names(first.stores) == ["tanh"]


def test_sums_over_everything_are_formed_on_the_way() -> None:
    y = (x @ w).tanh()
    kernel = the(scheduled([y, y.sum()], [x, w]))
    assert names(kernel.totals) == ["sum"]


def test_a_sum_of_parts_is_a_kernel_of_its_own() -> None:
    joined = graphc.cat([x, x])
    first, second = scheduled([joined.sum()], [x]).kernels
    assert names(first.body) == ["cat"]
    assert second.core is not None
    assert names(first.stores) == ["cat"]


def test_values_read_elsewhere_are_stored() -> None:
    y = x.tanh()
    schedule = scheduled([y + y.sum(0), y.T * 2.0], [x])
    assert names([node for kernel in schedule.kernels for node in kernel.stores]).count("tanh") == 1


def test_a_value_read_at_another_index_too_is_stored_first() -> None:
    square = graphc.placeholder("square", (4, 4))
    y = square.tanh()
    first, second = scheduled([y + y.T], [square]).kernels
    assert (names(first.stores), names(second.body)) == (["tanh"], ["add"])


def test_derivatives_of_activations_are_computed_where_they_are_read() -> None:
    """From the result, which is stored anyway."""
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    loss = net(x).square().mean()
    schedule = scheduled([loss, *grad(loss, net.parameters())], [x])
    forward = next(kernel for kernel in schedule.kernels if "tanh" in names(kernel.body))
    assert names(forward.body) == ["add", "tanh"]
    assert names(forward.stores) == ["tanh"]


def test_bodies_are_bounded() -> None:
    y = x
    for _ in range(3 * LARGEST_BODY):
        y = (y + x).tanh()
    schedule = scheduled([y], [x])
    assert all(len(kernel.body) <= LARGEST_BODY for kernel in schedule.kernels)
    assert len(schedule.kernels) < 12


def test_what_waits_does_not_go_before_what_it_reads() -> None:
    """A value that depends on a number only waits for its reader, whose kernel may come before that number."""
    y = x.sigmoid()
    later = (y.sum() * 2.0).broadcast_to((8, 4)).sum()
    scheduled([y * (x * later) + y], [x])


# Cells ----------------------------------------------------------------------------------------------------------------


def parameters(count: int) -> list[Parameter]:
    return [Parameter(torch.zeros(4, 4), name=f"p{k}") for k in range(count)]


def test_a_cell_is_written_by_the_kernel_that_has_its_value() -> None:
    [p] = parameters(1)
    schedule = scheduled([], [], {p: p * 0.5 + 1.0})
    assert [o.cell for o in the(schedule).writes] == [p.cell]
    assert not schedule.copied


def test_cells_are_read_before_they_are_written() -> None:
    p, q = parameters(2)
    schedule = scheduled([p.T + 1.0], [], {p: q * 2.0, q: q + 1.0})
    writers = {o.cell: kernel.index for kernel in schedule.kernels for o in kernel.writes if o.cell is not None}
    for kernel in schedule.kernels:
        for node in kernel.reads:
            if node.op.cell is not None:
                assert kernel.index <= writers[node.op.cell]
    assert not schedule.copied


def test_cells_that_change_places_are_copied_last() -> None:
    p, q, r = parameters(3)
    schedule = scheduled([], [], {p: q, q: p, r: r + 1.0})
    assert {o.cell for o in schedule.copied} == {p.cell, q.cell}


@pytest.mark.parametrize("update", [lambda p: p.T, lambda p: p @ p, lambda p: p + p.sum(0), lambda p: p.T + p])
def test_a_cell_that_is_read_elsewhere_than_written_is_copied_last(update: object) -> None:
    [p] = parameters(1)
    schedule = scheduled([], [], {p: update(p)})  # type: ignore[operator]
    writes = [o for kernel in schedule.kernels for o in kernel.writes if o not in schedule.copied]
    assert schedule.copied or writes
    assert schedule.copied == tuple(schedule.graph.outputs) or len(schedule.kernels) > 1


def test_training_copies_nothing_last() -> None:
    y = graphc.placeholder("y", ("n", 1))
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1))
    loss = nn.MSELoss()(net(x), y)
    schedule = scheduled([loss], [x, y], optim.Adam(net.parameters(), amsgrad=True).minimize(loss))
    assert not schedule.copied


# Size -----------------------------------------------------------------------------------------------------------------


def seconds(count: int, kind: str) -> float:
    y: Tensor = x
    p = Parameter(torch.ones(4), name="p")
    for k in range(count):
        y = {"input": y * 0.5 + x, "cell": y + p * float(k), "numbers": y + y.sum()}[kind]
    graph = graph_of([y], [x])
    start = time.process_time()
    schedule_kernels(graph)
    return time.process_time() - start


@pytest.mark.parametrize("kind", ["input", "cell", "numbers"])
def test_long_chains_take_linear_time(kind: str) -> None:
    short, long = seconds(1000, kind), seconds(8000, kind)
    assert long < 24 * short + 0.5
