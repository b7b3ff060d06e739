"""Training runs in native code: the order of samples, interrupts, and several at once."""

from __future__ import annotations

import ctypes
import signal
import threading
import time

import pytest
import torch

import graphc
from graphc import Parameter, nn, optim
from graphc.backends.c import loop
from graphc.backends.c.executable import NativeExecutable
from graphc.expr.philox import SHUFFLE
from graphc.runtime.shuffle import permutation
from tests.judge import assert_same
from tests.runtime.test_interrupt import stopped


def program(backend: str = "c") -> graphc.Program:
    torch.manual_seed(0)
    x, y = graphc.placeholder("x", ("n", 2)), graphc.placeholder("y", ("n", 1))
    net = nn.Sequential(nn.Linear(2, 20), nn.Tanh(), nn.Linear(20, 1))
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile([x, y], loss, optim.Adam(net.parameters()).minimize(loss), backend=backend)


def order(library: ctypes.CDLL, n: int, seed: int, epoch: int) -> torch.Tensor:
    """As `graphc_shuffle` makes it."""
    bits = max(1, (n - 1).bit_length())
    keys, found, result = (torch.zeros(n, dtype=torch.int64) for _ in range(3))
    starts = torch.zeros((1 << bits) + 2, dtype=torch.int64)
    u64, place = ctypes.c_uint64, [each.data_ptr() for each in (keys, starts, found, result)]
    library.graphc_shuffle.argtypes = (ctypes.c_long, u64, u64, u64, ctypes.c_int, *[ctypes.c_void_p] * 4)
    library.graphc_shuffle.restype = None
    library.graphc_shuffle(n, seed, epoch, SHUFFLE, bits, *place)
    return result


def test_the_order_of_samples() -> None:
    executable = program()._executable
    assert isinstance(executable, NativeExecutable)
    counts = [*range(1, 70), 127, 128, 129, 1000, 4095, 4096, 4097, 5000, 1_000_003]
    for n in counts:
        for seed, epoch in ((0, 0), (2**32 + 7, 3), (2**64 - 1, 2**32 - 1)):
            assert torch.equal(order(executable.library, n, seed, epoch), permutation(n, seed, epoch)), (n, seed, epoch)


def test_two_threads_train_two_states() -> None:
    train = program()
    data = torch.randn(64, 2), torch.randn(64, 1)
    expected = train.new_state(seed=1)
    train.fit(*data, batch_size=5, epochs=200, seed=2, state=expected)
    states = [train.new_state(seed=1) for _ in range(4)]
    threads = [
        threading.Thread(
            target=train.fit, args=data, kwargs={"batch_size": 5, "epochs": 200, "seed": 2, "state": state}
        )
        for state in states
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for state in states:
        for name in expected:
            assert_same(state[name], expected[name], name, bits=True)


def test_an_interrupt_ends_a_run_within_a_second() -> None:
    """At no moment is the State half updated: all counters have counted the same steps."""
    x = graphc.placeholder("x", ("n", 2))
    counters = [Parameter(torch.zeros(k % 3 + 1, 2), name=f"p{k}") for k in range(8)]
    updates = {p: p + 1.0 + x.sum() * 0.0 for p in counters}
    train = graphc.compile([x], x.sum(), updates, backend="c")
    data = torch.ones(50, 2)
    train.fit(data, batch_size=2, epochs=1)
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for k in range(5):
            timer = threading.Timer(0.1 + 0.017 * k, signal.raise_signal, (signal.SIGINT,))
            start = time.monotonic()
            timer.start()
            with stopped():
                train.fit(data, batch_size=2, epochs=10**6)
            assert time.monotonic() - start < 2.0
            found = {value for p in counters for value in p.value.flatten().tolist()}
            assert len(found) == 1, "half updated"
            train(data[:2])  # the State is free
    finally:
        signal.signal(signal.SIGINT, outer)


@pytest.mark.parametrize("kept", [1, 3, 4096])
def test_a_run_is_the_same_however_often_it_comes_back(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the middle of validation, of which one pass is longer than an epoch here."""
    train = program()
    data, held_out = (torch.randn(64, 2), torch.randn(64, 1)), (torch.randn(900, 2), torch.randn(900, 1))
    expected, state = train.new_state(seed=1), train.new_state(seed=1)
    options = {"batch_size": 5, "epochs": 10, "seed": 2, "validation": held_out}
    history = train.fit(*data, state=expected, **options)
    monkeypatch.setattr(loop, "BUDGET", 0.0)
    monkeypatch.setattr(loop, "KEPT_EPOCHS", kept)
    calls = []
    advance = loop.NativeLoop.advance
    monkeypatch.setattr(loop.NativeLoop, "advance", lambda self, epochs: (calls.append(epochs), advance(self, epochs)))
    again = train.fit(*data, state=state, **options)
    assert len(calls) > 15, "more than once in an epoch"
    assert again.metrics == history.metrics
    assert list(history.metrics) == ["loss", "validation_loss"]
    assert all(0 < seconds < 1 for seconds in again.seconds)
    for name in state:
        assert_same(state[name], expected[name], name, bits=True)


def test_validation_sees_the_parameters_of_its_epoch() -> None:
    """Also those that native code works on in a copy, and training goes on from them."""
    data = torch.randn(64, 2), torch.randn(64, 1)
    native, expected = (
        program(each).fit(*data, batch_size=5, epochs=4, validation=data) for each in ("c", "reference")
    )
    for name in ("loss", "validation_loss"):
        assert native[name] == pytest.approx(expected[name], rel=1e-5)


def test_validation_is_part_of_the_native_run(monkeypatch: pytest.MonkeyPatch) -> None:
    train = program()
    data = torch.randn(64, 2), torch.randn(64, 1)
    calls = []
    advance = loop.NativeLoop.advance
    monkeypatch.setattr(loop.NativeLoop, "advance", lambda self, epochs: (calls.append(epochs), advance(self, epochs)))
    train.fit(*data, batch_size=5, epochs=10, validation=data)
    assert set(calls) == {10}
    assert len(calls) < 5, "Python would be asked after each epoch"
