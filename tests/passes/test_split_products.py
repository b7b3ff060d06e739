"""Slices of products: when they become products of slices, and that values stay the same."""

from __future__ import annotations

import torch

import graphc
from graphc.ir import Graph, Output, OutputRole, Tensor
from graphc.ir.verify import verify
from graphc.passes.split_products import split_products
from tests.judge import assert_same

X = graphc.placeholder("x", ("n", 4))
Y = graphc.placeholder("y", (4, 6))


def split(*outputs: Tensor) -> tuple[Graph, int]:
    """The graph of `outputs` with its products split, and how many slices that took."""
    results = tuple(Output(tensor.node, OutputRole.OUTPUT, f"out{k}") for k, tensor in enumerate(outputs))
    graph, fired = split_products(Graph((X.node, Y.node), results))
    verify(graph, "after split_products")
    return graph, fired["slice_of_product"]


def products(graph: Graph) -> list[str]:
    return sorted(str(node.type) for node in graph.nodes if node.op.name == "matmul")


def test_columns_become_products_of_columns() -> None:
    product = X @ Y
    graph, fired = split(product[:, :2].tanh(), product[:, 2:].exp())
    assert fired == 2
    assert products(graph) == ["f32[n,2]", "f32[n,4]"]


def test_rows_become_products_of_rows() -> None:
    product = Y.mT @ X.mT
    graph, fired = split(product[:3], product[3:5])
    assert fired == 2
    assert products(graph) == ["f32[2,n]", "f32[3,n]"]


def test_what_is_read_whole_or_twice_stays() -> None:
    product = X @ Y
    assert split(product[:, :2], product.tanh())[1] == 0, "something reads all of it"
    assert split(product[:, :2], product)[1] == 0, "it is an output"
    assert split(product[:, :4], product[:, 2:])[1] == 0, "two columns would be computed twice"
    assert split(product[:, :2], product[1:])[1] == 0, "slices along different dimensions overlap"
    assert split(product[:, ::2])[1] == 0, "every other column is no piece"


def test_a_network_that_shares_weights_trains_as_before() -> None:
    torch.manual_seed(0)
    shared, head = graphc.nn.Linear(2, 5), graphc.nn.Linear(10, 1)
    x = graphc.placeholder("x", ("n", 4))
    both = graphc.cat([shared(x[:, :2]).tanh(), shared(x[:, 2:]).tanh()], 1)
    loss = head(both).square().mean()
    updates = graphc.optim.SGD([*shared.parameters(), *head.parameters()], lr=0.1).minimize(loss)
    states = {}
    for backend in ("reference", "c"):
        program = graphc.compile([x], loss, updates, backend=backend)
        states[backend] = program.new_state()
        for k in range(5):
            program(torch.randn(7, 4, generator=torch.Generator().manual_seed(k)), state=states[backend])
    fired = {stage.name: stage.counts for stage in program.stages}["split_products"]
    assert fired == {"slice_of_product": 2}
    for cell in states["c"].cells:
        assert_same(states["c"].read(cell), states["reference"].read(cell), cell.name)
