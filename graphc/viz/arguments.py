"""What the commands are given, checked as it is read: targets, sizes, inputs, where to write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from graphc.viz.completion import targets
from graphc.viz.errors import DrawingError
from graphc.viz.find import TargetError
from graphc.viz.inputs import input_of, size_of
from graphc.viz.labels import shown
from graphc.viz.output import SUFFIXES, suffix_of, write_bytes

__all__ = ["INPUT", "MODULE", "OUTPUT", "SIZE", "Checked", "Destination", "Target", "sizes_of"]

TO_OUTPUT = "-"
"""Standard output, as SVG; with an ending, as in `-.dot`, in another format."""


@dataclass(frozen=True)
class Destination:
    """Where a picture goes, a path or standard output, and in which format."""

    path: Path | None
    suffix: str

    def write(self, data: bytes) -> None:
        """Write the file, or leave what is there as it is. Raises DrawingError."""
        if self.path is None:
            click.echo(data, nl=False)
        else:
            write_bytes(data, self.path)


class Target(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """`file.py:name` or `graph.json`, which the shell can complete."""

    name = "target"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(each) for each in targets(incomplete)]


class Checked(click.ParamType):  # type: ignore[type-arg]  # as above
    """What `parse` makes of the text; what it raises is a usage error. With `is_path`, shells complete it as a file."""

    def __init__(self, name: str, parse: Callable[[str], object], *, is_path: bool = False) -> None:
        self.name = name
        self.parse = parse
        self.is_path = is_path

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except DrawingError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")] if self.is_path else []


def sizes_of(given: Sequence[tuple[str, int]]) -> dict[str, int]:
    """Numbers for symbolic sizes, by name. Raises TargetError for two numbers of one size."""
    found: dict[str, int] = {}
    for name, number in given:
        if found.setdefault(name, number) != number:
            raise TargetError(f"--size {name} is given twice, as {found[name]} and {number}")
    return found


def _destination(text: str) -> Destination:
    if text == TO_OUTPUT:
        return Destination(None, ".svg")
    if text.startswith(f"{TO_OUTPUT}."):
        return Destination(None, suffix_of(f"output{text[len(TO_OUTPUT) :]}"))
    return Destination(Path(text), suffix_of(text))


def _size(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    if not equals or not name.isidentifier():
        raise DrawingError(f"{shown(text)!r}: a size is given as in batch=25")
    size = size_of(number)
    if isinstance(size, str):
        raise DrawingError(f"{shown(text)!r}: the size of {name} is a number, not {shown(size)!r}")
    return name, size


def _module(text: str) -> str:
    if not text.strip():
        raise DrawingError("a module has a name, such as encoder.0 or Linear")
    return text


INPUT = Checked("input", input_of)
MODULE = Checked("module", _module)
OUTPUT = Checked("path", _destination, is_path=True)
SIZE = Checked("size", _size)
ENDINGS = ", ".join(SUFFIXES)
