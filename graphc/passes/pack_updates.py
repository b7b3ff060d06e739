"""Updates of many cells by one formula become one update of a flat tensor.

An optimiser builds the same pointwise expression for every parameter. Expressions of one form are computed once, on the
parameters (and slots, and gradients) packed one after another; the memory plan lets the pieces live inside the pack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.ir import Graph, Node, Output, Tensor, apply
from graphc.ir.origin import inherited
from graphc.ops.packing import Pack
from graphc.ops.views import Broadcast
from graphc.types import TensorType, same_shape

__all__ = ["pack_updates"]


@dataclass(frozen=True, eq=False)
class _Region:
    """The pointwise nodes that the updates of one parameter and its slots share.

    `nodes` are in topological order; `leaves` are the full tensors that they read, `numbers` the 0-d ones; `updates`
    are the outputs that the region computes. Regions with equal `form` compute the same formula.
    """

    nodes: tuple[Node, ...]
    leaves: tuple[Node, ...]
    numbers: tuple[Node, ...]
    updates: tuple[Output, ...]
    form: tuple[object, ...]


def pack_updates(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph with update formulas of one form packed, and how many regions that joined."""
    groups: dict[tuple[object, ...], list[_Region]] = {}
    for region in _regions(graph):
        groups.setdefault(region.form, []).append(region)
    replaced: dict[Output, Output] = {}
    joined = 0
    for regions in groups.values():
        if len(regions) > 1 and regions[0].leaves:
            joined += len(regions)
            replaced.update(_pack(regions))
    outputs = tuple(replaced.get(output, output) for output in graph.outputs)
    return (Graph(graph.inputs, outputs, graph.name) if replaced else graph), {"pack_region": joined}


def _is_inner(node: Node, type_: TensorType) -> bool:
    """Whether a node is part of an update formula: pointwise, of the cell's shape, and not yet the gradient itself."""
    return node.op.is_pointwise and node.origin.forward is None and same_shape(node.type.shape, type_.shape)


def _regions(graph: Graph) -> list[_Region]:
    """The regions, in the order of their first update. Those whose inner nodes are read elsewhere are left out.

    So nothing that one of them reads depends on what any of them computes, and packing makes no cycle.
    """
    updates = [o for o in graph.outputs if o.cell is not None and o.cell.type.shape and _is_inner(o.node, o.cell.type)]
    region_of: dict[Node, set[Node]] = {}
    for update in updates:
        members: set[Node] = set()
        stack = [update.node]
        while stack:
            node = stack.pop()
            known = region_of.get(node)
            if known is members:
                continue
            if known is not None:
                small, members = sorted((known, members), key=len)
                members |= small
                region_of.update(dict.fromkeys(small, members))
                continue
            members.add(node)
            region_of[node] = members
            stack.extend(x for x in node.inputs if _is_inner(x, node.type))
    outside = {output.node for output in graph.outputs if output.cell is None}
    position = {node: i for i, node in enumerate(graph.nodes)}
    found: dict[int, tuple[set[Node], list[Output]]] = {}
    for update in updates:
        members = region_of[update.node]
        found.setdefault(id(members), (members, []))[1].append(update)
    return [
        _describe(sorted(members, key=position.__getitem__), outputs)
        for members, outputs in found.values()
        if not any(node in outside or any(user not in members for user in graph.users[node]) for node in members)
    ]


def _describe(nodes: Sequence[Node], updates: Sequence[Output]) -> _Region:
    index = {node: i for i, node in enumerate(nodes)}
    leaves: dict[Node, int] = {}
    numbers: dict[Node, int] = {}
    form: list[object] = []
    for node in nodes:
        operands: list[object] = []
        for x in node.inputs:
            if x in index:
                operands.append(index[x])
            elif isinstance(x.op, Broadcast) and not x.inputs[0].type.shape:
                numbers.setdefault(x.inputs[0], len(numbers))
                operands.append(x.inputs[0])
            else:
                operands.append(("leaf", leaves.setdefault(x, len(leaves))))
        form.append((node.op, tuple(operands)))
    form.extend((leaf.op.cell.role if leaf.op.cell is not None else None, leaf.type.dtype) for leaf in leaves)
    for update in updates:
        targets = [i for leaf, i in leaves.items() if leaf.op.cell is update.cell]
        form.append((index[update.node], tuple(targets)))
    return _Region(tuple(nodes), tuple(leaves), tuple(numbers), tuple(updates), tuple(form))


def _pack(regions: Sequence[_Region]) -> dict[Output, Output]:
    """New updates, which read their values from one flat computation."""
    first = regions[0]
    flat: dict[Node, Tensor] = {}
    with inherited(first.updates[0].node.origin):
        for leaves in zip(*(region.leaves for region in regions), strict=True):
            flat[leaves[0]] = apply(Pack(), *map(Tensor, leaves))
        for node in first.nodes:
            total = next(iter(flat.values())).shape
            operands = [flat[x] if x in flat else Tensor(x.inputs[0]).broadcast_to(total) for x in node.inputs]
            flat[node] = apply(node.op, *operands)
    result: dict[Output, Output] = {}
    for updates in zip(*(region.updates for region in regions), strict=True):
        whole = flat[updates[0].node]
        start = 0
        for update in updates:
            with inherited(update.node.origin):
                numel = update.node.type.numel
                assert isinstance(numel, int), "cells have no symbolic sizes"
                piece = whole[start : start + numel].reshape(update.node.type.shape)
                start += numel
            node = piece.node
            marked = Node(node.op, node.inputs, node.type, update.node.origin.touched_by("pack_updates"))
            result[update] = replace(update, node=marked)
    return result
