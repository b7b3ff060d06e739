"""Planted bugs: each still applies to the present source, and the tool tells what is noticed from what is not.

`python tools/mutate.py` tries them all, which takes minutes.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import graphc
from graphc.backends.c import source, vector_math
from graphc.backends.c.compiler import find_compiler, flags
from tools.mutating import trial
from tools.mutating.mutation import ROOT, Mutation
from tools.mutating.mutations import MUTATIONS
from tools.mutating.trial import tried

each = pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)


def mutant_of(mutation: Mutation) -> str:
    return mutation.applied((ROOT / "graphc" / mutation.file).read_text(encoding="utf-8"))


def test_names() -> None:
    names = [mutation.name for mutation in MUTATIONS]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
    assert len({mutation.room for mutation in MUTATIONS}) >= 12, "they are spread over the rooms"


@each
def test_a_mutation_applies(mutation: Mutation) -> None:
    """What it changes occurs once; and where it is Python, what becomes of it still is."""
    mutant = mutant_of(mutation)
    if mutation.file.endswith(".py"):
        compile(mutant, mutation.file, "exec", dont_inherit=True)
    else:
        assert mutation.file.endswith(".h")


@each
def test_its_tests_exist(mutation: Mutation) -> None:
    assert all((ROOT / path).exists() for path in mutation.likely)


HEADERS = [mutation for mutation in MUTATIONS if mutation.file.endswith(".h")]


@pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize("mutation", HEADERS, ids=lambda mutation: mutation.name)
def test_it_is_still_c(mutation: Mutation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    x = graphc.placeholder("x", ("batch", 40))
    program = graphc.compile([x], [x.amax(1), x.tanh().sum()], backend="c")
    plain = program.source
    file = Path(mutation.file)
    read_text, read_part, mutant = source._text, vector_math._file, mutant_of(mutation)
    monkeypatch.setattr(source, "_text", lambda name: mutant if name == file.name else read_text(name))
    monkeypatch.setattr(vector_math, "_file", lambda part: mutant if part == file.stem else read_part(part))
    vector_math._functions.cache_clear()
    try:
        text = source.generate_native(next(stage.value for stage in program.stages if stage.name == "native plan")).text
    finally:
        vector_math._functions.cache_clear()
    assert text != plain
    compiler = find_compiler()
    assert compiler is not None
    (tmp_path / "mutant.c").write_text(text, encoding="utf-8")
    command = [*compiler.command, *flags(), "-fsyntax-only", str(tmp_path / "mutant.c")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


# A project in which everything takes no time.

DOUBLE = Mutation("doubled", "2·x is x", "__init__.py", "2 * x", "x", ("test_double.py",))

PROJECT = {
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    "graphc/__init__.py": "def double(x):\n    return 2 * x\n",
    "tests/test_double.py": "import graphc\ndef test_three():\n    assert graphc.double(3) == 6\n",
    "tests/test_zero.py": "import graphc\ndef test_zero():\n    assert graphc.double(0) == 0\n",
    "tests/test_place.py": "import os, graphc\ndef test_place():\n    assert graphc.__file__.startswith(os.getcwd())\n",
    "tests/test_false.py": "def test_false():\n    assert False\n",
    "tests/test_hang.py": "import graphc, time\ndef test_hang():\n    time.sleep(600 * (graphc.double(3) != 6))\n",
    "tests/test_crash.py": "import graphc, os\ndef test_crash():\n    graphc.double(3) == 6 or os.abort()\n",
    "tools/fuzz.py": "import graphc\nraise SystemExit(0 if graphc.double(0) == 0 else 'FAILED: call')\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_what_is_noticed(project: Path) -> None:
    verdict = tried(DOUBLE, source=project)
    assert verdict.is_caught
    assert (verdict.stage, verdict.by) == ("likely tests", "tests/test_double.py::test_three")
    assert (project / "graphc/__init__.py").read_text(encoding="utf-8") == PROJECT["graphc/__init__.py"]


def test_what_only_other_tests_notice(project: Path) -> None:
    (project / "tests/test_false.py").unlink()
    assert tried(replace(DOUBLE, tests=("test_zero.py",)), source=project).stage == "all tests"


def test_what_survives(project: Path) -> None:
    """Also that a copy has its own graphc: not the one that is installed, nor that of the folder it was copied from."""
    for name in ("double", "false", "hang", "crash"):
        (project / f"tests/test_{name}.py").unlink()
    verdict = tried(replace(DOUBLE, tests=("test_zero.py",)), source=project)
    assert not verdict.is_caught
    assert str(verdict) == "doubled survived: 2·x is x (graphc/__init__.py: 'x')"
    (project / "tools/fuzz.py").write_text("raise SystemExit('FAILED: call')", encoding="utf-8")
    assert (
        tried(replace(DOUBLE, tests=("test_zero.py",)), source=project).problem
        == "FAILED: call fails without the bug, too"
    )


def test_a_test_that_always_fails_notices_nothing(project: Path) -> None:
    verdict = tried(replace(DOUBLE, tests=("test_false.py",)), source=project)
    assert not verdict.is_caught
    assert verdict.problem == "tests/test_false.py::test_false fails without the bug, too"


def test_a_mutation_that_does_not_apply(project: Path) -> None:
    verdict = tried(replace(DOUBLE, old="3 * x"), source=project)
    assert not verdict.is_caught
    assert verdict.problem == (
        "doubled: graphc/__init__.py has '3 * x' 0 times, not once; bring the mutation up to date"
    )


def test_crashes_and_hangs_are_noticed(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash = tried(replace(DOUBLE, tests=("test_crash.py",)), source=project)
    assert crash.is_caught
    assert crash.by.startswith("ends with -6")
    monkeypatch.setattr(trial, "LIKELY_SECONDS", 5.0)
    hang = tried(replace(DOUBLE, tests=("test_hang.py",)), source=project)
    assert hang.by == "hangs longer than 5 s"
