"""The audit itself: it sees what must not happen, and lets pass what was allowed."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.audit import Audit

HERE = Path(__file__)


FORBIDDEN: dict[str, tuple[str, Callable[[Path], object]]] = {
    "code": ("compile", lambda folder: compile("1", "text", "eval")),
    "exec": ("exec", lambda folder: exec(compile("1", "text", "exec"))),  # noqa: S102
    "import": ("import", lambda folder: __import__("no_such_module")),
    "import by function": (
        "exec",
        lambda folder: [sys.modules.pop("colorsys", 0), importlib.import_module("colorsys")],
    ),
    "a process": ("subprocess.Popen", lambda folder: subprocess.run(["true"], check=False)),
    "a shell": ("os.system", lambda folder: os.system("true")),  # noqa: S605
    "a socket": ("socket.__new__", lambda folder: socket.socket().close()),
    "a write": ("open", lambda folder: (folder / "new").write_text("x")),
    "a read": ("open", lambda folder: HERE.with_name("conftest.py").read_text()),
    "a folder": ("os.mkdir", lambda folder: (folder / "new").mkdir()),
    "a list": ("os.listdir", lambda folder: os.listdir(folder)),
    "a name": ("os.rename", lambda folder: os.rename(folder / "a", folder / "b")),
    "an end": ("os.remove", lambda folder: os.remove(folder / "a")),
    "a library": ("ctypes.dlopen", lambda folder: ctypes.CDLL(None)),
    "a pickle": ("pickle.find_class", lambda folder: pickle.loads(b"cos\ngetpid\n.")),
    "a draft": ("tempfile.mkstemp", lambda folder: os.close(tempfile.mkstemp(dir=folder)[0])),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_forbidden(name: str, tmp_path: Path) -> None:
    event, act = FORBIDDEN[name]
    with Audit(reads=[HERE]) as audit, contextlib.suppress(ImportError, OSError):
        act(tmp_path)
    assert any(each.startswith(f"{event}(") for each in audit.forbidden), audit.forbidden
    with pytest.raises(AssertionError, match="forbidden events: "):
        audit.check()


def test_allowed(tmp_path: Path) -> None:
    with Audit(reads=[HERE], writes=[tmp_path], allowed=["compile"]) as audit:
        HERE.read_text()
        (tmp_path / "a").write_text("x")
        os.replace(tmp_path / "a", tmp_path / "b")
        os.listdir(tmp_path)
        os.remove(tmp_path / "b")
        compile("1", "text", "eval")
    audit.check()
    with Audit(writes=[tmp_path / "inside"]) as audit:
        (tmp_path / "outside").write_text("x")
    assert audit.forbidden


def test_only_this_thread_and_only_inside(tmp_path: Path) -> None:
    other = threading.Thread(target=lambda: HERE.read_text())
    with Audit() as audit:
        other.start()
        other.join()
    HERE.read_text()
    assert not [each for each in audit.forbidden if str(HERE) in each]
