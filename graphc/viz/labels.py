"""Ops and types in the short form that fits a box: `[:, 0:2]`, `× 2`, `cat dim 1`, `[batch, 25]`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.errors import GraphcError
from graphc.ir import Node, Op
from graphc.ops.arithmetic import PowNumber
from graphc.ops.comparisons import Cast
from graphc.ops.linear_units import Gelu
from graphc.ops.randomness import Dropout, RandomMask
from graphc.ops.reductions import Amax, Sum
from graphc.ops.selections import Clamp
from graphc.ops.views import Broadcast, Cat, Permute, Reshape, Slice, SlicePad
from graphc.types import TensorType, dtype_name
from graphc.viz.fold import Operand, dropped

__all__ = ["label_of", "shown", "type_text"]

SIGNS = {
    "add": "+",
    "sub": "−",
    "mul": "×",
    "div": "/",
    "pow": "^",
    "eq": "=",
    "ne": "≠",
    "lt": "<",
    "le": "≤",
    "gt": ">",
    "ge": "≥",
}
COMMUTATIVE = {"add", "mul", "minimum", "maximum", "eq", "ne"}
LETTERS = "xyzuvw"
MOST_CHARACTERS = 48
MOST_SWAPPED = 6
MOST_PARTS = 6


def label_of(nodes: Sequence[Node], operands: Sequence[Operand]) -> tuple[str, list[str]]:
    """The text of a box that stands for `nodes`, and for each operand a mark that says which one it is.

    Marks are empty where the order makes no difference, or where the shapes settle it.
    """
    op = nodes[-1].op
    name = op.name
    if len(nodes) > 1 or isinstance(op, Slice):
        return _index(nodes), [""]
    ordered = _is_ordered(nodes[0], operands)
    texts = [operand.text for operand in operands]
    if name in SIGNS:
        return _signed(name, texts, ordered)
    if any(texts):
        return _call(name, texts)
    if name == "matmul":
        return ("x @ y", ["x", "y"]) if ordered else ("matmul", ["", ""])
    marks = [str(i) for i in range(1, len(operands) + 1)] if ordered else [""] * len(operands)
    return _plain(op, nodes[0]), marks


def type_text(type_: TensorType) -> str:
    """`[batch, 25]`, with the dtype in front where it is not float32; `scalar` for no dimensions."""
    shape = f"[{', '.join(map(str, type_.shape))}]" if type_.shape else "scalar"
    if type_.dtype is torch.float32:
        return shape
    return f"{dtype_name(type_.dtype)}{'' if type_.shape else ' '}{shape}"


def shown(name: str, most: int | None = MOST_CHARACTERS) -> str:
    """A name as text for people: unprintable characters as escapes, and no longer than `most`."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name)
    return text if most is None or len(text) <= most else text[: most - 1] + "…"


def _signed(name: str, texts: Sequence[str], ordered: bool) -> tuple[str, list[str]]:
    sign = SIGNS[name]
    left, right = texts
    if left and right:
        return f"{left} {sign} {right}", ["", ""]
    if right or (left and name in COMMUTATIVE):
        return f"{sign} {right or left}", ["", ""]
    if left:
        return f"{left} {sign} x", ["", ""]
    return (f"x {sign} y", ["x", "y"]) if ordered else (sign, ["", ""])


def _call(name: str, texts: Sequence[str]) -> tuple[str, list[str]]:
    """`where(x, 0, y)`: letters stand for what comes in along arrows."""
    letters = iter(LETTERS + "·" * len(texts))
    marks = ["" if text else next(letters) for text in texts]
    label = f"{name}({', '.join(text or mark for text, mark in zip(texts, marks))})"
    is_one = sum(map(bool, marks)) == 1
    return label, [""] * len(texts) if is_one else marks


def _plain(op: Op, node: Node) -> str:
    match op:
        case Cat(dim=dim):
            parts = [str(x.type.shape[dim]) for x in node.inputs]
            return f"cat dim {dim}: {' + '.join(parts) if len(parts) <= MOST_PARTS else f'{len(parts)} parts'}"
        case Sum(dims=reduced) | Amax(dims=reduced):
            return op.name if len(reduced) == node.inputs[0].type.ndim else f"{op.name} {_dims(reduced)}"
        case Cast(dtype=dtype):
            return f"to {dtype_name(dtype)}"
        case PowNumber(exponent=exponent):
            return f"^ {exponent:g}"
        case Clamp(min=low, max=high):
            return f"clamp {'…' if low is None else format(low, 'g')} to {'…' if high is None else format(high, 'g')}"
        case Permute(dims=order):
            return "transpose" if order == (1, 0) else f"permute {', '.join(map(str, order))}"
        case SlicePad(dim=dim, start=start, size=size, step=step):
            inside = _range(start, node.inputs[0].type.shape[dim], step, size)
            return f"zeros with x at [{':, ' * dim}{inside}]"
        case Dropout(p=p):
            return f"dropout {p:g}"
        case RandomMask(threshold=threshold):
            return f"random mask {threshold / 2**32:.4g}"
        case Reshape() | Broadcast() | Gelu(approximate="none"):
            return op.name
    attributes = [f"{key} {_value(value)}" for key, value in op.attributes.items()]
    return " ".join([op.name, *attributes])


def _dims(reduced: Sequence[int]) -> str:
    return f"dim{'s' if len(reduced) > 1 else ''} {', '.join(map(str, reduced))}"


def _value(value: object) -> str:
    if isinstance(value, torch.dtype):
        return dtype_name(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(_value, value))})"
    return shown(f"{value:g}" if isinstance(value, float) else str(value))


def _index(nodes: Sequence[Node]) -> str:
    """The ranges of all slices in `nodes`, by dimension; single indices that a last reshape drops are bare numbers."""
    single = () if isinstance(nodes[-1].op, Slice) else dropped(nodes[:-1], nodes[-1]) or ()
    parts: dict[int, str] = {}
    for node in nodes:
        match node.op:
            case Slice(dim=dim, start=start, length=length, step=step):
                whole = node.inputs[0].type.shape[dim]
                parts[dim] = _position(start, whole) if dim in single else _range(start, length, step, whole)
    return f"[{', '.join(parts.get(dim, ':') for dim in range(max(parts) + 1))}]"


def _range(start: Size, length: Size, step: int, whole: Size) -> str:
    """`0:2` as the user may have written it; on a symbolic size `:-1` rather than `0:batch - 1`."""
    stop = start + length * step if step == 1 or isinstance(length, Dim) else start + max(0, (length - 1) * step + 1)
    last = "" if isinstance(whole, Dim) and dims.same(stop, whole) else _position(stop, whole)
    first = "" if not last and dims.same(start, 0) else _position(start, whole)
    if isinstance(whole, Dim) and last.startswith("-") and first == "0":
        first = ""
    return f"{first}:{last}{f':{step}' if step != 1 else ''}"


def _position(position: Size, whole: Size) -> str:
    back = position - whole
    return str(back) if isinstance(whole, Dim) and isinstance(back, int) and back < 0 else str(position)


def _is_ordered(node: Node, operands: Sequence[Operand]) -> bool:
    """Whether exchanging two operands that come along arrows would be another legal op with the same type."""
    drawn = [i for i, operand in enumerate(operands) if operand.source is not None]
    if len(drawn) < 2 or node.op.name in COMMUTATIVE:
        return False
    if len(drawn) > MOST_SWAPPED:
        return True
    types = [x.type for x in node.inputs]
    for a, b in itertools.pairwise(drawn):
        swapped = list(types)
        swapped[a], swapped[b] = types[b], types[a]
        try:
            if node.op.infer(*swapped) == node.type and operands[a].source is not operands[b].source:
                return True
        except (GraphcError, AssertionError):
            continue
    return False
