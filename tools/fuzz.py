"""Random graphs, compiled in many ways, against eager torch and torch.autograd.

    python tools/fuzz.py --count 200               # two hundred graphs, small ones first
    python tools/fuzz.py --minutes 10 --jobs 4     # until the time is up
    python tools/fuzz.py --seed 417 --size 12      # one graph again, as a failure was reported
    python tools/fuzz.py --native 1                # generated C for each graph, not for every fourth

Every graph is compared with `Op.eval` node by node (values, updates, gradients), with each pass and pattern switched
off, with buffers reused and not, poisoned and not; every fourth as generated C, too, which takes the C compiler as long
as all the rest. The first failure is printed whole, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.fuzzing.cases import build
from tools.fuzzing.trial import Trial

__all__ = ["Outcome", "cases", "fuzz", "main"]


@dataclass(frozen=True)
class Outcome:
    """What became of one case. `report` is empty when all is well; `firm` of `elements` were held to four digits."""

    seed: int
    size: int
    nodes: int = 0
    elements: int = 0
    firm: int = 0
    report: str = ""


def fuzz(seed: int, size: int, native: bool = False) -> Outcome:
    """Build and try one case, with `native` as generated C, too."""
    os.environ["GRAPHC_VERIFY"] = "1"
    torch.set_num_threads(1)  # cases are small, and there may be a process for each core
    trial: Trial | None = None
    try:
        trial = Trial(build(seed, size), native)
        trial.run()
    except Exception as error:  # whatever goes wrong is what the fuzzer looks for
        return Outcome(seed, size, report=_report(seed, size, trial, error))
    return Outcome(seed, size, len(trial.graph.nodes), trial.elements, trial.firm)


NATIVE = 4
"""One graph in so many becomes generated C."""


def _report(seed: int, size: int, trial: Trial | None, error: Exception) -> str:
    what = "building the graph" if trial is None else trial.what
    parts = [f"FAILED: {what}", "".join(traceback.format_exception(error)).rstrip()]
    if trial is not None:
        parts.append(str(trial.graph))
        parts.append(trial.source)
        parts.append(f"sizes that were tried: {[dict(binding) for binding in trial.case.bindings]}")
    parts.append(f"again: python tools/fuzz.py --seed {seed} --size {size}")
    return "\n\n".join(part for part in parts if part)


def _size(position: int) -> int:
    """Small graphs first, so that early failures are small; then all sizes over again."""
    return 1 + position // 8 % 30


def cases(
    seed: int, count: int | None = None, until: float = float("inf"), native: int = NATIVE
) -> Iterator[tuple[int, int, bool]]:
    """Seeds, sizes and whether C is generated: so many, or until a time of the monotonic clock."""
    position = 0
    while (count is None or position < count) and time.monotonic() < until:
        yield seed + position, _size(position), native > 0 and position % native == 0
        position += 1


def _outcomes(chosen: Iterator[tuple[int, int, bool]], jobs: int) -> Iterator[Outcome]:
    if jobs == 1:
        for case in chosen:
            yield fuzz(*case)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        while batch := list(itertools.islice(chosen, 40 * jobs)):
            yield from pool.starmap(fuzz, batch, chunksize=5)


def main() -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="how many graphs (default 200)")
    parser.add_argument("--minutes", type=float, help="go on until the time is up, instead of a count")
    parser.add_argument("--seed", type=int, default=0, help="of the first graph; the others count on from it")
    parser.add_argument("--size", type=int, help="try the one graph of this seed and size")
    parser.add_argument("--native", type=int, default=NATIVE, help="generate C for one graph in so many; 0 for none")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="report further failures in a line each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="graphc-fuzz-") as folder:
        os.environ["GRAPHC_CACHE_DIR"] = folder  # what is compiled here is never needed again
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    start = time.monotonic()
    if options.size is not None:
        chosen = iter([(options.seed, options.size, True)])
    else:
        until = start + 60 * options.minutes if options.minutes is not None else float("inf")
        count = options.count if options.minutes is not None or options.count is not None else 200
        chosen = cases(options.seed, count, until, options.native)
    done = nodes = elements = firm = failures = 0
    for outcome in _outcomes(chosen, options.jobs):
        done += 1
        nodes, elements, firm = nodes + outcome.nodes, elements + outcome.elements, firm + outcome.firm
        if outcome.report:
            failures += 1
            print(outcome.report if failures == 1 else _summary(outcome), flush=True)
            if not options.keep_going:
                break
        if sys.stderr.isatty():
            print(f"\r{done} graphs, {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True)
    held = f"{firm / elements:.1%} of {elements} results held to four digits" if elements else "nothing compared"
    print(f"{done} graphs, {nodes} nodes, {failures} failures; {held}; {time.monotonic() - start:.0f} s")
    return 1 if failures else 0


def _summary(outcome: Outcome) -> str:
    lines = [line for line in outcome.report.splitlines() if line]
    error = next((line for line in lines[1:] if line[0].isalpha() and not line.startswith("Traceback")), "")
    return f"--seed {outcome.seed} --size {outcome.size}: {lines[0]}: {error}"


if __name__ == "__main__":
    sys.exit(main())
