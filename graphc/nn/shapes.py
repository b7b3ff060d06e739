"""Modules without parameters that change the shape, or nothing."""

from __future__ import annotations

from graphc.ir import Tensor
from graphc.nn.module import Module

__all__ = ["Flatten", "Identity"]


class Identity(Module):
    """Gives what it takes. Arguments of the constructor are ignored, as in torch."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return x


class Flatten(Module):
    """Makes one dimension of those from `start_dim` to `end_dim`; by default of all but the batch."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
