"""Binding a torch plan: its source, run with the sizes, the State and a workspace of its own."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch

from graphc import dims
from graphc.backends.binding import Binding, need_for_call
from graphc.backends.torch_plan.source import PlanSource, size_name
from graphc.dims import Size
from graphc.ir import Cell, Node
from graphc.ir.lazy import lazy
from graphc.memory import CellGroup, MemoryPlan
from graphc.ops.contractions import Matmul
from graphc.ops.reductions import Amax, Sum
from graphc.schedule import Schedule
from graphc.schedule.kernels import is_view
from graphc.state import State
from graphc.types import Array

__all__ = ["TorchExecutable"]

WORTH_THREADS = 1 << 20
"""Operations of the largest call of a plan. Below, a second thread costs more than it computes, several times more when
the cores are busy with something else: a 25×25 product takes 2 µs on one thread and 10 µs or more on two.
"""


class _TorchBound(Binding):
    """`run` reads and writes the tensors `values` of `cells`, and buffers that only it has."""

    __slots__ = ("nbytes", "run", "threads")

    def __init__(
        self,
        run: Callable[..., Sequence[Array]],
        threads: int | None,
        nbytes: int,
        cells: Sequence[Cell],
        values: Sequence[Array],
        updated: Container[Cell | None],
        moves: int,
    ) -> None:
        super().__init__(cells, values, updated, moves)
        self.run = run
        self.threads = threads
        self.nbytes = nbytes

    def __del__(self) -> None:
        # The functions of a plan and the namespace that they share refer to each other: without this, workspaces would
        # wait for the garbage collector.
        self.run.__globals__.clear()


@dataclass(frozen=True, eq=False)
class TorchExecutable:
    """A schedule on a memory plan, as Python source."""

    schedule: Schedule
    plan: MemoryPlan
    code: PlanSource

    @property
    def source(self) -> str:
        return self.code.text

    @lazy
    def _compiled(self) -> CodeType:
        return compile(self.code.text, "<graphc torch plan>", "exec")

    @lazy
    def _updated(self) -> frozenset[Cell | None]:
        return frozenset(output.cell for output in self.schedule.graph.outputs)

    @lazy
    def _work(self) -> frozenset[Size]:
        """Scalar operations of each call: two for each term of a product, else one for each element."""
        return frozenset(_operations(node) for step in self.schedule.steps for node in (step.node, *step.covers))

    @lazy
    def _apart(self) -> list[Node]:
        """The nodes whose values have memory of their own, apart from the workspace."""
        made = [step.node for step in self.schedule.steps if not step.is_view]
        made += [output.node for output in self.schedule.graph.outputs if output.cell is None]
        made += [node for node in self.schedule.known if not is_view(node)]
        return [node for node in dict.fromkeys(made) if node not in self.plan.places]

    def bind(self, sizes: Mapping[str, int], state: State) -> _TorchBound:
        if state.device.type == "cpu":
            apart = sum(dims.evaluate(node.type.nbytes, sizes) for node in self._apart)
            need_for_call(self.plan.nbytes(sizes) + apart, [*self.plan.places, *self._apart], sizes)
        moves = state.moves
        flat = [_side_by_side(group, state) if len(group.cells) > 1 else None for group in self.plan.groups]
        values = tuple(state.read(cell) for cell in self.code.cells)
        workspace = _Workspace(self.plan, sizes, state.device)
        constants = self._constants(sizes, state.device)
        groups = [
            state.read(group.cells[0]).view(-1) if whole is None else whole
            for group, whole in zip(self.plan.groups, flat)
        ]
        namespace: dict[str, Any] = {
            "buffer": workspace.buffer,
            "group": groups.__getitem__,
            "cell": values.__getitem__,
            "constant": constants.__getitem__,
            "op": [op.bound(sizes).eval for op in self.code.evaluated].__getitem__,
            "device": state.device,
            **{size_name(name): value for name, value in sizes.items()},
        }
        exec(self._compiled, namespace)
        largest = max((dims.evaluate(work, sizes) for work in self._work), default=0)
        threads = 1 if largest < WORTH_THREADS else None
        return _TorchBound(namespace["run"], threads, workspace.nbytes, self.code.cells, values, self._updated, moves)

    def loop(self, *run: object) -> None:
        """None: Python calls step by step."""

    def _constants(self, sizes: Mapping[str, int], device: torch.device) -> list[Array]:
        """Values of the nodes that are known once sizes are bound."""
        values: dict[object, Array] = {}
        for node in self.schedule.known:
            values[node] = node.op.bound(sizes).eval(*[values[x] for x in node.inputs]).to(device)
        return [values[node] for node in self.code.constants]


def _operations(node: Node) -> Size:
    if isinstance(node.op, Matmul):
        return node.type.numel * node.inputs[0].type.shape[-1] * 2
    # A reduction reads more than it writes, everything else writes as much as it reads, or more.
    return node.inputs[0].type.numel if isinstance(node.op, (Sum, Amax)) else node.type.numel


class _Workspace:
    """One allocation, and tensors in it."""

    def __init__(self, plan: MemoryPlan, sizes: Mapping[str, int], device: torch.device) -> None:
        self._starts: list[int] = []
        total = 0
        for slot in plan.slots:
            self._starts.append(total)
            total += slot.nbytes(sizes)
        self.nbytes = total
        self._bytes = torch.empty(total, dtype=torch.uint8, device=device)
        self._typed: dict[torch.dtype, Array] = {}

    def buffer(self, area: int | Array, offset: int, shape: Sequence[int], dtype: torch.dtype) -> Array:
        """A contiguous tensor at `offset` bytes in a slot, or in the flat tensor of a cell group."""
        if isinstance(area, torch.Tensor):
            base, start = area, area.storage_offset() + offset // dtype.itemsize
        else:
            if dtype not in self._typed:
                self._typed[dtype] = self._bytes.view(dtype)
            base, start = self._typed[dtype], (self._starts[area] + offset) // dtype.itemsize
        strides = [1] * len(shape)
        for d in range(len(shape) - 1, 0, -1):
            strides[d - 1] = strides[d] * max(shape[d], 1)
        return base.as_strided(shape, strides, start)


def _side_by_side(group: CellGroup, state: State) -> Array:
    """The values of a cell group as one flat tensor, moved there if they do not lie so already."""
    values = [state.read(cell) for cell in group.cells]
    sizes = [value.numel() for value in values]
    first = values[0]
    position = first.storage_offset()
    for value, size in zip(values, sizes):
        same = value.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not same or value.storage_offset() != position:
            flat = torch.cat([value.reshape(-1) for value in values])
            pieces = torch.split(flat, sizes)
            for cell, piece in zip(group.cells, pieces):
                state.place(cell, piece.view([dims.evaluate(size, {}) for size in cell.type.shape]))
            return flat
        position += size
    return first.as_strided((sum(sizes),), (1,), first.storage_offset())
