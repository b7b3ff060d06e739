"""The checker: replays a native plan and finds every value that is read after it was overwritten, or never written.

It knows nothing of how the planner decides. A piece of memory holds values with the number of the step that they
belong to; whoever writes drops what else lies there, whoever reads looks for its value. Steps follow each other without
leaving native code, so two are replayed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

from graphc import dims
from graphc.backends.c.body import loads_of
from graphc.backends.c.layout import Buffer
from graphc.backends.c.plan import NativePlan, Relayout, Task
from graphc.errors import VerifyError
from graphc.expr import Expr, Load
from graphc.ir import Cell, Node, Output

__all__ = ["check"]

STEPS = 2

_Value = tuple[Node | Cell | Output, int]
"""The value of a node or of an output in a step; that of a cell after so many updates."""


def check(plan: NativePlan, sizes: Mapping[str, int]) -> None:
    """Check `plan` for one binding of sizes. Raises VerifyError with the buffer that is wrong, or the value lost."""
    _Check(plan, sizes).run()


class _Check:
    def __init__(self, plan: NativePlan, sizes: Mapping[str, int]) -> None:
        self.plan = plan
        self.sizes = sizes
        self.held: dict[Buffer, _Value] = {}
        self.step = 0
        self.updates = {output.cell: output for output in plan.graph.outputs if output.cell is not None}
        self.lying_in: dict[int, list[Buffer]] = {}
        for buffer, slot in plan.slot_of.items():
            self.lying_in.setdefault(slot, []).append(buffer)

    def run(self) -> None:
        plan = self.plan
        for buffer in plan.buffers:
            self._bounds(buffer)
            if buffer.kind in ("input", "constant", "cell"):
                assert not isinstance(buffer.owner, Output), "inputs and constants are nodes"
                self.held[buffer] = buffer.owner, 0
        for relayout in plan.enter:
            self._write(relayout.target, self._moved(relayout))
        for _ in range(STEPS):
            self._before_a_step()
            for task in plan.tasks:
                if isinstance(task, Task):
                    self._task(task)
                else:
                    self._relayout(task)
            self.step += 1
            self._after_a_step()
        for relayout in plan.leave:
            self._write(relayout.target, self._moved(relayout))
        for cell, home in plan.home_of.items():
            if self.held.get(home) != self._of_cell(cell):
                raise self._error(f"{cell.name} does not have its value in the State after a call")

    # One buffer.

    def _bounds(self, buffer: Buffer) -> None:
        """Elements apart from each other, room for whole vectors, and a slot that is large enough."""
        layout, pad = buffer.layout, self.plan.vector_bytes // 4
        shape = [dims.evaluate(size, self.sizes) for size in buffer.shape]
        strides = [dims.evaluate(stride, self.sizes) for stride in layout.strides]
        extent = dims.evaluate(layout.extent, self.sizes)
        if any(size <= 0 for size in shape):
            return
        taken = 1  # by the dimensions of smaller strides
        for stride, size in sorted((stride, size) for stride, size in zip(strides, shape, strict=True) if size > 1):
            if stride < taken:
                raise self._error(f"elements of {self._name(buffer)} lie in one place")
            taken += stride * (size - 1)
        if taken > extent:
            raise self._error(f"{self._name(buffer)} ends before its last element")
        if buffer.kind in ("input", "constant", "cell", "output"):
            plain = [math.prod(shape[d + 1 :]) for d in range(len(shape))]
            if any(a != b and size > 1 for a, b, size in zip(strides, plain, shape)):
                raise self._error(f"{self._name(buffer)} is not as torch has it")
            if layout.padded and shape and shape[-1] % pad:
                raise self._error(f"{self._name(buffer)} has no padding")
        else:
            self._padding(buffer, shape, strides, extent, pad)
        slot = self.plan.slot_of.get(buffer)
        if (slot is None) != (buffer.kind not in ("packed", "slot")):
            raise self._error(f"{self._name(buffer)} lies in the wrong place")
        if slot is not None and extent * buffer.dtype.itemsize > self.plan.slot_sizes(self.sizes)[slot]:
            raise self._error(f"{self._name(buffer)} does not fit its slot")

    def _padding(self, buffer: Buffer, shape: list[int], strides: list[int], extent: int, pad: int) -> None:
        """Vectors that start in a row reach into no other row, and not past the end."""
        lane = buffer.layout.lane
        if not buffer.layout.padded or lane is None:
            return
        if strides[lane] != 1:
            raise self._error(f"{self._name(buffer)} has no lanes along {lane}")
        row = -(-shape[lane] // pad) * pad
        others = [stride for d, stride in enumerate(strides) if d != lane and shape[d] > 1]
        if min(others, default=row) < row:
            raise self._error(f"rows of {self._name(buffer)} have no room for whole vectors")
        last = sum(stride * (size - 1) for d, (stride, size) in enumerate(zip(strides, shape)) if d != lane)
        if last + row > extent:
            raise self._error(f"{self._name(buffer)} has no room for whole vectors at its end")

    # One step.

    def _before_a_step(self) -> None:
        """The caller has set inputs."""
        self.done: set[Cell | Output] = set()
        for node in self.plan.graph.inputs:
            self.held[self.plan.memory_of[node]] = node, 0

    def _after_a_step(self) -> None:
        for output in self.plan.graph.outputs:
            if (output.cell or output) not in self.done:
                raise self._error(f"nothing writes {output.name}")

    def _task(self, task: Task) -> None:
        who = f"kernel {task.kernel.index}"
        read: dict[Buffer, list[Load]] = {}
        for load in task.body.loads:
            assert isinstance(load.source, Node), "kernels load nodes"
            buffer = task.relaid.get(load, self.plan.memory_of[load.source])
            if self.held.get(buffer) != self._of_node(load.source):
                raise self._error(f"{who} reads {self.plan.names[load.source]}, which is not there")
            read.setdefault(buffer, []).append(load)
        written: dict[Buffer, _Value] = {}
        for node in task.kernel.stores:
            written[self.plan.memory_of[node]] = node, self.step
        for output in task.kernel.writes:
            written[self._target(output)] = self._result(output, self._target(output))
        slots = [self.plan.slot_of[buffer] for buffer in {**read, **written} if buffer in self.plan.slot_of]
        if any(slots.count(self.plan.slot_of[buffer]) > 1 for buffer in written if buffer in self.plan.slot_of):
            raise self._error(f"{who} writes where something else lies that it reads or writes")
        for buffer in written:
            for load in read.get(buffer, ()):
                if load.indices != task.body.indices or load not in _read_in_place(task):
                    raise self._error(f"{who} overwrites elements of {self._name(buffer)} that it still reads")
        for buffer, value in written.items():
            self._write(buffer, value)

    def _relayout(self, relayout: Relayout) -> None:
        value, owner = self._moved(relayout), relayout.target.owner
        if isinstance(owner, Cell):
            output = self.updates[owner]
            if value not in ((output, self.step), self._of_node(output.node)):
                raise self._error(f"{owner.name} gets a value that is not its update")
            value = self._result(output, relayout.target)
        self._write(relayout.target, value)

    def _target(self, output: Output) -> Buffer:
        if output in self.plan.memory_of:
            return self.plan.memory_of[output]
        assert output.cell is not None, "outputs have memory of their own"
        return self.plan.memory_of[output.cell]

    def _result(self, output: Output, target: Buffer) -> _Value:
        """What `target` gets with an output, once in a step: the value of a cell, or one that is copied there later."""
        what: Cell | Output = output
        if output.cell is not None and target.owner is output.cell:
            what = output.cell
        if what in self.done:
            raise self._error(f"{output.name} is written twice")
        self.done.add(what)
        return what, self.step + (what is output.cell)

    # Memory.

    def _of_cell(self, cell: Cell) -> _Value:
        """The value of a cell at the start of this step."""
        return cell, self.step if cell in self.updates else 0

    def _of_node(self, node: Node) -> _Value:
        if node.op.cell is not None:
            return self._of_cell(node.op.cell)
        memory = self.plan.memory_of.get(node)
        given = memory is not None and memory.kind in ("input", "constant")
        return node, 0 if given else self.step

    def _moved(self, relayout: Relayout) -> _Value:
        source, target = relayout.source, relayout.target
        if source not in self.held:
            raise self._error(f"{self._name(source)} is copied, but nothing wrote it")
        if source.shape != target.shape or source.dtype is not target.dtype:
            raise self._error(f"{self._name(source)} is copied to something else")
        if source in self.plan.slot_of and self.plan.slot_of[source] == self.plan.slot_of.get(target):
            raise self._error(f"{self._name(source)} is copied over itself")
        return self.held[source]

    def _write(self, buffer: Buffer, value: _Value) -> None:
        if buffer in self.plan.slot_of:
            for other in self.lying_in[self.plan.slot_of[buffer]]:
                self.held.pop(other, None)
        self.held[buffer] = value

    def _name(self, buffer: Buffer) -> str:
        return f"buffer {buffer.index} ({self.plan.label(buffer)})"

    @staticmethod
    def _error(problem: str) -> VerifyError:
        return VerifyError(f"native plan: {problem}")


def _read_in_place(task: Task) -> Collection[Load]:
    """Loads at the place of each point: those of the body, where it computes the elements before it stores them."""
    body = task.body
    if body.parts:
        return ()
    under: Iterable[Expr | None] = (*(expr for _, expr in body.prologue), body.item, *(body.factors or ()))
    apart = {load for expr in under if expr is not None for load in loads_of(expr)}
    apart |= {load for _, expr in body.totals for load in loads_of(expr)}
    return [load for load in body.loads if load not in apart]
