"""Table I of [1]: MSE and BCE, SGD and Adam, and the network that shares weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from graphc import nn, optim
from graphc.bench.disk.data import COUNT, TEST, samples
from graphc.bench.disk.networks import WeightSharing, one_output
from graphc.bench.disk.setting import Programs, Setting, prepare
from graphc.bench.disk.study import LEARNED, Result, curves, study
from graphc.bench.options import Options
from graphc.bench.pictures import Panel, draw_curves, draw_maps
from graphc.bench.record import write_csv, write_json
from graphc.bench.statistics import ENOUGH, Spread, plausibility, spread
from graphc.ir import Tensor
from graphc.state import Parameter

__all__ = ["BATCH_SIZE", "PUBLISHED", "Row", "half_mse", "run", "settings"]

EPOCHS = 250
BATCH_SIZE = 50
DECAY = 1e-4
"""[1] states it for the run that it pictures, MSE_SGD."""

LEVEL = 0.005
"""A row with a smaller probability does not agree. Of 24 figures, chance has one below it in one table of nine."""

CURVES = 20
"""Runs whose curves are drawn."""


@dataclass(frozen=True)
class Row:
    """Errors that [1] published: mean and standard deviation, on training and on test points."""

    train: tuple[float, float]
    test: tuple[float, float]


PUBLISHED = {
    "MSE_SGD": Row((0.0317, 0.0137), (0.0352, 0.0114)),
    "BCE_SGD": Row((0.0642, 0.0177), (0.0856, 0.0188)),
    "MSE_Adam": Row((0.0072, 0.0021), (0.0157, 0.0056)),
    "BCE_Adam": Row((0.0095, 0.0100), (0.0167, 0.0100)),
    "WS_MSE_SGD": Row((0.1141, 0.0921), (0.1172, 0.0812)),
    "WS_MSE_Adam": Row((0.0062, 0.0036), (0.0099, 0.0028)),
}


def half_mse(prediction: Tensor, target: Tensor) -> Tensor:
    """1/(2N) · Σ(x - y)², the loss of [1]."""
    return (prediction - target).square().mean() / 2


def settings(batch_size: int, sharing: str = "features") -> tuple[Setting, ...]:
    """The rows in order, with the learning rates of [1], which states neither the batch size nor what WS is made of."""

    def row(
        name: str,
        network: Callable[[], nn.Module],
        loss: Callable[[Tensor, Tensor], Tensor],
        optimizer: Callable[[Iterable[Parameter]], optim.Optimizer],
    ) -> Setting:
        return Setting(name, network, loss, optimizer, batch_size, EPOCHS)

    def sgd(lr: float) -> Callable[[Iterable[Parameter]], optim.Optimizer]:
        return lambda parameters: optim.SGD(parameters, lr=lr, weight_decay=DECAY)

    shared = partial(WeightSharing, sharing == "features")
    return (
        row("MSE_SGD", one_output, half_mse, sgd(0.5)),
        row("BCE_SGD", one_output, nn.BCELoss(), sgd(0.3)),
        row("MSE_Adam", one_output, half_mse, optim.Adam),
        row("BCE_Adam", one_output, nn.BCELoss(), optim.Adam),
        row("WS_MSE_SGD", shared, half_mse, sgd(0.5)),
        row("WS_MSE_Adam", shared, half_mse, optim.Adam),
    )


@dataclass(frozen=True)
class Comparison:
    """What was measured beside what was published."""

    published: tuple[float, float]
    measured: Spread
    plausibility: tuple[float, float] | None
    """Of the published mean and deviation, if they are of as many runs as assumed: see `statistics.plausibility`. None
    where there are too few runs to tell.
    """


def compare(results: Sequence[Result], published_runs: int) -> dict[str, Comparison]:
    """Train and test error of a row, where the published ones are taken to be of so many runs."""
    row = PUBLISHED[results[0].setting]
    errors = {
        "train": (row.train, [result.train_error for result in results]),
        "test": (row.test, [result.test_error for result in results]),
    }
    return {
        part: Comparison(
            published,
            spread(values),
            plausibility(values, *published, published_runs, seed=0) if len(values) >= ENOUGH else None,
        )
        for part, (published, values) in errors.items()
    }


def run(options: Options, batch_size: int, sharing: str, published_runs: int) -> None:
    """The study: train, print, write, draw."""
    start = time.perf_counter()
    options.say(
        f"Table I of Peeters and Schlyter: {options.times} of {EPOCHS} epochs for each row, each on {COUNT:,} "
        f"points of its own, tested on {COUNT:,} others, in batches of {batch_size}."
    )
    rows = [Programs(setting, options.backend) for setting in settings(batch_size, sharing)]
    prepare(rows)
    compiled = time.perf_counter()
    found = study(rows, options, options.out / "table1.csv")
    done = time.perf_counter()
    compared = {results[0].setting: compare(results, published_runs) for results in found}
    _print(options, found, compared)
    steps = sum(result.steps for results in found for result in results)
    options.say(
        f"{steps:,} steps in {done - compiled:.1f} s, after {compiled - start:.1f} s of compiling. Errors are "
        "percentages of points misclassified, mean ± standard deviation over runs. p is the probability that the "
        f"mean, or the deviation, of {published_runs} of these runs is as far out as the published one, the smaller of "
        "train and test; the report does not say of how many runs its figures are. A row agrees that has none below "
        f"{LEVEL:.1%}. Not learned: runs that misclassify {LEARNED:.0%} or more of what they were trained on."
    )
    facts = {
        "batch_size": batch_size,
        "sharing": sharing,
        "published_runs_assumed": published_runs,
        "seconds": done - compiled,
    }
    _write(options, rows, found, compared, facts)
    if options.pictures:
        _draw(options, rows)


def _print(
    options: Options, found: Sequence[Sequence[Result]], compared: Mapping[str, Mapping[str, Comparison]]
) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column("row", no_wrap=True)
    for part in ("train", "test"):
        for heading in (f"{part} error, %\npublished", "\nmeasured"):
            table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("p of\nmean", "p of\nstd", "\nagrees", "not\nlearned", "µs per\nstep"):
        table.add_column(heading, justify="right", no_wrap=True)
    for results in found:
        cells = []
        comparisons = compared[results[0].setting]
        for comparison in comparisons.values():
            mean, std = comparison.published
            cells += [f"{100 * mean:.2f} ± {100 * std:.2f}", f"{comparison.measured.scaled(100):.2f}"]
        not_learned = sum(not result.learned for result in results)
        step = sum(result.seconds for result in results) / sum(result.steps for result in results)
        parts = [each.plausibility for each in comparisons.values() if each.plausibility is not None]
        if parts:
            both = [min(each[i] for each in parts) for i in range(2)]
            cells += [f"{p:.3f}" if p >= 0.001 else "<.001" for p in both]
            cells.append("yes" if min(both) >= LEVEL else "mean" if both[0] >= LEVEL else "no")
        else:
            cells += [""] * 3
        table.add_row(results[0].setting, *cells, str(not_learned), f"{step * 1e6:.2f}")
    options.show(table)


def _write(
    options: Options,
    rows: Sequence[Programs],
    found: Sequence[Sequence[Result]],
    compared: Mapping[str, Mapping[str, Comparison]],
    facts: Mapping[str, object],
) -> None:
    path = options.out / "table1.csv"
    write_csv(path, [result for results in found for result in results])
    options.say(f"{path}: every run")
    path = options.out / "table1.json"
    write_json(
        path,
        {
            "runs": options.runs,
            "seed": options.seed,
            **facts,
            "summary": {name: {part: asdict(each) for part, each in row.items()} for name, row in compared.items()},
            "settings": [programs.describe() for programs in rows],
        },
    )
    options.say(f"{path}: means and deviations, and all that is needed to do it again")


def _draw(options: Options, rows: Sequence[Programs]) -> None:
    maps, panels = [], []
    for programs in rows:
        name = programs.setting.name
        recorded = [curves(programs, number, options.seed) for number in range(min(options.runs, CURVES))]
        state, epochs, _ = recorded[0]
        by_run = [found for _, _, found in recorded]
        maps.append((name, partial(programs.predict, state=state), samples(options.seed, 0, TEST)))
        panels += [
            Panel(name, "error", "points misclassified", epochs, by_run),
            Panel(name, "loss", "loss", epochs, by_run),
        ]
    path = options.out / "table1-curves.png"
    draw_curves(panels, "epoch", path, columns=4)
    options.say(f"{path}: error and loss over epochs: run 0, the median of {len(by_run)} runs, and nine tenths of them")
    path = options.out / "table1-maps.png"
    draw_maps(maps, path)
    options.say(f"{path}: what each network of run 0 says of every point, and the test points that it misclassifies")
