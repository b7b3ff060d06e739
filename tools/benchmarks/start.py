"""What comes before training, imports and compilation, in fresh processes. Run as a program, it is such a process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tools.benchmarks.contenders import ROOT, environment

NETWORKS = ("disk_sgd", "disk_adam", "sharing_adam")
IMPORT = "import time, torch; start = time.perf_counter(); import graphc; print(time.perf_counter() - start)"
OTHER_BATCHES = (1, 7, 10, 64, 500)
Figures = dict[str, float]


def measure_start(runs: int) -> dict[str, Figures]:
    """Medians in seconds; `import` has that of `import graphc` after torch."""
    found = {"import": {"graphc_after_torch_s": statistics.median(_imports(runs))}}
    for name in NETWORKS:
        cold, warm = [], []
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as caches:
                cold.append(_fresh(name, Path(caches)))
                warm.append(_fresh(name, Path(caches)))
        found[name] = {
            "cold_s": statistics.median(run["first_step_s"] for run in cold),
            "warm_s": statistics.median(run["first_step_s"] for run in warm),
            "torch_plan_s": statistics.median(run["torch_plan_s"] for run in cold),
            "libraries": max(run["libraries"] for run in cold),
            "libraries_after_other_batches": max(run["libraries_after_other_batches"] for run in cold),
        }
    with tempfile.TemporaryDirectory() as caches:
        found["chain"] = _fresh("chain", Path(caches))
    return found


def _imports(runs: int) -> list[float]:
    with tempfile.TemporaryDirectory() as caches:
        return [float(_output([sys.executable, "-c", IMPORT], Path(caches))) for _ in range(runs + 1)][1:]


def _fresh(what: str, caches: Path) -> Figures:
    return json.loads(_output([sys.executable, "-m", "tools.benchmarks.start", what, str(caches)], caches))


def _output(command: list[str], caches: Path) -> str:
    variables = environment(1, caches) | {"PYTHONPATH": str(ROOT)}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its byte code, after the first run
    return subprocess.run(command, capture_output=True, text=True, check=True, env=variables, cwd=ROOT).stdout


def _first_steps(name: str, caches: Path) -> Figures:
    """From the call of `graphc.compile` to the end of the first step, with declarations before it."""
    import graphc
    from tools.benchmarks.graphc_steps import declared
    from tools.benchmarks.networks import as_torch
    from tools.benchmarks.workloads import WORKLOADS

    def libraries() -> int:
        return len(list(caches.rglob("*.so")))

    work, taken = WORKLOADS[name], {}
    batch = [as_torch(array) for array in work.batches()[0]]
    for backend in ("torch", "c"):
        inputs, loss, updates = declared(work)
        start = time.perf_counter()
        program = graphc.compile(inputs, loss, updates, backend=backend)
        program(*batch)
        taken[backend] = time.perf_counter() - start
    before, data = libraries(), [as_torch(array) for array in work.data()]
    for size in OTHER_BATCHES:
        program(*(array[:size] for array in data))
        program.fit(*data, batch_size=size, epochs=1, progress=False)
    return {
        "first_step_s": taken["c"],
        "torch_plan_s": taken["torch"],
        "libraries": before,
        "libraries_after_other_batches": libraries(),
    }


def _chains() -> Figures:
    """Compiling takes time in proportion to the graph, however deep it is."""
    import graphc

    def seconds(nodes: int) -> float:
        x = graphc.placeholder("x", ("batch", 3))
        y = x
        for _ in range(nodes // 2):
            y = (y * 1.01).tanh()
        start = time.perf_counter()
        loss = y.sum()
        graphc.compile([x], [loss, graphc.grad(loss, x)], backend="torch")
        return time.perf_counter() - start

    seconds(100)
    return {"nodes_1000_s": seconds(1000), "nodes_10000_s": seconds(10000)}


if __name__ == "__main__":
    print(json.dumps(_chains() if sys.argv[1] == "chain" else _first_steps(sys.argv[1], Path(sys.argv[2]))))
