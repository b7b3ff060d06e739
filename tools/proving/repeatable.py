"""Repeatable: the same bits, sources and cache keys in every process.

A case is two processes that do the same work: random graphs, and training with shuffling and dropout, small and large,
on each backend and on one and two threads. What differs between them is all that may differ: PYTHONHASHSEED, where in
memory things lie (the loader's and the allocator's choice, and inputs that start at other addresses), what was
compiled before and in which order, whether the compile cache is warm, and the environment's size. Of each piece of
work they say a hash: of every stage as text, of outputs, of trained values, of the names of cache entries. The hashes
have to be equal.

Native code gives the same bits wherever an input starts. torch's products of matrices do so only for addresses that
agree modulo 16, which new memory does in every process; a slice lies as far into it everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

import graphc
from graphc import nn, optim
from graphc.dims import evaluate
from graphc.state import State
from tools.fuzzing.build import draw
from tools.fuzzing.cases import build
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
ROOT = Path(__file__).resolve().parents[2]
GRAPHS = 3
BACKENDS = ("c", "torch", "reference")


class _Hash:
    """Of texts and tensors, in order."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def add(self, *values: object) -> None:
        for value in values:
            if isinstance(value, torch.Tensor):
                self.digest.update(_bytes(value))
            self.digest.update(str(value.shape if isinstance(value, torch.Tensor) else value).encode())


def _bytes(value: Array) -> bytes:
    """In order. The copy is for tensors of one element, which count as contiguous whatever their stride."""
    return value.detach().clone(memory_format=torch.contiguous_format).reshape(-1).view(torch.uint8).numpy().tobytes()


def moved(value: Array, offset: int) -> Array:
    """The same values, `offset` elements into memory of their own."""
    room = torch.zeros(value.numel() + offset, dtype=value.dtype)
    room[offset:] = value.reshape(-1)
    return room[offset:].reshape(value.shape)


def stages(program: graphc.Program, found: _Hash) -> None:
    for stage in program.stages:
        if stage.name != "library":  # which says in what folder it is
            found.add(stage.name, stage.value, stage.counts)


def values(state: State) -> list[Array]:
    return [state.read(cell) for cell in state.cells]


# The work of a process ------------------------------------------------------------------------------------------------


def graph(seed: int, backend: str, offset: int) -> str:
    """A random graph with its gradients and updates."""
    found = _Hash()
    torch.manual_seed(seed)
    case = build(seed, 5 + seed % 20)
    chosen = "auto" if backend == "c" else backend  # float16 and bfloat16 are not native
    program = graphc.compile(list(case.inputs), dict(case.outputs), dict(case.updates), backend=chosen)
    stages(program, found)
    generator = torch.Generator().manual_seed(seed)
    shapes = [[evaluate(size, case.bindings[0]) for size in x.shape] for x in case.inputs]
    arrays = [draw(case.draws[x.node], shape, generator) for x, shape in zip(case.inputs, shapes)]
    for _ in range(2):
        found.add(*program(*(moved(array, offset) for array in arrays)).values(), *values(program.state))
    return found.digest.hexdigest()


def training(seed: int, backend: str, width: int, threads: int, offset: int) -> str:
    found = _Hash()
    torch.manual_seed(seed)
    x, y = graphc.placeholder("x", ("batch", width)), graphc.placeholder("y", ("batch",), torch.int64)
    net = nn.Sequential(nn.Linear(width, 2 * width + 1), nn.GELU(), nn.Dropout(0.2), nn.Linear(2 * width + 1, 3))
    loss = nn.CrossEntropyLoss()(net(x), y)
    updates = optim.Adam(net.parameters(), lr=0.01, amsgrad=bool(seed % 2)).minimize(loss)
    program = graphc.compile([x, y], {"loss": loss, "y": net(x)}, updates, backend=backend, threads=threads)
    stages(program, found)
    rows = max(20, 4 * width)
    inputs = moved(torch.randn(rows, width), offset), moved(torch.randint(3, (rows,)), offset)
    for state in (program.new_state(), program.new_state(seed=seed)):
        history = program.fit(
            *inputs, batch_size=rows // 2 + 1, epochs=2, seed=seed, state=state, validation=inputs, progress=False
        )
        found.add(*values(state), history.metrics, *program(*inputs, state=state).values())
    return found.digest.hexdigest()


def process(seed: int, variant: int) -> dict[str, str]:
    """All hashes, in this process. `variant` decides what may not matter."""
    rng = random.Random(variant)

    def offset(backend: str) -> int:
        return rng.randrange(9) if backend == "c" else 4 * rng.randrange(9)

    work = {}
    for backend in BACKENDS:
        for k in range(GRAPHS):
            work[f"graph {seed + k}, {backend}"] = lambda k=k, b=backend: graph(seed * GRAPHS + k, b, offset(b))
        for threads in (1, 2):
            for width in (5, 160) if backend != "reference" else (5,):
                work[f"width {width}, {backend}, {threads} threads"] = lambda w=width, b=backend, t=threads: training(
                    seed, b, w, t, offset(b)
                )
    order = list(work)
    rng.shuffle(order)
    kept = []  # memory in the way
    found = {}
    torch.set_num_threads(2)
    for name in order:
        kept.append(torch.full((rng.randrange(1, 100_000),), float("nan")))
        if rng.random() < 0.3:
            x = graphc.placeholder("x", ("n",))
            graphc.compile([x], x.tanh() + float(rng.randrange(9)), backend="torch")(torch.ones(3))
        torch.manual_seed(seed)
        found[name] = work[name]()
    cache = Path(os.environ["GRAPHC_CACHE_DIR"])
    found["cache keys"] = hashlib.sha256(repr(sorted(path.stem for path in cache.glob("*.so"))).encode()).hexdigest()
    return found


# Comparing ------------------------------------------------------------------------------------------------------------


def started(seed: int, variant: int, folder: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": str(variant % 2**32),
        "GRAPHC_CACHE_DIR": folder,
        "PADDING": "x" * (variant % 4093),
        "MALLOC_PERTURB_": str(variant % 256),
        "MALLOC_ARENA_MAX": str(1 + variant % 3),
    }
    words = [sys.executable, "-m", "tools.proving.repeatable", str(seed), str(variant)]
    return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def case(seed: int) -> Mapping[str, int]:
    with tempfile.TemporaryDirectory(prefix="graphc-repeatable-") as folder:
        found = []
        for k, variant in enumerate((seed * 7919 + 1, seed * 104729 + 2)):
            # Every other case has the second process start with an empty cache, too.
            child = started(seed, variant, f"{folder}/{k if seed % 2 else 0}")
            try:
                output, errors = child.communicate(timeout=240)
            finally:
                child.kill()
                child.wait()
            assert child.returncode == 0, f"the process failed: {errors[-3000:]}"
            found.append(json.loads(output))
    first, second = found
    differing = [name for name in first if first[name] != second.get(name)]
    assert not differing, f"other bits in another process: {', '.join(differing)}"
    assert first.keys() == second.keys()
    return {"processes": 2, "hashes": len(first)}


PROOFS = (Proof("repeatable", promise=8, unit="pairs of processes", full=20, quick=0, case=case, limit=300.0),)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(process(int(sys.argv[1]), int(sys.argv[2]))))
