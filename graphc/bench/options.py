"""What all studies are asked, and how they talk."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from graphc.bench.pictures import need_matplotlib
from graphc.bench.record import write_csv, writing
from graphc.runtime import Sweep

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["Options", "counted", "study_options"]

WIDTH = 118
"""Columns of a table where the output is no terminal."""

_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")


def counted(number: int, what: str) -> str:
    """As in `1 run` and `1,000 runs`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


@dataclass(frozen=True)
class Options:
    """How often and from what seed, where to, with what, and whether to draw."""

    runs: int
    seed: int
    out: Path
    workers: int | None
    backend: str
    pictures: bool

    def __post_init__(self) -> None:
        if self.pictures:
            need_matplotlib()
        with writing(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.out).close()  # rather now than after the training

    @cached_property
    def console(self) -> Console:
        from rich.console import Console

        return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)

    @property
    def times(self) -> str:
        return counted(self.runs, "run")

    def show(self, table: Table) -> None:
        """A table, whole: a terminal that is too narrow wraps its lines."""
        from rich.console import Console

        wide = Console(highlight=False, width=1000)
        wide.width = wide.measure(table).maximum
        wide.print(table)

    def do(self, sweep: Sweep[_T], path: Path) -> list[_T]:
        """The results of a sweep, which are dataclasses. Ctrl-C leaves those that are there in a file beside `path`."""
        try:
            return sweep.fit(workers=self.workers)
        except KeyboardInterrupt:
            finished = [result for result in sweep.results if result is not None]
            if finished:
                path = path.with_stem(f"{path.stem}-unfinished")
                write_csv(path, finished)
                self.say(f"Interrupted. {path}: the {counted(len(finished), 'run')} of {len(sweep)} that were finished")
            raise

    def say(self, text: str) -> None:
        """A paragraph; names in it are only text."""
        self.console.print(text, markup=False)


def study_options(runs: int, out: str) -> Callable[[_F], _F]:
    """The options of a study, handed to it as `Options` after its own."""

    def decorate(command: _F) -> _F:
        def with_options(
            runs: int, seed: int, out: Path, workers: int | None, backend: str, pictures: bool, **own: Any
        ) -> Any:
            return command(Options(runs, seed, out, workers, backend, pictures), **own)

        for option in (
            click.option("--pictures/--no-pictures", default=True, help="Draw the results, too.", show_default=True),
            click.option("--backend", default="auto", help="As in graphc.compile.", show_default=True),
            click.option("--workers", type=click.IntRange(min=1), help="Runs at a time [default: one a core]"),
            click.option("--out", type=click.Path(path_type=Path), default=f"out/{out}", show_default=True,
                         help="Folder for the tables and pictures."),
            click.option("--seed", type=click.IntRange(0, 10**9), default=0, show_default=True,
                         help="Of points, initial values and orders. Equal seeds give equal results."),
            click.option("--runs", type=click.IntRange(min=1), default=runs, show_default=True,
                         help="How often each network is trained, each time on other points."),
        ):  # fmt: skip
            with_options = option(with_options)
        with_options.__doc__ = command.__doc__
        with_options.__name__ = command.__name__
        return with_options  # type: ignore[return-value]

    return decorate
