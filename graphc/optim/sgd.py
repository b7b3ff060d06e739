"""Gradient descent, with momentum or without."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from graphc.errors import StateError, brief
from graphc.ir import Tensor
from graphc.ops import where
from graphc.optim.hyper import check_flag, number
from graphc.optim.optimizer import Optimizer
from graphc.optim.rates import LearningRate
from graphc.state import Parameter, Variable

__all__ = ["SGD"]


class SGD(Optimizer):
    """p ← p - lr · g.

    With momentum, g becomes b ← momentum · b + (1 - dampening) · g, or with nesterov g + momentum · b. Source:
    `torch.optim.SGD`, single-tensor form. The first step takes b = g, without dampening, as torch does.
    Slots: `momentum_buffer`; with dampening, or a rate that is a function of the step, also `step`.
    """

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: LearningRate = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params)
        self.rate = self._rate(lr)
        self.momentum = self._option("momentum", momentum)
        self.weight_decay = self._option("weight_decay", weight_decay)
        self.dampening: Variable | None = None
        number("SGD", "dampening", dampening, low=-math.inf)
        check_flag("SGD", "nesterov", nesterov)
        if nesterov and (self.momentum is None or dampening):
            raise StateError(
                f"SGD: nesterov needs momentum, and dampening = 0, not momentum={brief(momentum)} and "
                f"dampening={brief(dampening)}. Write momentum=0.9"
            )
        self.nesterov = nesterov
        if self.momentum is not None:
            self.momentum_buffer = self._slots("momentum_buffer")
            if dampening:
                self.dampening = self._hyper("dampening", dampening, low=-math.inf)
                self._counter()

    def update(self, gradients: Mapping[Parameter, Tensor]) -> dict[Variable, Tensor]:
        new: dict[Variable, Tensor] = {}
        share: Tensor | None = None
        if "step" in vars(self):
            new[self.step] = self.step + 1.0
        if self.dampening is not None:
            # Buffers start as zeros, so that a first step which takes the whole gradient stores it as it is.
            share = where(self.step == 0.0, 1.0, 1.0 - self.dampening)
        for p, g in gradients.items():
            # The scalars in the dtype of p: promotion would do the same, except that a 0-d p would become float64.
            if self.weight_decay is not None:
                g = g + p * self.weight_decay.to(p.dtype)
            if self.momentum is not None:
                momentum, slot = self.momentum.to(p.dtype), self.momentum_buffer[p]
                new[slot] = buffer = slot * momentum + (g if share is None else g * share.to(p.dtype))
                g = g + buffer * momentum if self.nesterov else buffer
            new[p] = p - g * self.rate.to(p.dtype)
        return new
