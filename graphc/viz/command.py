"""The command `graphc-viz`."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import click

from graphc.viz.build import drawing_of
from graphc.viz.dot import Direction
from graphc.viz.draw import contents, suffix_of, write
from graphc.viz.errors import DrawingError
from graphc.viz.find import TargetError, find, split_target
from graphc.viz.layout import DEFAULT_TIMEOUT, LONGEST_TIMEOUT
from graphc.viz.model import Drawing
from graphc.viz.subject import View, subject_of

__all__ = ["main"]

USAGE, FAILURE = 2, 1
STANDARD_OUTPUT = {"-": ".svg", "-.svg": ".svg", "-.png": ".png", "-.pdf": ".pdf", "-.dot": ".dot"}


class _Stop(click.ClickException):
    """An error in one line; a usage error ends with 2, a failure with 1."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it for the class, and reads it from the instance

    def show(self, file: Any = None) -> None:
        click.echo(f"graphc-viz: {self.message}", file=file, err=True)


class _Command(click.Command):
    """A command whose usage errors are one line, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            message = error.format_message().rstrip(".")
            raise _Stop(f"{message[:1].lower()}{message[1:]}. See graphc-viz --help", USAGE) from None


@click.command(cls=_Command, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("target", metavar="FILE.py:NAME")
@click.option(
    "-o", "--output", metavar="PATH", help="Where to write; the ending says which format. Default: NAME.svg here."
)
@click.option(
    "--direction", type=click.Choice(["TB", "LR"]), default="TB", help="Top to bottom (default), or left to right."
)
@click.option(
    "--view",
    type=click.Choice(["forward", "all"]),
    default="forward",
    help="Of a graph or program: what leads to its outputs (default), or gradients and updates too.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, max=LONGEST_TIMEOUT, min_open=True),
    metavar="SECONDS",
    default=DEFAULT_TIMEOUT,
    help=f"How long the layout may take. Default: {DEFAULT_TIMEOUT:g}.",
)
@click.version_option(version("graphc"), prog_name="graphc-viz", message="%(prog)s %(version)s")
def main(target: str, output: str | None, direction: Direction, view: View, timeout: float) -> None:
    """Draw the graph of an object in a Python file.

    FILE.py is run as it stands; NAME is a tensor in it, a list, tuple or dict of tensors, a graph or a program.

    \b
    Draw the tensor `loss` of model.py into loss.svg:
        graphc-viz model.py:loss
    Choose where to, and in which format (.svg, .png, .pdf, .dot):
        graphc-viz model.py:loss -o figure.pdf
    A wide picture, for a page:
        graphc-viz model.py:loss -o figure.png --direction LR
    A training program with its gradients and updates:
        graphc-viz train.py:program --view all
    To standard output, as SVG or as DOT:
        graphc-viz model.py:loss -o -
        graphc-viz model.py:loss -o -.dot
    """
    try:
        _run(target, output, direction, view, timeout)
    except TargetError as error:
        raise _Stop(str(error), USAGE) from None
    except DrawingError as error:
        raise _Stop(str(error), FAILURE) from None


def _run(target: str, output: str | None, direction: Direction, view: View, timeout: float) -> None:
    if output is not None and output not in STANDARD_OUTPUT:
        try:
            suffix_of(output)
        except DrawingError as error:
            raise _Stop(str(error), USAGE) from None
    file, name = split_target(target)
    value = find(file, name)
    drawing = drawing_of(*subject_of(value, view, name.rpartition(".")[2]))
    if output in STANDARD_OUTPUT:
        click.echo(contents(drawing, STANDARD_OUTPUT[output], direction, timeout), nl=False)
        return
    path = output or f"{name}.svg"
    write(drawing, path, direction, timeout)
    click.echo(f"{path}: {_summary(drawing)}")


def _summary(drawing: Drawing) -> str:
    counts = [("box", "boxes", len(drawing.boxes)), ("module", "modules", len(drawing.frames))]
    return ", ".join(f"{count} {one if count == 1 else many}" for one, many, count in counts if count)
