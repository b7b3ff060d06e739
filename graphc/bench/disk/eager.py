"""The same training in torch eager, for a while, to see how long it would take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from graphc.bench.disk.data import TRAIN, samples
from graphc.bench.disk.setting import Programs
from graphc.bench.disk.study import runs_of
from graphc.errors import VerifyError
from graphc.runtime.shuffle import permutation
from graphc.types import Array

__all__ = ["Sample", "time_eager"]

EPOCHS = 100
"""Epochs that are trained in torch, after one to warm up."""

TOLERANCE = 1e-4
"""How far apart the losses may be: both are float32, and the differences of rounding grow from step to step."""


@dataclass(frozen=True)
class Sample:
    """A part of a run: its steps, their seconds, and the mean loss of its last epoch, in torch and in graphc."""

    steps: int
    seconds: float
    loss: float
    graphc_loss: float


def time_eager(
    programs: Programs, network: torch.nn.Module, loss: Callable[[Array, Array], Array], seed: int
) -> Sample:
    """Train `network`, which is that of `programs` in torch, as the Setting says: run 0 of a study, on one thread.

    The optimizer is plain SGD. Raises VerifyError when torch comes to another loss than graphc.
    """
    [run] = runs_of(programs, [0], seed)
    state = run.start()
    network.load_state_dict({name: state[name] for name, _ in network.named_parameters()})
    optimizer = torch.optim.SGD(network.parameters(), lr=float(state["lr"]))
    points, targets = programs.data(samples(seed, 0, TRAIN))
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # more make steps as small as these slower
    try:
        for epoch in range(EPOCHS + 1):
            if epoch == 1:
                start = time.perf_counter()
            order = permutation(len(points), run.seed, epoch) if run.shuffle else torch.arange(len(points))
            total = 0.0
            for rows in torch.split(order, run.batch_size):
                optimizer.zero_grad()
                value = loss(network(points[rows]), targets[rows])
                value.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += value.item() * len(rows)
        seconds = time.perf_counter() - start
    finally:
        torch.set_num_threads(before)
    history = programs.train.fit(
        *run.data, batch_size=run.batch_size, epochs=EPOCHS + 1, shuffle=run.shuffle, seed=run.seed, state=state
    )
    ours, theirs = history["loss"][-1], total / len(points)
    if abs(ours - theirs) > TOLERANCE * abs(theirs):
        raise VerifyError(
            f"torch eager comes to a loss of {theirs:.6g} after {EPOCHS + 1} epochs, graphc to {ours:.6g}"
        )
    return Sample(EPOCHS * -(-len(points) // run.batch_size), seconds, theirs, ours)
