"""Kernels above the limits: large products strip by strip, wide column sums, and what several threads share.

Most data are small whole numbers, of which every sum is exact in any order: a term that is missing, or counted twice,
cannot pass for rounding.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch

import graphc
from graphc import Program, Tensor, nn
from graphc.backends.c import NativeExecutable
from graphc.backends.c.torch_functions import link
from tests.judge import Array, assert_same


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def whole(*shape: int, dtype: torch.dtype = torch.float32) -> Array:
    return torch.randint(-8, 9, shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Array:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=dtype)


def same(actual: Sequence[Array], expected: Sequence[Array], **tolerance: float) -> None:
    for k, (a, b) in enumerate(zip(actual, expected, strict=True)):
        assert_same(a, b, f"output {k}", bits=not tolerance, **tolerance)


# Strips ---------------------------------------------------------------------------------------------------------------

LAYERS = [(203, 171), (2500, 17), (37, 1000), (256, 256)]
"""Depth and width, more than 32768 together: most are multiples of no vector, one is deeper than a strip."""


def layers(dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs, and for each layer what it computes forward and backward: its result, and both gradients."""
    inputs, outputs = [], []
    for k, (depth, width) in enumerate(LAYERS):
        x, g = (graphc.placeholder(f"{name}{k}", ("n", size), dtype) for name, size in (("x", depth), ("g", width)))
        w = graphc.placeholder(f"w{k}", (width, depth), dtype)
        inputs += [x, g, w]
        y = x @ w.T
        outputs += [y, g @ w, g.T @ x, (y > 0.0).to(dtype).sum(), x @ w.T[:, 1:] - 1.0]
    return inputs, outputs


def given(n: int, draw: Callable[..., Array], dtype: torch.dtype) -> list[Array]:
    shapes = [shape for depth, width in LAYERS for shape in ((n, depth), (n, width), (width, depth))]
    return [draw(*shape, dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
def test_strips(vector_bytes: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", str(vector_bytes))
    inputs, outputs = layers(dtype)
    program = graphc.compile(inputs, outputs, backend="c", threads=1)
    together = graphc.compile(inputs, outputs, backend="c", threads=2)  # the same library
    expected = graphc.compile(inputs, outputs, backend="reference")
    assert "strip_" in program.source
    assert "_shared(" in program.source
    for n in (0, 1, 7, 31, 64):
        arrays = given(n, whole, dtype)
        values = expected(*arrays)
        same(program(*arrays), values, rtol=0.0, atol=0.0)
        same(together(*arrays), values, rtol=0.0, atol=0.0)
    arrays = given(2100, whole, dtype)  # the depth of a weight gradient
    same(together(*arrays), expected(*arrays), rtol=0.0, atol=0.0)
    arrays = given(64, drawn, dtype)
    eps = torch.finfo(dtype).eps
    for each in (program, together):
        first = each(*arrays)
        same(each(*arrays), first)
        same(first, expected(*arrays), rtol=256 * eps, atol=4096 * eps)


def test_large_products_side_by_side() -> None:
    """Several products in one kernel, and known numbers of rows."""
    x, w = graphc.placeholder("x", (3, 50, 203)), graphc.placeholder("w", (203, 171))
    each = graphc.placeholder("each", (3, 203, 171))
    outputs = [x @ w, x @ each, (x @ each).relu().sum(0), x.mT @ x]
    arrays = [whole(3, 50, 203), whole(203, 171), whole(3, 203, 171)]
    expected = graphc.compile([x, w, each], outputs, backend="reference")(*arrays)
    for threads in (1, 2):
        actual = graphc.compile([x, w, each], outputs, backend="c", threads=threads)(*arrays)
        same(actual, expected, rtol=0.0, atol=0.0)


# Sums -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector_bytes", [16, 64])
def test_wide_column_sums(vector_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are added as they lie: widths just above the limits, what is under the sum, and what is made of it."""
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", str(vector_bytes))
    widths = [127, 128, 129, 1001, 8191, 8192, 8193]
    inputs = [graphc.placeholder(f"x{width}", ("n", width)) for width in widths]
    outputs = [y for x in inputs for y in (x.sum(0), (x * 2.0).relu().sum(0) + 1.0)]
    outputs += [inputs[1].to(torch.float64).sum(0), inputs[0].square().mean(0)]
    program = graphc.compile(inputs, outputs, backend="c")
    for n in (0, 1, 5, 64):
        arrays = [whole(n, width) for width in widths]
        expected = graphc.compile(inputs, outputs, backend="reference")(*arrays)
        same(program(*arrays)[:-1], expected[:-1], rtol=0.0, atol=0.0)
        assert_same(program(*arrays)[-1], expected[-1], rtol=1e-6, atol=0.0)


def test_long_sums_are_accurate() -> None:
    """Of equal numbers, added one after another, a million of them are off in the third digit: blocks are summed apart.

    Every place where sums are formed: over all, down, along, of rows, with what is under and above the sum.
    """
    x, y = graphc.placeholder("x", ("n", 5)), graphc.placeholder("y", ("n",))
    wide, long = graphc.placeholder("wide", ("m", 200)), graphc.placeholder("long", (3, "n"))
    w, v = graphc.constant(torch.full((5, 20), 0.3)), graphc.constant(torch.full((5, 1), 0.3))
    inputs = [x, y, wide, long]
    means, wides = (2, 11, 13), (7, 8)  # which of the outputs
    outputs = [
        x.sum(), (x * 1.1).sum(), x.square().mean(), x.sum(0), (x * 1.1).sum(0), y.sum(), (y * 1.1).sum(),
        wide.sum(0), wide.sum(), long.sum(1), (long * 1.1).sum(), (x @ w - 1.0).square().mean(), (x @ w).sum(),
        (x @ v - 1.0).square().mean(), x[:, :, None].broadcast_to((x.shape[0], 5, 3)).sum(), x[None].sum((0, 1)),
    ]  # fmt: skip
    few = [(16, 5), (16,), (16, 200), (3, 16)]
    many = [(1 << 20, 5), (1 << 20,), (1 << 13, 200), (3, 1 << 20)]
    factors = [1.0 if k in means else 2.0**9 if k in wides else 2.0**16 for k in range(len(outputs))]
    expected = graphc.compile(inputs, outputs, backend="reference")(*(torch.full(shape, 0.1) for shape in few))
    for threads in (1, 2):
        program = graphc.compile(inputs, outputs, backend="c", threads=threads)
        found = program(*(torch.full(shape, 0.1) for shape in many))
        for k, (actual, value, factor) in enumerate(zip(found, expected, factors, strict=True)):
            assert_same(actual, value * factor, f"output {k}", rtol=2.0**-12, atol=0.0)


def test_sums_of_elements_one_by_one_are_in_double_precision() -> None:
    """No vector walks rows that a reshape cuts elsewhere."""
    x = graphc.placeholder("x", ("n", 3))
    program = graphc.compile([x], (x.reshape((3, x.shape[0])) * 1.5).sum(), backend="c")
    value = torch.full((1 << 16, 3), 0.1)
    assert program(value).item() == pytest.approx(1.5 * value.double().sum().item(), rel=1e-6)


# Threads --------------------------------------------------------------------------------------------------------------


def everything() -> tuple[list[Tensor], dict[str, Tensor]]:
    """Every kind of kernel that threads share."""
    x, y = graphc.placeholder("x", ("n", 130)), graphc.placeholder("y", ("n", 130))
    long = graphc.placeholder("long", ("m",))
    w, v = graphc.placeholder("w", (130, 65)), graphc.placeholder("v", (130, 3))
    outputs = {
        "map": x * 2.0 + y,
        "long map": long * 3.0 - 1.0,
        "transpose": (x - y).T,
        "comparison": x > y,
        "dropped": nn.Dropout(0.5)(x * 1.0),
        "sum down": x[:, :60].sum(0),
        "wide sum": (x + y).sum(0),
        "sum along": (x * y).sum(1),
        "maximum": x.amax(1),
        "total": (x * y * 2.0).sum(),
        "total and map": (x - 1.0).relu().sum(),
        "long total": (long > 2.0).to(torch.float32).sum(),
        "product": x @ w,
        "total of a product": (x @ w > 1.0).to(torch.float32).sum(),
        "weight gradient": x.T @ y,
        "inner": x @ v,
        "total of an inner product": (x @ v > 1.0).to(torch.float32).sum(),
        "cat": graphc.cat([x, y], 1),
    }
    return [x, y, long, w, v], outputs


def everything_given(n: int, draw: Callable[..., Array]) -> list[Array]:
    return [draw(n, 130) % 4, draw(n, 130) * 2.0, draw(130 * n), draw(130, 65), draw(130, 3)]


def compiled(threads: int, backend: str = "c") -> Program:
    inputs, outputs = everything()
    return graphc.compile(inputs, outputs, backend=backend, threads=threads, training=True)


def test_threads_share_every_kind_of_kernel() -> None:
    """As one thread does it, and as the reference does; below the limit nothing is shared."""
    programs = [compiled(1), compiled(2), compiled(3), compiled(1, "reference")]
    assert programs[0].source == programs[1].source
    assert programs[0].source.count("_shared(struct") == 0
    for n in (1, 8200):
        arrays = everything_given(n, whole)
        alone, two, three, expected = (program(*arrays, state=program.new_state(seed=5)) for program in programs)
        for name, value in expected.items():
            for actual in (alone, two, three):
                assert_same(actual[name], value, f"{name} of {n}", rtol=0.0, atol=0.0)


def test_threads_repeat_themselves() -> None:
    arrays = everything_given(8200, drawn)
    expected = compiled(1, "reference")(*arrays)
    for threads in (1, 2, 3):
        program = compiled(threads)
        first, second = (program(*arrays, state=program.new_state(seed=5)) for _ in range(2))
        for name, value in first.items():
            assert_same(second[name], value, f"{name} again", bits=True)
            if name != "dropped":
                assert_same(value, expected[name], name, rtol=1e-3, atol=2e-3)


FORK = ctypes.CFUNCTYPE(None, ctypes.CFUNCTYPE(None, ctypes.c_void_p), ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
NUMBER = ctypes.CFUNCTYPE(ctypes.c_int)


@pytest.mark.parametrize("team", [[0], [1, 0], [2, 0, 1]])
def test_a_runtime_may_start_fewer_threads(team: list[int]) -> None:
    """As OpenMP does under OMP_DYNAMIC and OMP_THREAD_LIMIT; and in any order."""
    program = compiled(3)
    executable = program._executable
    assert isinstance(executable, NativeExecutable)
    current, forks = [0], []

    def fork(function: Callable[[int], None], data: int, threads: int, flags: int) -> None:
        forks.append(threads)
        for number in team:
            current[0] = number
            function(data)

    functions = FORK(fork), NUMBER(lambda: current[0]), NUMBER(lambda: len(team))
    link(executable.library, [ctypes.cast(each, ctypes.c_void_p).value for each in functions])
    arrays = everything_given(8200, whole)
    reference = compiled(1, "reference")
    expected = reference(*arrays, state=reference.new_state(seed=5))
    actual = program(*arrays, state=program.new_state(seed=5))
    assert len(forks) > 10
    assert set(forks) == {3}
    for name, value in expected.items():
        assert_same(actual[name], value, name, rtol=0.0, atol=0.0)


def test_a_limit_on_threads_loses_nothing() -> None:
    """The real OpenMP runtime, which reads its limit when it starts."""
    program = """if True:
        import torch, graphc
        torch.set_num_threads(2)
        x = graphc.placeholder("x", (2000, 1024))
        doubled = graphc.compile([x], x * 2.0, backend="c", threads=2)(torch.ones(2000, 1024))
        assert bool((doubled == 2.0).all())
    """
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
