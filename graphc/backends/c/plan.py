"""The program as tasks over buffers: how each contraction is computed, and where every value lies.

In: a kernel schedule. Out: tasks in order, and buffers with layouts. Contractions choose first which of their indices
runs along the lanes of vectors; what they read and write votes for a layout; where a layout does not suit a reader, a
task copies the value into another one.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal as Choice

import torch

from graphc import dims
from graphc.backends.c.body import Body, body_of, guards, loads_of
from graphc.backends.c.layout import Buffer, Layout, address, affine, columns, dense, rows, squares
from graphc.backends.c.scalars import has_vectors, vectorises
from graphc.backends.c.torch_functions import addresses
from graphc.dims import Size
from graphc.errors import one_line
from graphc.expr import Index, Load
from graphc.ir import Cell, Graph, Node, Output
from graphc.ir.lazy import lazy
from graphc.ir.printer import names_of
from graphc.memory.free_list import FreeList
from graphc.ops import Placeholder
from graphc.ops.leaves import TensorConstant
from graphc.ops.randomness import RandomMask
from graphc.ops.views import Reshape
from graphc.schedule.kernels import Kernel, KernelSchedule, is_view
from graphc.types import TensorType, check_sizes, same_shape

__all__ = ["Contraction", "NativePlan", "Relayout", "Task", "plan_native"]

LARGEST_SMALL = 1 << 15
"""Product of the two largest known sizes of a contraction up to which it counts as small."""

LARGEST_PACKED = 1 << 16
"""Elements of a cell up to which a call works on a padded copy of it."""

STRIP_DEPTH = 2048
"""Terms of a large product for which there is room to copy strips of a factor side by side, or transposed."""

NARROW = 4
"""A matrix of at most so many columns lies column by column."""


@dataclass(frozen=True)
class Contraction:
    """How a product is summed: `tile`s of the result in registers, `inner` products along the lanes, or BLAS.

    `lane` is the index of the result that runs along the lanes, `row` the other one. `large`: the factors are too large
    for the first-level cache.
    """

    kind: Choice["tile", "inner", "blas"]
    row: Index
    lane: Index
    large: bool = False

    def __str__(self) -> str:
        return self.kind if self.kind == "blas" else f"{self.kind} with {self.lane} along the lanes"


@dataclass(frozen=True, eq=False)
class Task:
    """A kernel to generate. `relaid` has the buffers that some of its factors are loaded from instead."""

    body: Body
    contraction: Contraction | None
    relaid: Mapping[Load, Buffer]

    @property
    def kernel(self) -> Kernel:
        return self.body.kernel


@dataclass(frozen=True, eq=False)
class Relayout:
    """A copy of a value in another layout: into or out of a State, or for a contraction."""

    source: Buffer
    target: Buffer


@dataclass(frozen=True, eq=False)
class NativePlan:
    """`tasks` are a step; `enter` copies cells to where they are packed, `leave` copies back what has changed.

    `buffers` are in the order of the table of pointers; `slot_of` says which piece of the workspace a buffer has,
    `slots` how large the pieces are: the largest of several sizes in bytes. `lifetimes` are the first and the last task
    that need a buffer of the workspace, by number; a packed cell is there all the time.
    """

    schedule: KernelSchedule
    graph: Graph
    vector_bytes: int
    enter: tuple[Relayout, ...]
    tasks: tuple[Task | Relayout, ...]
    leave: tuple[Relayout, ...]
    buffers: tuple[Buffer, ...]
    memory_of: Mapping[Node | Cell | Output, Buffer]
    slot_of: Mapping[Buffer, int]
    slots: tuple[tuple[Size, ...], ...]
    lifetimes: Mapping[Buffer, tuple[int, int]] = field(repr=False)

    @lazy
    def names(self) -> dict[Node, str]:
        return names_of((*self.graph.inputs, *self.graph.nodes))

    @lazy
    def home_of(self) -> dict[Cell, Buffer]:
        """Where a State has the value of a cell."""
        return {b.owner: b for b in self.buffers if b.kind == "cell" and isinstance(b.owner, Cell)}

    def nbytes(self, sizes: Mapping[str, int]) -> int:
        """Scratch memory of one call, in bytes. Raises InputError for sizes that are none, or missing."""
        return sum(self.slot_sizes(check_sizes("memory.nbytes", sizes, [each for slot in self.slots for each in slot])))

    def given_bytes(self, sizes: Mapping[str, int]) -> int:
        """Memory of the outputs of one call, in bytes."""
        return sum(dims.evaluate(buffer.nbytes, sizes) for buffer in self.buffers if buffer.kind == "output")

    @property
    def held(self) -> list[Node]:
        """The nodes whose values a call allocates memory for."""
        owners = [buffer.owner for buffer in self.buffers if buffer.kind in ("slot", "output")]
        nodes = [owner.node if isinstance(owner, Output) else owner for owner in owners]
        return [node for node in nodes if isinstance(node, Node)]

    def slot_sizes(self, sizes: Mapping[str, int]) -> list[int]:
        return [-(-max(dims.evaluate(size, sizes) for size in slot) // 64) * 64 for slot in self.slots]

    def label(self, buffer: Buffer) -> str:
        owner = buffer.owner
        return self.names[owner] if isinstance(owner, Node) else one_line(owner.name)

    def __str__(self) -> str:
        lines = []
        for task in (*self.enter, *self.tasks, *self.leave):
            if isinstance(task, Relayout):
                lines.append(f"copy {self.label(task.source)}: {task.source.layout} -> {task.target.layout}")
            else:
                how = f": {task.contraction}" if task.contraction else ""
                lines.append(f"kernel {task.kernel.index} over {' × '.join(map(str, task.kernel.space)) or '1'}{how}")
        for buffer in self.buffers:
            where = f"slot {self.slot_of[buffer]}" if buffer in self.slot_of else buffer.kind
            type_ = TensorType(buffer.shape, buffer.dtype)
            lines.append(f"buffer {buffer.index} {self.label(buffer)} : {type_} in {where}, {buffer.layout}")
        return "\n".join(lines) + "\n"


Source = Node | Cell


def plan_native(schedule: KernelSchedule, vector_bytes: int) -> NativePlan:
    """The plan for vectors of `vector_bytes`."""
    return _Planner(schedule, vector_bytes).plan()


class _Planner:
    def __init__(self, schedule: KernelSchedule, vector_bytes: int) -> None:
        self.schedule = schedule
        self.graph = schedule.graph
        self.vector_bytes = vector_bytes
        self.pad = vector_bytes // 4
        self.buffers: list[Buffer] = []
        self.memory_of: dict[Node | Cell | Output, Buffer] = {}
        self.votes: dict[Source, Counter[int]] = {}
        self.relaid: dict[tuple[Buffer, int], Buffer] = {}

    def plan(self) -> NativePlan:
        bodies = [body_of(kernel) for kernel in self.schedule.kernels]
        chosen = self._choose_all(bodies)
        parts: list[tuple[Body, Contraction | None]] = []
        for body, contraction in zip(bodies, chosen, strict=True):
            is_apart = contraction is not None and (contraction.kind == "blas" or not _on_vectors(body))
            if is_apart and not _is_bare(body.kernel):
                core, rest = _split(body.kernel)
                parts += [(body_of(core), contraction), (body_of(rest), None)]
            else:
                parts.append((body, contraction))
        for body, contraction in parts:
            if contraction is not None:
                self._vote(body, contraction)
        flat = _read_flat(self.graph)
        self._place_leaves()
        for body, contraction in parts:
            for node in body.kernel.stores:
                is_blas = contraction is not None and contraction.kind == "blas"
                is_dense = node in flat or is_blas or isinstance(node.op, RandomMask)
                layout = dense(node.type.shape) if is_dense else self._layout(node, node.type)
                self._buffer("slot", node, node.type, layout)
        for output in self.graph.outputs:
            if output.cell is None:
                self._buffer("output", output, output.node.type, dense(output.node.type.shape))
            elif output in self.schedule.copied and output.node not in self.schedule.kernel_of:
                self._buffer("slot", output, output.node.type, self._layout(output.cell, output.node.type))
        enter, leave = self._pack_cells({node.op.cell for node in flat})
        tasks: list[Task | Relayout] = []
        for body, contraction in parts:
            tasks.extend(self._task(body, contraction))
        for output in self.schedule.copied:
            assert output.cell is not None, "only cells are copied last"
            value = self.memory_of.get(output) or self.memory_of[output.node]
            tasks.append(Relayout(value, self.memory_of[output.cell]))
        lifetimes = self._lifetimes(enter, tasks)
        slot_of, slots = _slots(lifetimes)
        return NativePlan(
            self.schedule,
            self.graph,
            self.vector_bytes,
            tuple(enter),
            tuple(tasks),
            tuple(leave),
            tuple(self.buffers),
            self.memory_of,
            slot_of,
            slots,
            lifetimes,
        )

    # How contractions are computed.

    def _choose_all(self, bodies: list[Body]) -> list[Contraction | None]:
        """Contractions with one possible lane first: what they ask of their operands decides for the others."""
        chosen: dict[Body, Contraction | None] = {}
        open_: list[tuple[Body, list[Contraction]]] = []
        for body in bodies:
            candidates = self._candidates(body)
            if len(candidates) > 1:
                open_.append((body, candidates))
                continue
            chosen[body] = candidates[0] if candidates else None
            if candidates:
                self._vote(body, candidates[0])
        for body, candidates in open_:
            chosen[body] = max(candidates, key=lambda each: self._merit(body, each))
        self.votes.clear()
        return [chosen[body] for body in bodies]

    def _candidates(self, body: Body) -> list[Contraction]:
        if body.factors is None or body.kernel.core is None:
            return []
        if body.kernel.core.type.dtype not in (torch.float32, torch.float64):
            return []
        if any(affine(index) is None for load in body.factors for index in load.indices):
            return []
        row, lane = body.indices[-2:]
        (_, inner), *_ = body.reduced
        sizes = dict(zip(body.indices, body.kernel.space, strict=True))
        m, n = sizes[row], sizes[lane]
        known = sorted((size for size in (m, n, inner) if isinstance(size, int)), reverse=True)
        if len(known) < 2:
            return _by_blas(row, lane)
        large = known[0] * known[1] > LARGEST_SMALL
        wide_n, wide_m = (isinstance(size, int) and size > NARROW for size in (n, m))
        candidates = []
        if _is_narrow(n) and isinstance(inner, int) and not wide_m:
            candidates.append(Contraction("inner", lane, row))
        else:
            if wide_n or (isinstance(n, int) and not wide_m):
                candidates.append(Contraction("tile", row, lane, large))
            if wide_m:
                candidates.append(Contraction("tile", lane, row, large))
        found = [
            each
            for each in candidates
            if all(_dimension(load, index) is not None for load, index in self._demands(body, each))
        ]
        return found or _by_blas(row, lane)

    def _merit(self, body: Body, contraction: Contraction) -> tuple[float, ...]:
        """Whether updated cells too large for a copy are written along their rows, whether the lanes come from memory
        that has padding, what other contractions ask of the result, how full vectors are, and whether rows stay rows.
        """
        load = _lane_operand(body, contraction)
        source = load.source
        size = dict(zip(body.indices, body.kernel.space, strict=True))[contraction.lane]
        assert isinstance(size, int), "candidates have known lanes"
        wanted = body.indices.index(contraction.lane)
        agreed, fits = 0, True
        for output in body.kernel.writes:
            if output.cell is not None:
                agreed += self.votes.get(output.cell, Counter())[wanted]
                fits &= dims.evaluate(output.cell.type.numel, {}) <= LARGEST_PACKED or wanted == len(body.indices) - 1
        is_padded = not (isinstance(source, Node) and isinstance(source.op, Placeholder))
        fill = size / (-(-size // self.pad) * self.pad)
        return (fits, is_padded, agreed, fill, contraction.lane == body.indices[-1])

    def _vote(self, body: Body, contraction: Contraction) -> None:
        """What a contraction asks of the layouts of its operands, and of everything that goes with its result."""
        if contraction.kind == "blas":
            return
        along = [(load, contraction.lane) for load in body.loads]
        if contraction.kind == "inner":
            (inner, _), *_ = body.reduced
            assert body.factors is not None, "a contraction has factors"
            along += [(load, inner) for load in body.factors]
        for load, index in along:
            assert isinstance(load.source, Node), "kernels load nodes"
            for d, each in enumerate(load.indices):
                terms = affine(each)
                if terms is not None and set(terms) - {""} == {index.name} and dims.same(terms[index.name], 1):
                    self._ask(load.source, d, 2 if load in (body.factors or ()) else 1)
        lane = body.indices.index(contraction.lane)
        for node in body.kernel.stores:
            self._ask(node, lane, 1)
        for output in body.kernel.writes:
            if output.cell is not None:
                self._ask(output.cell, lane, 1)

    def _ask(self, source: Source, dimension: int, weight: int) -> None:
        if isinstance(source, Node) and source.op.cell is not None:
            source = source.op.cell
        self.votes.setdefault(source, Counter())[dimension] += weight

    # Where values lie.

    def _buffer(
        self,
        kind: Choice["input", "constant", "cell", "output", "packed", "slot"],
        owner: Node | Cell | Output,
        type_: TensorType,
        layout: Layout,
        *,
        names: bool = True,
    ) -> Buffer:
        buffer = Buffer(len(self.buffers), kind, type_.dtype, type_.shape, layout, owner)
        self.buffers.append(buffer)
        if names:
            self.memory_of[owner] = buffer
        return buffer

    def _place_leaves(self) -> None:
        for node in self.graph.inputs:
            self._buffer("input", node, node.type, dense(node.type.shape))
        for node in self.graph.nodes:
            if isinstance(node.op, TensorConstant):
                self._buffer("constant", node, node.type, dense(node.type.shape))

    def _layout(self, source: Source, type_: TensorType) -> Layout:
        """By votes; without any, rows, or columns for a narrow matrix."""
        shape = type_.shape
        votes = self.votes.get(source)
        if len(shape) == 2 and _is_narrow(shape[1]) and not _is_narrow(shape[0]):
            return columns(shape, self.pad)
        if not shape or not votes:
            if shape and isinstance(shape[-1], int) and shape[-1] > NARROW:
                return rows(shape, self.pad)
            return rows(shape, self.pad) if len(shape) < 2 else dense(shape)
        last = len(shape) - 1
        lane = max(votes, key=lambda d: (votes[d], d == last))
        return rows(shape, self.pad, lane)

    def _pack_cells(self, flat: Collection[Cell | None]) -> tuple[list[Relayout], list[Relayout]]:
        """Small cells whose layout is not torch's are worked on in a copy."""
        updated = {output.cell for output in self.graph.outputs}
        enter: list[Relayout] = []
        leave: list[Relayout] = []
        for cell in self.graph.cells:
            home = self._buffer("cell", cell, cell.type, dense(cell.type.shape))
            layout = self._layout(cell, cell.type)
            numel = dims.evaluate(cell.type.numel, {})
            last = cell.type.shape[-1] if cell.type.shape else 0
            same = layout.strides == home.layout.strides and dims.evaluate(last, {}) % self.pad == 0
            if cell.type.shape and 0 < numel <= LARGEST_PACKED and not same and cell not in flat:
                packed = self._buffer("packed", cell, cell.type, layout)
                enter.append(Relayout(home, packed))
                if cell in updated:
                    leave.append(Relayout(packed, home))
            elif cell.type.shape and same:
                whole = replace(home.layout, padded=True)
                self.buffers[home.index] = self.memory_of[cell] = replace(home, layout=whole)
        for node in self.graph.nodes:
            if node.op.cell is not None:
                self.memory_of[node] = self.memory_of[node.op.cell]
        return enter, leave

    # Tasks.

    def _task(self, body: Body, contraction: Contraction | None) -> Iterable[Task | Relayout]:
        relaid: dict[Load, Buffer] = {}
        for load, index in self._demands(body, contraction):
            assert isinstance(load.source, Node), "kernels load nodes"
            buffer = self.memory_of[load.source]
            terms = address(buffer.layout, load.indices)
            assert terms is not None, "contractions read along straight lines"
            if index is None or dims.same(terms.get(index.name, 0), 1):
                continue
            if contraction is not None and contraction.large and _transposes_strips(body, terms):
                continue
            lane = _dimension(load, index)
            assert lane is not None, "candidates walk what they load one by one"
            known = self.relaid.get((buffer, lane))
            if known is None:
                is_matrix = len(buffer.shape) == 2
                layout = (squares if is_matrix else rows)(buffer.shape, self.pad, lane)
                type_ = TensorType(buffer.shape, buffer.dtype)
                known = self._buffer("slot", load.source, type_, layout, names=False)
                self.relaid[buffer, lane] = known
                yield Relayout(buffer, known)
            relaid[load] = known
        yield Task(body, contraction, relaid)

    def _demands(self, body: Body, contraction: Contraction | None) -> list[tuple[Load, Index]]:
        """The loads that must have an index along the lanes."""
        if contraction is None or body.factors is None or contraction.kind == "blas":
            return []
        if contraction.kind == "tile":
            return [(_lane_operand(body, contraction), contraction.lane)]
        (inner, _), *_ = body.reduced
        return [(load, inner) for load in body.factors]

    def _lifetimes(self, enter: list[Relayout], tasks: list[Task | Relayout]) -> dict[Buffer, tuple[int, int]]:
        """For each buffer of the workspace its first and its last task, in the order of the first ones."""
        found = {relayout.target: (0, len(tasks) - 1) for relayout in enter}
        for i, task in enumerate(tasks):
            for buffer in _touched(task, self.memory_of):
                if buffer.kind == "slot":
                    first, _ = found.get(buffer, (i, i))
                    found[buffer] = first, i
        return found


def _slots(lifetimes: Mapping[Buffer, tuple[int, int]]) -> tuple[dict[Buffer, int], tuple[tuple[Size, ...], ...]]:
    """Pieces of the workspace by liveness: a piece is free again after the last task that reads it."""
    free = FreeList()
    slot_of: dict[Buffer, int] = {}
    ending = deque(sorted(lifetimes, key=lambda buffer: lifetimes[buffer][1]))
    for buffer, (first, _) in lifetimes.items():
        while lifetimes[ending[0]][1] < first:
            free.give(slot_of[ending.popleft()])
        slot_of[buffer] = free.take(buffer.nbytes)
    return slot_of, tuple(tuple(sizes) for sizes in free.sizes)


def _touched(task: Task | Relayout, memory_of: Mapping[Node | Cell | Output, Buffer]) -> list[Buffer]:
    if isinstance(task, Relayout):
        return [task.source, task.target]
    found: dict[Buffer, None] = {}
    for load in task.body.loads:
        assert isinstance(load.source, Node), "kernels load nodes"
        found[memory_of[load.source]] = None
        if load in task.relaid:
            found[task.relaid[load]] = None
    owners: list[Node | Output] = [*task.kernel.stores, *task.kernel.writes]
    for owner in owners:
        if owner in memory_of:
            found[memory_of[owner]] = None
    return list(found)


def _transposes_strips(body: Body, terms: Mapping[str, Size]) -> bool:
    """Whether a large product transposes a factor on the way, which lies along the index that is summed over."""
    (inner, depth), *_ = body.reduced
    return isinstance(depth, int) and depth <= STRIP_DEPTH and dims.same(terms.get(inner.name, 0), 1)


def _lane_operand(body: Body, contraction: Contraction) -> Load:
    """The factor that has the lane index."""
    assert body.factors is not None, "a contraction has factors"
    x, y = body.factors
    return y if contraction.lane == body.indices[-1] else x


def _dimension(load: Load, index: Index) -> int | None:
    """The dimension of the source that `index` alone walks, one by one."""
    for d, each in enumerate(load.indices):
        terms = affine(each)
        if terms is not None and index.name in terms:
            return d if set(terms) <= {index.name, ""} and dims.same(terms[index.name], 1) else None
    return None


def _by_blas(row: Index, lane: Index) -> list[Contraction]:
    """BLAS, if this torch has one that can be called; plain loops else."""
    return [Contraction("blas", row, lane)] if all(addresses()[:2]) else []


def _is_narrow(size: Size) -> bool:
    return isinstance(size, int) and size <= NARROW


def _is_bare(kernel: Kernel) -> bool:
    """Whether the kernel does nothing but store its core."""
    return not kernel.body and not kernel.totals and not kernel.writes


def _on_vectors(body: Body) -> bool:
    """Whether what is made of a contraction can be computed on vectors, as it is."""
    exprs = [expr for _, expr in (*body.nodes, *body.totals, *body.copies)]
    loads = [load for expr in exprs for load in loads_of(expr)]
    if not all(vectorises(expr) and not guards(expr, body.kernel.local) for expr in exprs):
        return False
    if any(affine(index) is None for load in loads for index in load.indices):
        return False
    return all(has_vectors(each.dtype) for each in (*exprs, *loads))


def _split(kernel: Kernel) -> tuple[Kernel, Kernel]:
    """A kernel as its core alone, stored, and what is made of it."""
    core = kernel.core
    assert core is not None, "only kernels with a core are split"
    first = Kernel(kernel.index, kernel.space, core, (), (), (), (core,), ())
    stores = tuple(node for node in kernel.stores if node is not core)
    rest = Kernel(kernel.index, kernel.space, None, (), kernel.body, kernel.totals, stores, kernel.writes)
    return first, rest


def _read_flat(graph: Graph) -> set[Node]:
    """Nodes that a reshape reads, other than one that adds or drops dimensions of size 1: they lie without gaps."""
    found: set[Node] = set()
    for node in graph.nodes:
        if isinstance(node.op, Reshape):
            (x,) = node.inputs
            if not same_shape(*([s for s in type_.shape if not dims.same(s, 1)] for type_ in (node.type, x.type))):
                while is_view(x):
                    (x,) = x.inputs
                found.add(x)
    return found
