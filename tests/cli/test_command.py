"""The command `graphc`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from graphc.backends.c import compiler
from graphc.backends.c.build import build
from graphc.cli.command import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CC", "GRAPHC_CFLAGS", "GRAPHC_VECTOR_BYTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_found", {})
    return tmp_path / "cache"


needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@needs_compiler
def test_doctor_of_a_healthy_machine(folder: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == [
        "Python",
        "torch",
        "processor",
        "vectors",
        "cache",
        "C",
        "trial",
    ]
    assert f"cache       {folder}: 0 programs, 0.0 MB\n" in result.stdout
    assert "trial       compiled and ran in " in result.stdout
    assert result.stderr == ""


def test_doctor_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("doctor")
    assert result.exit_code == 1
    assert "C compiler  see below\ntrial       see below\n" in result.stdout
    assert result.stderr.startswith(
        "graphc: C compiler: there is none on this machine. Set CC, or install a C compiler"
    )
    assert result.stderr.count("\n") == 1


def test_doctor_of_a_folder_that_others_can_write(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    result = run("doctor")
    assert result.exit_code == 1
    assert "vectors     " in result.stdout
    assert "cache       see below\n" in result.stdout
    assert f"Run `chmod go-w {folder}`" in result.stderr


@needs_compiler
def test_cache(folder: Path) -> None:
    assert run("cache").stdout == f"{folder}: 0 programs, 0.0 MB\n"
    build("int f(void) { return 1; }", "p")
    assert run("cache").stdout == f"{folder}: 1 program, 0.0 MB\n"
    assert run("cache", "clear").stdout == f"{folder}: removed 1 program\n"
    assert run("cache").stdout == f"{folder}: 0 programs, 0.0 MB\n"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["cache"], ["cache", "clear"]])
def test_cache_of_a_folder_that_others_can_write(arguments: list[str], folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"graphc: compile cache: {folder} can be written by other users")


def test_version() -> None:
    assert run("--version").stdout.startswith("graphc ")
