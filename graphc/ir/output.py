"""One result of a graph, and what becomes of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from graphc.ir.cell import Cell
from graphc.ir.node import Node

__all__ = ["Output", "OutputRole"]


class OutputRole(enum.Enum):
    """An output is given to the caller (a value or a gradient) or stored in a cell (an update)."""

    OUTPUT = "output"
    GRADIENT = "gradient"
    UPDATE = "update"


@dataclass(frozen=True, eq=False)
class Output:
    """An update stores `node` in `cell` after everything that reads the cell has read it."""

    node: Node
    role: OutputRole
    name: str
    cell: Cell | None = None
