"""What a program says about itself: a summary, and what was covered by one call, packed, or left to evaluate itself."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir import Graph, Role
from graphc.memory import MemoryPlan
from graphc.ops import Pack
from graphc.runtime.runner import Runner
from graphc.runtime.stage import Stage
from graphc.schedule import Schedule

__all__ = ["explain", "summarise"]


def summarise(program: Runner, outputs: Sequence[str], backend: str, stages: Sequence[Stage]) -> str:
    """A few lines: inputs, outputs, cells, nodes by stage, calls, scratch memory, time to compile."""
    inputs = zip(program.input_names, program.input_types)
    lines = [
        ("inputs", ", ".join(f"{name}: {type_}" for name, type_ in inputs) or "none"),
        ("outputs", ", ".join(outputs) or "none"),
        ("backend", backend),
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
        elif isinstance(stage.value, MemoryPlan):
            sizes = dict.fromkeys(program.graph.symbols, 32)
            bound = f" when {', '.join(f'{name} = 32' for name in sizes)}" if sizes else ""
            lines.append(("scratch", f"{stage.value.nbytes(sizes):,} bytes{bound}"))
    lines.append(("compiled", f"in {sum(stage.seconds for stage in stages) * 1e3:.1f} ms"))
    width = max(len(name) for name, _ in lines)
    return "".join(f"{name:<{width}}  {text}\n" for name, text in lines)


def explain(schedule: Schedule, memory: MemoryPlan, stages: Sequence[Stage]) -> str:
    """What became of the nodes: rewrites, calls that cover several nodes, packs, ops that evaluate themselves."""
    names = schedule.names
    lines = ["rewrites"]
    for stage in stages:
        lines.extend(f"  {stage.name}: {rule} ×{count}" for rule, count in stage.counts.items())
    lines.append("calls that cover several nodes")
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
    lines.extend(f"  {output.name} = {names[output.node]}" for output in memory.copies)
    return "\n".join(_without_empty(lines)) + "\n"


def _without_empty(lines: Sequence[str]) -> list[str]:
    """Headings that have nothing under them say so."""
    result = []
    for line, following in zip(lines, (*lines[1:], "")):
        is_heading = not line.startswith(" ")
        result.append(f"{line}: none" if is_heading and not following.startswith(" ") else line)
    return result
