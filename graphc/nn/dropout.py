"""Dropout."""

from __future__ import annotations

from graphc.ir import Tensor
from graphc.nn.module import Module
from graphc.ops import check_probability, dropout

__all__ = ["Dropout"]


class Dropout(Module):
    """Drops elements with probability p in programs that train, where it scales the others by 1 / (1 - p)."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        check_probability(type(self).__name__, p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"
