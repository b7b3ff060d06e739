"""A module with a parameter of its own and one below it."""

from __future__ import annotations

from typing import Any

import torch

import graphc
from graphc import nn


class Block(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))
        self.inner = nn.Linear(size, size)

    def forward(self, x: graphc.Tensor) -> Any:
        return self.inner(x) * self.scale
