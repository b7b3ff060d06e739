"""Plants compiler bugs in copies of graphc, one at a time, and shows which tests notice each of them.

    python tools/mutate.py                         # all of them
    python tools/mutate.py relu-loses-nan          # one, or several
    python tools/mutate.py --list                  # what there is, by room
    python tools/mutate.py --likely --jobs 2       # without the tests that take long; two at a time

A bug that nothing notices is a hole in the tests: the exit status is 1, and a test is missing.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.mutating.mutation import Mutation
from tools.mutating.mutations import MUTATIONS
from tools.mutating.trial import Verdict, checkout, tried

__all__ = ["main"]


def main() -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutations (default: all)")
    parser.add_argument("--list", action="store_true", help="say what there is, and try nothing")
    parser.add_argument("--likely", action="store_true", help="try the tests that probably notice, and no others")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    options = parser.parse_args()
    unknown = set(options.names) - {mutation.name for mutation in MUTATIONS}
    if unknown:
        parser.error(f"there is no mutation {', '.join(sorted(unknown))}; --list has them all")
    chosen = [mutation for mutation in MUTATIONS if not options.names or mutation.name in options.names]
    if options.list:
        _list(chosen)
        return 0
    with checkout() as snapshot, ThreadPoolExecutor(options.jobs) as pool:  # others may edit the files meanwhile
        verdicts = []
        for verdict in pool.map(lambda each: tried(each, only_likely=options.likely, source=snapshot), chosen):
            verdicts.append(verdict)
            print(f"{len(verdicts)}/{len(chosen)} {verdict}", flush=True)
    _show(verdicts)
    missed = [verdict for verdict in verdicts if not verdict.is_caught]
    print(f"{len(verdicts) - len(missed)} of {len(verdicts)} bugs are caught")
    for verdict in missed:
        print(verdict)
    return 1 if missed else 0


def _list(mutations: Sequence[Mutation]) -> None:
    for room, group in itertools.groupby(sorted(mutations, key=lambda each: each.room), lambda each: each.room):
        print(room)
        for mutation in group:
            print(f"  {mutation.name}: {mutation.kind}")


def _show(verdicts: Sequence[Verdict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("room", "bug", "caught by", "test", "s")
    for verdict in verdicts:
        mutation = verdict.mutation
        stage = verdict.stage or "nothing"
        table.add_row(mutation.room, mutation.name, stage, verdict.problem or verdict.by, f"{verdict.seconds:.0f}")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
