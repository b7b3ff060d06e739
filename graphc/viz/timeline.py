"""The memory of a program over a step: which slot has which value when, and how much is alive at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

from graphc import dims
from graphc.backends.c import NativePlan, Relayout
from graphc.ir import Cell, Graph, Node, Role
from graphc.memory import MemoryPlan
from graphc.memory.plan import Slot
from graphc.runtime import Program
from graphc.schedule import Schedule
from graphc.viz.build import kinds_of
from graphc.viz.errors import DrawingError
from graphc.viz.fold import fold
from graphc.viz.labels import shown
from graphc.viz.model import Kind
from graphc.viz.quantities import bound_sizes

__all__ = ["Bar", "Timeline", "lanes_of", "timeline_of"]

ALIGNMENT = 64
"""Slots are whole cache lines."""


@dataclass(frozen=True)
class Bar:
    """A value in a slot, from step `first` to step `last`, at `offset` bytes in it. `idents` are those of its nodes."""

    slot: int
    first: int
    last: int
    name: str
    nbytes: int
    kind: Kind
    tooltip: tuple[str, ...] = ()
    idents: tuple[int, ...] = ()
    offset: int = 0


@dataclass(frozen=True)
class Timeline:
    """`steps` are what is done, in order; `slots` are the sizes of the pieces of the workspace, in bytes."""

    steps: tuple[str, ...]
    slots: tuple[int, ...]
    bars: tuple[Bar, ...]
    sizes: Mapping[str, int]

    @cached_property
    def live(self) -> tuple[int, ...]:
        """The bytes that hold values at each step; bytes that a value takes over from another one count once."""
        changes = [0] * (len(self.steps) + 1)
        for bars in self._by_slot:
            events: dict[int, set[int]] = {}
            for i, bar in enumerate(bars):
                events.setdefault(bar.first, set()).add(i)
                events.setdefault(bar.last + 1, set()).add(i)
            alive: set[int] = set()
            before = 0
            for step in sorted(events):
                alive ^= events[step]
                now = _covered(bars[i] for i in alive)
                changes[step] += now - before
                before = now
        return tuple(accumulate(changes[:-1]))

    @property
    def peak(self) -> tuple[int, int]:
        """The step at which most is alive, and how many bytes that is."""
        most = max(self.live, default=0)
        return (self.live.index(most) if self.live else 0, most)

    @property
    def total(self) -> int:
        """The bytes of the workspace."""
        return sum(self.slots)

    @cached_property
    def without_reuse(self) -> int:
        """The bytes that it would have if every value had memory of its own; pieces of a pack stay inside it."""
        total = 0
        for bars in self._by_slot:
            end, largest = 0, 0
            for bar in bars:
                if bar.first >= end:  # not together with what was there before: that is read for the last time now
                    total += _aligned(largest)
                    end, largest = bar.last, 0
                largest = max(largest, bar.nbytes)
            total += _aligned(largest)
        return total

    @cached_property
    def _by_slot(self) -> tuple[tuple[Bar, ...], ...]:
        found: dict[int, list[Bar]] = {}
        for bar in self.bars:
            found.setdefault(bar.slot, []).append(bar)
        return tuple(map(tuple, found.values()))


def timeline_of(program: Program, sizes: Mapping[str, int] | None = None) -> Timeline:
    """The memory of a step, for symbolic `sizes` (32 where not given). Raises DrawingError where there is no plan."""
    plan = program.memory
    bound = bound_sizes(program.graph, sizes)
    if isinstance(plan, NativePlan):
        return _of_native(plan, bound)
    schedule = program.schedule
    if plan is None or not isinstance(schedule, Schedule):
        raise DrawingError(
            "there is no memory plan: the reference backend makes a new tensor for every value; "
            'compile it with backend="c" or "torch"'
        )
    return _of_calls(plan, schedule, bound)


def _of_native(plan: NativePlan, sizes: Mapping[str, int]) -> Timeline:
    kinds = _kinds(plan.graph)
    steps = []
    for task in plan.tasks:
        if isinstance(task, Relayout):
            steps.append(f"copy of {shown(plan.label(task.source))}")
        else:
            ops = ", ".join(dict.fromkeys(node.op.name for node in task.kernel.nodes)) or "copy"
            steps.append(f"k{task.kernel.index} {ops}")
    readers: dict[Cell, list[Node]] = {}
    for node in plan.graph.nodes:
        if node.op.cell is not None:
            readers.setdefault(node.op.cell, []).append(node)
    bars = []
    for buffer, slot in plan.slot_of.items():
        owner = buffer.owner
        nodes = (
            readers.get(owner, []) if isinstance(owner, Cell) else [owner if isinstance(owner, Node) else owner.node]
        )
        cell = owner if isinstance(owner, Cell) else owner.op.cell if isinstance(owner, Node) else owner.cell
        kind = kinds.get(nodes[0], Kind.OP) if cell is None else _kind_of_cell(cell)
        name = f"{plan.label(buffer)} {nodes[0].op.name}" if cell is None else cell.name
        size = dims.evaluate(buffer.nbytes, sizes)
        place = _Place(slot, *plan.lifetimes[buffer], size)
        bars.append(_bar(place, name, kind, f"{buffer.type}, {buffer.layout}", nodes, steps))
    return Timeline(tuple(steps), tuple(plan.slot_sizes(sizes)), _sorted(bars), sizes)


def _of_calls(plan: MemoryPlan, schedule: Schedule, sizes: Mapping[str, int]) -> Timeline:
    """Views are no steps here: they take neither memory nor time."""
    kinds = _kinds(schedule.graph)
    names = schedule.names
    done = tuple(accumulate((not step.is_view for step in schedule.steps), initial=0))
    steps = [
        f"{step.call.function.__name__ if step.call is not None else step.node.op.name} {names[step.node]}"
        for step in schedule.steps
        if not step.is_view
    ]
    if plan.copies:
        steps.append("copies into cells")
    bars = []
    for node, area in plan.places.items():
        if isinstance(area.area, Slot):
            first, last = plan.lifetimes[node]
            end = done[last + 1] - 1 if last < len(schedule.steps) else len(steps) - 1
            size = dims.evaluate(node.type.nbytes, sizes)
            place = _Place(area.area.index, done[first], end, size, area.offset)
            name = f"{names[node]} {node.op.name}"
            bars.append(_bar(place, name, kinds.get(node, Kind.OP), str(node.type), [node], steps))
    return Timeline(tuple(steps), tuple(slot.nbytes(sizes) for slot in plan.slots), _sorted(bars), sizes)


class _Place(NamedTuple):
    slot: int
    first: int
    last: int
    nbytes: int
    offset: int = 0


def _bar(place: _Place, name: str, kind: Kind, note: str, nodes: Sequence[Node], steps: Sequence[str]) -> Bar:
    slot, first, last, nbytes, offset = place
    tooltip = (
        f"{shown(name, None)}: {note}",
        f"{nbytes:,} bytes in slot {slot}" + (f" at {offset}" if offset else ""),
        f"from step {first} ({steps[first]}) to step {last} ({steps[last]})",
        shown(nodes[0].origin.location, None) if nodes else "",
    )
    idents = tuple(dict.fromkeys(node.origin.ident for node in nodes))
    return Bar(slot, first, last, shown(name), nbytes, kind, tuple(line for line in tooltip if line), idents, offset)


def _kind_of_cell(cell: Cell) -> Kind:
    return Kind.PARAMETER if cell.role is Role.PARAMETER else Kind.STATE


def _kinds(graph: Graph) -> dict[Node, Kind]:
    return kinds_of(graph, fold(graph))


def _sorted(bars: Iterable[Bar]) -> tuple[Bar, ...]:
    return tuple(sorted(bars, key=lambda bar: (bar.slot, bar.first, bar.offset)))


def _covered(bars: Iterable[Bar]) -> int:
    """The bytes of a slot that are in at least one of `bars`."""
    total = end = 0
    for start, stop in sorted((bar.offset, bar.offset + bar.nbytes) for bar in bars):
        total += max(stop - max(start, end), 0)
        end = max(end, stop)
    return total


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def lanes_of(bars: Sequence[Bar]) -> Iterator[tuple[Bar, int]]:
    """Each bar with its lane in its slot: what is alive at the same time stands one above the other.

    A value that is written over one that is read for the last time follows it in its lane.
    """
    ends: dict[int, list[int]] = {}
    for bar in bars:
        taken = ends.setdefault(bar.slot, [])
        lane = next((k for k, end in enumerate(taken) if end <= bar.first), len(taken))
        taken[lane : lane + 1] = [bar.last]
        yield bar, lane
