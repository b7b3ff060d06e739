"""The checker of native plans: it passes what the planner makes, and finds what is wrong with plans broken by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

import graphc
from graphc import Parameter, VerifyError, nn, optim
from graphc.backends.c import NativePlan, plan_native
from graphc.backends.c.check import check
from graphc.backends.c.layout import Buffer, Layout
from graphc.backends.c.plan import Relayout, Task
from graphc.passes import PASSES
from graphc.schedule import schedule_kernels
from tests.judge import graph_of

SIZES = {"n": 7}


def planned(vector_bytes: int = 64) -> NativePlan:
    """A training step of a small network, with narrow and wide layers, that exchanges two cells, too."""
    torch.manual_seed(0)
    x, y = graphc.placeholder("x", ("n", 2)), graphc.placeholder("y", ("n", 1))
    net = nn.Sequential(nn.Linear(2, 25), nn.Tanh(), nn.Linear(25, 17), nn.ReLU(), nn.Linear(17, 1))
    loss = nn.MSELoss()(net(x), y)
    a, b = Parameter(torch.zeros(3), name="a"), Parameter(torch.ones(3), name="b")
    updates = {**optim.Adam(net.parameters()).minimize(loss), a: b, b: a}
    graph = graph_of([loss, net(x)], [x, y], updates)
    for each in PASSES:
        graph, _ = each.run(graph)
    return plan_native(schedule_kernels(graph), vector_bytes)


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
def test_plans_are_sound(vector_bytes: int) -> None:
    plan = planned(vector_bytes)
    assert plan.enter
    assert plan.leave
    assert any(isinstance(task, Relayout) for task in plan.tasks)
    for n in (0, 1, 7, 100):
        check(plan, {"n": n})


def refused(plan: NativePlan, message: str) -> None:
    with pytest.raises(VerifyError, match=message):
        check(plan, SIZES)


def test_every_task_is_needed() -> None:
    plan = planned()
    for k in range(len(plan.tasks)):
        refused(replace(plan, tasks=plan.tasks[:k] + plan.tasks[k + 1 :]), "not there|nothing writ|nothing wrote")


def test_the_last_task_may_not_be_first() -> None:
    plan = planned()
    for task in plan.tasks[-12:]:
        rest = tuple(each for each in plan.tasks if each is not task)
        if isinstance(task, Task) and task.body.loads:
            refused(replace(plan, tasks=(task, *rest)), "not there|nothing wrote")


def test_no_task_runs_twice() -> None:
    plan = planned()
    writers = [task for task in plan.tasks if isinstance(task, Task) and task.kernel.writes]
    for task in writers:
        refused(replace(plan, tasks=(*plan.tasks, task)), "written twice|not there")


def test_cells_are_packed_and_unpacked() -> None:
    plan = planned()
    for k in range(len(plan.enter)):
        refused(replace(plan, enter=plan.enter[:k] + plan.enter[k + 1 :]), "not there|nothing wrote")
    for k in range(len(plan.leave)):
        refused(replace(plan, leave=plan.leave[:k] + plan.leave[k + 1 :]), "does not have its value")


def test_values_that_live_at_one_time_share_no_slot() -> None:
    """Wherever two buffers are put into one slot, either the checker objects, or their lives are apart."""
    plan = planned()
    lives = lives_of(plan)
    found = sound = 0
    for buffer in lives:
        for other in lives:
            if other.index <= buffer.index or plan.slot_of[buffer] == plan.slot_of[other]:
                continue
            fresh = len(plan.slots)
            both = replace(
                plan,
                slot_of={**plan.slot_of, buffer: fresh, other: fresh},
                slots=(*plan.slots, (buffer.nbytes, other.nbytes)),
            )
            (start, end), (first, last) = lives[buffer], lives[other]
            if start <= last and first <= end:
                found += 1
                refused(both, "not there|something else lies|over itself|nothing wrote")
            else:
                sound += 1
                check(both, SIZES)
    assert found > 50
    assert sound


def lives_of(plan: NativePlan) -> dict[Buffer, tuple[int, int]]:
    """The first and last task that touches each slot's value."""
    lives: dict[Buffer, tuple[int, int]] = {}
    for i, task in enumerate(plan.tasks):
        if isinstance(task, Relayout):
            touched = [task.source, task.target]
        else:
            touched = [task.relaid.get(load, plan.memory_of[load.source]) for load in task.body.loads]  # type: ignore[index]
            touched += [
                plan.memory_of[each] for each in (*task.kernel.stores, *task.kernel.writes) if each in plan.memory_of
            ]
        for buffer in touched:
            if buffer.kind == "slot":
                lives[buffer] = lives.get(buffer, (i, i))[0], i
    return lives


Broken = Callable[[Layout], Layout]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layout: replace(layout, extent=layout.extent - 20), "no room for whole vectors at its end|ends before"),
        (lambda layout: replace(layout, strides=(layout.strides[0] - 9, 1)), "no room for whole vectors|in one place"),
        (lambda layout: replace(layout, strides=(1, 1)), "in one place"),
        (lambda layout: replace(layout, strides=(400, 400)), "in one place"),
        (lambda layout: replace(layout, extent=layout.extent * 50), "does not fit its slot"),
    ],
)
def test_layouts(change: Broken, message: str) -> None:
    plan = planned()
    packed = next(b for b in plan.buffers if b.kind == "packed" and b.shape == (17, 25) and b.layout.strides[1] == 1)
    broken = replace(packed, layout=change(packed.layout))

    def put(relayout: Relayout) -> Relayout:
        ends = (broken if end is packed else end for end in (relayout.source, relayout.target))
        return Relayout(*ends)

    refused(
        replace(
            plan,
            buffers=tuple(broken if b is packed else b for b in plan.buffers),
            enter=tuple(map(put, plan.enter)),
            leave=tuple(map(put, plan.leave)),
            slot_of={broken if b is packed else b: slot for b, slot in plan.slot_of.items()},
            memory_of={each: broken if b is packed else b for each, b in plan.memory_of.items()},
        ),
        message,
    )


def test_a_buffer_of_the_caller_is_as_torch_has_it() -> None:
    plan = planned()
    home = next(b for b in plan.buffers if b.kind == "cell" and b.shape == (17, 25))
    moved = replace(home, layout=replace(home.layout, strides=(1, 17)))
    refused(replace(plan, buffers=tuple(moved if b is home else b for b in plan.buffers)), "not as torch has it")
