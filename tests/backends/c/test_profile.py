"""Times of kernels: which there are, what they must at least do, and that measuring changes nothing."""

from __future__ import annotations

import ctypes
import dataclasses
import itertools
import re
import time
from statistics import median

import pytest
import torch

import graphc
from graphc import CompileError, InputError, Program, nn, optim
from graphc.backends.c import NativePlan, generate_native
from graphc.backends.c.executable import NativeExecutable
from graphc.backends.c.machine import bandwidth, peak
from graphc.backends.c.plan import Task


def training(widths: tuple[int, ...] = (2, 25, 25, 1), backend: str = "c", threads: int | None = None) -> Program:
    torch.manual_seed(0)
    x, y = graphc.placeholder("x", ("n", widths[0])), graphc.placeholder("y", ("n", widths[-1]))
    layers = [layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.Tanh())]
    net = nn.Sequential(*layers, nn.Dropout(0.1))
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile([x, y], loss, optim.Adam(net.parameters()).minimize(loss), backend=backend, threads=threads)


def plan_of(program: Program) -> NativePlan:
    assert isinstance(program.memory, NativePlan)
    return program.memory


def test_a_row_for_each_task_in_order() -> None:
    program = training()
    found = program.profile(torch.rand(25, 2), torch.rand(25, 1), seconds=0.05)
    tasks = plan_of(program).tasks
    assert [row.kernel for row in found.rows] == [t.kernel.index if isinstance(t, Task) else None for t in tasks]
    explained = program.explain()
    for row in found.rows:
        if row.kernel is not None:
            assert " ".join(row.nodes) in explained
            assert "test_profile.py:" in row.where
    assert any(row.where.endswith("backward") for row in found.rows)
    assert abs(sum(row.share for row in found.rows) - 1) < 1e-9
    assert found.sizes == {"n": 25}
    assert found.steps > 0


def test_times_add_up_to_the_step() -> None:
    """Beside steps that are run without a counter. The machine may be busy: the best of several comparisons counts."""
    program = training((64, 256, 256, 8), threads=1)
    inputs = torch.rand(128, 64), torch.rand(128, 8)
    executable = program._executable
    assert isinstance(executable, NativeExecutable)
    bound = executable.bind({"n": 128}, program.new_state())
    results = bound.run(*inputs)
    step = executable.library.graphc_step
    step.argtypes, step.restype = (ctypes.c_void_p, ctypes.c_void_p), None
    numbers = (ctypes.c_long * 2)(128, 1)
    ratios = []
    for _ in range(5):
        found = program.profile(*inputs, seconds=0.05)
        times = []
        for _ in range(100):
            start = time.perf_counter()
            step(ctypes.addressof(numbers), ctypes.addressof(bound.table))
            times.append(time.perf_counter() - start)
        ratios.append(found.step / median(times))
        assert found.enter >= 0
        assert found.leave >= 0
        assert all(row.seconds >= 0 for row in found.rows)
        assert all(row.seconds > 0 for row in found.rows if row.flops > 10_000)
    assert results
    assert min(abs(ratio - 1) for ratio in ratios) < 0.25, ratios


def test_what_must_be_done_at_least() -> None:
    """By hand: 5 × 3 by 3 × 8, a bias, tanh, and the sum of all."""
    x = graphc.placeholder("x", ("n", 3))
    weight, bias = graphc.Parameter(torch.rand(3, 8)), graphc.Parameter(torch.rand(8))
    y = (x @ weight + bias).tanh()
    program = graphc.compile([x], [y, y.sum()], backend="c")
    [row] = program.profile(torch.rand(5, 3), seconds=0.01).rows
    assert row.flops == 2 * 5 * 3 * 8 + 2 * 5 * 8 + 5 * 8
    assert row.nbytes == 4 * (5 * 3 + 3 * 8 + 8 + 5 * 8 + 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_read_of_a_slice_and_written_in_place(dtype: torch.dtype) -> None:
    x = graphc.placeholder("x", ("n", 100), dtype=dtype)
    total = graphc.Parameter(torch.zeros(10, dtype=dtype))
    program = graphc.compile([x], x[:, 3], {total: total + 1.0}, backend="c")
    rows = program.profile(torch.rand(7, 100, dtype=dtype), seconds=0.01).rows
    assert {(row.flops, row.nbytes // dtype.itemsize) for row in rows} == {(0, 2 * 7), (10, 2 * 10)}


def test_the_floor_is_that_of_the_machine() -> None:
    plan = plan_of(training())
    fast, slow = peak(torch.float32, plan.vector_bytes), peak(torch.float64, plan.vector_bytes)
    assert 1e9 < slow < fast < 1e13
    assert bandwidth(1 << 26, plan.vector_bytes) > 1e8
    found = training().profile(torch.rand(25, 2), torch.rand(25, 1), seconds=0.01)
    assert found.peak == fast
    for row in found.rows:
        assert row.floor == max(row.flops / found.peak, row.nbytes / found.bandwidth)


def test_nothing_changes() -> None:
    program = training()
    state = program.new_state(seed=3)
    before = [{name: each[name].clone() for name in each} for each in (state, program.state)]
    inputs = torch.rand(25, 2), torch.rand(25, 1)
    copies = [x.clone() for x in inputs]
    source = program.source
    program.profile(*inputs, state=state, seconds=0.01)
    for each, values in zip((state, program.state), before):
        assert all(torch.equal(each[name], value) for name, value in values.items())
    assert all(map(torch.equal, inputs, copies))
    assert program.source == source == generate_native(plan_of(program)).text
    assert "graphc_profile" not in source


@pytest.mark.parametrize("n", [0, 1, 26])
def test_every_size(n: int) -> None:
    found = training().profile(torch.rand(n, 2), torch.rand(1, n).T, seconds=0.01)
    assert len(str(found).splitlines()) == len(found.rows) + 3


def test_a_step_in_several_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.backends.c.source.CALLS", 3)
    found = training().profile(torch.rand(25, 2), torch.rand(25, 1), seconds=0.01)
    assert sum(row.seconds > 0 for row in found.rows) > 3


def test_the_table() -> None:
    found = training().profile(torch.rand(25, 2), torch.rand(25, 1), seconds=0.01)
    head, titles, *rows, total = str(found).splitlines()
    assert head.startswith("n = 25, ")
    assert "Gflop/s" in head
    columns = ["kernel", "µs", "share", "flop", "bytes", "floor µs", "floor/time", "built at", "computes"]
    assert re.split(r" {2,}", titles.strip()) == columns
    ends = [titles.index(title) + len(title) for title in columns[:5]]
    for line, row in zip(rows, found.rows, strict=True):
        cells = [line[start:end].strip() for start, end in zip([0, *ends], ends)]
        assert cells[0] == ("" if row.kernel is None else str(row.kernel))
        assert cells[2:] == [f"{row.share:.1%}", f"{row.flops:,}", f"{row.nbytes:,}"]
        assert row.nodes[0] in line
        assert row.where in line
    assert re.fullmatch(
        r"a step takes [\d.,]+ µs, at least [\d.,]+ \(\d+%\); "
        r"once in a call, [\d.,]+ to pack cells, [\d.,]+ to unpack them, [\d.,]+ for Python",
        total,
    )


def test_it_is_frozen() -> None:
    found = training().profile(torch.rand(5, 2), torch.rand(5, 1), seconds=0.01)
    with pytest.raises(dataclasses.FrozenInstanceError, match="steps"):
        found.steps = 0  # type: ignore[misc]


@pytest.mark.parametrize("backend", ["torch", "reference"])
def test_other_backends(backend: str) -> None:
    with pytest.raises(CompileError, match=r'profile: only native code is measured.* Compile it with backend="c"'):
        training(backend=backend).profile(torch.rand(5, 2), torch.rand(5, 1))


def test_mistakes() -> None:
    program = training()
    with pytest.raises(InputError, match=r"profile: seconds is a positive number, not 0"):
        program.profile(torch.rand(5, 2), torch.rand(5, 1), seconds=0)
    with pytest.raises(InputError, match=r"1 inputs given"):
        program.profile(torch.rand(5, 2))
