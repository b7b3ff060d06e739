"""The command `graphc`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import click

from graphc.backends.c import cache as compile_cache
from graphc.cli.contents import place, programs, rows, summary
from graphc.cli.doctor import as_data, examine, native
from graphc.cli.report import write
from graphc.errors import CompileError, one_line

__all__ = ["main"]


class _Stop(click.ClickException):
    """A failure, which ends with 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"graphc: {self.message}", file=file, err=True)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What graphc finds wrong is said in a line."""
    try:
        yield
    except CompileError as error:
        raise _Stop(str(error)) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("graphc"), prog_name="graphc", message="%(prog)s %(version)s")
def main() -> None:
    """What graphc finds on this machine, and what it keeps there.

    \b
    See whether programs can be compiled to native code, and what to do if not:
        graphc doctor
    See what compiled code is kept, and remove it:
        graphc cache list
        graphc cache clear
    """


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Write everything as JSON, for a report of a bug.")
def doctor(as_json: bool) -> None:
    """Say what graphc finds on this machine, and try it.

    Compiles and trains a small network on every backend. Ends with 1 if programs cannot be compiled to native code.
    """
    findings = []
    if as_json:
        findings = list(examine())
        click.echo(json.dumps(as_data(findings), indent=2))
    else:
        for finding in examine():
            write([finding], after=findings[-1:])
            findings.append(finding)
        click.echo()
        click.echo(
            "Programs can be compiled to native code."
            if native(findings)
            else "Programs cannot be compiled to native code as things are."
        )
    if not native(findings):
        raise SystemExit(1)


@main.group(invoke_without_command=True)
@click.pass_context
def cache(context: click.Context) -> None:
    """Say where compiled programs are kept, and how many."""
    if context.invoked_subcommand is None:
        with _explained():
            click.echo(summary())


@cache.command()
def path() -> None:
    """Write the path of the folder, and nothing else."""
    with _explained():
        click.echo(place())


@cache.command(name="list")
def list_() -> None:
    """List the programs, the last used first: key, size, last use, and where they were built."""
    with _explained():
        table = rows()
        widths = [max(map(len, column)) for column in zip(*table)]
        for key, size, used, what in table:
            click.echo(f"{key}  {size:>{widths[1]}}  {used:>{widths[2]}}  {what}")
        click.echo(summary())


@cache.command()
def clear() -> None:
    """Remove all compiled programs. They are compiled again when they are needed."""
    with _explained():
        count = compile_cache.clear()
        click.echo(f"{one_line(str(place()))}: removed {programs(count)}")
