"""The progress bar of a training run; silent when nobody watches."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from graphc.errors import InputError, brief, one_line

__all__ = ["Reporter", "progress_bar", "sweep_bar"]

INTERVAL = 0.1
"""Seconds between two drawings of the bar."""


class Reporter(Protocol):
    """Told about every finished epoch."""

    def __call__(self, epoch: int, metrics: Mapping[str, float]) -> None: ...


@contextmanager
def progress_bar(epochs: int, show: bool | None) -> Iterator[Reporter]:
    """A bar on standard error; with `show` None, only if that is a terminal."""
    if not _is_shown(show):
        yield lambda epoch, metrics: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(bar_width=20),
        TimeRemainingColumn(),
        # In the width that is left. Names are only text: no markup.
        TextColumn("{task.fields[metrics]}", markup=False, table_column=Column(ratio=1, no_wrap=True)),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, expand=True) as progress:
        task = progress.add_task("epoch", total=epochs, metrics="")
        drawn = 0.0

        def report(epoch: int, metrics: Mapping[str, float]) -> None:
            nonlocal drawn
            now = time.monotonic()
            if now - drawn >= INTERVAL or epoch == epochs:
                drawn = now
                shown = "  ".join(f"{one_line(name).replace('_', ' ')} {value:.4g}" for name, value in metrics.items())
                progress.update(task, completed=epoch, metrics=shown)
                progress.refresh()

        yield report


@contextmanager
def sweep_bar(runs: int, work: float, show: bool | None) -> Iterator[Callable[[int, float], None]]:
    """A bar for many runs, as `progress_bar` is for one. It is told how many are over, and how much work is done."""
    if not _is_shown(show):
        yield lambda runs, work: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("run"),
        TextColumn("{task.fields[over]}/{task.fields[runs]}"),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("passed,"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as progress:
        task = progress.add_task("run", total=work, over=0, runs=runs)

        def report(over: int, done: float) -> None:
            progress.update(task, completed=done, over=over)
            progress.refresh()

        yield report


def _is_shown(show: object) -> bool:
    if show is None:
        return sys.stderr.isatty()
    if not isinstance(show, bool):
        raise InputError(f"fit: progress is True, False or None, not {brief(show)}")
    return show
