"""Gradients of whole expressions against torch.autograd in float64, to third order; what is built, and what is refused.

The expressions are written once and run on symbols and on torch's tensors.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc
from graphc import GradientError, Tensor, grad
from graphc.ir import OPS, topological_order
from tests.judge import Array, assert_same, placeholders_for, random_like, values_of

Expression = Callable[..., Any]


def concatenate(xs: Sequence[Any], dim: int) -> Any:
    return (graphc if isinstance(xs[0], Tensor) else torch).cat(xs, dim)


def wide(x: Any, shape: tuple[int, ...]) -> Any:
    return x.expand(shape)


# x: [2,3], y: [3], z: [2,1], s: []
EXPRESSIONS: list[Expression] = [
    lambda x, y, z, s: (x * x * x).sum(),
    lambda x, y, z, s: (x + y + z + s).tanh().sum(),
    lambda x, y, z, s: (x * y * z * s).sum(),
    lambda x, y, z, s: (y - x / (z * z + 1.0)).square().mean(),
    lambda x, y, z, s: ((x.tanh() + 1.0) * (x.tanh() - y)).sum() * s,
    lambda x, y, z, s: (wide(s, (2, 3)) * x).sum() + (wide(z, (2, 3)) * y).exp().sum(),
    lambda x, y, z, s: concatenate([x, x * 2.0, wide(z, (2, 3))], 0).square().sum(0).tanh().sum(),
    lambda x, y, z, s: (x[:, 1:] * x[:, :-1] * y[::2]).sum() + x[0, 0] * x[-1, 2] * s,
    lambda x, y, z, s: concatenate([x[:, :1], x[:, :1], x[:, 2:]], 1).exp().mean(1).square().sum(),
    lambda x, y, z, s: (x @ y).sigmoid().square().sum() + (x @ x.mT).tanh().sum() + (y @ y) * s,
    lambda x, y, z, s: (x.mT.reshape(2, 3) * x).sum() * (x.flatten() * x.flatten()).sum(),
    lambda x, y, z, s: x.amax(1).square().sum() * x.amin() + x.mean() * s,
    lambda x, y, z, s: (x.square() + 1.0).log().sum() + (y.square() + 2.0).sqrt().sum() / (s * s + 1.0),
    lambda x, y, z, s: (y.sigmoid() ** (z.tanh() + 2.0)).sum() + (2.0**x).sum() + (x.square() + 1.0).pow(1.5).mean(),
    lambda x, y, z, s: (x * s).relu().sum() * 2.0 + x.abs().sum() * z.sum() + x.clamp(-0.5, 0.5).square().sum(),
    lambda x, y, z, s: x.maximum(y).square().sum() + x.minimum(z).exp().sum() + 1.0 / (x.square() + 1.0).sum(),
    lambda x, y, z, s: (s * s * s).reshape(1, 1),
    lambda x, y, z, s: (y * y).sum(),
]


def text_of(f: Expression) -> str:
    return inspect.getsource(f).strip().removeprefix("lambda x, y, z, s: ").removesuffix(",")


def drawn(*shapes: tuple[int, ...]) -> list[Array]:
    generator = torch.Generator().manual_seed(0)
    return [random_like(torch.empty(shape, dtype=torch.float64), generator) for shape in shapes]


def compare_with_autograd(f: Expression, arrays: Sequence[Array], orders: int) -> None:
    """Derivatives of <previous derivative, random>, order after order."""
    generator = torch.Generator().manual_seed(1)
    symbols = placeholders_for(arrays)
    leaves = [x.clone().requires_grad_() for x in arrays]
    ours, theirs = f(*symbols), f(*leaves)
    results: list[Tensor] = []
    expected: list[Array] = []
    for order in range(orders):
        if order:
            weights = [random_like(x, generator) for x in arrays]
            ours = sum((g * w).sum() for g, w in zip(results[-len(arrays) :], weights, strict=True))
            theirs = sum((g * w).sum() for g, w in zip(expected[-len(arrays) :], weights, strict=True))
        results += grad(ours, symbols)
        if theirs.requires_grad:
            expected += torch.autograd.grad(
                theirs, leaves, torch.ones_like(theirs), create_graph=True, materialize_grads=True
            )
        else:
            expected += [torch.zeros_like(x) for x in arrays]
    for k, (actual, each) in enumerate(zip(values_of(results, symbols, arrays), expected, strict=True)):
        note = f"order {k // len(arrays) + 1}, operand {k % len(arrays)}"
        assert_same(actual, each.detach(), note, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("f", EXPRESSIONS, ids=text_of)
def test_three_orders(f: Expression) -> None:
    compare_with_autograd(f, drawn((2, 3), (3,), (2, 1), ()), 3)


SHAPES: list[tuple[int, ...]] = [(), (1,), (3,), (2, 3), (1, 3), (2, 1), (4, 1, 3), (4, 2, 1), (1, 1, 1), (0, 1, 1)]


@pytest.mark.parametrize("a", SHAPES, ids=str)
@pytest.mark.parametrize(
    "f", [operator.mul, operator.truediv, lambda x, y: x.maximum(y)], ids=["mul", "div", "maximum"]
)
def test_broadcasting_in_all_directions(f: Any, a: tuple[int, ...]) -> None:
    for b in SHAPES:
        if 0 not in (*a, *b) or 4 not in (*a, *b):  # 0 and 4 do not broadcast
            compare_with_autograd(lambda x, y: f(x, y).tanh().sum(), drawn(a, b), 2)


steps = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=10)


@settings(max_examples=60)
@given(steps)
def test_random_graphs(plan: list[tuple[int, int, int]]) -> None:
    """Shared and unused values, broadcasts, slices and joins at random; every value counts in the loss."""

    def build(*leaves: Any) -> Any:
        values = [*leaves]
        for kind, i, j in plan:
            x, y = values[i % len(values)], values[j % len(values)]
            match kind:
                case 0 | 1:
                    value = x * y
                case 2:
                    value = x + y
                case 3:
                    value = x - y.tanh()
                case 4:
                    value = x.sigmoid()
                case 5:
                    value = x.mean(-1, True)
                case 6:
                    value = wide(x, (2, 3))[:, j % 3 :].sum(1, True)
                case 7:
                    value = concatenate([wide(x, (2, 3))[:, 1:], wide(y, (2, 3))[:, 2:]], 1)
                case 8:
                    value = wide(x, (2, 3)).mT.reshape(2, 3)
                case _:
                    value = wide(x, (2, 3)) @ wide(y, (2, 3)).mT @ wide(y, (2, 3))
            values.append(value.tanh())
        return sum((value.square() * (k + 1.0)).sum() for k, value in enumerate(values))

    compare_with_autograd(build, drawn((2, 3), (3,), (2, 1), ()), 2)


# What is asked for ----------------------------------------------------------------------------------------------------


def test_intermediate_tensors() -> None:
    x0 = torch.tensor([0.5, -1.5], dtype=torch.float64)
    x = graphc.placeholder("x", (2,), torch.float64)
    h = x * 3.0
    loss = (h * h * x).sum()
    to_h, to_x, to_loss, again = values_of(grad(loss, [h, x, loss, h]), [x], [x0])
    assert_same(to_h, 6 * x0 * x0)
    assert_same(to_x, 27 * x0 * x0)
    assert_same(to_loss, torch.ones((), dtype=torch.float64))
    assert_same(again, to_h)


def test_forms_of_wrt() -> None:
    x = graphc.placeholder("x", (2,))
    loss = x.sum()
    assert isinstance(grad(loss, x), Tensor)
    assert isinstance(grad(loss, [x]), list)
    assert len(grad(loss, (x, x))) == 2
    assert len(grad(loss, (each for each in [x]))) == 1  # type: ignore[call-overload]
    assert grad(loss, []) == []
    weight = graphc.Parameter(torch.ones(2))
    assert grad((weight * x).sum(), weight).type == weight.type


def test_no_path_is_zeros() -> None:
    x, y = graphc.placeholder("x", ("n", 2)), graphc.placeholder("y", ("n",), torch.float64)
    through_integers = x.to(torch.int64).to(torch.float32).sum()
    for loss in (graphc.constant(2.0), (y.to(torch.float32) * 2.0).sum(), through_integers, (x > 0).to(x.dtype).sum()):
        gradient = grad(loss, x)
        assert gradient.type == x.type
        assert_same(values_of([gradient], [x], [torch.ones(3, 2)])[0], torch.zeros(3, 2))


def test_dtype_is_kept() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        x = graphc.placeholder("x", (2,), dtype)
        loss = (x.double() * 2.5).sum() + (x * x).mean().to(torch.float64)
        assert grad(loss, x).dtype is dtype


def test_empty_batch() -> None:
    x, w = graphc.placeholder("x", ("n", 3), torch.float64), graphc.placeholder("w", (3,), torch.float64)
    gradients = grad((x * w).tanh().sum() + (x @ w).square().sum(), [x, w])
    to_x, to_w = values_of(gradients, [x, w], [torch.ones(0, 3).double(), torch.ones(3).double()])
    assert_same(to_x, torch.zeros(0, 3).double())
    assert_same(to_w, torch.zeros(3).double())


# What is built --------------------------------------------------------------------------------------------------------


def test_only_paths_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that leads to no target is not differentiated, nor is one after which nothing leads to the loss."""

    def fail(*arguments: object) -> None:
        pytest.fail("this node is on no path")

    x, w = graphc.placeholder("x", (3,)), graphc.placeholder("w", (3,))
    loss = (x.tanh() * w).sum()
    (w.exp() * x).sum()
    monkeypatch.setattr(OPS["tanh"], "vjp", fail)
    monkeypatch.setattr(OPS["exp"], "vjp", fail)
    gradient = grad(loss, w)
    added = {node.op.name for node in topological_order([gradient.node]) if node.origin.forward is not None}
    assert added <= {"constant", "broadcast", "mul", "reshape"}


def test_origin_of_gradients() -> None:
    """Gradient nodes belong to the line and the node that they differentiate."""
    x = graphc.placeholder("x", (3,))
    h = x.tanh()
    loss = h.square().sum()
    gradient = grad(loss, x)
    forward = {node.origin.ident: node for node in topological_order([loss.node])}
    backward = [node for node in topological_order([gradient.node]) if node not in forward.values()]
    assert backward
    for node in backward:
        partner = forward[node.origin.forward]  # type: ignore[index]
        assert node.origin.location == partner.origin.location
    assert {forward[node.origin.forward].op.name for node in backward} == {"sum", "square", "tanh"}  # type: ignore[index]
    (again,) = grad(gradient.sum(), [x])
    assert again.node.origin.forward is not None


def test_deep_chain_does_not_recurse() -> None:
    x = graphc.placeholder("x", ())
    y = x
    for _ in range(5_000):
        y = y * 0.999
    second = grad(grad(y * y, x), x)
    value = values_of([second], [x], [torch.tensor(1.0)])[0]
    assert value.item() == pytest.approx(2 * 0.999**10_000, rel=1e-3)


# What is refused ------------------------------------------------------------------------------------------------------


def test_refusals() -> None:
    x, n = graphc.placeholder("x", ("batch", 3)), graphc.placeholder("n", (2,), torch.int64)
    where = r"built at tests/test_gradient.py:\d+"
    with pytest.raises(
        GradientError, match=rf"^grad: the loss has shape \[batch, 3\], not one element, in grad.*{where}. R"
    ):
        grad(x, x)
    with pytest.raises(
        GradientError, match=rf"^grad: the loss has shape \[2\], not one element.*{where}. Reduce it first"
    ):
        grad(n.double(), x)
    with pytest.raises(
        GradientError, match=rf"^grad: only floating tensors have gradients, not i64, in grad\(i64\[2\]\); {where}"
    ):
        grad(x.sum(), n)
    with pytest.raises(
        GradientError, match=rf"^grad: only floating tensors have gradients, not i64, in grad\(i64\[\]\); {where}"
    ):
        grad(n.sum(), x)
    with pytest.raises(GradientError, match=rf"^grad: takes symbolic tensors, not torch.Tensor; {where}"):
        grad(x.sum(), torch.ones(3))  # type: ignore[call-overload]
    with pytest.raises(GradientError, match=rf"^grad: takes symbolic tensors, not NoneType; {where}"):
        grad(x.sum(), None)  # type: ignore[call-overload]
    with pytest.raises(GradientError, match=rf"^grad: takes symbolic tensors, not float; {where}"):
        grad(2.0, x)  # type: ignore[call-overload]
