"""Whatever things are called, what a program says about itself has its lines, and only characters that print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

import graphc
from graphc import nn, optim
from tests.hostile import named

NAMES = ["two\nlines", "\x1b[31mred\x1b[0m", "\u202eesrever", "\ud800"]
PLAIN = ["one", "two", "three", "four"]


def texts(names: Sequence[str], backend: str) -> Iterator[tuple[str, str]]:
    parts = named(names)
    program = graphc.compile(parts.inputs, parts.outputs, parts.updates, backend=backend)
    yield "summary", program.summary()
    yield "explain", program.explain()
    yield "memory", str(program.memory)
    yield "schedule", str(program.schedule)
    yield "program", repr(program)
    yield "state", repr(program.state)
    yield from ((stage.name, f"{stage!r}\n{stage}") for stage in program.stages if stage.name != "library")
    inputs = [graphc.placeholder(name, ("batch", 2)) for name in names]
    weights = [graphc.Parameter(torch.ones(2), name=name) for name in names]
    loss = graphc.cat([x * w for x, w in zip(inputs, weights, strict=True)]).mean()
    updates = optim.SGD(weights, lr=0.1).minimize(loss)
    yield "updates", repr(updates)
    train = graphc.compile(inputs, {names[0]: loss}, updates, backend=backend)
    yield "history", repr(train.fit(*[torch.ones(4, 2)] * len(names), batch_size=2, epochs=1))
    net = nn.Module()
    for name in names:
        setattr(net, name, nn.Linear(1, 1))
    yield "module", repr(net)


@pytest.mark.parametrize("backend", ["reference", "torch", "c"])
def test_what_is_printed(backend: str) -> None:
    for (what, text), (_, plain) in zip(texts(NAMES, backend), texts(PLAIN, backend), strict=True):
        lines = text.split("\n")
        assert all(line.isprintable() for line in lines), what
        assert len(lines) == len(plain.split("\n")), what


def test_dumps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are called by their stages, and written in whatever names there are."""
    monkeypatch.setenv("GRAPHC_DUMP", str(tmp_path))
    parts = named(NAMES)
    graphc.compile(parts.inputs, parts.outputs, parts.updates, backend="c")
    files = list(tmp_path.iterdir())
    assert len(files) > 8
    for file in files:
        assert all(line.isprintable() for line in file.read_text(encoding="utf-8").split("\n")), file


def test_messages() -> None:
    assert str(graphc.InputError("a\x1b[2J\nb\u202e")) == "a\\x1b[2J\nb\\u202e"
