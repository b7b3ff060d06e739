"""`draw`: from an object to its drawing, or to a file of it."""

from __future__ import annotations

import os
from pathlib import Path

from graphc.viz.build import drawing_of
from graphc.viz.dot import Direction, dot_source
from graphc.viz.errors import DrawingError
from graphc.viz.layout import DEFAULT_TIMEOUT, FORMATS, render
from graphc.viz.model import Drawing
from graphc.viz.subject import Drawable, View, subject_of

__all__ = ["SUFFIXES", "contents", "draw", "suffix_of", "write"]

SUFFIXES = (*(f".{format}" for format in FORMATS), ".dot")


def draw(
    value: Drawable,
    path: str | os.PathLike[str] | None = None,
    *,
    direction: Direction = "TB",
    view: View = "forward",
    timeout: float = DEFAULT_TIMEOUT,
    name: str = "output",
) -> Drawing:
    """The drawing of a tensor, of a list, tuple or dict of tensors, of a graph or of a program.

    With `path` it is written there too: `.svg`, `.png`, `.pdf` or `.dot`. `direction` is "TB" (top to bottom) or "LR".
    `view`: of a graph or program, "forward" draws what leads to its outputs, "all" its gradients and updates too.
    `timeout` is what the layout may take, in seconds. `name` is what a tensor by itself is called. Raises DrawingError.
    """
    if path is not None:
        suffix_of(path)  # raises before any work is done
    drawing = drawing_of(*subject_of(value, view, name))
    if path is not None:
        write(drawing, path, direction, timeout)
    return drawing


def write(
    drawing: Drawing, path: str | os.PathLike[str], direction: Direction = "TB", timeout: float = DEFAULT_TIMEOUT
) -> None:
    """Write a file of `drawing`, or leave what is there as it is. Raises DrawingError."""
    data = contents(drawing, suffix_of(path), direction, timeout)
    try:
        Path(path).write_bytes(data)
    except OSError as error:
        raise DrawingError(f"cannot write {os.fspath(path)!r}: {error.strerror}") from None


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The ending that says which format to write. Raises DrawingError for one that is not known."""
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        what = f"{suffix!r} files" if suffix else "a file without an ending"
        raise DrawingError(f"cannot write {what}: the name ends with {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")
    return suffix


def contents(drawing: Drawing, suffix: str, direction: Direction = "TB", timeout: float = DEFAULT_TIMEOUT) -> bytes:
    """The bytes of a file of `drawing` whose name ends with `suffix`."""
    source = dot_source(drawing, direction)
    for format in FORMATS:
        if suffix == f".{format}":
            return render(source, format, timeout)
    return source.encode()
