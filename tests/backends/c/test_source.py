"""The generated C: as people read it, in dumps, and what is called instead of copied."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

import graphc
from graphc import Tensor
from graphc.backends.c.source import MOST_COPIES
from tests.backends.test_torch_plan import MODEL
from tests.hostile import HARMLESS, batches, named
from tests.judge import assert_same


def model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> graphc.Program:
    """The network whose torch plan people read, too, for vectors of one length on every machine."""
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", "32")
    (folder / "model.py").write_text(MODEL.replace('backend="torch"', 'backend="c"'), encoding="utf-8")
    monkeypatch.chdir(folder)
    program = runpy.run_path("model.py")["program"]
    assert isinstance(program, graphc.Program)
    return program


def test_the_source_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None], real: str
) -> None:
    """Kernels and the step; the functions of vectors before them are the same for every program."""
    source = model(tmp_path, monkeypatch).source
    start, end = source.index("static __attribute__((noinline)) void k0("), source.index("void graphc_leave(")
    golden("backends/training_step.c", source[start:end])


def test_dumps_have_c_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: str) -> None:
    folder = tmp_path / "dump"
    monkeypatch.setenv("GRAPHC_DUMP", str(folder))
    program = model(tmp_path, monkeypatch)
    [file] = folder.glob("*.c")
    head, _, text = file.read_text(encoding="utf-8").partition("\n")
    assert re.fullmatch(r"\d\d-kernel\.c", file.name)
    assert re.fullmatch(r"/\* .* \*/", head)
    assert text == program.source


def tanhs(count: int) -> tuple[Tensor, list[Tensor]]:
    """So many kernels that each have one."""
    x = graphc.placeholder("x", ("n",))
    return x, [x[k:].tanh() * float(k + 1) for k in range(count)]


@pytest.mark.parametrize(("extra", "is_called"), [(-4, False), (4, True)])
def test_functions_in_many_places_are_called(extra: int, is_called: bool, real: str) -> None:
    """Copies would take the compiler long. Values are the same."""
    x, outputs = tanhs((MOST_COPIES + extra) // 2)  # for whole vectors, and for the rest
    program = graphc.compile([x], outputs, backend="c")
    heads = re.findall(r"^(.*) tanh_f32x\d+\(", program.source, re.MULTILINE)
    assert any("noinline" in head for head in heads) is is_called
    value = torch.linspace(-4.0, 4.0, 77)
    for actual, expected in zip(program(value), graphc.compile([x], outputs, backend="reference")(value), strict=True):
        assert_same(actual, expected, rtol=1e-6, atol=1e-7)


def test_names_are_in_comments_only(real: str) -> None:
    def code(names: Sequence[str]) -> str:
        parts = named(names)
        program = graphc.compile(parts.inputs, parts.outputs, parts.updates, backend="c")
        assert program.source is not None
        return re.sub(r"/\*.*?\*/", "", program.source, flags=re.DOTALL)

    expected = code(HARMLESS[:250])
    for names in batches(250):
        assert code(names) == expected
