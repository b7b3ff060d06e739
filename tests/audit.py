"""What Python does beside computing, as its audit events tell: files, processes, sockets, imports, code that runs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Audit"]

HARMLESS = {"object.__getattr__", "object.__setattr__", "object.__delattr__", "sys._getframe", "builtins.id"}
"""Events of plain computing."""

LOOKING = {"os.listdir", "os.scandir"}
"""Events that only look at a folder."""

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Audit:
    """Records what this thread does while it is entered; `forbidden` is all that was not allowed, in order.

    Files in `reads` may be opened for reading, and folders in it listed; whatever lies in a folder of `writes` may be
    opened, made, renamed and removed. Events in `allowed` are nothing to mind. All else is forbidden: imports of
    modules that were not there, `exec`, `compile`, processes, sockets, `ctypes`, `pickle`, other files.
    """

    def __init__(
        self, reads: Iterable[str | Path] = (), writes: Iterable[str | Path] = (), allowed: Iterable[str] = ()
    ) -> None:
        self._reads = {os.path.realpath(path) for path in reads}
        self._writes = [os.path.realpath(path) + os.sep for path in writes]
        self._allowed = HARMLESS | set(allowed)
        self._thread = 0
        self.forbidden: list[str] = []

    def __enter__(self) -> Audit:
        _listen()
        self._thread = threading.get_ident()
        _active.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _active.remove(self)

    def check(self) -> None:
        """Raises AssertionError if something was done that was not allowed."""
        assert not self.forbidden, f"{len(self.forbidden)} forbidden events: {'; '.join(self.forbidden[:5])}"

    def note(self, event: str, arguments: tuple[object, ...]) -> None:
        """What happened, from the hook."""
        if event in self._allowed or threading.get_ident() != self._thread:
            return
        paths = [argument for argument in arguments if isinstance(argument, (str, bytes, os.PathLike))]
        if event == "open":
            flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
            if not flags & WRITING and self._may_read(paths[:1]):
                return
            paths = paths[:1]
        elif event in LOOKING:
            if self._may_read(paths):
                return
        elif not event.startswith(("os.", "shutil.", "tempfile.")):
            paths = []
        if paths and self._writes and all(self._is_inside(path) for path in paths):
            return
        self.forbidden.append(f"{event}{arguments!r}"[:300])

    def _may_read(self, paths: Iterable[str | bytes | os.PathLike[str]]) -> bool:
        found = list(map(_real, paths))
        return bool(found) and all(path in self._reads or self._is_inside(path) for path in found)

    def _is_inside(self, path: str | bytes | os.PathLike[str]) -> bool:
        return any((_real(path) + os.sep).startswith(folder) for folder in self._writes)


def _real(path: str | bytes | os.PathLike[str]) -> str:
    name = os.fsdecode(path)
    return name if "\0" in name else os.path.realpath(name)  # no file has such a name, and realpath would raise


_active: list[Audit] = []
_is_listening = False


def _listen() -> None:
    """Hooks cannot be taken away: there is one, which passes on what happens to those that are entered."""
    global _is_listening
    if not _is_listening:
        _is_listening = True
        sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    for audit in tuple(_active):
        audit.note(event, arguments)
