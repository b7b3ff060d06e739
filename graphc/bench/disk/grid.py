"""The grid search of [2]: batch size, learning rate, epochs and activations, with squared and with absolute errors."""

from __future__ import annotations

import itertools
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from statistics import fmean

from graphc import nn, optim
from graphc.bench.disk.data import COUNT, TEST, TRAIN, one_hot, samples
from graphc.bench.disk.networks import layers
from graphc.bench.disk.setting import Programs, Setting, prepare
from graphc.bench.disk.study import seed_of
from graphc.bench.options import Options
from graphc.bench.pictures import draw_heat
from graphc.bench.record import write_csv, write_json
from graphc.ir import Tensor
from graphc.runtime import Outcome, Run, Sweep

__all__ = ["LOSSES", "Axes", "run"]

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mse": nn.MSELoss(), "mae": nn.L1Loss()}

HELD_OUT = 200
"""Of the training points, those that are not trained on, by which combinations are compared."""

SHOWN = 12
"""Combinations that are printed."""


@dataclass(frozen=True)
class Axes:
    """What is combined with what."""

    activations: Sequence[str]
    losses: Sequence[str]
    learning_rates: Sequence[float]
    batch_sizes: Sequence[int]
    epochs: Sequence[int]


@dataclass(frozen=True)
class Point:
    """A combination."""

    activations: str
    loss: str
    learning_rate: float
    batch_size: int
    epochs: int


@dataclass(frozen=True)
class Trial:
    """A run of a combination: parts of the points misclassified. `diverged` when the loss is no number any more."""

    activations: str
    loss: str
    learning_rate: float
    batch_size: int
    epochs: int
    run: int
    seed: int
    train_error: float
    validation_error: float
    test_error: float
    diverged: bool
    seconds: float

    @property
    def point(self) -> Point:
        return Point(**{field.name: getattr(self, field.name) for field in fields(Point)})


def run(options: Options, axes: Axes) -> None:
    """The study: train all combinations, print the best, write, draw."""
    networks = list(itertools.product(axes.activations, axes.losses))
    others = list(itertools.product(axes.learning_rates, axes.batch_sizes, axes.epochs))
    options.say(
        f"The grid of Reynaud, Taburet and Rinaldi: 2-25-25-25-2 and SGD; {len(networks)} programs, which are "
        f"activations × losses, each with {len(others)} combinations of learning rate, batch size and epochs; "
        f"{options.times} of each. Of {COUNT:,} points, {COUNT - HELD_OUT} are trained on and {HELD_OUT} decide."
    )
    start = time.perf_counter()
    programs = {pair: Programs(_setting(*pair), options.backend) for pair in networks}
    prepare(programs.values())
    compiled = time.perf_counter()
    points = [Point(*pair, rate, size, epochs) for pair in networks for rate, size, epochs in others]
    trials = _search(points, programs, options)
    seconds = time.perf_counter() - compiled
    means = _means(trials)
    ranked = sorted(means, key=lambda point: means[point][0])
    _print(options, ranked, means)
    best = ranked[0]
    options.say(
        f"{len(trials):,} runs in {seconds:.1f} s, after {compiled - start:.1f} s of compiling. Numbers are parts of "
        f"the {HELD_OUT} held-out points misclassified, means of {options.times}, and of {COUNT:,} test points, "
        f"which decide nothing; {sum(trial.diverged for trial in trials)} runs diverged. The best: {_text(best)}."
    )
    path = options.out / "grid.csv"
    write_csv(path, trials)
    options.say(f"{path}: every run")
    path = options.out / "grid.json"
    write_json(
        path,
        {
            "runs": options.runs,
            "seed": options.seed,
            "seconds": seconds,
            "axes": asdict(axes),
            "held_out": f"the last {HELD_OUT} points of each training set",
            "settings": [each.describe() for each in programs.values()],
            "ranked": [
                {**asdict(point), "validation_error": means[point][0], "test_error": means[point][1]}
                for point in ranked
            ],
        },
    )
    options.say(f"{path}: all combinations, the best first, and all that is needed to do it again")
    if options.pictures:
        _draw(options, axes, means, best)


def _setting(activations: str, loss: str) -> Setting:
    network = partial(layers, (2, 25, 25, 25, 2), activations.split("-"))
    # Learning rate, batch size and epochs are those of each run.
    return Setting(f"{activations} {loss}", network, LOSSES[loss], optim.SGD, 1, 1, one_hot)


def _search(points: Iterable[Point], programs: Mapping[tuple[str, str], Programs], options: Options) -> list[Trial]:
    parts = {
        run: (*samples(options.seed, run, TRAIN).split(COUNT - HELD_OUT), samples(options.seed, run, TEST))
        for run in range(options.runs)
    }
    described: dict[Run, tuple[Point, int]] = {}
    for point in points:
        owner = programs[point.activations, point.loss]
        for number, (train, _, _) in parts.items():
            each = Run(
                owner.train,
                *owner.data(train),
                batch_size=point.batch_size,
                epochs=point.epochs,
                seed=seed_of(options.seed, number),
                hyper={"lr": point.learning_rate},
            )
            described[each] = (point, number)

    def judge(outcome: Outcome) -> Trial:
        point, number = described[outcome.run]
        owner = programs[point.activations, point.loss]
        train, validation, test = (owner.look(part, outcome.state) for part in parts[number])
        return Trial(
            **asdict(point),
            run=number,
            seed=outcome.run.seed,
            train_error=train["error"],
            validation_error=validation["error"],
            test_error=test["error"],
            diverged=not math.isfinite(train["loss"]),
            seconds=sum(outcome.history.seconds),
        )

    return options.do(Sweep(described, keep=judge), options.out / "grid.csv")


def _means(trials: Iterable[Trial]) -> dict[Point, tuple[float, float]]:
    """Validation and test error of each combination."""
    together: defaultdict[Point, list[Trial]] = defaultdict(list)
    for trial in trials:
        together[trial.point].append(trial)
    return {
        point: (fmean(t.validation_error for t in each), fmean(t.test_error for t in each))
        for point, each in together.items()
    }


def _text(point: Point) -> str:
    return (
        f"{point.activations}, {point.loss}, learning rate {point.learning_rate:g}, batches of {point.batch_size}, "
        f"{point.epochs:,} epochs"
    )


def _print(options: Options, ranked: Sequence[Point], means: Mapping[Point, tuple[float, float]]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1))
    for heading in ("activations", "loss"):
        table.add_column(heading, no_wrap=True)
    for heading in ("learning rate", "batch", "epochs", "held-out error", "test error"):
        table.add_column(heading, justify="right", no_wrap=True)
    for point in ranked[:SHOWN]:
        validation, test = means[point]
        table.add_row(
            point.activations,
            point.loss,
            f"{point.learning_rate:g}",
            str(point.batch_size),
            f"{point.epochs:,}",
            f"{validation:.2%}",
            f"{test:.2%}",
        )
    if len(ranked) > SHOWN:
        table.add_row("…")
    options.show(table)


def _draw(options: Options, axes: Axes, means: Mapping[Point, tuple[float, float]], best: Point) -> None:
    path = options.out / "grid.png"
    tables = {}
    for loss, epochs in itertools.product(axes.losses, axes.epochs):
        point = replace(best, loss=loss, epochs=epochs)
        tables[f"{best.activations}, {loss}, {epochs:,} epochs"] = [
            [means[replace(point, learning_rate=rate, batch_size=size)][0] for size in axes.batch_sizes]
            for rate in axes.learning_rates
        ]
    draw_heat(
        tables,
        ("learning rate", [f"{rate:g}" for rate in axes.learning_rates]),
        ("batch size", list(map(str, axes.batch_sizes))),
        "held-out points misclassified",
        path,
    )
    options.say(f"{path}: the held-out error of the best activations, in percent")
    path = options.out / "grid-activations.png"
    tables = {
        f"{loss}, {best.epochs:,} epochs": [
            [
                min(means[Point(activations, loss, rate, size, best.epochs)][0] for size in axes.batch_sizes)
                for rate in axes.learning_rates
            ]
            for activations in axes.activations
        ]
        for loss in axes.losses
    }
    draw_heat(
        tables,
        ("activations", axes.activations),
        ("learning rate", [f"{rate:g}" for rate in axes.learning_rates]),
        "held-out points misclassified",
        path,
    )
    options.say(f"{path}: the same for all activations, each with its best batch size")
