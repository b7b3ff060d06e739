"""Deep graphs: nothing recurses over depth, from building to running, printing and forgetting."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

import graphc
from graphc import Parameter, Tensor, grad
from tests.judge import assert_same

Chain = Callable[[Any, int], Any]


def wave(x: Any, k: int) -> Any:
    """Three nodes; the value neither grows nor vanishes, nor does its slope."""
    return x - x.tanh() * (1e-3 if k % 2 else -1e-3)


CHAINS: dict[str, Chain] = {
    "arithmetic": wave,
    "views": lambda x, k: x.reshape(2, 2).T.reshape(4) if k % 2 else x[None].expand(1, 4)[0],
    "slices": lambda x, k: (torch.cat if isinstance(x, torch.Tensor) else graphc.cat)([x[1:], x[:1]]),
    "products": lambda x, k: (x.reshape(1, 4) @ (x.reshape(4, 1) @ x.reshape(1, 4) * 0.01)).reshape(4) + x * 0.9,
    "reductions": lambda x, k: x - x.mean() * 1e-3 + x.amax() * 1e-3,
    "two paths": lambda x, k: x * 0.5 + x.sigmoid() * 0.5 - 0.25,
    "broadcasts": lambda x, k: x + x.sum().reshape(1, 1).expand(1, 4).reshape(4) * 1e-3,
}


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


def test_many_parameters() -> None:
    with shallow():
        ps = [Parameter(torch.full((k % 3 + 1,), float(k)), name=f"p{k}") for k in range(300)]
        loss = graphc.cat(ps).square().sum() * 0.5
        program = graphc.compile([], loss, graphc.optim.SGD(ps, lr=0.5).minimize(loss), backend="torch")
        program()
        program()
    for k, p in enumerate(ps):
        assert_same(p.value, torch.full((k % 3 + 1,), k / 4))
