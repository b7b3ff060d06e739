"""Prove what graphc promises, at the figures of docs/promises.md.

    python tools/prove.py                       # everything, which takes some hours on two cores
    python tools/prove.py --list                # what there is
    python tools/prove.py graphs cache-damage   # some of it
    python tools/prove.py graphs --seed 417 --count 1    # one case again, as a failure was reported
    python tools/prove.py --minutes 2           # everything, for two minutes each at most; the next run goes on
    python tools/prove.py --record              # everything, and write the results into docs/promises.md

Cases run in processes of their own. A run that was stopped goes on where it was, unless graphc has changed since; what
is known so far is in out/prove/. The exit status is 1 if a promise was found broken.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.proving.journal import ROOT, Journal
from tools.proving.proof import Proof, proofs
from tools.proving.record import PAGE, Result, read, render, write
from tools.proving.workers import outcomes

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["main"]

SHOWN = 3
"""How many failures of a proof are shown whole; what follows has a line each."""


def main() -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to prove (default: everything)")
    parser.add_argument("--list", action="store_true", help="say what there is, and end")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the others count on from it")
    parser.add_argument("--count", type=int, help="how many cases of each (default: the full figure)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="go on to the next proof after so many")
    parser.add_argument("--record", action="store_true", help="write the results into docs/promises.md")
    options = parser.parse_args()
    known = proofs()
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"there is no proof called {unknown[0]!r}; there are {', '.join(known)}")
    if options.jobs < 1 or (options.count is not None and options.count < 1) or options.seed < 0:
        parser.error("--jobs and --count are positive, --seed is not negative")
    if options.record and (options.count is not None or options.seed):
        parser.error("--record is for the cases of the full figure, without --count and --seed")
    chosen = [known[name] for name in dict.fromkeys(options.names)] or list(known.values())
    if options.list:
        for proof in chosen:
            print(f"{proof.name:<20} promise {proof.promise:>2}   {proof.full:>6,} {proof.unit}")
        return 0
    with tempfile.TemporaryDirectory(prefix="graphc-prove-") as folder:
        os.environ["GRAPHC_CACHE_DIR"] = folder  # what is compiled here is never needed again
        return _run(chosen, options)


def _run(chosen: list[Proof], options: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    failed = []
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            for proof in chosen:
                result = _prove(proof, options, progress)
                if result.failures:
                    failed.append(proof.name)
                if options.record and result.count:
                    write({**read(), proof.name: result})
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here")
        return 130
    finally:
        if options.record:
            render(PAGE, proofs())
    if failed:
        print(f"broken: {', '.join(failed)}")
    return 1 if failed else 0


def _prove(proof: Proof, options: argparse.Namespace, progress: Progress) -> Result:
    count = options.count or proof.full
    journal = Journal.of(proof, options.seed, count, ROOT / "out" / "prove")
    left = journal.left(range(options.seed, options.seed + count))
    task = progress.add_task(proof.name, total=count, completed=count - len(left))
    begin = time.monotonic()
    start, end = begin - journal.wall, begin + 60 * options.minutes
    for outcome in outcomes(proof, left, 1 if proof.alone else options.jobs):
        journal.add(outcome, time.monotonic() - start)
        progress.advance(task)
        if outcome.failure:
            _show(proof, outcome.seed, outcome.failure, len(journal.failures))
        if time.monotonic() > end:
            break
    result = Result.of(journal, options.seed)
    progress.remove_task(task)
    print(result.line(proof), flush=True)
    return result


def _show(proof: Proof, seed: int, failure: str, number: int) -> None:
    text = failure if number <= SHOWN else failure.splitlines()[-1]
    again = f"python tools/prove.py {proof.name} --seed {seed} --count 1"
    print(f"{proof.name}, case {seed}: {text}\nagain: {again}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
