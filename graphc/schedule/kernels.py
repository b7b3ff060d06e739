"""Fusion for generated code: which nodes are computed together in one kernel, and which values go to memory.

A kernel walks an iteration space. Its body is what pointwise nodes compute at each point; it may start from the result
of a contraction or a reduction (the core), and sum over the whole space on the way. Nothing is computed twice: a value
that another kernel reads, or that is read at another index than its own, is stored.
"""

from __future__ import annotations

import heapq
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from graphc.dims import Size
from graphc.errors import one_line
from graphc.ir import Cell, Graph, Node, Output
from graphc.ir.lazy import lazy
from graphc.ir.printer import names_of
from graphc.ops import Placeholder
from graphc.ops.contractions import Matmul
from graphc.ops.leaves import Constant, Full, SizeValue, TensorConstant
from graphc.ops.reductions import Amax, Sum
from graphc.ops.views import Broadcast, Permute, Reshape, Slice
from graphc.types import same_shape

__all__ = ["Kernel", "KernelSchedule", "is_literal", "is_view", "schedule_kernels", "source_of"]

VIEWS = (Reshape, Permute, Broadcast, Slice)
DEEPEST_VIEW = 16
"""Views of views that one load may go through; beyond, the value is stored."""
LARGEST_BODY = 96
"""Pointwise nodes in one kernel: registers, and the compiler's time, are limited."""


@dataclass(frozen=True, eq=False)
class Kernel:
    """`prologue` are the nodes under a reduction core, at each point of what it reads; `body` those at each point of
    `space`; `totals` are sums over all of `space`, each of a node of the body or of one that lies in memory. `stores`
    are the nodes that go to memory of their own, `writes` the outputs and cells that are written, with their nodes.
    """

    index: int
    space: tuple[Size, ...]
    core: Node | None
    prologue: tuple[Node, ...]
    body: tuple[Node, ...]
    totals: tuple[Node, ...]
    stores: tuple[Node, ...]
    writes: tuple[Output, ...]

    @lazy
    def local(self) -> frozenset[Node]:
        """The nodes that have a value inside the kernel only, or there first."""
        core = () if self.core is None else (self.core,)
        return frozenset((*core, *self.prologue, *self.body, *self.totals))

    @property
    def nodes(self) -> tuple[Node, ...]:
        core = () if self.core is None else (self.core,)
        return (*self.prologue, *core, *self.body, *self.totals)

    @lazy
    def reads(self) -> tuple[Node, ...]:
        """The nodes that the kernel reads from memory."""
        found: dict[Node, None] = {}
        for node in self.nodes:
            for x in node.inputs:
                source = source_of(x)
                if (source not in self.local or is_view(x)) and not is_literal(source):
                    found[source] = None
        for output in self.writes:
            if output.node not in self.local:
                found[source_of(output.node)] = None
        return tuple(found)


@dataclass(frozen=True, eq=False)
class KernelSchedule:
    """Kernels in the order in which they run. Cells among `copied` are written by a last copy: of a node that a kernel
    stores, or of what a kernel writes to a buffer of this output's own.
    """

    graph: Graph
    kernels: tuple[Kernel, ...]
    copied: tuple[Output, ...]

    @lazy
    def names(self) -> dict[Node, str]:
        """`%k` as in the printed graph."""
        return names_of((*self.graph.inputs, *self.graph.nodes))

    @lazy
    def kernel_of(self) -> dict[Node, Kernel]:
        return {node: kernel for kernel in self.kernels for node in kernel.local}

    def __str__(self) -> str:
        names = self.names
        lines = []
        for kernel in self.kernels:
            space = " × ".join(map(str, kernel.space)) or "1"
            core = f" from {kernel.core.op.name} {names[kernel.core]}" if kernel.core is not None else ""
            lines.append(f"kernel {kernel.index} over {space}{core}")
            for title, nodes in (("under it", kernel.prologue), ("computes", kernel.body), ("sums", kernel.totals)):
                if nodes:
                    lines.append(f"  {title} {', '.join(f'{names[n]} {n.op.name}' for n in nodes)}")
            lines.append(f"  reads {', '.join(names[n] for n in kernel.reads) or 'nothing'}")
            if kernel.stores:
                lines.append(f"  stores {', '.join(f'{names[n]} : {n.type}' for n in kernel.stores)}")
            lines.extend(f"  writes {o.role.value} {one_line(o.name)} = {names[o.node]}" for o in kernel.writes)
        lines.extend(f"copies {names[o.node]} to {one_line(o.name)}" for o in self.copied)
        return "\n".join(lines) + "\n"


def is_view(node: Node) -> bool:
    return isinstance(node.op, VIEWS)


def is_literal(node: Node) -> bool:
    """Whether the value is written into the code wherever it is read."""
    return isinstance(node.op, (Constant, Full, SizeValue))


def is_given(node: Node) -> bool:
    """Whether the value is in memory before the first kernel runs."""
    return isinstance(node.op, (Placeholder, TensorConstant)) or node.op.cell is not None


def source_of(node: Node) -> Node:
    """The node whose memory a view reads, or the node itself."""
    while is_view(node) and not _is_copied(node):
        (node,) = node.inputs
    return node


def _is_copied(node: Node) -> bool:
    """Whether a view is so deep that its value is stored."""
    return is_view(node) and _depth(node) % DEEPEST_VIEW == 0


_depths: WeakKeyDictionary[Node, int] = WeakKeyDictionary()


def _depth(node: Node) -> int:
    """How many views lie between a node and memory, its own included; remembered, so that chains are walked once."""
    chain = []
    while is_view(node) and node not in _depths:
        chain.append(node)
        (node,) = node.inputs
    depth = _depths.get(node, 0)
    for each in reversed(chain):
        depth += 1
        _depths[each] = depth
    return depth


@dataclass(eq=False)
class _Group:
    """A kernel in the making. A group depends on groups with smaller numbers only."""

    index: int
    space: tuple[Size, ...]
    core: Node | None = None
    prologue: list[Node] = field(default_factory=list)
    body: list[Node] = field(default_factory=list)
    totals: list[Node] = field(default_factory=list)

    def members(self) -> list[Node]:
        return [*self.prologue, *([] if self.core is None else [self.core]), *self.body, *self.totals]


def schedule_kernels(graph: Graph) -> KernelSchedule:
    """The kernels that compute `graph`, in an order in which every cell is read before it is overwritten."""
    grouper = _Grouper(graph)
    grouper.run()
    groups, group_of = grouper.groups, grouper.group_of
    _sink(graph, groups, group_of)
    outside = _read_outside(graph, groups, group_of)
    writes: dict[_Group, list[Output]] = {}
    copies: list[_Group] = []
    for output in graph.outputs:
        group = group_of.get(output.node)
        if group is None:  # an input, a constant or a view of something
            group = _Group(len(groups) + len(copies), output.node.type.shape)
            copies.append(group)
        writes.setdefault(group, []).append(output)
    kernels = [
        Kernel(
            group.index,
            group.space,
            group.core,
            tuple(group.prologue),
            tuple(group.body),
            tuple(group.totals),
            tuple(node for node in group.members() if node in outside),
            tuple(writes.get(group, ())),
        )
        for group in (*groups, *copies)
    ]
    return _order(graph, kernels)


class _Grouper:
    """Puts nodes into groups, in topological order.

    A pointwise node that depends on nothing that a kernel computes, apart from numbers, waits for its first reader and
    goes with it: the old value of a moment times its decay belongs into the kernel that has the gradient.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.groups: list[_Group] = []
        self.group_of: dict[Node, _Group] = {}
        self._prologues = _prologues(graph)
        self._inside = {node for nodes in self._prologues.values() for node in nodes}
        self._waiting: dict[Node, int] = {}
        """The nodes that wait, with their numbers."""
        self._scalars: _Group | None = None
        self._count = 0

    def run(self) -> None:
        for node in _scalars_first(self.graph):
            if is_given(node) or is_literal(node) or (is_view(node) and not _is_copied(node)):
                continue
            if node in self._inside:
                continue  # comes with its reduction
            if node.op.is_pointwise:
                self._pointwise(node)
            else:
                self._other(node)
        self._settle(self._waiting)

    def _new(self, space: tuple[Size, ...], core: Node | None = None) -> _Group:
        group = _Group(len(self.groups), space, core)
        self.groups.append(group)
        return group

    def _pointwise(self, node: Node) -> None:
        self._settle_sources(x for x in node.inputs if is_view(x))
        latest = self._latest([node])
        if (latest is None or not latest.space) and node.type.shape:
            self._waiting[node] = self._count
            self._count += 1
            return
        waiting = self._waiting_under(node.inputs)
        group = _joinable(node, self.group_of)
        if not self._fit(waiting, group):
            self._settle(waiting)
            waiting = []
            group = _joinable(node, self.group_of)
        if group is None and not node.type.shape:
            group = self._scalar_group(latest)
        elif group is None:
            group = self._new(node.type.shape)
        for each in (*waiting, node):
            self._waiting.pop(each, None)
            group.body.append(each)
            self.group_of[each] = group

    def _fit(self, waiting: Sequence[Node], group: _Group | None) -> bool:
        """Whether nodes that wait can go into a group, or into a new one."""
        if len(waiting) + (0 if group is None else len(group.body)) >= LARGEST_BODY:
            return not waiting
        latest = self._latest(waiting)
        return group is None or latest is None or latest.index < group.index

    def _scalar_group(self, latest: _Group | None) -> _Group:
        """Numbers are computed together, where they may come so early."""
        group = self._scalars
        if group is None or len(group.body) >= LARGEST_BODY or (latest is not None and latest.index >= group.index):
            group = self._scalars = self._new(())
        return group

    def _other(self, node: Node) -> None:
        prologue = self._prologues.get(node, [])
        self._settle_sources(x for each in (*prologue, node) for x in each.inputs)
        if isinstance(node.op, (Sum, Amax)):
            (x,) = node.inputs
            found = self.group_of.get(x)
            if not node.type.shape and found is not None and type(node.op) is Sum and _fits(found, x):
                found.totals.append(node)
                self.group_of[node] = found
                return
            group = self._new(node.type.shape, node)
            group.prologue = prologue
            self.group_of.update(dict.fromkeys(prologue, group))
        elif isinstance(node.op, Matmul):
            group = self._new(node.type.shape, node)
        else:
            group = self._new(node.type.shape)
            group.body.append(node)
        self.group_of[node] = group

    def _latest(self, nodes: Iterable[Node]) -> _Group | None:
        """The latest group that one of `nodes` reads."""
        found = [self.group_of[s] for node in nodes for s in _sources(node) if s in self.group_of]
        return max(found, key=lambda group: group.index, default=None)

    def _waiting_under(self, nodes: Iterable[Node]) -> list[Node]:
        """The nodes that wait among `nodes` and under them, in order."""
        found: set[Node] = set()
        stack = [x for x in nodes if x in self._waiting]
        while stack:
            node = stack.pop()
            if node not in found:
                found.add(node)
                stack.extend(x for x in node.inputs if x in self._waiting)
        return sorted(found, key=self._waiting.__getitem__)

    def _settle_sources(self, nodes: Iterable[Node]) -> None:
        sources = [source for source in map(source_of, nodes) if source in self._waiting]
        if sources:
            self._settle(self._waiting_under(sources))

    def _settle(self, nodes: Iterable[Node]) -> None:
        """Let nodes that wait have groups of their own."""
        for node in list(nodes):
            del self._waiting[node]
            group = _joinable(node, self.group_of)
            if group is None:
                group = self._new(node.type.shape)
            group.body.append(node)
            self.group_of[node] = group


def _sources(node: Node) -> Iterable[Node]:
    return map(source_of, node.inputs)


def _fits(group: _Group, x: Node) -> bool:
    """Whether a sum over `x` can be formed where `x` is computed: at each point, or as the result of a product."""
    return (x in group.body and x.op.is_pointwise) or (x is group.core and isinstance(x.op, Matmul))


def _joinable(node: Node, group_of: Mapping[Node, _Group]) -> _Group | None:
    """The latest group that `node` depends on, if it reads that group's values at its own index only."""
    latest: _Group | None = None
    for source in _sources(node):
        group = group_of.get(source)
        if group is not None and (latest is None or group.index > latest.index):
            latest = group
    if latest is None or len(latest.body) >= LARGEST_BODY:
        return None
    if any(not b.op.is_pointwise for b in latest.body) or not same_shape(latest.space, node.type.shape):
        return None
    for x in node.inputs:
        source = source_of(x)
        if group_of.get(source) is latest and (is_view(x) or source in latest.prologue or source in latest.totals):
            return None
    return latest


def _prologues(graph: Graph) -> dict[Node, list[Node]]:
    """By reduction, if not over everything: the pointwise nodes that only it reads, perhaps through others of them."""
    owners: dict[Node, Node] = {}
    results = {output.node for output in graph.outputs}
    count: dict[Node, int] = {}
    for node in reversed(graph.nodes):
        if not node.op.is_pointwise or node in results or not node.type.shape:
            continue
        users = set(graph.users[node])
        found = set()
        for user in users:
            if isinstance(user.op, (Sum, Amax)) and user.type.shape:
                found.add(user)
            else:
                found.add(owners.get(user, node))
        if len(found) == 1:
            (owner,) = found
            if owner is not node and count.get(owner, 0) < LARGEST_BODY:
                owners[node] = owner
                count[owner] = count.get(owner, 0) + 1
    found_by: dict[Node, list[Node]] = {}
    for node in graph.nodes:
        if node in owners:
            found_by.setdefault(owners[node], []).append(node)
    return found_by


def _scalars_first(graph: Graph) -> Sequence[Node]:
    """The nodes in topological order, first those that only 0-d values lead to: rates and their like."""
    early: dict[Node, None] = {}
    for node in graph.nodes:
        if not node.type.shape and all(x in early for x in node.inputs):
            early[node] = None
    return (*early, *(node for node in graph.nodes if node not in early))


def _sink(graph: Graph, groups: Sequence[_Group], group_of: dict[Node, _Group]) -> None:
    """Compute values where they are read instead of storing them, if what they are made of is stored anyway.

    The derivative of an activation is an example: it is made of the activation's result, which goes to memory for the
    next layer, and only the backward pass reads it. Nothing is computed twice, and no more is loaded.
    """
    results = {output.node for output in graph.outputs}
    outside = _read_outside(graph, groups, group_of)
    for node in reversed(graph.nodes):
        group = group_of.get(node)
        if group is None or node not in outside or node in results or node not in group.body:
            continue
        readers = {group_of.get(user) for user in graph.users[node]}
        (reader, *others) = readers
        if reader is None or others or reader is group or len(reader.body) >= LARGEST_BODY:
            continue
        if not same_shape(reader.space, group.space) or not all(user in reader.body for user in graph.users[node]):
            continue
        if not node.op.is_pointwise or not all(user.op.is_pointwise for user in graph.users[node]):
            continue
        chain, frontier = _chain(graph, node, group, results)
        if frontier <= outside and len(frontier) <= 1:
            moved = [each for each in group.body if each in chain]
            group.body = [each for each in group.body if each not in chain]
            reader.body = [*moved, *reader.body]
            group_of.update(dict.fromkeys(moved, reader))
            outside -= chain


def _chain(graph: Graph, node: Node, group: _Group, results: set[Node]) -> tuple[set[Node], set[Node]]:
    """`node` with the nodes of its group that nothing else reads, and the values of the group that they read."""
    chain = {node}
    frontier: set[Node] = set()
    waiting = [node]
    while waiting:
        for x in waiting.pop().inputs:
            if x in chain or x not in group.members():
                continue
            if x in group.body and x not in results and all(user in chain for user in graph.users[x]):
                chain.add(x)
                frontier.discard(x)
                waiting.append(x)
            else:
                frontier.add(x)
    return chain, frontier


def _read_outside(graph: Graph, groups: Sequence[_Group], group_of: Mapping[Node, _Group]) -> set[Node]:
    """The nodes that are read from memory: by another group, at another index, or by a view that is an output."""
    outside: set[Node] = set()
    for group in groups:
        for node in group.members():
            for x in node.inputs:
                source = source_of(x)
                if source in group_of and (group_of[source] is not group or is_view(x)):
                    outside.add(source)
    for output in graph.outputs:
        if output.node not in group_of and (source := source_of(output.node)) in group_of:
            outside.add(source)
    return outside


def _order(graph: Graph, kernels: Sequence[Kernel]) -> KernelSchedule:
    """The kernels such that cells are read before they are written; cells for which that cannot be are copied last."""
    copied: set[Cell] = set()
    while True:
        before = _dependencies(kernels, copied)
        order = _sorted(before, {kernel.index for kernel in kernels if not kernel.stores})
        if order is not None:
            break
        found = _cells_in_cycles(kernels, copied)
        assert found, "kernels depend on each other in a circle, and not by cells"
        copied |= found
    place = {index: i for i, index in enumerate(order)}
    late = [o for kernel in kernels for o in kernel.writes if o.cell in copied]
    result: list[Kernel] = []
    for kernel in sorted(kernels, key=lambda kernel: place[kernel.index]):
        moved = {o for o in kernel.writes if o.cell in copied and o.node in kernel.local}
        writes = tuple(o for o in kernel.writes if o not in moved)
        stored = {*kernel.stores, *(o.node for o in moved)}
        if kernel.nodes or writes:
            stores = tuple(node for node in kernel.nodes if node in stored)
            result.append(
                Kernel(
                    len(result), kernel.space, kernel.core, kernel.prologue, kernel.body, kernel.totals, stores, writes
                )
            )
    return KernelSchedule(graph, tuple(result), tuple(sorted(late, key=graph.outputs.index)))


def _dependencies(kernels: Sequence[Kernel], copied: set[Cell]) -> dict[int, set[int]]:
    """For each kernel those that must run before it."""
    maker = {node: kernel.index for kernel in kernels for node in kernel.local}
    before: dict[int, set[int]] = {kernel.index: set() for kernel in kernels}
    readers: dict[Cell, set[int]] = {}
    for kernel in kernels:
        for source in kernel.reads:
            if source in maker and maker[source] != kernel.index:
                before[kernel.index].add(maker[source])
            if source.op.cell is not None:
                readers.setdefault(source.op.cell, set()).add(kernel.index)
    for kernel in kernels:
        for output in kernel.writes:
            if output.cell is not None and output.cell not in copied:
                before[kernel.index] |= readers.get(output.cell, set()) - {kernel.index}
                if not _reads_in_place(kernel, output.cell):
                    before[kernel.index].add(kernel.index)
    return before


def _reads_in_place(kernel: Kernel, cell: Cell) -> bool:
    """Whether the kernel reads an element of the cell at most where it writes the same element."""
    for node in kernel.nodes:
        for x in node.inputs:
            if source_of(x).op.cell is cell and (is_view(x) or node not in kernel.body or not node.op.is_pointwise):
                return False
    return all(output.node in kernel.local or source_of(output.node).op.cell is not cell for output in kernel.writes)


def _sorted(before: Mapping[int, set[int]], last: Container[int]) -> list[int] | None:
    """The kernels with every one after those before it, else by number; None when there is a cycle.

    Those in `last` are the last to read something: they run as soon as they can, while it is in the cache, and its
    memory is free for others.
    """
    after: dict[int, list[int]] = {index: [] for index in before}
    waiting = {index: len(earlier) for index, earlier in before.items()}
    for index, earlier in before.items():
        for each in earlier:
            after[each].append(index)
    ready = [(index not in last, index) for index, count in waiting.items() if not count]
    heapq.heapify(ready)
    order = []
    while ready:
        _, index = heapq.heappop(ready)
        order.append(index)
        for each in after[index]:
            waiting[each] -= 1
            if not waiting[each]:
                heapq.heappush(ready, (each not in last, each))
    return order if len(order) == len(before) else None


def _cells_in_cycles(kernels: Sequence[Kernel], copied: set[Cell]) -> set[Cell]:
    """Cells whose writer cannot come after all their readers."""
    import networkx

    before = _dependencies(kernels, copied)
    graph = networkx.DiGraph((each, index) for index, earlier in before.items() for each in earlier)
    found: set[Cell] = set()
    for component in map(set, networkx.strongly_connected_components(graph)):
        for kernel in kernels:
            if kernel.index in component and before[kernel.index] & component:
                found.update(o.cell for o in kernel.writes if o.cell is not None and o.cell not in copied)
    return found
