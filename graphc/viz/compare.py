"""Two graphs compared: which nodes are the same, which were rewritten, added and removed.

Nodes of one process keep the ident of their origin through all stages, and so find each other. Graphs that were built
apart are matched by structure: what computes the same from the inputs up and from the outputs down, then what lies
between neighbours that are matched already, first with equal ops and types, then with equal kinds of op. What a call
returns is matched first; gradients follow the nodes that they differentiate, and updates follow their cells.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import torch

from graphc.errors import one_line
from graphc.ir import Cell, Graph, Node, Op, Output, OutputRole
from graphc.ir.printer import names_of
from graphc.ops import Placeholder, TensorConstant
from graphc.viz.model import Change

__all__ = ["Comparison", "OutputChange", "Union", "compare", "merged"]

Edge = tuple[Node, Node, int, Change]
"""Operand, user, position among the operands, and what became of it."""
Level = Literal["exact", "loose"]
Ties = Literal["all", "equal", "none"]
SIGNS = {Change.ADDED: "+", Change.REMOVED: "-", Change.REWRITTEN: "~"}
ROUNDS = 4
"""How often classes are computed anew from what has been matched; more rarely finds more."""
EFFORT = 48
"""Differences between two sequences up to which their longest common subsequence is exact."""


@dataclass(frozen=True)
class OutputChange:
    """What became of the output of this role and name: it is SAME when its two nodes are a pair."""

    role: OutputRole
    name: str
    change: Change
    was: Node | None
    now: Node | None


@dataclass(frozen=True, eq=False)
class Comparison:
    """`pairs` leads from nodes of `before` to nodes of `after`, one to one; unused inputs are among them.

    `reasons` says in words how a node of `after` differs from its partner; a pair without reasons is the same op with
    equal attributes and type on operands that are pairs. Cells are equal when role, name and type are, and arrays when
    their values are; a cell that both graphs have is equal to itself only.
    """

    before: Graph
    after: Graph
    pairs: Mapping[Node, Node]
    reasons: Mapping[Node, tuple[str, ...]]
    added: tuple[Node, ...]
    removed: tuple[Node, ...]
    outputs: tuple[OutputChange, ...]

    @cached_property
    def partners(self) -> Mapping[Node, Node]:
        """`pairs` the other way round."""
        return {now: was for was, now in self.pairs.items()}

    @cached_property
    def _changes(self) -> Mapping[Node, Change]:
        changes = {node: Change.REWRITTEN if node in self.reasons else Change.SAME for node in self.partners}
        return changes | dict.fromkeys(self.added, Change.ADDED) | dict.fromkeys(self.removed, Change.REMOVED)

    def change(self, node: Node) -> Change:
        """What became of a node of either graph."""
        return self._changes[self.pairs.get(node, node)]

    @cached_property
    def counts(self) -> Mapping[Change, int]:
        """Nodes by what became of them; a pair counts once."""
        return {change: Counter(self._changes.values())[change] for change in Change}

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        outputs = all(output.change is Change.SAME for output in self.outputs)
        return outputs and self.counts[Change.SAME] == len(self._changes)

    def __str__(self) -> str:
        """What differs, a line each, as in a printed graph: by names in `after`, else those in `before` and `.old`."""
        counts = ", ".join(f"{count} {change.value}" for change, count in self.counts.items())
        old, new = _nodes_of(self.before), _nodes_of(self.after)
        titles = f"{one_line(self.before.name)} -> {one_line(self.after.name)}"
        lines = [f"{titles}: {len(old)} -> {len(new)} nodes, {counts}"]
        names = {node: f"{name}.old" for node, name in names_of(old).items()} | names_of(new)
        names |= {was: names[now] for was, now in self.pairs.items()}
        for node in merged(self).nodes:
            if self.change(node) is not Change.SAME:
                was = f"  (was {_value(self.partners[node], names)})" if node in self.partners else ""
                lines.append(f"{SIGNS[self.change(node)]} {names[node]} = {_value(node, names)}{was}")
        for output in self.outputs:
            if output.change is not Change.SAME:
                values = [names[node] for node in (output.now, output.was) if node is not None]
                value = "  (was ".join(values) + ")" * (len(values) - 1)
                lines.append(f"{SIGNS[output.change]} {output.role.value} {json.dumps(output.name)} = {value}")
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, eq=False)
class Union:
    """Two graphs in one: the nodes of the later one and, between them, the removed nodes of the earlier one.

    The later node stands for each pair. Operands come before users in `nodes`, and edges have the order of their users.
    An edge that was removed between nodes that are still there is left out where it would close a cycle.
    """

    nodes: tuple[Node, ...]
    change: Mapping[Node, Change]
    edges: tuple[Edge, ...]


def compare(before: Graph, after: Graph) -> Comparison:
    """What became of each node and output from `before` to `after`, in time that is nearly linear in their sizes."""
    ops = _Ops(before, after)
    old, new = _Side(before, ops), _Side(after, ops)
    _Matching(old, new).run()
    pairs = {node: new.nodes[j] for node, j in zip(old.nodes, old.mate, strict=True) if j >= 0}
    found = ((now, () if was is now else tuple(_reasons(was, now, pairs, ops))) for was, now in pairs.items())
    reasons = {node: texts for node, texts in found if texts}
    added = tuple(node for node, i in zip(new.nodes, new.mate, strict=True) if i < 0)
    removed = tuple(node for node in old.nodes if node not in pairs)
    return Comparison(before, after, pairs, reasons, added, removed, tuple(_outputs(before, after, pairs)))


def merged(comparison: Comparison) -> Union:
    """The union of the two graphs of a comparison.

    Only removed edges into nodes that are still there can close a cycle: the others lead from nodes of the later graph,
    which is acyclic, to removed nodes, and among these, as in the earlier one.
    """
    pairs, partners = comparison.pairs, comparison.partners
    rank: dict[Node, tuple[int, int]] = {node: (k, 0) for k, node in enumerate(_nodes_of(comparison.after))}
    edges: list[Edge] = []
    for node in rank:
        was = partners[node].inputs if node in partners else ()
        for position, x in enumerate(node.inputs):
            is_kept = position < len(was) and pairs.get(was[position]) is x
            edges.append((x, node, position, Change.SAME if is_kept else Change.ADDED))
    last = -1
    for k, node in enumerate(_nodes_of(comparison.before)):
        now = pairs.get(node, node)
        last = rank.setdefault(now, (last, k + 1))[0]  # a removed node comes after the one that it came after
        kept = now.inputs if node in pairs else ()
        for position, x in enumerate(pairs.get(x, x) for x in node.inputs):
            if position >= len(kept) or kept[position] is not x:
                edges.append((x, now, position, Change.REMOVED))
    place = {node: k for k, node in enumerate(_ordered(rank, edges, partners))}
    forward = [edge for edge in edges if place[edge[0]] < place[edge[1]]]
    forward.sort(key=lambda edge: (place[edge[1]], edge[2]))
    return Union(tuple(place), {node: comparison.change(node) for node in place}, tuple(forward))


def _ordered(rank: Mapping[Node, tuple[int, int]], edges: Sequence[Edge], paired: Container[Node]) -> Iterator[Node]:
    """The nodes by rank, operands before users, but for removed edges into `paired` nodes that close a cycle."""
    nodes = sorted(rank, key=rank.__getitem__)
    number = {node: k for k, node in enumerate(nodes)}
    users: list[list[tuple[int, int]]] = [[] for _ in nodes]
    waiting = [[0, 0] for _ in nodes]
    for tail, head, _, change in edges:
        kind = int(change is Change.REMOVED and head in paired)
        users[number[tail]].append((number[head], kind))
        waiting[number[head]][kind] += 1
    possible = [k for k, counts in enumerate(waiting) if not counts[0]]
    ready = [k for k in possible if not waiting[k][1]]
    done: set[int] = set()
    while ready or possible:
        k = heapq.heappop(ready or possible)
        if k in done:
            continue
        done.add(k)
        yield nodes[k]
        for user, kind in users[k]:
            waiting[user][kind] -= 1
            if not waiting[user][0]:
                heapq.heappush(possible if waiting[user][1] else ready, user)


# What differs between two nodes, and how it is written ----------------------------------------------------------------


def _nodes_of(graph: Graph) -> tuple[Node, ...]:
    """All nodes, in the order in which they are numbered when the graph is printed."""
    return tuple(dict.fromkeys((*graph.inputs, *graph.nodes)))


def _reasons(was: Node, now: Node, pairs: Mapping[Node, Node], ops: _Ops) -> Iterator[str]:
    if type(was.op) is not type(now.op):
        yield f"op {was.op.name} -> {now.op.name}"
    elif ops.equal(was.op) != ops.equal(now.op):
        texts = {name: (_shown(value), _shown(now.op.attributes[name])) for name, value in was.op.attributes.items()}
        changed = [f"{name} {a} -> {b}" for name, (a, b) in texts.items() if a != b]
        yield from changed
        if not changed and was.type == now.type:  # two arrays, or two cells of one name
            yield f"other {' and '.join(texts) or 'values'}"
    if was.type != now.type:
        yield f"type {was.type} -> {now.type}"
    if len(was.inputs) != len(now.inputs):
        yield f"operands {len(was.inputs)} -> {len(now.inputs)}"
    for position, (a, b) in enumerate(zip(was.inputs, now.inputs), 1):
        if pairs.get(a) is not b:
            yield f"operand {position}"


def _outputs(before: Graph, after: Graph, pairs: Mapping[Node, Node]) -> Iterator[OutputChange]:
    old, new = _by_name(before.outputs), _by_name(after.outputs)
    for key in {**new, **old}:
        was, now = old.get(key), new.get(key)
        if was is None or now is None:
            change = Change.ADDED if was is None else Change.REMOVED
        else:
            change = Change.SAME if pairs.get(was.node) is now.node else Change.REWRITTEN
        ends = [None if end is None else end.node for end in (was, now)]
        yield OutputChange(key[0], key[1], change, *ends)


def _by_name(outputs: Iterable[Output]) -> dict[tuple[OutputRole, str, int], Output]:
    """Outputs by role and name, and by their number among those of one name."""
    seen: Counter[tuple[OutputRole, str]] = Counter()
    found = {}
    for output in outputs:
        found[output.role, output.name, seen[output.role, output.name]] = output
        seen[output.role, output.name] += 1
    return found


def _value(node: Node, names: Mapping[Node, str]) -> str:
    operands = ", ".join(names[x] for x in node.inputs)
    attributes = ", ".join(f"{key}={_shown(value)}" for key, value in node.op.attributes.items())
    return f"{node.op.name}({'; '.join(part for part in (operands, attributes) if part)}) : {node.type}"


def _shown(value: object) -> str:
    if isinstance(value, Cell):
        return f"{value.role.value} {json.dumps(value.name)}"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_shown, value))}{',' if len(value) == 1 else ''})"
    return one_line(str(value))


# Ops of two graphs made comparable ------------------------------------------------------------------------------------


class _Ops:
    """Ops in which the first cell, or array, of its kind stands for all others, so that equal kinds make equal ops.

    A cell that both graphs have stands only for itself.
    """

    def __init__(self, *graphs: Graph) -> None:
        attributes = ([value for node in graph.nodes for value in node.op.attributes.values()] for graph in graphs)
        self._shared = set.intersection(*({x for x in each if isinstance(x, Cell)} for each in attributes))
        self._first: dict[object, Any] = {}
        self._numbers: dict[object, int] = {}

    def number(self, key: object) -> int:
        """The same number for equal keys."""
        return self._numbers.setdefault(key, len(self._numbers))

    def equal(self, op: Op) -> Op:
        """Equal for cells with the same role, name and type, and for arrays with the same values."""
        content = b""
        if isinstance(op, TensorConstant):
            data = op.value.detach().cpu().contiguous().flatten().view(torch.uint8)
            content = hashlib.sha256(data.numpy().data).digest()
        return self._with(op, lambda cell: cell if cell in self._shared else (cell.role, cell.name, cell.type), content)

    def nameless(self, op: Op) -> Op:
        """Equal for all inputs, and for cells and arrays of one type."""
        if isinstance(op, Placeholder):
            return replace(op, label="")
        return self._with(op, lambda cell: (cell.role, cell.type))

    def _with(self, op: Op, of_cell: Callable[[Cell], object], content: bytes = b"") -> Op:
        if isinstance(op, TensorConstant):
            return replace(op, value=self._first.setdefault((op.value.dtype, op.value.shape, content), op.value))
        found = [(name, value) for name, value in op.attributes.items() if isinstance(value, Cell)]
        changes = {name: self._first.setdefault(of_cell(cell), cell) for name, cell in found}
        return replace(op, **changes) if changes else op  # type: ignore[type-var]  # ops are dataclasses


# Which node is which --------------------------------------------------------------------------------------------------


class _Side:
    """One of the two graphs, its nodes by number.

    `labels` are numbers that both graphs share: "exact" ones say op and type, "loose" ones only the kind of op, and
    with `named` inputs and cells are told apart. `mate` is the partner of each node, or -1. `fed` says what a node
    depends on: 2 for inputs, 1 for cells only, 0 for neither. `forward` is the node that a node is the gradient of:
    None for none, -1 for one that is not in the graph.
    """

    def __init__(self, graph: Graph, ops: _Ops) -> None:
        self.graph = graph
        self.nodes = _nodes_of(graph)
        self.number = {node: i for i, node in enumerate(self.nodes)}
        self.operands = [tuple([self.number[x] for x in node.inputs]) for node in self.nodes]
        self.users: list[list[tuple[int, int]]] = [[] for _ in self.nodes]
        for i, operands in enumerate(self.operands):
            for position, x in enumerate(operands):
                self.users[x].append((i, position))
        self.mate = [-1] * len(self.nodes)
        self.scope = [True] * len(self.nodes)
        self.results: dict[int, tuple[object, ...]] = {}
        self.labels: dict[tuple[Level, bool], list[int]] = {
            ("exact", False): [ops.number((ops.nameless(n.op), n.type)) for n in self.nodes],
            ("exact", True): [ops.number((ops.equal(n.op), n.type)) for n in self.nodes],
            ("loose", False): [ops.number((n.op.name, n.op.cell and n.op.cell.role)) for n in self.nodes],
            ("loose", True): [ops.number((n.op.name, _title(n.op))) for n in self.nodes],
        }
        self.fed: list[int] = []
        for node, operands in zip(self.nodes, self.operands, strict=True):
            own = 2 if isinstance(node.op, Placeholder) else 1 if node.op.cell is not None else 0
            self.fed.append(max((self.fed[x] for x in operands), default=own))
        origins = [node.origin for node in self.nodes]
        self.idents = [origin.ident for origin in origins]
        ident = {ident: i for i, ident in enumerate(self.idents)}
        self.forward = [None if o.forward is None else ident.get(o.forward, -1) for o in origins]
        self.place = [tuple((scope.name, scope.call) for scope in o.scopes) for o in origins]

    def pending(self) -> list[int]:
        """The nodes that have no partner yet and are to have one now."""
        return [i for i, (mate, is_in) in enumerate(zip(self.mate, self.scope, strict=True)) if mate < 0 and is_in]


def _title(op: Op) -> object:
    return op.label if isinstance(op, Placeholder) else None if op.cell is None else (op.cell.role, op.cell.name)


class _Matching:
    """Finds pairs, the surest first; a pair that is found stays. Pairs have the numbers of their old nodes."""

    def __init__(self, old: _Side, new: _Side) -> None:
        self.old, self.new = old, new
        self.sides = (old, new)
        self.level: Level = "exact"
        self.pairs: list[tuple[int, int]] = []

    def run(self) -> None:
        for i, node in enumerate(self.old.nodes):
            if node in self.new.number:
                self._pair(i, self.new.number[node])
        self._by_origin()
        # Of two stages of one program most nodes have their partner now; what a pass has made replaces nothing else.
        are_stages = 2 * len(self.pairs) > min(len(side.nodes) for side in self.sides)
        self._in_order(lambda side, i: _title(side.nodes[i].op) if isinstance(side.nodes[i].op, Placeholder) else None)
        for roles in ((OutputRole.OUTPUT,), tuple(OutputRole)):
            for side in self.sides:
                inside = {*side.graph.inputs, *side.graph.subgraph(*roles).nodes}
                side.scope = [node in inside for node in side.nodes]
            self._find_results()
            self._by_structure("exact")
            if not are_stages:
                self._by_structure("loose")
                self._exchanged()
                self._by_structure("exact")
                self._by_structure("loose")
            if all(all(side.scope) for side in self.sides):
                break
        # All that is left of a cell is its name.
        self._in_order(lambda side, i: None if side.nodes[i].op.cell is None else side.labels["exact", True][i])
        self._in_order(lambda side, i: None if side.nodes[i].op.cell is None else side.labels["loose", True][i])
        self.level = "exact"
        self._from_operands(least=1, ties="all")
        self._spread()

    def _by_structure(self, level: Level) -> None:
        self.level = level
        for _ in range(ROUNDS):
            count = len(self.pairs)
            if not all(side.pending() for side in self.sides):
                return
            self._from_operands(ties="none")
            self._from_users()
            self._in_order(lambda side, i: (self._label(side, i), side.results[i]) if i in side.results else None)
            self._spread()
            self._in_order(lambda side, i: (self._label(side, i), side.place[i]) if side.place[i] else None, "equal")
            self._between()
            self._spread()
            self._from_operands(ties="all")
            if len(self.pairs) == count:
                return

    def _pair(self, i: int, j: int) -> None:
        self.old.mate[i], self.new.mate[j] = j, i
        self.pairs.append((i, j))

    def _of(self, side: _Side, i: int) -> int:
        """The number of the pair of a node, or -1."""
        return side.mate[i] if side is self.new or side.mate[i] < 0 else i

    def _label(self, side: _Side, i: int, named: bool = False) -> tuple[int, int | None]:
        """What is equal for nodes that may be a pair. Gradients are if they belong to one pair, or to what has none."""
        forward = side.forward[i]
        known = forward if forward is None or forward < 0 else self._of(side, forward)
        return side.labels[self.level, named][i], known

    def _in_order(self, key: Callable[[_Side, int], object], ties: Ties = "all") -> None:
        """Pair nodes whose keys are equal, but None, in order; or only where both graphs have as many, or one each."""
        found: list[dict[object, list[int]]] = [{}, {}]
        for side, buckets in zip(self.sides, found, strict=True):
            for i in side.pending():
                value = key(side, i)
                if value is not None:
                    buckets.setdefault(value, []).append(i)
        for value, a in found[0].items():
            b = found[1].get(value, [])
            if ties == "all" or (len(a) == len(b) and (ties == "equal" or len(a) == 1)):
                for i, j in zip(a, b, strict=False):
                    self._pair(i, j)

    def _by_origin(self) -> None:
        """Nodes with one ident; where there are several, the same op on the same operands first, then the same op."""
        self._in_order(lambda side, i: side.idents[i], "none")
        self._in_order(
            lambda side, i: (side.idents[i], self._label(side, i, True), *[self._of(side, x) for x in side.operands[i]])
        )
        self._in_order(lambda side, i: (side.idents[i], self._label(side, i, True)))
        self._in_order(lambda side, i: side.idents[i])

    def _from_operands(self, ties: Ties, least: int = 2) -> None:
        """Nodes that compute the same from pairs and from equal leaves, as far as that tells them apart."""
        numbers: dict[object, int] = {}
        classes: dict[_Side, list[int]] = {}
        for side in self.sides:
            found = classes[side] = []
            for i, operands in enumerate(side.operands):
                key = () if side.mate[i] >= 0 else (self._label(side, i, named=True), *[found[x] for x in operands])
                found.append(numbers.setdefault(key, len(numbers)) if key else ~self._of(side, i))
        self._in_order(lambda side, i: classes[side][i] if side.fed[i] >= least else None, ties)

    def _from_users(self) -> None:
        """Nodes from which the same is computed."""
        numbers: dict[object, int] = {}
        classes: dict[_Side, list[int]] = {}
        for side in self.sides:
            found = classes[side] = [0] * len(side.nodes)
            for i in reversed(range(len(side.nodes))):
                if side.mate[i] >= 0:
                    found[i] = ~self._of(side, i)
                    continue
                users = sorted([(found[user], position) for user, position in side.users[i] if side.scope[user]])
                if users or i in side.results:
                    key = (self._label(side, i), *users, *side.results.get(i, ()))
                    found[i] = numbers.setdefault(key, len(numbers) + 1)
        self._in_order(lambda side, i: classes[side][i] or None, "none")

    def _find_results(self) -> None:
        """Which outputs each node is: by role and name, updates by their cell, and else by order."""
        cells: dict[_Side, dict[Cell, tuple[object, ...]]] = {side: {} for side in self.sides}
        for i, j in self.pairs:
            a, b = self.old.nodes[i].op.cell, self.new.nodes[j].op.cell
            if a is not None and b is not None:
                cells[self.new].setdefault(b, cells[self.old].setdefault(a, ("pair", i)))
        keys: list[dict[tuple[object, ...], int]] = [{}, {}]
        for side, found in zip(self.sides, keys, strict=True):
            for (role, name, count), output in _by_name(side.graph.outputs).items():
                cell = output.cell
                key = (role, name, count) if cell is None else cells[side].get(cell, (role, name, count, cell.type))
                found[key] = side.number[output.node]
        for role in (OutputRole.OUTPUT, OutputRole.GRADIENT):
            left = [[key for key in keys[k] if key[0] is role and key not in keys[1 - k]] for k in (0, 1)]
            if len(left[0]) == len(left[1]):
                for one, other in zip(*left, strict=True):
                    keys[1][one] = keys[1].pop(other)
        for side, found in zip(self.sides, keys, strict=True):
            side.results = {}
            for key, i in sorted(found.items(), key=lambda item: str(item[0])):
                side.results[i] = (*side.results.get(i, ()), key)

    def _spread(self) -> None:
        """From each pair to operands at one position, and to the only users of a kind that read it at one position."""
        for i, j in self.pairs:  # which grows meanwhile
            for x, y in zip(self.old.operands[i], self.new.operands[j], strict=False):
                self._try(x, y)
            a, b = self._free_users(self.old, i), self._free_users(self.new, j)
            for key, users in a.items():
                if len(users) == len(b.get(key, ())) == 1:
                    self._try(*users, *b[key])

    def _try(self, i: int, j: int) -> None:
        if (
            self._is_free(self.old, i)
            and self._is_free(self.new, j)
            and self._label(self.old, i) == self._label(self.new, j)
        ):
            self._pair(i, j)

    def _is_free(self, side: _Side, i: int) -> bool:
        return side.mate[i] < 0 and side.scope[i]

    def _free_users(self, side: _Side, i: int) -> dict[object, set[int]]:
        """The users of a node that have no partner, by position and label."""
        found: dict[object, set[int]] = {}
        for user, position in side.users[i]:
            if self._is_free(side, user):
                found.setdefault((position, self._label(side, user)), set()).add(user)
        return found

    def _between(self) -> None:
        """Between pairs that both graphs have in one order: common subsequences of what lies there.

        What only looks alike is left alone: a pair has an edge in common with another.
        """
        old, new = self.sides
        scope = [(i, j) for i, j in self.pairs if old.scope[i] and new.scope[j]]
        straight = sorted(i for i, _ in scope), [i for i, _ in sorted(scope, key=lambda pair: pair[1])]
        inner = [straight[0][p] for p, _ in _subsequence(*straight)]
        fixed = [(-1, -1), *((i, old.mate[i]) for i in inner), (len(old.nodes), len(new.nodes))]
        keys = [{i: self._label(side, i) for i in side.pending() if side.operands[i]} for side in self.sides]
        common = set(keys[0].values()) & set(keys[1].values())
        guess: dict[int, int] = {}
        for (i, j), (next_i, next_j) in pairwise(fixed):
            a = [k for k in range(i + 1, next_i) if keys[0].get(k) in common]
            b = [k for k in range(j + 1, next_j) if keys[1].get(k) in common] if a else []
            for p, q in _subsequence([keys[0][k] for k in a], [keys[1][k] for k in b]):
                guess[a[p]] = b[q]
        image = {i: j for i, j in enumerate(old.mate) if j >= 0} | guess
        for i, j in guess.items():
            readers = set(new.users[j])
            if any(image.get(x) == y for x, y in zip(old.operands[i], new.operands[j], strict=False)) or any(
                (image.get(user), position) in readers for user, position in old.users[i]
            ):
                self._pair(i, j)

    def _exchanged(self) -> None:
        """One op for another: it reads what has a partner, and what reads it has one, or it is the same output."""
        old, new = self.sides
        of_result = {keys: j for j, keys in new.results.items()}
        for i in old.pending():
            read = {old.mate[x] for x in old.operands[i]}
            users = ((old.mate[user], position) for user, position in old.users[i])
            rivals = [new.operands[v][position] for v, position in users if v >= 0 and position < len(new.operands[v])]
            rivals.append(of_result.get(old.results.get(i, ()), -1))
            for j in rivals:
                is_between = j >= 0 and self._is_free(new, j) and not read.isdisjoint(new.operands[j])
                if is_between and self._label(old, i)[1] == self._label(new, j)[1]:
                    self._pair(i, j)
                    break


def _subsequence(a: Sequence[object], b: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Positions of a common subsequence: longest (Myers 1986) up to EFFORT differences, from where it starts again."""
    i = j = 0
    while i < len(a) and j < len(b):
        matches, i, j = _stretch(a, b, i, j)
        yield from matches


def _stretch(a: Sequence[object], b: Sequence[object], i: int, j: int) -> tuple[list[tuple[int, int]], int, int]:
    """The furthest common subsequence from (i, j) on with at most EFFORT differences, and where it ends.

    `reach[edits][k]` is how far into `a` paths with so many differences get that are k further in `a` than in `b`.
    """

    def enter(k: int) -> tuple[int, int]:
        """Where the best path that the last ones lead to comes to diagonal `k`, and the diagonal that it comes from."""
        right, down = reach[-1].get(k - 1, len(a)), reach[-1].get(k + 1, len(a) + len(b) + k)
        steps = [(right + 1, k - 1)] * (right < len(a)) + [(down, k + 1)] * (down - (k + 1) < len(b))
        return max(steps, default=(-1, 0))

    reach: list[dict[int, int]] = []
    for edits in range(EFFORT + 1):
        found: dict[int, int] = {}
        for k in range(i - j - edits, i - j + edits + 1, 2):
            x = enter(k)[0] if edits else i
            if x >= 0:
                while x < len(a) and x - k < len(b) and a[x] == b[x - k]:
                    x += 1
                found[k] = x
        reach.append(found)
        if found.get(len(a) - len(b)) == len(a):
            break
    k = max(reach[-1], key=lambda k: 2 * reach[-1][k] - k)
    end, end_of_b = reach[-1][k], reach[-1][k] - k
    matches: list[tuple[int, int]] = []
    while reach:
        x = reach.pop()[k]
        start, previous = enter(k) if reach else (i, k)
        matches.extend((y, y - k) for y in reversed(range(start, x)))
        k = previous
    return matches[::-1], end, end_of_b
