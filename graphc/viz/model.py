"""A drawing: boxes, arrows and the frames around them, as values that know nothing of any picture format."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["STORED", "Arrow", "Box", "Drawing", "Entry", "Frame", "Kind"]


class Kind(enum.Enum):
    """What a box stands for, which decides its shape and colours."""

    INPUT = "input"
    PARAMETER = "parameter"
    SHARED = "shared parameter"
    STATE = "state"
    CONSTANT = "constant"
    OP = "operation"
    GRADIENT_OP = "backward operation"
    UPDATE_OP = "update operation"
    OUTPUT = "output"
    GRADIENT = "gradient"
    UPDATE = "new value"


STORED = frozenset({Kind.PARAMETER, Kind.SHARED, Kind.STATE})
"""What has its value from before the call."""


@dataclass(frozen=True)
class Box:
    """`lines` are drawn one under another; `frame` is the index of the innermost frame around the box."""

    kind: Kind
    lines: tuple[str, ...]
    tooltip: tuple[str, ...] = ()
    frame: int | None = None


@dataclass(frozen=True)
class Arrow:
    """From one box to another, by index. `mark` says which operand it is, where the shapes do not."""

    tail: int
    head: int
    label: str = ""
    mark: str = ""
    tooltip: tuple[str, ...] = ()


@dataclass(frozen=True)
class Frame:
    """One module, however often it was called. A frame comes after the frame around it, `parent`."""

    title: str
    calls: int = 1
    tooltip: tuple[str, ...] = ()
    parent: int | None = None


@dataclass(frozen=True)
class Entry:
    """One line of the legend: a kind of box, or None for the frame of a module that was called more than once."""

    kind: Kind | None
    text: str


@dataclass(frozen=True)
class Drawing:
    """Everything that is to be seen; where it stands is decided by the layout."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...] = ()
    frames: tuple[Frame, ...] = ()
    legend: tuple[Entry, ...] = ()
