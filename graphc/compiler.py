"""`compile`: the pipeline, from declared tensors to a program that runs."""

from __future__ import annotations

import math
import os
import re
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from graphc.backends.by_device import ByDevice
from graphc.backends.c import NativeExecutable, generate_native, not_native, plan_native
from graphc.backends.c.check import check as check_native
from graphc.backends.c.compiler import REMEDY, find_compiler, need_compiler, vector_bytes
from graphc.backends.executable import Executable
from graphc.backends.nancheck import CheckedExecutable
from graphc.backends.reference import ReferenceExecutable
from graphc.backends.torch_plan import PATTERNS, TorchExecutable, generate, lower
from graphc.errors import CompileError, brief, explained, one_line, type_name
from graphc.ir import Graph, Node, Output, OutputRole, Tensor
from graphc.ir.collection import collector_paused
from graphc.ir.verify import verify
from graphc.memory import check, plan
from graphc.ops import Placeholder
from graphc.passes import PASSES, Pass
from graphc.passes.cse import cse
from graphc.passes.decompose import decompose
from graphc.passes.pack_updates import pack_updates
from graphc.passes.specialise import specialise
from graphc.passes.split_products import split_products
from graphc.runtime import Program, Stage
from graphc.runtime.form import Form
from graphc.schedule import schedule, schedule_kernels
from graphc.state import Variable
from graphc.types import as_index

__all__ = ["BACKENDS", "asked_for", "compile"]

BACKENDS = ("c", "torch", "reference")

MOST_KERNELS = 2000
"""Kernels up to which `auto` means native code: beyond, the C compiler takes several seconds."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


@explained
def compile(
    inputs: Sequence[Tensor],
    outputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    updates: Mapping[Variable, Tensor] | None = None,
    *,
    backend: str = "auto",
    threads: int | None = None,
    training: bool | None = None,
    nancheck: bool | None = None,
) -> Program:
    """Make a program of a graph.

    `inputs` are placeholders, in call order, used or not. `outputs` is one tensor, or a list, tuple or dict of tensors.
    `updates` maps variables to their values after each call, as `optimizer.minimize(loss)` gives them.
    `backend`: "c" (native code), "torch" (a generated plan of torch operations), "reference" (node by node), or "auto":
    native code where there is a C compiler and for values on the CPU, else the torch plan.
    `threads` bounds the threads of each call. `training` says whether dropout drops; None means if there are updates.
    `nancheck` stops at the first node that makes NaN or infinity, with a NonFiniteError that explains it, before the
    State changes; it takes a multiple of the time. None means if `GRAPHC_NANCHECK=1` is in the environment.
    Raises CompileError.
    """
    _check_backend(backend)
    threads = _checked_threads(threads)
    updates = {} if updates is None else updates
    _check_updates(updates)
    if training is None:
        training = bool(updates)
    elif not isinstance(training, bool):
        raise CompileError(f"compile: training is True, False or None, not {brief(training)}")
    if nancheck is None:
        nancheck = asked_for("GRAPHC_NANCHECK")
    elif not isinstance(nancheck, bool):
        raise CompileError(f"compile: nancheck is True, False or None, not {brief(nancheck)}")
    with collector_paused():
        return _compile(inputs, outputs, updates, backend, threads, training, nancheck)


def _compile(
    inputs: Sequence[Tensor],
    outputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    updates: Mapping[Variable, Tensor],
    backend: str,
    threads: int | None,
    training: bool,
    nancheck: bool,
) -> Program:
    form, results = Form.of(outputs)
    stages = _Stages()
    graph = stages.run("graph", _declare, inputs, dict(zip(form.names, results, strict=True)), updates)
    declared = graph = stages.run_pass(Pass("specialise", partial(specialise, training=training)), graph)
    for each in PASSES:
        graph = stages.run_pass(each, graph)
    chosen, reason = _choose(backend, graph)
    executable: Executable
    if chosen == "reference":
        executable = ReferenceExecutable(graph)
    elif chosen == "torch":
        executable = _torch_plan(graph, stages)
    else:
        before = len(stages.done)
        native = _native(graph, stages, MOST_KERNELS if backend == "auto" else math.inf)
        if native is None:
            del stages.done[before:]
            chosen = "torch"
            reason = f"a C compiler takes long over more than {MOST_KERNELS:,} kernels; backend 'c' does it still"
            executable = _torch_plan(graph, stages)
        elif backend == "auto":
            executable = ByDevice(native, lambda: _torch_plan(graph, _Stages()))
        else:
            executable = native
    if nancheck:
        executable = CheckedExecutable(declared, executable, chosen)

    def evaluation() -> Program:
        return compile(inputs, outputs, backend=backend, threads=threads, training=False, nancheck=nancheck)

    return Program(declared, graph, form, chosen, reason, executable, stages.done, threads, training, evaluation)


def _torch_plan(graph: Graph, stages: _Stages) -> TorchExecutable:
    for each in (Pass("pack_updates", pack_updates), Pass("lower", lower), Pass("cse", cse)):
        graph = stages.run_pass(each, graph)
    steps = stages.run("schedule", schedule, graph, PATTERNS)
    places = stages.run("memory", plan, steps)
    if stages.verify:
        for size in (0, 1, 3):
            check(steps, places, dict.fromkeys(graph.symbols, size))
    return TorchExecutable(steps, places, stages.run("plan", generate, steps, places))


def _native(graph: Graph, stages: _Stages, most: float = math.inf) -> NativeExecutable | None:
    """Native code; None where it would have more than `most` kernels."""
    for each in (Pass("decompose", decompose), Pass("split_products", split_products), Pass("cse", cse)):
        graph = stages.run_pass(each, graph)
    kernels = stages.run("schedule", schedule_kernels, graph)
    if len(kernels.kernels) > most:
        return None
    native = stages.run("native plan", plan_native, kernels, vector_bytes())
    if stages.verify:
        for size in (0, 1, 3):
            check_native(native, dict.fromkeys(graph.symbols, size))
    executable = NativeExecutable(native, stages.run("kernel", generate_native, native))
    stages.run("library", executable.build)
    return executable


def _choose(backend: str, graph: Graph) -> tuple[str, str]:
    """The backend, and why it is not native code if that was to be chosen. Raises CompileError where "c" cannot be."""
    if backend not in ("c", "auto"):
        return backend, ""
    missing = not_native(graph)
    if backend == "c":
        if missing is not None:
            raise CompileError(f"compile: backend 'c': {missing}")
        need_compiler()
        return "c", ""
    if missing is None and find_compiler() is None:
        _say_once(f"graphc: no C compiler was found, so programs run as torch calls, which is slower; {REMEDY}")
        missing = f"no C compiler was found; {REMEDY}"
    return ("c", "") if missing is None else ("torch", missing)


@cache
def _say_once(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=6)


def _check_backend(backend: str) -> None:
    if backend != "auto" and backend not in BACKENDS:
        choices = ", ".join(map(repr, BACKENDS))
        raise CompileError(f"compile: backend {backend!r} does not exist; choose 'auto' or one of {choices}")


def _checked_threads(threads: int | None) -> int | None:
    if threads is None:
        return None
    number = as_index(threads)
    if number is None or number < 1:
        raise CompileError(f"compile: threads is a positive number or None, not {brief(threads)}")
    return number


_UPDATES_MAP = "compile: updates map variables to tensors, as optimizer.minimize(loss) gives them"


def _check_updates(updates: object) -> None:
    if hasattr(updates, "minimize"):
        raise CompileError("compile: updates is an optimizer; pass updates=optimizer.minimize(loss)")
    if not isinstance(updates, Mapping):
        raise CompileError(
            f"{_UPDATES_MAP}, not {type_name(updates)}; mappings are merged with |, and a program without updates has "
            "updates=None"
        )


def _declare(inputs: Sequence[Tensor], results: Mapping[str, Tensor], updates: Mapping[Variable, Tensor]) -> Graph:
    """The graph that the user declared, checked."""
    if isinstance(inputs, Tensor) or not isinstance(inputs, Sequence):
        given = "a graphc.Tensor" if isinstance(inputs, Tensor) else f"a {type_name(inputs)}"
        raise CompileError(f"compile: inputs is {given}, not a list of placeholders, such as inputs=[points, labels]")
    placeholders: list[Node] = []
    for each in inputs:
        if not isinstance(each, Tensor) or not isinstance(each.node.op, Placeholder):
            shown = "a torch.Tensor" if isinstance(each, torch.Tensor) else brief(each)
            remedy = "parameters are no inputs: leave it out; " if isinstance(each, Variable) else ""
            remedy += "inputs are made with graphc.placeholder(...)"
            raise CompileError(f"compile: {shown} is not a placeholder; {remedy}")
        if each.node in placeholders:
            raise CompileError(f"compile: placeholder {each.node.op.label!r} is listed twice in inputs; list it once")
        placeholders.append(each.node)
    outputs = [
        Output(tensor.node, OutputRole.OUTPUT if tensor.node.origin.forward is None else OutputRole.GRADIENT, name)
        for name, tensor in results.items()
    ]
    for variable, value in updates.items():
        if not isinstance(variable, Variable) or not isinstance(value, Tensor):
            raise CompileError(f"{_UPDATES_MAP}, not {brief(variable)} to {brief(value)}")
        if value.type != variable.type:
            raise CompileError(
                f"compile: the update of {variable!r} has type {value.type}; a new value has the type of the old one: "
                f"reshape it, or convert it with .to({variable.dtype})"
            )
        outputs.append(Output(value.node, OutputRole.UPDATE, variable.name, variable.cell))
    if not outputs:
        raise CompileError("compile: there is nothing to compute: outputs and updates are empty")
    graph = Graph(tuple(placeholders), tuple(outputs))
    for node in graph.nodes:
        if isinstance(node.op, Placeholder) and node not in placeholders:
            name = node.op.label
            same = [each for each in placeholders if isinstance(each.op, Placeholder) and each.op.label == name]
            labels = [each.op.label for each in (*placeholders, node) if isinstance(each.op, Placeholder)]
            remedy = (
                f"Another one of the same name is, declared at {same[0].origin.location}: make one of them, and use it"
                if same
                else f"Add it: inputs=[{', '.join(map(one_line, labels))}]"
            )
            raise CompileError(
                f"compile: the outputs need placeholder {name!r} (declared at {node.origin.location}), "
                f"which is not among the inputs. {remedy}"
            )
    return graph


def asked_for(variable: str) -> bool:
    """Whether an environment variable switches something on. Raises CompileError for what is neither on nor off."""
    setting = os.environ.get(variable, "").strip()
    if setting not in ("", "0", "1"):
        raise CompileError(
            f"compile: {variable} is {one_line(setting[:40])!r}, which is neither 1 nor 0. Set it to 1 to switch it "
            "on, or unset it"
        )
    return setting == "1"


class _Stages:
    """Runs the stages: times them, verifies graphs under GRAPHC_VERIFY=1, writes their text to GRAPHC_DUMP."""

    def __init__(self) -> None:
        self.done: list[Stage] = []
        self.verify = asked_for("GRAPHC_VERIFY")
        folder = os.environ.get("GRAPHC_DUMP", "")
        self._folder = Path(folder) if folder else None

    def run(self, name: str, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        start = time.perf_counter()
        result = function(*args, **kwargs)
        self._record(Stage(name, result, time.perf_counter() - start))
        return result

    def run_pass(self, each: Pass, graph: Graph) -> Graph:
        start = time.perf_counter()
        result, counts = each.run(graph)
        seconds = time.perf_counter() - start
        self._record(Stage(each.name, result, seconds, {rule: count for rule, count in counts.items() if count}))
        return result

    def _record(self, stage: Stage) -> None:
        self.done.append(stage)
        if self.verify and isinstance(stage.value, Graph):
            verify(stage.value, f"after {stage.name}")
        if self._folder is not None:
            suffix = {"plan": "py", "kernel": "c"}.get(stage.name, "txt")
            path = self._folder / f"{len(self.done):02d}-{re.sub('[^a-z0-9]+', '-', stage.name)}.{suffix}"
            title = f"/* {stage!r} */" if suffix == "c" else f"# {stage!r}"
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                path.write_text(f"{title}\n{stage}", encoding="utf-8")
            except OSError as error:
                problem = f"GRAPHC_DUMP is {str(self._folder)!r}, where {path.name!r} cannot be written"
                reason = (error.strerror or "").lower()
                remedy = "Set GRAPHC_DUMP to a folder that can be written, or unset it"
                raise CompileError(f"compile: {problem}: {reason}. {remedy}") from None
