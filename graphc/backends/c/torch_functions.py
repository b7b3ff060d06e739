"""What native code calls of the libraries that torch has loaded: its BLAS, and its OpenMP runtime."""

from __future__ import annotations

import ctypes
from functools import cache

import torch

__all__ = ["MOST_THREADS", "addresses", "thread_count"]

MOST_THREADS = 64
"""Threads that share a kernel at most."""

_THREADS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")


@cache
def addresses() -> tuple[int | None, ...]:
    """The functions, in the order in which generated code takes them; None for what this build of torch has not."""
    library = ctypes.CDLL(torch._C.__file__)
    found = []
    for name in ("sgemm_", "dgemm_", *_THREADS):
        function = getattr(library, name, None)
        found.append(None if function is None else ctypes.cast(function, ctypes.c_void_p).value)
    return tuple(found)


def thread_count() -> int:
    """How many threads may share a kernel now: as many as torch may use."""
    return min(torch.get_num_threads(), MOST_THREADS) if _can_fork() else 1


@cache
def _can_fork() -> bool:
    return None not in addresses()[-len(_THREADS) :]
