"""Threads: eight in one program find what one alone finds, bit by bit.

A case starts eight threads at once, with Python switching between them as often as it can, and lets them call one
program on one State, train it on States of their own, evaluate and run sweeps, compile the same and different
programs, or fight for one State, of which every update must be whole and all others refused.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable
from functools import cache

import torch

import graphc
from graphc import StateError, nn, optim
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
COUNT = 8
BACKENDS = ("c", "c", "torch", "reference")


def at_once(work: Callable[[int], object], count: int = COUNT) -> list[object]:
    """What `work(k)` gives in `count` threads that start together. Raises what one of them raises."""
    found: list[object] = [None] * count
    errors: list[BaseException] = []
    gate = threading.Barrier(count)

    def run(k: int) -> None:
        try:
            gate.wait(60)
            found[k] = work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(k,), daemon=True) for k in range(count)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
            assert not thread.is_alive(), "a thread hangs"
    finally:
        sys.setswitchinterval(before)
    if errors:
        raise errors[0]
    return found


def bits(*values: Array) -> bytes:
    return b"".join(value.contiguous().numpy().tobytes() for value in values)


@cache
def trained(backend: str, hidden: int) -> graphc.Program:
    torch.manual_seed(0)
    x = graphc.placeholder("x", ("batch", 3))
    net = nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Dropout(0.2), nn.Linear(hidden, hidden), nn.ReLU())
    out = net(x)
    loss = out.square().mean()
    updates = optim.Adam(net.parameters(), lr=0.01).minimize(loss)
    return graphc.compile([x], {"loss": loss, "out": out}, updates, backend=backend, threads=1 + (hidden > 100))


def rows(count: int, seed: int) -> Array:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed))


def same(work: Callable[[int], object]) -> None:
    """In eight threads as one after the other."""
    alone = [work(k) for k in range(COUNT)]
    assert at_once(work) == alone, "threads find something else than one alone"


def predict(rng: random.Random, program: graphc.Program) -> None:
    """One State, read by all; sizes that come and go."""
    sizes = [rng.choice([1, 5, 33, rng.randrange(1, 100)]) for _ in range(COUNT)]
    state = program.new_state(seed=1)

    def work(k: int) -> object:
        return [bits(*program.evaluation(rows(sizes[(k + j) % COUNT], k), state=state).values()) for j in range(5)]

    same(work)


def train(rng: random.Random, program: graphc.Program) -> None:
    def work(k: int) -> object:
        state = program.new_state(seed=k)
        for j in range(5):
            program(rows(4 + (j + k) % 3, j), state=state)
        data = rows(20, k)
        history = program.fit(data, batch_size=3, epochs=2, seed=k, state=state, validation=[data])
        means = program.evaluate(data, batch_size=7, state=state)
        return bits(*map(state.read, state.cells)), history.metrics, means

    same(work)


def sweep(rng: random.Random, program: graphc.Program) -> None:
    def work(k: int) -> object:
        runs = [graphc.Run(program, rows(9, k), batch_size=4, epochs=2, seed=k + j) for j in range(2)]
        outcomes = graphc.Sweep(runs).fit(workers=2)
        return [bits(*map(each.state.read, each.state.cells)) for each in outcomes]

    same(work)


def compile_same(rng: random.Random, program: graphc.Program) -> None:
    """And run it: graph, passes, cache and loading meet in all threads."""
    factor = rng.random()
    x = graphc.placeholder("x", ("n", 3))
    y = (x * factor).tanh() + 1.0

    def work(k: int) -> object:
        return bits(graphc.compile([x], y, backend=program.backend)(rows(5, k)))

    assert at_once(work) == [work(k) for k in range(COUNT)]


def compile_different(rng: random.Random, program: graphc.Program) -> None:
    """Declared at once, too: names of modules, lines and scopes must not get mixed up."""
    factors = [rng.random() for _ in range(COUNT)]

    def work(k: int) -> object:
        x = graphc.placeholder("x", ("n", 3))
        net = nn.Sequential(*[nn.Identity() for _ in range(k)], nn.Tanh())
        y = net(x * factors[k])
        grad = graphc.grad(y.sum(), x)
        made = graphc.compile([x], [y, grad], backend=program.backend)
        modules = {node.origin.module for node in made.stages[0].value.nodes}  # type: ignore[attr-defined]
        assert modules <= {"", f"sequential.{k}", "sequential"}, modules
        return bits(*made(rows(5, k)))

    assert at_once(work) == [work(k) for k in range(COUNT)]


def fight(rng: random.Random, program: graphc.Program) -> None:
    """For one State: each update is done as a whole or refused."""
    state = program.new_state(seed=1)
    before = int(state["step"].item())

    def work(k: int) -> object:
        done = 0
        for _ in range(20):
            try:
                if k % 2:
                    program.fit(rows(6, k), batch_size=3, epochs=1, state=state)
                    done += 2
                else:
                    program(rows(4, k), state=state)
                    done += 1
            except StateError as error:
                if "being updated by another call" not in str(error):
                    raise
        return done

    # A run that is refused between two of its epochs has done steps: one epoch is either refused or done.
    done = sum(int(count) for count in at_once(work))  # type: ignore[call-overload]
    assert int(state["step"].item()) == before + done, "steps were lost"


WORK = [predict, train, sweep, compile_same, compile_different, fight]


def case(seed: int) -> dict[str, int]:
    rng = random.Random(seed)
    work = WORK[seed % len(WORK)]
    before = torch.get_num_threads()
    try:
        work(rng, trained(rng.choice(BACKENDS), rng.choice([7, 7, 200])))
    finally:
        torch.set_num_threads(before)
    return {f"times {work.__name__}": 1}


PROOFS = (Proof("threads", promise=24, unit="times eight threads", full=600, quick=4, case=case),)
