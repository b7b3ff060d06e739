"""Canonical form: every rule fires on a small graph and changes no bit; what would change one is no rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import graphc
from graphc.ir import Graph, Node, Tensor, apply
from graphc.ir.verify import verify
from graphc.ops.arithmetic import Neg
from graphc.ops.comparisons import Cast
from graphc.ops.selections import Where
from graphc.ops.views import Broadcast, Permute, Reshape, Slice
from graphc.passes.canonicalise import RULES, canonicalise
from tests.judge import Array, assert_same, graph_of, results_of, special_values

N = len(special_values(torch.float32))


def declared() -> dict[str, Tensor]:
    """What the cases are built of: two rows of special values, a matrix, a symbolic batch, a number."""
    return {
        "x": graphc.placeholder("x", (2, N)),
        "y": graphc.placeholder("y", (2, N)),
        "b": graphc.placeholder("b", ("batch", 3)),
        "c": graphc.placeholder("c", (), torch.float32),
        "i": graphc.placeholder("i", (4,), torch.int64),
        "p": graphc.placeholder("p", (2, N), torch.bool),
    }


def arrays(batch: int) -> list[Array]:
    """Values for them, in which every special value meets every other."""
    special = special_values(torch.float32)
    x = torch.stack([special, special.flip(0)])
    y = torch.stack([special.roll(batch), special.roll(3 * batch + 1)])
    rows = torch.arange(batch * 3.0).reshape(batch, 3) / 7 - 1
    return [x, y, rows, special[batch % N], torch.tensor([0, -1, 7, -(2**63)]), x > 0]


def changed(build: Callable[..., Tensor]) -> tuple[Graph, dict[str, int]]:
    """The canonical graph of what `build` makes of the placeholders, after everything that must hold was checked."""
    inputs = declared()
    before = graph_of([build(**inputs)], inputs.values())
    text = str(before)
    after, fired = canonicalise(before)
    verify(after)
    assert str(before) == text, "the graph that was given is as it was"
    again, fired_again = canonicalise(after)
    assert again is after, f"a second run changes something:\n{after}\n{again}"
    assert not any(fired_again.values())
    for batch in (0, 1, 2, 5, 9):
        for actual, expected in zip(results_of(after, arrays(batch)), results_of(before, arrays(batch)), strict=True):
            assert_same(actual, expected, f"batch {batch}", bits=True)
    return after, dict(fired)


def ops(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


# The rule that fires, what it fires on, and the ops that are left.
CASES: list[tuple[str, Callable[..., Tensor], str]] = [
    ("mean_as_sum", lambda b, **_: b.mean(), "placeholder sum size_value div"),
    ("mean_as_sum", lambda b, **_: b.mean(0), "placeholder sum size_value broadcast div"),
    ("mean_as_sum", lambda x, **_: x.double().mean(1), "placeholder cast sum constant broadcast div"),
    ("merge_reshapes", lambda x, **_: x.reshape(2 * N).reshape(N, 2), "placeholder reshape"),
    ("merge_reshapes", lambda x, **_: x.reshape(2 * N).reshape(N, 2).reshape(2, N), "placeholder"),
    ("merge_reshapes", lambda b, **_: b.reshape(-1).reshape(b.shape), "placeholder"),
    ("merge_reshapes", lambda x, **_: apply(Reshape((2, N)), x), "placeholder"),
    ("merge_permutes", lambda x, **_: x.T.T, "placeholder"),
    ("merge_permutes", lambda x, **_: x[None].permute(2, 0, 1).permute(1, 0, 2), "placeholder reshape permute"),
    ("merge_permutes", lambda x, **_: apply(Permute((0, 1)), x), "placeholder"),
    ("merge_broadcasts", lambda c, **_: c.broadcast_to((3,)).broadcast_to((2, 3)), "placeholder broadcast"),
    ("merge_broadcasts", lambda x, **_: apply(Broadcast((2, N)), x), "placeholder"),
    ("broadcast_of_leading_ones", lambda x, **_: x[None].broadcast_to((3, 2, N)), "placeholder broadcast"),
    ("view_of_number", lambda c, **_: c.broadcast_to((2, 3)).reshape(6), "placeholder broadcast"),
    ("view_of_number", lambda c, **_: c.broadcast_to((2, 3)).T, "placeholder broadcast"),
    ("view_of_number", lambda c, **_: c.broadcast_to((2, 3))[:, 1:], "placeholder broadcast"),
    ("merge_slices", lambda x, **_: x[:, 2:8][:, 1:4], "placeholder slice"),
    ("merge_slices", lambda x, **_: apply(Slice(1, 0, N), x), "placeholder"),
    ("merge_slices", lambda b, **_: apply(Slice(0, 0, b.shape[0]), b), "placeholder"),
    ("slice_of_cat", lambda x, y, **_: graphc.cat([x, y])[2:], "placeholder"),
    ("slice_of_cat", lambda b, **_: graphc.cat([b, b.exp(), b], 0)[b.shape[0] : 2 * b.shape[0]], "placeholder exp"),
    ("compute_before_broadcast", lambda c, **_: c.broadcast_to((2, 3)) * 2.0, "placeholder constant mul broadcast"),
    ("compute_before_broadcast", lambda c, **_: 1.0 - c.broadcast_to((5,)), "constant placeholder sub broadcast"),
    ("compute_before_broadcast", lambda c, **_: c.broadcast_to((5,)) > 0.0, "placeholder constant gt broadcast"),
    ("compute_before_broadcast", lambda c, **_: c.broadcast_to((5,)).clamp(-1.0, 1.0), "placeholder clamp broadcast"),
    (
        "compute_before_broadcast",
        lambda c, **_: apply(Where(), *(z.broadcast_to((5,)) for z in (c > 0.0, c, -c))),
        "placeholder constant gt neg where broadcast",
    ),
    ("double_negation", lambda x, **_: x.neg().neg(), "placeholder"),
    ("double_negation", lambda i, **_: i.neg().neg(), "placeholder"),
    ("mul_by_one", lambda x, **_: x * 1.0, "placeholder"),
    ("mul_by_one", lambda x, **_: 1.0 * x, "placeholder"),
    ("mul_by_one", lambda i, **_: i * 1, "placeholder"),
    ("mul_by_minus_one", lambda x, **_: x * -1.0, "placeholder neg"),
    ("mul_by_minus_one", lambda x, **_: -1.0 * x, "placeholder neg"),
    ("mul_by_minus_one", lambda i, **_: i * -1, "placeholder neg"),
    ("div_by_one", lambda x, **_: x / 1.0, "placeholder"),
    ("sub_zero", lambda x, **_: x - 0.0, "placeholder"),
    ("sub_zero", lambda i, **_: i - 0, "placeholder"),
    ("add_negation", lambda x, y, **_: x + -y, "placeholder placeholder sub"),
    ("add_negation", lambda x, y, **_: -x + y, "placeholder placeholder sub"),
    ("add_negation", lambda x, y, **_: x - -y, "placeholder placeholder add"),
    ("add_negation", lambda x, y, **_: -x + -y, "placeholder neg placeholder sub"),
    ("where_same", lambda x, p, **_: graphc.where(p, x, x), "placeholder"),
    ("cast_to_same", lambda x, **_: apply(Cast(torch.float32), x), "placeholder"),
    ("transpose_of_product", lambda x, y, **_: (x @ y.T).T, "placeholder placeholder permute matmul"),
    ("transpose_of_product", lambda x, y, **_: (x.T @ y).T.exp(), "placeholder permute placeholder matmul exp"),
]


@pytest.mark.parametrize(("rule", "build", "left"), CASES, ids=[f"{rule}-{n}" for n, (rule, _, _) in enumerate(CASES)])
def test_rule_fires(rule: str, build: Callable[..., Tensor], left: str) -> None:
    graph, fired = changed(build)
    assert fired.get(rule, 0) >= 1, fired
    assert ops(graph) == left.split(), f"\n{graph}"


def test_every_rule_has_a_case() -> None:
    assert {rule.name for rule in RULES} | {"transpose_of_product"} == {rule for rule, _, _ in CASES}


# Equal in exact arithmetic, or nearly so, and not the same in floating point. Nothing may change these.
KEPT: dict[str, Callable[..., Tensor]] = {
    "x + 0": lambda x, **_: x + 0.0,
    "0 + x": lambda x, **_: 0.0 + x,
    "x - -0": lambda x, **_: x - (-0.0),
    "0 - x": lambda x, **_: 0.0 - x,
    "x - x": lambda x, **_: x - x,
    "x · 0": lambda x, **_: x * 0.0,
    "0 · x": lambda x, **_: 0.0 * x,
    "x / x": lambda x, **_: x / x,
    "0 / x": lambda x, **_: 0.0 / x,
    "x / 2": lambda x, **_: x / 2.0,
    "x + y - y": lambda x, y, **_: x + y - y,
    "x · y / y": lambda x, y, **_: x * y / y,
    "x · 3 · 3": lambda x, **_: x * 3.0 * 3.0,
    "(x + y) + 1": lambda x, y, **_: x + (y + 1.0),
    "x · y + x": lambda x, y, **_: x * y + x,
    "exp(log(x))": lambda x, **_: x.log().exp(),
    "log(exp(x))": lambda x, **_: x.exp().log(),
    "sqrt(x²)": lambda x, **_: x.square().sqrt(),
    "√x · √x": lambda x, **_: x.sqrt() * x.sqrt(),
    "1 / (1 / x)": lambda x, **_: x.reciprocal().reciprocal(),
    "log(1 + x)": lambda x, **_: (x + 1.0).log(),
    "1 / (1 + exp(-x))": lambda x, **_: (1.0 + (-x).exp()).reciprocal(),
    "x == x": lambda x, **_: x == x,
    "where x != 0": lambda x, **_: graphc.where(x != 0.0, x, 0.0),
    "max(x, x)": lambda x, y, **_: x.maximum(y).maximum(x),
    "int · 0": lambda i, **_: i * 0,
    "int + 0": lambda i, **_: i + 0,
    "float → int → float": lambda c, **_: c.clamp(-3.0, 3.0).to(torch.bool).to(torch.float32),
    "float64 → float32 → float64": lambda x, **_: x.double().float().double().float(),
    "mean of bfloat16": lambda b, **_: b.to(torch.bfloat16).mean(),
    "x[::2][::2]": lambda x, **_: x[:, ::2][:, ::2],
    "x[:, a:][b:]": lambda x, **_: x[:, 2:][1:],
    "x[n - 1:]": lambda b, **_: b[b.shape[0] - 1 :],
    "part of a cat": lambda x, y, **_: graphc.cat([x, y])[1:3],
    "(x @ y) read by a product": lambda x, y, **_: x @ (x.T @ y).T,
    "broadcasts of two shapes": lambda x, c, **_: x[:1].broadcast_to(x.shape) * c.broadcast_to(x.shape),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_the_same_is_kept(name: str) -> None:
    build = KEPT[name]
    inputs = declared()
    graph = graph_of([build(**inputs)], inputs.values())
    after, fired = canonicalise(graph)
    assert after is graph, f"{dict(fired)}\n{after}"


def test_a_product_that_is_read_twice_is_not_transposed() -> None:
    inputs = declared()
    product = inputs["x"] @ inputs["y"].T
    for outputs in ([product.T, product.exp()], [product.T, product]):
        graph = graph_of(outputs, inputs.values())
        assert canonicalise(graph)[0] is graph


def test_sigmoid_and_cross_entropy_stay_two_functions() -> None:
    """In the form with logits the loss of a certain and wrong prediction would be 200, and not 100."""
    x, t = graphc.placeholder("x", ("n",)), graphc.placeholder("t", ("n",))
    loss = graphc.nn.BCELoss()(x.sigmoid(), t)
    logits, targets = torch.tensor([200.0, -200.0, 0.5]), torch.tensor([0.0, 1.0, 1.0])
    expected = torch.nn.functional.binary_cross_entropy(logits.sigmoid(), targets)
    graph, _ = canonicalise(graph_of([loss], [x, t]))
    assert {"sigmoid", "binary_cross_entropy"} <= set(ops(graph))
    for backend in ("reference", "torch"):
        assert_same(graphc.compile([x, t], loss, backend=backend)(logits, targets), expected)


def test_a_chain_of_products_transposed_needs_one_run() -> None:
    x = graphc.placeholder("x", (3, 3))
    y = x
    for _ in range(50):
        y = x @ y
    after, _ = canonicalise(graph_of([(y.T + 1.0).T], [x]))
    assert canonicalise(after)[0] is after


def test_rewritten_nodes_name_the_pass_and_keep_the_line() -> None:
    inputs = declared()
    built = inputs["x"] * -1.0
    after, _ = canonicalise(graph_of([built], inputs.values()))
    [node] = [node for node in after.nodes if node.inputs]
    assert node.op == Neg()
    assert node.origin.passes == ("canonicalise",)
    assert (node.origin.file, node.origin.line) == (built.node.origin.file, built.node.origin.line)
    assert isinstance(node, Node)
