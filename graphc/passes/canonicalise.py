"""Canonical form: views merged, broadcasts kept outermost, and arithmetic identities that hold bit for bit.

No rule here changes a value. IEEE special cases decide what is left out: x + 0 is not x for -0, x · 0 not 0 for NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from graphc import dims
from graphc.ir import OPS, Graph, Node, Tensor, apply
from graphc.ir.origin import inherited
from graphc.ir.rewrite import rebuild, rewrite, rule
from graphc.ops.arithmetic import Add, Div, Mul, Neg, Sub
from graphc.ops.comparisons import Cast
from graphc.ops.contractions import Matmul
from graphc.ops.leaves import Constant, constant
from graphc.ops.reductions import Mean
from graphc.ops.selections import Where
from graphc.ops.views import Broadcast, Cat, Permute, Reshape, Slice
from graphc.types import same_shape

__all__ = ["canonicalise"]


def canonicalise(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph in canonical form, and how often each rule fired."""
    graph, fired = rewrite(graph, RULES, "canonicalise")
    graph, moved = _transpose_products(graph)
    if moved:
        graph, merged = rewrite(graph, (merge_permutes, view_of_number), "canonicalise")
        fired += merged
    return graph, {"transpose_of_product": moved, **fired}


def _transpose_products(graph: Graph) -> tuple[Graph, int]:
    """(x @ y)ᵀ as yᵀ @ xᵀ where nothing else reads the product: a weight gradient then needs no transposed copy.

    A product that reads (x @ y)ᵀ takes it as it is, so that alone is no reason.
    """
    results = {output.node for output in graph.outputs}
    chosen: set[int] = set()
    for node in graph.nodes:
        match node:
            case Node(op=Permute(dims=order), inputs=(Node(op=Matmul()) as product,)) if order == _swapped(len(order)):
                is_copied = node in results or not all(isinstance(user.op, Matmul) for user in graph.users[node])
                if is_copied and product not in results and len(graph.users[product]) == 1:
                    chosen.add(node.origin.ident)

    def step(node: Node) -> Node:
        if node.origin.ident not in chosen:
            return node
        (product,) = node.inputs
        origin = node.origin.touched_by("canonicalise")
        with inherited(origin):
            result = apply(product.op, *(Tensor(operand).mT for operand in reversed(product.inputs))).node
        return Node(result.op, result.inputs, node.type, origin)

    return (rebuild(graph, step) if chosen else graph), len(chosen)


def _swapped(ndim: int) -> tuple[int, ...]:
    """The order of dimensions that exchanges the last two."""
    return (*range(ndim - 2), ndim - 1, ndim - 2)


def _number(node: Node) -> float | int | bool | None:
    """The number that every element of `node` is, if that is known."""
    if isinstance(node.op, Broadcast):
        node = node.inputs[0]
    return node.op.value if isinstance(node.op, Constant) else None


def _is(node: Node, value: float) -> bool:
    number = _number(node)
    return number is not None and number is not True and number is not False and repr(float(number)) == repr(value)


# Views.


@rule(Reshape)
def merge_reshapes(n: Node) -> Tensor | None:
    (x,) = n.inputs
    if same_shape(x.type.shape, n.type.shape):
        return Tensor(x)
    if isinstance(x.op, Reshape):
        return Tensor(x.inputs[0]).reshape(n.type.shape)
    return None


@rule(Permute)
def merge_permutes(n: Node) -> Tensor | None:
    match n:
        case Node(op=Permute(dims=outer), inputs=(Node(op=Permute(dims=inner), inputs=(x,)),)):
            return Tensor(x).permute(tuple(inner[d] for d in outer))
        case Node(op=Permute(dims=order), inputs=(x,)) if order == tuple(range(len(order))):
            return Tensor(x)
    return None


@rule(Broadcast)
def merge_broadcasts(n: Node) -> Tensor | None:
    (x,) = n.inputs
    if same_shape(x.type.shape, n.type.shape):
        return Tensor(x)
    if isinstance(x.op, Broadcast):
        return Tensor(x.inputs[0]).broadcast_to(n.type.shape)
    return None


@rule(Broadcast)
def broadcast_of_leading_ones(n: Node) -> Tensor | None:
    """Broadcasting adds leading dimensions by itself."""
    match n:
        case Node(op=Broadcast(), inputs=(Node(op=Reshape(shape=shape), inputs=(x,)),)):
            added = len(shape) - x.type.ndim
            if added > 0 and same_shape(shape, (*[1] * added, *x.type.shape)):
                return Tensor(x).broadcast_to(n.type.shape)
    return None


@rule(Reshape, Permute, Slice)
def view_of_number(n: Node) -> Tensor | None:
    """A view of one repeated number is that number repeated."""
    match n.inputs:
        case (Node(op=Broadcast(), inputs=(x,)),) if not x.type.shape:
            return Tensor(x).broadcast_to(n.type.shape)
    return None


@rule(Slice)
def merge_slices(n: Node) -> Tensor | None:
    match n:
        case Node(
            op=Slice(dim=d, start=a, length=length, step=1),
            inputs=(Node(op=Slice(dim=e, start=b, step=1), inputs=(x,)),),
        ) if d == e:
            return apply(Slice(d, a + b, length, 1), Tensor(x))
        case Node(op=Slice(dim=d, start=start, step=1), inputs=(x,)) if dims.same(start, 0):
            return Tensor(x) if dims.same(n.type.shape[d], x.type.shape[d]) else None
    return None


@rule(Slice)
def slice_of_cat(n: Node) -> Tensor | None:
    """A slice that is exactly one operand of a cat."""
    match n:
        case Node(op=Slice(dim=d, start=start, length=length, step=1), inputs=(Node(op=Cat(dim=e), inputs=parts),)):
            position: dims.Size = 0
            for part in parts if d == e else ():
                if dims.same(position, start) and dims.same(part.type.shape[d], length):
                    return Tensor(part)
                position = position + part.type.shape[d]
    return None


# Arithmetic.


@rule(Mean)
def mean_as_sum(n: Node) -> Tensor | None:
    """torch divides the sum by the count, too; half precision sums more precisely than it stores."""
    match n:
        case Node(op=Mean(dims=summed), inputs=(x,)) if n.type.dtype in (torch.float32, torch.float64):
            count = constant(dims.product(x.type.shape[d] for d in summed), n.type.dtype)
            return Tensor(x).sum(summed) / count.broadcast_to(n.type.shape)
    return None


@rule(*(op for op in OPS.values() if op.is_pointwise))
def compute_before_broadcast(n: Node) -> Tensor | None:
    """Operands broadcast from one small shape: compute on that shape."""
    if not all(isinstance(x.op, Broadcast) for x in n.inputs):
        return None
    sources = [x.inputs[0] for x in n.inputs]
    if not all(same_shape(x.type.shape, sources[0].type.shape) for x in sources):
        return None
    return apply(n.op, *map(Tensor, sources)).broadcast_to(n.type.shape)


@rule(Neg)
def double_negation(n: Node) -> Tensor | None:
    (x,) = n.inputs
    return Tensor(x.inputs[0]) if isinstance(x.op, Neg) else None


@rule(Mul)
def mul_by_one(n: Node) -> Tensor | None:
    x, y = n.inputs
    if _is(y, 1.0):
        return Tensor(x)
    return Tensor(y) if _is(x, 1.0) else None


@rule(Mul)
def mul_by_minus_one(n: Node) -> Tensor | None:
    x, y = n.inputs
    if _is(y, -1.0):
        return -Tensor(x)
    return -Tensor(y) if _is(x, -1.0) else None


@rule(Div)
def div_by_one(n: Node) -> Tensor | None:
    x, y = n.inputs
    return Tensor(x) if _is(y, 1.0) else None


@rule(Sub)
def sub_zero(n: Node) -> Tensor | None:
    """x - 0 is x, -0 included; x + 0 is not."""
    x, y = n.inputs
    return Tensor(x) if _is(y, 0.0) else None


@rule(Add, Sub)
def add_negation(n: Node) -> Tensor | None:
    x, y = n.inputs
    if isinstance(y.op, Neg):
        z = Tensor(y.inputs[0])
        return Tensor(x) - z if isinstance(n.op, Add) else Tensor(x) + z
    if isinstance(n.op, Add) and isinstance(x.op, Neg):
        return Tensor(y) - Tensor(x.inputs[0])
    return None


@rule(Where)
def where_same(n: Node) -> Tensor | None:
    _, x, y = n.inputs
    return Tensor(x) if x is y else None


@rule(Cast)
def cast_to_same(n: Node) -> Tensor | None:
    (x,) = n.inputs
    return Tensor(x) if x.type.dtype is n.type.dtype else None


RULES = (
    mean_as_sum,
    merge_reshapes,
    merge_permutes,
    merge_broadcasts,
    broadcast_of_leading_ones,
    view_of_number,
    merge_slices,
    slice_of_cat,
    compute_before_broadcast,
    double_negation,
    mul_by_one,
    mul_by_minus_one,
    div_by_one,
    sub_zero,
    add_negation,
    where_same,
    cast_to_same,
)
