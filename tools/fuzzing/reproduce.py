"""A failure as a Python test, which builds the graph, gives it the values, and fails in the same way."""

from __future__ import annotations

import importlib.util
import re
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

import torch

import graphc
from graphc import Graph, State, Tensor
from graphc.ir import Output, OutputRole
from graphc.runtime.signature import Signature
from tools.fuzzing.judge import Derivatives, expect, expect_derivatives
from tools.fuzzing.shrink import Failure
from tools.fuzzing.ways import Way

__all__ = ["agrees", "derivatives_agree", "ending", "printed"]

Array = torch.Tensor
SEED = 0
"""Of the noise of the judge."""


def agrees(graph: Graph, inputs: Sequence[Array], values: Sequence[Array], way: Way) -> None:
    """Run `graph` compiled in some way, with `values` in its cells, against eager torch. Raises Mismatch."""
    sizes = Signature.of(graph).bind(inputs)
    before = dict(zip(graph.cells, values, strict=True))
    expected = expect(graph, inputs, before, sizes, SEED)
    state = State(graph.cells, {cell: value.clone() for cell, value in before.items()})
    bound = way.executable(graph).bind(sizes, state)
    results = iter(bound.run(*inputs))
    for output, each in zip(graph.outputs, expected, strict=True):
        each.compare(next(results) if output.cell is None else state.read(output.cell), repr(output.name))


def derivatives_agree(graph: Graph, inputs: Sequence[Array], values: Sequence[Array]) -> None:
    """The gradients of the first output of `graph` by the others, against torch.autograd. Raises Mismatch."""
    sizes = Signature.of(graph).bind(inputs)
    cells = dict(zip(graph.cells, values, strict=True))
    loss, *wrt = [output.node for output in graph.outputs]
    gradients = graphc.grad(Tensor(loss), [Tensor(node) for node in wrt])
    declared = Graph(graph.inputs, tuple(Output(g.node, OutputRole.GRADIENT, "") for g in gradients))
    actual = expect(declared, inputs, cells, sizes, SEED)
    expected = expect_derivatives(Derivatives(graph, loss, tuple(wrt)), inputs, cells, sizes, SEED)
    for i, (gradient, derivative) in enumerate(zip(actual, expected)):
        derivative.slack.add_(gradient.slack)
        derivative.compare(gradient.value, f"gradient {i}")


def printed(failure: Failure) -> str:
    """A test that fails as this did, or nothing if none does: some failures take more than one call."""
    trial = failure.trial
    if trial.latest is None:
        return ""
    recorded = Way("torch") if trial.recorded == "torch" else Way("c", vector_bytes=trial.vector_bytes)
    way = trial.step.way or recorded
    if failure.is_derivative:
        case = trial.case
        assert case.loss is not None, "there are derivatives"
        outputs = tuple(Output(x.node, OutputRole.OUTPUT, "") for x in (case.loss, *case.wrt))
        graph, check = Graph(trial.specialised.inputs, outputs), "derivatives_agree(graph, inputs, values)"
    else:
        graph, check = trial.specialised, f"agrees(graph, inputs, values, {way!r})"
    inputs, before = trial.latest
    text = _text(graph, inputs, [before[cell] for cell in graph.cells], check, str(failure.error))
    return text if type(ending(text)) is type(failure.error) else ""


def ending(text: str) -> Exception | None:
    """The error with which the test in a file of this text ends, None if it passes."""
    with tempfile.TemporaryDirectory(prefix="graphc-fuzz-") as folder:
        path = Path(folder, "test_found_by_fuzzing.py")
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None, "the file is Python"
        assert spec.loader is not None, "the file is Python"
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            module.test_found_by_fuzzing()
        except Exception as error:  # whatever it was that went wrong
            return error
    return None


def _text(graph: Graph, inputs: Sequence[Array], values: Sequence[Array], check: str, error: str) -> str:
    _, *code = graph.to_python().rstrip().split("\n")
    imports = {line for line in code if line.startswith(("import ", "from "))}
    body = "\n".join(line for line in code if line not in imports).strip("\n")
    name = check.partition("(")[0]
    needed = {*imports, "import torch", f"from tools.fuzzing.reproduce import {name}"}
    given = [f"inputs = {_literals(inputs)}", f"values = {_literals(values)}", check]
    if "Way(" in check:
        needed.add("from tools.fuzzing.ways import Way")
    if "math." in "".join(given):
        needed.add("import math")
    standard = sorted(line for line in needed if line in ("import base64", "import math"))
    others = sorted(line for line in needed if line not in standard)
    lines = [f"# {line}" for line in error.splitlines()[:1]] + [body, "", *given]
    head = "\n\n".join("\n".join(each) for each in (standard, others) if each)
    body = textwrap.indent("\n".join(lines), "    ")
    return f"{head}\n\n\ndef test_found_by_fuzzing() -> None:\n{body}\n"


def _literals(arrays: Sequence[Array]) -> str:
    return "".join(["[\n", *(f"    {_literal(x)},\n" for x in arrays), "]"]) if arrays else "[]"


def _literal(x: Array) -> str:
    dtype = str(x.dtype)
    if not x.numel():
        return f"torch.zeros({tuple(x.shape)}, dtype={dtype})"
    numbers = re.sub(r"\b(nan|inf)\b", r"math.\1", repr(x.tolist()))
    return f"torch.tensor({numbers}, dtype={dtype})"
