"""Native code for values on the CPU, torch calls for those anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.executable import Bound, Executable, Loop, Position
from graphc.ir.lazy import lazy
from graphc.state import State
from graphc.types import Array

__all__ = ["ByDevice"]


@dataclass(frozen=True, eq=False)
class ByDevice:
    """Runs `native` where the State is on the CPU; `make_other` builds what runs elsewhere, when it is first needed."""

    native: Executable
    make_other: Callable[[], Executable]

    @lazy
    def other(self) -> Executable:
        return self.make_other()

    @property
    def source(self) -> str:
        return self.native.source

    def _for(self, state: State) -> Executable:
        return self.native if state.device.type == "cpu" else self.other

    def bind(self, sizes: Mapping[str, int], state: State) -> Bound:
        return self._for(state).bind(sizes, state)

    def loop(
        self,
        sizes: Sequence[Mapping[str, int]],
        state: State,
        data: Sequence[Array],
        batch: int,
        epochs: int,
        start: Position,
        shuffle: tuple[int, int] | None,
    ) -> Loop | None:
        return self._for(state).loop(sizes, state, data, batch, epochs, start, shuffle)
