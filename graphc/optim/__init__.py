"""Optimizers, in torch.optim's names, argument order, defaults and formulas. They only build graph."""

from __future__ import annotations

from graphc.optim.adam import Adam
from graphc.optim.optimizer import Optimizer
from graphc.optim.sgd import SGD
from graphc.optim.updates import Updates

__all__ = ["SGD", "Adam", "Optimizer", "Updates"]
