"""The torch plan's patterns: each is chosen where it applies, nowhere else, and gives what the reference gives."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import graphc
from graphc import Program, Tensor, grad, nn
from graphc.backends.torch_plan import PATTERNS
from graphc.ops.activations import LeakyRelu
from graphc.schedule import Schedule
from tests.judge import Array, assert_same

SYMBOLS = {
    "x": graphc.placeholder("x", ("n", 4)),
    "w": graphc.placeholder("w", (4, 3)),
    "b": graphc.placeholder("b", (3,)),
    "column": graphc.placeholder("column", ("n", 1)),
    "u": graphc.placeholder("u", ("n", 3)),
    "v": graphc.placeholder("v", ("n", 3)),
    "c": graphc.placeholder("c", ()),
    "stack": graphc.placeholder("stack", ("n", 2, 2)),
    "i": graphc.placeholder("i", (5,), torch.int64),
    "j": graphc.placeholder("j", (5,), torch.int64),
    "d": graphc.placeholder("d", ("n", 3), torch.float64),
}
SIZES = (5, 1, 0)


def arrays(n: int) -> list[Array]:
    generator = torch.Generator().manual_seed(n)
    result = []
    for each in SYMBOLS.values():
        shape = [size if isinstance(size, int) else n for size in each.shape]
        value = torch.randn(shape, generator=generator, dtype=torch.float64) * 3.0
        result.append(value.to(each.dtype))
    return result


def planned(*outputs: Tensor) -> Program:
    """The program on the torch plan, after its results were compared with the reference's."""
    inputs = list(SYMBOLS.values())
    program = graphc.compile(inputs, outputs, backend="torch")
    reference = graphc.compile(inputs, outputs, backend="reference")
    for n in SIZES:
        for actual, expected in zip(program(*arrays(n)), reference(*arrays(n)), strict=True):
            assert_same(actual, expected, f"n = {n}")
    return program


def schedule_of(program: Program) -> Schedule:
    [found] = [stage.value for stage in program.stages if isinstance(stage.value, Schedule)]
    return found


def patterns_of(program: Program) -> list[str]:
    return [step.pattern for step in schedule_of(program).steps if step.pattern]


def backward(f: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    """The gradient of f(u), weighted by v."""
    return lambda u, v, **_: grad((f(u) * v).sum(), u)


CASES: list[tuple[str, str, Callable[..., Tensor]]] = [
    ("linear", "addmm", lambda x, w, b, **_: x @ w + b),
    ("linear", "addmm", lambda x, w, b, **_: b + x @ w),
    ("linear", "addmm", lambda x, w, c, **_: x @ w + c),
    ("linear", "addmm", lambda x, w, column, **_: x @ w + column),
    ("linear", "addmm", lambda x, w, u, **_: x @ w + u),
    ("linear", "addmm", lambda x, w, **_: x @ w + 1.0),
    ("linear", "addmm", lambda x, w, **_: x @ w + (x * 2.0) @ w),
    ("matrix_product", "mm", lambda x, w, **_: x @ w),
    ("matrix_product", "mm", lambda x, u, **_: x.T @ u),
    ("matrix_product", "bmm", lambda stack, **_: stack @ stack.mT),
    ("tanh_backward", "tanh_backward", backward(Tensor.tanh)),
    ("sigmoid_backward", "sigmoid_backward", backward(Tensor.sigmoid)),
    ("relu_backward", "threshold_backward", backward(Tensor.relu)),
    ("leaky_relu_backward", "leaky_relu_backward", backward(graphc.leaky_relu)),
    ("leaky_relu_backward", "leaky_relu_backward", backward(lambda u: graphc.leaky_relu(u, -2.0))),
    ("softmax_backward", "_softmax_backward_data", backward(lambda u: u.softmax(1))),
    ("softmax_backward", "_softmax_backward_data", lambda stack, **_: grad((stack.softmax(1).square()).sum(), stack)),
    ("softmax_backward", "_softmax_backward_data", lambda stack, **_: grad((stack.softmax(0).square()).sum(), stack)),
    ("log_softmax_backward", "_log_softmax_backward_data", backward(lambda u: u.log_softmax(1))),
    ("log_softmax_backward", "_log_softmax_backward_data", backward(lambda u: u.log_softmax(1).log_softmax(1))),
    ("add_product", "addcmul", lambda u, v, b, **_: u + v * b),
    ("add_product", "addcmul", lambda u, v, b, **_: u * v + b * v),
    ("add_product", "addcmul", lambda u, v, **_: u - v * 2.0),
    ("add_product", "addcmul", lambda u, v, c, **_: v * c + u),
    ("add_product", "addcmul", lambda u, v, column, **_: u - column * v),
    ("broadcast_in_call", "add", lambda u, b, **_: u + b),
    ("broadcast_in_call", "mul", lambda u, c, **_: c * u),
    ("broadcast_in_call", "sub", lambda u, column, **_: u - column),
    ("broadcast_in_call", "where", lambda u, b, c, **_: graphc.where(u > b, u, c)),
    ("broadcast_in_call", "maximum", lambda u, b, **_: u.maximum(b)),
    ("broadcast_in_call", "maximum(in_column, in_b", lambda column, b, **_: column.maximum(b)),
    ("broadcast_in_call", "maximum", lambda column, c, **_: column.broadcast_to((*column.shape[:1], 3)).maximum(c)),
]
IDS = [f"{name}-{n}" for n, (name, _, _) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "function", "build"), CASES, ids=IDS)
def test_pattern_is_chosen(name: str, function: str, build: Callable[..., Tensor]) -> None:
    program = planned(build(**SYMBOLS))
    assert name in patterns_of(program)
    assert (function if "(" in function else f"{function}(") in program.source
    covering = [step for step in schedule_of(program).steps if step.pattern == name and step.covers]
    for step in covering:
        for node in step.covers:
            kept = planned(Tensor(step.node), Tensor(node))
            covered = {hidden for step in schedule_of(kept).steps for hidden in step.covers}
            assert not covered & {output.node for output in kept.graph.outputs}, "an output has a value of its own"
            planned(Tensor(step.node), Tensor(node).to(torch.float64).exp())


def test_every_pattern_has_a_case() -> None:
    assert {pattern.name for pattern in PATTERNS} == {name for name, _, _ in CASES}


NOT: list[tuple[str, Callable[..., Tensor]]] = [
    ("linear", lambda x, w, **_: x @ w + x @ w),
    ("softmax_backward", lambda u, v, **_: (u - (u * v).sum()) * v),
    ("softmax_backward", lambda u, v, b, **_: (u - (u * v).sum(1, keepdim=True)) * b),
    ("softmax_backward", lambda u, v, **_: (u - (u * v).amax(1, keepdim=True)) * v),
    ("log_softmax_backward", lambda u, v, **_: u - v.exp() * v.sum(1, keepdim=True)),
    ("log_softmax_backward", lambda u, v, **_: u - v.exp() * u.sum()),
    ("log_softmax_backward", lambda u, v, **_: u - v * u.sum(1, keepdim=True)),
    ("add_product", lambda u, v, **_: u * v + u * v),
    ("add_product", lambda i, j, **_: i + j * i),
    ("add_product", lambda u, v, c, **_: c - u * v),
    ("add_product", lambda u, v, **_: u * v - u),
    ("tanh_backward", lambda i, j, **_: i * (1 - j.square())),
    ("tanh_backward", lambda u, v, **_: u * (2.0 - v.square())),
    ("tanh_backward", lambda c, v, **_: c * (1.0 - v.square())),
    ("sigmoid_backward", lambda u, v, **_: u * ((1.0 - v) * v)),
    ("sigmoid_backward", lambda u, v, **_: u * ((1.0 - v.sigmoid()) * v)),
    ("relu_backward", lambda u, v, **_: graphc.where(u <= 0.0, -0.0, v)),
    ("relu_backward", lambda u, v, **_: graphc.where(u <= 1.0, 0.0, v)),
    ("relu_backward", lambda u, v, **_: graphc.where(u < 0.0, 0.0, v)),
    ("relu_backward", lambda i, j, **_: graphc.where(i <= 0, 0, j)),
    ("relu_backward", lambda u, d, **_: graphc.where(d <= 0.0, 0.0, u)),
    ("leaky_relu_backward", lambda i, j, **_: graphc.where(i > 0, j, j * 2)),
    ("leaky_relu_backward", lambda u, d, **_: graphc.where(d > 0.0, u, u * 0.5)),
    ("leaky_relu_backward", lambda u, v, **_: graphc.where(u > 0.0, v, u * 0.5)),
    ("leaky_relu_backward", lambda u, v, c, **_: graphc.where(u > 0.0, v, v * c)),
]


@pytest.mark.parametrize(("name", "build"), NOT, ids=[f"{name}-{n}" for n, (name, _) in enumerate(NOT)])
def test_pattern_is_not_chosen(name: str, build: Callable[..., Tensor]) -> None:
    assert name not in patterns_of(planned(build(**SYMBOLS)))


def test_the_sign_of_zero_survives() -> None:
    u, v = SYMBOLS["u"], SYMBOLS["v"]
    program = graphc.compile([u, v], graphc.where(u <= 0.0, -0.0, v), backend="torch")
    assert program(-torch.ones(1, 3), torch.ones(1, 3)).signbit().all()


def test_large_values_do_not_overflow_on_another_way() -> None:
    """torch multiplies g · (1 - y) first."""
    u, v = SYMBOLS["u"], SYMBOLS["v"]
    program = graphc.compile([u, v], v * ((1.0 - u) * u), backend="torch")
    assert program(torch.full((1, 3), 1e20), torch.full((1, 3), 1e-30)).isinf().all()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 0.0, -0.0])
def test_slopes_at_special_values(value: float) -> None:
    """As torch.autograd has them."""
    functions: list[tuple[Callable[[Tensor], Tensor], Callable[[Array], Array]]] = [
        (Tensor.tanh, torch.tanh),
        (Tensor.sigmoid, torch.sigmoid),
        (Tensor.relu, torch.relu),
        (graphc.leaky_relu, torch.nn.functional.leaky_relu),
    ]
    u, v = SYMBOLS["u"], SYMBOLS["v"]
    for ours, theirs in functions:
        program = graphc.compile([u, v], backward(ours)(u, v), backend="torch")
        leaf = torch.tensor([[value, 1.0, value]], requires_grad=True)
        for weight in (2.0, float("inf"), 0.0, float("nan")):
            cotangent = torch.full((1, 3), weight)
            [expected] = torch.autograd.grad(theirs(leaf), leaf, cotangent)
            assert_same(program(leaf, cotangent), expected, f"{theirs} {value} {weight}")


def test_a_step_of_a_network_is_a_few_calls() -> None:
    """Nothing else is left of its forward and backward pass."""
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3), nn.Sigmoid(), nn.Linear(3, 1))
    x = SYMBOLS["x"]
    loss = net(x).square().mean()
    program = graphc.compile([x], grad(loss, list(net.parameters())), backend="torch")
    found = patterns_of(program)
    assert found.count("linear") == 3
    assert found.count("tanh_backward") == 1
    assert found.count("sigmoid_backward") == 1
    assert not any(step.call is None for step in schedule_of(program).steps)


def test_slope_of_a_leaky_relu_is_taken_as_the_op_has_it() -> None:
    u, v = SYMBOLS["u"], SYMBOLS["v"]
    program = planned(backward(lambda u: graphc.leaky_relu(u, 0.3))(u, v))
    [step] = [step for step in schedule_of(program).steps if step.pattern == "leaky_relu_backward"]
    assert step.arguments == (torch.tensor(0.3).item(), False)
    assert LeakyRelu(0.3).negative_slope == 0.3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slopes_of_linear_units_meet_a_cotangent_that_is_broadcast(dtype: torch.dtype) -> None:
    x = graphc.placeholder("x", ("n", 3), dtype)
    value = torch.randn(4, 3, dtype=dtype, generator=torch.Generator().manual_seed(0))
    for unit in (graphc.gelu, graphc.silu, graphc.elu, graphc.softplus):
        gradient = grad(unit(x).sum(), x)
        expected = graphc.compile([x], gradient, backend="reference")(value)
        assert_same(graphc.compile([x], gradient, backend="torch")(value), expected)
