"""What a step changes: new values come from the old ones, and every program over the same parameters sees them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch

import graphc
from graphc import Parameter, Program, Tensor, Variable, nn, optim
from graphc.ir import Role
from tests.judge import Array, assert_same

# From the old values --------------------------------------------------------------------------------------------------


def test_an_exchange(backend: str) -> None:
    p, q = Parameter(torch.tensor([1.0, 2.0])), Parameter(torch.tensor([3.0, 4.0]))
    program = graphc.compile([], [p, q], {p: q, q: p}, backend=backend)
    for turn in range(4):
        a, b = ([1.0, 2.0], [3.0, 4.0]) if turn % 2 == 0 else ([3.0, 4.0], [1.0, 2.0])
        assert [value.tolist() for value in program()] == [a, b], "outputs, too, have the values from before"
        assert (p.value.tolist(), q.value.tolist()) == (b, a)


def test_a_cycle_of_three_with_arithmetic(backend: str) -> None:
    values = [torch.randn(3, 2, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    p, q, r = (Parameter(value) for value in values)
    rate = Variable(torch.tensor(0.5))
    program = graphc.compile([], (p + q).sum(), {p: q * rate, q: r * rate, r: p * rate}, backend=backend)
    a, b, c = values
    for _ in range(4):
        assert_same(program(), (a + b).sum())
        a, b, c = b * 0.5, c * 0.5, a * 0.5
        for cell, value in zip((p, q, r), (a, b, c), strict=True):
            assert_same(cell.value, value, bits=True)


def test_views_of_each_other(backend: str) -> None:
    p, q = Parameter(torch.arange(6.0).reshape(2, 3)), Parameter(-torch.arange(6.0).reshape(3, 2))
    program = graphc.compile([], p.sum(), {p: q.T, q: p.T + 1.0}, backend=backend)
    a, b = p.value.clone(), q.value.clone()
    for _ in range(3):
        program()
        a, b = b.T.clone(), a.T + 1.0
        assert_same(p.value, a, bits=True)
        assert_same(q.value, b, bits=True)


def test_itself_turned_around(backend: str) -> None:
    p = Parameter(torch.arange(9.0).reshape(3, 3))
    q = Parameter(torch.arange(4.0))
    program = graphc.compile([], [], {p: p.T, q: graphc.cat([q[2:], q[:2]])}, backend=backend)
    program()
    assert_same(p.value, torch.arange(9.0).reshape(3, 3).T, bits=True)
    assert q.value.tolist() == [2.0, 3.0, 0.0, 1.0]


def test_one_value_for_two_cells(backend: str) -> None:
    x, p, q = graphc.placeholder("x", (2,)), Parameter(torch.zeros(2)), Parameter(torch.zeros(2))
    new = x * 2.0 + p
    program = graphc.compile([x], new, {p: new, q: new}, backend=backend)
    for k in (1, 2, 3):
        result = program(torch.ones(2))
        assert p.value.tolist() == q.value.tolist() == result.tolist() == [2.0 * k] * 2


def test_a_slot_that_the_step_reads_late(backend: str) -> None:
    """The momentum is replaced before the last thing that needs the old one."""
    p, m = Parameter(torch.tensor([1.0, 2.0])), Variable(torch.tensor([0.5, 0.25]))
    program = graphc.compile([], (m * 3.0).sum(), {m: m * 0.5, p: p - m}, backend=backend)
    assert program().item() == 2.25
    assert p.value.tolist() == [0.5, 1.75]
    assert m.value.tolist() == [0.25, 0.125]


@pytest.mark.parametrize("name", ["lr", "momentum", "dampening", "weight_decay"])
def test_each_hyper_parameter_counts_when_it_alone_is_set(name: str) -> None:
    """What depends on them only is computed when one is set, and kept until then."""
    p = Parameter(torch.tensor([1.0, -2.0]), name="p")
    optimizer = optim.SGD([p], lr=0.1, momentum=0.5, dampening=0.25, weight_decay=0.125)
    updates = optimizer.minimize(p.square().sum())
    found = []
    for backend in ("torch", "reference"):
        program = graphc.compile([], [], updates, backend=backend)
        state = program.new_state()
        for value in (None, 0.75, 0.25):
            if value is not None:
                state[name] = value
            program(state=state)
            program(state=state)
        found.append(state[p])
    assert_same(*found)


def test_cells_of_every_kind(backend: str) -> None:
    flag = Variable(torch.tensor([True, False]))
    count = Variable(torch.tensor(0, dtype=torch.int64))
    half = Parameter(torch.ones(2, dtype=torch.bfloat16))
    empty = Parameter(torch.ones(0, 3))
    updates = {flag: flag == False, count: count + 1, half: half * 2.0, empty: empty * 2.0}  # noqa: E712 - element-wise
    program = graphc.compile([], count, updates, backend=backend)
    assert [program().item() for _ in range(3)] == [0, 1, 2]
    assert flag.value.tolist() == [False, True]
    assert half.value.tolist() == [8.0, 8.0]
    assert empty.value.shape == (0, 3)


# Values set between calls ---------------------------------------------------------------------------------------------


def network() -> tuple[nn.Sequential, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))
    x, y = graphc.placeholder("x", ("n", 2)), graphc.placeholder("y", ("n", 1))
    return net, x, y, nn.MSELoss()(net(x), y)


def test_values_set_between_calls_are_seen(backend: str) -> None:
    net, x, y, loss = network()
    optimizer = optim.SGD(net.parameters(), lr=0.0)
    train = graphc.compile([x, y], loss, optimizer.minimize(loss), backend=backend)
    predict = graphc.compile([x], net(x), backend=backend)
    ones = torch.ones(1, 2)
    last = net[4]
    ways: list[Callable[[float], object]] = [
        lambda v: setattr(last.bias, "value", torch.tensor([v])),
        lambda v: train.state.__setitem__("4.bias", [v]),
        lambda v: predict.state.__setitem__(last.bias, torch.tensor([v])),
        lambda v: last.bias.value.fill_(v),
        lambda v: net.load_state_dict({**net.state_dict(), "4.bias": torch.tensor([v])}),
    ]
    last.weight.value = torch.zeros(1, 3)
    for turn, way in enumerate(ways * 3):
        way(float(turn))
        assert predict(ones).item() == turn
        assert train(ones, torch.zeros(1, 1)).item() == turn**2
        assert last.bias.value.item() == turn
    optimizer.lr.value = 0.25
    train(ones, torch.zeros(1, 1))
    assert last.bias.value.item() == 14.0 / 2
    train.state["lr"] = 0.0
    train(ones, torch.zeros(1, 1))
    assert last.bias.value.item() == 7.0


def test_a_rate_that_the_program_itself_changes(backend: str) -> None:
    p, rate = Parameter(torch.tensor([8.0])), Variable(torch.tensor(1.0), name="rate", role=Role.HYPER)
    program = graphc.compile([], p.sum(), {p: p - rate * 2.0, rate: rate * 0.5}, backend=backend)
    assert [program().item() for _ in range(4)] == [8.0, 6.0, 5.0, 4.5]
    rate.value = 1.0
    assert [program().item() for _ in range(2)] == [4.25, 2.25]


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_a_rate_that_others_change(mode: Callable[[], AbstractContextManager[object]], backend: str) -> None:
    """Another program, a State, the value itself, in any of torch's modes: the next step knows."""
    p, rate = Parameter(torch.zeros(2)), Variable(torch.tensor(1.0), name="rate", role=Role.HYPER)
    program = graphc.compile([], p.sum(), {p: p + rate * 2.0}, backend=backend)
    double = graphc.compile([], [], {rate: rate * 2.0}, backend=backend)
    program()
    ways: list[Callable[[], object]] = [
        double,
        double,
        lambda: setattr(rate, "value", 10.0),
        lambda: program.state.__setitem__("rate", 100.0),
        lambda: rate.value.mul_(10.0),
        lambda: program.state["rate"].copy_(torch.tensor(0.5)),
    ]
    for way in ways:
        with mode():
            way()
        program()
    assert p.value.tolist() == [2.0 * (1 + 2 + 4 + 10 + 100 + 1000 + 0.5)] * 2
    other = program.new_state()
    other["rate"] = 3.0
    program(state=other)
    program()
    assert other[p][0].item() - p.value[0].item() == 6.0 - 1.0


# Several programs over the same parameters ----------------------------------------------------------------------------


def test_programs_that_group_parameters_in_different_ways_stay_consistent(backend: str) -> None:
    """Each packs the values that it updates side by side, where the others have to find them."""
    net, x, y, loss = network()
    torch.manual_seed(0)
    judge = torch.nn.Sequential(
        torch.nn.Linear(2, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    )
    parameters, theirs = list(net.parameters()), list(judge.parameters())
    choices: dict[str, tuple[list[int], dict[str, float]]] = {
        "all": ([0, 1, 2, 3, 4, 5], {"lr": 0.1}),
        "head": ([4, 5], {"lr": 0.2}),
        "backwards": ([5, 4, 3, 2, 1, 0], {"lr": 0.05, "momentum": 0.9}),
        "weights": ([2, 0, 4], {"lr": 0.1, "momentum": 0.5}),
        "biases": ([1, 5, 3], {"lr": 0.3}),
        "one": ([2], {"lr": 0.1}),
    }
    programs: dict[str, Callable[[Array, Array], object]] = {}
    steps: dict[str, Callable[[Array, Array], object]] = {}
    for name, (indices, options) in choices.items():
        optimizer = optim.SGD([parameters[i] for i in indices], **options)
        programs[name] = graphc.compile([x, y], loss, optimizer.minimize(loss), backend=backend)
        torch_optimizer = torch.optim.SGD([theirs[i] for i in indices], **options)

        def step(a: Array, b: Array, torch_optimizer: torch.optim.Optimizer = torch_optimizer) -> None:
            judge.zero_grad()
            torch.nn.functional.mse_loss(judge(a), b).backward()
            torch_optimizer.step()

        steps[name] = step
    predict = graphc.compile([x], net(x), backend=backend)
    generator = torch.Generator().manual_seed(4)
    orders = itertools.islice(itertools.permutations(choices), 0, 720, 61)
    for turn, name in enumerate(itertools.chain.from_iterable(orders)):
        data = torch.randn(1 + turn % 3, 2, generator=generator), torch.randn(1 + turn % 3, 1, generator=generator)
        programs[name](*data)
        steps[name](*data)
        assert_same(predict(data[0]), judge(data[0]).detach(), name, rtol=1e-4, atol=1e-5)
        if turn % 7 == 0:
            parameters[turn % 6].value = parameters[turn % 6].value * 0.5
            with torch.no_grad():
                theirs[turn % 6].mul_(0.5)
    for ours, expected in zip(parameters, theirs, strict=True):
        assert_same(ours.value, expected.detach(), rtol=1e-4, atol=1e-5)


def test_groupings_in_states_of_their_own(backend: str) -> None:
    """A State made by one program is used by another that groups its cells in another order."""
    ps = [Parameter(torch.full((k + 1,), float(k)), name=f"p{k}") for k in range(4)]
    rate = Variable(torch.tensor(2.0))

    def doubled(indices: list[int]) -> Program:
        return graphc.compile([], [], {ps[k]: ps[k] * rate for k in indices}, backend=backend)

    programs = [doubled([0, 1, 2, 3]), doubled([3, 1]), doubled([2, 1, 0])]
    state = programs[0].new_state()
    for turn in range(12):
        programs[turn % 3](state=state)
    found = [set(state[p].tolist()) for p in ps]
    assert found == [{0.0}, {2.0**12}, {2 * 2.0**8}, {3 * 2.0**8}]
    assert [p.value[0].item() for p in ps] == [0.0, 1.0, 2.0, 3.0], "the default State is as it was"


@pytest.mark.parametrize("reverse", [False, True])
def test_a_program_compiled_later_takes_over_values_and_slots(reverse: bool, backend: str) -> None:
    net, x, y, loss = network()
    optimizer = optim.Adam(list(net.parameters())[:: -1 if reverse else 1], lr=0.01)
    twin, a, b, twin_loss = network()
    twin_optimizer = optim.Adam(twin.parameters(), lr=0.01)
    data = torch.randn(5, 2), torch.randn(5, 1)
    whole = graphc.compile([a, b], twin_loss, twin_optimizer.minimize(twin_loss), backend=backend)
    for _ in range(3):
        graphc.compile([x, y], loss, optimizer.minimize(loss), backend=backend)(*data)
        whole(*data)
    for ours, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        assert_same(ours.value, theirs.value, bits=True)
