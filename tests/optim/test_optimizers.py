"""Optimizers: hyper-parameters, slots, names, dtypes, and what is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import graphc
from graphc import GradientError, nn, optim
from graphc.ir import Role, topological_order
from tests.optim.problem import PARAMETERS, data, names, problem, step, twin, with_slots

# What there is.


@pytest.mark.parametrize(
    ("make", "updated", "hypers"),
    [
        (lambda p: optim.SGD(p), PARAMETERS, {"lr"}),
        (lambda p: optim.SGD(p, momentum=0.9), with_slots("momentum_buffer"), {"lr", "momentum"}),
        (
            lambda p: optim.SGD(p, 0.1, 0.9, 0.5, 0.01),
            with_slots("momentum_buffer") | {"step"},
            {"lr", "momentum", "dampening", "weight_decay"},
        ),
        (lambda p: optim.SGD(p, dampening=0.5), PARAMETERS, {"lr"}),
        (lambda p: optim.Adam(p), with_slots("exp_avg", "exp_avg_sq") | {"step"}, {"lr", "beta1", "beta2", "eps"}),
        (
            lambda p: optim.Adam(p, 0.1, (0.5, 0.5), 1e-6, 0.01, True),
            with_slots("exp_avg", "exp_avg_sq", "max_exp_avg_sq") | {"step"},
            {"lr", "beta1", "beta2", "eps", "weight_decay"},
        ),
        (
            lambda p: optim.AdamW(p),
            with_slots("exp_avg", "exp_avg_sq") | {"step"},
            {"lr", "beta1", "beta2", "eps", "weight_decay"},
        ),
        (
            lambda p: optim.AdamW(p, 0.1, (0.5, 0.5), 1e-6, 0, True),
            with_slots("exp_avg", "exp_avg_sq", "max_exp_avg_sq") | {"step"},
            {"lr", "beta1", "beta2", "eps"},
        ),
    ],
)
def test_slots_and_hyper_parameters_are_those_that_the_options_need(
    make: Callable[[Any], optim.Optimizer], updated: set[str], hypers: set[str], backend: str
) -> None:
    net, inputs, loss = problem()
    updates = make(net.parameters()).minimize(loss)
    assert names(updates) == updated
    program = graphc.compile(inputs, loss, updates, backend=backend)
    cells = program.graph.cells
    assert {cell.name for cell in cells if cell.role is Role.HYPER} == hypers
    assert {cell.name for cell in cells if cell.role is Role.PARAMETER} == PARAMETERS
    for cell in cells:
        if cell.role is not Role.PARAMETER:
            assert cell.type.dtype is torch.float64
            assert cell.type.shape == () or cell.role is Role.SLOT
    assert all(cell.value.count_nonzero() == 0 for cell in cells if cell.role is Role.SLOT)


def test_defaults_are_those_of_torch() -> None:
    net, _, _ = problem()
    for name in ("Adam", "AdamW"):
        theirs = getattr(torch.optim, name)([torch.zeros(1)]).defaults
        adam = getattr(optim, name)(net.parameters())
        assert adam.lr.value == theirs["lr"]
        assert (adam.beta1.value, adam.beta2.value) == theirs["betas"]
        assert adam.eps.value == theirs["eps"]
        assert (0 if adam.weight_decay is None else adam.weight_decay.value) == theirs["weight_decay"]
        assert adam.amsgrad is theirs["amsgrad"]
    sgd = optim.SGD(net.parameters())
    assert sgd.lr.value == torch.optim.SGD([torch.zeros(1)]).defaults["lr"]
    assert (sgd.momentum, sgd.dampening, sgd.weight_decay, sgd.nesterov) == (None, None, None, False)


def test_adamw_without_weight_decay_is_adam() -> None:
    net, inputs, loss = problem()
    graphs = [
        graphc.compile(inputs, loss, kind(net.parameters(), weight_decay=0).minimize(loss), backend="torch").graph
        for kind in (optim.Adam, optim.AdamW)
    ]
    assert str(graphs[0]) == str(graphs[1])


def test_the_scalars_of_a_step_are_computed_once() -> None:
    net, _, loss = problem()
    updates = optim.Adam(net.parameters()).minimize(loss)
    nodes = topological_order(tensor.node for tensor in updates.values())
    assert sum(node.op.name == "pow" for node in nodes) == 2


def test_unnamed_parameters_have_slots_by_position() -> None:
    p = nn.Parameter(torch.ones(2))
    assert names(optim.SGD([p], momentum=0.9).minimize(p.sum())) == {"", "0.momentum_buffer"}


# Changing hyper-parameters.


def test_hyper_parameters_change_between_steps(backend: str) -> None:
    net, inputs, loss = problem()
    optimizer = optim.Adam(net.parameters(), lr=0.1)
    program = graphc.compile(inputs, loss, optimizer.minimize(loss), backend=backend)
    theirs, torch_loss = twin()
    judge = torch.optim.Adam(theirs.parameters(), lr=0.1)
    for lr, beta2 in ((0.1, 0.999), (0.01, 0.999), (0.05, 0.9)):
        program.state["lr"] = lr
        optimizer.beta2.value = beta2
        judge.param_groups[0].update(lr=lr, betas=(0.9, beta2))
        for _ in range(5):
            program(*data())
            step(judge, torch_loss)
    for a, b in zip(net.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.value, b.detach(), rtol=1e-12, atol=1e-12)


def test_new_states_start_from_zero_slots_and_first_hyper_parameters(backend: str) -> None:
    net, inputs, loss = problem()
    program = graphc.compile(inputs, loss, optim.Adam(net.parameters()).minimize(loss), backend=backend)
    program.state["lr"] = 0.5
    program(*data())
    fresh = program.new_state(seed=0)
    assert fresh["lr"] == 1e-3
    assert fresh["step"] == 0.0
    assert fresh["0.weight.exp_avg"].count_nonzero() == 0
    assert program.state["step"] == 1.0
    assert torch.equal(fresh["0.weight"], twin()[0].state_dict()["0.weight"])


def test_programs_of_one_optimizer_share_slots_and_hyper_parameters(backend: str) -> None:
    net, inputs, loss = problem()
    optimizer = optim.Adam(net.parameters())
    first = graphc.compile(inputs, loss, optimizer.minimize(loss), backend=backend)
    second = graphc.compile(inputs, loss, optimizer.minimize(loss), backend=backend)
    assert first.graph.cells == second.graph.cells
    theirs, torch_loss = twin()
    judge = torch.optim.Adam(theirs.parameters())
    for program in (first, second, first):
        program(*data())
        step(judge, torch_loss)
    for a, b in zip(net.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.value, b.detach(), rtol=1e-12, atol=1e-12)


# Dtypes.


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_float32_follows_torch_to_rounding(name: str, backend: str) -> None:
    net, inputs, loss = problem(torch.float32)
    program = graphc.compile(
        inputs, loss, getattr(optim, name)(net.parameters(), lr=0.01).minimize(loss), backend=backend
    )
    theirs, torch_loss = twin(torch.float32)
    judge = getattr(torch.optim, name)(theirs.parameters(), lr=0.01)
    for _ in range(50):
        program(*data(torch.float32))
        step(judge, torch_loss)
    for a, b in zip(net.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.value, b.detach(), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize(
    "make",
    [
        lambda modules, p: modules.SGD(p, 0.1, 0.9, 0.5, 0.01),
        lambda modules, p: modules.SGD(p, 0.1, 0.9, 0, 0.01, True),
        lambda modules, p: modules.Adam(p, 0.1, (0.9, 0.99), 1e-8, 0.01, True),
        lambda modules, p: modules.AdamW(p, 0.1, (0.9, 0.99), 1e-8, 0.01, True),
    ],
)
def test_parameters_of_any_rank_and_dtype_keep_their_types(make: Callable[[Any, Any], Any], backend: str) -> None:
    values = [torch.tensor(2.0), torch.tensor([1.0, -1.0]), torch.tensor(-0.5).double(), torch.ones(2, 2).double()]
    ours = [nn.Parameter(value, name=f"p{i}") for i, value in enumerate(values)]
    theirs = [torch.nn.Parameter(value.clone()) for value in values]
    total = ours[0].square().double() * ours[2].square() + ours[1].square().sum().double() + ours[3].square().sum()
    program = graphc.compile([], total, make(optim, ours).minimize(total), backend=backend)
    judge = make(torch.optim, theirs)
    for _ in range(5):
        program()
        step(
            judge,
            lambda: (
                theirs[0].square().double() * theirs[2].square()
                + theirs[1].square().sum().double()
                + theirs[3].square().sum()
            ),
        )
    for a, b in zip(ours, theirs, strict=True):
        assert a.value.dtype is b.dtype
        torch.testing.assert_close(a.value, b.detach())


# Parameters without a gradient.


def test_a_parameter_that_the_loss_does_not_reach_stays_as_it_is(backend: str) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Linear(2, 1)
            self.idle = nn.Linear(2, 1)
            self.choice = nn.Parameter(torch.ones(1))

        def forward(self, x: graphc.Tensor) -> Any:
            # A comparison is no floating path: torch has no gradient through it either.
            return graphc.where(self.choice > 0.0, self.used(x), self.idle.weight.sum() * 0.0 + 1.0)

    net = Net()
    x = graphc.placeholder("x", (3, 2))
    loss = net(x).sum()
    updates = optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.5).minimize(loss)
    # `idle.weight` has a gradient, which is zero: weight decay moves it, as in torch.
    reached = {"used.weight", "used.bias", "idle.weight"}
    assert names(updates) == reached | {f"{name}.momentum_buffer" for name in reached}
    before = net.state_dict()
    graphc.compile([x], loss, updates, backend=backend)(torch.ones(3, 2))
    after = net.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == reached


def test_a_loss_that_reaches_no_parameter_is_an_error() -> None:
    net, (x, _), _ = problem()
    match = (
        r"Adam\.minimize: the loss depends on none of the optimizer's 4 parameters "
        r"\('0\.weight', '0\.bias', '2\.weight', …\); built at .*test_optimizers\.py:\d+"
    )
    with pytest.raises(GradientError, match=match):
        optim.Adam(net.parameters()).minimize(x.sum())


def test_a_loss_of_several_elements_is_an_error() -> None:
    net, (x, _), _ = problem()
    with pytest.raises(GradientError, match=r"the loss has shape \[batch, 1\], not one element"):
        optim.SGD(net.parameters()).minimize(net(x))
