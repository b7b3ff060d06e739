"""The passes as a whole: pure, idempotent, counted and timed."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import Program, nn, optim
from graphc.ir import Graph
from graphc.ir.verify import verify
from graphc.passes import PASSES
from tests.judge import assert_same, graph_of, results_of


def training() -> Graph:
    """A training step with something to do for each pass."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid())
    x, t = graphc.placeholder("x", ("n", 3)), graphc.placeholder("t", ("n", 1))
    scale = graphc.constant(2.0) * graphc.constant(0.5)
    loss = nn.BCELoss()(net(x), t) * scale
    idle = nn.Parameter(torch.ones(2), name="idle")
    return graph_of([loss], [x, t], optim.Adam(net.parameters()).minimize(loss) | {idle: idle})


def test_each_pass_is_pure_and_idempotent() -> None:
    graph = training()
    generator = torch.Generator().manual_seed(1)
    arrays = [torch.randn(5, 3, generator=generator), torch.rand(5, 1, generator=generator)]
    for each in PASSES:
        text = str(graph)
        result, counts = each.run(graph)
        verify(result, each.name)
        assert str(graph) == text, f"{each.name} changed the graph that it was given"
        assert str(each.run(graph)[0]) == str(result), f"{each.name} does something else the second time"
        assert any(counts.values()), f"{each.name} has nothing to do here"
        again, counts_again = each.run(result)
        assert again is result, f"{each.name} changes its own result"
        assert not any(counts_again.values())
        kept = {output.cell for output in result.outputs}
        expected = [
            value for output, value in zip(graph.outputs, results_of(graph, arrays), strict=True) if output.cell in kept
        ]
        for a, b in zip(results_of(result, arrays), expected, strict=True):
            assert_same(a, b)
        graph = result


def test_names_are_different() -> None:
    names = [each.name for each in PASSES]
    assert len(set(names)) == len(names)


@pytest.fixture(scope="module")
def program() -> Program:
    x, p = graphc.placeholder("x", ("n",)), nn.Parameter(torch.ones(()))
    return graphc.compile([x], (x * 1.0 * p).exp() + (x * p).exp(), {p: p + 1.0}, backend="reference")


def test_stages_have_the_graphs_in_order(program: Program) -> None:
    names = [stage.name for stage in program.stages]
    assert names == ["graph", "specialise", *(each.name for each in PASSES)]
    for stage in program.stages:
        assert isinstance(stage.value, Graph)
        assert str(stage) == str(stage.value)
    assert program.stages[-1].value is program.graph


def test_stages_are_counted_and_timed(program: Program) -> None:
    found = {stage.name: stage for stage in program.stages}
    assert found["canonicalise"].counts == {"mul_by_one": 1}
    assert found["cse"].counts["merge_equal_nodes"] > 0
    assert found["dce"].counts == {}, "what never fired is left out"
    assert all(0.0 <= stage.seconds < 60.0 for stage in program.stages)
    assert repr(found["canonicalise"]).startswith("<stage canonicalise: ")
    assert repr(found["canonicalise"]).endswith(" ms mul_by_one×1>")
