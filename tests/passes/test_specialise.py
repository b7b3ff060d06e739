"""What becomes of dropout in programs that train and in others."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import Tensor
from graphc.ir import Graph, Node, OutputRole, Role
from graphc.ir.verify import verify
from graphc.ops.randomness import COUNTER, RandomMask
from graphc.passes.cse import cse
from graphc.passes.specialise import specialise
from tests.judge import assert_same, graph_of, results_of

ROWS = torch.arange(12.0).reshape(4, 3) + 1


def two_dropouts() -> tuple[Tensor, Tensor, Tensor]:
    x = graphc.placeholder("x", ("n", 3))
    return x, graphc.dropout(x, 0.25), graphc.dropout(x, 0.25)


def masks(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if isinstance(node.op, RandomMask)]


def test_inference_has_nothing_of_it() -> None:
    x, a, b = two_dropouts()
    before = graph_of([(a * b).exp(), graphc.grad((a * b).sum(), x)], [x])
    after, fired = specialise(before, training=False)
    verify(after)
    assert fired == {"dropout_in_inference": 4}
    assert not after.cells
    plain = graph_of([(x * x).exp(), graphc.grad((x * x).sum(), x)], [x])
    assert [node.op for node in cse(after)[0].nodes] == [node.op for node in cse(plain)[0].nodes]


def test_training_has_a_mask_for_each_call_and_counts() -> None:
    x, a, b = two_dropouts()
    before = graph_of([a * b, graphc.grad((a * b).sum(), x)], [x])
    text = str(before)
    after, fired = specialise(before, training=True)
    verify(after)
    assert str(before) == text, "the graph that was given is as it was"
    assert fired == {"dropout_in_training": 4}
    [counter] = after.cells
    assert counter.role is Role.RANDOM
    assert counter.type == COUNTER
    *_, counted = after.outputs
    assert counted.role is OutputRole.UPDATE
    assert counted.cell is counter
    assert results_of(after, [ROWS])[-1].tolist() == [counter.value[0], counter.value[1] + 1]
    again, fired_again = specialise(after, training=True)
    assert again is after
    assert not fired_again
    assert len({node.op for node in masks(after)}) == 2
    assert len(masks(cse(after)[0])) == 2, "functions and gradients share theirs"


def test_streams_do_not_depend_on_the_outputs() -> None:
    """Nor on their order: programs over one network share masks and counter."""
    x, a, b = two_dropouts()
    streams = []
    for outputs in ([a, b], [b, a], [b * a, a]):
        graph, _ = specialise(graph_of(outputs, [x]), training=True)
        assert graph.cells == (a.node.op.source,)
        streams.append({node.origin.ident: node.op.stream for node in masks(graph)})
        first, second = results_of(graph_of_outputs(graph, a, b), [ROWS])
        assert not torch.equal(first, second)
    alone, _ = specialise(graph_of([b], [x]), training=True)
    assert alone.cells == (b.node.op.source,)
    assert [node.op.stream for node in masks(alone)] == [0]


def graph_of_outputs(graph: Graph, a: Tensor, b: Tensor) -> Graph:
    """What became of the nodes of a and b, in this order."""
    by_ident = {node.origin.ident: Tensor(node) for node in graph.nodes}
    return graph_of([by_ident[each.node.origin.ident] for each in (a, b)], map(Tensor, graph.inputs))


@pytest.mark.parametrize("training", [False, True])
def test_a_graph_without_dropout_is_the_same(training: bool) -> None:
    x = graphc.placeholder("x", ("n", 3))
    graph = graph_of([x.exp()], [x])
    assert specialise(graph, training) == (graph, {})


def test_what_is_certain_needs_no_counter() -> None:
    x = graphc.placeholder("x", ("n", 3))
    graph, _ = specialise(graph_of([graphc.dropout(x, 0.0), graphc.dropout(x, 1)], [x]), training=True)
    assert not graph.cells
    kept, dropped = results_of(graph, [ROWS])
    assert_same(kept, ROWS, bits=True)
    assert_same(dropped, torch.zeros(4, 3), bits=True)
