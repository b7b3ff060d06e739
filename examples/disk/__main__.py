"""Trains the networks of the disk and draws them: python -m examples.disk"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from examples.disk.networks import WeightSharing
from examples.disk.pictures import draw_curves, draw_maps
from examples.disk.training import BATCH_SIZE, COUNT, RUNS, Result, train
from graphc.viz import draw

NOTE = (
    "Errors are fractions of points misclassified. Each line is one run with one seed, not an average. A loss compares "
    "only with itself: each run has its own. Seconds are those of the training steps, without the measurements after "
    "each epoch. The networks and most settings come from two student reports (see networks.py), which do not state "
    "everything: of the first, the batch size and the layers of the sharing network are our choice, and L1 is our "
    "addition; the second trains its network, with two outputs, for 4,000 epochs. What the reports published takes "
    "many runs of each: see graphc-bench disk, and docs/disk.md."
)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"{COUNT:,} points to train on and {COUNT:,} to test on, in batches of {BATCH_SIZE}; seed {options.seed}")
    results = []
    for run in RUNS:
        print(f"Training {run.name}: {options.epochs * run.slowness:,} epochs", flush=True)
        results.append(train(run, options.epochs, options.seed, options.backend))
    console = Console(highlight=False)
    console.print(_table(results))
    console.print(NOTE)

    print("\nDrawing", flush=True)
    maps, error, loss, graph = (options.out / name for name in ("maps.png", "error.png", "loss.png", "sharing.png"))
    draw_maps(results, maps)
    print(f"{maps}: what each network says of every point, and the test points that it misclassifies")
    draw_curves(results, "error", error)
    print(f"{error}: the error after each epoch (pale), and its running median")
    draw_curves(results, "loss", loss)
    print(f"{loss}: the loss after each epoch (pale), and its running median")
    draw(next(result.output for result in results if result.run.network is WeightSharing), graph)
    print(f"{graph}: the graph of the network that shares weights")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.disk", description="Train networks on the disk.")
    parser.add_argument("--epochs", type=int, default=250, help="passes over the training points (default: 250)")
    parser.add_argument("--seed", type=int, default=0, help="of points, initial values and their order (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures (default: out)")
    parser.add_argument("--backend", default="auto", help="as in graphc.compile (default: auto, the fastest)")
    options = parser.parse_args(arguments)
    if options.epochs < 1 or options.seed < 0:
        parser.error("--epochs is at least 1, and --seed at least 0")
    return options


def _table(results: Sequence[Result]) -> Table:
    table = Table("run", box=SIMPLE, title=f"The disk, on the {results[0].predict.backend} backend")
    for heading in ("epochs", "train\nerror", "test\nerror", "test\nloss", "seconds", "µs per\nstep"):
        table.add_column(heading, justify="right")
    for result in results:
        last = {name: values[-1] for name, values in result.curves.items()}
        table.add_row(
            result.run.name,
            f"{len(result.curves['test_error']):,}",
            f"{last['train_error']:.1%}",
            f"{last['test_error']:.1%}",
            f"{last['test_loss']:.4f}",
            f"{result.seconds:.3f}",
            f"{result.seconds / result.steps * 1e6:.1f}",
        )
    return table


if __name__ == "__main__":
    main()
