"""The rewrite driver: applies small rules to a graph until none fires.

A rule takes a node and returns its replacement, or None when it does not apply. The driver checks that a replacement
has the type of what it replaces, counts firings by rule, keeps origins, and bounds the rounds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.errors import VerifyError
from graphc.ir.graph import Graph
from graphc.ir.node import Node
from graphc.ir.op import Op
from graphc.ir.origin import inherited, next_ident
from graphc.ir.tensor import Tensor

__all__ = ["Rule", "rebuild", "rewrite", "rule"]

MAX_ROUNDS = 30


@dataclass(frozen=True)
class Rule:
    """A rewrite of the nodes whose op is one of `ops`."""

    name: str
    ops: tuple[type[Op], ...]
    apply: Callable[[Node], Tensor | None]


def rule(*ops: type[Op]) -> Callable[[Callable[[Node], Tensor | None]], Rule]:
    """Make a function a rule for nodes of the given ops; the function's name says what it rewrites."""
    return lambda f: Rule(f.__name__, ops, f)


def rewrite(graph: Graph, rules: Sequence[Rule], name: str) -> tuple[Graph, Counter[str]]:
    """Apply `rules` everywhere, operands before users, until no rule fires. Returns the graph and firings by rule.

    Raises VerifyError when a rule changes a type, or when rules still fire after MAX_ROUNDS rounds.
    """
    by_op: dict[type[Op], list[Rule]] = {}
    for each in rules:
        for op in each.ops:
            by_op.setdefault(op, []).append(each)
    fired: Counter[str] = Counter()
    for _ in range(MAX_ROUNDS):
        before = fired.total()
        graph = _sweep(graph, by_op, fired, name)
        if fired.total() == before:
            return graph, fired
    raise VerifyError(f"{name}: rules still fire after {MAX_ROUNDS} rounds: {dict(fired.most_common(5))}")


def _sweep(graph: Graph, by_op: Mapping[type[Op], list[Rule]], fired: Counter[str], name: str) -> Graph:
    def step(node: Node) -> Node:
        # A replacement is looked at again at once: most chains of rewrites end within one sweep.
        for _ in range(MAX_ROUNDS):
            rules = by_op.get(type(node.op))
            replacement = _replacement(node, rules, fired, name) if rules else None
            if replacement is None:
                break
            node = replacement
        return node

    return rebuild(graph, step)


def _replacement(node: Node, rules: Sequence[Rule], fired: Counter[str], name: str) -> Node | None:
    """What the first rule that applies makes of `node`; a node that the rule built stands for `node` and its origin."""
    start = next_ident()
    with inherited(node.origin, by=name):
        for each in rules:
            result = each.apply(node)
            if result is None or result.node is node:
                continue
            fired[each.name] += 1
            if result.type != node.type:
                raise VerifyError(f"{each.name} changed the type of {node!r} to {result.type}")
            new = result.node
            return replace(new, origin=node.origin.touched_by(name)) if new.origin.ident > start else new
    return None


def rebuild(graph: Graph, step: Callable[[Node], Node], nodes: Iterable[Node] | None = None) -> Graph:
    """The graph with every node passed through `step`, operands first. Shares whatever did not change."""
    new: dict[Node, Node] = {}
    for node in graph.nodes if nodes is None else nodes:
        inputs = tuple([new[operand] for operand in node.inputs])
        if inputs != node.inputs:
            node_with_inputs = Node(node.op, inputs, node.type, node.origin)
        else:
            node_with_inputs = node
        new[node] = step(node_with_inputs)
    outputs = tuple(
        output if new[output.node] is output.node else replace(output, node=new[output.node])
        for output in graph.outputs
    )
    if all(a is b for a, b in zip(outputs, graph.outputs, strict=True)):
        return graph
    return Graph(graph.inputs, outputs, graph.name)
