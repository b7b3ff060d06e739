"""Two graphs compared: which nodes are pairs, what differs in them, and the union of both."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence

import pytest
import torch

import graphc
from graphc import Tensor, nn, optim, placeholder
from graphc.ir import Graph, Node, Output, OutputRole, topological_order
from graphc.ops import Placeholder, TensorConstant
from graphc.viz.compare import Comparison, compare, merged
from graphc.viz.model import Change

Layers = Callable[[], Sequence[nn.Module]]
Optimizer = Callable[[Sequence[graphc.Parameter]], object]


def graph_of(**outputs: Tensor) -> Graph:
    results = tuple(Output(tensor.node, OutputRole.OUTPUT, name) for name, tensor in outputs.items())
    nodes = topological_order(output.node for output in results)
    return Graph(tuple(node for node in nodes if isinstance(node.op, Placeholder)), results)


def counts(comparison: Comparison) -> tuple[int, int, int, int]:
    """Added, removed, rewritten, same."""
    return tuple(comparison.counts[change] for change in Change)  # type: ignore[return-value]


def all_nodes(graph: Graph) -> list[Node]:
    return list(dict.fromkeys((*graph.inputs, *graph.nodes)))


def check(comparison: Comparison) -> Comparison:
    """What holds for every comparison, and for its union."""
    before, after = all_nodes(comparison.before), all_nodes(comparison.after)
    pairs = comparison.pairs
    assert len(set(pairs.values())) == len(pairs)
    assert {*pairs, *comparison.removed} == set(before)
    assert len(pairs) + len(comparison.removed) == len(before)
    assert {*pairs.values(), *comparison.added} == set(after)
    assert len(pairs) + len(comparison.added) == len(after)
    for was, now in pairs.items():
        same = comparison.change(now) is Change.SAME
        assert same == (now not in comparison.reasons)
        assert same == (was is now or (agree(was, now) and [pairs.get(x) for x in was.inputs] == list(now.inputs)))
        assert comparison.change(was) is comparison.change(now)
    assert sum(comparison.counts.values()) == len(pairs) + len(comparison.added) + len(comparison.removed)
    changed = sum(output.change is not Change.SAME for output in comparison.outputs)
    assert len(str(comparison).splitlines()) == 1 + sum(counts(comparison)[:3]) + changed
    assert comparison.is_same == (len(str(comparison).splitlines()) == 1)
    check_union(comparison)
    return comparison


def agree(was: Node, now: Node) -> bool:
    """Whether two nodes have equal ops and types, seen from outside: by what the ops print."""
    if isinstance(was.op, TensorConstant):
        return isinstance(now.op, TensorConstant) and torch.equal(was.op.value, now.op.value)
    return str(was.op) == str(now.op) and was.type == now.type


def check_union(comparison: Comparison) -> None:
    union = merged(comparison)
    assert set(union.nodes) == {*all_nodes(comparison.after), *comparison.removed}
    assert len(set(union.nodes)) == len(union.nodes)
    place = {node: i for i, node in enumerate(union.nodes)}
    assert all(place[tail] < place[head] for tail, head, _, _ in union.edges)
    assert len({(tail, head, position, change) for tail, head, position, change in union.edges}) == len(union.edges)
    drawn = {(tail, head, position) for tail, head, position, change in union.edges if change is not Change.REMOVED}
    assert drawn == {(x, node, i) for node in all_nodes(comparison.after) for i, x in enumerate(node.inputs)}
    image = {node: comparison.pairs.get(node, node) for node in all_nodes(comparison.before)}
    old = {(image[x], image[node], i) for node in image for i, x in enumerate(node.inputs)}
    for tail, head, position, change in union.edges:
        assert ((tail, head, position) in old) == (change is not Change.ADDED)
    # An edge is missing only where it would lead backwards.
    assert all(place[edge[0]] > place[edge[1]] for edge in old - {edge[:3] for edge in union.edges})
    assert {node: union.change[node] for node in union.nodes} == {node: comparison.change(node) for node in union.nodes}


def both_ways(before: Graph, after: Graph) -> Comparison:
    """Compared, and compared the other way round, which exchanges what is added and what is removed."""
    comparison, reverse = check(compare(before, after)), check(compare(after, before))
    added, removed, rewritten, same = counts(comparison)
    assert counts(reverse) == (removed, added, rewritten, same)
    return comparison


def net(*layers: nn.Module) -> Graph:
    x = placeholder("points", ("batch", 2))
    return graph_of(inside=nn.Sequential(*layers)(x))


def training(layers: Sequence[nn.Module], optimizer: Optimizer = optim.Adam) -> Graph:
    """A step of training, as it was declared."""
    x, y = placeholder("points", ("batch", 2)), placeholder("labels", ("batch", 1))
    module = nn.Sequential(*layers)
    loss = nn.BCEWithLogitsLoss()(module(x), y)
    updates = optimizer(list(module.parameters())).minimize(loss)  # type: ignore[attr-defined]
    stage = graphc.compile([x, y], loss, updates, backend="reference").stages[0].value
    assert isinstance(stage, Graph)
    return stage


def base() -> list[nn.Module]:
    return [nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1)]


def deeper() -> list[nn.Module]:
    return [nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1)]


def wider() -> list[nn.Module]:
    return [nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1)]


# One process ----------------------------------------------------------------------------------------------------------


def test_a_graph_is_the_same_as_itself() -> None:
    graph = training(base())
    comparison = check(compare(graph, graph))
    assert comparison.is_same
    assert all(was is now for was, now in comparison.pairs.items())


def programs() -> list[graphc.Program]:
    x, y = placeholder("points", ("batch", 2)), placeholder("labels", ("batch", 1))
    module = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Dropout(0.3), nn.Linear(5, 1), nn.Sigmoid())
    loss = nn.BCELoss()(module(x), y)
    classes = nn.Linear(2, 3)(x).log_softmax(1)
    best = graphc.logsumexp(classes.exp() * 1.0 + 0.0, 1)
    updates = optim.AdamW(module.parameters(), lr=0.1).minimize(loss)
    return [
        graphc.compile([x, y], loss, updates, backend="torch"),
        graphc.compile([x, y], loss, updates, backend="c"),
        graphc.compile([x], {"classes": classes, "best": best}, backend="c"),
    ]


def test_every_pass_of_real_programs() -> None:
    for program in programs():
        graphs = [stage.value for stage in program.stages if isinstance(stage.value, Graph)]
        for before, after in itertools.pairwise(graphs):
            comparison = check(compare(before, after))
            if before is after:
                assert comparison.is_same
            shared = {n.origin.ident for n in all_nodes(before)} & {n.origin.ident for n in all_nodes(after)}
            kept = {was.origin.ident for was, now in comparison.pairs.items() if was.origin.ident == now.origin.ident}
            assert shared == kept
        check(compare(graphs[0], graphs[-1]))


def test_a_rewritten_node_keeps_its_partner_whatever_it_becomes() -> None:
    x = placeholder("x", ("batch", 3))
    program = graphc.compile([x], x.mean(), backend="reference")
    before, after = program.stages[1].value, program.stages[2].value
    assert isinstance(before, Graph)
    assert isinstance(after, Graph)
    comparison = check(compare(before, after))
    [(now, reasons)] = comparison.reasons.items()
    assert (comparison.partners[now].op.name, now.op.name) == ("mean", "div")
    assert reasons == ("op mean -> div", "operands 1 -> 2", "operand 1")
    assert [node.op.name for node in comparison.added] == ["sum", "size_value"]


def test_merged_nodes_are_removed_and_their_users_rewritten() -> None:
    x = placeholder("x", ("batch", 3))
    a, b = x.tanh(), x.tanh()
    stages = graphc.compile([x], {"y": a.exp(), "z": b.sin()}, backend="reference").stages
    before, after = (stage.value for stage in stages if stage.name in ("graph", "cse"))
    assert isinstance(before, Graph)
    assert isinstance(after, Graph)
    comparison = check(compare(before, after))
    assert (comparison.added, comparison.removed) == ((), (b.node,))
    assert [(now.op.name, reasons) for now, reasons in comparison.reasons.items()] == [("sin", ("operand 1",))]


def test_one_ident_several_times() -> None:
    x = placeholder("x", ("batch", 3)).node
    y = Tensor(x).tanh().node
    twins = [Node(y.op, y.inputs, y.type, y.origin) for _ in range(2)]
    doubled = Tensor(twins[0]) + Tensor(twins[1])
    comparison = both_ways(graph_of(y=Tensor(y)), graph_of(y=doubled))
    assert comparison.pairs[y] in twins
    assert counts(comparison) == (2, 0, 0, 2)


def test_models_that_share_a_trunk() -> None:
    x = placeholder("points", ("batch", 2))
    trunk = nn.Sequential(nn.Linear(2, 5), nn.Tanh())(x)
    comparison = both_ways(graph_of(y=nn.Linear(5, 1)(trunk).sigmoid()), graph_of(y=nn.Linear(5, 1)(trunk).tanh()))
    assert comparison.pairs[trunk.node] is trunk.node


# Built apart ----------------------------------------------------------------------------------------------------------


def test_the_same_net_twice() -> None:
    assert both_ways(net(*base()), net(*base())).is_same
    assert both_ways(training(base()), training(base())).is_same
    first, second = (
        graphc.compile([x], nn.Sequential(nn.Linear(2, 2), nn.Dropout(), nn.Dropout())(x), training=True)
        for x in (placeholder("x", ("batch", 2)), placeholder("x", ("batch", 2)))
    )
    for a, b in zip(first.stages, second.stages, strict=True):
        if isinstance(a.value, Graph) and isinstance(b.value, Graph):
            assert both_ways(a.value, b.value).is_same


def test_a_layer_inserted() -> None:
    comparison = both_ways(net(*base()), net(*deeper()))
    added = sorted(node.op.name for node in comparison.added)
    assert added == ["add", "broadcast", "cell_value", "cell_value", "matmul", "permute", "tanh"]
    reasons = sorted(reason for reasons in comparison.reasons.values() for reason in reasons)
    renamed = ['cell parameter "4.bias" -> parameter "6.bias"', 'cell parameter "4.weight" -> parameter "6.weight"']
    assert reasons == [*renamed, "operand 1"]
    assert [output.change for output in comparison.outputs] == [Change.SAME]


def test_a_layer_inserted_before_others_that_differ() -> None:
    layers = [nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 2), nn.ReLU(), *base()]
    comparison = both_ways(net(*base()), net(*layers))
    assert counts(comparison) == (14, 0, 7, len(comparison.pairs) - 7)  # six cells have other names
    assert not comparison.removed


@pytest.mark.parametrize("optimizer", [optim.Adam, lambda p: optim.SGD(p, lr=0.1)])
def test_a_layer_inserted_in_a_training_step(optimizer: Optimizer) -> None:
    before, after = training(base(), optimizer), training(deeper(), optimizer)
    comparison = both_ways(before, after)
    assert not comparison.removed
    assert len(comparison.added) == len(all_nodes(after)) - len(all_nodes(before))
    assert all(reason.startswith(("cell ", "operand ")) for some in comparison.reasons.values() for reason in some)
    assert len(comparison.reasons) < 10
    assert {output.name for output in comparison.outputs if output.change is Change.ADDED} >= {"6.weight", "6.bias"}


def test_a_width_changed() -> None:
    comparison = both_ways(net(*base()), net(*wider()))
    assert counts(comparison)[:2] == (0, 0)
    assert all(reason.startswith(("type ", "shape ")) for some in comparison.reasons.values() for reason in some)
    assert "type f32[batch,5] -> f32[batch,7]" in {r for reasons in comparison.reasons.values() for r in reasons}
    step = both_ways(training(base()), training(wider()))
    assert counts(step)[:2] == (0, 0)
    assert all("operand" not in reason for reasons in step.reasons.values() for reason in reasons)


def test_an_activation_exchanged() -> None:
    relu = [nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1)]
    comparison = both_ways(net(*base()), net(*relu))
    assert list(comparison.reasons.values()) == [("op tanh -> relu",)]
    assert counts(comparison)[:2] == (0, 0)
    step = both_ways(training(base()), training(relu))
    assert ("op tanh -> relu",) in step.reasons.values()
    assert len(step.added) + len(step.removed) + len(step.reasons) < 15


def test_a_last_op_exchanged() -> None:
    x, again = placeholder("x", ("batch", 3)), placeholder("x", ("batch", 3))
    comparison = both_ways(graph_of(y=x.exp().tanh()), graph_of(y=again.exp().sigmoid()))
    assert list(comparison.reasons.values()) == [("op tanh -> sigmoid",)]


def test_momentum_added() -> None:
    before = training(base(), lambda p: optim.SGD(p, lr=0.1))
    after = training(base(), lambda p: optim.SGD(p, lr=0.1, momentum=0.9))
    comparison = both_ways(before, after)
    assert not comparison.removed
    assert {node.op.cell.name for node in comparison.added if node.op.cell} == {
        "momentum",
        *(f"{i}.{kind}.momentum_buffer" for i in (0, 2, 4) for kind in ("weight", "bias")),
    }
    rewritten = {(now.op.name, reasons) for now, reasons in comparison.reasons.items()}
    assert rewritten == {("mul", ("operand 1",))}
    assert len(comparison.reasons) == 6
    added = [output for output in comparison.outputs if output.change is Change.ADDED]
    assert len(added) == 6
    assert all(output.role is OutputRole.UPDATE for output in added)


def test_names_do_not_matter_where_structure_is_clear() -> None:
    x, z = placeholder("x", ("batch", 3)), placeholder("z", ("batch", 3))
    comparison = both_ways(graph_of(y=x.tanh() * 2), graph_of(result=z.tanh() * 2))
    assert list(comparison.reasons.values()) == [('label "x" -> "z"',)]
    assert {(output.name, output.change) for output in comparison.outputs} == {
        ("y", Change.REMOVED),
        ("result", Change.ADDED),
    }


def test_reasons() -> None:
    def graph(dim: int, size: int, factor: float, table: list[float]) -> Graph:
        x = placeholder("x", ("batch", size))
        return graph_of(y=(x * factor).sum(dim), z=x.amax() - graphc.constant(table) * 1.0)

    first = graph(0, 3, 2.0, [1.0, 2.0])

    def reasons(other: Graph) -> set[str]:
        return {reason for found in both_ways(first, other).reasons.values() for reason in found}

    assert reasons(graph(0, 3, 2.0, [1.0, 2.0])) == set()
    assert reasons(graph(0, 3, -0.0, [1.0, 2.0])) == {"value 2.0 -> -0.0"}
    assert reasons(graph(0, 3, 2.0, [1.0, 3.0])) == {"other values"}
    assert reasons(graph(1, 3, 2.0, [1.0, 2.0])) == {"dims (0,) -> (1,)", "type f32[3] -> f32[batch]"}
    assert "type f32[batch,3] -> f32[batch,4]" in reasons(graph(0, 4, 2.0, [1.0, 2.0]))


def test_cells_with_one_name_are_told_apart() -> None:
    def ensemble(members: int) -> Graph:
        x = placeholder("points", ("batch", 2))
        outputs = [nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))(x) for _ in range(members)]
        return graph_of(y=graphc.cat(outputs, dim=1))

    assert both_ways(ensemble(5), ensemble(5)).is_same
    comparison = both_ways(ensemble(5), ensemble(6))
    assert not comparison.removed
    assert {reason for reasons in comparison.reasons.values() for reason in reasons} == {
        "operands 5 -> 6",
        "type f32[batch,5] -> f32[batch,6]",
    }


def test_a_cell_that_both_have_is_only_itself() -> None:
    x = placeholder("x", ("batch", 3))
    a, b = (graphc.Parameter(torch.zeros(3), name="w") for _ in range(2))
    comparison = both_ways(graph_of(y=x * a - b), graph_of(y=x * b - a))
    assert len(comparison.reasons) == 2
    assert {r for reasons in comparison.reasons.values() for r in reasons} <= {"operand 2", "operand 1", "other cell"}


def test_nothing_in_common() -> None:
    x, z = placeholder("x", ("batch", 3)), placeholder("z", ("n",), dtype=torch.float64)
    comparison = both_ways(graph_of(y=x.tanh().sum(0)), graph_of(w=z.exp()))
    assert counts(comparison)[3] == 0


def test_an_empty_constant_and_other_dtypes() -> None:
    def graph() -> Graph:
        x = placeholder("x", (0,), dtype=torch.bfloat16)
        return graph_of(y=x + graphc.constant(torch.zeros(0, dtype=torch.bfloat16)))

    assert both_ways(graph(), graph()).is_same


def test_unused_inputs_take_part() -> None:
    x, y = placeholder("x", (3,)), placeholder("spare", (3,))
    output = (Output(x.tanh().node, OutputRole.OUTPUT, "y"),)
    comparison = both_ways(Graph((x.node, y.node), output), Graph((x.node,), output))
    assert comparison.removed == (y.node,)


# Text -----------------------------------------------------------------------------------------------------------------


def test_text() -> None:
    x, again = placeholder("x", ("batch", 3)), placeholder("x", ("batch", 3))
    w, v = graphc.Parameter(torch.zeros(3), name="w"), graphc.Parameter(torch.zeros(3), name="w")
    before = graph_of(y=(x.tanh().exp() * w).sum(0), z=x.neg())
    after = graph_of(y=((again.tanh() * v).sin().sum(1)), u=again.neg())
    assert str(compare(before, after)) == (
        "graph -> graph: 8 -> 8 nodes, 1 added, 1 removed, 2 rewritten, 5 unchanged\n"
        "- %2.old = exp(%1) : f32[batch,3]\n"
        "~ %4 = mul(%1, %3) : f32[batch,3]  (was mul(%2.old, %3) : f32[batch,3])\n"
        "+ %5 = sin(%4) : f32[batch,3]\n"
        "~ %6 = sum(%5; dims=(1,)) : f32[batch]  (was sum(%4; dims=(0,)) : f32[3])\n"
        '+ output "u" = %7\n'
        '- output "z" = %7\n'
    )


def test_names_are_only_text() -> None:
    name = 'w"\n+ %9 = evil()'
    x = placeholder("x", (3,))
    comparison = check(compare(graph_of(y=x * 1), graph_of(**{name: x * graphc.Parameter(torch.zeros(3), name=name)})))
    assert len(str(comparison).splitlines()) == 1 + sum(counts(comparison)[:3]) + 2


# Any graph ------------------------------------------------------------------------------------------------------------

UNARY: tuple[Callable[[Tensor], Tensor], ...] = (Tensor.tanh, Tensor.exp, Tensor.sin, Tensor.neg)
BINARY: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (Tensor.add, Tensor.sub, Tensor.mul)
Recipe = list[tuple[int, int, int]]


def recipe(chance: random.Random, length: int) -> Recipe:
    """For each node an op and how far back its operands lie."""
    return [(chance.randrange(7), chance.randrange(1, 6), chance.randrange(1, 6)) for _ in range(length)]


def built(steps: Recipe, results: int) -> Graph:
    values = [placeholder("a", ("n", 3)), placeholder("b", ("n", 3))]
    values.append(values[0] * graphc.Parameter(torch.zeros(3), name="w"))
    for op, first, second in steps:
        x, y = (values[max(0, len(values) - back)] for back in (first, second))
        values.append(UNARY[op](x) if op < len(UNARY) else BINARY[op - len(UNARY)](x, y))
    return graph_of(**{f"y{i}": value for i, value in enumerate(values[-results:])})


def edited(steps: Recipe, chance: random.Random) -> Recipe:
    steps = list(steps)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(steps))
        match chance.randrange(3):
            case 0:
                steps.insert(at, recipe(chance, 1)[0])
            case 1:
                del steps[at]
            case _:
                steps[at] = recipe(chance, 1)[0]
    return steps


@pytest.mark.parametrize("seed", range(60))
def test_random_edits(seed: int) -> None:
    chance = random.Random(seed)
    steps = recipe(chance, chance.randrange(5, 60))
    results = chance.randrange(1, 4)
    before = built(steps, results)
    assert check(compare(before, built(steps, results))).is_same
    check(compare(before, built(edited(steps, chance), results)))
    check(compare(before, built(recipe(chance, len(steps)), results)))


def test_an_order_exchanged_has_no_cycle() -> None:
    x, again = placeholder("x", ("batch", 3)), placeholder("x", ("batch", 3))
    first, second = x.tanh(), again.exp()
    before, after = graph_of(y=first.exp(), z=first), graph_of(y=second, z=second.tanh())
    check(compare(before, after))
    a = Tensor(first.node)
    origins = {node.op.name: node.origin for node in before.nodes}
    new_exp = Node(before.nodes[-1].op, (x.node,), x.type, origins["exp"])
    new_tanh = Node(a.node.op, (new_exp,), x.type, origins["tanh"])
    comparison = check(compare(before, graph_of(y=Tensor(new_exp), z=Tensor(new_tanh))))
    assert counts(comparison) == (0, 0, 2, 1)


# Deep and wide --------------------------------------------------------------------------------------------------------


def chain(length: int, inserted: Sequence[int] = (), period: int = 2) -> Graph:
    x = placeholder("x", ("batch", 3))
    for i in range(length):
        x = UNARY[i % period](x)
        if i in inserted:
            x = x * x
    return graph_of(y=x)


@pytest.mark.parametrize("inserted", [(1500,), (1000, 2000), tuple(range(50, 3000, 300))])
def test_insertions_in_a_deep_chain(inserted: Sequence[int]) -> None:
    comparison = check(compare(chain(3000), chain(3000, inserted)))
    assert counts(comparison) == (len(inserted), 0, len(inserted), 3001 - len(inserted))


def test_twenty_thousand_nodes() -> None:
    comparison = compare(chain(20_000), chain(20_000, (10_000,)))
    assert counts(comparison) == (1, 0, 1, 20_000)
    assert len(merged(comparison).nodes) == 20_002


def test_deep_chains_that_differ_everywhere() -> None:
    check(compare(chain(3000), chain(3000, period=3)))


def test_many_users() -> None:
    def fan(width: int) -> Graph:
        x, one = placeholder("x", ("batch", 3)), graphc.constant(1.0)
        return graph_of(**{f"y{i}": x * one if i % 2 else x + one for i in range(width)})

    comparison = check(compare(fan(1000), fan(1001)))
    assert counts(comparison) == (2, 0, 0, len(comparison.pairs))
