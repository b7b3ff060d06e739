"""`fit` and `evaluate`: the same as a loop by hand, what they record, show and refuse."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import InputError, Parameter, Program, State, StateError, Variable, nn, optim
from graphc.runtime import Epoch, training
from graphc.runtime.shuffle import permutation
from tests.judge import Array, assert_same

COUNT = 10
"""Samples in the data, which no batch size but 1, 2, 5 and 10 divides."""


def problem(backend: str = "torch", dtype: torch.dtype = torch.float32) -> tuple[nn.Sequential, Program]:
    """A classifier of points, with several outputs, trained by Adam."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1), nn.Sigmoid()).to(dtype)
    x, y = graphc.placeholder("x", ("batch", 2), dtype), graphc.placeholder("y", ("batch", 1), dtype)
    prob = net(x)
    loss = nn.BCELoss()(prob, y)
    right = ((prob > 0.5) == (y > 0.5)).to(torch.int64)
    outputs = {"loss": loss, "right": right.sum(), "all right": right.amin() == 1, "prob": prob}
    return net, graphc.compile([x, y], outputs, optim.Adam(net.parameters(), lr=0.05).minimize(loss), backend=backend)


def data(count: int = COUNT, dtype: torch.dtype = torch.float32) -> tuple[Array, Array]:
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, 2, generator=generator, dtype=dtype)
    return x, (x[:, :1] * x[:, 1:] > 0).to(dtype)


def same_values(a: State, b: State) -> None:
    for name in a:
        assert_same(a[name], b[name], name, bits=True)


# The loop -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 64])
@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_is_a_loop_of_calls(batch_size: int, shuffle: bool, backend: str) -> None:
    _, program = problem(backend)
    x, y = data()
    ours, state = program.new_state(), program.new_state()
    history = program.fit(x, y, batch_size=batch_size, epochs=3, shuffle=shuffle, seed=11, state=ours)
    for epoch in range(3):
        order = permutation(COUNT, 11, epoch) if shuffle else torch.arange(COUNT)
        sums = dict.fromkeys(("loss", "right", "all right"), 0.0)
        for rows in torch.split(order, batch_size):
            result = program(x[rows], y[rows], state=state)
            for name in sums:
                sums[name] += result[name].item() * len(rows)
        for name, total in sums.items():
            assert history[name][epoch] == pytest.approx(total / COUNT, rel=1e-12)
    same_values(ours, state)
    assert list(history.metrics) == ["loss", "right", "all right"], "what is not a number is not recorded"
    assert history.epochs == 3
    assert history.steps == 3 * -(-COUNT // batch_size)


def test_means_are_weighted_by_samples(backend: str) -> None:
    x = graphc.placeholder("x", ("n",))
    program = graphc.compile([x], x.mean(), backend=backend)
    values = torch.tensor([1.0, 2.0, 3.0, 4.0, 100.0])
    assert program.fit(values, batch_size=2, epochs=1)["loss"] == [22.0]
    assert program.evaluate(values, batch_size=3) == {"loss": pytest.approx(22.0)}


def recorder(n: int) -> tuple[Program, Variable]:
    """A program that writes down what it is given, one sample a step."""
    x = graphc.placeholder("x", ("batch",), torch.int64)
    log = Variable(torch.full((n,), -1), name="log")
    return graphc.compile([x], [], {log: graphc.cat([log[1:], x.sum()[None]])}), log


def orders(n: int, epochs: int, **options: Any) -> list[list[int]]:
    """The order of samples in each epoch."""
    program, log = recorder(n)
    found: list[list[int]] = []
    program.fit(
        torch.arange(n), batch_size=1, epochs=epochs, on_epoch=lambda epoch: found.append(log.value.tolist()), **options
    )
    return found


def test_the_order_of_samples() -> None:
    assert orders(7, 3, shuffle=False) == [list(range(7))] * 3
    for seed in (0, 5, 2**40):
        assert orders(7, 4, seed=seed) == [permutation(7, seed, epoch).tolist() for epoch in range(4)]
    assert orders(20, 3, seed=1) == orders(20, 3, seed=1)
    first, second, third = orders(20, 3, seed=1)
    assert len({tuple(first), tuple(second), tuple(third), tuple(orders(20, 1, seed=2)[0])}) == 4
    assert orders(20, 1) == orders(20, 1, seed=0)


def test_the_order_does_not_depend_on_torchs_generator() -> None:
    torch.manual_seed(3)
    before = orders(20, 2, seed=1)
    torch.manual_seed(4)
    state = torch.get_rng_state()
    assert orders(20, 2, seed=1) == before
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("size", [1, 50, 200])
def test_data_gathered_in_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, program = problem()
    whole, pieces = program.new_state(), program.new_state()
    program.fit(*data(), batch_size=3, epochs=3, state=whole)
    monkeypatch.setattr(training, "GATHERED_BYTES", size)
    program.fit(*data(), batch_size=3, epochs=3, state=pieces)
    same_values(whole, pieces)


def test_runs_can_be_repeated_and_continued(backend: str) -> None:
    _, program = problem(backend)
    first, second = program.new_state(seed=1), program.new_state(seed=1)
    a = program.fit(*data(), batch_size=4, epochs=4, seed=2, state=first)
    b = program.fit(*data(), batch_size=4, epochs=4, seed=2, state=second)
    assert a.metrics == b.metrics
    same_values(first, second)
    c = program.fit(*data(), batch_size=4, epochs=4, seed=2, state=second)
    assert c["loss"][0] < b["loss"][0]


def test_learning(backend: str) -> None:
    """Torch's own loop in float64 has the same losses, to rounding."""
    net, program = problem(backend, torch.float64)
    torch.manual_seed(0)
    judge = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1), torch.nn.Sigmoid())
    judge.double().load_state_dict(net.state_dict())
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.05)
    x, y = data(dtype=torch.float64)
    history = program.fit(x, y, batch_size=4, epochs=30, seed=5)
    for epoch in range(30):
        total = 0.0
        for rows in torch.split(permutation(COUNT, 5, epoch), 4):
            optimizer.zero_grad()
            loss = torch.nn.functional.binary_cross_entropy(judge(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        assert history["loss"][epoch] == pytest.approx(total / COUNT, rel=1e-10)
    assert history["loss"][-1] < history["loss"][0] / 2


def test_the_default_state_is_trained_unless_another_is_given(backend: str) -> None:
    net, program = problem(backend)
    before = net.state_dict()
    program.fit(*data(), batch_size=4, epochs=1, state=program.new_state())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    program.fit(*data(), batch_size=4, epochs=1)
    assert not any(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_no_epochs(backend: str) -> None:
    _, program = problem(backend)
    history = program.fit(*data(), batch_size=4, epochs=0)
    assert (history.epochs, history.steps, history.to_dict()) == (0, 0, {"seconds": []})
    assert program.state["step"].item() == 0


def test_data_of_other_libraries_and_strides(backend: str) -> None:
    _, program = problem(backend)
    x, y = data()
    ours, theirs = program.new_state(), program.new_state()
    program.fit(x, y, batch_size=4, epochs=2, state=ours)
    wide = torch.zeros(2, 20)
    wide[:, ::2] = x.T
    strided = wide[:, ::2].T.requires_grad_()
    program.fit(strided, numpy.asarray(y)[::-1].copy()[::-1], batch_size=4, epochs=2, state=theirs)
    same_values(ours, theirs)
    assert_same(strided.detach(), x, bits=True)


def test_modes_of_torch_do_not_matter(backend: str) -> None:
    _, program = problem(backend)
    plain, inference = program.new_state(), program.new_state()
    program.fit(*data(), batch_size=4, epochs=2, state=plain)
    with torch.inference_mode():
        program.fit(*data(), batch_size=4, epochs=1, state=inference)
    assert inference["0.weight"].isfinite().all()
    again = program.new_state()
    with torch.inference_mode():
        program.fit(*data(), batch_size=4, epochs=2, state=again)
    same_values(plain, again)


# Validation and evaluation --------------------------------------------------------------------------------------------


def test_validation_is_evaluation_after_each_epoch(backend: str) -> None:
    _, program = problem(backend)
    held_out = data(7)
    alone = program.new_state()
    expected: list[dict[str, float]] = []
    program.fit(
        *data(),
        batch_size=4,
        epochs=3,
        state=alone,
        on_epoch=lambda epoch: expected.append(program.evaluate(*held_out, batch_size=4, state=alone)),
    )
    state = program.new_state()
    history = program.fit(*data(), batch_size=4, epochs=3, state=state, validation=held_out)
    same_values(state, alone)
    assert list(history.metrics) == [*expected[0], *(f"validation_{name}" for name in expected[0])]
    for epoch, metrics in enumerate(expected):
        for name, value in metrics.items():
            assert history[f"validation_{name}"][epoch] == value


def test_validation_never_trains(backend: str) -> None:
    """Also of a program that updates without training."""
    p, x = Parameter(torch.zeros(()), name="p"), graphc.placeholder("x", ("n",))
    program = graphc.compile([x], x.mean(), {p: p + 1.0}, training=False, backend=backend)
    program.fit(torch.ones(4), batch_size=2, epochs=3, validation=[torch.ones(4)])
    assert p.value.item() == 6.0


def test_evaluation_changes_nothing(backend: str) -> None:
    _, program = problem(backend)
    before = program.new_state()
    found = program.evaluate(*data(), batch_size=3)
    whole = program.evaluate(*data())
    same_values(program.state, before)
    assert found["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    result = program(*data(), state=before)
    assert whole == {name: pytest.approx(float(result[name])) for name in ("loss", "right", "all right")}
    assert program.evaluation is program.evaluation
    assert program.evaluation.evaluation is program.evaluation, "it updates nothing already"


def test_evaluation_reads_the_state_that_it_is_given(backend: str) -> None:
    _, program = problem(backend)
    state = program.new_state(seed=4)
    assert program.evaluate(*data(), state=state) != program.evaluate(*data())
    loss = program(*data(), state=program.new_state(seed=4))["loss"].item()
    assert program.evaluate(*data(), state=state)["loss"] == pytest.approx(loss)


# Callbacks ------------------------------------------------------------------------------------------------------------


def test_on_epoch_is_told_about_each_epoch(backend: str) -> None:
    _, program = problem(backend)
    state = program.new_state()
    found: list[Epoch] = []
    history = program.fit(*data(), batch_size=4, epochs=3, state=state, validation=data(5), on_epoch=found.append)
    assert [epoch.number for epoch in found] == [1, 2, 3]
    assert all(epoch.state is state for epoch in found)
    for i, epoch in enumerate(found):
        assert epoch.metrics == {name: values[i] for name, values in history.metrics.items()}


def test_on_epoch_may_keep_what_it_is_given() -> None:
    _, program = problem()

    def spoil(epoch: Epoch) -> None:
        epoch.metrics.clear()

    assert len(program.fit(*data(), batch_size=4, epochs=2, on_epoch=spoil)["loss"]) == 2


def test_hyper_parameters_can_be_set(backend: str) -> None:
    p = Parameter(torch.zeros(()))
    x = graphc.placeholder("x", ("n",))
    loss = p + x.sum() * 0.0
    program = graphc.compile([x], loss, optim.SGD([p], lr=1.0).minimize(loss), backend=backend)
    history = program.fit(
        torch.ones(4), batch_size=2, epochs=3, on_epoch=lambda epoch: epoch.set(lr=10.0**epoch.number)
    )
    assert p.value.item() == -2.0 - 20.0 - 200.0
    assert history["loss"] == [-0.5, -7.0, -72.0]
    assert program.state["lr"].item() == 1000.0


def test_setting_what_is_not_there() -> None:
    _, program = problem()
    with pytest.raises(StateError, match=r"'rate' is no hyper-parameter here; there are ('\w+'(, )?)+\. Options that"):
        program.fit(*data(), batch_size=4, epochs=2, on_epoch=lambda epoch: epoch.set(rate=0.1))
    with pytest.raises(StateError, match=r"'0\.weight' is no hyper-parameter here"):
        program.fit(*data(), batch_size=4, epochs=2, on_epoch=lambda epoch: epoch.set(**{"0.weight": 0.1}))
    x = graphc.placeholder("x", ("n",))
    with pytest.raises(StateError, match=r"'lr' is no hyper-parameter here; there are none"):
        graphc.compile([x], x.sum()).fit(torch.ones(2), batch_size=1, epochs=1, on_epoch=lambda e: e.set(lr=1.0))


def test_a_run_can_be_stopped(backend: str) -> None:
    _, program = problem(backend)
    history = program.fit(
        *data(), batch_size=5, epochs=100, on_epoch=lambda epoch: epoch.stop() if epoch.number == 3 else None
    )
    assert history.epochs == 3
    assert program.state["step"].item() == 6


def test_callbacks_may_use_and_change_the_state(backend: str) -> None:
    """Evaluate it, keep it, restore it, train it."""
    net, program = problem(backend)
    predict = graphc.compile([x := graphc.placeholder("x", ("n", 2))], net(x), backend=backend)
    start = net.state_dict()
    seen: list[Array] = []

    def on_epoch(epoch: Epoch) -> None:
        seen.append(predict(data()[0]))
        net.load_state_dict(start)
        program(*data())
        net.load_state_dict(start)

    program.fit(*data(), batch_size=5, epochs=2, on_epoch=on_epoch)
    assert not torch.equal(seen[0], seen[1])
    assert all(torch.equal(value, start[name]) for name, value in net.state_dict().items())
    assert program.state["step"].item() == 6


def test_errors_of_callbacks_come_out_and_leave_the_state_free(backend: str) -> None:
    _, program = problem(backend)

    def fail(epoch: Epoch) -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        program.fit(*data(), batch_size=4, epochs=2, on_epoch=fail)
    program(*data())


# Progress -------------------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """Standard error as a terminal, which keeps what is written."""

    def isatty(self) -> bool:
        return True


def watched(monkeypatch: pytest.MonkeyPatch, columns: int = 70) -> Terminal:
    """From here on; a fixture would come before pytest's own capturing."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_nobody_watches_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    _, program = problem()
    program.fit(*data(), batch_size=4, epochs=2)
    program.fit(*data(), batch_size=4, epochs=2, progress=False)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_progress_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    _, program = problem()
    program.fit(*data(), batch_size=4, epochs=3, progress=True, validation=data(4))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("epoch 3/3 ")
    assert "loss 0." in captured.err
    assert "validation loss 0." in captured.err


def test_progress_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    _, program = problem()
    terminal = watched(monkeypatch)
    program.fit(*data(), batch_size=4, epochs=3, validation=data(4))
    last = re.sub(r"\x1b\[[?0-9;]*\w", "", terminal.getvalue()).split("\r")[-1]
    assert re.fullmatch(r"epoch 3/3 ━+ 0:00:00 loss 0\.\d+  right .*… *\n", last), "what does not fit is cut at the end"


def test_names_are_only_text_in_the_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    x = graphc.placeholder("x", ("n",))
    program = graphc.compile([x], {"[/x]": x.sum(), "\x1b]0;title\x07": x.sum(), "a\nb": x.sum()})
    terminal = watched(monkeypatch, columns=120)
    program.fit(torch.ones(2), batch_size=1, epochs=1)
    assert "[/x] 1  \\x1b]0;title\\x07 1  a\\nb 1" in terminal.getvalue()


def test_progress_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    _, program = problem()
    terminal = watched(monkeypatch)
    program.fit(*data(), batch_size=4, epochs=3, progress=False)
    assert terminal.getvalue() == ""


# What does not fit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"batch_size": 0}, r"fit: batch_size is an integer of 1 or more, not 0"),
        ({"batch_size": 2.0}, r"fit: batch_size is an integer of 1 or more, not 2\.0"),
        ({"batch_size": True}, r"fit: batch_size is an integer of 1 or more, not True"),
        ({"epochs": -1}, r"fit: epochs is an integer of 0 or more, not -1"),
        ({"epochs": "3"}, r"fit: epochs is an integer of 0 or more, not '3'"),
        ({"seed": -1}, r"fit: seed is an integer of 0 or more, not -1"),
        ({"seed": None}, r"fit: seed is an integer of 0 or more, not None"),
        ({"validation": data()[:1]}, r"fit: validation has 1 tensors, the program takes 2: x, y"),
        ({"validation": data()[0]}, r"fit: validation has 1 tensors, the program takes 2: x, y"),
        ({"validation": data(0)}, r"fit: validation has no samples"),
        ({"validation": (data()[1], data()[0])}, r"input 'x' has size 1 in dimension 1"),
    ],
)
def test_options_are_checked(options: dict[str, Any], match: str, backend: str) -> None:
    _, program = problem(backend)
    with pytest.raises(InputError, match=match):
        program.fit(*data(), **{"batch_size": 4, "epochs": 1, **options})
    assert program.state["step"].item() == 0, "before the first step"


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ((), r"(fit|evaluate): data has 0 tensors, the program takes 2: x, y"),
        (data()[:1], r"(fit|evaluate): data has 1 tensors, the program takes 2: x, y"),
        ((data(5)[0], data(4)[1]), r"input 'y' has size 4 in dimension 0, expected batch of .*batch is 5 by input 'x'"),
        (data(0), r"(fit|evaluate): data has no samples"),
        ((data()[0].double(), data()[1]), r"input 'x' is f64\[10,2\], expected f32\[batch,2\]: nothing is cast"),
        (([[1.0, 2.0]], [[1.0]]), r"input 'x' is list, expected f32\[batch,2\]"),
        (data(5, torch.float64), r"input 'x' is f64"),
    ],
)
def test_data_are_checked(values: tuple[Any, ...], match: str, backend: str) -> None:
    _, program = problem(backend)
    for call in (lambda: program.fit(*values, batch_size=4, epochs=1), lambda: program.evaluate(*values)):
        with pytest.raises(InputError, match=match):
            call()


@pytest.mark.parametrize(
    ("shapes", "match"),
    [
        (
            [(3, 2)],
            r"fit: input 'x0' is f32\[3,2\], but all inputs need the same symbolic first size, such as",
        ),
        ([()], r"fit: input 'x0' is f32\[\], but all inputs need"),
        ([("n",), ("m",)], r"fit: input 'x1' is f32\[m\], but all inputs need"),
        ([("n",), (2, "n")], r"fit: input 'x1' is f32\[2,n\], but all inputs need"),
        ([], r"fit: data is cut into batches, and the program takes no inputs"),
    ],
)
def test_programs_that_have_no_batches(shapes: list[tuple[Any, ...]], match: str) -> None:
    inputs = [graphc.placeholder(f"x{i}", shape) for i, shape in enumerate(shapes)]
    program = graphc.compile(inputs, graphc.constant(1.0))
    with pytest.raises(InputError, match=match):
        program.fit(*(torch.ones(2, 2) for _ in shapes), batch_size=1, epochs=1)


def test_a_state_has_to_be_a_state() -> None:
    _, program = problem()
    calls: list[Callable[[], object]] = [
        lambda: program.fit(*data(), batch_size=4, epochs=1, state={}),  # type: ignore[arg-type]
        lambda: program.evaluate(*data(), state={}),  # type: ignore[arg-type]
    ]
    for call in calls:
        with pytest.raises(StateError, match=r"state is a dict, not a graphc State"):
            call()


def test_data_may_be_larger_than_what_one_call_can_take(backend: str) -> None:
    """Only batches have to fit the graph."""
    x, weights = graphc.placeholder("x", ("batch",)), graphc.constant(torch.arange(4.0))
    program = graphc.compile([x], (x * weights[: x.shape[0]]).sum(), backend=backend)
    assert program.fit(torch.ones(8), batch_size=4, epochs=1)["loss"] == [6.0]
    assert program.evaluate(torch.ones(8), batch_size=2)["loss"] == 1.0
    with pytest.raises(InputError, match=r"needs 4 >= batch, but batch = 8"):
        program.evaluate(torch.ones(8))


@pytest.mark.parametrize("batch_size", [2**62, 2**63, 2**70])
def test_a_batch_may_be_all_there_is(batch_size: int, backend: str) -> None:
    _, program = problem(backend)
    expected, found = program.new_state(), program.new_state()
    program.fit(*data(), batch_size=COUNT, epochs=2, state=expected, validation=data(3))
    program.fit(*data(), batch_size=batch_size, epochs=2, state=found, validation=data(3))
    same_values(expected, found)
    assert program.evaluate(*data(), batch_size=batch_size) == program.evaluate(*data())


def test_counts_are_integers_of_any_library(backend: str) -> None:
    _, program = problem(backend)
    expected, found = program.new_state(), program.new_state()
    counts: dict[str, Any] = {"batch_size": numpy.int64(4), "epochs": numpy.uint8(2), "seed": torch.tensor(3)}
    program.fit(*data(), batch_size=4, epochs=2, seed=3, state=expected)
    program.fit(*data(), **counts, state=found)
    same_values(expected, found)
    assert program.evaluate(*data(), batch_size=counts["batch_size"]) == program.evaluate(*data(), batch_size=4)
    run = graphc.Run(program, *data(), **counts)
    assert [type(value) for value in (run.batch_size, run.epochs, run.seed)] == [int, int, int]


def test_what_an_epoch_has_not() -> None:
    epoch = Epoch(1, {}, problem()[1].state)
    with pytest.raises(AttributeError, match=r"^'Epoch' object has no attribute 'metric'; did you mean 'metrics'\?$"):
        epoch.metric  # type: ignore[attr-defined] # noqa: B018 - asking is the test


def test_evaluation_checks_its_batch_size() -> None:
    with pytest.raises(InputError, match=r"batch_size is an integer of 1 or more, not 0"):
        problem()[1].evaluate(*data(), batch_size=0)
