"""Random graphs, compiled in many ways, against eager torch and torch.autograd.

    python tools/fuzz.py --count 200               # two hundred graphs, small ones first
    python tools/fuzz.py --minutes 10 --jobs 4     # until the time is up
    python tools/fuzz.py --seed 417 --size 12      # one graph again, as a failure was reported
    python tools/fuzz.py --native 1                # generated C for each graph, not for every fourth
    python tools/fuzz.py --aspects held reuse      # some of what is tried, and more graphs in the time
    python tools/fuzz.py --coverage                # how many graphs have each op, by dtype of its operands

Every graph is compared with `Op.eval` node by node (values, updates, gradients) and with torch.autograd: on each
backend; with passes, rules and patterns switched off; with buffers reused and not, and poisoned; with outputs held.
Every fourth becomes generated C, too, which takes the C compiler as long as all the rest. The first failure is printed
whole, and then as a Python test of as few nodes as could be found in --shrink seconds; the exit status is 1.
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
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from graphc.ir import topological_order
from graphc.types import dtype_name
from tools.fuzzing.build import SAMPLES
from tools.fuzzing.cases import build
from tools.fuzzing.reproduce import printed
from tools.fuzzing.shrink import Failure, failure_of, shrink
from tools.fuzzing.trial import ASPECTS, Trial

__all__ = ["Outcome", "cases", "coverage", "fuzz", "main"]


@dataclass(frozen=True)
class Outcome:
    """What became of one case. `report` is empty when all is well; `firm` of `elements` were held to four digits."""

    seed: int
    size: int
    native: bool
    nodes: int = 0
    elements: int = 0
    firm: int = 0
    report: str = ""


def fuzz(
    seed: int, size: int, native: bool = False, aspects: Collection[str] = ASPECTS, seconds: float = 0.0
) -> Outcome:
    """Build and try one case, with `native` as generated C, too. A failure is made smaller for some seconds."""
    torch.set_num_threads(1)  # cases are small, and there may be a process for each core
    chosen = "" if set(aspects) == set(ASPECTS) else f" --aspects {' '.join(aspects)}"
    again = f"again: python tools/fuzz.py --seed {seed} --size {size}{chosen}{'' if native else ' --native 0'}"
    try:
        trial = Trial(build(seed, size), native, aspects)
    except Exception as error:  # whatever goes wrong is what the fuzzer looks for
        parts = ["FAILED: building the graph", "".join(traceback.format_exception(error)).rstrip(), again]
        return Outcome(seed, size, native, report="\n\n".join(parts))
    failure = failure_of(trial)
    if failure is None:
        return Outcome(seed, size, native, len(trial.graph.nodes), trial.elements, trial.firm)
    report = [_report(failure), again]
    if seconds > 0:
        smaller = shrink(failure, seconds)
        count = len(smaller.trial.graph.nodes)
        report.append(f"of {len(trial.graph.nodes)} nodes, {count} are left:")
        report.append(printed(smaller) or f"{_report(smaller)}\n\nno test of one call fails in this way")
    return Outcome(seed, size, native, report="\n\n".join(report))


NATIVE = 4
"""One graph in so many becomes generated C."""


def _report(failure: Failure) -> str:
    trial = failure.trial
    parts = [
        f"FAILED: {trial.what}",
        "".join(traceback.format_exception(failure.error)).rstrip(),
        str(trial.graph),
        trial.source,
        f"C compiler: {trial.environment}" if trial.native else "",
        f"sizes that were tried: {[dict(binding) for binding in trial.case.bindings]}",
    ]
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


def _outcomes(chosen: Iterator[tuple[int, int, bool]], aspects: Sequence[str], jobs: int) -> Iterator[Outcome]:
    attempt = partial(fuzz, aspects=aspects)
    if jobs == 1:
        for case in chosen:
            yield attempt(*case)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        while batch := list(itertools.islice(chosen, 40 * jobs)):
            yield from pool.starmap(attempt, batch, chunksize=5)


def main() -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="how many graphs (default 200)")
    parser.add_argument("--minutes", type=float, help="go on until the time is up, instead of a count")
    parser.add_argument("--seed", type=int, default=0, help="of the first graph; the others count on from it")
    parser.add_argument("--size", type=int, help="try the one graph of this seed and size")
    parser.add_argument("--native", type=int, default=NATIVE, help="generate C for one graph in so many; 0 for none")
    parser.add_argument("--aspects", nargs="+", choices=ASPECTS, default=ASPECTS, help="what to try (default: all)")
    parser.add_argument(
        "--shrink", type=float, default=30.0, help="seconds to make the first failure smaller; 0 not to"
    )
    parser.add_argument("--coverage", action="store_true", help="only count the ops of the graphs")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--keep-going", action="store_true", help="report further failures in a line each")
    options = parser.parse_args()
    if options.coverage:
        return _cover(options)
    with tempfile.TemporaryDirectory(prefix="graphc-fuzz-") as folder:
        os.environ["GRAPHC_CACHE_DIR"] = folder  # what is compiled here is never needed again
        return _run(options)


def _run(options: argparse.Namespace) -> int:
    start = time.monotonic()
    if options.size is not None:
        chosen = iter([(options.seed, options.size, options.native > 0)])
    else:
        until = start + 60 * options.minutes if options.minutes is not None else float("inf")
        count = options.count if options.minutes is not None or options.count is not None else 200
        chosen = cases(options.seed, count, until, options.native)
    done = nodes = elements = firm = failures = 0
    for outcome in _outcomes(chosen, options.aspects, options.jobs):
        done += 1
        nodes, elements, firm = nodes + outcome.nodes, elements + outcome.elements, firm + outcome.firm
        if outcome.report:
            failures += 1
            if failures == 1 and options.shrink > 0:
                print(
                    fuzz(outcome.seed, outcome.size, outcome.native, options.aspects, options.shrink).report, flush=True
                )
            else:
                print(outcome.report if failures == 1 else _summary(outcome), flush=True)
            if not options.keep_going:
                break
        if sys.stderr.isatty():
            print(f"\r{done} graphs, {time.monotonic() - start:.0f} s", end="", file=sys.stderr, flush=True)
    held = f"{firm / elements:.1%} of {elements} results held to four digits" if elements else "nothing compared"
    print(f"{done} graphs, {nodes} nodes, {failures} failures; {held}; {time.monotonic() - start:.0f} s")
    return 1 if failures else 0


def _cover(options: argparse.Namespace) -> int:
    """Print how often each op occurs with each dtype, of those that samples have. Fails when one does not at all."""
    counts = coverage(cases(options.seed, options.count or 2 * len(SAMPLES)))
    for (op, dtype), count in sorted(counts.items()):
        print(f"{count:>6}  {op} {dtype}")
    missing = [f"{op} {dtype}" for (op, dtype), count in counts.items() if not count]
    print(f"missing: {', '.join(missing)}" if missing else f"all {len(counts)} ops and dtypes of samples occur")
    return 1 if missing else 0


def coverage(chosen: Iterable[tuple[int, int, bool]]) -> dict[tuple[str, str], int]:
    """In how many graphs each op of OPS that has samples occurs, by its name and each dtype that samples have."""
    wanted = {(sample.op.name, dtype_name(arg.dtype)) for sample in SAMPLES for arg in sample.args}
    counts = dict.fromkeys(sorted(wanted), 0)
    for seed, size, _ in chosen:
        case = build(seed, size)
        nodes = topological_order(x.node for x in (*case.outputs.values(), *case.updates.values()))
        for key in {(node.op.name, dtype_name(x.type.dtype)) for node in nodes for x in node.inputs} & wanted:
            counts[key] += 1
    return counts


def _summary(outcome: Outcome) -> str:
    lines = [line for line in outcome.report.splitlines() if line]
    error = next((line for line in lines[1:] if line[0].isalpha() and not line.startswith("Traceback")), "")
    return f"--seed {outcome.seed} --size {outcome.size}: {lines[0]}: {error}"


if __name__ == "__main__":
    sys.exit(main())
