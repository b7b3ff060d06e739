"""What a program says about itself: a summary, and what was covered by one call, packed, or left to evaluate itself."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.backends.c import NativePlan, Relayout
from graphc.errors import one_line
from graphc.ir import Graph, Role
from graphc.memory import MemoryPlan
from graphc.ops import Pack
from graphc.runtime.runner import Runner
from graphc.runtime.stage import Stage
from graphc.schedule import Schedule

__all__ = ["explain", "summarise"]


def summarise(program: Runner, outputs: Sequence[str], backend: str, training: bool, stages: Sequence[Stage]) -> str:
    """A few lines: inputs, outputs, mode, cells, nodes by stage, calls, scratch memory, time to compile."""
    inputs = zip(program.input_names, program.input_types)
    lines = [
        ("inputs", ", ".join(f"{one_line(name)}: {type_}" for name, type_ in inputs) or "none"),
        ("outputs", ", ".join(map(one_line, outputs)) or "none"),
        ("backend", backend),
        ("mode", "training" if training else "inference"),
    ]
    for role in Role:
        owned = [cell for cell in program.graph.cells if cell.role is role]
        if owned:
            values = sum(int(cell.type.numel) for cell in owned)
            lines.append((f"{role.value}s", f"{len(owned)} tensors, {values:,} values"))
    counts = [(stage.name, len(stage.value.nodes)) for stage in stages if isinstance(stage.value, Graph)]
    lines.append(("nodes", " -> ".join(f"{count} {name}" for name, count in counts)))
    for stage in stages:
        if isinstance(stage.value, Schedule):
            lines.append(("calls", str(sum(not step.is_view for step in stage.value.steps))))
        elif isinstance(stage.value, NativePlan):
            tasks = stage.value.tasks
            lines.append(("kernels", str(len(tasks))))
            lines.append(("scratch", _scratch(stage.value, program.graph)))
        elif isinstance(stage.value, MemoryPlan):
            lines.append(("scratch", _scratch(stage.value, program.graph)))
    lines.append(("compiled", f"in {sum(stage.seconds for stage in stages) * 1e3:.1f} ms"))
    width = max(len(name) for name, _ in lines)
    return "".join(f"{name:<{width}}  {text}\n" for name, text in lines)


def _scratch(memory: MemoryPlan | NativePlan, graph: Graph) -> str:
    sizes = dict.fromkeys(graph.symbols, 32)
    bound = f" when {', '.join(f'{name} = 32' for name in sizes)}" if sizes else ""
    return f"{memory.nbytes(sizes):,} bytes{bound}"


def explain(backend: str, reason: str, stages: Sequence[Stage]) -> str:
    """What became of the nodes: rewrites, then what the backend made of them."""
    values = {type(stage.value): stage.value for stage in stages}
    lines = [f"backend {backend}" + (f": {reason}" if reason else "")]
    lines.append("rewrites")
    for stage in stages:
        lines.extend(f"  {stage.name}: {rule} ×{count}" for rule, count in stage.counts.items())
    schedule, memory, native = values.get(Schedule), values.get(MemoryPlan), values.get(NativePlan)
    if isinstance(schedule, Schedule) and isinstance(memory, MemoryPlan):
        lines += _of_calls(schedule, memory)
    elif isinstance(native, NativePlan):
        lines += _of_kernels(native)
    else:
        return "\n".join([lines[0], *_without_empty(lines[1:]), "every node evaluates itself"]) + "\n"
    return "\n".join([lines[0], *_without_empty(lines[1:])]) + "\n"


def _of_calls(schedule: Schedule, memory: MemoryPlan) -> list[str]:
    """Calls that cover several nodes, ops that evaluate themselves, packs, copies."""
    names = schedule.names
    lines = ["calls that cover several nodes"]
    covering = [step for step in schedule.steps if step.covers]
    lines.extend(
        f"  {names[step.node]} {step.call.function.__name__ if step.call else ''} ({step.pattern}) covers "
        + ", ".join(f"{names[node]} {node.op.name}" for node in step.covers)
        for step in covering
    )
    lines.append("ops that evaluate themselves, on tensors that each call allocates")
    lines.extend(
        f"  {names[step.node]} {step.node.op.name}  {step.node.origin.location}"
        for step in schedule.steps
        if step.call is None
    )
    lines.append("packs")
    lines.extend(
        f"  {names[step.node]} of {len(step.operands)} tensors in {memory.places[step.node].area}"
        for step in schedule.steps
        if isinstance(step.node.op, Pack) and step.node in memory.places
    )
    lines.append("updates that are copied into their cells at the end")
    lines.extend(f"  {one_line(output.name)} = {names[output.node]}" for output in memory.copies)
    return lines


def _of_kernels(native: NativePlan) -> list[str]:
    """What each kernel computes and stores, what BLAS computes, and which values are copied to another layout."""
    names = native.names
    lines = ["kernels, each with all that it computes; only what it stores goes to memory"]
    for task in native.tasks:
        if isinstance(task, Relayout):
            continue
        kernel = task.kernel
        how = f" by {task.contraction}" if task.contraction is not None else ""
        ops = " ".join(f"{names[node]}:{node.op.name}" for node in kernel.nodes) or "copies"
        kept = [names[node] for node in kernel.stores] + [one_line(output.name) for output in kernel.writes]
        space = " × ".join(map(str, kernel.space)) or "1"
        lines.append(f"  {ops} over {space}{how} -> {', '.join(kept)}")
    lines.append("values that are read in another layout than they are stored in")
    lines.extend(f"  {native.label(t.source)} {t.source.type}" for t in native.tasks if isinstance(t, Relayout))
    lines.append("parameters that a call works on in a padded copy")
    lines.extend(f"  {native.label(t.source)} {t.source.type}" for t in native.enter)
    lines.append("updates that are copied into their cells at the end")
    lines.extend(f"  {one_line(output.name)} = {names[output.node]}" for output in native.schedule.copied)
    return lines


def _without_empty(lines: Sequence[str]) -> list[str]:
    """Headings that have nothing under them say so."""
    result = []
    for line, following in zip(lines, (*lines[1:], "")):
        is_heading = not line.startswith(" ")
        result.append(f"{line}: none" if is_heading and not following.startswith(" ") else line)
    return result
