"""Where the time of a step goes, kernel by kernel, and how little it could be."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch

from graphc.backends.by_device import ByDevice
from graphc.backends.c import NativeExecutable, NativePlan, Relayout
from graphc.backends.c.cost import cost, working_set
from graphc.backends.c.machine import bandwidth, peak
from graphc.backends.c.plan import Task
from graphc.backends.c.profile import TimedStep
from graphc.backends.executable import Executable
from graphc.backends.threads import Threads, thread_count
from graphc.errors import CompileError, InputError, StateError, brief, compose
from graphc.ir import Cell, Node
from graphc.ir.lazy import lazy
from graphc.state import State
from graphc.types import Array

__all__ = ["Profile", "ProfileRow", "profile"]

FEWEST_CALLS = 3

SHOWN = 3
"""Nodes of a kernel that the table names."""


@dataclass(frozen=True)
class ProfileRow:
    """A kernel in a step. `kernel` is its number in the schedule; None for a copy of a value into another layout.

    `nodes` are what it computes, as in `explain()`; `where` is the module and the line that built the leading one.
    `flops` counts 2·M·N·K for a product, one for each element of a pointwise node (of an exponential, too), and one for
    each element that a reduction joins. `nbytes` is what is read and what is written, each value once, without padding.
    `floor` is the time in seconds that the machine needs at least: for the arithmetic or for the bytes, whichever is
    longer. That of a short kernel may be more than its time: the processor begins it before the last one has ended, and
    its values may be nearer than most of the step's.
    """

    kernel: int | None
    nodes: tuple[str, ...]
    where: str
    seconds: float
    share: float
    flops: int
    nbytes: int
    floor: float

    @property
    def ratio(self) -> float:
        """The floor as a part of the time: 1 is as fast as the machine can be. NaN if no time was measured."""
        return self.floor / self.seconds if self.seconds else math.nan


@dataclass(frozen=True)
class Profile:
    """Times of a program's kernels in seconds, in the order in which they run; `print` shows them as a table.

    `enter` and `leave` are what a call or a run does before its first step and after its last: it copies cells into
    padded memory and back. `call` is what a call from Python adds to these. `peak` (operations in a second, in the
    precision of most of the arithmetic) and `bandwidth` (bytes in a second, of as much memory as a step uses) are those
    of this machine, on one thread.
    """

    rows: tuple[ProfileRow, ...]
    enter: float
    leave: float
    call: float
    sizes: Mapping[str, int]
    steps: int
    threads: int
    peak: float
    bandwidth: float

    @lazy
    def step(self) -> float:
        """Seconds of a step."""
        return sum(row.seconds for row in self.rows)

    @lazy
    def floor(self) -> float:
        """Seconds that a step of these kernels needs at least."""
        return sum(row.floor for row in self.rows)

    def __str__(self) -> str:
        micro = partial(_micro, longest=self.step)
        sizes = "".join(f"{name} = {value}, " for name, value in self.sizes.items())
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        head = (
            f"{sizes}{threads}, {self.steps:,} steps; one thread does at best "
            f"{self.peak / 1e9:.3g} Gflop/s and reads {self.bandwidth / 1e9:.3g} GB/s"
        )
        table: list[tuple[str, ...]] = [
            ("kernel", "µs", "share", "flop", "bytes", "floor µs", "floor/time", "built at", "computes")
        ]
        table += [_cells(row, micro) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        part = f" ({self.floor / self.step:.0%})" if self.step else ""
        total = (
            f"a step takes {micro(self.step)} µs, at least {micro(self.floor)}{part}; once in a call, "
            f"{micro(self.enter)} to pack cells, {micro(self.leave)} to unpack them, {micro(self.call)} for Python"
        )
        return "\n".join([head, *("  ".join(_aligned(cells, widths)).rstrip() for cells in table), total]) + "\n"


def profile(
    executable: Executable,
    sizes: Mapping[str, int],
    state: State,
    inputs: Sequence[Array],
    threads: int | None,
    seconds: float,
    call: Callable[[], object],
) -> Profile:
    """Measure a step on `state`, which changes, and `call`, which makes one from Python on the same State."""
    native = executable.native if isinstance(executable, ByDevice) else executable
    if not isinstance(native, NativeExecutable):
        kind = type(native).__name__.removesuffix("Executable").lower()
        problem = f"only native code is measured, and this program runs on the backend {kind!r}"
        raise CompileError(compose("profile", problem, remedy='compile it with backend="c"'))
    if state.device.type != "cpu":
        raise StateError(compose("profile", f"only native code is measured, and the State is on {state.device}"))
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        raise InputError(compose("profile", f"seconds is a positive number, not {brief(seconds)}"))
    with torch.inference_mode(False), torch.no_grad():
        timed = TimedStep(native, sizes, state, inputs)
        with Threads(threads or timed.threads or thread_count()):
            found = timed.measure(seconds)
        added = _time(call, seconds / 4) - found.enter - sum(found.tasks) - found.leave
    plan = native.plan
    costs = [cost(plan, task, sizes) for task in plan.tasks]
    speed = bandwidth(working_set(plan, sizes), plan.vector_bytes)
    step = sum(found.tasks)
    rows = []
    for task, taken, each in zip(plan.tasks, found.tasks, costs, strict=True):
        floor = max(each.flops / peak(each.dtype, plan.vector_bytes), each.nbytes / speed)
        nodes, where = _description(plan, task)
        rows.append(
            ProfileRow(
                None if isinstance(task, Relayout) else task.kernel.index,
                nodes,
                where,
                taken,
                taken / step if step else 0.0,
                each.flops,
                each.nbytes,
                floor / (found.threads if each.is_shared else 1),
            )
        )
    leading = max(costs, key=lambda each: each.flops, default=None)
    most = peak(torch.float32 if leading is None else leading.dtype, plan.vector_bytes)
    return Profile(
        tuple(rows),
        found.enter,
        found.leave,
        max(0.0, added),
        MappingProxyType(dict(sizes)),
        found.steps,
        found.threads,
        most,
        speed,
    )


def _time(call: Callable[[], object], seconds: float) -> float:
    """Seconds of a call, the median of as many as there is time for."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while len(found) < FEWEST_CALLS or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return sorted(found)[len(found) // 2]


def _description(plan: NativePlan, task: Task | Relayout) -> tuple[tuple[str, ...], str]:
    """What a task computes, and where the user built it."""
    if isinstance(task, Relayout):
        owner = task.source.owner
        text = f"{plan.label(task.source)} in another layout"
        return (text,), "" if isinstance(owner, Cell) else _place(owner if isinstance(owner, Node) else owner.node)
    kernel = task.kernel
    if not kernel.nodes:
        copied = tuple(f"copy of {plan.names[output.node]} to {output.name}" for output in kernel.writes)
        return copied, _place(kernel.writes[0].node)
    leading = kernel.core or kernel.nodes[0]
    return tuple(f"{plan.names[node]}:{node.op.name}" for node in kernel.nodes), _place(leading)


def _place(node: Node) -> str:
    origin = node.origin
    backward = "backward" if origin.forward is not None else ""
    return " ".join(part for part in (origin.location, origin.module, backward) if part)


def _cells(row: ProfileRow, micro: Callable[[float], str]) -> tuple[str, ...]:
    more = len(row.nodes) - SHOWN
    return (
        "" if row.kernel is None else str(row.kernel),
        micro(row.seconds),
        f"{row.share:.1%}",
        f"{row.flops:,}",
        f"{row.nbytes:,}",
        micro(row.floor),
        "" if math.isnan(row.ratio) else f"{row.ratio:.0%}",
        row.where,
        " ".join(row.nodes[:SHOWN]) + (f" and {more} more" if more > 0 else ""),
    )


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Numbers to the right, text to the left."""
    numbers = len(cells) - 2
    return [f"{c:>{w}}" if k < numbers else f"{c:<{w}}" for k, (c, w) in enumerate(zip(cells, widths, strict=True))]


def _micro(seconds: float, longest: float) -> str:
    """Microseconds, to four digits of the longest time."""
    digits = 3 - math.floor(math.log10(max(longest, 1e-9) * 1e6))
    return f"{seconds * 1e6:,.{min(max(digits, 0), 3)}f}"
