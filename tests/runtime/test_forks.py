"""Processes that are forked after threads were used: nothing hangs there, and results are the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import graphc
from graphc import state
from graphc.backends.threads import Threads, thread_count
from tools.proving import forks
from tools.proving.forks import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_threads_are_bounded_and_put_back() -> None:
    with Threads(1):
        assert thread_count() == torch.get_num_threads() == 1
        with Threads(3):
            assert thread_count() == torch.get_num_threads() == 3
        assert thread_count() == 1
    assert thread_count() == torch.get_num_threads() == 2


def test_a_child_has_one_thread_and_as_many_shares_as_before() -> None:
    def counts() -> list[tuple[int, int]]:
        found = [(thread_count(), torch.get_num_threads())]
        with Threads(5):
            found.append((thread_count(), torch.get_num_threads()))
        found.append((thread_count(), torch.get_num_threads()))
        return found

    assert in_child(counts) == [(2, 1), (5, 1), (2, 1)]
    assert in_child(lambda: in_child(counts)) == [(2, 1), (5, 1), (2, 1)]


def large(backend: str) -> graphc.Program:
    """Its sum is that of the shares of all threads: another number of them gives other bits."""
    x = graphc.placeholder("x", (1 << 21,))
    return graphc.compile([x], (x.sin() * 1.1).sum(), backend=backend)


def test_kernels_have_the_same_bits_in_a_child() -> None:
    x, program = torch.randn(1 << 21, generator=torch.Generator().manual_seed(0)), large("c")
    expected = program(x).item()
    with Threads(1):
        assert program(x).item() != expected, "the test has a sum that depends on the number of threads"
    assert in_child(lambda: program(x).item()) == expected
    assert in_child(lambda: large("c")(x).item()) == expected, "a library that the child loads"


def test_a_lock_of_another_thread_is_free_in_a_child() -> None:
    p = graphc.Parameter(torch.zeros(()), name="p")
    program = graphc.compile([], p, {p: p + 1.0}, backend="reference")
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with state._busy_lock:
            held.set()
            go_on.wait(0.2)  # longer than it takes to begin a fork; a lock is never held so long

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    assert in_child(lambda: program().item()) == 0.0
    go_on.set()
    thread.join()
    assert program().item() == 0.0


OTHER_THREAD = """
import os, sys, threading
from pathlib import Path
from graphc.backends.c import cache

begun, ended = threading.Event(), threading.Event()
rooms = []

def compile() -> None:
    with cache.workspace(Path(sys.argv[1])) as room:
        rooms.append(room)
        begun.set()
        ended.wait()

thread = threading.Thread(target=compile)
thread.start()
begun.wait()
if not (child := os.fork()):
    sys.exit(0)  # as a process ends that cleans up
os.waitpid(child, 0)
print(rooms[0].exists())
ended.set()
thread.join()
print(rooms[0].exists())
"""


def test_a_child_that_ends_leaves_the_compilations_of_its_parent_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", OTHER_THREAD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_a_child_that_hangs_or_fails_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "PATIENCE", 0.2)
    with pytest.raises(AssertionError, match="the child hangs"):
        in_child(threading.Event().wait)
    with pytest.raises(AssertionError, match="ValueError: from the child"):
        in_child(lambda: _fail("from the child"))
    with pytest.raises(AssertionError, match="ended without an answer"):
        in_child(lambda: os._exit(1))


def _fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_new_threads_of_a_child_multiply_matrices() -> None:
    """While a thread of the parent that did so ends, with a lock of MKL: a third of such forks hung."""
    program = forks.trained("torch", 2)
    state = program.new_state(seed=0)

    def in_a_thread() -> float:
        return float(forks.in_a_thread(program, state.copy())[0].sum())

    for _ in range(8):
        forks.call(program, state)  # on this thread, and on those of OpenMP
        expected = in_a_thread()
        assert in_child(in_a_thread) == pytest.approx(expected, rel=1e-4)
