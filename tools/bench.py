"""Measure graphc against torch eager, side by side in one run; write the numbers as JSON.

    python tools/bench.py                    # all workloads, one thread
    python tools/bench.py --rounds 15 --only disk_sgd --json out/bench.json

Steps are timed in rounds: in each, every contender runs for a while, so that a slow moment of the machine hits all. A
figure is the median over rounds, a ratio the median of the rounds' ratios. Contenders start from the same weights; a
run fails when their losses differ. Compile and import times are measured in fresh processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import graphc
from graphc import nn, optim

Step = Callable[[], torch.Tensor]
TOLERANCE = 1e-4
"""Relative difference of losses (float32) after the same number of steps."""
CHECKED_STEPS = 40


@dataclass(frozen=True)
class Workload:
    """A training step: builds the same network for torch and graphc, which differ in the modules that they take."""

    name: str
    network: Callable[[object], object]
    loss: str
    optimiser: str
    options: dict[str, float]
    inputs: int
    outputs: int
    batch: int


def _layers(module: object, sizes: tuple[int, ...], activations: tuple[str | None, ...]) -> object:
    layers = []
    for size_in, size_out, activation in zip(sizes[:-1], sizes[1:], activations, strict=True):
        layers.append(module.Linear(size_in, size_out))
        if activation:
            layers.append(getattr(module, activation)())
    return module.Sequential(*layers)


def _sharing(module: object) -> object:
    class Sharing(module.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared = _layers(module, (2, 25, 25), ("ReLU", "ReLU"))
            self.head = _layers(module, (50, 25, 1), ("ReLU", "Sigmoid"))

        def forward(self, x: object) -> object:
            cat = torch.cat if module is torch.nn else graphc.cat
            return self.head(cat([self.shared(x[:, :2]), self.shared(x[:, 2:])], 1))

    return Sharing()


def _mlp(sizes: tuple[int, ...], activations: tuple[str | None, ...]) -> Callable[[object], object]:
    return lambda module: _layers(module, sizes, activations)


TANH = ("Tanh", "Tanh", "Tanh", None)
MIXED = ("Tanh", "ReLU", "ReLU", "Sigmoid")
WORKLOADS = (
    Workload("disk_sgd", _mlp((2, 25, 25, 25, 2), TANH), "MSELoss", "SGD", {"lr": 0.01}, 2, 2, 25),
    Workload("disk_adam", _mlp((2, 25, 25, 25, 1), MIXED), "BCELoss", "Adam", {"lr": 1e-3}, 2, 1, 25),
    Workload("sharing_adam", _sharing, "MSELoss", "Adam", {"lr": 1e-3}, 4, 1, 25),
    Workload(
        "wide_momentum",
        _mlp((1024, 2048, 2048, 1024), ("ReLU", "ReLU", None)),
        "MSELoss",
        "SGD",
        {"lr": 0.01, "momentum": 0.9},
        1024,
        1024,
        256,
    ),
)


def data(work: Workload) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(work.batch, work.inputs, generator=generator)
    return x, (torch.rand(work.batch, work.outputs, generator=generator) > 0.5).float()


def eager(work: Workload, weights: dict[str, torch.Tensor]) -> Step:
    net = work.network(torch.nn)
    net.load_state_dict(weights)
    optimiser = getattr(torch.optim, work.optimiser)(net.parameters(), **work.options)
    criterion = getattr(torch.nn, work.loss)()
    x, y = data(work)

    def step() -> torch.Tensor:
        optimiser.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimiser.step()
        return loss.detach()

    return step


def planned(work: Workload, weights: dict[str, torch.Tensor]) -> Step:
    program = program_of(work, weights)
    x, y = data(work)
    return lambda: program(x, y)


def program_of(work: Workload, weights: dict[str, torch.Tensor] | None = None) -> graphc.Program:
    net = work.network(nn)
    if weights is not None:
        net.load_state_dict(weights)
    points = graphc.placeholder("points", ("batch", work.inputs))
    labels = graphc.placeholder("labels", ("batch", work.outputs))
    loss = getattr(nn, work.loss)()(net(points), labels)
    updates = getattr(optim, work.optimiser)(net.parameters(), **work.options).minimize(loss)
    return graphc.compile([points, labels], loss, updates, backend="torch")


CONTENDERS = {"torch eager": eager, "graphc torch plan": planned}


def measure_steps(work: Workload, rounds: int) -> dict[str, object]:
    """Microseconds a step of each contender, and how many times faster than eager it is."""
    torch.manual_seed(0)
    weights = {key: value.clone() for key, value in work.network(torch.nn).state_dict().items()}
    steps = {name: build(work, weights) for name, build in CONTENDERS.items()}
    losses = {}
    for name, step in steps.items():
        for _ in range(CHECKED_STEPS):
            loss = step()
        losses[name] = loss.item()
    reference = losses["torch eager"]
    for name, value in losses.items():
        if abs(value - reference) > TOLERANCE * abs(reference):
            sys.exit(f"{work.name}: after {CHECKED_STEPS} steps the loss of {name} is {value}, of eager {reference}")
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(_microseconds(step))
    figures = {name: round(statistics.median(values), 2) for name, values in times.items()}
    ratios = {
        name: round(statistics.median(e / t for e, t in zip(times["torch eager"], values, strict=True)), 2)
        for name, values in times.items()
    }
    return {"us": figures, "times_faster_than_eager": ratios, "loss": losses}


def _microseconds(step: Step, seconds: float = 0.15) -> float:
    step()
    count, start = 0, time.perf_counter()
    while True:
        for _ in range(5):
            step()
        count += 5
        elapsed = time.perf_counter() - start
        if elapsed > seconds:
            return elapsed / count * 1e6


COLD_COMPILE = """
import time, torch, graphc
from tools.bench import WORKLOADS, program_of, data
work = next(w for w in WORKLOADS if w.name == {name!r})
start = time.perf_counter()
program = program_of(work)
declared = time.perf_counter()
program(*data(work))
print(sum(stage.seconds for stage in program.stages), declared - start, time.perf_counter() - start)
"""
IMPORT = "import time, torch; start = time.perf_counter(); import graphc; print(time.perf_counter() - start)"
CHAIN = """
import time, torch, graphc
def chain(nodes):
    x = graphc.placeholder("x", ("batch", 3))
    y = x
    while nodes > 0:
        y = (y * 1.01).tanh()
        nodes -= 2
    start = time.perf_counter()
    loss = y.sum()
    program = graphc.compile([x], [loss, graphc.grad(loss, x)], backend="torch")
    return time.perf_counter() - start
chain(100)
print(chain(1000), chain(10000))
"""


def _fresh(code: str, runs: int) -> list[list[float]]:
    """The numbers that `code` prints, from fresh processes."""
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its byte code, after the first run
    found = []
    for _ in range(runs + 1):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=root
        )
        found.append([float(number) for number in done.stdout.split()])
    return found[1:]


def _medians(rows: list[list[float]]) -> list[float]:
    return [statistics.median(column) for column in zip(*rows, strict=True)]


def measure_start(runs: int) -> dict[str, float]:
    """Seconds, each the median of fresh processes."""
    passes, declared, first = _medians(_fresh(COLD_COMPILE.format(name="disk_sgd"), runs))
    small, large = _medians(_fresh(CHAIN, max(1, runs // 2)))
    return {
        "import graphc after torch": _medians(_fresh(IMPORT, runs))[0],
        "cold compile of disk_sgd, passes and plan": passes,
        "cold, declaring the network and compiling": declared,
        "cold, until the first step is done": first,
        "gradient and compile, 1,000 nodes": small,
        "gradient and compile, 10,000 nodes": large,
        "10,000 nodes over 1,000 nodes": large / small,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=[work.name for work in WORKLOADS], help="workloads to run")
    parser.add_argument("--no-start", action="store_true", help="leave out compile and import times")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    console = Console()
    result: dict[str, object] = {"torch": torch.__version__, "threads": args.threads, "rounds": args.rounds}
    table = Table("workload", *[f"{name}, µs" for name in CONTENDERS], "times faster", title="One training step")
    for work in WORKLOADS:
        if args.only and work.name not in args.only:
            continue
        console.print(f"timing {work.name} …", style="dim")
        found = measure_steps(work, args.rounds)
        result[work.name] = found
        table.add_row(
            work.name,
            *[f"{value:.1f}" for value in found["us"].values()],
            f"{found['times_faster_than_eager']['graphc torch plan']:.2f}",
        )
    console.print(table)
    if not args.no_start:
        console.print("timing imports and compilation in fresh processes …", style="dim")
        start = measure_start(5)
        result["start"] = start
        table = Table("what", "median", title="Starting")
        for name, value in start.items():
            table.add_row(name, f"{value:.1f}×" if " over " in name else f"{value * 1e3:.0f} ms")
        console.print(table)
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
