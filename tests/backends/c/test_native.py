"""Programs as generated C: training beside torch, every size in one program, layouts, and memory that is garbage."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import torch

import graphc
from graphc import Parameter, Program, State, Tensor, Variable, nn, optim
from graphc.backends.c import build
from graphc.ir import Role, apply
from graphc.ops.randomness import RandomMask
from tests.judge import Array, assert_same
from tests.optim.test_training import ROWS, distance, in_graphc, in_torch, judge

# Beside torch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["c", "torch"])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
def test_float32_stays_near_float64(optimizer: str, backend: str) -> None:
    """A thousand steps: no farther from float64 than four times what torch's own float32 is, or a few units."""
    options = {"lr": 0.05} if optimizer == "SGD" else {"lr": 1e-3}
    exact = judge("MSELoss", "mean", optimizer, tuple(options.items()), 1000)
    theirs = in_torch("MSELoss", "mean", optimizer, options, 1000, torch.arange(ROWS), torch.float32)
    found = in_graphc("MSELoss", "mean", optimizer, options, 1000, backend, torch.float32)
    allowed = max(4 * distance(theirs, exact), 32 * torch.finfo(torch.float32).eps)
    assert distance(found, exact) < allowed


def network(widths: Sequence[int], dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers[:-1]).to(dtype)


def training(widths: Sequence[int], backend: str, dtype: torch.dtype = torch.float32) -> Program:
    net = network(widths, dtype)
    x, y = graphc.placeholder("x", ("n", widths[0]), dtype), graphc.placeholder("y", ("n", widths[-1]), dtype)
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile(
        [x, y], {"loss": loss, "y": net(x)}, optim.Adam(net.parameters()).minimize(loss), backend=backend
    )


def batch(n: int, widths: Sequence[int], dtype: torch.dtype = torch.float32) -> list[Array]:
    generator = torch.Generator().manual_seed(n)
    return [torch.randn(n, width, generator=generator, dtype=dtype) for width in (widths[0], widths[-1])]


def assert_states(a: State, b: State, tolerance: float) -> None:
    for name in a:
        assert_same(a[name], b[name], name, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
def test_every_batch_size_in_one_program(vector_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Odd widths, in pairs so that each meets a narrow and a wide one; nothing is compiled a second time."""
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", str(vector_bytes))
    runs: list[object] = []
    compiled = build._compile

    def counted(*arguments: Any) -> Any:
        runs.append(arguments)
        return compiled(*arguments)

    monkeypatch.setattr(build, "_compile", counted)
    widths = [2, 17, 3, 33, 1, 5, 64, 1]
    program, expected = training(widths, "c", torch.float64), training(widths, "reference", torch.float64)
    for n in (5, 1, 25, 0, 500, 7, 1, 16, 17):
        data = batch(n, widths, torch.float64)
        state = program.new_state() if n == 0 else program.state
        twin = expected.new_state() if n == 0 else expected.state
        for _ in range(2):
            actual, value = program(*data, state=state), expected(*data, state=twin)
            for name in value:
                assert_same(actual[name], value[name], f"{name} of {n}", rtol=1e-11, atol=1e-12)
        assert_states(state, twin, 1e-11)
    assert len(runs) == 1


@pytest.mark.parametrize("width", [1, 4, 5, 16, 64, 100])
def test_widths(width: int) -> None:
    widths = [2, width, width, 1]
    program, expected = training(widths, "c"), training(widths, "reference")
    for n in (5, 64):
        for _ in range(3):
            data = batch(n, widths)
            assert_same(program(*data)["y"], expected(*data)["y"], rtol=2e-4, atol=2e-5)


# What comes in, what goes out -----------------------------------------------------------------------------------------


def same_as_reference(
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    calls: Sequence[Sequence[Array]],
    updates: dict[Variable, Tensor] | None = None,
    **tolerance: float,
) -> Program:
    """Each call on two States, one with generated C. The memory of the C program is garbage before each call."""
    program, expected = (
        graphc.compile(inputs, outputs, updates or {}, backend=backend) for backend in ("c", "reference")
    )
    states = program.new_state(), expected.new_state()
    tolerance = tolerance or {"rtol": 1e-5, "atol": 1e-6}
    for k, arrays in enumerate([*calls, *calls]):
        garbage(program, states[0], 255 if k % 2 else 127)
        for actual, value in zip(program(*arrays, state=states[0]), expected(*arrays, state=states[1]), strict=True):
            assert_same(actual, value, **tolerance)
        for name in states[1]:
            assert_same(states[0][name], states[1][name], name, **tolerance)
    return program


def garbage(program: Program, state: State, byte: int) -> None:
    """Fill the workspaces that wait for a call: as floating numbers NaN, or a large one."""
    for waiting in program._pool_of(state).idle.values():
        for bound in waiting:
            bound._memory.fill_(byte)  # type: ignore[attr-defined]


def test_inputs_in_any_layout() -> None:
    x = graphc.placeholder("x", ("n", 5))
    base = torch.randn(40, 30)
    layouts = [base[:7, :5], base.T[3:9, 20:25], base[::4, ::6], base[:1, :5].expand(6, 5), base[0, 0].expand(3, 5)]
    same_as_reference([x], [x * 2.0, x.sum(0), x @ x.T], [[layout] for layout in layouts])


def test_outputs_that_are_no_results() -> None:
    """Inputs, views, constants, cells, and one node as several outputs."""
    x, p = graphc.placeholder("x", ("n", 3)), Parameter(torch.arange(6.0).reshape(2, 3), name="p")
    y = (x * p.sum()).tanh()
    outputs = [x, x.T, x[0], x.reshape(-1), graphc.constant(torch.arange(4)), graphc.constant(-0.0), p, p.T, y, y, y.T]
    outputs += [graphc.constant(2.5).broadcast_to((2, x.shape[0])), y.shape[0] * graphc.constant(1), p.sum(), p.sum()]
    same_as_reference([x], outputs, [[torch.randn(n, 3)] for n in (1, 2, 4)], {p: p + 1.0})


def test_cells_that_change_places() -> None:
    a, b, c = (Parameter(torch.randn(4, 4), name=name) for name in "abc")
    d, e = Parameter(torch.randn(300, 300), name="d"), Parameter(torch.randn(300, 300), name="e")  # not packed
    x = graphc.placeholder("x", (4, 4))
    updates: dict[Variable, Tensor] = {a: b, b: c.T, c: a @ c + x, d: e.T, e: d * 2.0}
    same_as_reference([x], [(a + b).sum(), d[0], x @ a], [[torch.randn(4, 4)]], updates)


def test_a_cell_is_read_before_it_is_written() -> None:
    a, b = Parameter(torch.randn(3, 20), name="a"), Parameter(torch.randn(20), name="b")
    x = graphc.placeholder("x", ("n", 20))
    y = x @ a.T
    updates: dict[Variable, Tensor] = {a: a * 0.9 + y.sum() * 0.01, b: a.sum(0) - b.sum()}
    same_as_reference([x], [y, a * 2.0, b + 1.0, a.T[3:]], [[torch.randn(n, 20)] for n in (1, 9)], updates)


def test_an_input_may_be_a_cell() -> None:
    p, q = Parameter(torch.ones(3), name="p"), Parameter(torch.full((3,), 2.0), name="q")
    x = graphc.placeholder("x", (3,))
    program = graphc.compile([x], x.sum(), {p: x * 2.0 + q, q: x + p}, backend="c")
    program(q.value)
    assert p.value.tolist() == [6.0] * 3
    assert q.value.tolist() == [3.0] * 3


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool], ids=str)
def test_integers(dtype: torch.dtype) -> None:
    x, y = graphc.placeholder("x", ("n", 5), dtype), graphc.placeholder("y", ("n", 5), dtype)
    low, high = (0, 2) if dtype is torch.bool else (0 if dtype is torch.uint8 else -100, 100)

    def draw(n: int) -> Array:
        return torch.randint(low, high, (n, 5)).to(dtype)

    outputs = [
        *(x == y, x != y, x < y, x <= y, x > y, x >= y),
        x.to(torch.float32) * 0.5,
        x.to(torch.int64).sum(0),
        x.amax(1),
        graphc.where(x > y, y, x),
        x.T,
        x.to(torch.int64) + 1,
    ]
    if dtype is not torch.bool:
        outputs += [x + y, x * y, x - y, -x, x.maximum(y)]
    counter = Variable(torch.zeros((5,), dtype=dtype), name="counter", role=Role.SLOT)
    same_as_reference([x, y], outputs, [[draw(n), draw(n)] for n in (1, 3, 40)], {counter: (counter == x[0]).to(dtype)})


def test_sizes_in_every_place() -> None:
    x, y = graphc.placeholder("x", ("n", "m")), graphc.placeholder("y", ("m", "k", "n"))
    n, m = x.shape
    outputs = [
        x.T @ x,
        x @ y.permute(1, 0, 2),
        y.sum((0, 2)),
        y.amax(1, keepdim=True) + x.T[:, None],
        graphc.cat([x, x * 2.0, x[:, 0][:, None].broadcast_to((n, m))], 1),
        graphc.cat([x, x])[n:],
        x.reshape(-1)[:n],
        y.reshape((m, -1)),
        y[:, :, n - 1 :],
        x[None] * y.permute(1, 2, 0),
        (x.T @ x).sum() * x.shape[0],
    ]
    calls = [[torch.randn(n, m), torch.randn(m, k, n)] for n, m, k in ((1, 1, 1), (2, 3, 4), (5, 17, 3), (33, 2, 1))]
    same_as_reference([x, y], outputs, calls, rtol=1e-4, atol=1e-5)


def test_products() -> None:
    """In tiles, along lanes, through BLAS; with factors that are views, the same twice, or repeated."""
    a, b = graphc.placeholder("a", ("n", 7)), graphc.placeholder("b", (7, 7))
    v, w = graphc.placeholder("v", (7,)), graphc.placeholder("w", (3, 7, 2))
    wide, deep = graphc.placeholder("wide", (7, 700)), graphc.placeholder("deep", (700, 7))
    outputs = [
        a @ b, a @ b.T, b @ b, b.T @ b, b[:3, ::2] @ b[:4, 1:4], b[:, :2] @ b[:2], b[:1] @ b.T, b.T[:2] @ b[:, :1],
        a @ v, v @ b, v @ v, v[None] @ b @ v[:, None], a @ w, w.mT @ b, w.mT @ w, b @ v.broadcast_to((7, 7)),
        v[:, None].broadcast_to((7, 3)) @ b[:3], a @ wide, wide.T @ b, wide @ deep, deep @ wide[:, :2], a @ deep.T,
        (a @ wide).tanh().sum(), ((a @ b + v).relu() @ b[:, :1]).sum(), (b @ b).sum() * (b @ b), a[:, :0] @ b[:0],
        (a @ b).to(torch.float64).sum() + (a @ b).sum().to(torch.float64), (a @ b).to(torch.int64).sum(0),
    ]  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    given = [torch.randn(x.shape, generator=generator) for x in (b, v, w, wide, deep)]  # type: ignore[arg-type]
    calls = [[torch.randn(n, 7, generator=generator), *given] for n in (0, 1, 6, 70)]
    same_as_reference([a, b, v, w, wide, deep], outputs, calls, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_products_with_shorter_vectors(vector_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", str(vector_bytes))
    test_products()
    test_outputs_that_are_no_results()


@pytest.mark.parametrize("shape", [(70,), (3, 5), ()], ids=str)
def test_random_masks_of_any_counter(shape: tuple[int, ...]) -> None:
    """A counter may be a view, of less memory than its two numbers would take."""
    cell = Variable(torch.arange(3, 9).reshape(2, 3), name="cell", role=Role.SLOT)
    one = graphc.placeholder("one", (), torch.int64)
    counters = [one.broadcast_to((2,)), cell[0, 1:], cell[:, 2], cell[1, :2] + 1, cell.T[1]]
    outputs = [apply(RandomMask(k, 1 << 31, shape), counter) for k, counter in enumerate(counters)]
    same_as_reference([one], outputs, [[torch.tensor(7)]], {cell: cell + 1})


def test_zeros_keep_their_signs() -> None:
    x = graphc.placeholder("x", (3,))
    outputs = [graphc.where(x > 0.0, 0.0, -0.0), graphc.where(x > 0.0, -0.0, 0.0), x * 0.0, x * -0.0]
    program = graphc.compile([x], outputs, backend="c")
    value = torch.tensor([1.0, -1.0, 2.0])
    for actual, expected in zip(program(value), graphc.compile([x], outputs, backend="reference")(value)):
        assert_same(actual, expected, bits=True)


# Native training runs -------------------------------------------------------------------------------------------------


def stepped(program: Program, data: Sequence[Array], size: int, epochs: int, state: State) -> None:
    for _ in range(epochs):
        for k in range(0, len(data[0]), size):
            program(*(array[k : k + size] for array in data), state=state)


@pytest.mark.parametrize(("samples", "size"), [(10, 5), (11, 4), (3, 8), (1, 1), (64, 1)])
def test_fit_is_stepping(samples: int, size: int) -> None:
    """To the bit, the last batch of an epoch included."""
    program = training([2, 25, 1], "c")
    data = batch(samples, [2, 25, 1])
    fitted, called = program.new_state(), program.new_state()
    program.fit(*data, batch_size=size, epochs=4, shuffle=False, state=fitted)
    stepped(program, data, size, 4, called)
    for name in called:
        assert_same(fitted[name], called[name], name, bits=True)


@pytest.mark.parametrize("on_epoch", [None, lambda epoch: None])
def test_fit_is_the_same_on_every_backend(on_epoch: Any) -> None:
    data = batch(53, [2, 25, 1], torch.float64)
    histories, states = [], []
    for backend in ("c", "reference"):
        program = training([2, 25, 1], backend, torch.float64)
        states.append(program.new_state())
        more = {"validation": data} if on_epoch else {}
        histories.append(
            program.fit(*data, batch_size=8, epochs=5, seed=3, state=states[-1], on_epoch=on_epoch, **more)
        )
    assert_states(states[0], states[1], 1e-10)
    for name, values in histories[1].metrics.items():
        assert histories[0].metrics[name] == pytest.approx(values, rel=1e-10)


@pytest.mark.parametrize("width", [2, 16])
def test_fit_on_a_cell(width: int) -> None:
    """The data of a run is as it was at the start, whatever the run does to it. 16 columns are updated in place."""
    states = []
    for backend in ("c", "torch"):
        p = Parameter(torch.arange(4.0 * width).reshape(4, width) / 8.0, name="p")
        x = graphc.placeholder("x", ("n", width))
        program = graphc.compile([x], x.sum(), {p: p * 0.5 + x.sum()}, backend=backend)
        program.fit(p.value, batch_size=2, epochs=1, shuffle=False)
        states.append(p.value.clone())
    assert_same(states[0], states[1])


def test_values_that_move_between_epochs() -> None:
    """Another program may move cells in memory while a run is between two epochs."""
    program = training([2, 9, 1], "c", torch.float64)
    data = batch(12, [2, 9, 1], torch.float64)
    moved, still = program.new_state(), program.new_state()

    def on_epoch(epoch: Any) -> None:
        for cell in epoch.state.cells:
            epoch.state.place(cell, epoch.state.read(cell).clone())

    program.fit(*data, batch_size=5, epochs=4, seed=1, state=moved, on_epoch=on_epoch)
    program.fit(*data, batch_size=5, epochs=4, seed=1, state=still)
    for name in still:
        assert_same(moved[name], still[name], name, bits=True)
