"""Generated C under AddressSanitizer and UBSan: no read or write leaves a tensor. Padding is inside our own memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.proving.memory_safety import confined, sanitized

PROGRAM = """
import math
import sys
import torch
import graphc
from graphc.backends.c.writer import Writer
from tests.backends.c import test_native as native

if "planted" in sys.argv:
    Writer._ends_row = lambda *arguments: True  # whole vectors are stored at the ends of rows
native.garbage = lambda *arguments: None
native.test_inputs_in_any_layout()
native.test_outputs_that_are_no_results()
native.test_sizes_in_every_place()
native.test_products()
widths = [2, 17, 3, 1]
program = native.training(widths, "c")
for n in (0, 1, 5, 25):
    program(*native.batch(n, widths))
program.fit(*native.batch(53, widths), batch_size=7, epochs=3)
extremes = torch.tensor([0.0, 1e-40, 1e-300, 0.3, 1.0, 88.0, 3e38, 1e300, math.inf, math.nan], dtype=torch.float64)
for dtype in (torch.float32, torch.float64):
    x = graphc.placeholder("x", ("n",), dtype)
    names = ("cos", "erf", "exp", "floor", "log", "log1p", "sigmoid", "sin", "sqrt", "tanh")
    outputs = [getattr(graphc, name)(x) for name in names] + [x.pow(2.5), graphc.elu(x), graphc.logsumexp(x, 0)]
    graphc.compile([x], outputs, backend="c")(torch.cat([extremes, -extremes]).to(dtype))
print("done")
"""


def run(compiler: str, folder: Path, vector_bytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        settings = sanitized(compiler, "-O1")
    except AssertionError as error:
        pytest.skip(str(error))
    environment = {
        **os.environ,
        **settings,
        "GRAPHC_CACHE_DIR": str(folder),
        "GRAPHC_VECTOR_BYTES": str(vector_bytes),
    }
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
def test_memory_is_respected(real: str, folder: Path, vector_bytes: int) -> None:
    result = run(real, folder, vector_bytes)
    assert "AddressSanitizer" not in result.stderr, result.stderr
    assert "runtime error" not in result.stderr, result.stderr
    assert result.stdout == "done\n", result.stderr


@pytest.mark.slow
def test_a_planted_fault_is_found(real: str, folder: Path) -> None:
    assert "ERROR: AddressSanitizer" in run(real, folder, 64, "planted").stderr


@pytest.mark.slow
@pytest.mark.parametrize("planted", ["load", "store", "before"])
def test_planted_faults_of_random_graphs_are_found(real: str, planted: str) -> None:
    """Each buffer has an allocation of its own, so that what leaves a buffer is seen within the workspace, too."""
    assert "ERROR: AddressSanitizer" in confined(["sanitize"], range(3), sanitized(real), planted).stderr
