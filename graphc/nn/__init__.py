"""Layers and losses, in torch.nn's names, argument order, defaults and initial distributions. They only build graph."""

from __future__ import annotations

from typing import NoReturn

from graphc.ir.elsewhere import LAYERS_ELSEWHERE, missing
from graphc.nn.activations import (
    ELU,
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from graphc.nn.containers import Sequential
from graphc.nn.dropout import Dropout
from graphc.nn.linear import Linear
from graphc.nn.losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, L1Loss, MSELoss, NLLLoss
from graphc.nn.module import Module
from graphc.nn.shapes import Flatten, Identity
from graphc.state import Parameter

__all__ = [
    "ELU",
    "GELU",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Identity",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "Module",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
]


def __getattr__(name: str) -> NoReturn:
    raise missing("module 'graphc.nn'", name, __all__, LAYERS_ELSEWHERE)
