"""Finds the object to draw: runs a Python file, as `python file.py` would, and takes a name from it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

from graphc.viz.errors import DrawingError
from graphc.viz.labels import shown
from graphc.viz.subject import describe, is_drawable

__all__ = ["TargetError", "find", "split_target"]

MODULE_NAME = "__drawn__"


class TargetError(DrawingError):
    """A target that does not name a file and an object in it."""


def split_target(target: str) -> tuple[Path, str]:
    """File and name of `file.py:name`; the name may be missing. Raises TargetError when there is no such file."""
    path, colon, name = target.rpartition(":")
    if not colon or (not Path(path).exists() and Path(target).exists()):
        path, name = target, ""
    file = Path(path)
    if file.is_dir():
        raise TargetError(f"{shown(path)!r} is a folder; name a Python file in it")
    if not file.exists():
        raise TargetError(f"there is no file {shown(path, None)!r}")
    if file.suffix != ".py":
        raise TargetError(f"{shown(path, None)!r} is not a Python file (.py)")
    return file, name


def find(file: Path, name: str) -> object:
    """The object called `name` (dotted for an attribute) after running `file`. Raises DrawingError."""
    module = _run(file)
    if not name:
        raise TargetError(f"name what to draw, as in {shown(str(file))}:name; {_choice(file, vars(module))}")
    value: object = module
    for part in name.split("."):
        if not hasattr(value, part):
            raise TargetError(f"there is no {shown(name)!r} in {shown(str(file))}; {_choice(file, vars(module))}")
        value = getattr(value, part)
    return value


def _run(file: Path) -> ModuleType:
    """The module that running `file` makes. What it prints goes to standard error, since a drawing may go to output."""
    spec = importlib.util.spec_from_file_location(MODULE_NAME, file.resolve())
    assert spec is not None, "the file's name ends with .py"
    assert spec.loader is not None, "a file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module
    path, arguments = list(sys.path), sys.argv
    # Its neighbours can be imported, as for a script, and what lies in the working directory, as with `python -m`.
    sys.path[:0] = [str(file.resolve().parent), os.getcwd()]
    sys.argv = [str(file)]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except SystemExit as error:
        raise DrawingError(f"{shown(str(file))} ends itself while it is read: SystemExit({error.code!r})") from None
    except Exception as error:
        raise DrawingError(f"{shown(str(file))} fails while it is read: {_one_line(error, file)}") from error
    finally:
        sys.path[:], sys.argv = path, arguments
    return module


def _one_line(error: Exception, file: Path) -> str:
    """The exception, and the line of `file` that raised it."""
    path = str(file.resolve())
    if isinstance(error, SyntaxError) and error.filename == path:
        message, lines = error.msg, [error.lineno]
    else:
        message = str(error)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    text = shown(f"{type(error).__name__}: {' '.join(message.split())}", None)
    return f"{text} (line {lines[-1]})" if lines else text


def _choice(file: Path, names: Mapping[str, object]) -> str:
    found = [
        f"{shown(name)} ({describe(value)})"
        for name, value in names.items()
        if is_drawable(value) and not name.startswith("_")
    ]
    return f"it has {', '.join(found)}" if found else "it has nothing that can be drawn"
