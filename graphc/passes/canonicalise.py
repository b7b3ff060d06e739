"""Canonical form: views merged, broadcasts kept outermost, and arithmetic identities that hold bit for bit.

No rule here changes a value. IEEE special cases decide what is left out: x + 0 is not x for -0, x · 0 not 0 for NaN.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc import dims
from graphc.ir import Graph, Node, Tensor, apply
from graphc.ir.rewrite import rebuild, rewrite, rule
from graphc.ops.activations import Sigmoid, Tanh
from graphc.ops.comparisons import Cast
from graphc.ops.contractions import Matmul
from graphc.ops.leaves import Constant
from graphc.ops.pointwise import (
    Abs,
    Add,
    Div,
    Exp,
    Log,
    Log1p,
    Mul,
    Neg,
    Pow,
    PowNumber,
    Reciprocal,
    Sign,
    Sqrt,
    Square,
    Sub,
    Where,
)
from graphc.ops.views import Broadcast, Cat, Permute, Reshape, Slice
from graphc.types import same_shape

__all__ = ["canonicalise"]


def canonicalise(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """The graph in canonical form, and how often each rule fired."""
    graph, moved = _transpose_products(graph)
    graph, fired = rewrite(graph, RULES, "canonicalise")
    return graph, {"transpose_of_product": moved, **fired}


def _transpose_products(graph: Graph) -> tuple[Graph, int]:
    """(x @ y)ᵀ as yᵀ @ xᵀ where nothing else reads the product: a weight gradient then needs no transposed copy."""
    count = 0

    def step(node: Node) -> Node:
        nonlocal count
        match node:
            case Node(op=Permute(dims=order), inputs=(Node(op=Matmul(), inputs=(x, y)) as product,)) if (
                order == _swapped(len(order)) and readers.get(product.origin.ident) == 1
            ):
                count += 1
                swapped = [Tensor(operand).permute(order) for operand in (y, x)]
                result = apply(product.op, *swapped).node
                return Node(result.op, result.inputs, node.type, node.origin.touched_by("canonicalise"))
        return node

    readers: dict[int, int] = {}
    for node, users in graph.users.items():
        if isinstance(node.op, Matmul):
            extra = sum(output.node is node for output in graph.outputs)
            readers[node.origin.ident] = readers.get(node.origin.ident, 0) + len(users) + extra
    return rebuild(graph, step), count


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
        case Node(op=Slice(dim=d, start=0, length=length, step=1), inputs=(x,)) if dims.same(length, x.type.shape[d]):
            return Tensor(x)
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


@rule(
    Add, Sub, Mul, Div, Pow, PowNumber, Neg, Exp, Log, Log1p, Sqrt, Abs, Sign, Square, Reciprocal, Tanh, Sigmoid, Cast
)
def compute_before_broadcast(n: Node) -> Tensor | None:
    """Operands broadcast from one small shape: compute on that shape."""
    if not n.inputs or not all(isinstance(x.op, Broadcast) for x in n.inputs):
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
