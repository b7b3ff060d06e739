"""What a backend makes of a graph, and what the runtime asks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from graphc.state import State
from graphc.types import Array

__all__ = ["Bound", "Executable"]


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


class Executable(Protocol):
    """Immutable result of lowering; `bind` may be called from several threads."""

    @property
    def source(self) -> str:
        """The generated code, empty when there is none."""
        ...

    def bind(self, sizes: Mapping[str, int], state: State) -> Bound: ...
