"""Measuring a step task by task: a second library, made of the same plan, reads a counter after each of them."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.c.executable import NativeExecutable
from graphc.backends.c.source import generate_native
from graphc.backends.c.torch_functions import share_count
from graphc.state import State
from graphc.types import Array

__all__ = ["Measurement", "TimedStep"]

ROUND = 1e-3
"""Seconds of one measurement; medians of many are not disturbed by what else the machine does now and then."""

FEWEST = 3
"""Measurements at least."""


@dataclass(frozen=True)
class Measurement:
    """Seconds of each task, and of what a call does before its steps and after them; `steps` have been measured."""

    tasks: tuple[float, ...]
    enter: float
    leave: float
    steps: int
    threads: int


class TimedStep:
    """The step of an executable with a counter, on a State and inputs of its own."""

    def __init__(
        self, executable: NativeExecutable, sizes: Mapping[str, int], state: State, inputs: Sequence[Array]
    ) -> None:
        """Runs once. `state` is that of the measurements, which all start from its present values."""
        timed = NativeExecutable(executable.plan, generate_native(executable.plan, timed=True))
        self._function = timed.library["graphc_profile"]
        self._function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long)
        self._function.restype = ctypes.c_double
        self._state = state
        self._start = state.copy()
        self._bound = timed.bind(sizes, state)
        symbols = executable.plan.graph.symbols
        self._numbers = (ctypes.c_long * (len(symbols) + 1))(*(sizes[name] for name in symbols), 1)
        self._count = len(executable.plan.tasks)
        arrays = [array.contiguous() for array in inputs]
        self._kept = arrays, self._bound.run(*arrays)  # the table has their addresses

    @property
    def threads(self) -> int | None:
        """How many threads the work is worth; None for as many as there are."""
        return self._bound.threads

    def measure(self, seconds: float) -> Measurement:
        """Run for about so many seconds."""
        taken = min(self._round(1)[1] for _ in range(2))
        repeats = max(1, round(ROUND / max(taken, 1e-9)))
        rounds: list[list[int]] = []
        passed = 0.0
        end = time.perf_counter() + seconds
        while len(rounds) < FEWEST or time.perf_counter() < end:
            ticks, taken = self._round(repeats)
            rounds.append(ticks)
            passed += taken
        columns: list[tuple[int, ...]] = list(zip(*rounds, strict=True))
        *tasks, empty, enter, leave, whole = columns
        tick = passed / sum(whole)

        def time_of(counts: Sequence[int], times: int) -> float:
            found = sorted(a / times - b / repeats for a, b in zip(counts, empty, strict=True))
            return tick * max(0.0, found[len(found) // 2])

        return Measurement(
            tuple(time_of(counts, repeats) for counts in tasks),
            time_of(enter, 1),
            time_of(leave, 1),
            repeats * len(rounds),
            self._numbers[-1],
        )

    def _round(self, repeats: int) -> tuple[list[int], float]:
        """Ticks as `graphc_profile` counts them, and the seconds of all."""
        for cell in self._start.cells:
            self._state.read(cell).copy_(self._start.read(cell))
        ticks = (ctypes.c_uint64 * (self._count + 4))()
        self._numbers[-1] = share_count()
        table = ctypes.addressof(self._bound.table)
        taken: float = self._function(ctypes.addressof(self._numbers), table, ctypes.addressof(ticks), repeats)
        return list(ticks), taken
