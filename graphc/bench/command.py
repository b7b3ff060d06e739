"""The command `graphc-bench`."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.metadata import version
from itertools import product
from typing import Any, TypeVar

import click

from graphc.bench.disk import best as best_study
from graphc.bench.disk import grid as grid_study
from graphc.bench.disk import minitorch as minitorch_study
from graphc.bench.disk import table1 as table1_study
from graphc.bench.disk.networks import ACTIVATIONS
from graphc.bench.options import Options, study_options
from graphc.errors import GraphcError

__all__ = ["main"]

_T = TypeVar("_T", int, float)


class _Group(click.Group):
    """Says in one line what graphc finds wrong."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except GraphcError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("graphc"), prog_name="graphc-bench", message="%(prog)s %(version)s")
def main() -> None:
    """Studies that anyone can redo."""


@main.group()
def disk() -> None:
    """Small networks learn which points of the unit square are inside a circle.

    Two student reports about frameworks of their own published what their networks reach; these commands do it again,
    and go on from there. Tables appear here; CSV and JSON files with every run and picture go to the --out folder.
    """


@disk.command()
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=table1_study.BATCH_SIZE,
    show_default=True,
    help="The report does not state it.",
)
@click.option(
    "--sharing",
    type=click.Choice(["features", "scalar"]),
    default="features",
    show_default=True,
    help="What the network that shares weights makes of a coordinate: 25 numbers or one. The report does not state it.",
)
@click.option(
    "--published-runs",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Runs of which the published means are taken to be. The report does not state it.",
)
@study_options(runs=100, out="table1")
def table1(options: Options, batch_size: int, sharing: str, published_runs: int) -> None:
    """The table of Peeters and Schlyter: MSE and BCE, SGD and Adam, shared weights."""
    table1_study.run(options, batch_size, sharing, published_runs)


@disk.command()
@click.option(
    "--variant",
    "variants",
    multiple=True,
    type=click.Choice(list(minitorch_study.VARIANTS)),
    default=["elements", "samples", "samples-in-order"],
    show_default=True,
    help="What the report leaves open: whether N counts elements or samples of a batch; -signs has targets of "
    "-1 and 1, -in-order does not shuffle. May be given several times.",
)
@click.option("--compare", type=click.Choice(["torch"]), help="Train a part of a run in torch eager, too.")
@study_options(runs=110, out="minitorch")
def minitorch(options: Options, variants: tuple[str, ...], compare: str | None) -> None:
    """The study of Reynaud, Taburet and Rinaldi: 110 runs of 160,000 steps, and the bootstrap."""
    minitorch_study.run(options, variants, compare == "torch")


@disk.command()
@click.option(
    "--candidate",
    "candidates",
    multiple=True,
    type=click.Choice([each.name for each in best_study.CANDIDATES]),
    default=[each.name for each in best_study.CANDIDATES],
    show_default="all of them",
    help="What to choose from. May be given several times.",
)
@click.option(
    "--tuning-sets",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Data sets for the choice, none of which is reported on.",
)
@study_options(runs=100, out="best")
def best(options: Options, candidates: tuple[str, ...], tuning_sets: int) -> None:
    """What a careful user gets from as many points: a choice by cross-validation, and 100 runs of it."""
    best_study.run(options, candidates, tuning_sets)


def _numbers(kind: Callable[[str], _T], least: float) -> Callable[[click.Context, click.Parameter, str], list[_T]]:
    """Reads numbers between commas, all above `least`."""

    def read(context: click.Context, parameter: click.Parameter, text: str) -> list[_T]:
        try:
            found = [kind(word) for word in text.split(",")]
        except ValueError:
            raise click.BadParameter(f"{text!r} is not a list of numbers such as {parameter.default}") from None
        if not all(least < number < math.inf for number in found):
            raise click.BadParameter(f"all numbers are above {least:g}")
        return list(dict.fromkeys(found))

    return read


def _activations(context: click.Context, parameter: click.Parameter, text: str) -> list[str]:
    found = text.split(",")
    for word in found:
        names = word.split("-")
        if len(names) != 3 or not set(names) <= set(ACTIVATIONS):
            raise click.BadParameter(f"{word!r} is not three of {', '.join(ACTIVATIONS)}, with - between them")
    return list(dict.fromkeys(found))


@disk.command()
@click.option(
    "--activations",
    callback=_activations,
    show_default="all eight of tanh and relu, and three sigmoid",
    default=",".join(["-".join(each) for each in product(["tanh", "relu"], repeat=3)] + ["sigmoid-sigmoid-sigmoid"]),
    help="Those of the three hidden layers, with commas between combinations, as in tanh-tanh-relu,tanh-relu-relu.",
)
@click.option(
    "--loss",
    "losses",
    multiple=True,
    type=click.Choice(list(grid_study.LOSSES)),
    default=list(grid_study.LOSSES),
    show_default=True,
    help="May be given several times.",
)
@click.option(
    "--lr", "learning_rates", callback=_numbers(float, 0), default="0.3,0.1,0.03,0.01,0.003", show_default=True
)
@click.option("--batch-size", "batch_sizes", callback=_numbers(int, 0), default="10,25,50,100", show_default=True)
@click.option("--epochs", callback=_numbers(int, 0), default="250,1000", show_default=True)
@study_options(runs=3, out="grid")
def grid(options: Options, **axes: Any) -> None:
    """The grid search of Reynaud, Taburet and Rinaldi, with MAE: all combinations, on held-out points."""
    grid_study.run(options, grid_study.Axes(**axes))
