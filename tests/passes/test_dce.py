"""Dead code: updates that change nothing, and what only they needed."""

from __future__ import annotations

import torch

import graphc
from graphc import Parameter
from graphc.ir.verify import verify
from graphc.passes.dce import dce
from tests.judge import graph_of


def test_an_update_to_the_same_value_goes() -> None:
    p, q = Parameter(torch.ones(2), name="p"), Parameter(torch.ones(2), name="q")
    before = graph_of([], [], {p: p, q: q + 1.0})
    text = str(before)
    after, counts = dce(before)
    verify(after)
    assert counts == {"drop_idle_update": 1, "drop_dead_node": 1}
    assert [output.name for output in after.outputs] == ["q"]
    assert after.cells == (q.cell,)
    assert str(before) == text, "the graph that was given is as it was"
    assert dce(after) == (after, {})


def test_an_exchange_stays() -> None:
    p, q = Parameter(torch.ones(2)), Parameter(torch.zeros(2))
    graph = graph_of([], [], {p: q, q: p})
    assert dce(graph) == (graph, {})


def test_nodes_that_no_output_needs_are_in_no_graph() -> None:
    x = graphc.placeholder("x", (2,))
    y = x.exp()
    y.log()
    graph = graph_of([y], [x])
    assert [node.op.name for node in graph.nodes] == ["placeholder", "exp"]
    assert dce(graph) == (graph, {})


def test_idle_updates_may_leave_nothing_but_outputs() -> None:
    x, p = graphc.placeholder("x", (2,)), Parameter(torch.ones(2))
    for backend in ("reference", "torch"):
        program = graphc.compile([x], x * 2.0, {p: p}, backend=backend)
        assert program(torch.ones(2)).tolist() == [2.0, 2.0]
        assert program.state[p].tolist() == [1.0, 1.0], "declared, though no step reads it"
