"""What this machine can do at best on one thread: arithmetic, and reading memory. Measured when first asked for."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from functools import cache

import torch

from graphc.backends.c.build import load
from graphc.backends.c.vector_math import definitions, prelude

__all__ = ["bandwidth", "peak"]

CHAINS = 14
"""Independent sums: enough for the latency of two or more units, and with two factors no more than 16 registers."""

ROUND, SECONDS = 3e-4, 5e-3
"""How long one measurement takes, and all of them, of which the best counts."""

LARGEST = 1 << 27
"""Bytes that are read at most: no cache is larger by much, and larger buffers take longer."""


@cache
def peak(dtype: torch.dtype, vector_bytes: int) -> float:
    """Floating-point operations in a second, where a multiplication with an addition counts as two."""
    name = "f64" if dtype is torch.float64 else "f32"
    function = _library(vector_bytes)[f"peak_{name}"]
    function.argtypes, function.restype = [ctypes.c_long, ctypes.c_double], ctypes.c_double
    operations = 2 * CHAINS * vector_bytes // (8 if name == "f64" else 4)
    return operations / _fastest(lambda repeats: function(repeats, 0.5))


@cache
def bandwidth(nbytes: int, vector_bytes: int) -> float:
    """Bytes in a second, read from a buffer of about `nbytes` again and again."""
    block = 8 * vector_bytes
    blocks = max(1, min(nbytes, LARGEST) // block)
    buffer = torch.zeros((blocks + 1) * block, dtype=torch.uint8, device="cpu")
    start = -(-buffer.data_ptr() // block) * block
    function = _library(vector_bytes)["read_bytes"]
    function.argtypes, function.restype = [ctypes.c_long, ctypes.c_void_p, ctypes.c_long], ctypes.c_int
    return blocks * block / _fastest(lambda repeats: function(repeats, start, blocks))


def _fastest(run: Callable[[int], object]) -> float:
    """Seconds for one repeat of `run(repeats)`, in the fastest of several rounds."""

    def seconds() -> float:
        start = time.perf_counter()
        run(repeats)
        return time.perf_counter() - start

    repeats = 1
    while (best := seconds()) < ROUND / 2:
        repeats *= 2 if best > ROUND / 16 else 8
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        best = min(best, seconds())
    return best / repeats


@cache
def _library(vector_bytes: int) -> ctypes.CDLL:
    return load(_source(vector_bytes), "machine")


def _source(vector_bytes: int) -> str:
    lanes = {torch.float32: vector_bytes // 4, torch.float64: vector_bytes // 8}
    parts = [
        prelude([*lanes.items()]),
        definitions([("muladd", dtype, count) for dtype, count in lanes.items()]),
        *(_chains(f"f{8 * dtype.itemsize}", count) for dtype, count in lanes.items()),
        _reading(f"i32x{vector_bytes // 4}"),
    ]
    return "\n".join(parts)


def _chains(element: str, lanes: int) -> str:
    """Sums that nothing can leave out: neither the factor nor the number of repeats is known."""
    kind, names = f"{element}x{lanes}", [f"x{k}" for k in range(CHAINS)]
    return "\n".join(
        [
            f"double peak_{element}(long repeats, double value) {{",
            f"  const {kind} a = splat_{kind}(value);",
            f"  {kind} {', '.join(f'{name} = a * {k}' for k, name in enumerate(names))};",
            "  for (long i = 0; i < repeats; i++) {",
            *(f"    {name} = muladd_{kind}({name}, a, a);" for name in names),
            "  }",
            f"  return ({' + '.join(names)})[0];",
            "}\n",
        ]
    )


def _reading(kind: str) -> str:
    names = [f"x{k}" for k in range(8)]
    return "\n".join(
        [
            f"int read_bytes(long repeats, const {kind} *p, long blocks) {{",
            f"  {kind} {', '.join(f'{name} = {{0}}' for name in names)};",
            "  for (long i = 0; i < repeats; i++) {",
            '    __asm__ volatile("" ::: "memory");',
            "    for (long k = 0; k < blocks; k++) {",
            *(f"      {name} ^= p[8 * k + {j}];" for j, name in enumerate(names)),
            "    }",
            "  }",
            f"  return ({' ^ '.join(names)})[0];",
            "}\n",
        ]
    )
