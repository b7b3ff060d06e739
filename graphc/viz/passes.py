"""What each stage of compilation made of a program: graphs compared with those before them, and all that came after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphc.backends.c import NativePlan, NativeSource, Relayout
from graphc.backends.torch_plan import PlanSource
from graphc.errors import one_line
from graphc.ir import Graph
from graphc.memory import MemoryPlan
from graphc.runtime import Program
from graphc.runtime.stage import Stage
from graphc.schedule import KernelSchedule, Schedule
from graphc.viz.compare import Comparison, compare
from graphc.viz.model import Change

__all__ = ["PassRow", "PassTable", "pass_rows"]


@dataclass(frozen=True)
class PassRow:
    """One stage. `comparison` is that of its graph with the graph before it, if there are both.

    `counts` says how often each rule fired, `made` in words what there is after the stage.
    """

    name: str
    seconds: float
    counts: Mapping[str, int]
    made: str
    comparison: Comparison | None = None

    @property
    def nodes_before(self) -> int | None:
        """How many nodes the graph had, without inputs that nothing reads; None where no graphs are compared."""
        return None if self.comparison is None else len(self.comparison.before.nodes)

    @property
    def nodes_after(self) -> int | None:
        """How many it has now."""
        return None if self.comparison is None else len(self.comparison.after.nodes)

    @property
    def added(self) -> int:
        return self._count(Change.ADDED)

    @property
    def removed(self) -> int:
        return self._count(Change.REMOVED)

    @property
    def rewritten(self) -> int:
        return self._count(Change.REWRITTEN)

    def _count(self, change: Change) -> int:
        return 0 if self.comparison is None else self.comparison.counts[change]

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table, as text; a number that is 0 is left out."""
        changes = zip("+-~", (self.added, self.removed, self.rewritten), strict=True)
        signed = (f"{sign}{count:,}" if count else "" for sign, count in changes)
        rules = "  ".join(f"{one_line(rule)} ×{count:,}" for rule, count in self.counts.items())
        return one_line(self.name), f"{self.seconds * 1e3:.2f}", self.made, *signed, rules


@dataclass(frozen=True)
class PassTable:
    """Rows that print as a table."""

    rows: tuple[PassRow, ...]

    def __str__(self) -> str:
        titles = ("stage", "ms", "made", "added", "removed", "rewritten", "rules")
        table = [titles, *(row.cells for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for cells in table:
            padded = [
                cell.ljust(width) if title in ("stage", "made", "rules") else cell.rjust(width)
                for title, cell, width in zip(titles, cells, widths, strict=True)
            ]
            lines.append("  ".join(padded).rstrip())
        return "\n".join(lines) + "\n"


def pass_rows(program: Program) -> tuple[PassRow, ...]:
    """A row for each stage of compilation, in order."""
    return tuple(_rows(program.stages))


def _rows(stages: Sequence[Stage]) -> Iterator[PassRow]:
    before: Graph | None = None
    for stage in stages:
        comparison = None
        if isinstance(stage.value, Graph):
            comparison = None if before is None else compare(before, stage.value)
            before = stage.value
        yield PassRow(stage.name, stage.seconds, stage.counts, _made(stage.value), comparison)


def _made(value: object) -> str:
    match value:
        case Graph():
            return _many(len(value.nodes), "node")
        case KernelSchedule():
            return _many(len(value.kernels), "kernel")
        case Schedule():
            return _many(sum(not step.is_view for step in value.steps), "call")
        case MemoryPlan():
            return _many(len(value.slots), "piece") + " of scratch memory"
        case NativePlan():
            copies = sum(isinstance(task, Relayout) for task in (*value.enter, *value.tasks, *value.leave))
            kernels = sum(not isinstance(task, Relayout) for task in value.tasks)
            return (
                f"{_many(kernels, 'kernel')}, {_many(copies, 'copy', 'copies')}, {_many(len(value.buffers), 'buffer')}"
            )
        case NativeSource() | PlanSource():
            return f"{_many(len(value.text.encode()), 'byte')} of source"
        case str():
            file = Path(value)
            return f"{_many(file.stat().st_size, 'byte')} of machine code" if file.is_file() else "a library"
        case _:
            return f"a {type(value).__name__}"


def _many(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
