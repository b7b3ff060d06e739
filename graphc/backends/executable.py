"""What a backend makes of a graph, and what the runtime asks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from graphc.state import State
from graphc.types import Array

__all__ = ["Bound", "Executable", "Loop", "Position"]


@dataclass(frozen=True)
class Position:
    """How far a training run is: `epochs` are done, `samples` of the next one are seen.

    `totals` are the sums of the scalar outputs over these samples.
    """

    epochs: int = 0
    samples: int = 0
    totals: tuple[float, ...] = ()


class Bound(Protocol):
    """An executable with sizes, a State and a workspace, for one call at a time.

    `run` takes checked inputs, gives outputs that belong to the caller, and updates the State.
    """

    @property
    def run(self) -> Callable[..., Sequence[Array]]: ...

    @property
    def threads(self) -> int | None:
        """How many threads the work is worth; None for as many as there are."""
        ...

    @property
    def nbytes(self) -> int:
        """Size of the workspace."""
        ...

    @property
    def written(self) -> tuple[int, int]:
        """All updated cells lie between these addresses, and perhaps other memory."""
        ...

    def reads_and_writes(self, address: int) -> bool:
        """Whether an input at `address` would change while the step runs, since an updated cell lies there."""
        ...

    def is_current(self, state: State) -> bool:
        """Whether the State still keeps its values where this binding reads and writes them."""
        ...


class Loop(Protocol):
    """A training run that does without Python between two steps, and can be gone on with."""

    def look_at(self, held_out: Any) -> Loop:
        """The same run, with an epoch of `held_out` after each of its own: a Loop of the same kind, without updates."""
        ...

    @property
    def threads(self) -> int | None:
        """How many threads the work is worth; None for as many as there are."""
        ...

    @property
    def position(self) -> Position:
        """How far the run is."""
        ...

    def is_current(self, state: State) -> bool:
        """Whether the State still keeps its values where this run reads and writes them."""
        ...

    def advance(self, epochs: int) -> None:
        """Go on until `epochs` are done, or for some hundredths of a second. The State is whole afterwards."""
        ...

    def results(self, first: int, last: int) -> Iterable[tuple[Sequence[float], float]]:
        """For epochs `first` (counted from 0) up to before `last`, done by the last `advance`: the means of the scalar
        outputs, weighted by samples, then those of the held-out run; and the seconds that the epoch took without it.
        """
        ...


class Executable(Protocol):
    """Immutable result of lowering; `bind` may be called from several threads."""

    @property
    def source(self) -> str:
        """The generated code, empty when there is none."""
        ...

    def bind(self, sizes: Mapping[str, int], state: State) -> Bound: ...

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
        """A run over `data` from `start` on, with batches of the first of `sizes`, the last one of an
        epoch of the second. `shuffle` is a seed and the stream of random numbers, None for the order of the data.

        None where the backend leaves the loop to Python.
        """
        ...
