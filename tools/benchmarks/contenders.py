"""Who takes part, and a handle on the process of each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tools.benchmarks.workloads import Workload

ROOT = Path(__file__).resolve().parents[2]
COMPILED_BY_HAND = ("disk_sgd", "disk_adam", "pointwise")


@dataclass(frozen=True)
class Contender:
    label: str
    build: str
    """`module:function`, in tools/benchmarks."""
    package: str
    is_peer: bool = False
    """It runs in the interpreter that `--peers-python` names, and a report does without it when it fails."""
    missing: str = "not installed"
    """What is said when `version` finds nothing."""

    def runs(self, work: Workload) -> bool:
        if self.package == "gcc":
            return work.name in COMPILED_BY_HAND
        # One step is an epoch there, and nothing is cut into batches: loops over epochs have nothing to add.
        if self.build.endswith(":fit_flushing"):
            return work.name in COMPILED_BY_HAND and not work.pointwise
        return not (work.pointwise and self.build.endswith((":fit", ":scan")))


CONTENDERS = {
    "eager": Contender("torch eager", "torch_steps:eager", "torch"),
    "compile": Contender("torch.compile, whole step", "torch_steps:compiled_step", "torch"),
    "compile_parts": Contender("torch.compile, fused optimiser", "torch_steps:compiled_parts", "torch"),
    "jax": Contender("JAX, a call a step", "jax_steps:calls", "jax", is_peer=True),
    "jax_scan": Contender("JAX, scan over an epoch", "jax_steps:scan", "jax", is_peer=True),
    "pytensor": Contender("PyTensor", "pytensor_steps:calls", "pytensor", is_peer=True),
    "plan": Contender("graphc torch plan", "graphc_steps:plan", "graphc"),
    "c": Contender("graphc C, a call a step", "graphc_steps:calls", "graphc"),
    "fit": Contender("graphc C, fit", "graphc_steps:fit", "graphc"),
    "fit_flushing": Contender("graphc C, fit, denormals flushed", "graphc_steps:fit_flushing", "graphc"),
    "reference": Contender("C by hand", "reference_steps:epochs", "gcc", missing="needs gcc and AVX-512"),
}
REFERENCE = "eager"
"""Ratios are to this one, and losses have to be equal to its."""


class WorkerError(Exception):
    """A contender that ended before its work did; the message is the end of what it wrote."""


class Worker:
    """A running contender. Everything that it could find compiled is a folder that is empty at the start."""

    def __init__(self, contender: Contender, work: Workload, threads: int, python: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="graphc-bench-")
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # closed in `close`
        self._process = subprocess.Popen(
            [python, "-m", "tools.benchmarks.worker", f"tools.benchmarks.{contender.build}", work.name, str(threads)],
            cwd=ROOT,
            env=environment(threads, Path(self._folder.name)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.start = self._answer()

    def run(self, epochs: int) -> dict[str, float]:
        return self._ask(f"run {epochs}")

    def peak(self) -> float:
        return self._ask("peak")["peak"]

    def _ask(self, request: str) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        message = self._errors.read()[-2000:].strip()
        self.close()
        raise WorkerError(message or f"ended with {self._process.returncode}")

    def close(self) -> None:
        with self._process:  # closes the pipes, which ends it, and waits
            pass
        self._errors.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def environment(threads: int, caches: Path) -> dict[str, str]:
    """Of a process that uses so many threads and keeps what it compiles in `caches`."""
    pools = ("OMP", "MKL", "OPENBLAS", "NUMBA")
    return {
        **os.environ,
        **{f"{pool}_NUM_THREADS": str(threads) for pool in pools},
        "GRAPHC_CACHE_DIR": str(caches / "graphc"),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
        "NUMBA_CACHE_DIR": str(caches / "numba"),
        "PYTENSOR_FLAGS": f"base_compiledir={caches / 'pytensor'},floatX=float32,warn_float64=ignore",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if threads == 1 else "",
    }


def version(contender: Contender, python: str) -> str | None:
    """Of the package that it needs, where that is installed."""
    if contender.package == "gcc":
        if "avx512f" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
            return None
        command = ["gcc", "-dumpfullversion"]
    else:
        code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
        command = [python, "-c", code, contender.package]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None


def interpreter(contender: Contender, peers_python: str | None) -> str:
    return peers_python if contender.is_peer and peers_python else sys.executable
