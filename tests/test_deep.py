"""Deep graphs: nothing recurses over depth, from building to running, printing and forgetting."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

import graphc
from graphc import Parameter, Tensor, grad
from tests.chains import CHAINS, Chain, wave
from tests.judge import assert_same
from tools.proving import deep


@contextmanager
def shallow() -> Iterator[None]:
    """Little room for recursion."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 90)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def check(step: Chain, length: int) -> None:
    """Value and gradient of a chain, against torch."""
    with shallow():
        x, p = graphc.placeholder("x", (4,)), Parameter(torch.zeros(4), name="p")
        y: Tensor = x + p
        for k in range(length):
            y = step(y, k)
        slope = grad(y.square().sum(), x)
        program = graphc.compile([x], [y, slope], {p: p + slope}, backend="torch")
        values = [torch.tensor([0.1, -0.2, 0.3, 0.4]), torch.tensor([-1.0, 0.5, 0.25, 2.0])]
        results = [program(value) for value in values]
        assert str(program.graph)
        assert repr(y)
    moved = torch.zeros(4)
    for value, (actual, gradient) in zip(values, results, strict=True):
        leaf = value.clone().requires_grad_()
        z = leaf + moved
        for k in range(length):
            z = step(z, k)
        [expected] = torch.autograd.grad(z.square().sum(), leaf)
        assert_same(actual, z.detach(), rtol=1e-3, atol=1e-5)
        assert_same(gradient, expected, rtol=1e-3, atol=1e-5)
        moved = moved + expected
    with shallow():
        del x, p, y, slope, program, results, actual, gradient
        gc.collect()


@pytest.mark.parametrize("name", CHAINS)
def test_chains(name: str) -> None:
    check(CHAINS[name], 200)


def test_a_chain_of_five_thousand_nodes() -> None:
    check(wave, 5000 // 3)


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand_nodes() -> None:
    check(wave, 100_000 // 3)


def test_the_reference_runs_deep_graphs(backend: str) -> None:
    with shallow():
        x = graphc.placeholder("x", ("n",))
        y: Tensor = x
        for _ in range(1000):
            y = y + 1.0
        assert graphc.compile([x], y, backend=backend)(torch.zeros(2)).tolist() == [1000.0, 1000.0]


def test_higher_orders_of_a_deep_graph() -> None:
    with shallow():
        x = graphc.placeholder("x", (), torch.float64)
        y: Tensor = x
        for _ in range(100):
            y = (y * y + x) * 0.5
        first = grad(y, x)
        second = grad(first, x)
        program = graphc.compile([x], [first, second], backend="torch")
        value = torch.tensor(0.3, dtype=torch.float64)
        actual = program(value)
    leaf = value.clone().requires_grad_()
    z = leaf
    for _ in range(100):
        z = (z * z + leaf) * 0.5
    [a] = torch.autograd.grad(z, leaf, create_graph=True)
    [b] = torch.autograd.grad(a, leaf)
    assert_same(actual[0], a.detach())
    assert_same(actual[1], b)


def test_many_operands_and_outputs() -> None:
    """Wide, too."""
    count = 1000
    with shallow():
        x = graphc.placeholder("x", ("n",))
        parts = [x * float(k) for k in range(count)]
        outputs = [graphc.stack(parts).sum(0), *parts]
        program = graphc.compile([x], outputs, backend="torch")
        total, *rest = program(torch.ones(2))
    assert total.tolist() == [count * (count - 1) / 2] * 2
    assert [each[0].item() for each in rest] == list(map(float, range(count)))


@pytest.mark.parametrize("work", [deep.saved, deep.drawn, deep.copied], ids=lambda work: work.__name__)
def test_with_little_stack(work: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """In a thread that has 256 KiB of it, as `tools/prove.py deep` does with a hundred thousand nodes."""
    deep.warm()
    monkeypatch.setattr(deep, "NODES", 2000)
    deep.shallowly(work)


def test_recursion_is_noticed() -> None:
    def down(n: int) -> int:
        return 1 + down(n - 1) if n else 0

    with pytest.raises(RecursionError, match="maximum recursion depth"):
        deep.shallowly(lambda: down(1000))


def test_many_parameters() -> None:
    with shallow():
        ps = [Parameter(torch.full((k % 3 + 1,), float(k)), name=f"p{k}") for k in range(300)]
        loss = graphc.cat(ps).square().sum() * 0.5
        program = graphc.compile([], loss, graphc.optim.SGD(ps, lr=0.5).minimize(loss), backend="torch")
        program()
        program()
    for k, p in enumerate(ps):
        assert_same(p.value, torch.full((k % 3 + 1,), k / 4))
