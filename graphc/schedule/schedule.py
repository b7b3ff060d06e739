"""Scheduling: which nodes are computed by which call, which are views, which are known once sizes are bound.

In: a graph, and patterns that cover several nodes with one call. Out: steps, each of which gives the value of one node;
nodes that a pattern covers have no value of their own. The operands of a step come before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from graphc import dims
from graphc.ir import Graph, Node, Role, TorchCall
from graphc.ir.lazy import lazy
from graphc.ir.printer import names_of
from graphc.ops import Placeholder
from graphc.ops.views import Broadcast, Permute, Reshape, Slice, copy_reshaped
from graphc.types import same_shape

__all__ = ["Match", "Pattern", "Schedule", "Step", "schedule"]


@dataclass(frozen=True, eq=False)
class Match:
    """One call for a node and the nodes under it that nothing else reads."""

    call: TorchCall
    operands: tuple[Node, ...]
    arguments: tuple[object, ...] = ()
    keywords: dict[str, object] = field(default_factory=dict)
    covers: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Pattern:
    """A named way to compute a node, perhaps with nodes under it, by one call; None where it does not apply."""

    name: str
    match: Callable[[Node], Match | None]


@dataclass(frozen=True, eq=False)
class Step:
    """The call that gives the value of `node`. A step without a call evaluates the op itself, on a fresh tensor."""

    node: Node
    operands: tuple[Node, ...]
    call: TorchCall | None
    arguments: tuple[object, ...] = ()
    keywords: dict[str, object] = field(default_factory=dict)
    covers: tuple[Node, ...] = ()
    pattern: str = ""

    @property
    def is_view(self) -> bool:
        return self.call is not None and self.call.form == "view"

    @property
    def is_stored(self) -> bool:
        """Whether the call writes to a place that it is given."""
        return self.call is not None and self.call.form in ("out", "into")


@dataclass(frozen=True, eq=False)
class Schedule:
    """`known` are the nodes that are known once sizes are bound, `constants` those of them that steps or outputs read;
    `steps` are the calls, in order. The first `settings` of them depend on hyper-parameters only, which the graph does
    not change: their values hold until somebody sets one.
    """

    graph: Graph
    known: tuple[Node, ...]
    constants: tuple[Node, ...]
    steps: tuple[Step, ...]
    settings: int

    @lazy
    def names(self) -> dict[Node, str]:
        """`%k` as in the printed graph."""
        return names_of((*self.graph.inputs, *self.graph.nodes))

    @lazy
    def step_of(self) -> dict[Node, Step]:
        return {step.node: step for step in self.steps}

    @lazy
    def roots(self) -> dict[Node, Node]:
        """For each node with a value, the node whose memory it is a view of (itself if it is not a view)."""
        found: dict[Node, Node] = {}
        for step in self.steps:
            if step.is_view:
                (source,) = step.operands
                found[step.node] = found.get(source, source)
        return found

    def root(self, node: Node) -> Node:
        return self.roots.get(node, node)

    def whole(self, node: Node) -> Node:
        """The node in whose memory `node` lies from the first byte to the last: itself, or what it is a reshape of."""
        while node in self.roots and isinstance(node.op, Reshape):
            (node,) = node.inputs
        return node

    def __str__(self) -> str:
        names = self.names
        lines = [f"known when sizes are bound: {', '.join(names[node] for node in self.constants) or 'nothing'}"]
        for i, step in enumerate(self.steps):
            operands = ", ".join(names[x] for x in step.operands)
            how = "eval" if step.call is None else step.call.function.__name__
            note = f"  covers {', '.join(names[x] for x in step.covers)} ({step.pattern})" if step.covers else ""
            kind = "view" if step.is_view else "call"
            when = "when set, " if i < self.settings else ""
            lines.append(f"{when}{kind} {names[step.node]} : {step.node.type} = {how}({operands}){note}")
        return "\n".join(lines) + "\n"


def schedule(graph: Graph, patterns: Sequence[Pattern] = ()) -> Schedule:
    """The schedule of `graph`, users before operands chosen, so that a pattern covers as much as it can.

    A match is taken when nothing outside it reads the nodes that it covers.
    """
    constants = _known_when_bound(graph)
    users = graph.users
    results = {output.node for output in graph.outputs}
    needed = set(results)
    steps: list[Step] = []
    for node in reversed(graph.nodes):
        if node not in needed or node in constants or _is_given(node):
            continue
        step = _choose(node, patterns, users, results)
        needed.update(step.operands)
        steps.append(step)
    steps.reverse()
    known = tuple(node for node in graph.nodes if node in constants)
    used = tuple(node for node in known if node in needed)
    settings, rest = _split_settings(graph, _copy_where_no_view_exists(steps), constants)
    return Schedule(graph, known, used, (*settings, *rest), len(settings))


def _is_given(node: Node) -> bool:
    return isinstance(node.op, Placeholder) or node.op.cell is not None


def _known_when_bound(graph: Graph) -> set[Node]:
    known: set[Node] = set()
    for node in graph.nodes:
        if not _is_given(node) and all(x in known for x in node.inputs):
            known.add(node)
    return known


def _split_settings(graph: Graph, steps: Sequence[Step], known: set[Node]) -> tuple[list[Step], list[Step]]:
    """The steps that depend on hyper-parameters only, and the others."""
    updated = {output.cell for output in graph.outputs}
    results = {output.node for output in graph.outputs}
    fixed = set(known)
    for node in graph.nodes:
        if node.op.cell is not None and node.op.cell.role is Role.HYPER and node.op.cell not in updated:
            fixed.add(node)
    settings: list[Step] = []
    rest: list[Step] = []
    for step in steps:
        if (step.is_stored or step.is_view) and step.node not in results and all(x in fixed for x in step.operands):
            fixed.add(step.node)
            settings.append(step)
        else:
            rest.append(step)
    return settings, rest


def _choose(node: Node, patterns: Sequence[Pattern], users: dict[Node, tuple[Node, ...]], results: set[Node]) -> Step:
    for pattern in patterns:
        match = pattern.match(node)
        if match is None:
            continue
        inside = {node, *match.covers}
        hidden = not any(x in results or x in match.operands for x in match.covers)
        if hidden and all(user in inside for x in match.covers for user in users[x]):
            return Step(node, match.operands, match.call, match.arguments, match.keywords, match.covers, pattern.name)
    call = node.op.torch
    if call is None:
        return Step(node, node.inputs, None)
    return Step(node, node.inputs, call, *call.arguments_of(node.op))


def _copy_where_no_view_exists(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Reshapes of memory that is not contiguous become copies. What a call receives may be copied by torch itself."""
    scattered: set[Node] = set()
    result = []
    for step in steps:
        if step.is_view:
            (x,) = step.operands
            if isinstance(step.node.op, Reshape) and x in scattered and not _only_ones_differ(step.node, x):
                step = Step(step.node, (x,), TorchCall(copy_reshaped, form="into"))
            elif x in scattered or _scatters(step.node, x):
                scattered.add(step.node)
        result.append(step)
    return tuple(result)


def _without_ones(node: Node) -> list[dims.Size]:
    return [size for size in node.type.shape if not dims.same(size, 1)]


def _only_ones_differ(a: Node, b: Node) -> bool:
    return same_shape(_without_ones(a), _without_ones(b))


def _scatters(node: Node, x: Node) -> bool:
    """Whether a view of contiguous memory is not contiguous."""
    match node.op:
        case Permute(dims=order):
            moved = [d for d in order if not dims.same(x.type.shape[d], 1)]
            return moved != sorted(moved)
        case Broadcast():
            return not same_shape(_without_ones(node), _without_ones(x))
        case Slice(dim=d, step=step):
            return step != 1 or any(not dims.same(size, 1) for size in x.type.shape[:d])
    return False
