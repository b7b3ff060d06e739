"""The checker: replays a schedule on a memory plan and finds every value that is read after it was overwritten.

It knows nothing of how the planner decides. Areas are byte ranges with the values that they hold at
the moment; every write drops what it overlaps, every read looks for its value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from graphc import dims
from graphc.errors import VerifyError
from graphc.ir import Cell, Node, Output
from graphc.memory.plan import Area, CellGroup, MemoryPlan, Place, Slot
from graphc.ops import Pack
from graphc.schedule import Schedule, Step
from graphc.types import Array

__all__ = ["check"]


@dataclass(frozen=True)
class _Range:
    start: int
    stop: int

    def overlaps(self, other: _Range) -> bool:
        """Whether there is a byte in both."""
        return max(self.start, other.start) < min(self.stop, other.stop)


@dataclass
class _Memory:
    """What each area holds: ranges of bytes by the value in them."""

    areas: dict[Area, dict[object, _Range]] = field(default_factory=dict)

    def write(self, area: Area, value: object, at: _Range, keep: frozenset[object] = frozenset()) -> None:
        held = self.areas.setdefault(area, {})
        for other in [other for other, range_ in held.items() if range_.overlaps(at) and other not in keep]:
            del held[other]
        held[value] = at

    def holds(self, area: Area, value: object, at: _Range) -> bool:
        return self.areas.get(area, {}).get(value) == at


def check(schedule: Schedule, plan: MemoryPlan, sizes: Mapping[str, int]) -> None:
    """Check `plan` for one binding of sizes. Raises VerifyError with the step and the value that is lost."""
    _Check(schedule, plan, sizes).run()


class _Check:
    def __init__(self, schedule: Schedule, plan: MemoryPlan, sizes: Mapping[str, int]) -> None:
        self.schedule = schedule
        self.plan = plan
        self.sizes = sizes
        self.memory = _Memory()
        self.names = schedule.names

    def run(self) -> None:
        """Two calls; the second finds the settings as the first has left them, and cells that somebody has set."""
        self._bounds()
        for first in (0, self.schedule.settings):
            for group in self.plan.groups:
                for cell in group.cells:
                    self.memory.write(group, cell, self._cell_range(group, cell))
            for i, step in enumerate(self.schedule.steps[first:], first):
                if not step.is_view:
                    self._step(i, step)
            self._finish()

    def _bounds(self) -> None:
        for node, place in self.plan.places.items():
            room = (
                place.area.nbytes(self.sizes)
                if isinstance(place.area, Slot)
                else sum(dims.evaluate(cell.type.nbytes, {}) for cell in place.area.cells)
            )
            if place.offset < 0 or self._range(node, place).stop > room:
                raise VerifyError(f"memory plan: {self.names[node]} does not fit {place.area}, which has {room} bytes")
            if place.offset % node.type.dtype.itemsize:
                raise VerifyError(f"memory plan: {self.names[node]} is not aligned to its element size")

    def _step(self, i: int, step: Step) -> None:
        place = self.plan.places.get(step.node)
        inside = self._lie_inside(step) if isinstance(step.node.op, Pack) else frozenset()
        for x in step.operands:
            self._read(f"step {i}, {self.names[step.node]},", x)
        if place is None:
            return
        at = self._range(step.node, place)
        for position, x in enumerate(step.operands):
            root = self.schedule.root(x)
            home = self.plan.places.get(root)
            if home is None or home.area is not place.area or root in inside:
                continue
            there = self._range(root, home)
            if there.overlaps(at) and not (
                x is root and there == at and step.call is not None and position in step.call.alias
            ):
                raise VerifyError(
                    f"memory plan: step {i} writes {self.names[step.node]} over its operand {self.names[x]}, "
                    "which its call does not allow"
                )
        keep: frozenset[object] = inside | {x.op.cell for x in inside if x.op.cell is not None}
        self.memory.write(place.area, step.node, at, keep)

    def _read(self, who: str, node: Node) -> None:
        root = self.schedule.root(node)
        place = self.plan.places.get(root)
        if place is None:
            return
        value: object = root if root.op.cell is None else root.op.cell
        if not self.memory.holds(place.area, value, self._range(root, place)):
            raise VerifyError(f"memory plan: {who} reads {self.names[root]} after its memory was overwritten")

    def _lie_inside(self, pack: Step) -> frozenset[Node]:
        """The operands of a pack that are at their places inside it already."""
        found = set()
        before = 0
        for x in pack.operands:
            home, piece = self.plan.places.get(pack.node), self.plan.places.get(self.schedule.whole(x))
            if home and piece and home.area is piece.area and piece.offset == home.offset + before:
                found.add(self.schedule.whole(x))
            before += dims.evaluate(x.type.nbytes, self.sizes)
        return frozenset(found)

    def _finish(self) -> None:
        """Outputs are given, then copies made; then updated cells hold their new values, and others the old ones."""
        for output in self.schedule.graph.outputs:
            if output.cell is None:
                self._read(f"output {output.name}", output.node)
        for output in self.plan.copies:
            self._read(f"the update of {output.name}", output.node)
        copied = {output.cell for output in self.plan.copies}
        updates = {output.cell: output for output in self.schedule.graph.outputs if output.cell is not None}
        for group in self.plan.groups:
            for cell in group.cells:
                if cell in updates and cell not in copied:
                    self._reaches(updates[cell], group, cell)
                elif cell not in updates and not self.memory.holds(group, cell, self._cell_range(group, cell)):
                    raise VerifyError(f"memory plan: {cell} has no update, but its memory is overwritten")

    def _reaches(self, update: Output, group: CellGroup, cell: Cell) -> None:
        """An update that is not copied lies in its cell, element by element."""
        self._read(f"the update of {update.name}", update.node)
        root = self.schedule.root(update.node)
        place = self.plan.places.get(root)
        if place is None or place.area is not group:
            raise VerifyError(f"memory plan: the update of {update.name} never reaches its cell")
        before, rest = divmod(self._cell_range(group, cell).start - place.offset, cell.type.dtype.itemsize)
        positions = self._positions(update.node, root)
        if rest or not torch.equal(positions, torch.arange(before, before + positions.numel(), device="cpu")):
            raise VerifyError(f"memory plan: the update of {update.name} reaches other places than its cell")

    def _positions(self, node: Node, root: Node) -> Array:
        """Where in the memory of `root` the elements of a view lie, counted in elements."""
        views = []
        while node is not root:
            views.append(node)
            (node,) = node.inputs
        shape = [dims.evaluate(size, self.sizes) for size in root.type.shape]
        positions = torch.arange(math.prod(shape), device="cpu").view(shape)
        for view in reversed(views):
            positions = view.op.bound(self.sizes).eval(positions)
        return positions.reshape(-1)

    def _cell_range(self, group: CellGroup, cell: Cell) -> _Range:
        start = group.offset(cell)
        return _Range(start, start + dims.evaluate(cell.type.nbytes, {}))

    def _range(self, node: Node, place: Place) -> _Range:
        return _Range(place.offset, place.offset + dims.evaluate(node.type.nbytes, self.sizes))
