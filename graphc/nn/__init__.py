"""Layers and losses, in torch.nn's names, argument order, defaults and initial distributions. They only build graph."""

from __future__ import annotations

from graphc.nn.activations import LeakyReLU, ReLU, Sigmoid, Tanh
from graphc.nn.containers import Sequential
from graphc.nn.linear import Linear
from graphc.nn.losses import BCELoss, L1Loss, MSELoss
from graphc.nn.module import Module
from graphc.nn.shapes import Flatten, Identity
from graphc.state import Parameter

__all__ = [
    "BCELoss",
    "Flatten",
    "Identity",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
]
