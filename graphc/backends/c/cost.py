"""What a task must at least do: floating-point operations, and bytes moved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch

from graphc import dims
from graphc.backends.c.body import Body, loads_of
from graphc.backends.c.function import write
from graphc.backends.c.layout import Buffer
from graphc.backends.c.plan import NativePlan, Relayout, Task
from graphc.backends.c.writer import WORTH_THREADS
from graphc.dims import Size
from graphc.expr import Call, Cast, Expr, Index, Load, Select
from graphc.ir import Node
from graphc.schedule.operations import operations

__all__ = ["Cost", "cost", "working_set"]


@dataclass(frozen=True)
class Cost:
    """`flops` are counted by `schedule.operations`. `nbytes` are the elements of each value that is read, and of each
    that is written, once and without padding. `dtype` is the precision, `is_shared` says whether threads share the
    task.
    """

    flops: int
    nbytes: int
    dtype: torch.dtype
    is_shared: bool


def cost(plan: NativePlan, task: Task | Relayout, sizes: Mapping[str, int]) -> Cost:
    moved = sum(elements * buffer.dtype.itemsize for buffer, elements in _moved(plan, task, sizes))
    share = write(plan, task).share
    is_shared = share is not None and dims.evaluate(share.work, sizes) >= WORTH_THREADS
    if isinstance(task, Relayout):
        return Cost(0, moved, task.source.dtype, is_shared)
    is_shared |= task.contraction is not None and task.contraction.kind == "blas"
    flops = sum(dims.evaluate(operations(node), sizes) for node in task.kernel.nodes)
    is_double = any(node.type.dtype is torch.float64 for node in task.kernel.nodes)
    return Cost(flops, moved, torch.float64 if is_double else torch.float32, is_shared)


def working_set(plan: NativePlan, sizes: Mapping[str, int]) -> int:
    """Bytes that a step touches: the workspace, and what it reads and writes elsewhere."""
    touched = {buffer for task in plan.tasks for buffer, _ in _moved(plan, task, sizes)}
    elsewhere = (dims.evaluate(buffer.nbytes, sizes) for buffer in touched if buffer not in plan.slot_of)
    return plan.nbytes(sizes) + sum(elsewhere)


def _moved(plan: NativePlan, task: Task | Relayout, sizes: Mapping[str, int]) -> Iterator[tuple[Buffer, int]]:
    """Each buffer that is read, with how many of its elements, and each that is written."""
    if isinstance(task, Relayout):
        numel = dims.evaluate(task.source.type.numel, sizes)
        yield from ((task.source, numel), (task.target, numel))
        return
    read: dict[Buffer, int] = {}
    for load, points in _loads(task.body):
        assert isinstance(load.source, Node), "kernels load nodes"
        buffer = task.relaid.get(load) or plan.memory_of[load.source]
        read[buffer] = read.get(buffer, 0) + dims.evaluate(points, sizes)
    for buffer, elements in read.items():
        yield buffer, min(elements, dims.evaluate(buffer.type.numel, sizes))
    owners = (
        *task.kernel.stores,
        *(output if output in plan.memory_of else output.cell for output in task.kernel.writes),
    )
    for buffer in {plan.memory_of[owner] for owner in owners if owner is not None}:
        yield buffer, dims.evaluate(buffer.type.numel, sizes)


def _loads(body: Body) -> Iterator[tuple[Load, Size]]:
    """The loads from memory, each with how many elements it reaches at most."""
    whole = dict([*zip(body.indices, body.kernel.space, strict=True), *body.reduced])
    scopes: list[tuple[Iterable[Expr], Mapping[Index, Size]]] = [
        ([part.value], dict(zip(part.indices, part.space, strict=True))) for part in body.parts
    ]
    scopes.append(([expr for _, expr in body.copies] if body.parts else body.expressions(), whole))
    for exprs, extents in scopes:
        for load in dict.fromkeys(load for expr in exprs for load in loads_of(expr)):
            if load.source not in body.kernel.local:
                yield load, dims.product(extents[index] for index in dict.fromkeys(_indices(load.indices)))


def _indices(exprs: Iterable[Expr]) -> Iterator[Index]:
    for expr in exprs:
        match expr:
            case Index():
                yield expr
            case Load(indices=inner) | Call(args=inner):
                yield from _indices(inner)
            case Cast(x=x):
                yield from _indices([x])
            case Select(condition=condition, then=then, otherwise=otherwise):
                yield from _indices([condition, then, otherwise])
