"""Forks: the child of a process that has used threads computes and trains, and nothing in it hangs.

A case runs a large program on two threads, forks from the thread that did, and lets the child do one thing: call,
train, compile, make States, run a sweep, use threads of its own, fork again. Meanwhile other threads of the parent may
be anywhere: in a step, in a compilation, in a lock. What the child finds has to be what the parent finds, bit by bit,
where the arithmetic is that of graphc (native code, whose work is cut into as many shares as before) and close to it
where it is that of torch, which has one thread there.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

import torch

import graphc
from graphc import nn, optim
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
ROWS, WIDTH = 200, 128
PATIENCE = 60.0
"""Seconds after which a child hangs."""


@cache
def trained(backend: str, threads: int | None) -> graphc.Program:
    """Its products take 2²⁴ operations and more, so that threads share them."""
    torch.manual_seed(0)
    x = graphc.placeholder("x", ("batch", WIDTH))
    net = nn.Sequential(nn.Linear(WIDTH, 512), nn.GELU(), nn.Dropout(0.2), nn.Linear(512, WIDTH), nn.Tanh())
    out = net(x)
    loss = (out - x).square().mean()
    updates = optim.SGD(net.parameters(), lr=0.1, momentum=0.9).minimize(loss)
    return graphc.compile([x], {"loss": loss, "out": out}, updates, backend=backend, threads=threads)


@cache
def data() -> Array:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(1))


_numbers = itertools.count()


def fresh(backend: str) -> graphc.Program:
    """A program that nobody has compiled before."""
    x = graphc.placeholder("x", ("n",))
    return graphc.compile([x], x * float(next(_numbers)) + random.random(), backend=backend)


# What a child does ----------------------------------------------------------------------------------------------------


def call(program: graphc.Program, state: graphc.State) -> list[Array]:
    return [*program(data(), state=state).values()]


def fit(program: graphc.Program, state: graphc.State) -> list[Array]:
    history = program.fit(data(), batch_size=96, epochs=2, seed=4, state=state, validation=[data()])
    return [torch.tensor(history["loss"]), torch.tensor(history["validation_loss"])]


def evaluate(program: graphc.Program, state: graphc.State) -> list[Array]:
    return [torch.tensor([*program.evaluate(data(), state=state).values()])]


def new_states(program: graphc.Program, state: graphc.State) -> list[Array]:
    other, drawn = state.copy(), program.new_state(seed=3)
    return [each.read(cell) for each in (other, drawn) for cell in other.cells]


def compile_another(program: graphc.Program, state: graphc.State) -> list[Array]:
    other = fresh(program.backend)
    assert other(torch.zeros(5)).shape == (5,)
    return call(program, state)


def in_a_thread(program: graphc.Program, state: graphc.State) -> list[Array]:
    """Which has the threads that torch gives to new ones: 1 in the child."""
    found: list[Array] = []

    def work() -> None:
        if program.backend == "c":  # torch itself would use them, and may hang
            torch.set_num_threads(2)
        found.extend(call(program, state))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found


def sweep(program: graphc.Program, state: graphc.State) -> list[Array]:
    runs = [graphc.Run(program, data(), batch_size=100, epochs=1, seed=seed) for seed in range(3)]
    outcomes = graphc.Sweep(runs).fit(workers=2)
    return [torch.tensor([outcome.history["loss"][0] for outcome in outcomes])]


def fork_again(program: graphc.Program, state: graphc.State) -> list[Array]:
    answer = in_child(lambda: digest(call(program, state.copy())))
    found = call(program, state)
    if program.backend == "c":
        assert answer == digest(found), "the child finds something else"
    return found


WORK: list[Callable[[graphc.Program, graphc.State], list[Array]]] = [
    *(call, fit, evaluate, new_states, compile_another, in_a_thread, sweep, fork_again)
]


# What other threads of the parent do ----------------------------------------------------------------------------------


@contextlib.contextmanager
def busy(kind: str, program: graphc.Program) -> Iterator[None]:
    """A thread that does this while the process is forked."""
    ended = threading.Event()

    def train() -> None:
        state = program.new_state()
        while not ended.is_set():
            program(data(), state=state)

    def compile() -> None:
        while not ended.is_set():
            fresh("c")

    def read() -> None:
        while not ended.is_set():
            program.new_state(seed=1)
            fresh("torch")(torch.ones(3))

    work = {"train": train, "compile": compile, "read": read}.get(kind)
    if work is None:
        yield
        return
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# Forking --------------------------------------------------------------------------------------------------------------


def digest(values: list[Array]) -> str:
    found = hashlib.sha256()
    for value in values:
        found.update(value.contiguous().numpy().tobytes())
    return found.hexdigest()


def in_child(work: Callable[[], object]) -> object:
    """What `work` gives in a fork of this process. Raises AssertionError when it hangs or fails."""
    ours, theirs = get_context("fork").Pipe(duplex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks of threaded processes
        child = os.fork()
    if not child:
        _answer(theirs, work)
    theirs.close()
    try:
        if not ours.poll(PATIENCE):
            raise AssertionError(f"the child hangs: no answer after {PATIENCE:.0f} s")
        problem, answer = ours.recv()
    except EOFError:
        raise AssertionError("the child ended without an answer") from None
    finally:
        ours.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if problem:
        raise AssertionError(f"in the child: {problem}")
    return answer


def _answer(link: Connection, work: Callable[[], object]) -> None:
    """Never returns: nothing of the parent may run in the child, its cleaning up least of all."""
    try:
        link.send(("", work()))
    except BaseException:
        link.send((traceback.format_exc(), None))
    finally:
        os._exit(0)


def case(seed: int) -> dict[str, int]:
    rng = random.Random(seed)
    work = WORK[seed % len(WORK)]
    backend = rng.choice(["c", "c", "torch", "reference"])
    program = trained(backend, rng.choice([None, 2]))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        start = program.new_state(seed=seed)
        call(program, start)  # from here on there are threads
        expected = work(program, start.copy())
        # Python says that a thread has ended a little before it has, and glibc does not survive a fork in between.
        time.sleep(0.02)
        with busy(rng.choice(["nothing", "train", "compile", "read"]), program):
            exact = backend == "c"
            found = in_child(partial(_found, work, program, start, exact))
    finally:
        torch.set_num_threads(before)
    if exact:
        assert found == digest(expected), f"{work.__name__}: the child finds something else"
    else:
        for ours, theirs in zip(expected, found, strict=True):  # type: ignore[call-overload]
            torch.testing.assert_close(torch.from_numpy(theirs), ours, rtol=1e-3, atol=1e-5)
    return {f"children that did {work.__name__}": 1}


def _found(
    work: Callable[[graphc.Program, graphc.State], list[Array]],
    program: graphc.Program,
    start: graphc.State,
    exact: bool,
) -> object:
    found = work(program, start.copy())
    return digest(found) if exact else [value.numpy() for value in found]


PROOFS = (Proof("forks", promise=24, unit="forks", full=200, quick=4, case=case, alone=True),)
