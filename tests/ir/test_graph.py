"""Graphs: order, users, cells, symbols, subgraphs, and how other tools see them."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc.ir import Graph, Node, Output, OutputRole, Tensor, topological_order
from graphc.ir.verify import verify
from tests.judge import graph_of


def chain(length: int) -> tuple[Tensor, Tensor]:
    x = y = graphc.placeholder("x", ("n",))
    for _ in range(length):
        y = -y
    return x, y


def assert_ordered(nodes: tuple[Node, ...]) -> None:
    position = {node: i for i, node in enumerate(nodes)}
    assert len(position) == len(nodes)
    for node in nodes:
        assert all(position[operand] < position[node] for operand in node.inputs)


def test_order_of_diamonds() -> None:
    """Operands come before users, each node once, however often it is shared."""
    x = graphc.placeholder("x", (2,))
    y = x
    for _ in range(30):  # 2**30 paths
        y = y * y
    nodes = topological_order([y.node, y.node, x.node])
    assert len(nodes) == 31
    assert_ordered(nodes)


def test_order_is_that_of_a_depth_first_walk() -> None:
    x, y = graphc.placeholder("x", ()), graphc.placeholder("y", ())
    a, b = x.exp(), y.tanh()
    c = a * b
    d = a + c
    assert topological_order([d.node]) == tuple(t.node for t in (x, a, y, b, c, d))
    assert topological_order([c.node, b.node]) == tuple(t.node for t in (x, a, y, b, c))
    assert topological_order([]) == ()


def test_deep_chain() -> None:
    """100,000 nodes in a chain: ordered, verified, printed, handed to networkx and thrown away without recursion."""
    x, y = chain(100_000)
    graph = graph_of([y], [x])
    assert len(graph.nodes) == 100_001
    assert_ordered(graph.nodes)
    assert str(graph).count("\n") == 100_002
    assert graph.to_networkx().number_of_edges() == 100_000
    assert repr(y.node) == "<neg : f32[n]>"


def test_users() -> None:
    x = graphc.placeholder("x", ())
    a = x.exp()
    b = a * a
    c = a + b
    users = graph_of([c], [x]).users
    assert users[a.node] == (b.node, b.node, c.node)
    assert users[c.node] == ()


def test_symbols_are_those_of_shapes_and_of_attributes() -> None:
    x, y = graphc.placeholder("x", ("n", 4)), graphc.placeholder("y", ("m", "k"))
    assert graph_of([x.sum()], [x, y]).symbols == ("k", "m", "n")
    m, _ = y.shape
    assert graph_of([x.sum() * m], [x]).symbols == ("m", "n")
    assert graph_of([x[0, 1:3][None]], [x]).symbols == ("n",)


def test_cells_and_subgraphs() -> None:
    w, v = graphc.Parameter(torch.ones(2), name="w"), graphc.Parameter(torch.ones(2), name="v")
    loss = (w * 2.0).sum()
    graph = Graph(
        (),
        (
            Output(loss.node, OutputRole.OUTPUT, "loss"),
            Output(graphc.grad(loss, w).node, OutputRole.GRADIENT, "w"),
            Output((w - 1.0).node, OutputRole.UPDATE, "v", v.cell),
        ),
    )
    verify(graph)
    assert graph.cells == (w.cell, v.cell)
    assert [output.name for output in graph.subgraph(OutputRole.OUTPUT).outputs] == ["loss"]
    assert graph.subgraph(OutputRole.OUTPUT).cells == (w.cell,)
    both = graph.subgraph(OutputRole.OUTPUT, OutputRole.UPDATE)
    assert [output.name for output in both.outputs] == ["loss", "v"]
    assert len(both.nodes) > len(graph.subgraph(OutputRole.OUTPUT).nodes)


def test_to_networkx() -> None:
    x, unused = graphc.placeholder("x", (2,)), graphc.placeholder("unused", (2,))
    y = x * x
    result = graph_of([y - x], [unused, x]).to_networkx()
    assert [data["op"].name for _, data in result.nodes(data=True)] == ["placeholder", "placeholder", "mul", "sub"]
    assert sorted(result.edges(data="position")) == [(1, 2, 0), (1, 2, 1), (1, 3, 1), (2, 3, 0)]
    assert result.nodes[2]["type"] == y.type
    assert result.nodes[2]["origin"] is y.node.origin
    assert result.nodes[2]["label"] == "mul"


def test_graphs_and_nodes_are_immutable() -> None:
    x = graphc.placeholder("x", (2,))
    graph = graph_of([x.exp()], [x])
    for value, name in ((graph, "outputs"), (x.node, "inputs"), (x.node.op, "label"), (x.node.origin, "line")):
        with pytest.raises(AttributeError, match="cannot assign to field"):
            setattr(value, name, None)
