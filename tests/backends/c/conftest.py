"""A compile cache of its own for each test, and compilers that count, complain or are slow."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from graphc.backends.c import build, cache, compiler, privacy


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder, not there yet, in a process that has compiled nothing and in which nobody set anything."""
    path = tmp_path / "cache"
    for name in ("CC", "GRAPHC_CACHE_SIZE", "GRAPHC_CFLAGS", "GRAPHC_VECTOR_BYTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(path))
    monkeypatch.setattr(compiler, "_found", {})
    monkeypatch.setattr(build, "_loaded", {})
    monkeypatch.setattr(cache, "_temporaries", [])
    for remembered in (cache._warn, compiler._cpu, privacy._trusted):
        remembered.cache_clear()
    return path


@pytest.fixture
def real() -> str:
    """The path of a compiler."""
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("there is no C compiler")
    return found


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Makes $CC a shell script, which answers `--version` and then does what is asked here."""

    def make(body: str, name: str = "fake cc") -> Path:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\ncase "$*" in *--version) echo fake 1.0; exit;; esac\n{body}\n')
        path.chmod(0o755)
        monkeypatch.setenv("CC", str(path))
        return path

    return make


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
