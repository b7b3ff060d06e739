"""Slots that are free, found by size in logarithmic time."""

from __future__ import annotations

from bisect import bisect_left, insort

from graphc.dims import Dim, Size

__all__ = ["FreeList"]

NOMINAL = 32
"""The value that symbolic sizes are compared at. A bad guess costs memory, never correctness."""


class FreeList:
    """Hands out slots by number; `sizes` collects what each slot has to hold, in bytes."""

    def __init__(self) -> None:
        self.sizes: list[tuple[Size, ...]] = []
        self._nominal: list[int] = []
        self._free: list[tuple[int, int]] = []

    def take(self, size: Size) -> int:
        """A slot for `size` bytes: the smallest free one that holds them, else the largest, else a new one."""
        wanted = _nominal(size)
        if not self._free:
            self.sizes.append((size,))
            self._nominal.append(wanted)
            return len(self.sizes) - 1
        at = min(bisect_left(self._free, (wanted, -1)), len(self._free) - 1)
        _, slot = self._free.pop(at)
        self.sizes[slot] = tuple(dict.fromkeys((*self.sizes[slot], size)))
        self._nominal[slot] = max(self._nominal[slot], wanted)
        return slot

    def give(self, slot: int) -> None:
        """Let the slot be taken again."""
        insort(self._free, (self._nominal[slot], slot))


def _nominal(size: Size) -> int:
    return size.evaluate(dict.fromkeys(size.symbols, NOMINAL)) if isinstance(size, Dim) else size
