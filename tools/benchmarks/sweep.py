"""`fit` over sizes of networks, as a fraction of what the processor could do: where it is far from its limit.

The limit counts the operations of the matrix products only: 4·b·i·o for the first layer of a step, whose input needs
no gradient, and 6·b·i·o for others. Run as a program, which prints JSON.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch

import graphc
from graphc import nn, optim
from tools.benchmarks.networks import ACTIVATIONS
from tools.benchmarks.reference_steps import compiled
from tools.benchmarks.worker import pin

WIDTHS = (17, 25, 33, 64, 100)
BATCHES = (1, 10, 25, 64, 500)
DEPTHS = (1, 2, 3, 4)
NAMES = ("tanh", "relu", "sigmoid")
OPTIMISERS = ("SGD", "Adam")
SAMPLES = 1000


@dataclass(frozen=True)
class Case:
    """`depth` layers of `width` × `width`, each with the activation; MSE."""

    width: int
    depth: int
    activation: str
    optimiser: str
    batch: int

    @property
    def operations(self) -> int:
        return (6 * self.depth - 2) * self.batch * self.width**2


def sweep(seconds: float, threads: int, every: int) -> dict[str, object]:
    """The peak of one thread, in operations a second, and each case with its time and fraction of `threads` peaks."""
    torch.set_num_threads(threads)
    measure_peak, found, peak = _peak(), [], 0.0
    for setting in list(itertools.product(WIDTHS, DEPTHS, NAMES, OPTIMISERS))[::every]:
        peak = max(peak, measure_peak())  # again and again: what the processor can do changes with what others do
        found += list(_times(setting, seconds, threads))
    for row in found:
        row["fraction"] = row["operations"] / (row["step_us"] * 1e-6) / (peak * threads)
    return {"peak_gflops": peak / 1e9, "threads": threads, "cases": found}


def _peak() -> Callable[[], float]:
    library = compiled("peak.c")
    library.multiply_adds.restype = ctypes.c_double

    def measure() -> float:
        start = time.perf_counter()
        operations = library.multiply_adds(ctypes.c_long(300_000))
        return operations / (time.perf_counter() - start)

    return measure


def _times(setting: tuple[int, int, str, str], seconds: float, threads: int) -> Iterator[dict[str, object]]:
    width, depth, activation, optimiser = setting
    layers = [each for _ in range(depth) for each in (nn.Linear(width, width), getattr(nn, ACTIVATIONS[activation])())]
    net = nn.Sequential(*layers)
    x, y = graphc.placeholder("x", ("batch", width)), graphc.placeholder("y", ("batch", width))
    loss = nn.MSELoss()(net(x), y)
    updates = getattr(optim, optimiser)(net.parameters(), lr=1e-3).minimize(loss)
    program = graphc.compile([x, y], loss, updates, backend="c", threads=threads)
    for batch in BATCHES:
        case = Case(width, depth, activation, optimiser, batch)
        steps = SAMPLES // batch
        data = [torch.rand(steps * batch, width) for _ in range(2)]

        def run(
            epochs: int, data: list[torch.Tensor] = data, batch: int = batch, program: graphc.Program = program
        ) -> float:
            start = time.perf_counter()
            program.fit(*data, batch_size=batch, epochs=epochs, shuffle=False, progress=False)
            return time.perf_counter() - start

        run(1)
        epochs = max(1, round(seconds / 3 / run(1)))
        best = min(run(epochs) for _ in range(3)) / epochs / steps
        yield {**asdict(case), "operations": case.operations, "step_us": best * 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", type=float, help="for which each size is timed")
    parser.add_argument("threads", type=int)
    parser.add_argument("every", type=int, help="1 for all programs, 2 for every second one, …")
    args = parser.parse_args()
    pin(args.threads)
    print(json.dumps(sweep(args.seconds, args.threads, args.every)))


if __name__ == "__main__":
    main()
