"""The schedule: what is computed by which call, what is a view, what a pattern may cover, what is known beforehand."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

import graphc
from graphc import Parameter, Tensor, Variable
from graphc.ir import Node, Role, TorchCall
from graphc.nn import BCELoss
from graphc.ops.arithmetic import Add, Mul, Sub
from graphc.ops.elementary import Exp
from graphc.schedule import Match, Pattern, Schedule, schedule
from tests.judge import graph_of

ADDCMUL = TorchCall(torch.addcmul)


def multiply_add(n: Node) -> Match | None:
    match n:
        case Node(op=Add(), inputs=(x, Node(op=Mul(), inputs=(a, b)) as product)):
            return Match(ADDCMUL, (x, a, b), covers=(product,))
    return None


def multiply_add_of_exp(n: Node) -> Match | None:
    """Covers two nodes, one under the other."""
    match n:
        case Node(op=Add(), inputs=(x, Node(op=Mul(), inputs=(Node(op=Exp(), inputs=(a,)) as power, b)) as product)):
            return Match(ADDCMUL, (x, a, b), covers=(product, power))
    return None


PATTERNS = (Pattern("multiply_add_of_exp", multiply_add_of_exp), Pattern("multiply_add", multiply_add))


def scheduled(outputs: Sequence[Tensor], patterns: Sequence[Pattern] = ()) -> Schedule:
    """A schedule in which every value that is read is there before."""
    result = schedule(graph_of(outputs, SYMBOLS.values()), patterns)
    there = {node for node in result.graph.nodes if not node.inputs} | set(result.constants)
    covered = {node for step in result.steps for node in step.covers}
    for step in result.steps:
        assert set(step.operands) <= there
        assert step.node not in there
        assert step.node not in covered
        there.add(step.node)
    assert {output.node for output in result.graph.outputs} <= there
    assert str(result).endswith("\n")
    return result


SYMBOLS = {
    "x": graphc.placeholder("x", (3, 4)),
    "y": graphc.placeholder("y", (3, 4)),
    "z": graphc.placeholder("z", (3, 4)),
    "b": graphc.placeholder("b", ("batch", 1, 4)),
}
x, y, z, b = SYMBOLS.values()


def names(result: Schedule) -> list[str]:
    return [step.pattern or step.node.op.name for step in result.steps]


# Patterns.


def test_a_pattern_covers_what_nothing_else_reads() -> None:
    result = scheduled([x + y * z], PATTERNS)
    [step] = result.steps
    assert step.pattern == "multiply_add"
    assert step.operands == (x.node, y.node, z.node)
    assert [node.op for node in step.covers] == [Mul()]
    assert step.call is ADDCMUL
    assert "covers %4 (multiply_add)" in str(result)


def test_the_first_pattern_that_applies_is_taken() -> None:
    assert names(scheduled([x + y.exp() * z], PATTERNS)) == ["multiply_add_of_exp"]
    assert names(scheduled([x + y.exp() * z], PATTERNS[::-1])) == ["exp", "multiply_add"]


def product_is_an_output() -> list[Tensor]:
    product = y * z
    return [x + product, product]


def product_is_read_elsewhere() -> list[Tensor]:
    product = y * z
    return [x + product, product.exp()]


def product_is_the_other_operand_too() -> list[Tensor]:
    product = y * z
    return [product + product]


def product_is_read_by_two_sums() -> list[Tensor]:
    product = y * z
    return [x + product, y + product]


@pytest.mark.parametrize(
    "build",
    [
        product_is_an_output,
        product_is_read_elsewhere,
        product_is_the_other_operand_too,
        product_is_read_by_two_sums,
    ],
)
def test_a_value_that_is_wanted_is_not_covered(build: Callable[[], list[Tensor]]) -> None:
    result = scheduled(build(), PATTERNS)
    assert not any(step.covers for step in result.steps)
    assert len(result.steps) == sum(bool(node.inputs) for node in result.graph.nodes)


def test_the_next_pattern_is_tried_when_the_first_covers_too_much() -> None:
    power = y.exp()
    assert names(scheduled([x + power * z, power], PATTERNS)) == ["exp", "multiply_add"]


def test_operands_that_only_covered_nodes_read_are_computed() -> None:
    assert names(scheduled([x + y.tanh() * z], PATTERNS)) == ["tanh", "multiply_add"]


def test_a_covered_node_is_not_the_start_of_a_match_of_its_own() -> None:
    """Users choose first: the outer sum covers the product, whose own sum is then an operand."""
    result = scheduled([x + (y + z * z) * z], PATTERNS)
    assert names(result) == ["multiply_add", "multiply_add"]
    assert [step.node.op for step in result.steps] == [Add(), Add()]


# What is known, what is given.


def test_what_depends_on_sizes_only_is_known() -> None:
    count = graphc.constant(b.shape[0]).to(torch.float32)
    result = scheduled([b / (count * 2.0)])
    assert names(result) == ["div"]
    assert [node.op.name for node in result.constants] == ["broadcast"]
    assert {node.op.name for node in result.known} == {"size_value", "cast", "constant", "mul", "broadcast"}


def test_an_output_may_be_known_or_given() -> None:
    result = scheduled([graphc.constant(2.0), x])
    assert not result.steps
    assert len(result.constants) == 1


def test_nothing_is_known() -> None:
    assert str(scheduled([x.exp()])).startswith("known when sizes are bound: nothing\n")


def test_settings_come_first() -> None:
    rate = Variable(torch.tensor(0.1), name="lr", role=Role.HYPER)
    p = Parameter(torch.ones(3, 4), name="p")
    halved = rate * 0.5
    result = scheduled([x.exp() * halved.broadcast_to((3, 4)) + p])
    first = [step.node.op.name for step in result.steps[: result.settings]]
    assert first == ["mul", "broadcast"]
    assert [step.node.op.name for step in result.steps[result.settings :]] == ["exp", "mul", "add"]
    assert str(result).count("when set, ") == 2


def test_a_hyper_parameter_that_the_step_updates_is_no_setting() -> None:
    rate = Variable(torch.tensor(0.1), name="lr", role=Role.HYPER)
    result = schedule(graph_of([x * (rate * 0.5)], [x], {rate: rate * 0.9}))
    assert result.settings == 0


# Calls and views.


def test_an_op_without_a_call_is_evaluated() -> None:
    p = graphc.placeholder("p", (3, 4))
    loss = BCELoss(reduction="none")(p, x)
    result = schedule(graph_of([loss], [p, x]))
    [step] = result.steps
    assert step.call is None
    assert not step.is_stored
    assert not step.is_view
    assert "= eval(%0, %1)" in str(result)


def test_attributes_become_arguments_and_keywords() -> None:
    slope, total = scheduled([graphc.leaky_relu(x, 0.2).sum(1)]).steps
    assert slope.arguments == (0.2,)
    assert total.keywords == {"dim": (1,)}


VIEWS: dict[str, tuple[Callable[[], Tensor], list[str]]] = {
    "rows": (lambda: x[1:], ["slice"]),
    "columns": (lambda: x[:, 1:], ["slice"]),
    "transposed": (lambda: x.T, ["permute"]),
    "repeated": (lambda: x[None].broadcast_to((2, 3, 4)), ["reshape", "broadcast"]),
    "rows in another shape": (lambda: x[1:].reshape(8), ["slice", "reshape"]),
    "dimensions of one": (lambda: x.T[:, None].squeeze(1)[:, :, None], ["permute", "reshape", "reshape", "reshape"]),
    "a permutation of ones": (lambda: b.permute(1, 0, 2).reshape(-1), ["permute", "reshape"]),
}
COPIES: dict[str, tuple[Callable[[], Tensor], list[str]]] = {
    "transposed": (lambda: x.T.reshape(12), ["permute"]),
    "columns": (lambda: x[:, 1:].reshape(9), ["slice"]),
    "every second row": (lambda: x[::2].reshape(8), ["slice"]),
    "repeated": (lambda: x[None].broadcast_to((2, 3, 4)).reshape(24), ["reshape", "broadcast"]),
    "part of what is transposed": (lambda: x.T[1:].reshape(9), ["permute", "slice"]),
    "transposed batch": (lambda: b.permute(2, 0, 1).reshape(-1), ["permute"]),
}


@pytest.mark.parametrize("name", VIEWS)
def test_views(name: str) -> None:
    build, views = VIEWS[name]
    result = scheduled([build()])
    assert names(result) == views
    assert all(step.is_view for step in result.steps)
    assert {result.root(step.node) for step in result.steps} <= {x.node, b.node}


@pytest.mark.parametrize("name", COPIES)
def test_a_reshape_that_no_view_can_be_copies(name: str) -> None:
    build, views = COPIES[name]
    result = scheduled([build()])
    *before, last = result.steps
    assert [step.node.op.name for step in before] == views
    assert all(step.is_view for step in before)
    assert last.is_stored
    assert last.call is not None
    assert last.call.function.__name__ == "copy_reshaped"
    assert result.root(last.node) is last.node


def test_a_copy_is_contiguous_again() -> None:
    result = scheduled([x.T.reshape(12).reshape(2, 6)])
    assert [step.is_view for step in result.steps] == [True, False, True]


def test_a_pattern_may_read_past_a_view() -> None:
    """A match names its own operands; views that only it would have read are not made."""

    def subtract_source(n: Node) -> Match | None:
        if isinstance(n.op, Sub):
            return Match(TorchCall(torch.sub), (n.inputs[0], n.inputs[1].inputs[0]))
        return None

    result = scheduled([x - x[:1].broadcast_to((3, 4))], [Pattern("subtract_source", subtract_source)])
    assert names(result) == ["slice", "subtract_source"]
