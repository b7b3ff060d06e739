"""The checker of memory plans: it passes what the planner makes, and finds what is wrong with plans broken by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
import torch

import graphc
from graphc import Parameter, Tensor, Variable, VerifyError, nn, optim
from graphc.backends.torch_plan import PATTERNS
from graphc.ir import Cell, Node, Role
from graphc.memory import CellGroup, MemoryPlan, Place, Slot, check, plan
from graphc.passes import PASSES
from graphc.passes.pack_updates import pack_updates
from graphc.schedule import Schedule, schedule
from tests.judge import graph_of

SIZES = {"n": 40}


def scheduled(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor] = (),
    updates: Mapping[Variable, Tensor] | None = None,
    *,
    passes: bool = True,
) -> tuple[Schedule, MemoryPlan]:
    """A schedule and its plan, which is sound for several sizes."""
    graph = graph_of(outputs, inputs, updates)
    for run in (*(each.run for each in PASSES), pack_updates) if passes else ():
        graph, _ = run(graph)
    steps = schedule(graph, PATTERNS)
    places = plan(steps)
    for size in (0, 1, 7):
        check(steps, places, dict.fromkeys(graph.symbols, size))
    return steps, places


def node(steps: Schedule, name: str, number: int = 0) -> Node:
    """One of the nodes with this op, or the node of this cell."""
    found = [x for x in steps.graph.nodes if x.op.name == name or (x.op.cell is not None and x.op.cell.name == name)]
    return found[number]


def moved(places: MemoryPlan, where: Mapping[Node, Place]) -> MemoryPlan:
    return replace(places, places={**places.places, **where})


def shifted(places: MemoryPlan, x: Node, by: int) -> MemoryPlan:
    place = places.places[x]
    return moved(places, {x: replace(place, offset=place.offset + by)})


def grown(places: MemoryPlan, x: Node, by: int) -> MemoryPlan:
    """The slot of x with room to spare, so that a shift breaks nothing else."""
    old = places.places[x].area
    assert isinstance(old, Slot)
    new = Slot(old.index, tuple(size + by for size in old.sizes))
    slots = tuple(new if slot is old else slot for slot in places.slots)
    where = {x: replace(place, area=new) for x, place in places.places.items() if place.area is old}
    return moved(replace(places, slots=slots), where)


def group_of(places: MemoryPlan, cell: Cell) -> CellGroup:
    return next(group for group in places.groups if cell in group.cells)


x, y = graphc.placeholder("x", ("n", 5)), graphc.placeholder("y", ("n", 5))
w = Parameter(torch.ones(5, 5), name="w")
p, q = Parameter(torch.ones(4), name="p"), Parameter(torch.ones(4), name="q")
h = Variable(torch.ones(4), name="h", role=Role.HYPER)


# What is wrong with a plan -------------------------------------------------------------------------------------------


def two_slots_swapped() -> tuple[Schedule, MemoryPlan]:
    """Of different sizes."""
    steps, places = scheduled([(x.exp().tanh() * x.sum(0).exp()).sum()], [x])
    wide, narrow = node(steps, "exp"), node(steps, "sum")
    return steps, moved(places, {wide: places.places[narrow], narrow: places.places[wide]})


def slot_too_small() -> tuple[Schedule, MemoryPlan]:
    steps, places = scheduled([x.exp().sum()], [x])
    return steps, grown(places, node(steps, "exp"), -64)


def two_living_values_in_one_slot() -> tuple[Schedule, MemoryPlan]:
    a, b = x.exp(), x.sigmoid()
    steps, places = scheduled([(a @ w + b).sum(), (b @ w + a).sum()], [x])
    return steps, moved(places, {node(steps, "sigmoid"): places.places[node(steps, "exp")]})


def product_over_its_operand() -> tuple[Schedule, MemoryPlan]:
    steps, places = scheduled([(x.exp() @ w).sum()], [x])
    return steps, moved(places, {node(steps, "matmul"): places.places[node(steps, "exp")]})


def sum_over_an_operand_that_is_read_as_a_view_too() -> tuple[Schedule, MemoryPlan]:
    square = w.exp()
    steps, places = scheduled([(square + square.T).sum()])
    return steps, moved(places, {node(steps, "add"): places.places[node(steps, "exp")]})


def beyond_the_slot() -> tuple[Schedule, MemoryPlan]:
    steps, places = scheduled([(x.exp() @ w).sum()], [x])
    return steps, shifted(places, node(steps, "matmul"), 64)


def before_the_slot() -> tuple[Schedule, MemoryPlan]:
    steps, places = scheduled([(x.exp() @ w).sum()], [x])
    return steps, shifted(places, node(steps, "matmul"), -4)


def misaligned() -> tuple[Schedule, MemoryPlan]:
    steps, places = scheduled([(x.exp() @ w).sum()], [x])
    matmul = node(steps, "matmul")
    return steps, shifted(grown(places, matmul, 64), matmul, 2)


def packed() -> tuple[Schedule, MemoryPlan]:
    """Two parameters with gradients that are computed inside a pack."""
    loss = (p.exp() * 2.0).sum() + (q.exp() * 3.0).sum()
    return scheduled([loss], updates=optim.SGD([p, q], lr=0.1).minimize(loss))


def piece_at_the_wrong_place_in_a_pack() -> tuple[Schedule, MemoryPlan]:
    steps, places = packed()
    pack = next(x for x in steps.graph.nodes if x.op.name == "pack" and isinstance(places.places[x].area, Slot))
    second = pack.inputs[1]
    assert places.places[second].offset == 16
    return steps, shifted(places, second, -4)


def dropped_copy() -> tuple[Schedule, MemoryPlan]:
    steps, places = scheduled([p.sum()], updates={p: q, q: p})
    assert len(places.copies) == 2
    return steps, replace(places, copies=places.copies[:1])


def in_place_before_the_last_read() -> tuple[Schedule, MemoryPlan]:
    new = p.exp()
    steps, places = scheduled([(p * new * 2.0).sum()], updates={p: new}, passes=False)
    return steps, replace(moved(places, {new.node: Place(group_of(places, p.cell))}), copies=())


def in_place_where_an_output_is_the_old_value() -> tuple[Schedule, MemoryPlan]:
    new = p.exp()
    steps, places = scheduled([p], updates={p: new})
    return steps, replace(moved(places, {new.node: Place(group_of(places, p.cell))}), copies=())


def in_place_over_an_operand_that_may_not_be() -> tuple[Schedule, MemoryPlan]:
    new = w @ w
    steps, places = scheduled([], updates={w: new})
    return steps, replace(moved(places, {new.node: Place(group_of(places, w.cell))}), copies=())


def in_place_of_a_value_transposed() -> tuple[Schedule, MemoryPlan]:
    new = x.T @ y
    steps, places = scheduled([], [x, y], updates={w: new.T}, passes=False)
    assert places.copies
    return steps, replace(moved(places, {new.node: Place(group_of(places, w.cell))}), copies=())


def in_place_of_a_piece_elsewhere() -> tuple[Schedule, MemoryPlan]:
    """The two cells of a group in the other order."""
    steps, places = packed()
    group = group_of(places, p.cell)
    assert len(group.cells) == 2
    turned = CellGroup(group.index, group.cells[::-1])
    where = {x: replace(place, area=turned) for x, place in places.places.items() if place.area is group}
    where |= {x: Place(turned, turned.offset(x.op.cell)) for x in where if x.op.cell is not None}
    return steps, moved(replace(places, groups=(turned, *(g for g in places.groups if g is not group))), where)


def in_place_of_what_is_not_computed_by_each_call() -> tuple[Schedule, MemoryPlan]:
    new = h * 2.0
    steps, places = scheduled([], updates={p: new.reshape(4, 1).reshape(4)}, passes=False)
    assert steps.settings
    return steps, replace(moved(places, {new.node: Place(group_of(places, p.cell))}), copies=())


def setting_overwritten_by_the_step() -> tuple[Schedule, MemoryPlan]:
    """The second call would read what the first has left there."""
    steps, places = scheduled([(p * h.exp()).sigmoid().sum()])
    assert steps.settings
    return steps, moved(places, {node(steps, "sigmoid"): places.places[node(steps, "exp")]})


def scratch_in_a_cell() -> tuple[Schedule, MemoryPlan]:
    steps, places = scheduled([((p * 2.0).exp() + 1.0).sum()])
    return steps, moved(places, {node(steps, "exp"): Place(group_of(places, p.cell))})


BROKEN: dict[Callable[[], tuple[Schedule, MemoryPlan]], str] = {
    two_slots_swapped: r"does not fit slot \d, which has 64 bytes",
    slot_too_small: "does not fit slot 0",
    two_living_values_in_one_slot: "reads %\\d+ after its memory was overwritten",
    product_over_its_operand: "over its operand %\\d+, which its call does not allow",
    sum_over_an_operand_that_is_read_as_a_view_too: "over its operand %\\d+, which its call does not allow",
    beyond_the_slot: "does not fit slot",
    before_the_slot: "does not fit slot",
    misaligned: "is not aligned to its element size",
    piece_at_the_wrong_place_in_a_pack: "after its memory was overwritten|over its operand",
    dropped_copy: "the update of q never reaches its cell",
    in_place_before_the_last_read: "after its memory was overwritten",
    in_place_where_an_output_is_the_old_value: "output output0 reads %0 after its memory was overwritten",
    in_place_over_an_operand_that_may_not_be: "over its operand %0, which its call does not allow",
    in_place_of_a_value_transposed: "the update of w reaches other places than its cell",
    in_place_of_a_piece_elsewhere: "reaches other places than its cell|over its operand",
    in_place_of_what_is_not_computed_by_each_call: "the update of p reads %\\d+ after its memory was overwritten",
    setting_overwritten_by_the_step: "after its memory was overwritten",
    scratch_in_a_cell: "<parameter 'p' f32\\[4\\]> has no update, but its memory is overwritten",
}


@pytest.mark.parametrize("build", BROKEN, ids=lambda build: build.__name__)
def test_a_broken_plan_is_found(build: Callable[[], tuple[Schedule, MemoryPlan]]) -> None:
    steps, places = build()
    with pytest.raises(VerifyError, match=f"memory plan: .*({BROKEN[build]})"):
        check(steps, places, SIZES)


# Every pair of values ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def network() -> tuple[Schedule, MemoryPlan]:
    points, labels = graphc.placeholder("points", ("n", 5)), graphc.placeholder("labels", ("n", 1))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1), nn.Sigmoid())
    loss = nn.BCELoss()(net(points), labels)
    updates = optim.SGD(net.parameters(), lr=0.1, momentum=0.9).minimize(loss)
    return scheduled([loss], [points, labels], updates)


def test_two_values_share_memory_only_one_after_the_other(network: tuple[Schedule, MemoryPlan]) -> None:
    """Whatever is moved to the memory of a value that lives at the same time is found, and nothing else."""
    steps, places = network
    roomy = Slot(0, (10_000,))
    alone = {x: place for x, place in places.places.items() if isinstance(place.area, Slot) and not place.offset}
    lives = {x: places.lifetimes[x] for x in alone if not any(x in user.inputs for user in packs(steps))}
    found = sound = 0
    for a in lives:
        for b in lives:
            first, last = lives[a]
            if a is b or not first <= lives[b][0]:
                continue
            both = replace(moved(places, {a: Place(roomy), b: Place(roomy)}), slots=(roomy, *places.slots))
            if lives[b][0] < last:
                found += 1
                with pytest.raises(VerifyError, match=r"overwritten|over its operand"):
                    check(steps, both, SIZES)
            elif lives[b][0] > last:
                sound += 1
                check(steps, both, SIZES)
    assert found > 50
    assert sound > 50


def packs(steps: Schedule) -> list[Node]:
    return [x for x in steps.graph.nodes if x.op.name == "pack"]


def test_empty_values_are_in_nobodys_way() -> None:
    """They have a place, and take no room in it."""
    empty = Parameter(torch.ones(0, 3), name="empty")
    loss = sum(((each * each).sum() for each in (p, empty, q)), start=graphc.constant(0.0))
    steps, places = scheduled([loss], updates=optim.SGD([p, empty, q], lr=0.1, momentum=0.9).minimize(loss))
    assert not places.copies
    check(steps, places, {})
