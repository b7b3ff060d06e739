"""Generated C beside pages that nobody may touch: nothing is read or written past the end of a value, nor before it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tools.proving.memory_safety import confined

ROWS = """
import os
import torch
import graphc
from tools.proving.confined import confine, guarded, placed

place = guarded(at_end=True)
for patch in confine(place):
    patch.start()
values = [
    placed(place, torch.ones(width, dtype=dtype))
    for dtype in (torch.float32, torch.float64, torch.int32, torch.int64)
    for width in (1, 2, 3, 4, 5, 6, 7, 9, 12, 15, 17)
]
inputs = [graphc.placeholder(f"x{k}", value.shape, value.dtype) for k, value in enumerate(values)]
outputs = [(x.tanh() if x.dtype.is_floating_point else x) * 2 for x in inputs]
for vector_bytes in (16, 32, 64):
    os.environ["GRAPHC_VECTOR_BYTES"] = str(vector_bytes)
    for x, y in zip(values, graphc.compile(inputs, outputs, backend="c")(*values)):
        assert torch.allclose(y, (x.tanh() if x.dtype.is_floating_point else x) * 2)
    print(vector_bytes, flush=True)
"""


def test_rows_that_are_no_whole_vectors(folder: Path) -> None:
    """gcc 12 made one load of 32 bytes of the loads of four elements, where four times 0 was to come after them."""
    root = Path(__file__).resolve().parents[3]
    result = subprocess.run([sys.executable, "-c", ROWS], cwd=root, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.split()) == (0, ["16", "32", "64"]), result.stderr


@pytest.mark.parametrize(("planted", "way"), [("load", "end"), ("before", "start")])
def test_planted_faults_are_found(planted: str, way: str) -> None:
    assert confined([way], [0], {}, planted).returncode == -signal.SIGSEGV
