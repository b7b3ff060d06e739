"""What a careful user gets from as many points: a choice by cross-validation, then 100 runs of what was chosen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean

import torch

from graphc import nn, optim
from graphc.bench.disk.data import COUNT, TEST, TRAIN, TUNE, Samples, samples
from graphc.bench.disk.minitorch import PUBLISHED_MEAN, PUBLISHED_STD
from graphc.bench.disk.networks import layers
from graphc.bench.disk.setting import Programs, Setting, prepare
from graphc.bench.disk.study import seed_of
from graphc.bench.disk.table1 import PUBLISHED
from graphc.bench.options import Options, counted
from graphc.bench.pictures import draw_maps
from graphc.bench.record import write_csv, write_json
from graphc.bench.statistics import Spread, spread
from graphc.ir import Tensor
from graphc.runtime import Outcome, Run, Sweep
from graphc.state import Parameter, State
from graphc.types import Array

__all__ = ["CANDIDATES", "Candidate", "run"]

FOLDS = 5
"""Parts of a training set, each held out once, in a choice."""

TUNING = 50_000
"""From this number on, runs are those of the choice, with other initial values than those that are reported."""

MAPS = 3
"""Runs whose networks are drawn."""


@dataclass(frozen=True)
class Candidate:
    """A network of logits, binary cross-entropy, AdamW from `lr` down half a cosine to 0, and how many of them vote.

    The network sees (points - 1/2) · `input_scale`, and its output is multiplied by `output_scale`.
    """

    name: str
    widths: tuple[int, ...]
    activation: str
    lr: float
    batch_size: int
    epochs: int
    input_scale: float = 1.0
    output_scale: float = 1.0
    weight_decay: float = 0.0
    members: int = 1

    def setting(self) -> Setting:
        return Setting(
            self.name,
            partial(_Scaled, self),
            nn.BCEWithLogitsLoss(),
            self._optimizer,
            self.batch_size,
            self.epochs,
            score=Tensor.sigmoid,
        )

    def _optimizer(self, parameters: Iterable[Parameter]) -> optim.Optimizer:
        # The number of steps depends on the number of points: each run sets its own.
        return optim.AdamW(parameters, lr=optim.Cosine(self.lr, steps=1), weight_decay=self.weight_decay)

    def steps(self, count: int) -> int:
        """Of a training run on `count` points."""
        return self.epochs * -(-count // self.batch_size)


class _Scaled(nn.Module):
    """The network of a Candidate."""

    def __init__(self, candidate: Candidate) -> None:
        super().__init__()
        self.candidate = candidate
        self.layers = layers(candidate.widths, (candidate.activation,) * (len(candidate.widths) - 2))

    def forward(self, points: Tensor) -> Tensor:
        logits: Tensor = self.layers((points - 0.5) * self.candidate.input_scale)
        return logits * self.candidate.output_scale


CANDIDATES = (
    Candidate("tanh", (2, 25, 25, 25, 1), "tanh", 0.01, 25, 1000),
    Candidate("relu", (2, 25, 25, 25, 1), "relu", 0.01, 25, 1000),
    Candidate("gelu", (2, 25, 25, 1), "gelu", 0.01, 25, 1000),
    Candidate("gelu, steep", (2, 25, 25, 1), "gelu", 0.01, 25, 1000, output_scale=100.0, weight_decay=0.03),
    Candidate("gelu, deep", (2, 25, 25, 25, 1), "gelu", 0.01, 25, 1000, output_scale=1000.0, weight_decay=0.05),
    Candidate("gelu, ensemble", (2, 25, 25, 1), "gelu", 0.01, 25, 1000, members=3),
    Candidate("softplus, steep", (2, 16, 1), "softplus", 0.02, 50, 2000, input_scale=0.5, output_scale=300.0),
    Candidate("square", (2, 16, 1), "square", 0.02, 100, 4000, input_scale=3.5),
    Candidate("square, decay", (2, 16, 1), "square", 0.02, 100, 4000, input_scale=3.5, weight_decay=0.01),
)


@dataclass(frozen=True)
class Job:
    """An ensemble to train on `train`, and to ask about `judged`. `number` tells its seeds from those of others."""

    programs: Programs
    candidate: Candidate
    train: Samples
    judged: Samples
    number: int


def runs_of(job: Job, options: Options) -> list[Run]:
    """One for each member."""
    candidate = job.candidate
    return [
        Run(
            job.programs.train,
            *job.programs.data(job.train),
            batch_size=candidate.batch_size,
            epochs=candidate.epochs,
            seed=seed_of(options.seed, job.number, member),
            hyper={"decay_steps": candidate.steps(len(job.train))},
        )
        for member in range(candidate.members)
    ]


def ensembles(jobs: Sequence[Job], options: Options) -> list[Array]:
    """The scores, [members, n], that the members of each job's ensemble give to the n points that are judged."""
    described = {each: job for job in jobs for each in runs_of(job, options)}

    def judge(outcome: Outcome) -> Array:
        job = described[outcome.run]
        scores: Array = job.programs.predict(job.judged.points, state=outcome.state)
        return scores.flatten()

    scores = iter(Sweep(described, keep=judge).fit(workers=options.workers))
    return [torch.stack([next(scores) for _ in range(job.candidate.members)]) for job in jobs]


def error(scores: Array, judged: Samples) -> float:
    """The part of the points that an ensemble with these scores, [members, n], misclassifies."""
    return ((scores.mean(dim=0) > 0.5) != (judged.labels.flatten() > 0.5)).double().mean().item()


@dataclass(frozen=True)
class Result:
    """What an ensemble reached on the test points of a run.

    `alone` is the mean error of its members, whose seeds count up from `seed`.
    """

    candidate: str
    run: int
    seed: int
    members: int
    test_error: float
    alone: float


@dataclass(frozen=True)
class _Tuned:
    """The error of a candidate on held-out points, of so many data sets."""

    candidate: str
    error: float
    standard_error: float
    sets: int


def choose(candidates: Mapping[Candidate, Programs], sets: int, options: Options) -> dict[Candidate, Spread]:
    """Errors of all candidates on held-out parts of `sets` data sets, which are none of those that are reported."""
    jobs = [
        Job(programs, candidate, *samples(options.seed, number, TUNE).fold(fold, FOLDS), TUNING + number * FOLDS + fold)
        for candidate, programs in candidates.items()
        for number in range(sets)
        for fold in range(FOLDS)
    ]
    errors = iter([error(scores, job.judged) for job, scores in zip(jobs, ensembles(jobs, options))])
    return {
        candidate: spread([fmean(next(errors) for _ in range(FOLDS)) for _ in range(sets)]) for candidate in candidates
    }


def run(options: Options, names: Sequence[str], sets: int) -> None:
    """The study: choose, train, print, write, draw."""
    start = time.perf_counter()
    candidates = {each: Programs(each.setting(), options.backend) for each in CANDIDATES if each.name in names}
    prepare(candidates.values(), ("train", "predict"))
    compiled = time.perf_counter()
    options.say(
        f"{len(candidates)} candidates, all with cross-entropy of logits, AdamW and a cosine rate; chosen by "
        f"{FOLDS}-fold cross-validation on {counted(sets, 'set')} of {COUNT:,} points, which are not among those below."
    )
    tuned = choose(candidates, sets, options)
    chosen_after = time.perf_counter()
    ranked = sorted(tuned, key=lambda candidate: tuned[candidate].mean)
    _print_choice(options, ranked, tuned)
    path = options.out / "best-choice.csv"
    write_csv(path, [_Tuned(each.name, tuned[each].mean, tuned[each].error, sets) for each in ranked])
    options.say(f"{path}: all candidates")
    best, programs = ranked[0], candidates[ranked[0]]
    options.say(
        f"Chosen in {chosen_after - compiled:.1f} s, after {compiled - start:.1f} s of compiling: {best.name}. Now "
        f"{options.times} of it, each on {COUNT:,} points of its own, tested on {COUNT:,} others."
    )
    results = _test(best, programs, options)
    seconds = time.perf_counter() - chosen_after
    _print_results(options, best, results)
    options.say(f"{counted(options.runs * best.members, 'network')} trained in {seconds:.1f} s.")
    path = options.out / "best.csv"
    write_csv(path, results)
    options.say(f"{path}: every run")
    path = options.out / "best.json"
    described = programs.describe()
    described["hyper_parameters"]["decay_steps"] = best.steps(COUNT)  # which each run sets
    write_json(
        path,
        {
            "runs": options.runs,
            "seed": options.seed,
            "seconds": {"choice": chosen_after - compiled, "runs": seconds},
            "cross_validation": [
                {"candidate": asdict(each), "folds": FOLDS, "sets": sets, **asdict(tuned[each])} for each in ranked
            ],
            "chosen": best.name,
            "summary": {
                "test_error": asdict(spread([result.test_error for result in results])),
                "alone": asdict(spread([result.alone for result in results])),
            },
            "setting": described,
        },
    )
    options.say(f"{path}: choice and means, and all that is needed to do it again")
    if options.pictures:
        _draw(options, best, programs)


def _test(best: Candidate, programs: Programs, options: Options) -> list[Result]:
    jobs = [
        Job(programs, best, samples(options.seed, number, TRAIN), samples(options.seed, number, TEST), number)
        for number in range(options.runs)
    ]
    return [
        Result(
            best.name,
            job.number,
            seed_of(options.seed, job.number),
            best.members,
            error(scores, job.judged),
            fmean(error(member[None], job.judged) for member in scores),
        )
        for job, scores in zip(jobs, ensembles(jobs, options))
    ]


def _print_choice(options: Options, ranked: Sequence[Candidate], tuned: Mapping[Candidate, Spread]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column("candidate", no_wrap=True)
    for heading in ("layers", "lr", "decay", "batch", "epochs", "members", "held-out error, %"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in ranked:
        errors = tuned[each]
        table.add_row(
            each.name,
            "-".join(map(str, each.widths)),
            f"{each.lr:g}",
            f"{each.weight_decay:g}",
            str(each.batch_size),
            f"{each.epochs:,}",
            str(each.members),
            f"{100 * errors.mean:.3f}" + (f" ± {100 * errors.error:.3f}" if errors.runs > 1 else ""),
        )
    options.show(table)
    options.say("Held-out errors: mean ± its standard error.")


def _print_results(options: Options, best: Candidate, results: Sequence[Result]) -> None:
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1))
    table.add_column("test error, %", no_wrap=True)
    for heading in ("mean ± std over runs", "standard error"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [
        (f"{best.name}, ensemble of {best.members}" if best.members > 1 else best.name, [r.test_error for r in results])
    ]
    if best.members > 1:
        rows.append(("its members alone", [result.alone for result in results]))
    for name, values in rows:
        found = spread([100 * value for value in values])
        table.add_row(name, f"{found:.3f}", f"{found.error:.3f}" if found.runs > 1 else "", style="bold")
    for name, row in sorted(PUBLISHED.items(), key=lambda item: item[1].test):
        mean, std = row.test
        table.add_row(f"published, {name}", f"{100 * mean:.2f} ± {100 * std:.2f}", "")
    mean, std = 100 - (PUBLISHED_MEAN.low + PUBLISHED_MEAN.high) / 2, (PUBLISHED_STD.low + PUBLISHED_STD.high) / 2
    table.add_row("published, minitorch", f"{mean:.2f} ± {std:.2f}", "")
    options.show(table)


def _draw(options: Options, best: Candidate, programs: Programs) -> None:
    """Maps of the first runs: what the ensemble says of every point."""
    maps: list[tuple[str, Callable[[Array], Array], Samples]] = []
    for number in range(min(options.runs, MAPS)):
        states = _states(best, programs, number, options)
        scores = partial(_vote, programs, states)
        maps.append((f"run {number}", scores, samples(options.seed, number, TEST)))
    path = options.out / "best-maps.png"
    draw_maps(maps, path)
    options.say(f"{path}: what the networks of runs 0 to {len(maps) - 1} say of every point, and the wrong test points")


def _states(best: Candidate, programs: Programs, number: int, options: Options) -> list[State]:
    train = samples(options.seed, number, TRAIN)
    job = Job(programs, best, train, train, number)
    return [outcome.state for outcome in Sweep(runs_of(job, options)).fit(workers=options.workers)]


def _vote(programs: Programs, states: Sequence[State], points: Array) -> Array:
    return torch.stack([programs.predict(points, state=state) for state in states]).mean(dim=0)
