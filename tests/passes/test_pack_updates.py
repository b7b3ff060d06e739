"""Packed updates: which formulas are computed together, with the same bits, and which must stay apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch

import graphc
from graphc import Parameter, Tensor, Variable, nn, optim
from graphc.ir import Graph, Node, OutputRole
from graphc.ir.verify import verify
from graphc.passes.cse import cse
from graphc.passes.pack_updates import pack_updates
from tests.judge import Array, assert_same, graph_of, results_of

Updates = Mapping[Variable, Tensor]


def parameters(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[Parameter]:
    generator = torch.Generator().manual_seed(3)
    return [
        Parameter(torch.randn(shape, generator=generator, dtype=dtype), name=f"p{i}") for i, shape in enumerate(shapes)
    ]


def number(value: float = 0.5) -> Variable:
    return Variable(torch.tensor(value))


def packed(updates: Updates, outputs: list[Tensor] | None = None) -> tuple[Graph, int]:
    """The graph after the pass and how many regions it joined, after everything that must hold was checked.

    What formulas share has to be one node, so equal nodes are merged before.
    """
    before, _ = cse(graph_of(outputs or [], [], updates))
    text = str(before)
    after, counts = pack_updates(before)
    verify(after)
    assert str(before) == text, "the graph that was given is as it was"
    assert pack_updates(after) == (after, {"pack_region": 0})
    assert [output.cell for output in after.outputs] == [output.cell for output in before.outputs]
    for actual, expected in zip(results_of(after), results_of(before), strict=True):
        assert_same(actual, expected, bits=True)
    return after, counts["pack_region"]


def whole(piece: Node) -> Node:
    """What an update is a piece of."""
    while piece.op.name in ("slice", "reshape"):
        (piece,) = piece.inputs
    return piece


def packs(graph: Graph) -> int:
    return sum(node.op.name == "pack" for node in graph.nodes)


def loss_of(ps: list[Parameter]) -> Tensor:
    return sum(((p - 0.5).square().sum() for p in ps), graphc.constant(0.0))


# What is packed.

OPTIMIZERS: dict[str, tuple[Callable[[list[Parameter]], optim.Optimizer], int]] = {
    "SGD": (lambda ps: optim.SGD(ps, lr=0.1), 2),
    "SGD with momentum": (lambda ps: optim.SGD(ps, 0.1, 0.9), 3),
    "SGD with everything": (lambda ps: optim.SGD(ps, 0.1, 0.9, 0.5, 0.01), 3),
    "SGD with Nesterov momentum": (lambda ps: optim.SGD(ps, 0.1, 0.9, 0, 0.01, True), 3),
    "Adam": (lambda ps: optim.Adam(ps), 4),
    "Adam with everything": (lambda ps: optim.Adam(ps, 0.1, (0.8, 0.9), 1e-6, 0.1, True), 5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_and_slots_of_one_optimizer(name: str) -> None:
    """A pack each for the parameters, the gradients and each kind of slot; the scalars are shared."""
    make, count = OPTIMIZERS[name]
    ps = parameters((2, 3), (4,), (1, 1, 5))
    after, joined = packed(make(ps).minimize(loss_of(ps)))
    assert joined == 3
    assert packs(after) == count
    sources = {whole(output.node) for output in after.outputs if output.node.type.shape}
    assert {node.type.shape for node in sources} == {(15,)}, "one formula, on everything at once"
    assert len(sources) == len([output for output in after.outputs if output.node.type.shape]) / 3


def test_pieces_name_the_pass_and_the_line_of_their_own_update() -> None:
    ps = parameters((2,), (3,))
    rate = number()
    updates: Updates = {p: p * rate for p in ps}
    after, _ = packed(updates)
    for output, value in zip(after.outputs, updates.values(), strict=True):
        assert "pack_updates" in output.node.origin.passes
        assert output.node.origin.ident == value.node.origin.ident


def test_special_values_and_empty_parameters() -> None:
    values = [[float("nan"), -0.0, 0.0], [], [float("inf"), -float("inf"), 1e-45]]
    ps = [Parameter(torch.tensor(value), name=str(i)) for i, value in enumerate(values)]
    rate = number(-1.0)
    _, joined = packed({p: p * rate for p in ps})
    assert joined == 3


def test_each_formula_has_a_pack_of_its_own() -> None:
    a, b, c, d = parameters((2,), (3,), (4,), (5,))
    rate = number()
    after, joined = packed({a: a * rate, b: b + rate, c: c * rate, d: d + rate})
    assert joined == 4
    assert packs(after) == 2


def test_two_optimizers_are_packed_apart() -> None:
    ps = parameters((2,), (3,), (4,), (5,))
    loss = loss_of(ps)
    after, joined = packed(optim.SGD(ps[:2], 0.1).minimize(loss) | optim.SGD(ps[2:], 0.1).minimize(loss))
    assert joined == 4
    assert packs(after) == 4


def test_an_output_may_read_the_old_values() -> None:
    ps = parameters((2,), (3,))
    rate = number()
    _, joined = packed({p: p - rate for p in ps}, [p.sum() for p in ps])
    assert joined == 2


def test_values_of_other_cells() -> None:
    """An average of parameters follows them by the old values."""
    ps = parameters((2,), (3, 2))
    means = [Variable(torch.zeros_like(p.value), name=f"mean of {p.name}") for p in ps]
    rate = number(0.1)
    after, joined = packed({m: m + (p - m) * rate for m, p in zip(means, ps, strict=True)})
    assert joined == 2
    assert packs(after) == 2


def test_an_exchange_of_two() -> None:
    a, b = parameters((3,), (3,))
    rate = number(2.0)
    _, joined = packed({a: b * rate, b: a * rate})
    assert joined == 2


# What is not.


def kept_apart(updates: Updates, outputs: list[Tensor] | None = None) -> None:
    graph, _ = cse(graph_of(outputs or [], [], updates))
    after, counts = pack_updates(graph)
    assert after is graph
    assert counts == {"pack_region": 0}


def test_a_single_parameter_has_nothing_to_be_packed_with() -> None:
    [p] = parameters((2, 3))
    kept_apart(optim.Adam([p]).minimize(loss_of([p])))


def test_numbers_stay_numbers() -> None:
    ps = parameters((), ())
    rate = number()
    kept_apart({p: p * rate for p in ps})


@pytest.mark.parametrize(
    "formulas",
    [
        (lambda p: p * 2.0, lambda p: p * 3.0),
        (lambda p: p * 0.0, lambda p: p * -0.0),
        (lambda p: p * number(), lambda p: p * number()),
        (lambda p: p.exp(), lambda p: p.tanh()),
        (lambda p: p.exp() - p, lambda p: p - p.exp()),
        (lambda p: p * p, lambda p: p * p.neg()),
        (lambda p: p.clamp(0.0, 1.0), lambda p: p.clamp(0.0, 2.0)),
    ],
    ids=["numbers", "signs of zero", "cells", "ops", "order of operands", "shape of the formula", "attributes"],
)
def test_formulas_that_differ(formulas: list[Callable[[Tensor], Tensor]]) -> None:
    ps = parameters((2,), (3,))
    kept_apart({p: formula(p) for p, formula in zip(ps, formulas, strict=True)})


def test_roles_that_differ() -> None:
    """A parameter and a slot lie in groups of their own."""
    [p], slot, rate = parameters((2,)), Variable(torch.ones(3)), number()
    kept_apart({p: p * rate, slot: slot * rate})


def test_dtypes_that_differ() -> None:
    [p], [q] = parameters((2,)), parameters((3,), dtype=torch.float64)
    kept_apart({p: p.exp(), q: q.exp()})


def test_a_new_value_that_is_read_elsewhere() -> None:
    ps = parameters((2,), (3,))
    rate = number()
    new = [p * rate for p in ps]
    kept_apart(dict(zip(ps, new, strict=True)), [new[0]])
    kept_apart(dict(zip(ps, new, strict=True)), [new[0].sum()])


def test_a_part_of_the_formula_that_is_read_elsewhere() -> None:
    ps = parameters((2,), (3,))
    rate = number()
    scaled = [p * rate for p in ps]
    kept_apart({p: p - s for p, s in zip(ps, scaled, strict=True)}, [scaled[1].amax()])


def test_an_update_that_needs_another_one() -> None:
    """Packing them would need the new value of `a` before it is computed."""
    a, b = parameters((2, 3), (6,))
    rate = number()
    new = a * rate
    kept_apart({a: new, b: new.reshape(6) * rate})
    deep = (a * rate).T.exp().sum(0)
    c, d = parameters((3,), (2,))
    kept_apart({c: c * rate, d: (d - deep) * rate, a: deep.broadcast_to((3, 2)).T})


def test_formulas_without_tensors() -> None:
    ps = parameters((2,), (3,))
    rate = number()
    kept_apart({p: rate.broadcast_to(p.shape).maximum(1.0) for p in ps})


def test_no_updates() -> None:
    x = graphc.placeholder("x", (2,))
    graph = graph_of([x.exp()], [x])
    assert pack_updates(graph) == (graph, {"pack_region": 0})


# In a program.


def test_packed_programs_train_as_unpacked_ones() -> None:
    """The torch plan packs; eager arithmetic on each parameter is the judge."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = graphc.placeholder("x", ("n", 3))
    loss = net(x).square().mean()
    updates = optim.SGD(net.parameters(), lr=0.1, momentum=0.9).minimize(loss)
    data = torch.randn(5, 3)
    results: dict[str, dict[str, Array]] = {}
    for backend in ("reference", "torch"):
        program = graphc.compile([x], loss, updates, backend=backend)
        packed = [s for s in program.stages if isinstance(s.value, Graph) and s.name == "pack_updates"]
        assert [any(node.op.name == "pack" for node in s.value.nodes) for s in packed] == [True] * (backend == "torch")
        state = program.new_state()
        for _ in range(10):
            program(data, state=state)
        results[backend] = {name: state[name] for name in state}
    judge = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    judge.load_state_dict(net.state_dict())
    optimizer = torch.optim.SGD(judge.parameters(), lr=0.1, momentum=0.9)
    for _ in range(10):
        optimizer.zero_grad()
        judge(data).square().mean().backward()
        optimizer.step()
    for name, value in judge.state_dict().items():
        for found in results.values():
            assert_same(found[name], value)
    assert {output.role for output in program.graph.outputs} == {OutputRole.OUTPUT, OutputRole.UPDATE}
