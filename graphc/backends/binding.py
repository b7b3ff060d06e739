"""What bindings to a State have in common: the tensors they read and write, whether these are still the State's, and
that there is memory for a call.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Container, Iterable, Mapping, Sequence
from operator import is_

from graphc import dims
from graphc.capacity import fits, refusal
from graphc.ir import Cell, Node
from graphc.state import State
from graphc.types import Array, TensorType

__all__ = ["Binding", "need_for_call"]


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


def need_for_call(nbytes: int, held: Iterable[Node], sizes: Mapping[str, int]) -> None:
    """Raises MemoryLimitError if a call cannot have `nbytes`, which are for the values `held`."""
    if fits(nbytes):
        return

    def type_of(node: Node) -> TensorType:
        return TensorType(tuple(dims.evaluate(size, sizes) for size in node.type.shape), node.type.dtype)

    largest = max(held, key=lambda node: dims.evaluate(node.type.nbytes, sizes))
    with_sizes = f" with {', '.join(f'{name} = {value}' for name, value in sizes.items())}" if sizes else ""
    what = f"a call{with_sizes}, whose largest value is {type_of(largest)} of {largest.op.name},"
    raise refusal(nbytes, what, largest.origin.location)


def _addresses(value: Array) -> tuple[int, int]:
    """Where the storage of a tensor starts and ends."""
    storage = value.untyped_storage()
    return storage.data_ptr(), storage.data_ptr() + storage.nbytes()
