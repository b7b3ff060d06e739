"""What is trained and how, and the programs for it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from graphc import nn, optim
from graphc.bench.disk.data import Samples
from graphc.bench.disk.networks import score
from graphc.compiler import compile
from graphc.ir import Role, Tensor
from graphc.ops import placeholder
from graphc.runtime import Program
from graphc.state import Parameter, State
from graphc.types import Array

__all__ = ["Programs", "Setting", "prepare"]


@dataclass(frozen=True)
class Setting:
    """One way to train one network. `targets` turns labels [n, 1] into what the loss compares with, and `score` turns
    outputs, and these targets, into what is above 1/2 for inside.
    """

    name: str
    network: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Callable[[Iterable[Parameter]], optim.Optimizer]
    batch_size: int
    epochs: int
    targets: Callable[[Array], Array] = lambda labels: labels
    shuffle: bool = True
    score: Callable[[Tensor], Tensor] = score


class Programs:
    """A Setting, declared; its programs are compiled when they are first used, all for one thread.

    `train` trains; the others look, over the same parameters. `measure` takes points and targets and gives loss and
    error, the part of the points that are misclassified; `predict` takes points and gives scores [n, 1], above 1/2 for
    what the network takes to be inside.
    """

    def __init__(self, setting: Setting, backend: str = "auto") -> None:
        self.setting = setting
        self._backend = backend
        width = setting.targets(torch.zeros(1, 1)).shape[1]
        self._points, self._targets = placeholder("points", ("batch", 2)), placeholder("targets", ("batch", width))
        network = setting.network()
        output = network(self._points)
        self._loss = setting.loss(output, self._targets)
        self._inside = setting.score(output)
        self._error = ((self._inside > 0.5) != (score(self._targets) > 0.5)).to(torch.float64).mean()
        self._updates = setting.optimizer(network.parameters()).minimize(self._loss)

    # One thread each: a sweep has its workers, and steps as small as these only lose time if threads share them.

    @cached_property
    def train(self) -> Program:
        inputs = [self._points, self._targets]
        return compile(inputs, {"loss": self._loss}, self._updates, backend=self._backend, threads=1)

    @cached_property
    def measure(self) -> Program:
        outputs = {"loss": self._loss, "error": self._error}
        return compile([self._points, self._targets], outputs, backend=self._backend, threads=1)

    @cached_property
    def predict(self) -> Program:
        return compile([self._points], self._inside, backend=self._backend, threads=1)

    def data(self, samples: Samples) -> tuple[Array, Array]:
        """As `train` and `measure` take it."""
        return samples.points, self.setting.targets(samples.labels)

    def look(self, samples: Samples, state: State) -> dict[str, float]:
        """Loss and error on `samples`."""
        return {name: value.item() for name, value in self.measure(*self.data(samples), state=state).items()}

    def describe(self) -> dict[str, Any]:
        """All that the Setting says, for a record of the study."""
        state = self.train.state
        hypers = {cell.name: state.read(cell).item() for cell in state.cells if cell.role is Role.HYPER}
        return {
            "name": self.setting.name,
            "batch_size": self.setting.batch_size,
            "epochs": self.setting.epochs,
            "shuffle": self.setting.shuffle,
            "hyper_parameters": hypers,
            "parameters": {cell.name: list(cell.type.shape) for cell in state.cells if cell.role is Role.PARAMETER},
            "backend": self.train.backend,
            "graph": re.sub(r" +# .*$", "", str(self.train.stages[0].value), flags=re.MULTILINE),  # without file names
        }


def prepare(all_programs: Iterable[Programs], names: Sequence[str] = ("train", "measure")) -> None:
    """Compile the programs that a study needs, several at a time: a C compiler is a process of its own."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        wanted = [pool.submit(getattr, programs, name) for programs in all_programs for name in names]
        for each in wanted:
            each.result()
