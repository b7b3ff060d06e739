"""One task of a plan as a C function."""

from __future__ import annotations

from graphc.backends.c.body import Body
from graphc.backends.c.loops import write_map, write_mask, write_parts, write_reduction, write_relayout
from graphc.backends.c.plan import NativePlan, Relayout, Task
from graphc.backends.c.products import write_blas, write_contraction
from graphc.backends.c.writer import Function, Writer
from graphc.dims import Size, product
from graphc.ops.randomness import RandomMask

__all__ = ["write"]


def write(plan: NativePlan, task: Task | Relayout) -> Function:
    """The function of a task, and what a call of it passes."""
    if isinstance(task, Relayout):
        writer = Writer(plan, task.source.type.numel)
        write_relayout(writer, task)
        return writer.finish()
    writer, body = Writer(plan, _work(task.body)), task.body
    if len(body.kernel.body) == 1 and isinstance(body.kernel.body[0].op, RandomMask) and write_mask(writer, body):
        pass
    elif body.parts:
        write_parts(writer, body)
    elif task.contraction is not None and task.contraction.kind != "blas":
        write_contraction(writer, task, task.contraction)
    elif task.contraction is not None and write_blas(writer, task):
        pass
    elif body.kernel.core is not None:
        write_reduction(writer, body)
    else:
        write_map(writer, body)
    return writer.finish()


def _work(body: Body) -> Size:
    """Operations of a kernel, where many multiplications and additions of a product count as one."""
    points = product(body.kernel.space)
    work = points * (len(body.nodes) + len(body.totals) + len(body.copies) + 1)
    if body.factors is not None:
        return work + product((points, *(size for _, size in body.reduced)))
    terms = product((points, *(size for _, size in body.reduced)))
    return work + (terms * (len(body.prologue) + 1) if body.reduced else 0)
