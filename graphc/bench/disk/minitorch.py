"""The study of [2]: three tanh, mean squared error, plain SGD, 4,000 epochs; and how well its accuracy is known."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import torch

from graphc import nn, optim
from graphc.bench.disk.data import COUNT, TEST, one_hot, samples, signs
from graphc.bench.disk.eager import Sample, time_eager
from graphc.bench.disk.networks import layers
from graphc.bench.disk.setting import Programs, Setting, prepare
from graphc.bench.disk.study import Result, curves, study
from graphc.bench.options import Options
from graphc.bench.pictures import Panel, draw_curves, draw_histogram, draw_maps
from graphc.bench.record import write_csv, write_json
from graphc.bench.statistics import ENOUGH, Interval, Spread, bootstrap, spread
from graphc.ir import Tensor
from graphc.types import Array

__all__ = ["PUBLISHED_MEAN", "PUBLISHED_STD", "VARIANTS", "run", "summed_mse"]

PUBLISHED_MEAN = Interval(98.55, 98.63)
PUBLISHED_STD = Interval(0.53, 0.59)
"""In percent of test points, of 110 runs, from bootstrapping; with a probability of 99%, [2] says."""

BATCH_SIZE, EPOCHS, LEARNING_RATE = 25, 4000, 0.01
RESAMPLES, CONFIDENCE = 10**6, 0.99

CORRECTED_MEAN, CORRECTED_STD = Interval(98.45, 98.73), Interval(0.46, 0.66)
"""Of 110 runs with a mean of 98.59 and a deviation of 0.56, at 99%: ± 2.576 · 0.56 / √110, and / √220.

What [2] gives is too narrow by a factor of 3.3, as if 100 of the 110 runs had been drawn without replacement.
"""

CURVE_RUNS, CURVE_EVERY = 6, 20
"""Runs whose curves are drawn, and epochs from one point of a curve to the next."""


def three_tanh() -> nn.Sequential:
    """2-25-25-25-2, from [2]: one output for each class."""
    return layers((2, 25, 25, 25, 2), ("tanh", "tanh", "tanh"))


def summed_mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Σ(s - y)² over the number of samples, so that its gradient is 2(s - y)/N with N samples."""
    return (prediction - target).square().sum(dim=1).mean()


def _variant(name: str, **options: object) -> Setting:
    base = {
        "loss": nn.MSELoss(),
        "targets": one_hot,
        "shuffle": True,
        "batch_size": BATCH_SIZE,
        "epochs": EPOCHS,
        "network": three_tanh,
        "optimizer": partial(optim.SGD, lr=LEARNING_RATE),
    }
    return Setting(name, **{**base, **options})  # type: ignore[arg-type]


VARIANTS = {
    setting.name: setting
    for setting in (
        _variant("elements"),
        _variant("samples", loss=summed_mse),
        _variant("elements-signs", targets=signs),
        _variant("samples-signs", loss=summed_mse, targets=signs),
        _variant("elements-in-order", shuffle=False),
        _variant("samples-in-order", loss=summed_mse, shuffle=False),
    )
}
"""What [2] leaves open: N in 2(s - y)/N counts the elements of a batch or its samples; shuffled or not."""


@dataclass(frozen=True)
class Findings:
    """Test accuracy over the runs of a variant, in percent, and how well its mean and deviation are known."""

    accuracy: Spread
    mean: Interval | None
    std: Interval | None

    @staticmethod
    def of(results: Sequence[Result], seed: int) -> Findings:
        accuracies = [100 * (1 - result.test_error) for result in results]
        if len(results) < ENOUGH:
            return Findings(spread(accuracies), None, None)
        return Findings(spread(accuracies), *bootstrap(accuracies, RESAMPLES, CONFIDENCE, seed))


def run(options: Options, variants: Sequence[str], compare: bool) -> None:
    """The study: train, resample, print, write, draw."""
    settings = [VARIANTS[name] for name in variants]
    options.say(
        f"The study of Reynaud, Taburet and Rinaldi: 2-25-25-25-2 with three tanh, mean squared error, SGD at "
        f"{LEARNING_RATE}, {EPOCHS:,} epochs in batches of {BATCH_SIZE}; {options.times} of each variant, each on "
        f"{COUNT:,} points of its own, tested on {COUNT:,} others."
    )
    start = time.perf_counter()
    rows = [Programs(setting, options.backend) for setting in settings]
    prepare(rows)
    compiled = time.perf_counter()
    found = study(rows, options, options.out / "minitorch.csv")
    trained = time.perf_counter()
    findings = {results[0].setting: Findings.of(results, options.seed) for results in found}
    done = time.perf_counter()
    _print(options, findings, found)
    steps = sum(result.steps for results in found for result in results)
    options.say(
        f"{steps:,} steps in {trained - compiled:.1f} s, then the bootstrap in {done - trained:.1f} s: "
        f"{done - compiled:.1f} s in all, after {compiled - start:.1f} s of compiling. The intervals hold "
        f"{CONFIDENCE:.0%} of {RESAMPLES:,} means and deviations of as many runs drawn with replacement. The published "
        "ones are too narrow for that, as if drawn without; corrected are those that 110 such runs have."
    )
    sample = None
    if compare:
        sample = _eager(rows[0], options.seed)
        _say_eager(options, sample, steps, done - compiled)
    _write(options, rows, found, findings, done - compiled, sample)
    if options.pictures:
        _draw(options, rows, found)


def _print(options: Options, findings: Mapping[str, Findings], found: Sequence[Sequence[Result]]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column("variant", no_wrap=True)
    for heading in (
        "test accuracy,\nmean ± std, %",
        "99% interval\nof the mean",
        "with the\ncorrected",
        "99% interval\nof the std",
        "with the\ncorrected",
        "µs per\nstep",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row("published", "", f"{PUBLISHED_MEAN:.2f}", "", f"{PUBLISHED_STD:.2f}", "", "")
    table.add_row("corrected", "98.59 ± 0.56", f"{CORRECTED_MEAN:.2f}", "", f"{CORRECTED_STD:.2f}", "", "")
    for results in found:
        known = findings[results[0].setting]
        step = sum(result.seconds for result in results) / sum(result.steps for result in results)
        table.add_row(
            results[0].setting,
            f"{known.accuracy:.2f}",
            *_compared(known.mean, CORRECTED_MEAN),
            *_compared(known.std, CORRECTED_STD),
            f"{step * 1e6:.2f}",
        )
    options.show(table)


def _compared(ours: Interval | None, theirs: Interval) -> tuple[str, str]:
    """An interval, and how it lies to that of the report; nothing where there are too few runs for one."""
    if ours is None:
        return "", ""
    verdict = "agrees" if ours.overlaps(theirs) else "too low" if ours.high < theirs.low else "too high"
    return f"{ours:.2f}", verdict


def _eager(programs: Programs, seed: int) -> Sample:
    linear, tanh = torch.nn.Linear, torch.nn.Tanh
    network = torch.nn.Sequential(linear(2, 25), tanh(), linear(25, 25), tanh(), linear(25, 25), tanh(), linear(25, 2))
    loss = _summed if programs.setting.loss is summed_mse else torch.nn.MSELoss()
    return time_eager(programs, network, loss, seed)


def _summed(prediction: Array, target: Array) -> Array:
    return (prediction - target).square().sum(dim=1).mean()


def _say_eager(options: Options, sample: Sample, steps: int, seconds: float) -> None:
    expected = steps * sample.seconds / sample.steps
    options.say(
        f"torch eager, from the same weights and in the same order, on one thread: {sample.steps:,} steps of a run in "
        f"{sample.seconds:.2f} s, {sample.seconds / sample.steps * 1e6:.0f} µs each, to the same loss "
        f"({sample.loss:.6f}, graphc {sample.graphc_loss:.6f}). Extrapolated, not measured: {steps:,} such steps, one "
        f"after the other on one thread, take {expected / 60:,.0f} minutes, {expected / seconds:,.0f} times as long as "
        "this study took on all its workers, bootstrap included."
    )


def _write(
    options: Options,
    rows: Sequence[Programs],
    found: Sequence[Sequence[Result]],
    findings: Mapping[str, Findings],
    seconds: float,
    sample: Sample | None,
) -> None:
    path = options.out / "minitorch.csv"
    write_csv(path, [result for results in found for result in results])
    options.say(f"{path}: every run")
    path = options.out / "minitorch.json"
    write_json(
        path,
        {
            "runs": options.runs,
            "seed": options.seed,
            "seconds": seconds,
            "bootstrap": {"resamples": RESAMPLES, "confidence": CONFIDENCE},
            "published": {"mean": asdict(PUBLISHED_MEAN), "std": asdict(PUBLISHED_STD)},
            "corrected": {"mean": asdict(CORRECTED_MEAN), "std": asdict(CORRECTED_STD)},
            "summary": {name: asdict(each) for name, each in findings.items()},
            "torch_eager": None if sample is None else asdict(sample),
            "settings": [programs.describe() for programs in rows],
        },
    )
    options.say(f"{path}: means, deviations and intervals, and all that is needed to do it again")


def _draw(options: Options, rows: Sequence[Programs], found: Sequence[Sequence[Result]]) -> None:
    panels, maps = [], []
    for programs in rows:
        name = programs.setting.name
        recorded = [
            curves(programs, number, options.seed, CURVE_EVERY) for number in range(min(options.runs, CURVE_RUNS))
        ]
        state, epochs, _ = recorded[0]
        iterations = [epoch * -(-COUNT // BATCH_SIZE) / 1000 for epoch in epochs]
        by_run = [each for _, _, each in recorded]
        panels += [
            Panel(f"{name}: loss", "loss", "loss", iterations, by_run),
            Panel(
                f"{name}: accuracy", "error", "accuracy, %", iterations, by_run, False, lambda error: 100 * (1 - error)
            ),
        ]
        maps.append((name, partial(programs.predict, state=state), samples(options.seed, 0, TEST)))
    path = options.out / "minitorch-curves.png"
    draw_curves(panels, "iteration, in thousands", path)
    options.say(f"{path}: loss and accuracy over iterations: run 0, and the median of {len(by_run)} runs")
    path = options.out / "minitorch-accuracy.png"
    accuracies = {results[0].setting: [100 * (1 - result.test_error) for result in results] for results in found}
    draw_histogram(accuracies, 100 / COUNT, PUBLISHED_MEAN, "test accuracy, %", path)
    options.say(f"{path}: the test accuracy of all runs")
    path = options.out / "minitorch-maps.png"
    draw_maps(maps, path)
    options.say(f"{path}: what each network of run 0 says of every point, and the test points that it misclassifies")
