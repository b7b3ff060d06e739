"""A program as one C file: blocks, kernels, and the functions that run them in order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources

import torch

from graphc.backends.c.blocks import block
from graphc.backends.c.function import write
from graphc.backends.c.plan import NativePlan, Relayout, Task
from graphc.backends.c.scalars import C_TYPES, size_text
from graphc.backends.c.torch_functions import MOST_THREADS
from graphc.backends.c.vector_math import definitions, prelude
from graphc.backends.c.writer import WORTH_THREADS, Function
from graphc.ir import Node

__all__ = ["NativeSource", "generate_native"]

MOST_COPIES = 24
"""Places into which a mathematical function is copied at most: beyond, compiling takes longer than calls do."""

CALLS = 100
"""Kernels that one function calls: compilers take long over long functions."""


@dataclass(frozen=True, eq=False)
class NativeSource:
    """`text` is C11 with vector extensions; `functions` has the name of what each task of a step calls, in order."""

    text: str
    functions: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


def generate_native(plan: NativePlan, *, timed: bool = False) -> NativeSource:
    """`timed` adds `graphc_profile`, which counts the ticks of each task."""
    file = _File(plan)
    text = file.write(timed)
    return NativeSource(text, tuple(file.called[task] for task in plan.tasks))


class _File:
    def __init__(self, plan: NativePlan) -> None:
        self.plan = plan
        self.known: dict[tuple[str, str], str] = {}
        self.shares: dict[str, str] = {}
        self.functions: list[Function] = []
        self.called: dict[Task | Relayout, str] = {}

    def write(self, timed: bool) -> str:
        enter, step, leave = (
            [tuple(self._call(task)) for task in tasks] for tasks in (self.plan.enter, self.plan.tasks, self.plan.leave)
        )
        parts = [
            self._sequence("enter", enter),
            self._sequence("step", step),
            self._sequence("leave", leave),
            _text("driver.h"),
        ]
        if timed:
            ticking = [(*lines, f"  then = spend(ticks + {k}, then);") for k, lines in enumerate([*step, ()])]
            parts += [
                f"#define TASKS {len(step)}",
                _text("profile.h"),
                self._sequence("timed_step", ticking, timed=True),
            ]
        kernels = [
            f"static __attribute__((noinline)) void {name}({parameters}) {{\n{text}\n}}\n"
            for (parameters, text), name in self.known.items()
        ]
        return "\n".join([*self._head(), *kernels, *self.shares.values(), *parts])

    def _head(self) -> list[str]:
        types = {kind for function in self.functions for kind in function.types}
        needed = {each for function in self.functions for each in function.functions}
        dtypes = {"f32": torch.float32, "f64": torch.float64, "i32": torch.int32, "i64": torch.int64}
        types |= {(C_TYPES[dtype], lanes) for _, dtype, lanes in needed}
        types |= {("f64", lanes) for element, lanes in types if element == "i64"}
        types |= {("f32", lanes) for element, lanes in types if element == "i32"}
        lanes = sorted({(dtypes[element], count) for element, count in types}, key=str)
        return [
            "/* A step as kernels over buffers. n[k] is the k-th symbolic size, b[k] the k-th buffer. */",
            prelude(lanes),
            _text("types.h"),
            self._called(definitions(sorted(needed, key=str))),
            *self._blocks(),
            *self._strips(),
        ]

    def _strips(self) -> list[str]:
        """Scratch memory for pieces of large factors, of which every thread has one of its own."""
        counts: dict[str, int] = {}
        for function in self.functions:
            for element, count in function.strips:
                counts[element] = max(count, counts.get(element, 0))
        attribute = "__attribute__((aligned(64)))"
        return [f"static _Thread_local {e} strip_{e}[{n}] {attribute};\n" for e, n in sorted(counts.items())]

    def _called(self, text: str) -> str:
        """Definitions of mathematical functions; those that kernels call often are not copied to every place."""
        kernels = "".join(body for _, body in self.known)
        for name in ("tanh", "exp", "expm1", "log", "log1p", "sigmoid", "erf", "sin", "cos"):
            for vector in sorted(set(re.findall(rf"\b{name}_(\w+)\(", kernels))):
                head = f"{vector} {name}_{vector}("
                if kernels.count(f"{name}_{vector}(") > MOST_COPIES:
                    text = text.replace(f"INLINE {head}", f"static __attribute__((noinline)) {head}")
        return text

    def _blocks(self) -> list[str]:
        wanted = sorted({name for function in self.functions for name in function.blocks})
        done: dict[str, str] = {}
        for name in wanted:
            text, needs = block(name)
            for each in needs:
                done.setdefault(each, block(each)[0])
            done.setdefault(name, text)
        return list(done.values())

    def _sequence(self, name: str, calls: Sequence[Sequence[str]], *, timed: bool = False) -> str:
        """A function that makes the calls in order, in parts if there are many."""
        groups = [calls[i : i + CALLS] for i in range(0, len(calls), CALLS)] or [[]]
        pieces = [[line for call in group for line in call] for group in groups]
        ticks, passed = (", u64 *ticks", ", ticks") if timed else ("", "")
        head = f"(const long *n, void *const *b{ticks})"
        symbols = len(self.plan.graph.symbols)
        start = [f"  const long n{k} = n[{k}]; (void)n{k};" for k in range(symbols)]
        start.append(f"  const long threads = n[{symbols}]; (void)threads;")
        if timed:
            start.append("  u64 then = tick_count();")
        if len(pieces) == 1:
            return "\n".join([f"void graphc_{name}{head} {{", *start, *pieces[0], "}\n"])
        lines = []
        for k, piece in enumerate(pieces):
            lines += [f"static void {name}_{k}{head} {{", *start, *piece, "}\n"]
        lines += [f"void graphc_{name}{head} {{", *(f"  {name}_{k}(n, b{passed});" for k in range(len(pieces))), "}\n"]
        return "\n".join(lines)

    def _call(self, task: Task | Relayout) -> Iterable[str]:
        plan = self.plan
        function = write(plan, task)
        self.functions.append(function)
        key = (function.parameters, function.text)
        name = self.called[task] = self.known.setdefault(key, f"k{len(self.known)}")
        arguments = [f"n{k}" for k in function.symbols] + [f"b[{buffer.index}]" for buffer in function.buffers]
        yield f"  /* {_plain(self._note(task))} */"
        if function.share is None:
            yield f"  {name}({', '.join(arguments)});"
            return
        symbols = self.plan.graph.symbols
        self.shares.setdefault(name, _shared(name, function))
        extent, work = (size_text(size, symbols) for size in (function.share.extent, function.share.work))
        together = ", ".join([*arguments, extent, "threads"])
        alone = ", ".join([*arguments, "0", extent])
        yield f"  if (threads > 1 && {work} >= {WORTH_THREADS}) {name}_shared({together}); else {name}({alone});"

    def _note(self, task: Task | Relayout) -> str:
        """The nodes that a kernel computes, and where users built them."""
        if isinstance(task, Relayout):
            return f"{self.plan.label(task.source)} in another layout"
        names = self.plan.names
        nodes = task.kernel.nodes or tuple(output.node for output in task.kernel.writes)
        return f"{', '.join(f'{names[n]} {n.op.name}' for n in nodes)}{_places(nodes)}"


def _shared(name: str, function: Function) -> str:
    """The function that lets several threads run a kernel, each its share, and adds up what they have summed."""
    share = function.share
    assert share is not None, "only shared kernels are run by several threads"
    parameters = function.parameters.removesuffix("long lo, long hi") + "long extent, long threads"
    fields = [each.replace("restrict ", "").rsplit(" ", 1) for each in parameters.split(", ")]
    names = [field.lstrip("*") for _, field in fields]
    sums = {f"p{function.buffers.index(buffer)}": C_TYPES[buffer.dtype] for buffer in share.totals}
    given = [f"&c->{n}_sums[id]" if n in sums else f"c->{n}" for n in names[:-2]]
    lines = [
        f"struct {name}_call {{",
        *(f"  {type_} {field};" for type_, field in fields),
        *(f"  {type_} {n}_sums[{MOST_THREADS}];" for n, type_ in sums.items()),
        "};",
        f"static void {name}_share(void *p) {{",
        f"  struct {name}_call *c = p;",
        "  /* OpenMP may start fewer threads than it is asked for: each takes every share whose turn it is. */",
        "  for (long id = thread_number(); id < c->threads; id += team_size()) {",
        f"    const long lo = share_start(c->extent, {share.grain}, id, c->threads);",
        f"    const long hi = share_start(c->extent, {share.grain}, id + 1, c->threads);",
        f"    {name}({', '.join([*given, 'lo', 'hi'])});",
        "  }",
        "}",
        f"static __attribute__((noinline)) void {name}_shared({parameters}) {{",
        f"  struct {name}_call c = {{{', '.join(names)}}};",
        f"  fork_join({name}_share, &c, threads, 0);",
    ]
    for n, type_ in sums.items():
        lines += [f"  {type_} {n}_total = 0;", f"  for (long t = 0; t < threads; t++) {n}_total += c.{n}_sums[t];"]
        lines.append(f"  {n}[0] = {n}_total;")
    return "\n".join([*lines, "}\n"])


def _places(nodes: Sequence[Node]) -> str:
    found: dict[str, None] = {}
    for node in nodes:
        origin = node.origin
        direction = " backward" if origin.forward is not None else ""
        found[" ".join(part for part in (origin.module, origin.location) if part) + direction] = None
    text = "; ".join(place for place in found if place)
    return f"   [{text}]" if text else ""


def _plain(text: str) -> str:
    """Names are only text: nothing in them ends the comment that they stand in."""
    escaped = text.encode("unicode_escape").decode("ascii")
    return escaped.replace("\\\\", "/").replace("*/", "* /")  # in this order: a backslash after a star ends nothing


def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
