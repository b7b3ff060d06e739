"""What is drawn as a box of its own, and what is folded into the box or the arrow that uses it.

Folded are numbers (`x + 1` is one box), broadcasts that the shapes beside them imply, the transpose of a parameter,
which becomes a sign on the arrow, and the several ops of one `x[...]`. All else is a box.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import torch

from graphc import dims
from graphc.dims import Size
from graphc.ir import Graph, Node, Role
from graphc.ops import CellValue, Constant, SizeValue
from graphc.ops.comparisons import Cast
from graphc.ops.contractions import Matmul
from graphc.ops.views import Broadcast, Permute, Reshape, Slice
from graphc.types import TensorType, same_shape

__all__ = ["Folded", "Operand", "dropped", "fold"]


@dataclass(frozen=True)
class Operand:
    """What one operand of a box is: the box of `source` at the other end of an arrow, or a `text` inside the box.

    `type` is what flows along the arrow: before a broadcast, after a transpose.
    """

    type: TensorType
    source: Node | None = None
    text: str = ""
    is_transposed: bool = False
    is_broadcast: bool = False


@dataclass(frozen=True)
class Folded:
    """`operands` of each node that has a box, in topological order; `merged` are all nodes behind a box of several.

    `texts` are the scalars that are written out, where they have a box all the same.
    """

    operands: Mapping[Node, tuple[Operand, ...]]
    merged: Mapping[Node, tuple[Node, ...]]
    texts: Mapping[Node, str]


def fold(graph: Graph) -> Folded:
    """Decide what of `graph` gets a box. Outputs always do."""
    texts = _texts(graph)
    merged = _index_chains(graph)
    needed = {output.node for output in graph.outputs}
    found: dict[Node, tuple[Operand, ...]] = {}
    for node in reversed(graph.nodes):
        if node in needed:
            found[node] = () if node in texts else _operands(merged.get(node, (node,))[0], texts)
            needed.update(operand.source for operand in found[node] if operand.source is not None)
    return Folded(
        dict(reversed(found.items())),
        {node: merged[node] for node in found if node in merged},
        {node: texts[node] for node in found if node in texts},
    )


def number(value: float, dtype: torch.dtype) -> str:
    """The shortest text from which `dtype` gets the same value: 0.1, where a float32 is 0.10000000149011612."""
    if isinstance(value, float):
        for digits in range(6, 17):
            text = f"{value:.{digits}g}"
            if torch.tensor(float(text), dtype=dtype, device="cpu").item() == value:
                return text
    return repr(value)


def _texts(graph: Graph) -> dict[Node, str]:
    """Scalars that are written where they are used: numbers, sizes and hyper-parameters, broadcast or not."""
    texts: dict[Node, str] = {}
    for node in graph.nodes:
        match node.op:
            case Constant(value=value, dtype=dtype):
                texts[node] = number(value, dtype)
            case SizeValue(size=size):
                texts[node] = str(size) if str(size).isidentifier() else f"({size})"
            case CellValue(cell=cell) if cell.role is Role.HYPER and not cell.type.shape:
                texts[node] = cell.name
            case Broadcast() | Cast() | Reshape() if node.inputs[0] in texts:
                texts[node] = texts[node.inputs[0]]
    return texts


def _operands(node: Node, texts: Mapping[Node, str]) -> tuple[Operand, ...]:
    folded = tuple(_operand(x, texts, through_broadcast=True) for x in node.inputs)
    if any(operand.is_broadcast for operand in folded) and not _is_implied(node, folded):
        return tuple(_operand(x, texts, through_broadcast=False) for x in node.inputs)
    return folded


def _operand(x: Node, texts: Mapping[Node, str], *, through_broadcast: bool) -> Operand:
    if x in texts:
        return Operand(x.type, text=texts[x])
    is_broadcast = through_broadcast and isinstance(x.op, Broadcast)
    if is_broadcast:
        x = x.inputs[0]
    source, count = x, 0
    while isinstance(source.op, Permute) and _is_transpose(source.op.dims):
        source, count = source.inputs[0], count + 1
    if not isinstance(source.op, CellValue):
        source, count = x, 0
    return Operand(x.type, source, is_transposed=count % 2 == 1, is_broadcast=is_broadcast)


def _is_transpose(order: tuple[int, ...]) -> bool:
    """Whether a permutation exchanges the last two dimensions only."""
    last = len(order) - 1
    return last >= 1 and order == (*range(last - 1), last, last - 1)


def _is_implied(user: Node, operands: Sequence[Operand]) -> bool:
    """Whether the shapes on the arrows say what is broadcast: they give the user's shape by themselves."""
    if isinstance(user.op, Matmul):
        shapes, whole = [operand.type.shape[:-2] for operand in operands], user.type.shape[:-2]
    elif user.op.is_pointwise:
        shapes, whole = [operand.type.shape for operand in operands if operand.source], user.inputs[0].type.shape
    else:
        return False
    result: list[Size] = []
    for back in range(1, max(map(len, shapes)) + 1):
        sizes = [shape[-back] for shape in shapes if len(shape) >= back]
        result.insert(0, next((size for size in sizes if not dims.same(size, 1)), 1))
    return same_shape(result, whole)


def _index_chains(graph: Graph) -> dict[Node, tuple[Node, ...]]:
    """`x[a, b]` is a slice for each dimension, and a reshape that drops those with a single index: one box for all."""
    chains: dict[Node, tuple[Node, ...]] = {}
    outputs = {output.node for output in graph.outputs}
    for node in graph.nodes:
        if not isinstance(node.op, (Slice, Reshape)):
            continue
        before = node.inputs[0]
        chain = chains.get(before, ())
        if before in outputs or len(graph.users[before]) > 1 or not _same_place(before, node):
            chain = ()
        if isinstance(node.op, Slice):
            taken = {each.op.dim for each in chain if isinstance(each.op, Slice)}
            is_continued = bool(chain) and node.op.dim not in taken and isinstance(before.op, Slice)
            chains[node] = (*chain, node) if is_continued else (node,)
        elif chain and isinstance(before.op, Slice) and dropped(chain, node) is not None:
            chains[node] = (*chain, node)
    return {node: chain for node, chain in chains.items() if len(chain) > 1}


def dropped(chain: Sequence[Node], reshape: Node) -> tuple[int, ...] | None:
    """The dimensions of single indices that `reshape` drops after the slices of `chain`; None if it does otherwise."""
    shape = chain[-1].type.shape
    count = len(shape) - len(reshape.type.shape)
    if count < 1:
        return None
    single = [n.op.dim for n in chain if _is_slice(n.op) and dims.same(n.op.length, 1)]
    for candidate in itertools.combinations(sorted(single), count):
        if same_shape([size for d, size in enumerate(shape) if d not in candidate], reshape.type.shape):
            return candidate
    return None


def _is_slice(op: object) -> TypeGuard[Slice]:
    return isinstance(op, Slice)


def _same_place(a: Node, b: Node) -> bool:
    return (a.origin.file, a.origin.line, a.origin.scopes) == (b.origin.file, b.origin.line, b.origin.scopes)
