"""Steps timed in rounds: in each, every contender trains for a while, so that a slow moment of the machine hits all.

A figure is the median over rounds, a ratio the median of the rounds' ratios.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterable

from tools.benchmarks.contenders import CONTENDERS, REFERENCE, Contender, Worker, WorkerError
from tools.benchmarks.workloads import Workload

TOLERANCE = 1e-4
"""Relative difference of mean losses (float32) after the same number of steps."""
Figures = dict[str, object]


class LossMismatch(Exception):  # noqa: N818  # what is wrong, not that something is
    """Contenders that were to compute the same thing did not."""


def measure(
    work: Workload,
    names: Iterable[str],
    rounds: int,
    threads: int,
    seconds: float,
    python_of: Callable[[Contender], str | None],
    say: Callable[[str], None],
) -> dict[str, Figures]:
    """What each contender needs for a step of `work`. `python_of` gives None for one that is not installed."""
    found: dict[str, Figures] = {}
    workers: dict[str, Worker] = {}
    with contextlib.ExitStack() as stack:
        for name in names:
            contender = CONTENDERS[name]
            if not contender.runs(work):
                continue
            python = python_of(contender)
            if python is None:
                found[name] = {"missing": contender.missing}
                continue
            say(f"{work.name}: starting {contender.label}")
            try:
                workers[name] = stack.enter_context(Worker(contender, work, threads, python))
            except WorkerError as error:
                if not contender.is_peer:
                    raise
                found[name] = {"missing": f"failed: {str(error).splitlines()[-1]}"}
        losses = {name: _checked_loss(work, worker) for name, worker in workers.items()}
        check_losses(work, losses)
        counts = {name: _epochs_in(seconds, worker) for name, worker in workers.items()}
        times: dict[str, list[float]] = {name: [] for name in workers}
        for number in range(1, rounds + 1):
            say(f"{work.name}: round {number} of {rounds}")
            for name, worker in workers.items():
                times[name].append(worker.run(counts[name])["seconds"] / (counts[name] * work.steps))
        for name, worker in workers.items():
            found[name] = _figures(work, worker, times[name], times.get(REFERENCE), losses[name])
    return {name: found[name] for name in names if name in found}


def check_losses(work: Workload, losses: dict[str, float]) -> None:
    """Raises LossMismatch unless all are those of the reference, or of the first where that does not take part."""
    if not losses:
        return
    name = REFERENCE if REFERENCE in losses else next(iter(losses))
    for other, value in losses.items():
        if not abs(value - losses[name]) <= TOLERANCE * abs(losses[name]):
            raise LossMismatch(
                f"{work.name}: the mean loss of epoch {work.checked} is {value} with {CONTENDERS[other].label}, "
                f"but {losses[name]} with {CONTENDERS[name].label}"
            )


def _checked_loss(work: Workload, worker: Worker) -> float:
    """The first epoch was trained at the start."""
    return worker.run(work.checked - 1)["loss"] if work.checked > 1 else worker.start["loss"]


def _epochs_in(seconds: float, worker: Worker) -> int:
    count = 1
    while True:
        taken = worker.run(count)["seconds"]
        if taken > seconds / 4:
            return max(1, round(count * seconds / taken))
        count *= 4


def _figures(work: Workload, worker: Worker, times: list[float], reference: list[float] | None, loss: float) -> Figures:
    step = statistics.median(times)
    figures: Figures = {
        "step_us": step * 1e6,
        "best_us": min(times) * 1e6,
        "loss": loss,
        "import_s": worker.start["import_s"],
        "first_step_s": max(0.0, worker.start["first_epoch_s"] - step * (work.steps - 1)),
        "memory_mb": worker.peak() / 1e6,
        "memory_at_rest_mb": worker.start["at_rest"] / 1e6,
    }
    if reference is not None:
        figures["times_faster"] = statistics.median(r / t for r, t in zip(reference, times, strict=True))
    return figures
