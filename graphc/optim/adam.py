"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from graphc.errors import StateError, brief
from graphc.ir import Tensor
from graphc.optim.hyper import check_flag
from graphc.optim.optimizer import Optimizer
from graphc.optim.rates import LearningRate
from graphc.state import Parameter, Variable

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """p ← p - lr · m̂ / (√v̂ + eps), with running means m of g and v of g², corrected for their start from zero.

    Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015; `torch.optim.Adam`, single-tensor form.
    With `amsgrad`, v̂ comes from the largest v so far. Slots: `exp_avg`, `exp_avg_sq`, `max_exp_avg_sq`, and `step`.
    """

    decoupled: ClassVar[bool] = False
    """Whether weight decay shrinks the parameter itself, and not by way of the gradient."""

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params)
        self.rate = self._rate(lr)
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise StateError(f"{type(self).__name__}: betas are two numbers, such as (0.9, 0.999), not {brief(betas)}")
        self.beta1 = self._hyper("beta1", betas[0], below=1.0)
        self.beta2 = self._hyper("beta2", betas[1], below=1.0)
        self.eps = self._hyper("eps", eps)
        self.weight_decay = self._option("weight_decay", weight_decay)
        check_flag(type(self).__name__, "amsgrad", amsgrad)
        self.amsgrad = amsgrad
        self.step = self._counter()
        self.exp_avg = self._slots("exp_avg")
        self.exp_avg_sq = self._slots("exp_avg_sq")
        if amsgrad:
            self.max_exp_avg_sq = self._slots("max_exp_avg_sq")

    def update(self, gradients: Mapping[Parameter, Tensor]) -> dict[Variable, Tensor]:
        step = self.step + 1.0
        step_size = self.rate / (1.0 - self.beta1.pow(step))
        root_correction = 1.0 / (1.0 - self.beta2.pow(step)).sqrt()
        scalars = (1.0 - self.beta1, self.beta2, 1.0 - self.beta2, step_size, root_correction, self.eps)
        new: dict[Variable, Tensor] = {self.step: step}
        decay: Tensor | None = self.weight_decay
        if decay is not None and self.decoupled:
            decay = 1.0 - self.rate * decay
        for p, g in gradients.items():
            # The scalars in the dtype of p: promotion would do the same, except that a 0-d p would become float64.
            rest1, beta2, rest2, rate, root, eps = (scalar.to(p.dtype) for scalar in scalars)
            start: Tensor = p
            if decay is not None and self.decoupled:
                start = p * decay.to(p.dtype)
            elif decay is not None:
                g = g + p * decay.to(p.dtype)
            m, v = self.exp_avg[p], self.exp_avg_sq[p]
            new[m] = mean = m + (g - m) * rest1
            new[v] = largest = square = v * beta2 + g * rest2 * g
            if self.amsgrad:
                top = self.max_exp_avg_sq[p]
                new[top] = largest = top.maximum(square)
            new[p] = start - mean / (largest.sqrt() * root + eps) * rate
        return new


class AdamW(Adam):
    """Adam, from p · (1 - lr · weight_decay): weight decay that is no part of the gradient.

    Source: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019; `torch.optim.AdamW`, single-tensor
    form. Slots: those of Adam.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Parameter],
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)
