"""The memory plan: a place for every value that a schedule stores.

Slots are chosen by liveness when compiling; a slot is as large as the largest of its buffers once sizes are bound, so a
new batch size plans nothing anew. Cells that one flat operation reads live side by side in a cell group; an update is
written over the old values when nothing reads them afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from graphc import dims
from graphc.dims import Size
from graphc.errors import one_line
from graphc.ir import Cell, Node, Output
from graphc.ir.lazy import lazy
from graphc.memory.free_list import FreeList
from graphc.ops import CellValue, Pack
from graphc.ops.views import Reshape, Slice
from graphc.schedule import Schedule, Step
from graphc.types import check_sizes

__all__ = ["Area", "CellGroup", "MemoryPlan", "Place", "Slot", "plan"]

ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register."""


@dataclass(frozen=True, eq=False)
class Slot:
    """Scratch memory that several buffers use one after another; `sizes` are theirs, in bytes."""

    index: int
    sizes: tuple[Size, ...]

    def nbytes(self, sizes: Mapping[str, int]) -> int:
        largest = max(dims.evaluate(size, sizes) for size in self.sizes)
        return -(-largest // ALIGNMENT) * ALIGNMENT

    def __str__(self) -> str:
        return f"slot {self.index}"


@dataclass(frozen=True, eq=False)
class CellGroup:
    """Cells of one dtype whose values lie one after another in a flat tensor of the State."""

    index: int
    cells: tuple[Cell, ...]

    def offset(self, cell: Cell) -> int:
        """Where the cell's value starts, in bytes."""
        return self._offsets[cell]

    @lazy
    def _offsets(self) -> dict[Cell, int]:
        ends = accumulate(dims.evaluate(cell.type.nbytes, {}) for cell in self.cells)
        return dict(zip(self.cells, (0, *ends)))

    def __str__(self) -> str:
        return f"cells {self.index}"


Area = Slot | CellGroup


@dataclass(frozen=True)
class Place:
    """An area, and the offset in it in bytes."""

    area: Area
    offset: int = 0


@dataclass(frozen=True, eq=False)
class MemoryPlan:
    """`places` has the stored nodes and the values of cells. What has no place is an input, or made by each call.

    `copies` are the updates that are copied into their cells at the end; the others are written in place.
    """

    slots: tuple[Slot, ...]
    groups: tuple[CellGroup, ...]
    places: Mapping[Node, Place]
    copies: tuple[Output, ...]
    lifetimes: Mapping[Node, tuple[int, int]] = field(repr=False)
    names: Mapping[Node, str] = field(repr=False)

    def nbytes(self, sizes: Mapping[str, int]) -> int:
        """Scratch memory of one call, in bytes. Raises InputError for sizes that are none, or missing."""
        sizes = check_sizes("memory.nbytes", sizes, [size for slot in self.slots for size in slot.sizes])
        return sum(slot.nbytes(sizes) for slot in self.slots)

    def __str__(self) -> str:
        lines = []
        inside: dict[Area, list[tuple[Node, Place]]] = {}
        for node, place in self.places.items():
            inside.setdefault(place.area, []).append((node, place))
        for slot in self.slots:
            lines.append(f"{slot}: {' | '.join(f'{size} bytes' for size in dict.fromkeys(slot.sizes))}")
            for node, place in inside.get(slot, ()):
                first, last = self.lifetimes[node]
                at = f" at {place.offset}" if place.offset else ""
                lines.append(f"  steps {first}..{last}: {self.names[node]} : {node.type}{at}")
        for group in self.groups:
            lines.append(f"{group}: {', '.join(f'{one_line(cell.name)} {cell.type}' for cell in group.cells)}")
            lines.extend(
                f"  updated in place by {self.names[node]}"
                for node, _ in inside.get(group, ())
                if not isinstance(node.op, (CellValue, Pack))
            )
        lines.extend(
            f"copied at the end: {one_line(output.name)} = {self.names[output.node]}" for output in self.copies
        )
        return "\n".join(lines) + "\n"


def plan(schedule: Schedule, *, reuse: bool = True) -> MemoryPlan:
    """The memory plan of `schedule`. Without `reuse`, every buffer has a slot of its own and nothing is in place."""
    return _Planner(schedule, reuse).plan()


class _Planner:
    """One plan in the making. A buffer's owner is the node whose memory it is: the pack, for what lives inside one."""

    def __init__(self, schedule: Schedule, reuse: bool) -> None:
        self.schedule = schedule
        self.reuse = reuse
        self.end = len(schedule.steps)
        self.start = {step.node: i for i, step in enumerate(schedule.steps)}
        self.given = {o.node for o in schedule.graph.outputs if o.cell is None}
        self.updates = [output for output in schedule.graph.outputs if output.cell is not None]
        self.groups: list[CellGroup] = []
        self.group_of: dict[Cell, CellGroup] = {}
        self.group_of_pack: dict[Node, CellGroup] = {}
        self._group_cells()
        self.inside = self._place_in_packs()
        self.last = self._last_uses()
        self.in_place: dict[Node, CellGroup] = {}
        if reuse:
            self.in_place = self._updates_in_place()

    def plan(self) -> MemoryPlan:
        places: dict[Node, Place] = {}
        for node in self.schedule.graph.nodes:
            if node.op.cell is not None:
                group = self.group_of[node.op.cell]
                places[node] = Place(group, group.offset(node.op.cell))
        slot_of, slots = self._assign_slots()
        for step in self.schedule.steps:
            node = step.node
            owner, offset = self.inside.get(node, (node, 0))
            if node in self.group_of_pack:
                places[node] = Place(self.group_of_pack[node])
            elif node in self.in_place:
                places[node] = Place(self.in_place[node])
            elif owner in slot_of and not step.is_view:
                places[node] = Place(slots[slot_of[owner]], offset)
        copies = tuple(
            update
            for update in self.updates
            if update.cell and self.in_place.get(self._flat_source(update)) is not self.group_of[update.cell]
        )
        lifetimes = {node: (self.start.get(node, -1), self.last.get(self._owner(node), self.end)) for node in places}
        return MemoryPlan(slots, tuple(self.groups), places, copies, lifetimes, self.schedule.names)

    def _assign_slots(self) -> tuple[dict[Node, int], tuple[Slot, ...]]:
        """A slot for each owner of a buffer, by one walk over the steps."""
        ending: dict[int, list[Node]] = {}
        for owner, position in self.last.items():
            ending.setdefault(position, []).append(owner)
        free = FreeList()
        slot_of: dict[Node, int] = {}
        handed_on: set[Node] = set()
        for i, step in enumerate(self.schedule.steps):
            owner = self._owner(step.node)
            if self._needs_slot(step) and owner not in slot_of:
                victim = self._operand_to_overwrite(step, i, slot_of) if self.reuse and owner is step.node else None
                if victim is not None:
                    slot_of[owner] = slot_of[victim]
                    handed_on.add(victim)
                else:
                    slot_of[owner] = free.take(owner.type.nbytes)
            if self.reuse:
                for dead in ending.get(i, ()):
                    if dead in slot_of and dead not in handed_on:
                        free.give(slot_of[dead])
        return slot_of, tuple(Slot(index, sizes) for index, sizes in enumerate(free.sizes))

    def _needs_slot(self, step: Step) -> bool:
        node = step.node
        return step.is_stored and not (node in self.given or node in self.in_place or node in self.group_of_pack)

    def _owner(self, node: Node) -> Node:
        root = self.schedule.root(node)
        return self.inside[root][0] if root in self.inside else root

    def _group_cells(self) -> None:
        """Cells that are packed and updated together form a group, in the order of the first pack that has them."""
        updated = {update.cell for update in self.updates}
        for node in self.schedule.graph.nodes:
            if isinstance(node.op, Pack) and node in self.start:
                cells = [x.op.cell for x in node.inputs if x.op.cell is not None]
                if len(set(cells)) == len(node.inputs) and all(c in updated and c not in self.group_of for c in cells):
                    self.group_of_pack[node] = self._new_group(cells)
        for cell in self.schedule.graph.cells:
            if cell not in self.group_of:
                self._new_group([cell])

    def _new_group(self, cells: Sequence[Cell]) -> CellGroup:
        group = CellGroup(len(self.groups), tuple(cells))
        self.groups.append(group)
        self.group_of.update(dict.fromkeys(cells, group))
        return group

    def _place_in_packs(self) -> dict[Node, tuple[Node, int]]:
        """For operands of packs that can be computed in place there: the pack, and the offset in bytes."""
        inside: dict[Node, tuple[Node, int]] = {}
        for step in self.schedule.steps:
            pack = step.node
            if not isinstance(pack.op, Pack) or pack in self.given or pack in self.group_of_pack:
                continue
            offset = 0
            for x in map(self.schedule.whole, step.operands):
                nbytes = x.type.nbytes
                if not isinstance(nbytes, int):
                    break
                producer = self.schedule.step_of.get(x)
                if (
                    producer
                    and producer.is_stored
                    and x not in self.given
                    and not isinstance(x.op, Pack)
                    and self.start[x] >= self.schedule.settings
                ):
                    inside.setdefault(x, (pack, offset))
                offset += nbytes
        return inside

    def _last_uses(self) -> dict[Node, int]:
        """The step after which the owner of a buffer is not read any more.

        It is `end` for what is read when all are done, and for settings, which the next call may read again.
        """
        last: dict[Node, int] = {}
        kept: list[Node] = [output.node for output in self.schedule.graph.outputs]
        for i, step in enumerate(self.schedule.steps):
            last[self._owner(step.node)] = i
            for x in step.operands:
                last[self._owner(x)] = i
                if i >= self.schedule.settings > self.start.get(x, self.end):
                    kept.append(x)
        last.update((self._owner(node), self.end) for node in kept)
        return last

    # Updates.

    def _flat_source(self, update: Output) -> Node:
        """The node whose memory the update's value is a view of."""
        return self.schedule.root(update.node)

    def _updates_in_place(self) -> dict[Node, CellGroup]:
        """Stored nodes that may be written over the old values of a cell group.

        They hold exactly the new values of all cells of the group, in order, and no step after them, nor any output,
        reads the old ones; the step itself reads them only where its call allows the same memory.
        """
        source: dict[CellGroup, set[Node | None]] = {}
        for update in self.updates:
            assert update.cell is not None, "updates have cells"
            group = self.group_of[update.cell]
            fits = _byte_offset(self.schedule, update.node) == group.offset(update.cell)
            source.setdefault(group, set()).add(self._flat_source(update) if fits else None)
        last_read = self._last_reads_of_groups()
        taken: dict[Node, CellGroup] = {}
        updated = {update.cell for update in self.updates}
        for group, nodes in source.items():
            (node, *others) = nodes
            if others or node is None or node in taken or not all(cell in updated for cell in group.cells):
                continue
            step = self.schedule.step_of.get(node)
            if step is None or not self._needs_slot(step) or node in self.inside or isinstance(node.op, Pack):
                continue
            if self.start[node] < self.schedule.settings:
                continue  # not every call computes it
            is_free = last_read.get(group, -1) <= self.start[node] and dims.same(self._total(group), node.type.numel)
            if is_free and all(self._may_overwrite(step, x, group) for x in step.operands):
                taken[node] = group
        return taken

    def _total(self, group: CellGroup) -> Size:
        return sum((cell.type.numel for cell in group.cells), start=0)

    def _last_reads_of_groups(self) -> dict[CellGroup, int]:
        last: dict[CellGroup, int] = {}
        for i, step in enumerate(self.schedule.steps):
            if step.node in self.group_of_pack:
                continue  # the cells lie there already: nothing is read
            for x in step.operands:
                group = self._group_behind(x)
                if group is not None:
                    last[group] = i
        for output in self.schedule.graph.outputs:
            group = self._group_behind(output.node)
            if group is not None:
                last[group] = self.end
        return last

    def _group_behind(self, node: Node) -> CellGroup | None:
        root = self.schedule.root(node)
        return self.group_of[root.op.cell] if root.op.cell is not None else self.group_of_pack.get(root)

    def _may_overwrite(self, step: Step, x: Node, group: CellGroup) -> bool:
        if self._group_behind(x) is not group:
            return True
        is_whole = x in self.group_of_pack or (x.op.cell is not None and len(group.cells) == 1)
        positions = [i for i, operand in enumerate(step.operands) if operand is x]
        return is_whole and step.call is not None and all(i in step.call.alias for i in positions)

    def _operand_to_overwrite(self, step: Step, position: int, slot_of: Mapping[Node, int]) -> Node | None:
        """An operand of the same type that dies here and whose memory the call may write its result to."""
        assert step.call is not None, "a stored step has a call"
        for i in step.call.alias:
            x = step.operands[i]
            if x not in slot_of or self.last[x] != position or x.type != step.node.type:
                continue
            if all(j in step.call.alias for j, y in enumerate(step.operands) if self._owner(y) is x) and all(
                y is x or self._owner(y) is not x for y in step.operands
            ):
                return x
        return None


def _byte_offset(schedule: Schedule, node: Node) -> int | None:
    """Where a contiguous view starts in the memory of its root, in bytes; None when it is not a plain piece of it."""
    offset = 0
    while node in schedule.roots:
        match node.op:
            case Reshape():
                pass
            case Slice(dim=0, start=int(start), step=1) if node.inputs[0].type.ndim == 1:
                offset += start * node.type.dtype.itemsize
            case _:
                return None
        (node,) = node.inputs
    return offset
