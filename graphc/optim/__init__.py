"""Optimizers, in torch.optim's names, argument order, defaults and formulas, and learning rates. They build graph."""

from __future__ import annotations

from graphc.optim.adam import Adam, AdamW
from graphc.optim.optimizer import Optimizer
from graphc.optim.rates import Cosine, Exponential, Rate, StepDecay, Warmup
from graphc.optim.sgd import SGD
from graphc.optim.updates import Updates

__all__ = ["SGD", "Adam", "AdamW", "Cosine", "Exponential", "Optimizer", "Rate", "StepDecay", "Updates", "Warmup"]
