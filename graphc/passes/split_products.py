"""Pieces of a product as products of pieces, so that each is computed together with what is made of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from graphc.dims import Dim
from graphc.ir import Graph, Node, Tensor, apply
from graphc.ir.origin import inherited
from graphc.ir.rewrite import rebuild
from graphc.ops.contractions import Matmul
from graphc.ops.views import Slice

__all__ = ["split_products"]


def split_products(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph with (x @ y)[:, a:b] as x @ y[:, a:b], where nothing reads more of the product, and none of it twice.

    The gradient of `cat` is such a case: networks that share weights have one slice for each use.
    """
    results = {output.node for output in graph.outputs}
    chosen: set[int] = set()
    for node in graph.nodes:
        if isinstance(node.op, Matmul) and node not in results:
            users = graph.users[node]
            if _are_pieces(node, users):
                chosen.update(user.origin.ident for user in users)

    def step(node: Node) -> Node:
        if node.origin.ident not in chosen:
            return node
        piece, (product,) = node.op, node.inputs
        assert isinstance(piece, Slice), "only slices are chosen"
        origin = node.origin.touched_by("split_products")
        with inherited(origin):
            x, y = map(Tensor, product.inputs)
            if piece.dim == product.type.ndim - 1:
                y = apply(Slice(piece.dim, piece.start, piece.length), y)
            else:
                x = apply(Slice(piece.dim, piece.start, piece.length), x)
            result = apply(product.op, x, y).node
        return Node(result.op, result.inputs, node.type, origin)

    return (rebuild(graph, step) if chosen else graph), {"slice_of_product": len(chosen)}


def _are_pieces(product: Node, users: tuple[Node, ...]) -> bool:
    """Whether all of `users` are slices along one of the last two dimensions that do not overlap."""
    ranges: list[tuple[int, int]] = []
    along = set()
    for user in users:
        match user.op:
            case Slice(dim=d, start=int(start), length=int(length), step=1) if d >= product.type.ndim - 2:
                ranges.append((start, start + length))
                along.add(d)
            case _:
                return False
    if len(along) != 1 or isinstance(product.type.shape[along.pop()], Dim):
        return False
    ranges.sort()
    return all(stop <= start for (_, stop), (start, _) in itertools.pairwise(ranges))
