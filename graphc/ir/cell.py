"""A cell: one value that changes between calls. The graph refers to cells; their values live in a State."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable

import torch

from graphc.types import TensorType

__all__ = ["Cell", "Role"]


_serials = itertools.count()


class Role(enum.Enum):
    """What a cell is for, which is also how a State groups it."""

    PARAMETER = "parameter"
    SLOT = "slot"
    HYPER = "hyper"
    RANDOM = "random counter"


class Cell:
    """Compared by identity. `value` is the live value in the default State; `initial` draws a fresh one, on the CPU
    from the generator that it is given, or if None from torch's.

    `type` has no symbolic sizes. `name` is only a label, set by the module that owns the cell. `serial` counts cells in
    the order of their construction, which is the order in which initial values are drawn.
    """

    __slots__ = ("__weakref__", "initial", "name", "role", "serial", "type", "value")

    def __init__(
        self,
        name: str,
        type: TensorType,
        role: Role,
        value: torch.Tensor,
        initial: Callable[[torch.Generator | None], torch.Tensor],
    ) -> None:
        self.name = name
        self.type = type
        self.role = role
        self.value = value
        self.initial = initial
        self.serial = next(_serials)

    def __repr__(self) -> str:
        return f"<{self.role.value} {self.name!r} {self.type}>"
