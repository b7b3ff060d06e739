"""Optimizers, in torch.optim's names, argument order, defaults and formulas, and learning rates. They build graph."""

from __future__ import annotations

from typing import NoReturn

from graphc.ir.elsewhere import OPTIMIZERS_ELSEWHERE, missing
from graphc.optim.adam import Adam, AdamW
from graphc.optim.optimizer import Optimizer
from graphc.optim.rates import Cosine, Exponential, Rate, StepDecay, Warmup
from graphc.optim.sgd import SGD
from graphc.optim.updates import Updates

__all__ = ["SGD", "Adam", "AdamW", "Cosine", "Exponential", "Optimizer", "Rate", "StepDecay", "Updates", "Warmup"]


def __getattr__(name: str) -> NoReturn:
    raise missing("module 'graphc.optim'", name, __all__, OPTIMIZERS_ELSEWHERE)
