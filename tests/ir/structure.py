"""What two graphs must have in common to be the same, and graphs to try that on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import torch

import graphc
from graphc import nn, optim
from graphc.dims import Dim
from graphc.ir import OPS, Cell, Graph, Node, Sample, apply
from graphc.ir.origin import Scope, entered
from graphc.types import TensorType
from tests.judge import graph_of


def structure(graph: Graph, *, origins: bool = False) -> list[object]:
    """All that a graph is, as plain values: cells and shared tensors by number, sizes as polynomials."""
    nodes = tuple(dict.fromkeys((*graph.inputs, *graph.nodes)))
    number = {node: i for i, node in enumerate(nodes)}
    shared: dict[int, int] = {}

    def plain(value: Any) -> object:
        if isinstance(value, tuple):
            return tuple(map(plain, value))
        if isinstance(value, Dim):
            return value.terms
        if isinstance(value, TensorType):
            return plain(value.shape), value.dtype
        if isinstance(value, Cell):
            known = number_of(shared, value)
            number_value = value.value.item() if value.role.value == "hyper" else None
            return "cell", known, value.name, value.role, str(value.type), number_value
        if isinstance(value, torch.Tensor):
            data = value.contiguous().reshape(-1).view(torch.uint8).tolist()
            return "tensor", number_of(shared, value), tuple(value.shape), value.dtype, bytes(data)
        return type(value), repr(value)

    def described(node: Node) -> object:
        attributes = tuple((f.name, plain(getattr(node.op, f.name))) for f in fields(node.op))  # type: ignore[arg-type]
        return node.op.name, attributes, [number[x] for x in node.inputs], plain(node.type)

    result: list[object] = [described(node) for node in nodes]
    result.append([number[node] for node in graph.inputs])
    result += [(number[o.node], o.role, o.name, None if o.cell is None else plain(o.cell)) for o in graph.outputs]
    result += [graph.name, graph.symbols, [cell.name for cell in sorted(graph.cells, key=lambda cell: cell.serial)]]
    return [*result, *map(str, _origins(nodes))] if origins else result


def number_of(known: dict[int, int], value: object) -> int:
    return known.setdefault(id(value), len(known))


def _origins(nodes: tuple[Node, ...]) -> Iterator[object]:
    """Where nodes come from; idents by their rank."""
    idents = {n.origin.ident for n in nodes} | {n.origin.forward for n in nodes if n.origin.forward is not None}
    modules = {scope.ident for n in nodes for scope in n.origin.scopes}
    rank = {ident: i for i, ident in enumerate(sorted(idents))} | {None: -1}
    module = {ident: i for i, ident in enumerate(sorted(modules))}
    for n in nodes:
        scopes = [(scope.name, scope.kind, module[scope.ident], scope.call) for scope in n.origin.scopes]
        yield rank[n.origin.ident], rank[n.origin.forward], n.origin.location, scopes, n.origin.passes


SAMPLES = [sample for op in OPS.values() for sample in op.samples()]
"""Taken when tests are collected, before any of them registers an op of its own."""


def graph_of_sample(sample: Sample) -> Graph:
    inputs = [graphc.placeholder(f"x{k}", arg.shape, arg.dtype) for k, arg in enumerate(sample.args)]
    return graph_of([apply(sample.op, *inputs)], inputs)


def _training(dtype: torch.dtype = torch.float32) -> graphc.Program:
    """One encoder for two slices, dropout, symbolic sizes, a rate that changes."""
    points = graphc.placeholder("points", ("batch", 4), dtype)
    labels = graphc.placeholder("labels", (points.shape[0], 1), dtype)
    encoder = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Dropout(0.25))
    head = nn.Sequential(nn.Linear(6, 5), nn.GELU(), nn.Linear(5, 1), nn.Sigmoid())
    net = nn.Sequential(encoder, head).to(dtype)
    loss = nn.BCELoss()(head(graphc.cat([encoder(points[:, :2]), encoder(points[:, 2:])], dim=1)), labels)
    rate = optim.Warmup(3, optim.Cosine(0.01, steps=10))
    updates = optim.AdamW(net.parameters(), lr=rate).minimize(loss)
    return graphc.compile([points, labels], {"loss": loss}, updates, backend="torch")


def _classes() -> graphc.Program:
    x = graphc.placeholder("x", ("n", 4))
    kinds = graphc.placeholder("kinds", ("n",), torch.int64)
    net = nn.Sequential(nn.Linear(4, 3), nn.Softplus(), nn.Linear(3, 3))
    loss = nn.CrossEntropyLoss(label_smoothing=0.1, weight=torch.tensor([1.0, 2.0, 0.5]))(net(x), kinds)
    both = optim.SGD(net[0].parameters(), lr=0.1, momentum=0.9).minimize(loss)
    both |= optim.Adam(net[2].parameters()).minimize(loss)  # two cells are called "lr"
    return graphc.compile([x, kinds], [loss, graphc.grad(loss, x)], both, backend="torch")


def _sizes() -> graphc.Graph:
    a, b = graphc.placeholder("a", ("n", "m", 3)), graphc.placeholder("b", ("m", "n"))
    spare = graphc.placeholder("spare", ("n", "n", 2))
    flat = graphc.cat([a.reshape(-1), b.reshape(-1), spare.reshape(-1)])  # n*m*4 + 2*n**2
    return graph_of(
        [flat[1:] - flat[:-1], b[1:, 2:].sum() * b.shape[0], graphc.constant(3 * a.shape[0] + 1)], [a, b, spare]
    )


def _leaves() -> graphc.Graph:
    """Constants of every kind, one of them shared, a cell that is read by two nodes, and numbers that JSON has not."""
    table = torch.tensor([[float("nan"), -0.0], [float("inf"), 1e-45]])
    shared = graphc.constant(torch.arange(40, dtype=torch.int16)).node.op
    x = graphc.placeholder("x", (2, 2))
    weight = graphc.Parameter(torch.ones(2, 2), name="weight")
    again = apply(weight.node.op)
    parts = [
        x + table + graphc.constant(torch.tensor([[1.5, 2.0]])) + weight * again,
        x**True + x**3 + x**2.5 + x.clamp(max=float("inf")) * -0.0 + float("nan"),
        apply(shared).to(torch.float32).sum() + apply(shared).sum(),
        graphc.constant(torch.zeros(0, 3, dtype=torch.float64)).sum(),
        graphc.constant(torch.tensor([True, False])) == graphc.constant(False),
        graphc.constant(torch.tensor([1.5, -2.0], dtype=torch.bfloat16)) * 0.5,
        apply(OPS["full"](7, (2, 3), torch.uint8)),  # type: ignore[call-arg]  # the op behind the name
        apply(OPS["iota"](4)),  # type: ignore[call-arg]  # the op behind the name
    ]
    return graph_of(parts, [x], {weight: weight - 1.0})


def graphs() -> Iterator[tuple[str, Graph]]:
    """Whole programs: what users declare, and what passes make of it."""
    makers: dict[str, Callable[[], graphc.Program]] = {"training": _training, "classes": _classes}
    makers["float64"] = lambda: _training(torch.float64)
    for name, make in makers.items():
        for i, stage in enumerate(make().stages):
            if isinstance(stage.value, Graph):
                yield f"{name}-{i}-{stage.name}", stage.value
    yield "sizes", _sizes()
    yield "leaves", _leaves()
    yield "empty", Graph((), (), "")


GRAPHS = dict(graphs())

NAMES = [
    "quote\" and ' both",
    "new\nline\r\u2028\x00",
    "</script><svg onload=alert(1)>",
    '"); import os; os.abort(); ("',
    "\\",
    "#" * 3,
    "κόσμος 🌍 \ud800",
    "__builtins__",
    "graphc",
    "class",
    "print",
    "t3",
    "batch",
    "0.weight",
    "x" * 100_000,
    "\u202eesrever",
    "{0} %s {name}",
]
"""What somebody might call something."""


def with_names(names: list[str]) -> Graph:
    """All names that a graph has, taken from `names`."""
    inputs = [graphc.placeholder(name, ("batch",)) for name in names]
    cells = [graphc.Parameter(torch.zeros(1), name=name) for name in names]
    results = []
    for i, (x, p, name) in enumerate(zip(inputs, cells, names, strict=True)):
        with entered(Scope(name, name, i)):
            results.append(x * p)
    graph = graph_of(results, inputs, {p: p + 1.0 for p in cells})
    outputs = tuple(
        type(o)(o.node, o.role, name, o.cell) for o, name in zip(graph.outputs, [*names, *names], strict=True)
    )
    return Graph(graph.inputs, outputs, names[0])
