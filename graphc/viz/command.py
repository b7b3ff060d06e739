"""The command `graphc-viz`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from graphc.viz.arguments import ENDINGS, INPUT, MODULE, OUTPUT, SIZE, Destination, Target, sizes_of
from graphc.viz.compare import compare
from graphc.viz.completion import PROGRAM, SHELLS, script
from graphc.viz.draw import contents, contents_of_difference, contents_of_passes
from graphc.viz.errors import DrawingError
from graphc.viz.failure import BuildFailure, failure_contents
from graphc.viz.find import TargetError, split_target
from graphc.viz.group import FAILURE, USAGE, Group, Stop
from graphc.viz.inputs import Input
from graphc.viz.labels import shown
from graphc.viz.layout import DEFAULT_TIMEOUT, LONGEST_TIMEOUT
from graphc.viz.passes import PassTable, pass_rows
from graphc.viz.request import Direction, Overlay, Request, Theme, View
from graphc.viz.sheets import measured, summary_of
from graphc.viz.targets import comparison_of, graph_of, program_of, read

__all__ = ["main"]

_F = TypeVar("_F", bound=Callable[..., Any])


@click.group(
    PROGRAM,
    cls=Group,
    default="draw",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(version("graphc"), prog_name=PROGRAM, message="%(prog)s %(version)s")
def main() -> None:
    """Draw the graph of an object in a Python file.

    TARGET is FILE.py:NAME or a saved graph, FILE.json. FILE.py is run as it stands; NAME is a tensor in it, a list,
    tuple or dict of tensors, a graph, a program or a module.

    \b
    Draw the tensor `loss` of model.py into loss.svg:
        graphc-viz model.py:loss
    Choose where to, and in which format; .html is a page to walk through:
        graphc-viz model.py:loss -o figure.pdf
        graphc-viz model.py:loss -o network.html
    To standard output, as SVG or as DOT:
        graphc-viz model.py:loss -o -
        graphc-viz model.py:loss -o -.dot
    A wide picture, for a page:
        graphc-viz model.py:loss -o figure.png --direction LR
    A module, called on a batch of points:
        graphc-viz model.py:net --input batch,2
    A training program with its gradients and updates, or the kernels it became:
        graphc-viz train.py:program --view training
        graphc-viz train.py:program --view kernels
    Where the time goes, for batches of 25:
        graphc-viz train.py:program --view kernels --overlay time --size batch=25
    A large network: two levels of modules, every Encoder as one box, or one module alone:
        graphc-viz model.py:net --depth 2 --collapse Encoder
        graphc-viz model.py:net --only encoder.0
    What a pass changed, and what each of them cost:
        graphc-viz diff train.py:program --pass cse -o cse.svg
        graphc-viz passes train.py:program
    """


def _looks(command: _F) -> _F:
    """The options of every picture."""
    for option in reversed(
        [
            click.option(
                "--direction",
                type=click.Choice(get_args(Direction)),
                default="TB",
                help="Top to bottom (default), or left to right.",
            ),
            click.option("--theme", type=click.Choice(get_args(Theme)), default="light", help="Default: light."),
            click.option(
                "--timeout",
                type=click.FloatRange(min=0, max=LONGEST_TIMEOUT, min_open=True),
                metavar="SECONDS",
                default=DEFAULT_TIMEOUT,
                help=f"How long the layout may take. Default: {DEFAULT_TIMEOUT:g}.",
            ),
        ]
    ):
        command = option(command)
    return command


_depth = click.option(
    "--depth",
    type=click.IntRange(min=0),
    metavar="N",
    help="Modules nested deeper are one box each. Default: as much as fits.",
)
_input = click.option(
    "--input",
    "inputs",
    type=INPUT,
    multiple=True,
    metavar="[NAME=]SIZES[:DTYPE]",
    help="What a module is called on, such as batch,2 or labels=batch:int64; once for each argument. "
    "Default: a guess from its first matrix.",
)


@main.command(hidden=True)
@click.argument("target", type=Target(), metavar="TARGET")
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    metavar="PATH",
    help=f"Where to write; the ending says which format: {ENDINGS}. Default: NAME.svg here.",
)
@click.option(
    "--view",
    type=click.Choice(get_args(View)),
    default="forward",
    help="What leads to the outputs (default), gradients too, or updates too; or what a program became: kernels, and "
    "memory. A page has all of them and shows this one first.",
)
@_depth
@click.option(
    "--collapse",
    type=MODULE,
    multiple=True,
    metavar="NAME",
    help="Always one box: the path of a module, or a kind such as Linear. Can be repeated.",
)
@click.option("--only", type=MODULE, metavar="MODULE", help="Draw the inside of one module.")
@click.option(
    "--overlay", type=click.Choice(get_args(Overlay)), help="Shade the boxes by what was measured or counted."
)
@click.option(
    "--size",
    "sizes",
    type=SIZE,
    multiple=True,
    metavar="NAME=NUMBER",
    help="A symbolic size in numbers, for the overlay. Can be repeated.",
)
@click.option(
    "--batch",
    metavar="NAME",
    help="Values for the overlay: a tensor in the file, or a list or tuple, one for each input.",
)
@_input
@_looks
def draw(
    target: str,
    output: Destination | None,
    view: View,
    depth: int | None,
    collapse: tuple[str, ...],
    only: str | None,
    overlay: Overlay | None,
    sizes: tuple[tuple[str, int], ...],
    batch: str | None,
    inputs: tuple[Input, ...],
    direction: Direction,
    theme: Theme,
    timeout: float,
) -> None:
    """Draw one object."""
    with _one_line():
        request = Request(view, direction, depth, collapse, only or "", theme, overlay, sizes_of(sizes), timeout)
        file, name = split_target(target)
        label = name.rpartition(".")[2] or file.stem
        place = output or Destination(Path(f"{name or file.stem}.svg"), ".svg")
        try:
            value, values = read(file, name, inputs, batch)
        except BuildFailure as error:
            raise DrawingError(f"{error}; {_draw_failure(error, place, request, label)}") from None
        numbers = measured(value, request, label, values)
        place.write(contents(value, place.suffix, request, label, values, numbers))
        if place.path is not None:
            click.echo(f"{shown(str(place.path), None)}: {'; '.join(summary_of(value, request, label))}")
            click.echo("" if numbers is None else str(numbers), nl=False)


def _draw_failure(error: BuildFailure, place: Destination, request: Request, label: str) -> str:
    """Draw what there is of a graph that could not be built, and say where it is."""
    try:
        place.write(failure_contents(error.failure, place.suffix, request, label))
    except DrawingError as other:
        return f"what there is of it could not be drawn: {other}"
    return "drawn up to there" if place.path is None else f"drawn up to there in {shown(str(place.path), None)}"


@main.command()
@click.argument("before", type=Target(), metavar="A")
@click.argument("after", type=Target(), metavar="[B]", required=False)
@click.option(
    "--pass", "name", metavar="NAME", help="Compare what the program A was before one of its passes, and after it."
)
@click.option(
    "-o", "--output", type=OUTPUT, metavar="PATH", help=f"Draw it, too; the ending says which format: {ENDINGS}."
)
@_depth
@_looks
def diff(
    before: str,
    after: str | None,
    name: str | None,
    output: Destination | None,
    depth: int | None,
    direction: Direction,
    theme: Theme,
    timeout: float,
) -> None:
    """Print what differs between two graphs, and draw it.

    \b
    Two networks, or a graph that was saved earlier and that of now:
        graphc-viz diff model.py:small model.py:large
        graphc-viz diff saved.json model.py:loss
    What a pass made of a program:
        graphc-viz diff train.py:program --pass cse
        graphc-viz diff train.py:program --pass cse -o cse.svg
    """
    with _one_line():
        if after is not None and name is None:
            names: dict[Path, Mapping[str, object]] = {}  # a file that both are in is run once
            found = compare(graph_of(before, names), graph_of(after, names))
        elif after is None and name is not None:
            found = comparison_of(program_of(before), name)
        else:
            raise TargetError("name two targets, or one program and one of its passes (--pass NAME)")
        if output is not None:
            request = Request(direction=direction, depth=depth, theme=theme, timeout=timeout)
            output.write(contents_of_difference(found, output.suffix, request, name or "difference"))
        if output is None or output.path is not None:
            click.echo(str(found), nl=False)


@main.command()
@click.argument("target", type=Target(), metavar="TARGET")
@click.option(
    "-o", "--output", type=OUTPUT, metavar="PATH", help="Write a page, too, which shows each pass: .html, .json."
)
@_depth
@_looks
def passes(
    target: str, output: Destination | None, depth: int | None, direction: Direction, theme: Theme, timeout: float
) -> None:
    """Print what each pass made of a program, and how long it took.

    \b
    The target is a program, which graphc.compile gives:
        graphc-viz passes train.py:program
        graphc-viz passes train.py:program -o passes.html
    """
    with _one_line():
        program = program_of(target)
        if output is not None:
            request = Request(direction=direction, depth=depth, theme=theme, timeout=timeout)
            output.write(contents_of_passes(program, output.suffix, request, target.rpartition(":")[2]))
        if output is None or output.path is not None:
            click.echo(str(PassTable(pass_rows(program))), nl=False)


@main.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print what makes the shell complete targets and options.

    \b
    In ~/.bashrc or ~/.zshrc:
        eval "$(graphc-viz completion bash)"
        eval "$(graphc-viz completion zsh)"
    For fish:
        graphc-viz completion fish > ~/.config/fish/completions/graphc-viz.fish
    """
    click.echo(script(shell, main), nl=False)


@contextmanager
def _one_line() -> Iterator[None]:
    """What goes wrong is one line and an exit code."""
    try:
        yield
    except TargetError as error:
        raise Stop(str(error), USAGE) from None
    except DrawingError as error:
        raise Stop(str(error), FAILURE) from None
