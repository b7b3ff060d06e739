"""Numbers for drawings that are evaluated: norms of gradients beside torch's autograd, and where NaN comes from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
import torch

import graphc
from graphc import InputError, Parameter, Program, StateError, Tensor, Variable, grad, nn, optim
from graphc.viz.errors import DrawingError
from graphc.viz.overlays import Overlay, gradient_norms, nan_origin

BATCH = torch.linspace(-1.0, 2.0, 15).reshape(5, 3)
x = graphc.placeholder("x", ("batch", 3))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))


def norms_by_torch(net: nn.Sequential, batch: torch.Tensor) -> dict[str, float]:
    """Norms of the gradients of mean(net(x)²), of the same network in torch."""
    values = {name: parameter.value.clone().requires_grad_() for name, parameter in net.named_parameters()}
    hidden = batch
    for k in (0, 2, 4):
        hidden = hidden @ values[f"{k}.weight"].T + values[f"{k}.bias"]
        hidden = (torch.sigmoid, torch.tanh, torch.square)[k // 2](hidden)
    hidden.mean().backward()
    return {name: float(value.grad.norm()) for name, value in values.items() if value.grad is not None}


def ranking(overlay: Overlay) -> dict[str, float]:
    return {row.what: row.value for row in overlay.rows}


def assert_close(found: Mapping[str, float], expected: Mapping[str, float]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert math.isclose(found[name], value, rel_tol=1e-4), name


# Gradients ------------------------------------------------------------------------------------------------------------


OPTIMIZERS: dict[str, Callable[[list[Parameter]], optim.Optimizer]] = {
    "sgd": lambda params: optim.SGD(params, lr=0.1),
    "sgd with everything": lambda params: optim.SGD(params, 0.1, momentum=0.9, weight_decay=0.1, nesterov=True),
    "adam": lambda params: optim.Adam(params, weight_decay=0.1, amsgrad=True),
    "adamw": lambda params: optim.AdamW(params),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_norms_of_the_parameters_gradients_are_those_of_torch(name: str) -> None:
    net = network()
    loss = net(x).square().mean()
    updates = OPTIMIZERS[name](list(net.parameters())).minimize(loss)
    found = gradient_norms(graphc.compile([x], loss, updates, backend="reference"), [BATCH])
    assert_close(ranking(found), norms_by_torch(net, BATCH))
    idents = {name: parameter.node.origin.ident for name, parameter in net.named_parameters()}
    assert {row.what: row.nodes[1] for row in found.rows} == idents
    values = [row.value for row in found.rows]
    assert values == sorted(values, reverse=True)
    assert found.rows[0].share == 1.0
    assert found.rows[1].share == values[1] / values[0]
    assert found.notes == ("batch = 5",)
    for row in found.rows:
        assert [found.of_nodes[ident] for ident in row.nodes] == [row.value] * 2
        assert row.module == f"sequential.{row.what.partition('.')[0]}"
        assert "test_values.py:" in row.where


@pytest.mark.parametrize("backend", ["reference", "torch", "c"])
def test_the_backend_makes_no_difference(backend: str) -> None:
    net = network()
    loss = net(x).square().mean()
    program = graphc.compile([x], loss, optim.SGD(net.parameters(), lr=0.1).minimize(loss), backend=backend)
    assert_close(ranking(gradient_norms(program, [BATCH])), norms_by_torch(net, BATCH))


def test_clipped_gradients_are_those_of_their_own_parameters() -> None:
    """The total norm leads to the gradients of all parameters, some of the same type."""
    first, second = Parameter(torch.ones(3), name="first"), Parameter(torch.full((3,), 2.0), name="second")
    loss = (x * first * second.square()).sum()
    gradients = grad(loss, [first, second])
    total = (gradients[0].square().sum() + gradients[1].square().sum()).sqrt()
    updates: dict[Variable, Tensor] = {p: p - 0.1 * (g / total) for p, g in zip((first, second), gradients)}
    found = gradient_norms(graphc.compile([x], loss, updates, backend="reference"), [BATCH])
    column = BATCH.sum(0)
    assert_close(ranking(found), {"first": float((4 * column).norm()), "second": float((4 * column).norm())})
    assert len({row.nodes for row in found.rows}) == 2


def test_outputs_that_are_gradients_are_named() -> None:
    weight = Parameter(torch.tensor([1.0, 2.0, 3.0]))
    y = (x * weight).sigmoid().sum()
    to_x, to_weight = grad(y, [x, weight])
    found = gradient_norms(graphc.compile([x], {"dx": to_x, "dw": to_weight, "y": y}, backend="reference"), [BATCH])
    batch, values = BATCH.clone().requires_grad_(), weight.value.clone().requires_grad_()
    (batch * values).sigmoid().sum().backward()
    assert batch.grad is not None
    assert values.grad is not None
    assert_close(ranking(found), {"dx": float(batch.grad.norm()), "dw": float(values.grad.norm())})


def test_what_a_gradient_is_multiplied_by_is_none() -> None:
    """Neither the transposed weight nor 1 - y of a sigmoid, though both are computed for the gradient."""
    weight = Parameter(torch.full((3, 2), 7.0))
    y = (x @ weight).sigmoid()
    program = graphc.compile([x], [grad((y * 2.0).sum(), x), y], backend="reference")
    found = gradient_norms(program, [BATCH])
    backward = {
        node.origin.ident: node
        for node in program.stages[0].value.nodes  # type: ignore[attr-defined]
        if node.origin.forward is not None
    }
    others = {backward[ident].op.name for ident in backward.keys() - found.of_nodes.keys()}
    assert {"permute", "sub", "constant"} <= others
    assert {"matmul", "mul", "broadcast"} <= {backward[ident].op.name for ident in found.of_nodes}
    for ident in found.of_nodes:
        assert ident in backward


def test_gradients_of_gradients() -> None:
    """A penalty on the slope, as critics have: the second backward part begins with a 1 of its own."""
    weight = Parameter(torch.full((3, 2), 0.5), name="weight")
    slope = grad((x @ weight).tanh().sum(), x)
    loss = slope.square().sum()
    found = gradient_norms(
        graphc.compile([x], loss, {weight: weight - grad(loss, weight)}, backend="reference"), [BATCH]
    )
    values, batch = weight.value.clone().requires_grad_(), BATCH.clone().requires_grad_()
    [by_torch] = torch.autograd.grad((batch @ values).tanh().sum(), batch, create_graph=True)
    [expected] = torch.autograd.grad(by_torch.square().sum(), values)
    assert_close(ranking(found), {"weight": float(expected.norm())})
    first = found.of_nodes[slope.node.origin.ident]
    assert math.isclose(first, float(by_torch.detach().norm()), rel_tol=1e-4)


def test_dropout_has_the_masks_of_the_state() -> None:
    net = nn.Sequential(nn.Linear(3, 30), nn.Dropout(0.5), nn.Linear(30, 1))
    loss = net(x).square().mean()
    weights = list(net.parameters())
    program = graphc.compile([x], [loss, *grad(loss, weights)], backend="reference", training=True)
    seen = set()
    for seed in (1, 2):
        state = program.new_state(seed=seed)
        found = gradient_norms(program, [BATCH], state)
        values = program(BATCH, state=state.copy())
        assert_close(ranking(found), {f"output{k}": float(g.norm()) for k, g in enumerate(values[1:], 1)})
        seen.add(found.rows[0].value)
    assert len(seen) == 2


def test_zeros_have_no_share_and_norms_do_not_overflow() -> None:
    weight = Parameter(torch.ones(4, dtype=torch.float16))
    loss = (weight * 300.0).sum() * 200.0
    [row] = gradient_norms(graphc.compile([], grad(loss, weight), backend="reference"), []).rows
    assert row.value == 120_000.0
    program = graphc.compile([x], grad((x * 0.0).sum(), x), backend="reference")
    [row] = gradient_norms(program, [torch.zeros(0, 3)]).rows
    assert (row.value, row.share) == (0.0, 0.0)


def test_gradients_that_are_not_finite_come_first() -> None:
    first, second = Parameter(torch.zeros(3), name="first"), Parameter(torch.ones(3), name="second")
    loss = (x * (first.sqrt() + second)).sum()
    updates = optim.SGD([second, first], lr=0.1).minimize(loss)
    found = gradient_norms(graphc.compile([x], loss, updates, backend="reference"), [BATCH])
    assert [(row.what, math.isfinite(row.share)) for row in found.rows] == [("first", False), ("second", True)]
    assert found.rows[1].share == 1.0


def test_a_program_without_gradients() -> None:
    text = r"^overlay 'gradient': the program has no gradients. Compile it with updates=optimizer.minimize\(loss\), or"
    with pytest.raises(DrawingError, match=text):
        gradient_norms(graphc.compile([x], x.tanh(), backend="reference"), [BATCH])


def test_a_parameter_whose_update_has_no_gradient_is_left_out() -> None:
    weight, average = Parameter(torch.ones(3), name="weight"), Parameter(torch.ones(3), name="average")
    loss = (x * weight).sum()
    updates: dict[Variable, Tensor] = {weight: weight - grad(loss, weight), average: average * 0.9 + weight * 0.1}
    found = gradient_norms(graphc.compile([x], loss, updates, backend="reference"), [BATCH])
    assert ranking(found).keys() == {"weight"}


# NaN ------------------------------------------------------------------------------------------------------------------


def origin_of(y: Tensor, *arrays: torch.Tensor) -> Overlay:
    return nan_origin(graphc.compile([x], y, backend="reference"), arrays)


def test_a_log_of_a_negative_value() -> None:
    y = x.log()
    batch = torch.tensor([[1.0, -1.0, -2.0]])
    found = origin_of((y * 2.0).sum(), batch)
    [row] = found.rows
    assert row.text.startswith("log of a value ≤ 0: 2 of 3 entries are NaN; built at ")
    assert row.text.endswith(row.where)
    assert (row.what, row.value, row.share) == ("log", 2, 2 / 3)
    assert row.nodes == (y.node.origin.ident,)
    assert sorted(found.of_nodes.values()) == [1, 2, 2]
    assert found.notes == ("batch = 1", row.text, "2 more values are not finite because of that")


def test_the_module_is_named() -> None:
    class Logs(nn.Module):
        def forward(self, y: Tensor) -> Tensor:
            return y.log()

    found = origin_of(nn.Sequential(nn.Tanh(), Logs())(x), torch.zeros(1, 3))
    assert found.rows[0].text.startswith("log of a value ≤ 0: 3 of 3 entries are infinite; built at ")
    assert found.rows[0].text.endswith(" in sequential.1")


def test_a_gradient_that_is_infinite_where_the_value_is_not() -> None:
    root = x.sqrt()
    program = graphc.compile([x], [root, grad(root.sum(), x)], backend="reference")
    found = nan_origin(program, [torch.tensor([[0.0, 1.0, 4.0]])])
    [row] = found.rows
    assert row.text.startswith("division by 0 in the gradient of sqrt: 1 of 3 entries is infinite; built at ")
    assert found.notes[-1] == row.text


def test_a_step_that_breaks_its_parameters() -> None:
    weight = Parameter(torch.zeros(3), name="weight")
    loss = (x * weight.sqrt()).sum()
    program = graphc.compile([x], loss, optim.SGD([weight], lr=0.1).minimize(loss), backend="c")
    found = nan_origin(program, [BATCH])
    assert found.rows[0].text.startswith("division by 0 in the gradient of sqrt")
    assert torch.equal(program.state["weight"], torch.zeros(3))
    program(BATCH)
    again = nan_origin(program, [BATCH])
    assert again.rows[0].text.startswith("parameter 'weight': 3 of 3 entries are ")
    assert again.rows[0].what == "parameter 'weight'"


CAUSES: dict[str, tuple[Callable[[Tensor], Tensor], list[float], str]] = {
    "log1p": (lambda x: x.log1p(), [-2.0, 0.0, 0.0], "log1p of a value ≤ -1: 1 of 3 entries is NaN"),
    "sqrt": (lambda x: x.sqrt(), [-1.0, -1.0, 0.0], "sqrt of a value < 0: 2 of 3 entries are NaN"),
    "div": (lambda x: 2.0 / x, [0.0, 1.0, 2.0], "division by 0: 1 of 3 entries is infinite"),
    "div, both": (lambda x: x.sum(0) / x[0], [0.0, 0.0, 0.0], "division by 0: 3 of 3 entries are NaN"),
    "reciprocal": (lambda x: x.reciprocal(), [0.0, 1.0, 2.0], "division by 0: 1 of 3 entries is infinite"),
    "power": (lambda x: x.pow(0.5), [-1.0, 1.0, 2.0], "power of a value ≤ 0: 1 of 3 entries is NaN"),
    "powers": (lambda x: x.pow(x), [-1.5, 1.0, 2.0], "power of a value ≤ 0: 1 of 3 entries is NaN"),
    "exp": (lambda x: x.exp(), [0.0, 100.0, 1.0], "exp beyond the largest f32: 1 of 3 entries is infinite"),
    "cast": (lambda x: x.to(torch.float16), [1e5, 1.0, 1.0], "cast beyond the largest f16: 1 of 3 entries is infinite"),
    "div, large": (lambda x: x / 1e-9, [1e38, 1.0, 1.0], "div beyond the largest f32: 1 of 3 entries is infinite"),
    "mean": (lambda x: x[1:].mean(0), [1.0, 1.0, 1.0], "mean: 3 of 3 entries are NaN"),
    "scalar": (lambda x: x.sum().log(), [0.0, 0.0, 0.0], "log of a value ≤ 0: the value is infinite"),
    "input": (lambda x: x * 2.0, [math.nan, math.inf, 1.0], "input 'x': 2 of 3 entries are NaN or infinite"),
    "constant": (lambda x: x + math.inf, [0.0, 1.0, 2.0], "add: 3 of 3 entries are infinite"),
    "infinite constants": (
        lambda x: x + graphc.constant(torch.tensor([1.0, math.inf, 1.0])),
        [0.0, 1.0, 2.0],
        "add: 1 of 3 entries is infinite",
    ),
    "cross entropy": (
        lambda p: nn.BCELoss()(p, p.relu() * 0.0),
        [0.5, 2.0, 0.5],
        "binary_cross_entropy of a probability outside 0 to 1: 1 of 3 entries is NaN",
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_causes(name: str) -> None:
    make, values, text = CAUSES[name]
    assert origin_of(make(x), torch.tensor([values])).rows[0].text.startswith(f"{text}; built at ")


def test_origins_are_in_the_order_of_evaluation() -> None:
    found = origin_of((x - 5.0).sqrt() + (x - 5.0).log(), torch.ones(1, 3))
    assert [row.what for row in found.rows] == ["sqrt", "log"]
    assert found.notes[2:] == ("1 more origin", "1 more value is not finite because of that")


def test_what_no_result_shows_comes_last() -> None:
    hidden = graphc.where(x > 0, x.log(), 0.0)
    batch = torch.tensor([[1.0, -1.0, 0.0]])
    alone = origin_of(hidden, batch)
    assert alone.notes == ("batch = 1", "every result is finite", "1 more origin")
    assert [row.what for row in alone.rows] == ["log"]
    found = origin_of(hidden + x.sqrt(), batch)
    assert [row.what for row in found.rows] == ["sqrt", "log"]


def test_everything_is_finite() -> None:
    found = origin_of(x.tanh(), BATCH)
    assert (found.rows, found.of_nodes, found.notes) == ((), {}, ("batch = 5", "every result is finite"))


def test_nothing_is_not_finite_in_nothing_or_in_whole_numbers() -> None:
    assert origin_of(x.log(), torch.zeros(0, 3)).rows == ()
    whole = graphc.placeholder("whole", (), torch.int64)
    program = graphc.compile([whole], [whole * 2, whole > 1], backend="reference")
    assert nan_origin(program, [torch.tensor(2)]).rows == ()


def test_names_are_only_text() -> None:
    weight = Parameter(torch.tensor(math.nan), name="<b>\n\x1b[31m")
    program = graphc.compile([], weight * 2.0, backend="reference")
    assert nan_origin(program, []).rows[0].what == "parameter '<b>\\n\\x1b[31m'"


# The door -------------------------------------------------------------------------------------------------------------


def program() -> Program:
    weight = Parameter(torch.ones(3), name="weight")
    loss = (x * weight).sum()
    return graphc.compile([x], loss, optim.SGD([weight], lr=0.1).minimize(loss), backend="reference")


@pytest.mark.parametrize("find", [gradient_norms, nan_origin])
def test_batches_and_states_are_checked(find: Callable[..., Overlay]) -> None:
    with pytest.raises(InputError, match=r"^input 'x' has size 2 in dimension 1, expected 3 of f32\[batch,3\]"):
        find(program(), [torch.ones(5, 2)])
    with pytest.raises(StateError, match="state is a dict, not a graphc State"):
        find(program(), [BATCH], {})
    with pytest.raises(StateError, match="this State has no value for parameter 'weight'"):
        find(program(), [BATCH], program().new_state())
    with pytest.raises(DrawingError, match="is not run"):
        find(program().graph, [BATCH])


def test_sizes_that_the_graph_cannot_have() -> None:
    with pytest.raises(InputError, match="slice: needs batch >= 3, but batch = 2"):
        origin_of(x[3:], torch.ones(2, 3))


def test_long_chains() -> None:
    deep = graphc.placeholder("deep", (2,))
    y = deep
    for _ in range(3000):
        y = y * 1.0001 + 1.0
    long = graphc.compile([deep], grad(y.sum().log(), deep), backend="reference")
    assert len(gradient_norms(long, [torch.ones(2)]).of_nodes) > 3000
    assert len(nan_origin(long, [torch.full((2,), math.nan)]).of_nodes) > 3000
