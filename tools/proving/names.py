"""Names are inert: whatever inputs, outputs, cells, modules, classes and files are called, it is text and no more.

A case takes some of the thousand names of `tests/hostile.py`, or new ones made of their pieces, gives them to
everything in a program that can have one, and looks at each output beside that of a program with plain names: generated
C after the C preprocessor, generated Python as a syntax tree, DOT as Graphviz reads it, SVG, HTML and Mermaid by their
elements, JSON, saved graphs, the builder program, dumps, and all that is printed.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import os
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

import torch

import graphc
from graphc import Graph, GraphcError, Program, nn, optim
from graphc.backends.c.compiler import find_compiler
from graphc.viz.draw import contents
from graphc.viz.request import Request
from tests.audit import Audit
from tests.hostile import FRAGMENTS, HARMLESS, NAMES, named
from tests.ir.structure import structure
from tests.viz.test_hostile_names import drawn, elements, forms, graph_of_names, parsed, tree
from tools.proving.proof import Proof

__all__ = ["PROOFS", "case"]

COUNT = 25
"""Names that one case gives to things."""

Made = Mapping[str, object]


def names_of(seed: int) -> list[str]:
    """Some of the thousand, of all kinds; when there are none left, new ones."""
    parts = len(NAMES) // COUNT
    if seed < parts:
        return NAMES[seed::parts]
    chance = random.Random(f"names {seed}")
    found: dict[str, None] = {}
    while len(found) < COUNT:
        found["".join(chance.choices(FRAGMENTS, k=chance.randint(1, 6)))] = None
    return list(found)


def program(names: Sequence[str], backend: str, **options: bool) -> Program:
    parts = named(names)
    return graphc.compile(parts.inputs, parts.outputs, parts.updates, backend=backend, **options)


# Code -----------------------------------------------------------------------------------------------------------------


def code(names: Sequence[str]) -> Made:
    """C as the C compiler reads it, without comments; Python as a syntax tree. Dumps have the names of their stages."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="graphc-names-") as folder:
        with mock.patch.dict(os.environ, {"GRAPHC_DUMP": folder}):
            native = program(names, "c") if find_compiler() is not None else None
            plan = program(names, "torch").torch_plan
        found["dumps"] = sorted(path.name for path in Path(folder).rglob("*"))
        for path in Path(folder).glob("*"):
            found[f"lines of {path.name}"] = len(readable(path.read_text(encoding="utf-8")))
    assert plan is not None
    found["plan"] = tree(plan.source)
    if native is not None:
        found["C"] = preprocessed(native.source)
        found["texts of C"] = len(readable(native.source))
    return found


def preprocessed(source: str) -> str:
    """What is left of C after comments, trigraphs, continued lines and macros."""
    compiler = find_compiler()
    assert compiler is not None
    command = [*compiler.command, "-E", "-P", "-trigraphs", "-x", "c", "-"]
    return subprocess.run(command, input=source, capture_output=True, text=True, check=True, encoding="utf-8").stdout


def saved(names: Sequence[str]) -> Made:
    """The file comes back, and the program builds the graph and does nothing else."""
    graph = graph_of_names(names)
    text = graph.to_json()
    assert text.isascii()
    again = Graph.from_json(text)
    assert again.to_json() == text
    assert [output.name for output in again.outputs] == [*names, *names]
    builder = graph.to_python()
    assert builder.isascii()
    namespace: dict[str, object] = {}
    with Audit(allowed=("compile", "exec")) as audit:
        exec(compile(builder, "to_python", "exec"), namespace)  # noqa: S102 - what it builds is what is looked at
    audit.check()
    built = namespace["graph"]
    assert isinstance(built, Graph)
    assert structure(built) == structure(graph)
    return {"builder": tree(builder), "lines": len(readable(str(graph)))}


# Drawings -------------------------------------------------------------------------------------------------------------


def drawings(names: Sequence[str]) -> Made:
    """The same boxes, arrows, elements and attributes."""
    value = program(names, "reference")
    opened, training = Request(depth=9), Request(depth=9, view="training")
    data = json.loads(contents(value, ".json", opened), parse_constant=_no_constant)
    page = elements(contents(value, ".html", opened, names[0]))
    return {
        "DOT": parsed(contents(value, ".dot", training).decode()),
        "SVG": drawn(contents(value, ".svg", opened)),
        "Mermaid": forms(contents(value, ".mmd", training).decode()),
        "JSON": sorted(data),
        "page": (page.found, page.scripts[1:], sorted(json.loads(page.scripts[0]))),
    }


def _no_constant(text: str) -> object:
    raise AssertionError(f"JSON with {text}")


# What is printed ------------------------------------------------------------------------------------------------------


def readable(text: str) -> list[str]:
    """The lines of a text that a terminal shows: nothing in it moves the cursor, rings, colours or reorders."""
    lines = text.split("\n")
    for line in lines:
        assert line.replace("\t", " ").isprintable(), f"not plain text: {line!r}"
    return lines


def printed(names: Sequence[str]) -> Made:
    """Everything that a program says about itself, by the number of its lines, and what messages say."""
    found: dict[str, object] = {}
    for backend in ("torch", "c") if find_compiler() is not None else ("torch",):
        value = program(names, backend)
        texts = {"summary": value.summary(), "explain": value.explain()}
        texts |= {"repr": repr(value), "state": repr(value.state)}
        texts |= {repr(stage.name): f"{stage!r}\n{stage}" for stage in value.stages if stage.name != "library"}
        texts |= {"memory": str(value.memory), "schedule": str(value.schedule), "source": value.source}
        if backend == "c":
            texts["profile"] = str(value.profile(*[torch.ones(3)] * len(names), seconds=0.001))
        found |= {f"{backend} {key}": len(readable(text)) for key, text in texts.items()}
    inputs = [graphc.placeholder(name, ("batch", 2)) for name in names]
    weights = [graphc.Parameter(torch.ones(2), name=name) for name in names]
    outputs = {name: (x * w).mean() for name, x, w in zip(names, inputs, weights, strict=True)}
    loss = sum(outputs.values(), start=graphc.constant(0.0))
    updates = optim.Adam(weights).minimize(loss)
    trained = graphc.compile(inputs, outputs, updates, backend="torch")
    bar = io.StringIO()
    with contextlib.redirect_stderr(bar):
        history = trained.fit(*[torch.ones(4, 2)] * len(names), batch_size=2, epochs=2, progress=True)
    assert "\x1b" not in bar.getvalue()
    texts = {"history": repr(history), "bar": bar.getvalue(), "updates": repr(updates), "net": repr(module(names))}
    json.dumps(history.to_dict())
    found |= {f"training {key}": len(readable(text)) for key, text in texts.items() if key != "bar"}
    found["messages"] = list(messages(names))
    return found


def module(names: Sequence[str]) -> nn.Module:
    """A module whose parts have the names."""
    whole = nn.Module()
    for name in names:
        key = name.replace(".", "·")
        setattr(whole, f"{key}?" if hasattr(nn.Module, key) else key, nn.Linear(1, 1))
    return whole


def messages(names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The kind and the lines of errors that name something."""
    for name, other in zip(names, names[::-1], strict=True):
        for attempt in mistakes(name, other):
            try:
                attempt()
            except (GraphcError, KeyError) as error:
                yield type(error).__name__, len(readable(str(error)))


def mistakes(name: str, other: str) -> list[Callable[[], object]]:
    """What cannot be, in all the ways in which a message repeats a name."""
    x, y = graphc.placeholder(name, ("batch", 2)), graphc.placeholder(other, ("batch", 3))
    weight = graphc.Parameter(torch.ones(2), name=name)
    made = graphc.compile([x], {name: (x * weight).sum()}, {weight: weight * 2.0}, backend="reference")
    strict = graphc.compile([x], {name: (x * weight).log()}, backend="reference", nancheck=True)
    history = graphc.History()
    return [
        lambda: x @ y,
        lambda: bool(x),
        lambda: graphc.compile([x], x.sum() + y.sum()),
        lambda: graphc.compile([x, x], x.sum()),
        lambda: graphc.compile([x], x.sum(), {weight: x.sum()}),
        lambda: graphc.compile([x], x.sum(), backend=f"{name}?"),
        lambda: graphc.placeholder("x", (name + "-",)),
        lambda: made(torch.ones(2, 3)),
        lambda: made(name),
        lambda: made.state[f"{name}?"],
        lambda: made.state.__setitem__(weight, torch.ones(5)),
        lambda: made.fit(torch.ones(2, 2), batch_size=name, epochs=1),  # type: ignore[arg-type]
        lambda: strict(torch.full((1, 2), float("nan"))),
        lambda: strict(torch.full((1, 2), -1.0)),
        lambda: history[name],
        lambda: Graph.load(f"{name}/no such file"),
        lambda: Graph.from_json(name, name),
        lambda: module([name]).load_state_dict({name: torch.ones(1)}),
    ]


# Cases ----------------------------------------------------------------------------------------------------------------

LOOKS: tuple[Callable[[Sequence[str]], Made], ...] = (code, saved, drawings, printed)


@functools.cache
def expected(look: Callable[[Sequence[str]], Made]) -> Made:
    return look(HARMLESS[:COUNT])


def case(seed: int) -> Mapping[str, int]:
    """Some names, through every output."""
    names = names_of(seed)
    for look in LOOKS:
        found, plain = look(names), expected(look)
        for what in plain:
            assert found.get(what) == plain[what], f"{what} is other than with plain names, for {names}"
        assert found.keys() == plain.keys()
    return {"names": len(names)}


PROOFS = (Proof("names", 16, "cases of 25 names", full=60, quick=1, case=case),)
