"""A drawing: boxes, arrows and the frames around them, as values that know nothing of any picture format."""

from __future__ import annotations

import enum
from dataclasses import dataclass

__all__ = ["STORED", "Arrow", "Box", "Change", "Drawing", "Entry", "Frame", "FrameKind", "Heat", "Kind"]


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
    GROUP = "collapsed"
    OUTPUT = "output"
    GRADIENT = "gradient"
    UPDATE = "new value"
    ERROR = "error"


STORED = frozenset({Kind.PARAMETER, Kind.SHARED, Kind.STATE})
"""What has its value from before the call."""


class FrameKind(enum.Enum):
    """What a frame is drawn around."""

    MODULE = "module"
    SHARED = "shared module"
    BACKWARD = "backward of a module"
    UPDATE = "update"
    KERNEL = "kernel"
    REPEAT = "repeated block"
    PART = "part"


class Change(enum.Enum):
    """What became of a node from one graph to another."""

    ADDED = "added"
    REMOVED = "removed"
    REWRITTEN = "rewritten"
    SAME = "unchanged"


@dataclass(frozen=True)
class Heat:
    """What was measured of a box or a frame: `text` as it is written, `share` of the largest, from 0 to 1."""

    text: str
    share: float


@dataclass(frozen=True)
class Box:
    """`lines` are drawn one under another; `frame` is the index of the innermost frame around the box.

    `nodes` are the idents of the graph's nodes that it stands for, the same in every drawing of a program. `like` is
    the box of the first repetition that a box of a later one stands under when its block is folded.
    """

    kind: Kind
    lines: tuple[str, ...]
    tooltip: tuple[str, ...] = ()
    frame: int | None = None
    nodes: tuple[int, ...] = ()
    like: int | None = None
    heat: Heat | None = None
    change: Change | None = None
    id: str = ""


@dataclass(frozen=True)
class Arrow:
    """From one box to another, by index. `mark` says which operand it is, where the shapes do not."""

    tail: int
    head: int
    label: str = ""
    mark: str = ""
    tooltip: tuple[str, ...] = ()
    change: Change | None = None
    id: str = ""


@dataclass(frozen=True)
class Frame:
    """A module however often it was called, a kernel, an update … A frame comes after the frame around it, `parent`.

    `calls` counts the calls of a module, `times` the repetitions of a block, of which a folded drawing shows one,
    `parameters` the values of the parameters inside.
    `contents` says in a line what is inside, for the box that stands for the frame when it is closed. `path` and
    `type_` are those of a module, `kernel` is the number of a kernel, `closed` what kind of box the closed frame is.
    """

    title: str
    calls: int = 1
    tooltip: tuple[str, ...] = ()
    parent: int | None = None
    kind: FrameKind = FrameKind.MODULE
    times: int = 1
    contents: str = ""
    parameters: int = 0
    path: str = ""
    type_: str = ""
    kernel: int | None = None
    closed: Kind = Kind.GROUP
    heat: Heat | None = None
    change: Change | None = None
    id: str = ""


@dataclass(frozen=True)
class Entry:
    """One line of the legend: a kind of box or of frame, or what became of a node, and its text."""

    kind: Kind | FrameKind | Change
    text: str


@dataclass(frozen=True)
class Drawing:
    """Everything that is to be seen; where it stands is decided by the layout. `caption` is written under it.

    Boxes, arrows and frames that are left of a larger drawing have the `id` that they have there.
    """

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...] = ()
    frames: tuple[Frame, ...] = ()
    legend: tuple[Entry, ...] = ()
    caption: tuple[str, ...] = ()
