"""`compile`: the pipeline, from declared tensors to a program that runs."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from graphc.backends.executable import Executable
from graphc.backends.reference import ReferenceExecutable
from graphc.errors import CompileError
from graphc.ir import Graph, Node, Output, OutputRole, Tensor
from graphc.ir.verify import verify
from graphc.ops import Placeholder
from graphc.passes import PASSES
from graphc.runtime import Program, Stage
from graphc.runtime.form import Form
from graphc.state import Variable

__all__ = ["BACKENDS", "compile"]

BACKENDS = ("torch", "reference")
_T = TypeVar("_T")


def compile(
    inputs: Sequence[Tensor],
    outputs: Tensor | Sequence[Tensor] | Mapping[str, Tensor],
    updates: Mapping[Variable, Tensor] | None = None,
    *,
    backend: str = "auto",
    threads: int | None = None,
) -> Program:
    """Make a program of a graph.

    `inputs` are placeholders, in call order; unused ones are allowed. `outputs` is one tensor, or a list, tuple or dict.
    `updates` maps variables to their values after each call, as `optimizer.minimize(loss)` gives them.
    `backend`: "torch" (a generated plan of torch operations), "reference" (node by node) or "auto", the fastest there is.
    `threads` bounds the threads of each call. Raises CompileError.
    """
    stages = _Stages()
    graph, form = stages.add("graph", lambda: _declare(inputs, outputs, updates or {}), pick=0)
    for each in PASSES:
        graph, _ = stages.add(each.name, lambda run=each.run, graph=graph: run(graph), pick=0, counted=True)  # type: ignore[misc]
    name = _backend(backend)
    executable: Executable = ReferenceExecutable(graph)
    return Program(graph, form, name, executable, stages.stages, _threads(threads))


def _backend(backend: str) -> str:
    if backend == "auto":
        return BACKENDS[0]
    if backend not in BACKENDS:
        raise CompileError(
            f"compile: backend {backend!r} does not exist; choose 'auto' or one of {', '.join(map(repr, BACKENDS))}"
        )
    return backend


def _threads(threads: int | None) -> int | None:
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise CompileError(f"compile: threads is a positive number or None, not {threads!r}")
    return threads


def _declare(inputs: Sequence[Tensor], outputs: Any, updates: Mapping[Variable, Tensor]) -> tuple[Graph, Form]:
    """The graph that the user declared, checked."""
    if isinstance(inputs, Tensor) or not isinstance(inputs, Sequence):
        raise CompileError("compile: inputs is a list of placeholders, such as inputs=[points, labels]")
    placeholders: list[Node] = []
    for each in inputs:
        if not isinstance(each, Tensor) or not isinstance(each.node.op, Placeholder):
            raise CompileError(f"compile: {each!r} is not a placeholder; inputs are made with graphc.placeholder(...)")
        placeholders.append(each.node)
    if len(set(placeholders)) != len(placeholders):
        raise CompileError("compile: a placeholder is listed twice in inputs")
    form, tensors = Form.of(outputs, "loss" if updates else "output")
    results = [
        Output(tensor.node, OutputRole.OUTPUT if tensor.node.origin.forward is None else OutputRole.GRADIENT, name)
        for name, tensor in zip(form.names, tensors, strict=True)
    ]
    for variable, value in updates.items():
        if not isinstance(variable, Variable) or not isinstance(value, Tensor):
            raise CompileError("compile: updates map variables to tensors, as optimizer.minimize(loss) gives them")
        if value.type != variable.type:
            raise CompileError(f"compile: the update of {variable!r} has type {value.type}")
        results.append(Output(value.node, OutputRole.UPDATE, variable.name, variable.cell))
    if not results:
        raise CompileError("compile: there is nothing to compute: outputs and updates are empty")
    graph = Graph(tuple(placeholders), tuple(results))
    for node in graph.nodes:
        if isinstance(node.op, Placeholder) and node not in placeholders:
            where = node.origin.location
            raise CompileError(
                f"compile: the outputs need placeholder {node.op.label!r} (declared at {where}), which is not among the inputs"
            )
    return graph, form


class _Stages:
    """Runs the stages: times them, verifies graphs under GRAPHC_VERIFY=1, writes their text to GRAPHC_DUMP."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._verify = os.environ.get("GRAPHC_VERIFY", "") not in ("", "0")
        dump = os.environ.get("GRAPHC_DUMP", "")
        self._dump = Path(dump) if dump else None

    def add(self, name: str, run: Callable[[], _T], *, pick: int | None = None, counted: bool = False) -> _T:
        start = time.perf_counter()
        result = run()
        seconds = time.perf_counter() - start
        value = result if pick is None else result[pick]  # type: ignore[index]
        counts = dict(result[1]) if counted else {}  # type: ignore[index]
        if self._verify and isinstance(value, Graph):
            verify(value, f"after {name}")
        stage = Stage(name, value, seconds, {rule: count for rule, count in counts.items() if count})
        self.stages.append(stage)
        if self._dump is not None:
            self._dump.mkdir(parents=True, exist_ok=True)
            suffix = "py" if name == "plan" else "txt"
            path = self._dump / f"{len(self.stages):02d}-{re.sub('[^a-z0-9_]', '-', name)}.{suffix}"
            path.write_text(f"# {name}: {stage!r}\n{value}")
        return result
