"""Compiling is repeatable: the same stages, to the letter, and the same results, to the bit, in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PROCESS = """
import hashlib

import graphc
from graphc.dims import evaluate
from tools.fuzzing.build import draw
from tools.fuzzing.cases import build
import torch

torch.set_num_threads(1)
torch.manual_seed(0)  # of dropout
found = hashlib.sha256()
for seed in range(40):
    case = build(seed, 1 + seed)
    program = graphc.compile(list(case.inputs), dict(case.outputs), dict(case.updates), backend="torch")
    for stage in program.stages:
        found.update(str(stage.value).encode())
    generator = torch.Generator().manual_seed(seed)
    shapes = [[evaluate(size, case.bindings[0]) for size in x.shape] for x in case.inputs]
    arrays = [draw(case.draws[x.node], shape, generator) for x, shape in zip(case.inputs, shapes)]
    for _ in range(2):
        for x in (*program(*arrays).values(), *map(program.state.read, program.state.cells)):
            found.update(x.double().numpy().tobytes())
print(found.hexdigest())
"""


def process(hash_seed: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", PROCESS],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_order_of_sets_decides_nothing() -> None:
    """Python's hashes of names, and with them the order of sets, differ from process to process."""
    first, second = process("1"), process("2")
    assert first == second
