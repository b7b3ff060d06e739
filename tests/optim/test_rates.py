"""Learning rates as functions of the step: their values, training with them, their hyper-parameters, and refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

import graphc
from graphc import Parameter, StateError, nn, optim
from graphc.ir import Role
from tests.optim.problem import PARAMETERS, data, names, problem, step, twin

BACKENDS = {"c": 200, "torch": 200, "reference": 20}
"""Steps on each: the reference takes long, and computes the same graph."""

Scheduler = Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]


def after_warmup(steps: int, then: Scheduler) -> Scheduler:
    """torch's way to say it: over steps - 1 steps, a factor that goes from 1 / steps to 1."""

    def make(judge: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
        warm = lr_scheduler.LinearLR(judge, start_factor=1 / steps, end_factor=1.0, total_iters=steps - 1)
        return lr_scheduler.SequentialLR(judge, [warm, then(judge)], milestones=[steps])

    return make


def harmonic(step: Any) -> Any:
    return 0.05 / (1 + step / 100)


RATES: dict[str, tuple[Any, Scheduler]] = {
    "cosine": (optim.Cosine(0.05, 250), lambda o: lr_scheduler.CosineAnnealingLR(o, 250)),
    "cosine with an end": (optim.Cosine(0.05, 200, end=0.01), lambda o: lr_scheduler.CosineAnnealingLR(o, 200, 0.01)),
    "step decay": (optim.StepDecay(0.05, 30, 0.5), lambda o: lr_scheduler.StepLR(o, 30, 0.5)),
    "step decay by default": (optim.StepDecay(0.05, 7), lambda o: lr_scheduler.StepLR(o, 7)),
    "exponential": (optim.Exponential(0.05, 0.98), lambda o: lr_scheduler.ExponentialLR(o, 0.98)),
    "constant after warmup": (optim.Warmup(9, 0.05), after_warmup(9, lambda o: lr_scheduler.ConstantLR(o, 1.0))),
    "cosine after warmup": (
        optim.Warmup(10, optim.Cosine(0.05, 190, end=0.001)),
        after_warmup(10, lambda o: lr_scheduler.CosineAnnealingLR(o, 190, 0.001)),
    ),
    "step decay after warmup": (
        optim.Warmup(5, optim.StepDecay(0.05, 20, 0.9)),
        after_warmup(5, lambda o: lr_scheduler.StepLR(o, 20, 0.9)),
    ),
    "own": (harmonic, lambda o: lr_scheduler.LambdaLR(o, lambda t: harmonic(t) / 0.05)),
}


def rates(lr: Any, steps: int, backend: str = "torch") -> list[float]:
    """The rates of the first `steps`, as a program with nothing else in it computes them."""
    p = Parameter(torch.zeros(1, dtype=torch.float64), name="p")
    optimizer = optim.SGD([p], lr=lr)
    total = p.sum()
    program = graphc.compile([], optimizer.rate, optimizer.minimize(total), backend=backend)
    return [float(program()) for _ in range(steps)]


# Values.


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", RATES)
def test_rates_are_those_of_torch(name: str, backend: str) -> None:
    lr, schedule = RATES[name]
    judge = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    scheduler = schedule(judge)
    expected = []
    for _ in range(50):
        expected.append(scheduler.get_last_lr()[0])
        judge.step()
        scheduler.step()
    assert rates(lr, 50, backend) == pytest.approx(expected, rel=1e-12, abs=0)


def test_cosine_stays_at_its_end() -> None:
    found = rates(optim.Cosine(0.1, 4, end=0.02), 9)
    assert found[:5] == pytest.approx(
        [0.1, 0.02 + 0.08 * (1 + 0.5**0.5) / 2, 0.06, 0.02 + 0.08 * (1 - 0.5**0.5) / 2, 0.02]
    )
    assert found[4:] == [0.02] * 5


def test_warmup_begins_and_ends_where_it_says() -> None:
    assert rates(optim.Warmup(4, 1.0), 6) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert rates(optim.Warmup(1, optim.Exponential(1.0, 0.5)), 4) == [1.0, 1.0, 0.5, 0.25]
    assert rates(optim.Warmup(2, lambda step: 1.0 / (1.0 + step)), 5) == [0.5, 1.0, 1.0, 0.5, 1 / 3]


def test_a_function_may_give_any_floating_dtype() -> None:
    found = rates(lambda step: step.to(torch.float32) * 0.5, 3)
    assert found == [0.0, 0.5, 1.0]


# Training.


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("name", RATES)
def test_training_follows_torch(name: str, optimizer: str) -> None:
    lr, schedule = RATES[name]
    theirs, torch_loss = twin()
    judge = getattr(torch.optim, optimizer)(theirs.parameters(), lr=0.05)
    scheduler = schedule(judge)
    expected = []
    for _ in range(200):
        step(judge, torch_loss)
        scheduler.step()
        expected.append([parameter.detach().clone() for parameter in theirs.parameters()])
    for backend, steps in BACKENDS.items():
        net, inputs, loss = problem()
        program = graphc.compile(
            inputs, loss, getattr(optim, optimizer)(net.parameters(), lr=lr).minimize(loss), backend=backend
        )
        for _ in range(steps):
            program(*data())
        for a, b in zip(net.parameters(), expected[steps - 1], strict=True):
            torch.testing.assert_close(a.value, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_fit_counts_steps_through_epochs(backend: str) -> None:
    """And records the mean rate of each epoch, when it is an output."""
    net, inputs, loss = problem()
    optimizer = optim.AdamW(net.parameters(), lr=optim.Warmup(3, optim.Cosine(0.05, 8)))
    outputs = {"loss": loss, "lr": optimizer.rate}
    program = graphc.compile(inputs, outputs, optimizer.minimize(loss), backend=backend)
    state = program.new_state()
    history = program.fit(*data(), batch_size=2, epochs=4, shuffle=False, progress=False, state=state)
    found = torch.tensor(rates(optim.Warmup(3, optim.Cosine(0.05, 8)), 12), dtype=torch.float64)
    assert history["lr"] == pytest.approx(found.reshape(4, 3).mean(dim=1).tolist(), rel=1e-12)
    assert state["step"] == 12.0
    theirs, _ = twin()
    judge = torch.optim.AdamW(theirs.parameters(), lr=0.05)
    for lr, batch in zip(found.tolist(), [0, 2, 4] * 4, strict=True):
        judge.param_groups[0]["lr"] = lr
        x, y = (each[batch : batch + 2] for each in data())
        step(judge, lambda x=x, y=y: torch.nn.functional.mse_loss(theirs(x), y))
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(state[name], parameter.detach(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam])
def test_programs_of_one_optimizer_share_the_counter(kind: Any, backend: str) -> None:
    net, inputs, loss = problem()
    optimizer = kind(net.parameters(), lr=optim.Exponential(0.1, 0.5))
    outputs = {"loss": loss, "lr": optimizer.rate}
    first, second = (
        graphc.compile(inputs, outputs, optimizer.minimize(loss), backend=backend),
        graphc.compile(inputs, outputs, optimizer.minimize(loss), backend=backend),
    )
    assert [float(program(*data())["lr"]) for program in (first, second, second, first)] == [0.1, 0.05, 0.025, 0.0125]
    assert optimizer.step.value == 4.0


def test_gradients_can_be_changed_on_the_way(backend: str) -> None:
    net, inputs, loss = problem()
    optimizer = optim.SGD(net.parameters(), lr=optim.Exponential(1.0, 0.5), momentum=0.5, dampening=0.5)
    updates = optimizer.update({p: g * 0.0 for p in net.parameters() for g in [graphc.grad(loss, p)]})
    program = graphc.compile(inputs, loss, updates, backend=backend)
    program(*data())
    assert program.state["step"] == 1.0


# Hyper-parameters, and what is in the graph.


@pytest.mark.parametrize(
    ("lr", "hypers"),
    [
        (optim.Cosine(0.1, 7, 0.01), {"lr": 0.1, "decay_steps": 7, "end_lr": 0.01}),
        (optim.StepDecay(0.1, 7, 0.2), {"lr": 0.1, "decay_every": 7, "gamma": 0.2}),
        (optim.Exponential(0.1, 0.9), {"lr": 0.1, "gamma": 0.9}),
        (optim.Warmup(5, 0.1), {"lr": 0.1, "warmup_steps": 5}),
        (optim.Warmup(5, optim.Cosine(0.1, 7)), {"lr": 0.1, "decay_steps": 7, "end_lr": 0.0, "warmup_steps": 5}),
        (harmonic, {}),
    ],
)
def test_numbers_are_hyper_parameters(lr: Any, hypers: dict[str, float], backend: str) -> None:
    net, inputs, loss = problem(torch.float32)
    optimizer = optim.SGD(net.parameters(), lr=lr)
    updates = optimizer.minimize(loss)
    assert names(updates) == PARAMETERS | {"step"}
    program = graphc.compile(inputs, loss, updates, backend=backend)
    assert {cell.name for cell in program.graph.cells if cell.role is Role.HYPER} == hypers.keys()
    for name, value in hypers.items():
        handle = getattr(optimizer, name)
        assert (handle.shape, handle.dtype) == ((), torch.float64)
        assert handle.value == program.state[name] == torch.tensor(value, dtype=torch.float64)
    assert (optimizer.rate.shape, optimizer.rate.dtype) == ((), torch.float64)
    assert (optimizer.lr is None) is (lr is harmonic)


def test_a_number_needs_no_counter_and_is_the_rate() -> None:
    net, _, loss = problem()
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    assert optimizer.rate is optimizer.lr
    assert names(optimizer.minimize(loss)) == PARAMETERS
    with pytest.raises(AttributeError, match=r"SGD has no 'step'\. A compiled program steps"):
        _ = optimizer.step
    with pytest.raises(AttributeError, match=r"SGD has no 'decay_steps'"):
        _ = optimizer.decay_steps
    adam = optim.Adam(net.parameters(), lr=0.1)
    assert adam.rate is adam.lr


def test_optimizers_of_one_rate_are_independent() -> None:
    net, _, _ = problem()
    rate = optim.Cosine(0.1, 10)
    a, b = optim.SGD(net.parameters(), lr=rate), optim.Adam(net.parameters(), lr=rate)
    a.decay_steps.value = 20
    assert b.decay_steps.value == rate.steps == 10


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_changed_hyper_parameter_is_a_rate_made_with_it(backend: str) -> None:
    """One program, and States that differ in their hyper-parameters only."""

    def program(lr: optim.Rate) -> graphc.Program:
        net, inputs, loss = problem()
        return graphc.compile(inputs, loss, optim.Adam(net.parameters(), lr=lr).minimize(loss), backend=backend)

    first, second = optim.Warmup(2, optim.Cosine(0.05, 8, 0.01)), optim.Warmup(4, optim.Cosine(0.1, 5, 0.02))
    ours = program(first)
    changed = ours.new_state()
    changed["lr"], changed["decay_steps"], changed["end_lr"], changed["warmup_steps"] = 0.1, 5, 0.02, 4
    theirs = program(second)
    plain = ours.new_state()
    for _ in range(12):
        ours(*data(), state=changed)
        ours(*data(), state=plain)
        theirs(*data())
    for name in PARAMETERS:
        assert torch.equal(changed[name], theirs.state[name])
        assert not torch.equal(plain[name], changed[name])


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_native_code_computes_the_rate_once_a_step(optimizer: str) -> None:
    net, inputs, loss = problem(torch.float32)
    lr = optim.Warmup(5, optim.Cosine(0.1, 100))
    updates = getattr(optim, optimizer)(net.parameters(), lr=lr).minimize(loss)
    lines = graphc.compile(inputs, loss, updates, backend="c").explain().splitlines()
    [line] = [line for line in lines if re.match(r" *%\d+:", line) and ":cos" in line]
    assert re.search(r"\bover 1\b", line), line
    assert ":minimum" in line


# Refusals.


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: optim.Cosine(-0.1, 10), r"Cosine: lr is 0 or more, not -0\.1"),
        (lambda: optim.Cosine(0.1, 0), r"Cosine: steps is 1 or more, not 0"),
        (lambda: optim.Cosine(0.1, "ten"), r"Cosine: steps is 1 or more, not 'ten'"),
        (lambda: optim.Cosine(0.1, float("inf")), r"Cosine: steps is 1 or more, not inf"),
        (lambda: optim.Cosine(0.1, 10, -1e-3), r"Cosine: end is 0 or more, not -0\.001"),
        (lambda: optim.StepDecay(float("nan"), 10), r"StepDecay: lr is 0 or more, not nan"),
        (lambda: optim.StepDecay(0.1, 0.5), r"StepDecay: every is 1 or more, not 0\.5"),
        (lambda: optim.StepDecay(0.1, 10, 0.0), r"StepDecay: gamma is in \(0, 1\], not 0\.0"),
        (lambda: optim.Exponential(None, 0.9), r"Exponential: lr is 0 or more, not None"),
        (lambda: optim.Exponential(0.1, 1.5), r"Exponential: gamma is in \(0, 1\], not 1\.5"),
        (lambda: optim.Exponential(0.1, float("nan")), r"Exponential: gamma is in \(0, 1\], not nan"),
        (lambda: optim.Warmup(0, 0.1), r"Warmup: steps is 1 or more, not 0"),
        (lambda: optim.Warmup(5, optim.Warmup(5, 0.1)), r"Warmup: then is a Warmup, too"),
    ],
)
def test_numbers_are_checked(make: Callable[[], object], match: str) -> None:
    with pytest.raises(StateError, match=match):
        make()


@pytest.mark.parametrize(
    ("lr", "match"),
    [
        (optim.Warmup(5, -0.1), r"Adam: lr is 0 or more, not -0\.1"),
        (optim.Warmup(5, "slow"), r"Adam: lr is 0 or more, not 'slow'"),
        (lambda step: 0.1, r"Adam: lr is a function that gives 0\.1, not a 0-d floating tensor; built at .*\.py:\d+"),
        (lambda step: step.reshape(1), r"Adam: lr is a function that gives f64\[1\], not a 0-d floating tensor"),
        (lambda step: step > 5.0, r"Adam: lr is a function that gives bool\[\], not a 0-d .* Compute it from the step"),
        (lambda step: step.to(torch.int64), r"Adam: lr is a function that gives i64\[\], not"),
        (lambda step: torch.tensor(0.1), r"Adam: lr is a function that gives tensor\(0\.1000\), not"),
        (optim.Warmup(5, lambda step: None), r"Adam: lr is a function that gives None, not"),
        (optim.Rate(), r"Rate does not define at"),
    ],
)
def test_rates_are_checked(lr: Any, match: str) -> None:
    with pytest.raises((StateError, NotImplementedError), match=match):
        optim.Adam(problem()[0].parameters(), lr=lr)


def test_hyper_parameters_of_own_rates_have_names_of_their_own() -> None:
    @dataclass(frozen=True)
    class Sum(optim.Rate):
        parts: tuple[optim.Rate, ...]

        def at(self, step: graphc.Tensor, owner: Any) -> graphc.Tensor:
            a, b = (owner.rate(part, step) for part in self.parts)
            return a + b

    with pytest.raises(StateError, match=r"SGD: two parts of the learning rate have a 'lr'"):
        optim.SGD(problem()[0].parameters(), lr=Sum((optim.Exponential(0.1, 0.9), optim.Cosine(0.1, 10))))


def test_parameters_may_be_of_any_dtype() -> None:
    ours = [nn.Parameter(torch.ones(2, dtype=dtype), name=str(dtype)) for dtype in (torch.float32, torch.float64)]
    total = ours[0].sum().to(torch.float64) + ours[1].sum()
    program = graphc.compile([], total, optim.SGD(ours, lr=optim.Exponential(0.5, 0.5)).minimize(total))
    program()
    program()
    for p in ours:
        assert torch.equal(p.value, torch.full((2,), 0.25, dtype=p.dtype))


def test_numbers_are_where_the_parameters_are() -> None:
    lr = optim.Warmup(5, optim.Cosine(0.1, 10))
    optimizer = optim.SGD([Parameter(torch.zeros(2, device="meta"))], lr=lr)
    for name in ("lr", "decay_steps", "end_lr", "warmup_steps", "step"):
        assert getattr(optimizer, name).value.device.type == "meta", name


def test_own_functions_may_read_variables(backend: str) -> None:
    scale = graphc.Variable(1.0, name="scale")
    p = Parameter(torch.zeros(1), name="p")
    optimizer = optim.SGD([p], lr=lambda step: scale / (1.0 + step))
    program = graphc.compile([], optimizer.rate, optimizer.minimize(p.sum()), backend=backend)
    found = [float(program())]
    program.state["scale"] = 6.0
    assert [*found, float(program()), float(program())] == [1.0, 3.0, 2.0]
