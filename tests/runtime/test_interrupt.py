"""Ctrl-C: it ends a run within a second, at no moment is a State half updated, and the handler is as it was before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
import torch

import graphc
from graphc import Parameter, Program, State, StateError, Variable
from graphc.runtime.interrupt import DeferredInterrupt
from tools.proving import interrupts


@pytest.fixture(autouse=True)
def handler() -> Iterator[object]:
    """Each test starts with Python's own handler and has to leave it there."""
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    left = signal.signal(signal.SIGINT, outer)
    assert left is signal.default_int_handler


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


@contextmanager
def stopped() -> Iterator[list[KeyboardInterrupt]]:
    """Ctrl-C comes out of what is inside."""
    found: list[KeyboardInterrupt] = []
    try:
        yield found
    except KeyboardInterrupt as error:
        found.append(error)
    assert found, "no interrupt came out"


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Ctrl-C from outside, after a while."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        yield
        time.sleep(10)  # should the interrupt come late
    finally:
        timer.cancel()


# DeferredInterrupt ----------------------------------------------------------------------------------------------------


def test_an_interrupt_waits() -> None:
    reached = False
    with stopped(), DeferredInterrupt() as deferred:
        interrupt()
        interrupt()
        assert deferred.requested
        reached = True
    assert reached


def test_without_an_interrupt_nothing_happens(handler: object) -> None:
    with DeferredInterrupt() as deferred:
        assert signal.getsignal(signal.SIGINT) is not handler
    assert not deferred.requested
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_error_inside_comes_out() -> None:
    with pytest.raises(ValueError, match="inside"), DeferredInterrupt():
        raise ValueError("inside")


def test_an_interrupt_goes_before_an_error() -> None:
    with stopped() as found, DeferredInterrupt():
        interrupt()
        raise ValueError("inside")
    assert isinstance(found[0].__context__, ValueError)


def test_the_innermost_waits_for_the_outermost() -> None:
    order = []
    with stopped(), DeferredInterrupt():
        with DeferredInterrupt():
            interrupt()
            order.append("inner")
        order.append("outer")
    assert order == ["inner", "outer"]


def test_a_handler_of_the_user_is_called_once_and_stays() -> None:
    calls: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        calls.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        with DeferredInterrupt():
            interrupt()
            interrupt()
            assert calls == []
        assert calls == [signal.SIGINT]
        assert signal.getsignal(signal.SIGINT) is note
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("kind", [signal.SIG_IGN, signal.SIG_DFL])
def test_what_is_no_handler_is_left_alone(kind: Any) -> None:
    before = signal.signal(signal.SIGINT, kind)
    try:
        with DeferredInterrupt() as deferred:
            assert signal.getsignal(signal.SIGINT) is kind
        assert not deferred.requested
        assert signal.getsignal(signal.SIGINT) is kind
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_part_in_it(handler: object) -> None:
    found: list[object] = []

    def work() -> None:
        with DeferredInterrupt():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [handler]


def test_it_costs_little() -> None:
    """Every updating call pays for it."""
    best = min(_seconds_of(lambda: DeferredInterrupt().__enter__().__exit__(None, None, None)) for _ in range(20))
    assert best < 20e-6


def _seconds_of(f: Callable[[], object], times: int = 200) -> float:
    start = time.perf_counter()
    for _ in range(times):
        f()
    return (time.perf_counter() - start) / times


# A State is whole -----------------------------------------------------------------------------------------------------

COUNT = 12


def counting(backend: str) -> Program:
    """Each step adds 1 to many parameters and slots, by formulas of several kinds: packed, apart, copied at the end."""
    x = graphc.placeholder("x", ("n", 2))
    one = x.sum() * 0.0 + 1.0
    updates: dict[Variable, graphc.Tensor] = {}
    for k in range(COUNT):
        p = Parameter(torch.zeros(k % 3 + 1, 2), name=f"p{k}")
        match k % 4:
            case 0:
                updates[p] = p + 1.0
            case 1:
                updates[p] = p + one
            case 2:
                updates[p] = (p.T * 0.5 + one * 0.5).T * 2.0
            case 3:
                slot = Variable(torch.zeros(p.shape), name=f"slot{k}")
                updates[p] = slot + one
                updates[slot] = p + one
        updates[Variable(torch.zeros((), dtype=torch.int64), name=f"count{k}")] = None  # type: ignore[assignment]
    counts = [variable for variable, value in updates.items() if value is None]
    updates |= {variable: variable + 1 for variable in counts}
    return graphc.compile([x], x.sum(), updates, backend=backend)


def steps_of(state: State) -> float:
    """How many steps a State has seen, which all its values have to agree on."""
    found = {round(value, 3) for name in state for value in state[name].double().flatten().tolist()}
    assert len(found) == 1, f"half updated: {found}"
    return found.pop()


X = torch.ones(3, 2)


def test_an_interrupt_at_any_line_of_a_plan_finds_the_state_whole() -> None:
    program = counting("torch")
    program(X)
    lines = program.source.count("\n")
    reached = 0
    for line in range(1, lines + 1):
        before = steps_of(program.state)
        hit = False

        def trace(frame: FrameType, event: str, argument: object, line: int = line) -> Any:
            nonlocal hit
            if frame.f_code.co_filename == "<graphc torch plan>":
                if event == "line" and frame.f_lineno == line and not hit:
                    hit = True
                    interrupt()
                return trace
            return None

        outer = sys.gettrace()
        sys.settrace(trace)
        try:
            program(X)
        except KeyboardInterrupt:
            assert hit
        else:
            assert not hit, f"the interrupt at line {line} was lost"
        finally:
            sys.settrace(outer)
        reached += hit
        assert steps_of(program.state) == before + 1
    assert reached > COUNT, "the test looks where the plan is"
    program(X)


@pytest.mark.parametrize("run", ["call", "fit"])
def test_an_interrupt_at_any_line_of_the_runtime_leaves_the_state_free(run: str) -> None:
    """Each line of `graphc` that a call runs, the first time it is reached."""
    program = counting("torch")
    runs: dict[str, Callable[[], object]] = {
        "call": lambda: program(X),
        "fit": lambda: program.fit(X, batch_size=2, epochs=2, validation=[X]),
    }
    runs[run]()
    lines: set[tuple[str, int]] = set()
    done = False
    while not done:
        done = True

        def trace(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal done
            place = frame.f_code.co_filename, frame.f_lineno
            if done and "graphc" in place[0] and "tests" not in place[0] and place not in lines:
                lines.add(place)
                done = False
                interrupt()
            return trace

        outer = sys.gettrace()
        sys.settrace(trace)
        try:
            runs[run]()
        except KeyboardInterrupt:
            assert not done
        finally:
            sys.settrace(outer)
        steps_of(program.state)
        program(X)
    assert len(lines) > 50, "the test looks where the runtime is"


def test_interrupts_of_single_calls(backend: str) -> None:
    program = counting(backend)
    program(X)
    for k in range(15):
        with stopped(), interrupted_after(0.003 + 0.0013 * k):
            while True:
                program(X)
        steps_of(program.state)
    program(X)  # the State is free


def test_an_interrupt_of_fit(backend: str) -> None:
    program = counting(backend)
    data = torch.ones(50, 2)
    for k in range(5):
        with stopped(), interrupted_after(0.02 + 0.003 * k):
            program.fit(data, batch_size=2, epochs=10**9)
        assert steps_of(program.state) > 0
    start = steps_of(program.state)
    program.fit(data, batch_size=10, epochs=2)
    assert steps_of(program.state) == start + 10


def test_an_interrupt_in_a_callback_ends_the_run(handler: object) -> None:
    program = counting("torch")
    seen: list[object] = []

    def on_epoch(epoch: graphc.runtime.Epoch) -> None:
        seen.append(signal.getsignal(signal.SIGINT))
        if epoch.number == 3:
            interrupt()

    with stopped():
        program.fit(torch.ones(4, 2), batch_size=2, epochs=100, on_epoch=on_epoch)
    assert seen == [handler] * 3
    assert steps_of(program.state) == 6
    program(X)


def test_a_handler_that_a_callback_installs_stays(handler: object) -> None:
    program = counting("torch")
    seen: list[object] = []

    def mine(number: int, frame: object) -> None:
        """Nothing."""

    def on_epoch(epoch: graphc.runtime.Epoch) -> None:
        seen.append(signal.getsignal(signal.SIGINT))
        signal.signal(signal.SIGINT, mine)

    program.fit(torch.ones(4, 2), batch_size=2, epochs=3, on_epoch=on_epoch)
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is mine
    assert seen == [handler, mine, mine]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_process_that_another_thread_forks_hears_interrupts(handler: object) -> None:
    """While the main thread is in a run, whose handler the child would keep for ever."""
    program, children = counting("torch"), []

    def fork() -> None:
        child = os.fork()
        if not child:
            os._exit(0 if signal.getsignal(signal.SIGINT) is handler else 1)
        children.append(child)

    with DeferredInterrupt():
        thread = threading.Thread(target=fork)
        thread.start()
        thread.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0]
    assert signal.getsignal(signal.SIGINT) is handler
    program(X)


def test_a_handler_that_returns_ends_the_run_all_the_same() -> None:
    """After the last whole epoch: none is cut short and counted as whole."""
    program = counting("torch")
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        with interrupted_after_steps(program, 11):
            history = program.fit(torch.ones(8, 2), batch_size=1, epochs=4)
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]
    assert history.epochs == 1
    assert steps_of(program.state) == 11


@contextmanager
def interrupted_after_steps(program: Program, count: int) -> Iterator[None]:
    """Ctrl-C within the step of that number."""
    step, done = program.step, 0

    def counted(*arguments: Any) -> Any:
        nonlocal done
        done += 1
        if done == count:
            interrupt()
        return step(*arguments)

    vars(program)["step"] = counted
    yield


def test_fit_stops_after_the_step_at_hand() -> None:
    program = counting("torch")
    with stopped(), interrupted_after_steps(program, 3):
        program.fit(torch.ones(8, 2), batch_size=1, epochs=4)
    assert steps_of(program.state) == 3


def test_validation_is_interrupted_too() -> None:
    program = counting("torch")
    with stopped(), interrupted_after_steps(program.evaluation, 2):
        program.fit(torch.ones(8, 2), batch_size=4, epochs=4, validation=[torch.ones(9, 2)])
    assert steps_of(program.state) == 2


def test_a_refused_call_delivers_the_interrupt() -> None:
    """Whatever else goes wrong."""
    program = counting("torch")
    with interrupted_after_steps(program, 1), stopped() as found:
        program(torch.ones(3, 3))
    assert isinstance(found[0].__context__, graphc.InputError)
    with program.running(program.state), pytest.raises(StateError, match="being updated"):
        program(X)


LONG = """
import torch, graphc
from graphc import nn, optim
x = graphc.placeholder("x", ("n", 200))
net = nn.Sequential(nn.Linear(200, 400), nn.Tanh(), nn.Linear(400, 1))
loss = net(x).square().mean()
train = graphc.compile([x], loss, optim.Adam(net.parameters()).minimize(loss))
data = torch.randn(20000, 200)
print("running", flush=True)
try:
    train.fit(data, batch_size=50, epochs=10**9)
except KeyboardInterrupt:
    print("stopped", train.state["step"].item() > 0, flush=True)
    raise
"""


def test_a_long_run_ends_within_a_second() -> None:
    process = subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.3)
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "stopped True\n"
    assert time.monotonic() - start < 1.0
    _, errors = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in errors
    assert process.returncode == -signal.SIGINT


def test_a_state_that_is_not_whole_is_noticed_after_many_steps() -> None:
    """By the proof, which does more steps again than it has time for one by one."""
    program, data = interrupts.trained("c", "small"), interrupts.data("small")
    start = program.new_state(seed=1)
    state = start.copy()
    program.fit(data, batch_size=interrupts.SIZES["small"][1], epochs=100, seed=interrupts.SEED, state=state)
    again = start.copy()
    assert interrupts.done_again(program, "small", start, state) == 100 * interrupts.BATCHES > interrupts.MOST_STEPS
    state["0.bias"][0] += 1e-6
    with pytest.raises(AssertionError, match=r"^after 500 steps, .* is not whole"):
        interrupts.done_again(program, "small", again, state)
