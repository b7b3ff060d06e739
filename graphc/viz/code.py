"""Generated code for reading: which of its lines belong to which node, and to which kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.c import NativePlan, NativeSource, Relayout
from graphc.ir import Node
from graphc.runtime import Program
from graphc.schedule import Schedule

__all__ = ["Listing", "Range", "functions_of", "listings_of"]

Range = tuple[int, int]
"""First and last line, counted from 1."""


@dataclass(frozen=True)
class Listing:
    """`nodes` are by `node.origin.ident`, `kernels` by a kernel's index."""

    title: str
    language: str
    text: str
    nodes: Mapping[int, tuple[Range, ...]]
    kernels: Mapping[int, tuple[Range, ...]]


def listings_of(program: Program) -> tuple[Listing, ...]:
    """The C of native code, and the plan of torch calls."""
    return tuple(_listings(program))


def functions_of(program: Program) -> Mapping[int, tuple[str, ...]]:
    """The C functions that compute each kernel, by its index: kernels that are alike have one together."""
    plan, source = _native(program)
    found: dict[int, dict[str, None]] = {}
    if plan is not None and source is not None:
        for task, name in zip(plan.tasks, source.functions, strict=True):
            if not isinstance(task, Relayout):
                found.setdefault(task.kernel.index, {})[name] = None
    return {index: tuple(names) for index, names in found.items()}


def _native(program: Program) -> tuple[NativePlan | None, NativeSource | None]:
    plan = next((stage.value for stage in program.stages if isinstance(stage.value, NativePlan)), None)
    source = next((stage.value for stage in program.stages if isinstance(stage.value, NativeSource)), None)
    return plan, source


def _listings(program: Program) -> Iterator[Listing]:
    plan, source = _native(program)
    if plan is not None and source is not None:
        yield _of_c(plan, source)
    torch_plan = program.torch_plan
    if torch_plan is not None:
        yield _of_python(torch_plan.schedule, torch_plan.source)


def _of_c(plan: NativePlan, source: NativeSource) -> Listing:
    """A kernel's lines are those of its function, and the line of the step that calls it with its comment."""
    lines = source.text.split("\n")
    functions = _c_functions(lines)
    step = next((found for name, found in functions.items() if name == "graphc_step"), (1, len(lines)))
    calls = {name: iter([*_calls_of(name, lines, step)]) for name in set(source.functions)}
    kernels: dict[int, tuple[Range, ...]] = {}
    nodes: dict[int, tuple[Range, ...]] = {}
    for task, name in zip(plan.tasks, source.functions, strict=True):
        call = next(calls[name], None)
        if isinstance(task, Relayout):
            continue
        found = tuple(each for each in (functions.get(name), call) if each is not None)
        kernels[task.kernel.index] = (*kernels.get(task.kernel.index, ()), *found)
        for node in task.kernel.nodes:
            nodes[node.origin.ident] = kernels[task.kernel.index]
    return Listing("C", "c", source.text, nodes, kernels)


def _c_functions(lines: Sequence[str]) -> dict[str, Range]:
    """Where each function of generated code begins and ends: at braces in the first column."""
    found: dict[str, Range] = {}
    name, start = "", 0
    for i, line in enumerate(lines, 1):
        head = re.match(r"(?:static )?(?:__attribute__\(\(noinline\)\) )?void (\w+)\(.*\{$", line)
        if head is not None:
            name, start = head[1], i
        elif line == "}" and name:
            found[name] = (start, i)
            name = ""
    return found


def _calls_of(name: str, lines: Sequence[str], step: Range) -> Iterator[Range]:
    """The calls of a function in the step, each with the comment before it. Long steps are in several functions."""
    called = re.compile(rf"^  (?:if .* else )?{name}\(")
    begin = next((i for i, line in enumerate(lines) if line.startswith("static void step_")), step[0] - 1)
    for i in range(begin, step[1]):
        if called.match(lines[i]):
            yield (i, i + 1)


def _of_python(schedule: Schedule, text: str) -> Listing:
    """A node's lines are those that make its value; those of a node that a call covers are the call's."""
    made: dict[str, list[Range]] = {}
    for i, line in enumerate(text.split("\n"), 1):
        for name in re.findall(r"out=(v\d+)\b", line) + re.findall(r"^\s*(v\d+)(?: = |\.copy_\()", line):
            made.setdefault(name, []).append((i, i))
    names = {node: f"v{name[1:]}" for node, name in schedule.names.items()}
    nodes: dict[int, tuple[Range, ...]] = {}
    covered: dict[Node, Node] = {node: step.node for step in schedule.steps for node in step.covers}
    for node in schedule.graph.nodes:
        found = made.get(names.get(covered.get(node, node), ""), [])
        if found:
            nodes.setdefault(node.origin.ident, tuple(found))
    return Listing("Python", "python", text, nodes, {})
