"""The rewrite driver: what it applies, counts, checks and bounds; and what becomes of origins."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import VerifyError
from graphc.ir import Node, Tensor
from graphc.ir.rewrite import rebuild, rewrite, rule
from graphc.ir.verify import verify
from graphc.ops.arithmetic import Add, Mul, Neg, Square
from graphc.ops.elementary import Exp, Log
from tests.judge import assert_same, graph_of, values_of


@rule(Neg)
def double_negation(n: Node) -> Tensor | None:
    (x,) = n.inputs
    return Tensor(x.inputs[0]) if isinstance(x.op, Neg) else None


@rule(Mul)
def square_of(n: Node) -> Tensor | None:
    a, b = n.inputs
    return Tensor(a).square() if a is b else None


@rule(Log)
def log_of_exp(n: Node) -> Tensor | None:
    (x,) = n.inputs
    return Tensor(x.inputs[0]) if isinstance(x.op, Exp) else None


def test_chains_end_in_one_sweep_and_firings_are_counted() -> None:
    x = graphc.placeholder("x", (3,))
    y = x
    for _ in range(6):
        y = -y
    y = (y * y).exp().log()
    before = graph_of([y], [x])
    after, fired = rewrite(before, [double_negation, square_of, log_of_exp], "simplify")
    verify(after)
    assert fired == {"double_negation": 3, "square_of": 1, "log_of_exp": 1}
    assert [node.op.name for node in after.nodes] == ["placeholder", "square"]
    assert len(before.nodes) == 10, "the graph that was given is as it was"


def test_nothing_fires_gives_the_same_graph() -> None:
    x = graphc.placeholder("x", (3,))
    graph = graph_of([x.exp()], [x])
    after, fired = rewrite(graph, [double_negation], "simplify")
    assert after is graph
    assert not fired


def test_untouched_nodes_are_shared() -> None:
    x = graphc.placeholder("x", (3,))
    kept = x.exp()
    after, _ = rewrite(graph_of([kept, x.neg().neg() + kept], [x]), [double_negation], "simplify")
    assert after.outputs[0].node is kept.node
    assert after.outputs[1].node.inputs == (x.node, kept.node)


def test_origins_are_kept() -> None:
    """A node that a rule built stands for the node it replaces: ident, line and module stay, the pass is noted."""
    x = graphc.placeholder("x", (3,))
    y = x * x
    z = y + 1.0
    after, _ = rewrite(graph_of([z], [x]), [square_of], "simplify")
    add = after.outputs[0].node
    square = add.inputs[0]
    assert isinstance(square.op, Square)
    assert square.origin.ident == y.node.origin.ident
    assert square.origin.location == y.node.origin.location
    assert square.origin.passes == ("simplify",)
    assert add.origin == z.node.origin, "an operand was replaced, the node itself was not"
    again = square.origin.touched_by("fuse").touched_by("simplify")
    assert again.passes == ("simplify", "fuse")


def test_nodes_inside_a_replacement_carry_the_pass() -> None:
    @rule(Mul)
    def mul_in_logarithms(n: Node) -> Tensor | None:
        a, b = n.inputs
        return (Tensor(a).log() + Tensor(b).log()).exp()

    x = graphc.placeholder("x", (3,))
    y = x * x
    after, _ = rewrite(graph_of([y], [x]), [mul_in_logarithms], "logarithms")
    new = [node for node in after.nodes if node is not x.node]
    assert [node.op.name for node in new] == ["log", "log", "add", "exp"]
    for node in new:
        assert node.origin.location == y.node.origin.location
        assert node.origin.passes == ("logarithms",)
    assert len({node.origin.ident for node in new}) == 4


def test_existing_node_keeps_its_own_origin() -> None:
    x = graphc.placeholder("x", (3,))
    y = x.exp()
    after, _ = rewrite(graph_of([y.neg().neg()], [x]), [double_negation], "simplify")
    assert after.outputs[0].node is y.node


def test_changed_type_is_detected() -> None:
    @rule(Exp)
    def wrong_shape(n: Node) -> Tensor | None:
        return Tensor(n.inputs[0]).sum()

    @rule(Exp)
    def wrong_dtype(n: Node) -> Tensor | None:
        return Tensor(n.inputs[0]).to(torch.float64)

    x = graphc.placeholder("x", ("n",))
    for each, type_ in ((wrong_shape, r"f32\[\]"), (wrong_dtype, r"f64\[n\]")):
        with pytest.raises(VerifyError, match=rf"^{each.name} changed the type of <exp : f32\[n\]> to {type_}$"):
            rewrite(graph_of([x.exp()], [x]), [each], "broken")


def test_rules_without_end_are_detected() -> None:
    @rule(Add)
    def swapped(n: Node) -> Tensor | None:
        a, b = n.inputs
        return Tensor(b) + Tensor(a)

    @rule(Exp)
    def growing(n: Node) -> Tensor | None:
        return (Tensor(n.inputs[0]) + 0.0).exp()

    x = graphc.placeholder("x", (3,))
    for each, y in ((swapped, x + x.exp()), (growing, x.exp())):
        with pytest.raises(VerifyError, match=rf"^endless: rules still fire after 30 rounds: {{'{each.name}': \d+}}$"):
            rewrite(graph_of([y], [x]), [each], "endless")


def test_rules_see_rewritten_operands() -> None:
    """Operands are rewritten before their users, and shared ones only once."""
    seen: list[str] = []

    @rule(Exp, Neg)
    def watch(n: Node) -> Tensor | None:
        seen.append(n.inputs[0].op.name)
        return None

    x = graphc.placeholder("x", (3,))
    shared = x * x
    rewrite(graph_of([shared.exp() + (-shared)], [x]), [square_of, watch], "simplify")
    assert seen == ["square", "square", "square", "square"], "two nodes, in two rounds"


def test_rebuild() -> None:
    """Any function from node to node, operands first."""

    def exact(node: Node) -> Node:
        return Tensor(node.inputs[0]).square().node if isinstance(node.op, Exp) else node

    x = graphc.placeholder("x", (2,))
    y = x.exp().exp()
    after = rebuild(graph_of([y, y], [x]), exact)
    verify(after)
    first, second = (output.node for output in after.outputs)
    assert first is second
    values = values_of([Tensor(first)], [x], [torch.tensor([1.0, -2.0])])
    assert_same(values[0], torch.tensor([1.0, 16.0]))


def test_deep_chain() -> None:
    x = y = graphc.placeholder("x", (3,))
    for _ in range(20_000):
        y = -y
    after, fired = rewrite(graph_of([y], [x]), [double_negation], "simplify")
    assert after.nodes == (x.node,)
    assert fired["double_negation"] == 10_000
