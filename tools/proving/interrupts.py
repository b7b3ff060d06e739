"""Interrupts: Ctrl-C at any moment ends what runs within a second, and leaves a State that is whole.

A case starts something long (a run of small or of large steps on each backend, with and without validation and
callbacks, single calls, evaluation, a sweep, compilations), sends SIGINT to its own process after a random time, and
sometimes once more, and looks how long it takes until KeyboardInterrupt comes out. Then the State must be that of a
whole number of steps: the same number of steps, done again, gives the same bits; and the next call works.

An interrupt waits for the step at hand, so that steps here take less than a second by far. On a busy machine the time
is that of the processor; what waits for somebody else may take ten seconds there.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import torch

import graphc
from graphc import nn, optim
from graphc.runtime.shuffle import permutation
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
SEED = 3
BATCHES = 5
MOST_STEPS = 300
"""Steps that are done again one by one; of more, all whole epochs are done again in one run."""

SIZES = {"small": ((3, 20, 1), 7), "large": ((256, 512, 8), 200), "huge": ((512, 2048, 2048, 8), 256)}
"""The widths of a network, and rows of a batch."""


@cache
def trained(backend: str, size: str) -> graphc.Program:
    torch.manual_seed(0)
    widths, _ = SIZES[size]
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.Tanh()]
    x = graphc.placeholder("x", ("batch", widths[0]))
    loss = nn.Sequential(*layers, nn.Dropout(0.1))(x).square().mean()
    parameters = [each for layer in layers for each in layer.parameters()]
    return graphc.compile([x], loss, optim.Adam(parameters).minimize(loss), backend=backend, threads=2)


@cache
def data(size: str) -> Array:
    widths, rows = SIZES[size]
    return torch.randn(BATCHES * rows, widths[0], generator=torch.Generator().manual_seed(1))


# What is interrupted: each goes on until then. -----------------------------------------------------------------------

Body = Callable[[graphc.Program, str, graphc.State], None]


def fit(program: graphc.Program, size: str, state: graphc.State) -> None:
    program.fit(data(size), batch_size=SIZES[size][1], epochs=10**9, seed=SEED, state=state)


def fit_validated(program: graphc.Program, size: str, state: graphc.State) -> None:
    x, rows = data(size), SIZES[size][1]
    program.fit(x, batch_size=rows, epochs=10**9, seed=SEED, state=state, validation=[x], progress=False)


def fit_with_callback(program: graphc.Program, size: str, state: graphc.State) -> None:
    def on_epoch(epoch: graphc.Epoch) -> None:
        epoch.set(lr=1e-3)

    rows = SIZES[size][1]
    program.fit(data(size), batch_size=rows, epochs=10**9, seed=SEED, state=state, on_epoch=on_epoch)


def calls(program: graphc.Program, size: str, state: graphc.State) -> None:
    rows = SIZES[size][1]
    program.reseed(SEED, state)
    for epoch in range(10**9):
        order = permutation(len(data(size)), SEED, epoch)
        for k in range(BATCHES):
            program(data(size)[order[k * rows : (k + 1) * rows]], state=state)


def evaluate(program: graphc.Program, size: str, state: graphc.State) -> None:
    while True:
        program.evaluate(data(size), batch_size=SIZES[size][1], state=state)


def sweep(program: graphc.Program, size: str, state: graphc.State) -> None:
    runs = [graphc.Run(program, data(size), batch_size=SIZES[size][1], epochs=10**6, seed=k) for k in range(3)]
    graphc.Sweep(runs).fit(workers=2, progress=False)


def compile(program: graphc.Program, size: str, state: graphc.State) -> None:
    while True:
        x = graphc.placeholder("x", ("n", 3))
        loss = (nn.Linear(3, 30)(x).tanh() * random.random()).square().mean()
        graphc.compile([x], [loss, graphc.grad(loss, x)], backend="c")


def beside_threads(program: graphc.Program, size: str, state: graphc.State) -> None:
    """Other threads train as well, and are not disturbed."""
    ended = threading.Event()

    def train() -> None:
        other = program.new_state()
        while not ended.is_set():
            program.fit(data(size), batch_size=SIZES[size][1], epochs=1, state=other)
        consistent(other)

    thread = threading.Thread(target=train)
    try:
        thread.start()
        fit(program, size, state)
    finally:
        ended.set()
        if thread.ident is not None:
            thread.join()


BODIES: list[Body] = [fit, fit_validated, fit_with_callback, calls, evaluate, sweep, compile, beside_threads]


# Interrupting ---------------------------------------------------------------------------------------------------------


def interrupted(body: Callable[[], None], delay: float, again: float | None) -> None:
    """Run `body` and send SIGINT after `delay` seconds, and after `again` more. Raises AssertionError if it is late."""
    sent: list[tuple[float, float]] = []
    is_inside, came_out = False, False
    heard: list[bool] = []
    over = threading.Event()
    lost: list[object] = []  # Python drops what comes out of a finaliser

    def hear(number: int, frame: object) -> None:
        heard.append(is_inside)
        if is_inside:  # an interrupt of the proof itself proves nothing
            raise KeyboardInterrupt

    def send() -> None:
        time.sleep(delay)
        sent.append((time.monotonic(), time.process_time()))
        os.kill(os.getpid(), signal.SIGINT)
        if again is not None:
            time.sleep(again)
            os.kill(os.getpid(), signal.SIGINT)
        while not over.wait(0.1):
            if lost or not any(heard):  # or it came before the body had begun; whoever waits presses again
                lost.clear()
                sent[:] = [(time.monotonic(), time.process_time())]
                os.kill(os.getpid(), signal.SIGINT)

    def run() -> None:
        nonlocal is_inside
        try:
            is_inside = True
            body()
        finally:
            is_inside = False

    sender = threading.Thread(target=send)
    before = signal.signal(signal.SIGINT, hear)
    hook, sys.unraisablehook = sys.unraisablehook, lost.append
    try:
        sender.start()
        try:
            run()
        except KeyboardInterrupt:
            came_out = True
        ended = time.monotonic(), time.process_time()
        over.set()
        for _ in range(2):  # both interrupts may come at the very end of the body
            with contextlib.suppress(KeyboardInterrupt):
                sender.join()
        assert heard, "no interrupt was heard"
        assert came_out or lost or not any(heard), "no interrupt came out"
        assert signal.getsignal(signal.SIGINT) is hear, "the handler is another one"
    finally:
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook
    waited, worked = (after - before for before, after in zip(sent[0], ended))
    assert min(waited, worked) < 1.0, f"the interrupt took {waited:.2f} s, {worked:.2f} s of them of work"
    assert waited < 10.0, f"the interrupt took {waited:.2f} s"


def consistent(state: graphc.State) -> None:
    """Every value is a number."""
    for cell in state.cells:
        value = state.read(cell)
        assert bool(torch.isfinite(value).all() if value.is_floating_point() else True), cell


def done_again(program: graphc.Program, size: str, start: graphc.State, state: graphc.State) -> int:
    """The steps that `state` has seen since `start`, done again and the last ones one by one, lead to the same bits."""
    steps = int((state["step"] - start["step"]).item())
    if not steps:
        return 0
    rows = SIZES[size][1]
    whole = steps // BATCHES if steps > MOST_STEPS else 0
    if whole:
        program.fit(data(size), batch_size=rows, epochs=whole, seed=SEED, state=start, progress=False)
    else:
        program.reseed(SEED, start)
    for epoch in range(whole, -(-steps // BATCHES)):
        order = permutation(len(data(size)), SEED, epoch)
        for k in range(min(BATCHES, steps - epoch * BATCHES)):
            program(data(size)[order[k * rows : (k + 1) * rows]], state=start)
    for cell in state.cells:
        assert torch.equal(state.read(cell), start.read(cell)), f"after {steps} steps, {cell} is not whole"
    return steps


def case(seed: int) -> dict[str, int]:
    rng = random.Random(seed)
    body = BODIES[seed % len(BODIES)]
    backend = rng.choice(["c", "c", "torch", "reference"])
    size = rng.choice(["small", "small", "large", "huge"] if backend != "reference" else ["small"])
    program = trained(backend, size)
    start = program.new_state(seed=1)
    state = start.copy()
    program(data(size)[: SIZES[size][1]], state=start.copy())  # what is made at a first call is made
    delay, again = rng.uniform(0, rng.choice([0.02, 0.4])), rng.choice([None, None, 0.0, 0.01])
    interrupted(partial(body, program, size, state), delay, again)
    consistent(state)
    steps = done_again(program, size, start, state)
    program(data(size)[: SIZES[size][1]], state=state)
    return {"interrupts": 1, "steps": steps}


PROOFS = (Proof("interrupts", promise=23, unit="interrupted runs", full=300, quick=0, case=case, alone=True),)
