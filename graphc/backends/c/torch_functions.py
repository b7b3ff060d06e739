"""What native code calls of the libraries that torch has loaded: its BLAS, and its OpenMP runtime."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from weakref import WeakSet

import torch

from graphc.backends.threads import thread_count

__all__ = ["MOST_THREADS", "addresses", "link", "share_count"]

MOST_THREADS = 64
"""Threads that share a kernel at most."""

_THREADS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")

_linked: WeakSet[ctypes.CDLL] = WeakSet()
_alone = False


@cache
def addresses() -> tuple[int | None, ...]:
    """The functions, in the order in which generated code takes them; None for what this build of torch has not."""
    library = ctypes.CDLL(torch._C.__file__)
    found = []
    for name in ("sgemm_", "dgemm_", *_THREADS):
        function = getattr(library, name, None)
        found.append(None if function is None else ctypes.cast(function, ctypes.c_void_p).value)
    return tuple(found)


def link(library: ctypes.CDLL, threads: Sequence[int | None] | None = None) -> None:
    """Tell a library of generated code which functions to call: BLAS, and `threads`; if None, those of OpenMP.

    Without functions for threads, the thread that calls does the work of all.
    """
    if threads is None:
        threads = [None] * len(_THREADS) if _alone else addresses()[-len(_THREADS) :]
    function = library["graphc_link"]
    function.argtypes, function.restype = (ctypes.c_void_p,) * len(addresses()), None
    function(*addresses()[: -len(_THREADS)], *threads)
    _linked.add(library)


def share_count() -> int:
    """How many threads may share a kernel now."""
    return min(thread_count(), MOST_THREADS) if _can_fork() else 1


@cache
def _can_fork() -> bool:
    return None not in addresses()[-len(_THREADS) :]


def _work_alone() -> None:
    """In the child of a fork, where the threads of OpenMP are gone: the one that is left does all shares, in order."""
    global _alone
    _alone = True
    for library in list(_linked):
        link(library)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_work_alone)
