"""A contender in a process of its own. Each line of standard input is a request, answered by a line of JSON:

    run EPOCHS      trains: seconds, and the mean loss of the last epoch
    peak            the largest resident set so far, in bytes

The first answer, which nothing asks for, is about the start. The process is pinned to as many processors as it
has threads, whatever pools its libraries start.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from typing import TextIO

from tools.benchmarks.workloads import WORKLOADS


def pin(threads: int) -> None:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def peak_bytes() -> int:
    """Not `ru_maxrss`, which also counts what the process was before it ran this program: a copy of its parent."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def serve(contender: str, workload: str, threads: int, requests: TextIO, answers: TextIO) -> None:
    def answer(**values: float) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    start = time.perf_counter()
    module, function = contender.split(":")
    build = getattr(importlib.import_module(module), function)
    imported, at_rest = time.perf_counter(), peak_bytes()
    epochs = build(WORKLOADS[workload], threads)
    losses = epochs(1)
    answer(
        import_s=imported - start,
        first_epoch_s=time.perf_counter() - imported,
        at_rest=at_rest,
        loss=sum(losses) / len(losses),
    )
    for line in requests:
        command, *arguments = line.split()
        if command == "peak":
            answer(peak=peak_bytes())
            continue
        start = time.perf_counter()
        losses = epochs(int(arguments[0]))
        answer(seconds=time.perf_counter() - start, loss=sum(losses) / len(losses))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contender", help="module:function that builds it")
    parser.add_argument("workload")
    parser.add_argument("threads", type=int)
    args = parser.parse_args()
    pin(args.threads)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    serve(args.contender, args.workload, args.threads, sys.stdin, answers)


if __name__ == "__main__":
    main()
