"""Learning rates as functions of the step: they build graph, so that a step computes its own rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from graphc.errors import StateError, brief, explained
from graphc.ir import Tensor, complaint
from graphc.optim.hyper import number
from graphc.state import Variable

__all__ = ["Cosine", "Exponential", "LearningRate", "Owner", "Rate", "StepDecay", "Warmup"]


class Rate:
    """What a learning rate will be. An optimizer binds it: the numbers become hyper-parameters of the optimizer."""

    def at(self, step: Tensor, owner: Owner) -> Tensor:
        """The rate at `step`, 0-d float64 and 0 at the first. Called once, when the optimizer is made."""
        raise NotImplementedError(f"{type(self).__name__} does not define at")


LearningRate = float | Rate | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Owner:
    """The optimizer, as a rate needs it. `hyper` makes a hyper-parameter from a name and a number."""

    name: str
    hyper: Callable[[str, float], Variable]

    def rate(self, lr: LearningRate, step: Tensor) -> Tensor:
        """`lr` at `step`. Raises StateError when a user's function gives anything but a 0-d floating tensor."""
        if isinstance(lr, Rate):
            return lr.at(step, self)
        if not callable(lr):
            return self.hyper("lr", lr)
        result = lr(step)
        if not isinstance(result, Tensor) or result.ndim or not result.dtype.is_floating_point:
            found = result.type if isinstance(result, Tensor) else brief(result)
            problem = f"lr is a function that gives {found}, not a 0-d floating tensor"
            remedy = "compute it from the step, a 0-d f64 tensor: lr=lambda step: 0.1 / (1 + step / 100)"
            raise complaint(StateError, self.name, problem, remedy=remedy)
        return result.to(torch.float64)


@dataclass(frozen=True)
class Cosine(Rate):
    """end + (lr - end) · (1 + cos(π · min(t, steps) / steps)) / 2.

    Source: Loshchilov and Hutter, "SGDR", 2017; `torch.optim.lr_scheduler.CosineAnnealingLR`, which goes up again after
    `steps`, where this stays at `end`. Hyper-parameters: `lr`, `decay_steps`, `end_lr`.
    """

    lr: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        number("Cosine", "lr", self.lr)
        number("Cosine", "steps", self.steps, low=1)
        number("Cosine", "end", self.end)

    def at(self, step: Tensor, owner: Owner) -> Tensor:
        lr, end = owner.hyper("lr", self.lr), owner.hyper("end_lr", self.end)
        steps = owner.hyper("decay_steps", self.steps).maximum(1.0)  # a State may have 0 there
        return end + (lr - end) * (1.0 + (step.minimum(steps) / steps * math.pi).cos()) / 2.0


@dataclass(frozen=True)
class StepDecay(Rate):
    """lr · gamma^⌊t / every⌋.

    Source: `torch.optim.lr_scheduler.StepLR`. Hyper-parameters: `lr`, `decay_every`, `gamma`.
    """

    lr: float
    every: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        number("StepDecay", "lr", self.lr)
        number("StepDecay", "every", self.every, low=1)
        number("StepDecay", "gamma", self.gamma, high=1.0, ends="(]")

    def at(self, step: Tensor, owner: Owner) -> Tensor:
        lr, every = owner.hyper("lr", self.lr), owner.hyper("decay_every", self.every).maximum(1.0)
        gamma = owner.hyper("gamma", self.gamma)
        return lr * gamma.pow((step / every).floor())


@dataclass(frozen=True)
class Exponential(Rate):
    """lr · gamma^t.

    Source: `torch.optim.lr_scheduler.ExponentialLR`. Hyper-parameters: `lr`, `gamma`.
    """

    lr: float
    gamma: float

    def __post_init__(self) -> None:
        number("Exponential", "lr", self.lr)
        number("Exponential", "gamma", self.gamma, high=1.0, ends="(]")

    def at(self, step: Tensor, owner: Owner) -> Tensor:
        lr, gamma = owner.hyper("lr", self.lr), owner.hyper("gamma", self.gamma)
        return lr * gamma.pow(step)


@dataclass(frozen=True)
class Warmup(Rate):
    """(t + 1) / steps · then(0) while t < steps, afterwards then(t - steps). A number is a rate that stays.

    Source: `torch.optim.lr_scheduler.SequentialLR` of a `LinearLR` from 1 / steps to 1 and another schedule.
    Hyper-parameters: `warmup_steps`, and those of `then`.
    """

    steps: int
    then: LearningRate

    def __post_init__(self) -> None:
        number("Warmup", "steps", self.steps, low=1)
        if isinstance(self.then, Warmup):
            raise StateError("Warmup: then is a Warmup, too; a rate warms up once")

    def at(self, step: Tensor, owner: Owner) -> Tensor:
        steps = owner.hyper("warmup_steps", self.steps)
        then = owner.rate(self.then, (step - steps).maximum(0.0))
        return then * ((step + 1.0) / steps).minimum(1.0)


for _rate in (Cosine, StepDecay, Exponential, Warmup):
    _rate.__init__ = explained(_rate.__init__, of_class=True)  # type: ignore[method-assign]
