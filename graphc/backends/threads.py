"""How many threads a call may use, also in a process that was forked."""

from __future__ import annotations

import ctypes
import os
import threading

import torch

__all__ = ["Threads", "thread_count"]


class _Asked(threading.local):
    """In a process that was forked: the number of threads that were asked for, where there is only one. 0: none was."""

    count = 0


_asked = _Asked()
_is_alone = False  # in a child; reading a variable of a thread takes longer than asking torch


def thread_count() -> int:
    """How many threads a call may use now: torch's number."""
    return (_is_alone and _asked.count) or torch.get_num_threads()


class Threads:
    """Bounds the threads of the calls inside."""

    __slots__ = ("_before", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def __enter__(self) -> None:
        self._before = thread_count()
        if self._limit != self._before:
            _ask_for(self._limit)

    def __exit__(self, *error: object) -> None:
        if self._limit != self._before:
            _ask_for(self._before)


def _ask_for(count: int) -> None:
    if _is_alone:  # in other threads of the child, too: a lock of OpenMP may have been held when it was forked
        _asked.count = count
    else:
        torch.set_num_threads(count)


def _be_alone() -> None:
    """In the child of a fork: the threads that OpenMP had are gone, and it would wait for them for ever.

    Native code goes on to cut its work into as many shares as before, so that results are the same.
    """
    global _is_alone
    _asked.count = thread_count()
    _is_alone = True
    torch.set_num_threads(1)


def _free_buffers() -> None:
    """Before a fork: MKL, if torch has it, gives its buffers back, and waits for threads that are about to.

    A thread that has ended for Python may be at it still. A child that is forked meanwhile waits for MKL's lock for
    ever, in the first product of matrices of a new thread, also where torch alone is used.
    """
    free = getattr(ctypes.CDLL(torch._C.__file__), "mkl_serv_free_buffers", None)
    if free is not None:
        free()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_free_buffers, after_in_child=_be_alone)
