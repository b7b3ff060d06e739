"""Training settings many times, each run on points of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphc.bench.disk.data import TEST, TRAIN, samples
from graphc.bench.disk.setting import Programs
from graphc.bench.options import Options
from graphc.runtime import Epoch, Outcome, Run, Sweep
from graphc.state import State

__all__ = ["LEARNED", "Result", "curves", "runs_of", "seed_of", "study"]

LEARNED = 0.4
"""A run whose training error is not below this has not learned: half of the points are inside, so guessing has 0.5."""

RUNS, MEMBERS = 100_000, 100
"""How many runs and members have seeds of their own."""


@dataclass(frozen=True)
class Result:
    """What a run reached: losses, and the parts of the points misclassified. `seconds` are those of its steps."""

    setting: str
    run: int
    seed: int
    train_loss: float
    train_error: float
    test_loss: float
    test_error: float
    seconds: float
    steps: int

    @property
    def learned(self) -> bool:
        return self.train_error < LEARNED


def seed_of(seed: int, run: int, member: int = 0) -> int:
    """The seed of the initial values and of the order of samples, of a run or of a member of its ensemble."""
    return (seed * RUNS + run) * MEMBERS + member


def runs_of(programs: Programs, runs: Sequence[int], seed: int) -> list[Run]:
    setting = programs.setting
    return [
        Run(
            programs.train,
            *programs.data(samples(seed, run, TRAIN)),
            batch_size=setting.batch_size,
            epochs=setting.epochs,
            shuffle=setting.shuffle,
            seed=seed_of(seed, run),
        )
        for run in runs
    ]


def study(all_programs: Sequence[Programs], options: Options, path: Path) -> list[list[Result]]:
    """The runs of each setting; those of equal number have the same points. `path` gets what Ctrl-C leaves."""
    runs, seed = options.runs, options.seed
    described: dict[Run, tuple[Programs, int]] = {}
    for programs in all_programs:
        described |= {each: (programs, run) for run, each in enumerate(runs_of(programs, range(runs), seed))}

    def judge(outcome: Outcome) -> Result:
        programs, run = described[outcome.run]
        found = {
            f"{name}_{quantity}": value
            for name, part in (("train", TRAIN), ("test", TEST))
            for quantity, value in programs.look(samples(seed, run, part), outcome.state).items()
        }
        history = outcome.history
        return Result(
            programs.setting.name, run, outcome.run.seed, **found, seconds=sum(history.seconds), steps=history.steps
        )

    results = options.do(Sweep(described, keep=judge), path)
    return [results[start : start + runs] for start in range(0, len(results), runs)]


def curves(
    programs: Programs, run: int, seed: int, every: int = 1
) -> tuple[State, list[int], Mapping[str, list[float]]]:
    """Run `run` of a study again: the State that it ends with, and loss and error after every `every` epochs.

    The epochs are counted from 0, which is before the first step; names are those of Result.
    """
    [description] = runs_of(programs, [run], seed)
    data = {"train": samples(seed, run, TRAIN), "test": samples(seed, run, TEST)}
    epochs: list[int] = []
    found: dict[str, list[float]] = {}

    def look(epoch: int, state: State) -> None:
        epochs.append(epoch)
        for name, part in data.items():
            for quantity, value in programs.look(part, state).items():
                found.setdefault(f"{name}_{quantity}", []).append(value)

    def after(epoch: Epoch) -> None:
        if epoch.number % every == 0:
            look(epoch.number, epoch.state)

    state = description.start()
    look(0, state)
    setting = programs.setting
    programs.train.fit(
        *description.data,
        batch_size=setting.batch_size,
        epochs=setting.epochs,
        shuffle=setting.shuffle,
        seed=description.seed,
        state=state,
        on_epoch=after,
    )
    return state, epochs, found
