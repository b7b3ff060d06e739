"""The text of a graph: one golden, and names that try to break out of it."""

from __future__ import annotations

from collections.abc import Callable

import torch

import graphc
from graphc.ir import Graph, Node, Output, OutputRole, Scope
from graphc.ir.origin import Origin, entered, inherited
from tests.judge import graph_of

HOSTILE = 'x"\n  output "y" = %0  # \\ \x1b[31m \u202e </svg><script>'


def test_golden(golden: Callable[[str, str], None]) -> None:
    x = graphc.placeholder("x", ("batch", 4))
    with inherited(Origin(0, "model.py", 7, (Scope("net", "Sequential", 0), Scope("0", "Linear", 1)))):
        weight = graphc.Parameter(torch.ones(3, 4), name="net.0.weight")
        h = (x @ weight.mT).tanh()
    with inherited(Origin(0, "model.py", 9)):
        loss = (h[:, :2] * 0.5).sum() / x.shape[0]
    gradient = graphc.grad(loss, weight)
    with inherited(Origin(0, "train.py", 3), by="canonicalise"):
        new = weight - gradient * 0.1
    graph = Graph(
        (x.node,),
        (
            Output(loss.node, OutputRole.OUTPUT, "loss"),
            Output(gradient.node, OutputRole.GRADIENT, "gradient"),
            Output(new.node, OutputRole.UPDATE, "net.0.weight", weight.cell),
        ),
    )
    golden("ir/graph.txt", str(graph))


def test_hostile_names_are_only_text() -> None:
    """Names of inputs, outputs, cells, modules and files stay within their quotes and their line."""
    x = graphc.placeholder(HOSTILE, (2,))
    weight = graphc.Parameter(torch.ones(2), name=HOSTILE)
    with entered(Scope(HOSTILE, "Linear", 0)):
        y = x * weight
    with inherited(Origin(0, HOSTILE, 1)):
        z = y.exp()
    graph = Graph(
        (x.node,), (Output(z.node, OutputRole.UPDATE, HOSTILE, weight.cell), Output(z.node, OutputRole.OUTPUT, HOSTILE))
    )
    lines = str(graph).splitlines()
    assert len(lines) == 6, lines
    for line in lines:
        assert line.isprintable()
    assert sum(line.startswith("  output ") for line in lines) == 1
    for text in (repr(x), repr(weight), repr(x.node), str(z.node.origin.location), str(y.node.origin.module)):
        assert text.isprintable(), text


def test_numbers_and_sizes() -> None:
    x = graphc.placeholder("x", ("n", "m"))
    n, m = x.shape
    text = str(graph_of([x.reshape(n * m)[1:], x * float("nan"), x * -0.0, x * 2, x[1:, :-1]], [x]))
    for part in ("shape=(m*n,)", "start=1, length=m*n - 1, step=1", "value=nan", "value=-0.0", "value=2.0"):
        assert part in text
    assert "slice(%0; dim=0, start=1, length=n - 1, step=1) : f32[n-1,m]" in text


def test_unused_inputs_are_in_the_header_only() -> None:
    x, unused = graphc.placeholder("x", (2,)), graphc.placeholder("unused", (3,), torch.int64)
    lines = str(graph_of([x.exp()], [unused, x])).splitlines()
    assert lines[0] == "graph(%0: i64[3], %1: f32[2])"
    assert lines[1].startswith("  %2 = exp(%1) : f32[2] ")
    assert lines[2] == '  output "output0" = %2'


def test_node_is_short() -> None:
    x = graphc.placeholder("x", (2,))
    assert repr(x.sum().node) == "<sum(dims=(0,)) : f32[]>"
    assert isinstance(x.node, Node)
