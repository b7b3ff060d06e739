"""Many runs at once: each as alone, bit for bit; what is kept, what fails, what Ctrl-C leaves."""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import InputError, Outcome, Program, Run, State, StateError, Sweep, SweepError, nn, optim
from graphc.runtime import runner
from graphc.runtime import sweep as sweeping
from tests.judge import Array, assert_same


def problem(backend: str = "c", dropout: float = 0.0, width: int = 5) -> Program:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, 1), nn.Sigmoid())
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    prob = net(x)
    outputs = {"loss": nn.BCELoss()(prob, y), "right": ((prob > 0.5) == (y > 0.5)).to(torch.float32).mean()}
    updates = optim.Adam(net.parameters(), lr=0.05).minimize(outputs["loss"])
    return graphc.compile([x, y], outputs, updates, backend=backend)


def data(count: int = 20, seed: int = 0) -> tuple[Array, Array]:
    x = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, :1] * x[:, 1:] > 0).float()


def same_values(a: State, b: State) -> None:
    assert list(a) == list(b)
    for name in a:
        assert_same(a[name], b[name], name, bits=True)


def same(a: Outcome, b: Outcome) -> None:
    same_values(a.state, b.state)
    assert a.history.metrics == b.history.metrics
    assert a.history.steps == b.history.steps


# Each run is what it would be alone -----------------------------------------------------------------------------------


def test_a_run_is_fit(backend: str) -> None:
    program = problem(backend)
    x, y = data()
    [outcome] = Sweep([Run(program, x, y, batch_size=4, epochs=3, seed=7)]).fit()
    alone = program.new_state(seed=7)
    history = program.fit(x, y, batch_size=4, epochs=3, seed=7, state=alone)
    same_values(outcome.state, alone)
    assert outcome.history.metrics == history.metrics
    assert outcome.history.epochs == 3
    assert len(outcome.history.seconds) == 3


def various(backend: str = "c") -> list[Run]:
    """Runs that differ in all that runs may differ in: program, data and their number, hyper-parameters, seeds, …"""
    plain, dropping, wide = problem(backend), problem(backend, dropout=0.3), problem(backend, width=17)
    start = plain.new_state(seed=100)
    runs = []
    for seed in range(4):
        runs += [
            Run(plain, *data(), batch_size=4, epochs=5, seed=seed),
            Run(plain, *data(13, seed), batch_size=5, epochs=3, seed=seed, hyper={"lr": 0.01 * (seed + 1)}),
            Run(dropping, *data(), batch_size=7, epochs=4, seed=seed, validation=data(9, 50)),
            Run(wide, *data(30), batch_size=30, epochs=6, shuffle=False, seed=seed),
            Run(plain, *data(), batch_size=4, epochs=2, seed=seed, state=start, hyper={"beta1": 0.5, "lr": 1}),
            Run(plain, *data(8), batch_size=4, epochs=0, seed=seed),
        ]
    return runs


def alone(run: Run) -> Outcome:
    """What `fit` itself makes of it."""
    state = run.start()
    history = run.program.fit(
        *run.data,
        batch_size=run.batch_size,
        epochs=run.epochs,
        shuffle=run.shuffle,
        seed=run.seed,
        state=state,
        validation=run.validation,
    )
    return Outcome(run, state, history)


def test_any_number_of_workers_gives_the_same_bits() -> None:
    runs = various()
    expected = list(map(alone, runs))
    for workers in (1, 2, 5, 100):
        for ours, theirs in zip(Sweep(runs).fit(workers=workers), expected, strict=True):
            same(ours, theirs)
    for ours, theirs in zip(Sweep(reversed(runs)).fit(), reversed(expected), strict=True):
        same(ours, theirs)
    assert len({outcome.state["0.weight"].sum().item() for outcome in expected}) > 12, "the runs do differ"


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_other_backends(backend: str) -> None:
    runs = various(backend)[:6]
    for ours, run in zip(Sweep(runs).fit(workers=3), runs, strict=True):
        same(ours, alone(run))


def test_hyper_parameters_are_set_by_name_or_handle() -> None:
    torch.manual_seed(0)
    net = nn.Linear(2, 1)
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    loss = nn.MSELoss()(net(x), y)
    first, second = optim.SGD([net.weight], lr=0.1), optim.SGD([net.bias], lr=0.1)
    program = graphc.compile([x, y], loss, first.minimize(loss) | second.minimize(loss))
    run = Run(program, *data(), batch_size=5, epochs=2, hyper={first.lr: 0.25, second.lr: 0})
    [outcome] = Sweep([run]).fit()
    assert outcome.state[first.lr] == 0.25
    assert torch.equal(outcome.state["bias"], program.new_state(seed=0)["bias"])
    assert first.lr.value == 0.1
    with pytest.raises(StateError, match="2 cells are called 'lr'"):
        Run(program, *data(), batch_size=5, epochs=2, hyper={"lr": 1})


def test_a_state_that_is_given_stays_as_it_is() -> None:
    program = problem()
    start = program.new_state(seed=3)
    before = start.copy()
    runs = [Run(program, *data(), batch_size=4, epochs=3, seed=seed, state=start) for seed in range(3)]
    outcomes = Sweep(runs).fit()
    same_values(start, before)
    assert len({outcome.state["0.weight"].sum().item() for outcome in outcomes}) == 3
    default = program.state.copy()
    Sweep([Run(program, *data(), batch_size=4, epochs=3)]).fit()
    same_values(program.state, default)


def test_runs_do_not_touch_torchs_settings() -> None:
    runs = various()
    generator, threads = torch.get_rng_state(), torch.get_num_threads()
    Sweep(runs).fit(workers=3)
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.get_num_threads() == threads
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert found == [threads], "nor what later threads begin with"


def test_denormals_are_flushed_as_where_fit_was_called() -> None:
    w, x = graphc.Parameter(torch.tensor([1e-30]), name="w"), graphc.placeholder("x", ("batch",))
    loss = (w * x).sum()
    program = graphc.compile([x], loss, optim.SGD([w], lr=0.0).minimize(loss), backend="c")
    runs = [Run(program, torch.full((4,), 1e-10), batch_size=1, epochs=1)] * 2

    def losses() -> list[float]:
        return [outcome.history["loss"][0] for outcome in Sweep(runs).fit(workers=2)]

    assert losses() == [pytest.approx(1e-40, rel=1e-4)] * 2
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor does not flush denormals")
    try:
        assert losses() == [0.0, 0.0]
    finally:
        torch.set_flush_denormal(False)


def test_each_run_has_the_threads_it_was_compiled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    x = graphc.placeholder("x", ("batch",))
    found: list[int] = []
    for threads in (None, 1, 2):
        program = graphc.compile([x], x.sum(), threads=threads)
        run = Run(
            program, torch.ones(3), batch_size=1, epochs=1, on_epoch=lambda _: found.append(torch.get_num_threads())
        )
        Sweep([run]).fit()
    assert found == [1, 1, 2]


def test_workers_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    x = graphc.placeholder("x", ("batch",))

    def count(**options: Any) -> int:
        program = graphc.compile([x], x.sum(), **options)
        return sweeping.default_workers([Run(program, torch.ones(3), batch_size=1, epochs=1)])

    assert count(backend="c") == 8
    assert count(backend="c", threads=4) == 2
    assert count(backend="c", threads=16) == 1
    assert count(backend="torch") == 1


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_callbacks_that_draw_do_not_disturb_other_runs(workers: int) -> None:
    """Initial values come from a generator of their own, and torch's is left to the callbacks."""
    program = problem(width=64)

    def draw(epoch: graphc.Epoch) -> None:
        torch.rand(100)

    runs = [Run(program, *data(), batch_size=20, epochs=5, seed=seed, on_epoch=draw) for seed in range(40)]
    for run, outcome in zip(runs, Sweep(runs).fit(workers=workers)):
        alone = program.new_state(seed=run.seed)
        program.fit(*data(), batch_size=20, epochs=5, seed=run.seed, state=alone)
        same_values(outcome.state, alone)


def test_a_program_is_not_used_by_its_default_state() -> None:
    """What the default State has become is in no run that does not ask for it."""
    program = problem()
    fresh = program.new_state(seed=0)
    program.fit(*data(), batch_size=4, epochs=3)
    program.state["lr"] = 0.7
    run = Run(program, *data(), batch_size=4, epochs=1)
    same_values(run.start(), fresh)
    asked = Run(program, *data(), batch_size=4, epochs=1, state=program.state).start()
    same_values(asked, program.state)
    assert asked["lr"] == 0.7


@pytest.mark.parametrize("value", [0.25, 1, True, numpy.float32(0.25), numpy.int64(2), torch.tensor(0.25)])
def test_any_number_is_a_hyper_parameter(value: float) -> None:
    run = Run(problem(), *data(), batch_size=4, epochs=1, hyper={"lr": value})
    assert run.start()["lr"] == float(value)


def test_the_longest_runs_come_first() -> None:
    program, wide = problem(), problem(width=40)
    order: list[int] = []
    lengths = [(program, 3, 20), (program, 9, 20), (program, 1, 20), (wide, 3, 20), (program, 3, 40), (program, 3, 20)]
    runs = [
        Run(of, *data(count), batch_size=4, epochs=epochs, on_epoch=lambda epoch, i=i: order.append(i))  # type: ignore[misc]
        for i, (of, epochs, count) in enumerate(lengths)
    ]
    Sweep(runs).fit(workers=1)
    assert list(dict.fromkeys(order)) == [3, 1, 4, 0, 5, 2]


def test_workspaces_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    x = graphc.placeholder("x", ("batch", 2))
    predict = graphc.compile([x], nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 1))(x))
    states = [predict.new_state(seed=seed) for seed in range(30)]
    points = torch.randn(1000, 2)
    expected = [predict(points, state=states[0])]
    [pool] = predict._pools.values()
    monkeypatch.setattr(runner, "KEPT_BYTES", 10 * pool.nbytes())
    expected += [predict(points, state=state) for state in states[1:]]
    for _ in range(2):
        for state, result in zip(states, expected):
            assert_same(predict(points, state=state), result, bits=True)
            assert 0 < sum(pool.nbytes() for pool in predict._pools.values()) <= runner.KEPT_BYTES


def test_states_are_drawn_by_many_threads() -> None:
    program = problem(width=50)
    expected = [program.new_state(seed=seed)["0.weight"] for seed in range(40)]
    found: dict[int, Array] = {}

    def draw(first: int) -> None:
        for seed in range(first, 40, 4):
            found[seed] = program.new_state(seed=seed)["0.weight"]

    threads = [threading.Thread(target=draw, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, weight in enumerate(expected):
        assert_same(found[seed], weight, bits=True)


# What is kept ---------------------------------------------------------------------------------------------------------


def test_keep() -> None:
    program = problem()
    runs = [Run(program, *data(), batch_size=4, epochs=2, seed=seed) for seed in range(5)]
    outcomes = Sweep(runs).fit()
    sweep = Sweep(runs, keep=lambda outcome: (outcome.run.seed, outcome.history["loss"][-1]))
    assert sweep.fit() == [(run.seed, outcome.history["loss"][-1]) for run, outcome in zip(runs, outcomes)]
    assert sweep.results == sweep.fit(), "what is done is not done again"
    assert [outcome.run for outcome in outcomes] == runs


def test_what_is_not_kept_goes() -> None:
    program = problem()
    seen: list[weakref.ref[State]] = []

    def keep(outcome: Outcome) -> int:
        gc.collect()
        assert all(state() is None for state in seen), "a State outlives its run"
        seen.append(weakref.ref(outcome.state))
        return 0

    runs = [Run(program, *data(), batch_size=4, epochs=2, seed=seed) for seed in range(4)]
    assert Sweep(runs, keep).fit(workers=1) == [0] * 4
    gc.collect()
    assert all(state() is None for state in seen)


def test_more_than_memory_holds() -> None:
    program = problem()
    run = Run(program, *data(), batch_size=4, epochs=10**6)
    assert run.nbytes == pytest.approx(32 * 3 * 10**6, rel=0.01)
    small = Run(program, *data(), batch_size=4, epochs=0).nbytes
    assert small > 700 * len(program.state), "tensors have more than their values"
    run = Run(program, *data(), batch_size=4, epochs=10**9)
    with pytest.raises(
        InputError, match=r"what 2,000 runs leave behind takes 192\.0 TB, and .* can be had\. Say with keep="
    ):
        Sweep([run] * 2000)
    assert len(Sweep([run] * 2000, keep=lambda outcome: None)) == 2000


def test_memory_is_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [Run(problem(), *data(), batch_size=4, epochs=10**6)] * 2
    assert len(Sweep(runs)) == 2
    monkeypatch.setenv("GRAPHC_MEMORY", "100000000")
    with pytest.raises(InputError, match=r"2 runs leave behind takes 192\.0 MB, and 100\.0 MB can be had"):
        Sweep(runs)


def test_an_empty_sweep() -> None:
    assert Sweep([]).fit() == []


def test_predictions_of_an_ensemble() -> None:
    torch.manual_seed(0)
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid())
    prob = net(x)
    loss = nn.BCELoss()(prob, y)
    train = graphc.compile([x, y], loss, optim.Adam(net.parameters(), lr=0.05).minimize(loss))
    predict = graphc.compile([x], prob)
    members = Sweep(Run(train, *data(200), batch_size=10, epochs=40, seed=seed) for seed in range(6)).fit()
    points, truth = data(500, 9)
    each = torch.stack([predict(points, state=member.state) for member in members])
    errors = ((each > 0.5) != (truth > 0.5)).float().mean(dim=(1, 2))
    together = ((each.mean(dim=0) > 0.5) != (truth > 0.5)).float().mean()
    assert together < 0.2
    assert together <= errors.mean()
    assert each.std(dim=0).mean() > 0.001


# What fails -----------------------------------------------------------------------------------------------------------


class _ItBrokeError(Exception):
    pass


def test_a_run_that_fails_lets_the_others_go_on() -> None:
    program = problem()
    broken = [True]

    def fail(epoch: graphc.Epoch) -> None:
        if broken[0] and epoch.number == 2:
            raise _ItBrokeError("in epoch 2")

    runs = [
        Run(program, *data(), batch_size=4, epochs=3, seed=seed, on_epoch=fail if seed % 3 == 1 else None)
        for seed in range(6)
    ]
    sweep = Sweep(runs)
    with pytest.raises(SweepError, match="2 of 6 runs failed; the others are done") as caught:
        sweep.fit(workers=2)
    assert "run 1, <run: seed 1, 3 epochs in batches of 4>: _ItBrokeError: in epoch 2" in str(caught.value)
    assert sorted(caught.value.errors) == [1, 4]
    assert isinstance(caught.value.__cause__, _ItBrokeError)
    assert [result is None for result in sweep.results] == [False, True, False, False, True, False]
    assert sweep.done == 4
    kept = sweep.results[0]
    broken[0] = False
    outcomes = sweep.fit()
    assert outcomes[0] is kept
    for outcome, run in zip(outcomes, runs):
        same(outcome, Sweep([Run(program, *data(), batch_size=4, epochs=3, seed=run.seed)]).fit()[0])


def test_many_failures_are_told_in_few_lines() -> None:
    def fail(outcome: Outcome) -> None:
        raise _ItBrokeError

    runs = [Run(problem(), *data(), batch_size=4, epochs=1, seed=seed) for seed in range(9)]
    with pytest.raises(SweepError, match="9 of 9 runs failed") as caught:
        Sweep(runs, keep=fail).fit()
    assert len(str(caught.value).splitlines()) == 5
    assert len(caught.value.errors) == 9


def test_an_exit_is_an_exit() -> None:
    def leave(epoch: graphc.Epoch) -> None:
        sys.exit(3)

    runs = [Run(problem(), *data(), batch_size=4, epochs=1, on_epoch=leave)] * 2
    with pytest.raises(SystemExit, match="3"):
        Sweep(runs).fit()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_size": 0}, InputError, "batch_size is an integer of 1 or more, not 0"),
        ({"epochs": -1}, InputError, "epochs is an integer of 0 or more"),
        ({"seed": "x"}, InputError, "seed is an integer"),
        ({"hyper": {"speed": 1}}, StateError, "'speed' is no hyper-parameter here; there are 'beta1', "),
        ({"hyper": {"lr": "fast"}}, StateError, "hyper-parameter 'lr' is a finite number, not 'fast'"),
        ({"hyper": {"lr": float("nan")}}, StateError, "hyper-parameter 'lr' is a finite number, not nan"),
        ({"hyper": {"lr": 10**400}}, StateError, "hyper-parameter 'lr' is a finite number"),
        ({"hyper": {"lr": torch.ones(2)}}, StateError, "hyper-parameter 'lr' is a finite number"),
        ({"hyper": ["lr"]}, StateError, "hyper is a list, not a mapping such as"),
        ({"state": {}}, StateError, "state is a dict, not a graphc State"),
        ({"state": graphc.State((), {})}, StateError, "this State has no value for parameter '0.weight'"),
        ({"seed": 2**64}, InputError, "a seed of initial values is below"),
        ({"on_epoch": 3}, InputError, "on_epoch is a int, which cannot be called"),
        ({"validation": (torch.ones(3, 2),)}, InputError, "validation has 1 tensors, the program takes 2"),
    ],
)
def test_runs_are_checked_when_they_are_made(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Run(problem(), *data(), **{"batch_size": 4, "epochs": 2, **options})


def test_more_that_is_refused() -> None:
    program = problem()
    with pytest.raises(InputError, match="data has 1 tensors, the program takes 2: x, y"):
        Run(program, data()[0], batch_size=4, epochs=2)
    with pytest.raises(InputError, match="program is a function, not what"):
        Run(problem, *data(), batch_size=4, epochs=2)  # type: ignore[arg-type]
    run = Run(program, *data(), batch_size=4, epochs=2)
    with pytest.raises(InputError, match="run 1 is a int, not a graphc"):
        Sweep([run, 3])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"runs is a graphc.Run, not a list of graphc\.Run"):
        Sweep(run)  # type: ignore[call-overload]
    with pytest.raises(InputError, match="keep is a int, which cannot be called"):
        Sweep([run], keep=3)  # type: ignore[call-overload]
    x = graphc.placeholder("x", ("n",))
    pairs = graphc.compile([x], x[3:].sum())
    with pytest.raises(InputError, match=r"slice: needs n >= 3, but n = 2"):
        Run(pairs, torch.ones(8), batch_size=2, epochs=1)
    for workers in (0, True, "2"):
        with pytest.raises(InputError, match="workers is an integer of 1 or more"):
            Sweep([run]).fit(workers=workers)  # type: ignore[arg-type]


# Ctrl-C ---------------------------------------------------------------------------------------------------------------


@contextmanager
def stopped() -> Iterator[None]:
    """Ctrl-C comes out of what is inside."""
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
        pytest.fail("no interrupt came out")
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, outer)


@pytest.mark.parametrize("backend", ["c", "torch"])
def test_ctrl_c_keeps_what_is_finished(backend: str) -> None:
    program = problem(backend)
    x, y = data(100)
    quick = [Run(program, x, y, batch_size=50, epochs=1, seed=seed) for seed in range(4)]
    endless = [Run(program, x, y, batch_size=50, epochs=10**8, seed=seed) for seed in range(2)]
    quick_ones = threading.Event()

    def keep(outcome: Outcome) -> Outcome:
        if sweep.done >= 3:
            quick_ones.set()
        return outcome

    for run in endless:
        run._work = 0.0  # so that they come last
    sweep = Sweep([*quick, *endless], keep)

    def press() -> None:
        quick_ones.wait(60)
        time.sleep(0.3)
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    pressed: list[float] = []
    presser = threading.Thread(target=press)
    presser.start()
    with stopped():
        sweep.fit(workers=2)
    ended = time.perf_counter()
    presser.join()
    assert ended - pressed[0] < 1
    assert [result is not None for result in sweep.results] == [True] * 4 + [False] * 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("graphc-sweep")]
    for result, run in zip(sweep.results, quick):
        assert result is not None
        same(result, Sweep([run]).fit()[0])


def test_ctrl_c_reaches_a_sweep_within_a_sweep() -> None:
    program = problem()
    endless = Run(program, *data(), batch_size=4, epochs=10**8)
    inner: list[Sweep[Outcome]] = []

    def keep(outcome: Outcome) -> None:
        inner.append(Sweep([endless, endless]))
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        inner[0].fit()

    start = time.perf_counter()
    with stopped():
        Sweep([Run(program, *data(), batch_size=4, epochs=1)], keep).fit()
    assert time.perf_counter() - start < 10
    assert inner[0].done == 0
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("graphc-sweep")]


def test_two_calls_at_once_are_refused() -> None:
    program = problem()
    refused: list[str] = []

    def again(epoch: graphc.Epoch) -> None:
        try:
            sweep.fit()
        except StateError as error:
            refused.append(str(error))

    sweep = Sweep([Run(program, *data(), batch_size=4, epochs=1, on_epoch=again)])
    sweep.fit()
    assert refused == ["this Sweep is being done by another call of fit"]


def test_what_ctrl_c_cut_is_done_again_from_its_beginning() -> None:
    program = problem()
    press = [True]

    def interrupt(epoch: graphc.Epoch) -> None:
        if press and epoch.number == 5:
            press.clear()
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    runs = [Run(program, *data(), batch_size=4, epochs=50, seed=seed, on_epoch=interrupt) for seed in range(3)]
    sweep = Sweep(runs)
    with stopped():
        sweep.fit(workers=1)
    assert sweep.done == 0
    for outcome, seed in zip(sweep.fit(), range(3)):
        same(outcome, Sweep([Run(program, *data(), batch_size=4, epochs=50, seed=seed)]).fit()[0])


# The bar --------------------------------------------------------------------------------------------------------------


def test_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    runs = [Run(problem(), *data(), batch_size=4, epochs=3, seed=seed) for seed in range(3)]
    Sweep(runs).fit()
    assert stream.getvalue() == ""
    Sweep(runs).fit(progress=True)
    assert "3/3" in stream.getvalue()


def test_the_bar_follows_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, float]] = []

    @contextmanager
    def bar(runs: int, work: float, show: bool | None) -> Iterator[Callable[[int, float], None]]:
        assert (runs, show) == (2, None)
        yield lambda over, done: told.append((over, done / work))

    monkeypatch.setattr(sweeping, "sweep_bar", bar)
    monkeypatch.setattr(sweeping, "INTERVAL", 0.01)
    runs = [
        Run(problem(), *data(), batch_size=4, epochs=10, seed=seed, on_epoch=lambda epoch: time.sleep(0.02))
        for seed in range(2)
    ]
    Sweep(runs).fit(workers=1)
    assert told[-1] == (2, 1.0)
    assert told == sorted(told)
    assert any(over == 0 and 0.1 < done < 0.5 for over, done in told)
    assert any(over == 1 and 0.5 <= done < 1 for over, done in told)
