"""What bindings to a State have in common: the tensors they read and write, and whether these are still the State's."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Container, Sequence
from operator import is_

from graphc.ir import Cell
from graphc.state import State
from graphc.types import Array

__all__ = ["Binding"]


class Binding:
    """The tensors `values` of `cells`, of which those in `updated` are written."""

    __slots__ = ("_cells", "_moves", "_values", "_written", "written")

    def __init__(
        self, cells: Sequence[Cell], values: Sequence[Array], updated: Container[Cell | None], moves: int
    ) -> None:
        """`moves` is what the State had counted before `values` were read."""
        self._cells = cells
        self._values = values
        self._moves = moves
        self._written = sorted({_addresses(value) for cell, value in zip(cells, values) if cell in updated})
        self.written = (self._written[0][0], max(stop for _, stop in self._written)) if self._written else (0, 0)

    def is_current(self, state: State) -> bool:
        """Whether the State still keeps its values in these tensors."""
        moves = state.moves
        if self._moves != moves:
            if not all(map(is_, map(state.read, self._cells), self._values)):
                return False
            self._moves = moves
        return True

    def reads_and_writes(self, address: int) -> bool:
        """Whether the memory of an updated cell lies at `address`."""
        # Ranges in order, so that only the last one that starts before the address can have it.
        place = bisect_right(self._written, (address, math.inf)) - 1
        return place >= 0 and address < self._written[place][1]


def _addresses(value: Array) -> tuple[int, int]:
    """Where the storage of a tensor starts and ends."""
    storage = value.untyped_storage()
    return storage.data_ptr(), storage.data_ptr() + storage.nbytes()
