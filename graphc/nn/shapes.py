"""Modules without parameters that change the shape, or nothing."""

from __future__ import annotations

from graphc.errors import ShapeError, brief
from graphc.ir import Tensor, complaint
from graphc.nn.module import Module
from graphc.types import as_index

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
        for name, dim in (("start_dim", start_dim), ("end_dim", end_dim)):
            if as_index(dim) is None:
                problem = f"{name}, a dimension, is an integer, not {brief(dim)}"
                raise complaint(ShapeError, "Flatten", problem, remedy="write nn.Flatten() for all but the batch")
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
