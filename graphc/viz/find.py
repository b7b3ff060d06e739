"""Finds the object to draw: runs a Python file, as `python file.py` would, and takes a name from it."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from graphc.errors import GraphcError
from graphc.ir import Graph
from graphc.viz.errors import DrawingError
from graphc.viz.failure import failure_of, one_line_of
from graphc.viz.labels import shown
from graphc.viz.subject import describe, is_drawable, is_module

__all__ = ["SAVED", "TargetError", "find", "meant", "pick", "run", "saved", "split_target"]

MODULE_NAME = "__drawn__"
SAVED = ".json"
"""The ending of the name of a saved graph."""


class TargetError(DrawingError):
    """A target that does not name a file and an object in it."""


def split_target(target: str) -> tuple[Path, str]:
    """File and name of `file.py:name` or of a saved graph; the name may be missing. Raises TargetError for no file."""
    path, colon, name = target.rpartition(":")
    if not colon or (not _exists(Path(path)) and _exists(Path(target))):
        path, name = target, ""
    file = Path(path)
    if not _exists(file):
        raise TargetError(f"there is no file {shown(path, None)!r}{meant(path, _neighbours(file))}")
    if file.is_dir():
        raise TargetError(f"{shown(path, None)!r} is a folder; name a Python file in it")
    if file.suffix not in (".py", SAVED):
        raise TargetError(f"{shown(path, None)!r} is neither a Python file (.py) nor a saved graph ({SAVED})")
    if file.suffix == SAVED and name:
        raise TargetError(
            f"{shown(path, None)!r} is a saved graph, which has no names in it: leave out {shown(name)!r}"
        )
    return file, name


def find(file: Path, name: str) -> object:
    """The object called `name` (dotted for an attribute) after running `file`, or the graph saved in it.

    Raises DrawingError.
    """
    return saved(file) if file.suffix == SAVED else pick(run(file), file, name)


def saved(file: Path) -> Graph:
    """The graph that was saved in `file`. Raises DrawingError."""
    try:
        return Graph.load(file)
    except (GraphcError, OSError) as error:
        raise DrawingError(f"{shown(str(file), None)} cannot be read: {one_line_of(error, file)}") from None


def run(file: Path) -> Mapping[str, object]:
    """The names in `file` after running it. What it prints goes to standard error, since drawings may go to output.

    Raises DrawingError when it fails, and BuildFailure when that is while it builds graph.
    """
    spec = importlib.util.spec_from_file_location(MODULE_NAME, file.resolve())
    assert spec is not None, "the file's name ends with .py"
    assert spec.loader is not None, "a file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE_NAME] = module
    path, arguments = list(sys.path), sys.argv
    # Its neighbours can be imported, as for a script, and what lies in the working directory, as with `python -m`.
    sys.path[:0] = [str(file.resolve().parent), os.getcwd()]
    sys.argv = [str(file)]
    shown_file = shown(str(file), None)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(module)
    except SystemExit as error:
        code = shown(repr(error.code))
        raise DrawingError(f"{shown_file} ends itself while it is read: SystemExit({code})") from None
    except Exception as error:
        raise failure_of(f"{shown_file} fails while it is read", error, file) from error
    finally:
        sys.path[:], sys.argv = path, arguments
    return vars(module)


def pick(names: Mapping[str, object], file: Path, name: str) -> object:
    """The object called `name` among the `names` of `file`. Raises DrawingError."""
    where = shown(str(file), None)
    if not name:
        raise TargetError(f"name what to draw, as in {where}:name; {_choice(names)}")
    first, *attributes = name.split(".")
    if first not in names:
        suggestion = meant(first, (key for key in names if not key.startswith("_")))
        raise TargetError(f"there is no {shown(name)!r} in {where}{suggestion}; {_choice(names)}")
    value = names[first]
    for attribute in attributes:
        try:
            value = getattr(value, attribute)
        except AttributeError:
            raise TargetError(f"there is no {shown(name)!r} in {where}; {_choice(names)}") from None
        except Exception as error:  # a property may raise anything
            raise failure_of(f"{shown(name)!r} of {where} cannot be read", error, file) from error
    return value


def meant(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'loss'?`, or nothing where no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {shown(close[0])!r}?" if close else ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, or a folder that is closed to us
        return False


def _neighbours(file: Path) -> list[str]:
    """The files beside the one that is missing that could have been named, as they would be written."""
    try:
        beside = [path for path in file.parent.iterdir() if path.suffix in (".py", SAVED)]
    except OSError:
        return []
    return [str(path) for path in beside]


def _choice(names: Mapping[str, object]) -> str:
    found = [
        f"{shown(name)} ({describe(value)})"
        for name, value in names.items()
        if (is_drawable(value) or is_module(value)) and not name.startswith("_")
    ]
    return f"it has {', '.join(found)}" if found else "it has nothing that can be drawn"
