"""The command `graphc`."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

import click

from graphc.backends.c import cache as compile_cache
from graphc.backends.c.build import trial
from graphc.backends.c.compiler import need_compiler, vector_bytes
from graphc.errors import CompileError

__all__ = ["main"]


class _Stop(click.ClickException):
    """A failure, which ends with 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"graphc: {self.message}", file=file, err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("graphc"), prog_name="graphc", message="%(prog)s %(version)s")
def main() -> None:
    """What graphc finds on this machine, and what it keeps there.

    \b
    See whether programs can be compiled to native code:
        graphc doctor
    See how much compiled code is kept, and remove it:
        graphc cache
        graphc cache clear
    """


@main.command()
def doctor() -> None:
    """Say what graphc runs on, and try the C compiler. Ends with 1 if programs cannot be compiled."""
    _row("Python", f"{platform.python_version()}, {sys.executable}")
    _row("torch", version("torch"))
    _row("processor", f"{platform.machine()}, {os.cpu_count()} cores")
    problems = []
    for title, ask in (("vectors", _vectors), ("cache", _contents), ("C compiler", _compiler), ("trial", _trial)):
        try:
            _row(title, ask())
        except CompileError as error:
            _row(title, "see below")
            problems += [str(error)] if str(error) not in problems else []
    if problems:
        raise _Stop("\n".join(problems))


@main.group(invoke_without_command=True)
@click.pass_context
def cache(context: click.Context) -> None:
    """Say where compiled programs are kept, and how many."""
    if context.invoked_subcommand is None:
        try:
            click.echo(_contents())
        except CompileError as error:
            raise _Stop(str(error)) from None


@cache.command()
def clear() -> None:
    """Remove all compiled programs. They are compiled again when they are needed."""
    try:
        count = compile_cache.clear()
    except CompileError as error:
        raise _Stop(str(error)) from None
    click.echo(f"{compile_cache.folder()}: removed {_programs(count)}")


def _row(title: str, text: str) -> None:
    click.echo(f"{title:<12}{text}")


def _vectors() -> str:
    return f"{vector_bytes()} bytes"


def _contents() -> str:
    kept = compile_cache.entries()
    size = sum(entry.size for entry in kept)
    return f"{compile_cache.folder()}: {_programs(len(kept))}, {size / 1e6:.1f} MB"


def _programs(count: int) -> str:
    return f"{count} program" if count == 1 else f"{count} programs"


def _compiler() -> str:
    compiler = need_compiler()
    return f"{' '.join(compiler.command)}: {compiler.version}"


def _trial() -> str:
    compiler = need_compiler()
    start = time.perf_counter()
    trial(compiler)
    return f"compiled and ran in {(time.perf_counter() - start) * 1e3:.0f} ms"
