"""What torch computes in one call and the graph in several nodes.

Every pattern matches the form that the gradient rules and `canonicalise` give, and reads broadcast operands from their
source where torch broadcasts by itself: a 0-d tensor is then a scalar to the kernel.
"""

from __future__ import annotations

import torch

from graphc import dims
from graphc.ir import Node, TorchCall
from graphc.ops.activations import Sigmoid
from graphc.ops.arithmetic import Add, Mul, Square, Sub
from graphc.ops.comparisons import Gt, Le
from graphc.ops.contractions import Matmul
from graphc.ops.elementary import Exp
from graphc.ops.leaves import Constant
from graphc.ops.reductions import Sum
from graphc.ops.selections import Where
from graphc.ops.views import Broadcast, Reshape
from graphc.schedule import Match, Pattern
from graphc.types import same_shape

__all__ = ["PATTERNS"]

_ADDMM = TorchCall(torch.addmm)
_MM = TorchCall(torch.mm)
_BMM = TorchCall(torch.bmm)
_ADDCMUL = TorchCall(torch.addcmul, alias=(0, 1, 2))
_TANH_BACKWARD = TorchCall(torch.ops.aten.tanh_backward.grad_input, alias=(0, 1), destination="grad_input")
_SIGMOID_BACKWARD = TorchCall(torch.ops.aten.sigmoid_backward.grad_input, alias=(0, 1), destination="grad_input")
_RELU_BACKWARD = TorchCall(torch.ops.aten.threshold_backward.grad_input, alias=(0, 1), destination="grad_input")
_LEAKY_BACKWARD = TorchCall(torch.ops.aten.leaky_relu_backward.grad_input, alias=(0, 1), destination="grad_input")

_SOFTMAX_BACKWARD = TorchCall(torch.ops.aten._softmax_backward_data.out, destination="grad_input")
_LOG_SOFTMAX_BACKWARD = TorchCall(torch._log_softmax_backward_data)


def _is_number(node: Node, value: float) -> bool:
    """Whether every element of `node` is the floating number `value`, its sign included."""
    op = _source(node).op
    return isinstance(op, Constant) and repr(op.value) == repr(value)


def _source(node: Node) -> Node:
    return node.inputs[0] if isinstance(node.op, Broadcast) else node


def _sources(n: Node, *operands: Node) -> tuple[Node, ...]:
    """The operands of n, broadcast ones by their source as long as the sources still span the shape of n."""
    sources = tuple(map(_source, operands))
    shapes = [x.type.shape for x in sources]
    spanned = any(len(shape) == n.type.ndim for shape in shapes) and all(
        dims.same(size, 1) or any(len(shape) >= back and dims.same(shape[-back], size) for shape in shapes)
        for back, size in enumerate(reversed(n.type.shape), 1)
    )
    return sources if spanned else operands


def _are_alike(x: Node, g: Node) -> bool:
    """Whether torch takes x and the cotangent g together: one dtype, and g has the full shape."""
    return x.type.dtype is g.type.dtype and not isinstance(g.op, Broadcast)


def _linear(n: Node) -> Match | None:
    """A product plus a bias that is broadcast over rows."""
    for product, bias in (n.inputs, n.inputs[::-1]) if isinstance(n.op, Add) else ():
        if type(product.op) is Matmul and product.type.ndim == 2:
            return Match(_ADDMM, (_source(bias), *product.inputs), covers=(product,))
    return None


def _matrix_product(n: Node) -> Match | None:
    if type(n.op) is Matmul and n.type.ndim in (2, 3):
        return Match(_MM if n.type.ndim == 2 else _BMM, n.inputs)
    return None


def _tanh_backward(n: Node) -> Match | None:
    """g · (1 - y²)."""
    match n:
        case Node(
            op=Mul(), inputs=(g, Node(op=Sub(), inputs=(one, Node(op=Square(), inputs=(y,)) as square)) as slope)
        ):
            if _is_number(one, 1.0) and not isinstance(g.op, Broadcast):
                return Match(_TANH_BACKWARD, (g, y), covers=(slope, square))
    return None


def _sigmoid_backward(n: Node) -> Match | None:
    """g · ((1 - y) · y) for y in [0, 1]; torch multiplies from left to right, which overflows for other y."""
    match n:
        case Node(op=Mul(), inputs=(g, Node(op=Mul(), inputs=(Node(op=Sub(), inputs=(one, y)) as rest, z)) as slope)):
            if _is_number(one, 1.0) and y is z and isinstance(y.op, Sigmoid) and not isinstance(g.op, Broadcast):
                return Match(_SIGMOID_BACKWARD, (g, y), covers=(slope, rest))
    return None


def _relu_backward(n: Node) -> Match | None:
    """0 where y <= 0, else g."""
    match n:
        case Node(op=Where(), inputs=(Node(op=Le(), inputs=(y, limit)) as off, zero, g)):
            if _is_number(limit, 0.0) and _is_number(zero, 0.0) and _are_alike(y, g):
                return Match(_RELU_BACKWARD, (g, y), arguments=(0.0,), covers=(off,))
    return None


def _leaky_relu_backward(n: Node) -> Match | None:
    """g where x > 0, else g · slope."""
    match n:
        case Node(op=Where(), inputs=(Node(op=Gt(), inputs=(x, limit)) as on, g, Node(op=Mul(), inputs=(h, s)) as low)):
            slope = _source(s).op
            if g is h and _is_number(limit, 0.0) and isinstance(slope, Constant) and _are_alike(x, g):
                return Match(_LEAKY_BACKWARD, (g, x), arguments=(slope.value, False), covers=(on, low))
    return None


def _sum_along(node: Node) -> tuple[Node, int, tuple[Node, ...]] | None:
    """What is summed along which dimension, if `node` is that sum repeated along it, and the nodes that this takes."""
    if not isinstance(node.op, Broadcast):
        return None
    kept = total = node.inputs[0]
    if isinstance(kept.op, Reshape):
        total = kept.inputs[0]
    if type(total.op) is not Sum or len(total.op.dims) != 1:
        return None
    (x,), (d,) = total.inputs, total.op.dims
    keeps = same_shape(kept.type.shape, (*x.type.shape[:d], 1, *x.type.shape[d + 1 :])) or (d == 0 and kept is total)
    if not keeps or not same_shape(x.type.shape, node.type.shape):
        return None
    return x, d, tuple(dict.fromkeys((node, kept, total)))


def _softmax_backward(n: Node) -> Match | None:
    """(g - Σ g · y) · y."""
    match n:
        case Node(op=Mul(), inputs=(Node(op=Sub(), inputs=(g, total)) as rest, y)) if _are_alike(y, g):
            found = _sum_along(total)
            if found is not None and isinstance(found[0].op, Mul) and found[0].inputs == (g, y):
                product, dim, covers = found
                arguments = (dim, y.type.dtype)
                return Match(_SOFTMAX_BACKWARD, (g, y), arguments=arguments, covers=(rest, *covers, product))
    return None


def _log_softmax_backward(n: Node) -> Match | None:
    """g - exp(y) · Σ g."""
    match n:
        case Node(op=Sub(), inputs=(g, Node(op=Mul(), inputs=(Node(op=Exp(), inputs=(y,)) as e, total)) as product)):
            found = _sum_along(total)
            if found is not None and found[0] is g and _are_alike(y, g):
                _, dim, covers = found
                arguments = (dim, y.type.dtype)
                return Match(_LOG_SOFTMAX_BACKWARD, (g, y), arguments=arguments, covers=(product, e, *covers))
    return None


def _add_product(n: Node) -> Match | None:
    """x + a · b and x - a · b."""
    if isinstance(n.op, (Add, Sub)) and n.type.dtype.is_floating_point:
        x, product = n.inputs
        if isinstance(n.op, Add) and not isinstance(product.op, Mul):
            x, product = product, x
        if isinstance(product.op, Mul) and not isinstance(x.op, Broadcast):
            keywords: dict[str, object] = {"value": -1} if isinstance(n.op, Sub) else {}
            return Match(_ADDCMUL, _sources(n, x, *product.inputs), keywords=keywords, covers=(product,))
    return None


def _broadcast_in_call(n: Node) -> Match | None:
    """A pointwise call broadcasts by itself."""
    call = n.op.torch
    if (
        n.op.is_pointwise
        and call is not None
        and call.form == "out"
        and call.broadcasts
        and any(isinstance(x.op, Broadcast) for x in n.inputs)
    ):
        return Match(call, _sources(n, *n.inputs), *call.arguments_of(n.op))
    return None


PATTERNS = (
    Pattern("linear", _linear),
    Pattern("matrix_product", _matrix_product),
    Pattern("tanh_backward", _tanh_backward),
    Pattern("sigmoid_backward", _sigmoid_backward),
    Pattern("relu_backward", _relu_backward),
    Pattern("leaky_relu_backward", _leaky_relu_backward),
    Pattern("softmax_backward", _softmax_backward),
    Pattern("log_softmax_backward", _log_softmax_backward),
    Pattern("add_product", _add_product),
    Pattern("broadcast_in_call", _broadcast_in_call),
)
"""In the order in which they are tried: the first that applies is taken."""
