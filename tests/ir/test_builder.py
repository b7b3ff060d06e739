"""Builder code: running it gives the same graph, and people can read it."""

from __future__ import annotations

import ast
import re

import pytest
import torch

import graphc
from graphc import Graph
from graphc.ir import OPS, Sample, apply
from graphc.ir.verify import verify
from tests.ir.structure import GRAPHS, NAMES, SAMPLES, graph_of_sample, structure, with_names
from tests.judge import graph_of


def built(code: str) -> Graph:
    namespace: dict[str, object] = {"__name__": "builder"}
    exec(compile(code, "builder.py", "exec"), namespace)  # noqa: S102 - the code that is tested
    graph = namespace["graph"]
    assert isinstance(graph, Graph)
    verify(graph)
    return graph


def assert_rebuilt(graph: Graph) -> None:
    code = graph.to_python()
    again = built(code)
    assert structure(again) == structure(graph)
    assert again.to_python().splitlines()[-1] == code.splitlines()[-1]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_samples(sample: Sample) -> None:
    assert_rebuilt(graph_of_sample(sample))


@pytest.mark.parametrize("name", GRAPHS)
def test_programs(name: str) -> None:
    assert_rebuilt(GRAPHS[name])


def test_code_of_a_loaded_graph_is_that_of_the_graph() -> None:
    graph = GRAPHS["training-0-graph"]
    assert Graph.from_json(graph.to_json()).to_python() == graph.to_python()


def test_it_does_not_depend_on_the_default_dtype() -> None:
    code = GRAPHS["training-0-graph"].to_python()
    torch.set_default_dtype(torch.float64)
    try:
        assert structure(built(code)) == structure(GRAPHS["training-0-graph"])
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_people_read() -> None:
    points = graphc.placeholder("points", ("batch", 2))
    weight = graphc.Parameter(torch.ones(3, 2), name="0.weight")
    rate = graphc.Variable(torch.tensor(0.5), name="lr", role=graphc.ir.Role.HYPER)
    y = (points @ weight.T).tanh()[:, 1:].sum(1) ** 3 * rate
    code = graph_of([y], [points], {weight: weight * 2.0}).to_python()
    assert (
        code
        == '''"""Builds a graph. Written by graphc.Graph.to_python."""

import torch

import graphc
from graphc.dims import symbol
from graphc.ir import Graph, Output, OutputRole, Role

batch = symbol("batch")

points = graphc.placeholder("points", (batch, 2))

parameter_0_weight = graphc.Parameter(torch.zeros((3, 2), dtype=torch.float32), name="0.weight")
lr = graphc.Variable(torch.tensor(0.5, dtype=torch.float32), name="lr", role=Role.HYPER)

t2 = graphc.permute(parameter_0_weight, (1, 0))
t3 = points @ t2
t4 = graphc.tanh(t3)
t5 = t4[:, 1:]
t6 = graphc.sum(t5, (1,))
t7 = t6 ** 3
t9 = graphc.broadcast_to(lr, (batch,))
t10 = t7 * t9
t11 = graphc.constant(2.0, torch.float32)
t12 = graphc.broadcast_to(t11, (3, 2))
t13 = parameter_0_weight * t12

graph = Graph(
    inputs=(points.node,),
    outputs=(
        Output(t10.node, OutputRole.OUTPUT, "output0"),
        Output(t13.node, OutputRole.UPDATE, "0.weight", parameter_0_weight.cell),
    ),
    name="graph",
)
'''
    )


def test_an_op_without_a_public_function() -> None:
    x = graphc.placeholder("x", (2, 3))
    y = apply(OPS["slice_pad"](1, 0, 7, 2), x)  # type: ignore[call-arg]  # the op behind the name
    code = graph_of([y], [x]).to_python()
    assert 't1 = apply(OPS["slice_pad"](dim=1, start=0, size=7, step=2), x)' in code


def test_modules_are_comments() -> None:
    x = graphc.placeholder("x", ("n", 2))
    loss = graphc.nn.Linear(2, 1)(x).sum()
    code = graph_of([loss, graphc.grad(loss, x)], [x]).to_python()
    assert re.findall(r"^# .*", code, re.MULTILINE) == [
        '# in "linear"',
        "# in no module",
        "# backward",
        '# backward of "linear"',
    ]


def test_hostile_names_are_text() -> None:
    """Whatever is called whatever, the program has the same statements, and all that is not graphc's is a literal."""
    for names in (NAMES, *([name] for name in NAMES)):
        graph = with_names(names)
        assert_rebuilt(graph)
        code = graph.to_python()
        assert code.isascii()
        tame = with_names([f"name{i}" for i, _ in enumerate(names)]).to_python()
        assert shape_of(code) == shape_of(tame)


def shape_of(code: str) -> list[str]:
    """The statements of a program, with every name that it gives and every text replaced."""
    tree = ast.parse(code)
    given = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in given:
            node.id = "graph" if node.id == "graph" else "name"
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = "text"
    return [ast.unparse(statement) for statement in tree.body]


def test_names_stay_apart() -> None:
    names = ["a", "a_2", "a!", "a?", "a 2", "t9", "t11", "batch", "n"]
    graph = with_names(names)
    assert_rebuilt(graph)
    code = graph.to_python()
    for given in ('a = graphc.placeholder("a"', 'a_2 = graphc.placeholder("a_2"', 'a_3 = graphc.placeholder("a!"'):
        assert f"\n{given}" in code


@pytest.mark.parametrize("length", [5000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_long_chains(length: int) -> None:
    x = y = graphc.placeholder("x", ("n",))
    for _ in range(length):
        y = -y
    graph = graph_of([y], [x])
    assert len(built(graph.to_python()).nodes) == length + 1
