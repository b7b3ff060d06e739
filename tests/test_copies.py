"""What may be copied and pickled: graphs are shared, States and optimizers copied, programs neither."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

import graphc
from graphc import nn, optim


def deep(length: int = 1500) -> tuple[graphc.Tensor, graphc.Program]:
    """Deeper than Python recurses."""
    x = graphc.placeholder("x", ("n",))
    y = x + graphc.Parameter(torch.ones(()), name="p")
    for _ in range(length):
        y = y + 1.0
    return y, graphc.compile([x], y, backend="reference")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_graphs_are_shared(copied: Callable[[object], object]) -> None:
    y, program = deep()
    for original in (y.node, y, program.graph):
        twin = copied(original)
        assert type(twin) is type(original)
    assert copied(y.node) is y.node
    assert copied(y).node is y.node  # type: ignore[attr-defined]
    assert copied(program.graph).nodes == program.graph.nodes  # type: ignore[attr-defined]


def test_graphs_are_not_pickled() -> None:
    y, program = deep()
    for each in (y.node, y, program.graph, graphc.Parameter(torch.ones(2)), nn.Linear(2, 2)):
        with pytest.raises(TypeError, match=r"graphs are not pickled.* Graph\.save|a Parameter is not pickled"):
            pickle.dumps(each)


def test_values_are_not_pickled() -> None:
    net = nn.Linear(2, 2)
    x = graphc.placeholder("x", ("n", 2))
    optimizer = optim.SGD(net.parameters())
    program = graphc.compile([x], [], optimizer.minimize(net(x).sum()), backend="reference")
    for state in (program.state, program.new_state()):
        with pytest.raises(TypeError, match=r"a State is not pickled, .*program\.save\(path, state=state\) writes"):
            pickle.dumps(state)
    for each in (net.weight, net, optimizer):
        with pytest.raises(TypeError, match=r"a Parameter is not pickled, .*program\.save\(path\); net\.state_dict"):
            pickle.dumps(each)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_of_states_are_independent(copied: Callable[[graphc.State], graphc.State]) -> None:
    p = graphc.Parameter(torch.ones(2), name="p")
    program = graphc.compile([], p.sum(), {p: p + 1.0}, backend="reference")
    twin = copied(program.new_state())
    program.state["p"] = 5.0 * torch.ones(2)
    assert twin["p"].tolist() == [1.0, 1.0]


def test_a_shallow_copy_of_a_parameter_is_the_parameter() -> None:
    p = graphc.Parameter(torch.ones(2), name="p")
    assert copy.copy(p) is p
    twin = copy.deepcopy(p)
    assert twin.cell is not p.cell


# Optimizers -----------------------------------------------------------------------------------------------------------

RATES: list[Any] = [0.1, optim.Cosine(0.1, 5), lambda step: 0.1 / (1.0 + step)]


def trained(net: nn.Module, optimizer: optim.Optimizer, backend: str) -> tuple[graphc.Program, list[float]]:
    x = graphc.placeholder("x", ("n", 2))
    loss = net(x).square().mean()
    program = graphc.compile([x], [loss, optimizer.rate], optimizer.minimize(loss), backend=backend)
    return program, [float(value) for _ in range(4) for value in program(torch.ones(3, 2))]


@pytest.mark.parametrize("lr", RATES, ids=["number", "Cosine", "function"])
@pytest.mark.parametrize("kind", [optim.SGD, optim.AdamW])
def test_an_optimizer_copied_with_its_network_trains_the_copy(kind: type[optim.SGD], lr: Any, backend: str) -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = kind(net.parameters(), lr=lr, weight_decay=0.01)
    net_twin, twin = copy.deepcopy((net, optimizer))
    assert all(a is b for a, b in zip(twin.params, net_twin.parameters(), strict=True))
    before = net.state_dict()
    program, found = trained(net_twin, twin, backend)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(torch.equal(value, before[name]) for name, value in net_twin.state_dict().items())
    assert not {v.cell for v in vars(optimizer).values() if isinstance(v, graphc.Variable)} & {*program.graph.cells}
    assert found == trained(net, optimizer, backend)[1]
    with pytest.raises(graphc.StateError, match="part of a graph or an optimizer already"):
        copy.deepcopy((net, optimizer))[0].double()


class Halving(optim.Optimizer):
    """An optimizer of one's own, which keeps what it has as it likes, under names that others have for other things."""

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self.learning_rate = 0.5
        self.numbers = {"share": self._hyper("share", 0.5)}
        self.half = self.numbers["share"] * self.learning_rate

    def update(self, grads: Any) -> dict[graphc.Variable, graphc.Tensor]:
        return {p: p - grads[p] * self.half.to(p.dtype) for p in grads}


def test_a_copy_of_an_optimizer_of_ones_own_reads_its_own_numbers() -> None:
    net = nn.Linear(2, 1)
    optimizer = Halving(net.parameters())
    net_twin, twin = copy.deepcopy((net, optimizer))
    loss = net_twin(graphc.placeholder("x", ("n", 2))).sum()
    updates = twin.update(grads={p: graphc.grad(loss, p) for p in net_twin.parameters()})
    cells = {node.op.cell for value in updates.values() for node in graphc.ir.topological_order([value.node])}
    assert twin.numbers["share"].cell in cells
    assert optimizer.numbers["share"].cell not in cells


def test_a_copy_of_an_optimizer_alone_trains_no_network() -> None:
    net = nn.Linear(2, 1)
    twin = copy.deepcopy(optim.SGD(net.parameters(), lr=0.1, momentum=0.9))
    loss = net(graphc.placeholder("x", ("n", 2))).sum()
    with pytest.raises(graphc.GradientError, match=r"depends on none .*, which those of a copy are not"):
        twin.minimize(loss)


def test_updates_are_graph_and_shared() -> None:
    net = nn.Linear(2, 1)
    updates = optim.SGD(net.parameters()).minimize(net(graphc.placeholder("x", ("n", 2))).sum())
    assert copy.deepcopy(updates) is updates


@pytest.mark.parametrize("backend", ["c", "torch", "reference"])
def test_programs_are_neither_copied_nor_pickled(backend: str) -> None:
    x = graphc.placeholder("x", ("n",))
    program = graphc.compile([x], x + 1.0, backend=backend)
    program(torch.ones(2))
    for each in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"neither copied nor pickled. program\.new_state\(\)"):
            each(program)


def test_libraries_are_not_copied() -> None:
    x = graphc.placeholder("x", ("n",))
    executable = graphc.compile([x], x + 1.0, backend="c")._executable
    with pytest.raises(TypeError, match="a loaded library cannot be copied"):
        copy.deepcopy(executable)


def test_a_deep_copy_of_a_state_is_independent() -> None:
    p = graphc.Parameter(torch.ones(2), name="p")
    program = graphc.compile([], p.sum(), {p: p + 1.0}, backend="reference")
    for original in (program.state, program.new_state()):
        twin = copy.deepcopy(original)
        before = original["p"].clone()
        program(state=twin)
        assert torch.equal(original["p"], before)
        assert torch.equal(twin["p"], before + 1.0)
