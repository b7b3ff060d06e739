"""Processes share the cache safely: 32 at once want the same programs, while some of them are killed.

A case forks 32 children of a process that has torch loaded and has started no threads. Each loads three programs in an
order of its own and calls them; some evict, clear or damage entries in between; a third are killed (SIGKILL) at random
moments, most of them within a compilation. Those that were not killed must end well, with right answers. Afterwards all
three programs load, and a minute later, which is brought about by setting the times of files back, nothing is left of
the killed ones: no workspace and no lock.
"""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections.abc import Mapping
from pathlib import Path

from graphc.backends.c import build, cache
from tools.proving.cache_damage import own_cache
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

CHILDREN = 32
KILLED = 11
SECONDS = 60.0
SOURCES = [
    "\n".join(
        [f"int answer(void) {{ return {k}; }}", *(f"int f{i}(int x) {{ return x / {i + 1}; }}" for i in range(80))]
    )
    for k in (42, 43, 44)
]


def share(seed: int) -> Mapping[str, int]:
    """One case."""
    rng = random.Random(seed)
    with own_cache() as folder:
        children = [_forked(rng.getrandbits(30), Path(f"{folder}-log-{k}")) for k in range(CHILDREN)]
        doomed = dict.fromkeys(rng.sample(children, KILLED))
        for child in doomed:
            time.sleep(rng.expovariate(40))
            os.kill(child, signal.SIGKILL)
        statuses = _ended(children)
        logs = [Path(f"{folder}-log-{k}") for k in range(CHILDREN)]
        wrong = [
            f"child {k} ended with {os.waitstatus_to_exitcode(statuses[child])}: {log.read_text()}"
            for k, (child, log) in enumerate(zip(children, logs))
            if statuses[child] != 0 and not (child in doomed and statuses[child] == signal.SIGKILL)
        ]
        assert not wrong, "\n".join(wrong)
        for k, source in enumerate(SOURCES):
            assert build.load(source, "p")["answer"]() == 42 + k, "the cache has wrong code"
        _nothing_left(folder)
    return {"processes": CHILDREN, "killed": sum(status == signal.SIGKILL for status in statuses.values())}


def _forked(seed: int, log: Path) -> int:
    """A child at work, which writes what goes wrong into `log`."""
    log.touch()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        _work(random.Random(seed))
        status = 0
    except BaseException:
        log.write_text(traceback.format_exc())
    finally:
        os._exit(status)


def _work(rng: random.Random) -> None:
    for _ in range(2):
        for k in rng.sample(range(len(SOURCES)), len(SOURCES)):
            answer = build.load(SOURCES[k], f"p{k}")["answer"]()
            assert answer == 42 + k, f"program {k} answers {answer}"
            chance = rng.random()
            if chance < 0.02:
                cache.clear()
            elif chance < 0.04:
                cache.evict(cache.folder(), max_entries=1)
            elif chance < 0.06:
                _cut(rng)
        build._loaded.clear()


def _cut(rng: random.Random) -> None:
    libraries = sorted(cache.folder().glob("*.so"))
    try:
        path = rng.choice(libraries)
        os.truncate(path, rng.randrange(path.stat().st_size))
    except (IndexError, FileNotFoundError):  # there is none, or not any more
        return


def _ended(children: list[int]) -> dict[int, int]:
    """How each ended, all of them within the time."""
    statuses: dict[int, int] = {}
    end = time.monotonic() + SECONDS
    try:
        while len(statuses) < len(children):
            for child in children:
                if child not in statuses and (done := os.waitpid(child, os.WNOHANG))[0]:
                    statuses[child] = done[1]
            assert time.monotonic() < end, f"{len(children) - len(statuses)} processes hang"
            time.sleep(0.005)
    finally:
        for child in children:
            if child not in statuses:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    return statuses


def _nothing_left(folder: Path) -> None:
    """A minute later: no workspace, no lock. Compilers of killed processes may still run for a moment."""
    end = time.monotonic() + SECONDS / 2
    while True:
        for path in folder.iterdir():
            if path.name.startswith("compiling-") or path.suffix == ".lock":
                os.utime(path, (time.time() - 2 * cache.ABANDONED,) * 2)
        cache.evict(folder)
        left = {path.name for path in folder.iterdir() if path.suffix not in (".c", ".so", ".sha256", ".note")}
        if not left:
            return
        assert time.monotonic() < end, f"left behind: {sorted(left)}"
        time.sleep(0.05)


PROOFS = (
    Proof(
        "cache-sharing", promise=13, unit="rounds of 32 processes", full=20, quick=1, case=share, alone=True, limit=180
    ),
)
