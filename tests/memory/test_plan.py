"""The memory plan: what is written in place, what is copied, where values lie; and that none of it changes a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import InputError, Parameter, Tensor, Variable, optim
from graphc.ir import Role
from graphc.memory import MemoryPlan
from tests.judge import assert_same

x = graphc.placeholder("x", (3,))
X = torch.tensor([1.0, 2.0, 3.0])


def parameter(*shape: int, name: str = "p") -> Parameter:
    generator = torch.Generator().manual_seed(len(name) + len(shape))
    return Parameter(torch.rand(shape, generator=generator), name=name)


def trained(
    updates: Mapping[Variable, Tensor], outputs: Sequence[Tensor] = (), steps: int = 3, setting: Variable | None = None
) -> MemoryPlan:
    """The plan, after the program has done what the reference does. `setting` is set between steps."""
    programs = [
        graphc.compile([x], [*outputs, x.sum()], updates, backend=backend) for backend in ("torch", "reference")
    ]
    states = [program.new_state() for program in programs]
    for k in range(steps):
        for state in states:
            if setting is not None:
                state[setting] = torch.full_like(setting.value, k)
        results = [program(X, state=state) for program, state in zip(programs, states, strict=True)]
        for actual, expected in zip(*results, strict=True):
            assert_same(actual, expected)
        for variable in updates:
            assert_same(states[0][variable], states[1][variable], variable.name)
    stages = {stage.name: stage.value for stage in programs[0].stages}
    plan = stages["memory"]
    assert isinstance(plan, MemoryPlan)
    return plan


def copied(plan: MemoryPlan) -> list[str]:
    return [output.name for output in plan.copies]


# Updates --------------------------------------------------------------------------------------------------------------


def test_an_update_is_written_over_the_old_value() -> None:
    p = parameter(3)
    plan = trained({p: p * 0.5 + x})
    assert not plan.copies
    assert "updated in place by" in str(plan)


def test_a_call_writes_over_no_operand_that_it_may_not_overwrite() -> None:
    """`torch.where` may overwrite what it chooses from, but not the condition, and here both are the cell."""
    p = Variable(torch.tensor([True, False, True]), name="p")
    assert copied(trained({p: graphc.where(p, p, x > 1.5)})) == ["p"]


@pytest.mark.parametrize("late", [False, True])
def test_old_values_that_are_read_later_are_kept(late: bool) -> None:
    p, q = parameter(3), parameter(3, name="q")
    updates: dict[Variable, Tensor] = {p: x.exp(), q: q + p * x.exp()}
    plan = trained(dict(reversed(updates.items())) if late else updates, [p, p.reshape(3, 1)])
    assert copied(plan) == ["p"]


def test_an_exchange() -> None:
    p, q = parameter(3), parameter(3, name="q")
    assert copied(trained({p: q, q: p})) == ["p", "q"]


def test_two_cells_with_one_new_value() -> None:
    p, q = parameter(3), parameter(3, name="q")
    new = p + x
    assert copied(trained({p: new, q: new})) == ["q"]


def test_a_new_value_that_is_another_one_repeated() -> None:
    """What is written in place for one cell is copied to the other."""
    total, p = parameter(name="total"), parameter(2, 3)
    new = total.maximum(x.sum())
    assert copied(trained({p: new.broadcast_to((2, 3)), total: new})) == ["p"]


def test_a_new_value_that_is_a_view_of_another_one() -> None:
    p, q = parameter(2, 2), parameter(2, 2, name="q")
    new = p.exp() * x.sum()
    assert copied(trained({p: new, q: new.T})) == ["q"]
    assert copied(trained({p: new.T, q: new})) == ["p"]


def test_a_new_value_that_is_given_to_the_caller() -> None:
    p = parameter(3)
    new = p * x
    assert copied(trained({p: new}, [new, new])) == ["p"]


def test_a_product_is_not_written_over_its_operand() -> None:
    p = parameter(2, 2)
    plan = trained({p: p @ p * 0.5})
    assert not plan.copies
    assert copied(trained({p: (p @ p).T})) == ["p"]


def test_a_piece_of_a_value_of_symbolic_size() -> None:
    """Whether it is the whole depends on the call."""
    p, b = parameter(1), graphc.placeholder("b", ("n",))
    program = graphc.compile([b], b.sum(), {p: (b * b)[0].reshape(1)}, backend="torch")
    for n in (3, 1):
        program(torch.arange(1.0, n + 1) * n)
        assert_same(p.value, torch.tensor([float(n * n)]))


def test_what_only_settings_decide_is_copied() -> None:
    """It is computed when one of them is set, but the cell may change at any time."""
    p, h = parameter(3), Variable(torch.ones(1, 3), name="h", role=Role.HYPER)
    plan = trained({p: (h + h).reshape(3)}, setting=h)
    assert copied(plan) == ["p"]
    program = graphc.compile([x], x.sum(), {p: (h + h).reshape(3)}, backend="torch")
    for _ in range(2):
        program(X)
        assert_same(p.value, torch.full((3,), 2.0))
        p.value = torch.zeros(3)


# Packs ----------------------------------------------------------------------------------------------------------------


def test_packed_cells_lie_side_by_side_and_gradients_inside_a_pack() -> None:
    ps = [parameter(*shape, name=f"p{i}") for i, shape in enumerate([(3,), (2, 3), (0,), (1, 1)])]
    loss = sum(((p.exp() * x.sum()).sum() for p in ps), start=x.sum())
    plan = trained(optim.SGD(ps, lr=0.01, momentum=0.9).minimize(loss))
    assert not plan.copies
    assert [len(group.cells) for group in plan.groups if len(group.cells) > 1] == [4, 4]
    assert any(place.offset for node, place in plan.places.items() if node.op.cell is None)


def test_programs_that_pack_differently_take_turns_on_one_state() -> None:
    ps = [parameter(3, name=f"p{i}") for i in range(3)]
    loss = sum(((p * x).square().sum() for p in ps), start=x.sum())
    both = graphc.compile([x], loss, optim.SGD(ps, lr=0.01).minimize(loss), backend="torch")
    some = graphc.compile([x], loss, optim.SGD(ps[:0:-1], lr=0.01).minimize(loss), backend="torch")
    twin = graphc.compile([x], loss, backend="reference")
    for program in (both, some, both, both, some):
        expected = twin(X)
        assert_same(program(X), expected)


# Memory ---------------------------------------------------------------------------------------------------------------


def test_a_chain_needs_memory_for_two_values() -> None:
    """Slots are as large as the sizes of a call ask for."""
    b = graphc.placeholder("b", ("n", 4))
    w = parameter(4, 4)
    y: Tensor = b
    for _ in range(20):
        y = (y @ w).tanh()
    program = graphc.compile([b], y.sum(), backend="torch")
    plan = next(stage.value for stage in program.stages if stage.name == "memory")
    assert isinstance(plan, MemoryPlan)
    assert plan.nbytes({"n": 1000}) == 2 * 16_000
    assert plan.nbytes({"n": 0}) == 0
    assert plan.nbytes({"n": 1}) == 2 * 64
    assert plan.nbytes({"n": numpy.int64(1), "others": 3}) == 2 * 64


@pytest.mark.parametrize("backend", ["c", "torch"])
@pytest.mark.parametrize(
    ("sizes", "match"),
    [
        ({"batch": 25}, "size 'n' has no number; given is batch"),
        ({}, "size 'n' has no number; given is nothing"),
        ({"n": "3"}, "size 'n' is an integer of 0 or more, not '3'"),
        ({"n": -5}, "size 'n' is an integer of 0 or more, not -5"),
        ({"n": True}, "size 'n' is an integer of 0 or more, not True"),
        (3, "sizes are a mapping from names to numbers, not 3"),
    ],
)
def test_sizes_are_checked(sizes: Any, match: str, backend: str) -> None:
    b = graphc.placeholder("b", ("n", 4))
    memory = graphc.compile([b], ((b @ parameter(4, 4)).softmax(0) @ parameter(4, 4)).sum(), backend=backend).memory
    assert memory is not None
    assert memory.nbytes({"n": 100}) > memory.nbytes({"n": 1})
    with pytest.raises(InputError, match=rf'^memory\.nbytes: {match}\. Write memory\.nbytes\({{"n": 32}}\)$'):
        memory.nbytes(sizes)
