"""Cases in processes of their own: one that crashes or hangs is a case that failed, and no more."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait

from tools.proving.proof import Proof

__all__ = ["Outcome", "outcomes", "tried"]

START = 60.0
"""Seconds that a process may take to start."""

_SPAWN = multiprocessing.get_context("spawn")  # a fork of a process that has used threads may hang


@dataclass(frozen=True)
class Outcome:
    """What became of one case. `failure` is empty when all is well."""

    seed: int
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    failure: str = ""


def tried(proof: Proof, seed: int) -> Outcome:
    """One case, in this process."""
    start = time.perf_counter()
    counts, failure = Counter[str](), ""
    try:
        counts.update(proof.case(seed) or {})
    except Exception as error:  # whatever goes wrong is what a proof looks for
        failure = "".join(traceback.format_exception(error)).rstrip()
    return Outcome(seed, time.perf_counter() - start, dict(counts), failure)


def outcomes(proof: Proof, seeds: Sequence[int], jobs: int) -> Iterator[Outcome]:
    """Of each seed, as they come."""
    waiting = list(reversed(seeds))
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs:
                workers.append(_Worker(proof, waiting.pop()))
            soonest = min(worker.deadline for worker in workers) - time.monotonic()
            wait([worker.link for worker in workers], max(0.0, soonest))
            for worker in list(workers):
                outcome = worker.outcome()
                if outcome is None:
                    continue
                yield outcome
                if outcome.failure or not waiting:  # whatever went wrong may have harmed the process
                    worker.end()
                    workers.remove(worker)
                else:
                    worker.give(waiting.pop())
    finally:
        for worker in workers:
            worker.end()


class _Worker:
    """A process, and the case that it is trying."""

    def __init__(self, proof: Proof, seed: int) -> None:
        self.proof = proof
        self.link, theirs = _SPAWN.Pipe()
        self.process = _SPAWN.Process(target=_work, args=(proof, theirs), daemon=False)
        self.process.start()
        theirs.close()
        self.give(seed)
        self.deadline += START

    def give(self, seed: int) -> None:
        """The next case."""
        self.seed, self.since = seed, time.monotonic()
        self.deadline = self.since + self.proof.limit
        with contextlib.suppress(OSError):  # a process that has ended is noticed below
            self.link.send(seed)

    def outcome(self) -> Outcome | None:
        """Of the present case, if there is one by now."""
        seconds = time.monotonic() - self.since
        try:
            if self.link.poll():
                answer: Outcome | None = self.link.recv()
                if answer is None:  # the process has started, and begins with its case
                    self.deadline = time.monotonic() + self.proof.limit
                return answer
        except (EOFError, OSError):
            self.process.join(10)
            return Outcome(self.seed, seconds, failure=f"the process ended: {_ending(self.process.exitcode)}")
        if time.monotonic() > self.deadline:
            return Outcome(self.seed, seconds, failure=f"no end after {self.proof.limit:.0f} s")
        return None

    def end(self) -> None:
        """Also of whatever the case has started."""
        self.link.close()
        self.process.join(1.0)
        if self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()


def _ending(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"status {code}"


def _work(proof: Proof, link: Connection) -> None:
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)  # so that all that a case starts can be ended with it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    link.send(None)
    while True:
        try:
            seed = link.recv()
        except EOFError:
            return
        link.send(tried(proof, seed))
