"""Deep graphs: 100,000 nodes in a chain, in native code 20,000, and nothing recurses.

Each case does one thing with one kind of chain (or with a graph that is as wide as others are deep): compile it for a
backend with its gradient, and run it; write it as JSON and as Python, and read it back; draw it; copy and forget it.
It does so in a thread with 256 KiB of stack, in a Python that recurses no deeper than 200 calls from there, so that
whatever recurses over the depth fails long before its end. Values and gradients are those of torch.
"""

from __future__ import annotations

import copy
import gc
import inspect
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

import graphc
from graphc import Parameter, Tensor, grad, nn
from tests.chains import CHAINS, wave
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

NODES = 100_000
ROOM = 200
STACK = 256 << 10


def shallowly(work: Callable[[], object]) -> None:
    """Do it in a thread with little stack and little room for recursion. Raises what it raises."""
    errors: list[BaseException] = []

    def run() -> None:
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(len(inspect.stack()) + ROOM)
        try:
            work()
            gc.collect()  # what it made is forgotten here, too
        except BaseException as error:
            errors.append(error)
        finally:
            sys.setrecursionlimit(before)

    size = threading.stack_size(STACK)
    try:
        thread = threading.Thread(target=run)
        thread.start()
    finally:
        threading.stack_size(size)
    thread.join()
    if errors:
        raise errors[0]


def chain(step: Callable[[Any, int], Any], x: Any, nodes: int) -> Any:
    """`step` again and again, until there are so many nodes."""
    probe = graphc.placeholder("x", (4,))
    each = sum(len(_made(step, probe, k)) for k in range(2)) / 2
    for k in range(round(nodes / each)):
        x = step(x, k)
    return x


def _made(step: Callable[[Any, int], Any], x: Tensor, k: int) -> list[object]:
    """The nodes that a step adds."""
    found, stack = {}, [step(x, k).node]
    while stack:
        node = stack.pop()
        if node not in found and node is not x.node:
            found[node] = None
            stack += node.inputs
    return list(found)


def compiled(kind: str, backend: str, nodes: int = NODES) -> None:
    """With its gradient and an update: called, printed and forgotten."""
    step = CHAINS[kind]
    x, p = graphc.placeholder("x", (4,)), Parameter(torch.zeros(4), name="p")
    y = chain(step, x + p, nodes)
    slope = grad(y.square().sum(), x)
    program = graphc.compile([x], [y, slope], {p: p + slope}, backend=backend)
    value = torch.tensor([0.1, -0.2, 0.3, 0.4])
    actual, gradient = program(value)
    assert program.summary()
    assert program.explain()
    assert len(str(program.declared)) > nodes
    leaf = value.clone().requires_grad_()
    expected = chain(step, leaf, nodes)
    [wanted] = torch.autograd.grad(expected.square().sum(), leaf)
    torch.testing.assert_close(actual, expected.detach(), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(gradient, wanted, rtol=1e-3, atol=1e-5)


def graph_of(nodes: int) -> graphc.Graph:
    x = graphc.placeholder("x", (4,))
    y = chain(wave, x, nodes)
    return declared([x], [y])


def declared(inputs: list[Tensor], outputs: list[Tensor]) -> graphc.Graph:
    """As it was built."""
    made = tuple(graphc.ir.Output(y.node, graphc.ir.OutputRole.OUTPUT, f"y{k}") for k, y in enumerate(outputs))
    return graphc.Graph(tuple(x.node for x in inputs), made)


def saved() -> None:
    graph = graph_of(NODES)
    text = graph.to_json()
    with tempfile.TemporaryDirectory(prefix="graphc-deep-") as folder:
        graph.save(Path(folder, "deep.json"))
        again = graphc.Graph.load(Path(folder, "deep.json"))
    assert len(again.nodes) == len(graph.nodes)
    assert again.to_json() == text
    assert len(graph.to_python()) > NODES
    assert graph.to_networkx().number_of_nodes() == len(graph.nodes)


def drawn() -> None:
    """As DOT: what lays it out is Graphviz, which takes a thousand nodes at most."""
    graph = graph_of(NODES)
    with tempfile.TemporaryDirectory(prefix="graphc-deep-") as folder:
        path = Path(folder, "deep.dot")
        graphc.viz.draw(graph, path)
        assert path.stat().st_size > 0


def copied() -> None:
    """Handles, graphs and nodes may be copied, compared, hashed and printed; nothing of it goes down the chain."""
    graph = graph_of(NODES)
    y = Tensor(graph.outputs[0].node)
    assert copy.deepcopy(graph).outputs[0].node is copy.deepcopy(y).node is y.node
    assert {y: 1, graph: 2, y.node: 3}
    assert all(repr(each) for each in (y, y.node, graph.nodes[-1]))
    assert (y == y).dtype is torch.bool


def wide() -> None:
    """One sum of many, many outputs, and one value that all read."""
    x = graphc.placeholder("x", ("n",))
    parts = [x * float(k) for k in range(NODES // 10)]
    total = graphc.stack(parts).sum(0)
    program = graphc.compile([x], [total, grad(total.sum(), x)], backend="torch")
    value, slope = program(torch.ones(2, dtype=torch.float32))
    expected = float(sum(range(NODES // 10)))
    for found in (value, slope):  # by another order of additions
        torch.testing.assert_close(found, torch.full((2,), expected), rtol=1e-3, atol=0.0)


def balanced() -> None:
    """A sum of many, added one by one: each is read again at the end."""
    x = graphc.placeholder("x", ("n",))
    total = x
    for _ in range(NODES // 2):
        total = total + x * 1e-5
    [found] = graphc.compile([x], [total], backend="torch")(torch.ones(2))
    torch.testing.assert_close(found, torch.full((2,), 1.0 + NODES // 2 * 1e-5), rtol=1e-2, atol=0.0)


def nested() -> None:
    """Modules in modules, as deep as Python lets them call each other: a thousand."""
    net: nn.Module = nn.Linear(2, 2)
    for _ in range(1000):
        net = nn.Sequential(net)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # modules call each other, as the user has written them
    try:
        x = graphc.placeholder("x", ("n", 2))
        program = graphc.compile([x], net(x), backend="torch")
        assert len(list(net.named_parameters())) == 2
    finally:
        sys.setrecursionlimit(before)
    assert program(torch.ones(3, 2)).shape == (3, 2)
    assert program.summary()


CASES: list[tuple[str, Callable[[], object]]] = [
    ("saved", saved),
    ("drawn", drawn),
    ("copied", copied),
    ("wide", wide),
    ("one by one", balanced),
    ("nested", nested),
    ("arithmetic, torch", lambda: compiled("arithmetic", "torch")),
    ("arithmetic, reference", lambda: compiled("arithmetic", "reference")),
    ("arithmetic, c", lambda: compiled("arithmetic", "c", NODES // 5)),
    ("two paths, auto", lambda: compiled("two paths", "auto")),
    *(
        (f"{kind}, torch", lambda kind=kind: compiled(kind, "torch", NODES // 2))
        for kind in CHAINS
        if kind != "arithmetic"
    ),  # type: ignore[misc]
]


@cache
def warm() -> None:
    """What is imported at its first use is imported, which takes more calls than there is room for."""
    compiled("arithmetic", "torch", 30)
    compiled("arithmetic", "c", 30)
    graph_of(30).to_networkx()
    with tempfile.TemporaryDirectory(prefix="graphc-deep-") as folder:
        graphc.viz.draw(graph_of(30), Path(folder, "warm.dot"))


def case(seed: int) -> dict[str, int]:
    warm()
    name, work = CASES[seed % len(CASES)]
    if work is nested:
        work()
    else:
        shallowly(work)
    return {name: 1}


PROOFS = (Proof("deep", promise=22, unit="graphs", full=len(CASES), quick=0, case=case, limit=900.0),)
