"""No native memory error: random programs whose memory ends where their values end, watched in two ways.

A case is a process of its own, which takes some random graphs and networks in turn: see `confined`. The first proof
runs code that was compiled for AddressSanitizer and UBSan, unoptimised since that takes half the time; the second one
runs code as users do, with each value before a page that nobody may touch, and again with each behind one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphc.backends.c.compiler import need_compiler
from tools.proving.proof import Proof

__all__ = ["PROOFS", "confined", "sanitized"]

GRAPHS = 10
"""Graphs of a case: a process takes about as long to start as one of them."""
ROOT = Path(__file__).resolve().parents[2]
SANITIZERS = (
    "-fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=address,undefined,float-cast-overflow"
)


def library(compiler: str, name: str) -> str | None:
    """The path of a sanitizer's library, which a process that was built without it has to load first."""
    found = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True)
    path = found.stdout.strip()
    return path if os.path.isabs(path) else None


def sanitized(compiler: str, optimise: str = "-O0") -> dict[str, str]:
    """Settings under which a process has its native code watched. Raises AssertionError where they do not exist."""
    libraries = [library(compiler, name) for name in ("libasan.so", "libubsan.so")]
    if None in libraries:
        raise AssertionError(f"{compiler} has no AddressSanitizer and UBSan: install gcc with its sanitizers")
    return {
        "CC": compiler,
        "GRAPHC_CFLAGS": f"{SANITIZERS} {optimise}",
        "ASAN_OPTIONS": "detect_leaks=0",
        "LD_PRELOAD": " ".join(filter(None, libraries)),
    }


def confined(
    ways: Sequence[str], seeds: Sequence[int], more: Mapping[str, str], planted: str = "none"
) -> subprocess.CompletedProcess[str]:
    """Run graphs in a process with settings of its own, and a compile cache that goes with it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tools.proving.confined", "--ways", *ways, "--planted", planted, "--seeds"]
        return subprocess.run(
            [*command, *map(str, seeds)],
            cwd=ROOT,
            env={**os.environ, "GRAPHC_CACHE_DIR": os.path.join(folder, "cache"), **more},
            capture_output=True,
            text=True,
            check=False,
        )


def judged(result: subprocess.CompletedProcess[str]) -> Mapping[str, int]:
    """What the process counted. Raises AssertionError if it was ended, or found something."""
    *_, last = result.stdout.splitlines() or [""]
    if result.returncode or not last.startswith("done "):
        raise AssertionError(f"the process ended with {result.returncode} in {last}\n{result.stderr[-4000:]}")
    return {"graphs": GRAPHS, "calls": int(last.split()[1])}


def sanitizers(seed: int) -> Mapping[str, int]:
    seeds = range(seed * GRAPHS, (seed + 1) * GRAPHS)
    return judged(confined(["sanitize"], seeds, sanitized(need_compiler().command[0])))


def guard_pages(seed: int) -> Mapping[str, int]:
    seeds = range(seed * GRAPHS, (seed + 1) * GRAPHS)
    return judged(confined(["end", "start"], seeds, {}))


PROOFS = (
    Proof("sanitizers", 6, "groups of ten graphs", full=30, quick=0, case=sanitizers, limit=900.0),
    Proof("guard-pages", 6, "groups of ten graphs", full=40, quick=0, case=guard_pages, limit=300.0),
)
