"""Training against torch: the same network, data and optimizer in float64 stay together step by step.

Two correct implementations sum in different orders, and training can magnify that last bit without bound: at rates that
are too high, torch does not even agree with itself when the rows of the batch are permuted. So every problem here first
shows that torch agrees with itself to 1e-11; measured, these do to 2e-14 or better, and graphc with torch as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial
from typing import Any

import pytest
import torch

import graphc
from graphc import nn, optim
from tools.proving import training

Array = torch.Tensor
ROWS = 10
STEPS = {"c": 1000, "torch": 1000, "reference": 20}  # the reference takes long, and computes the same graph

SGD = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "dampening": {"momentum": 0.9, "dampening": 0.5},
    "negative dampening": {"momentum": 0.5, "dampening": -0.5},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weight decay": {"weight_decay": 0.01},
    "all": {"momentum": 0.8, "dampening": 0.3, "weight_decay": 0.01},
    "all with nesterov": {"momentum": 0.8, "weight_decay": 0.01, "nesterov": True},
}
ADAM = {
    "plain": {},
    "betas and eps": {"betas": (0.8, 0.995), "eps": 1e-3},
    "beta1 is 0": {"betas": (0.0, 0.99)},
    "beta1 below 1/2": {"betas": (0.3, 0.99)},
    "weight decay": {"weight_decay": 0.01},
    "amsgrad": {"amsgrad": True},
    "all": {"betas": (0.8, 0.99), "weight_decay": 0.01, "amsgrad": True},
}
ADAMW = {
    "plain": {},
    "no weight decay": {"weight_decay": 0},
    "amsgrad": {"amsgrad": True},
    "all": {"betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.5, "amsgrad": True},
}
# (optimizer, options with the rate at which mean losses train well)
MEAN = [("SGD", name, {"lr": 0.05, **options}) for name, options in SGD.items()]
MEAN += [("Adam", name, {"lr": 1e-3, **options}) for name, options in ADAM.items()]
MEAN += [("AdamW", name, {"lr": 1e-3, **options}) for name, options in ADAMW.items()]


def build(modules: Any, loss: str) -> Any:
    layers = [modules.Linear(2, 8), modules.Tanh(), modules.Linear(8, 8), modules.ReLU(), modules.Linear(8, 1)]
    return modules.Sequential(*layers, *([modules.Sigmoid()] if loss == "BCELoss" else []))


def data(loss: str) -> tuple[Array, Array]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(ROWS, 1, generator=generator, dtype=torch.float64)
    return x, (y > 0).double() if loss == "BCELoss" else y


def in_torch(
    loss: str,
    reduction: str,
    optimizer: str,
    options: dict[str, Any],
    steps: int,
    rows: Array,
    dtype: torch.dtype = torch.float64,
) -> list[Array]:
    """The parameters after `steps`, with the rows of the batch in the order `rows`."""
    torch.manual_seed(0)
    net = build(torch.nn, loss).to(dtype)
    criterion = getattr(torch.nn, loss)(reduction=reduction)
    update = getattr(torch.optim, optimizer)(net.parameters(), foreach=False, **options)
    x, y = (each[rows].to(dtype) for each in data(loss))
    for _ in range(steps):
        update.zero_grad()
        criterion(net(x), y).backward()
        update.step()
    return [parameter.detach() for parameter in net.parameters()]


def in_graphc(
    loss: str,
    reduction: Any,
    optimizer: str,
    options: dict[str, Any],
    steps: int,
    backend: str,
    dtype: torch.dtype = torch.float64,
) -> list[Array]:
    torch.manual_seed(0)
    net = build(nn, loss).to(dtype)
    x, y = graphc.placeholder("x", ("batch", 2), dtype), graphc.placeholder("y", ("batch", 1), dtype)
    value = getattr(nn, loss)(reduction=reduction)(net(x), y)
    updates = getattr(optim, optimizer)(net.parameters(), **options).minimize(value)
    program = graphc.compile([x, y], value, updates, backend=backend)
    values = [each.to(dtype) for each in data(loss)]
    for _ in range(steps):
        program(*values)
    return [parameter.value for parameter in net.parameters()]


def distance(a: Iterable[Array], b: Iterable[Array]) -> float:
    return max(float((x.double() - y.double()).abs().max()) for x, y in zip(a, b, strict=True))


@cache
def judge(loss: str, reduction: str, optimizer: str, options: tuple[tuple[str, Any], ...], steps: int) -> list[Array]:
    """What torch arrives at, once it is known that this can be said."""
    train = partial(in_torch, loss, reduction, optimizer, dict(options), steps)
    expected = train(torch.arange(ROWS))
    permuted = train(torch.randperm(ROWS, generator=torch.Generator().manual_seed(3)))
    assert distance(permuted, expected) < 1e-11, "the problem is too sensitive to judge by"
    return expected


def follow(loss: str, reduction: str, optimizer: str, options: dict[str, Any], steps: int, backend: str) -> None:
    found = in_graphc(loss, reduction, optimizer, options, steps, backend)
    assert distance(found, judge(loss, reduction, optimizer, tuple(options.items()), steps)) < 1e-10


@pytest.mark.parametrize(("optimizer", "options"), [pytest.param(o, k, id=f"{o}-{name}") for o, name, k in MEAN])
@pytest.mark.parametrize("loss", ["MSELoss", "BCELoss"])
def test_mean_losses(loss: str, optimizer: str, options: dict[str, Any]) -> None:
    """All backends in one test, since what torch arrives at takes longer than they do."""
    for backend, steps in STEPS.items():
        follow(loss, "mean", optimizer, options, steps, backend)


# Sums have gradients ten times as large, and the gradient of L1 jumps where a prediction passes its target: hence lower
# rates. With momentum 0.9 at 1e-2, the summed L1 loss is chaotic (torch against itself: 8e-9 after 1000 steps).
GENTLE = [
    ("L1Loss", "mean", "SGD", {"lr": 1e-2}, 1000),
    ("L1Loss", "mean", "SGD", {"lr": 1e-2, "momentum": 0.9}, 1000),
    ("L1Loss", "mean", "Adam", {"lr": 1e-3}, 1000),
    ("L1Loss", "sum", "SGD", {"lr": 1e-3}, 1000),
    ("L1Loss", "sum", "SGD", {"lr": 1e-2, "momentum": 0.9}, 50),
    ("L1Loss", "sum", "Adam", {"lr": 1e-3}, 1000),
    ("MSELoss", "sum", "SGD", {"lr": 1e-2}, 300),
    ("MSELoss", "sum", "Adam", {"lr": 1e-3}, 300),
    ("BCELoss", "sum", "SGD", {"lr": 1e-2}, 300),
    ("BCELoss", "sum", "Adam", {"lr": 1e-3}, 300),
]


@pytest.mark.parametrize(("loss", "reduction", "optimizer", "options", "steps"), GENTLE)
def test_sums_and_l1(loss: str, reduction: str, optimizer: str, options: dict[str, Any], steps: int) -> None:
    for backend, most in STEPS.items():
        follow(loss, reduction, optimizer, options, min(steps, most), backend)


@pytest.mark.parametrize(
    ("model", "optimizer", "dtype"),
    [
        ("gradient penalty", "Adam, amsgrad", torch.float64),
        ("shared branch", "AdamW by schedule", torch.float64),
        ("softmax classifier, mean", "SGD, nesterov", torch.float32),
    ],
)
def test_models_of_other_kinds(model: str, optimizer: str, dtype: torch.dtype) -> None:
    """Some of those of `tools/prove.py training`."""
    found = training.follow(model, optimizer, dtype)
    assert found["steps"] == 3 * training.STEPS


def test_an_optimizer_that_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = training.in_graphc

    def wrong(model: training.Model, name: str, options: dict[str, Any], *rest: Any) -> Any:
        return right(model, name, {"lr": 0.01 * (1 + 1e-7)}, *rest)

    monkeypatch.setitem(training.OPTIMIZERS, "SGD", ("SGD", {"lr": 0.01}))
    monkeypatch.setattr(training, "in_graphc", wrong)
    with pytest.raises(AssertionError, match=r"c \(fit\): after 100 steps, .* from torch, 1.0e-10 are allowed"):
        training.follow("Tanh network", "SGD", torch.float64)


def test_nan_is_far_from_everything() -> None:
    """In any parameter, not only in the first: `max` of numbers skips it."""
    zeros = [torch.zeros(2), torch.zeros(2)]
    far = training.distance([torch.ones(2), torch.tensor([0.0, float("nan")])], zeros)
    assert not far <= 1e300
    assert training.distance([torch.ones(2), torch.zeros(2)], zeros) == 1.0
