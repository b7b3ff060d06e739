"""The runs, and how one is compiled and trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import torch

import graphc
from examples.disk.data import disk, one_hot
from examples.disk.networks import WeightSharing, half_mse, one_output, score, two_outputs
from graphc import nn, optim

COUNT = 1000  # points to train on, and as many to test on
BATCH_SIZE = 25


@dataclass(frozen=True)
class Run:
    """What is trained, and how."""

    name: str
    network: Callable[[], nn.Module]
    loss: Callable[[graphc.Tensor, graphc.Tensor], graphc.Tensor]
    optimizer: Callable[[Iterable[graphc.Parameter]], optim.Optimizer]
    outputs: int = 1
    slowness: int = 1  # how many times the usual number of epochs it is given


RUNS = (
    Run("MSE + Adam", one_output, half_mse, optim.Adam),
    Run("BCE + Adam", one_output, nn.BCELoss(), optim.Adam),
    Run("L1 + Adam", one_output, nn.L1Loss(), optim.Adam),
    Run("MSE + SGD", one_output, half_mse, partial(optim.SGD, lr=0.5, weight_decay=1e-4)),
    Run("Sharing, MSE + Adam", WeightSharing, half_mse, optim.Adam),
    Run("Two outputs, MSE + SGD", two_outputs, nn.MSELoss(), partial(optim.SGD, lr=0.01), outputs=2, slowness=4),
)


@dataclass(frozen=True)
class Result:
    """A trained network, and how it came there."""

    run: Run
    output: graphc.Tensor  # symbolic
    predict: graphc.Program  # points to scores
    curves: dict[str, list[float]]  # train_loss, train_error, test_loss and test_error, after each epoch
    wrong: torch.Tensor  # the test points that are misclassified in the end, [count, 2]
    seconds: float  # for the steps alone
    steps: int


def train(run: Run, epochs: int, seed: int, backend: str = "auto") -> Result:
    """Declare, compile and train one network. Its initial values, its data and their order depend on `seed`."""
    torch.manual_seed(seed)
    points = graphc.placeholder("points", shape=("batch", 2))
    targets = graphc.placeholder("targets", shape=("batch", run.outputs))
    network = run.network()
    output = network(points)
    inside = score(output)
    loss = run.loss(output, targets)
    error = ((inside > 0.5) != (score(targets) > 0.5)).to(torch.float32).mean()

    # Steps as small as these only lose time, much of it on a busy machine, if two threads wait for each other.
    build = partial(graphc.compile, backend=backend, threads=1)
    step = build([points, targets], loss, run.optimizer(network.parameters()).minimize(loss))
    measure = build([points, targets], {"loss": loss, "error": error})
    predict = build([points], inside)

    # Even seeds to train and odd ones to test: a test never has points that any run was trained on.
    data = {"train": samples(run, 2 * seed), "test": samples(run, 2 * seed + 1)}
    curves: dict[str, list[float]] = {}

    def record(epoch: object) -> None:
        for name, values in data.items():
            for quantity, value in measure(*values).items():
                curves.setdefault(f"{name}_{quantity}", []).append(value.item())

    epochs *= run.slowness
    history = step.fit(*data["train"], batch_size=BATCH_SIZE, epochs=epochs, seed=seed, on_epoch=record)

    places, labels = disk(COUNT, 2 * seed + 1)
    wrong = places[((predict(places) > 0.5) != (labels > 0.5)).flatten()]
    steps = history.epochs * math.ceil(COUNT / BATCH_SIZE)
    return Result(run, output, predict, curves, wrong, sum(history.seconds), steps)


def samples(run: Run, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and targets in the form that the network of `run` takes."""
    points, labels = disk(COUNT, seed)
    return points, labels if run.outputs == 1 else one_hot(labels)
