"""What is said of a node that makes NaN or infinity: what it was given, where the first came from, what helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from graphc.errors import NonFiniteError, brief, compose, one_line
from graphc.ir import Graph, Node, Output, OutputRole, Role
from graphc.ops import Constant, Placeholder, TensorConstant
from graphc.ops.contractions import Matmul
from graphc.ops.leaves import Full
from graphc.types import Array, TensorType, dtype_name

__all__ = [
    "CAUSES",
    "Cause",
    "cause_of",
    "given_name",
    "is_constant",
    "kind_of",
    "made_by",
    "not_the_same",
    "was_given",
]

SHOWN_UPDATES = 3
"""How many variables a message names; of others it says how many."""


@dataclass(frozen=True)
class Cause:
    """What is wrong where operands are so (`condition`) at a place that has no finite result, and what helps."""

    text: str
    condition: Callable[..., Array]
    remedy: str


AT_ZERO = "keep it away from 0, such as by x.clamp(min=1e-6) or by adding a small number"

NO_POWER = Cause(
    "power of a value ≤ 0", lambda x, *exponent: x <= 0, "keep the base above 0, such as by x.clamp(min=1e-6)"
)

CAUSES: Mapping[str, Cause] = {
    "log": Cause("log of a value ≤ 0", lambda x: x <= 0, "keep it above 0, such as by x.clamp(min=1e-6)"),
    "log1p": Cause("log1p of a value ≤ -1", lambda x: x <= -1, "keep it above -1, such as by x.clamp(min=-0.999)"),
    "sqrt": Cause("sqrt of a value < 0", lambda x: x < 0, "keep it at 0 or above, such as by x.clamp(min=0)"),
    "div": Cause("division by 0", lambda x, y: y == 0, f"look at the divisor, and {AT_ZERO}"),
    "reciprocal": Cause("division by 0", lambda x: x == 0, AT_ZERO),
    "pow": NO_POWER,
    "pow_number": NO_POWER,
    "where": Cause(
        "the choice of a NaN that the program has for what must not come",
        lambda condition, x, y: x.where(condition, y).isnan(),
        "in a loss over classes this is a target that is no class: classes count from 0",
    ),
    "binary_cross_entropy": Cause(
        "binary_cross_entropy of a probability outside 0 to 1",
        lambda p, t: (p < 0) | (p > 1),
        "end the network in a Sigmoid, or leave that out and take BCEWithLogitsLoss",
    ),
}
"""By the name of the op."""

TOO_LARGE: Mapping[str, str] = {
    "exp": "for probabilities and their logarithms there are forms that do not overflow: BCEWithLogitsLoss, "
    "CrossEntropyLoss, logsumexp, softmax, softplus; else keep the exponent small by x.clamp(max=80), or lower the "
    "learning rate",
}
DIVERGED = (
    "if values grow from step to step, lower the learning rate; else scale the data, to a mean of 0 and a variance of 1"
)
"""What helps against values beyond the largest float."""

NAN_OF: Mapping[str, str] = {
    "mean": "this is the mean of no elements: 0 / 0",
    "softmax": "a row that has nothing but -inf has no softmax: let the mask leave an element in each",
    "log_softmax": "a row that has nothing but -inf has no softmax: let the mask leave an element in each",
}
"""What is said of ops that make NaN of what is no mistake elsewhere."""

DERIVATIVES: Mapping[str, str] = {
    "sqrt": "the derivative of sqrt at 0 is infinite: add a small number below the root, as in (x + 1e-12).sqrt()",
    "pow_number": "the derivative of this power at 0 is infinite: keep the base above 0, as by x.clamp(min=1e-6)",
    "log": "the derivative of log at 0 is infinite: keep it above 0, such as by x.clamp(min=1e-6)",
    "div": f"the derivative divides by the square of the divisor: {AT_ZERO}",
}
"""What helps where the gradient of an op is not finite, though its value was."""


def given_name(node: Node) -> str:
    """What a value is called that a call or a State gives: `input 'x'`, `parameter 'weight'`; else empty."""
    if isinstance(node.op, Placeholder):
        return f"input {brief(node.op.label)}"
    return f"{node.op.cell.role.value} {brief(node.op.cell.name)}" if node.op.cell is not None else ""


def is_constant(node: Node) -> bool:
    """Whether the value was written into the program, infinite ones on purpose."""
    return isinstance(node.op, (Constant, Full, TensorConstant))


def kind_of(value: Array) -> str:
    """What a value has that is not finite: `NaN`, `inf`, `-inf`, or several of these."""
    found = {"NaN": value.isnan(), "inf": value == torch.inf, "-inf": value == -torch.inf}
    return " and ".join(name for name, where in found.items() if bool(where.any()))


def cause_of(node: Node, operands: Sequence[Array], value: Array) -> Cause | None:
    """What is wrong with the operands at a place where `value` is not finite, if that is known."""
    cause = CAUSES.get(node.op.name)
    if cause is None:
        return None
    wrong = cause.condition(*operands) & ~value.isfinite()
    if cause is NO_POWER:
        wrong &= value.isnan() | (operands[0] == 0)  # a negative base may also have a power that is too large
    return cause if bool(wrong.any()) else None


# Messages -------------------------------------------------------------------------------------------------------------


def was_given(graph: Graph, node: Node, value: Array) -> NonFiniteError:
    """The error for an input, a cell or a constant that is not finite."""
    index = _first(~value.isfinite())
    problem = f"has {kind_of(value)}{_at(index)}"
    if isinstance(node.op, Placeholder):
        remedy = "no operation made it: look at the data"
    elif is_constant(node):
        reached = _updates(graph, node)
        problem += f", which gets into {reached}" if reached else ""
        remedy = "an infinite constant is for masks, and is not to reach what is trained"
    else:
        problem += " before the step"
        remedy = "no operation of this step made it: it was assigned or loaded, or came from a step without the check"
    subject = given_name(node) or f"constant {_type(value)}"
    message = compose(subject, problem, where=_place(node), remedy=remedy)
    lines = [f"value: {_statistics(value)}"]
    return NonFiniteError("\n  ".join([message, *lines]), index, isinstance(node.op, Placeholder))


def made_by(graph: Graph, node: Node, operands: Sequence[Array], value: Array, made: Array) -> NonFiniteError:
    """The error for a node that made what is not finite, at the places `made`, of operands that had none."""
    index = _first(made)
    name = node.op.name
    values = _elements(node, operands, index)
    result = _number(value[index])
    from_infinite = not all(bool(x.isfinite().all()) for x in operands)
    problem = f"makes {kind_of(value[made])} from {'infinite' if from_infinite else 'finite'} values{_at(index)}"
    if values:
        problem += f", where {name}({', '.join(values)}) = {result}"
    cause = cause_of(node, operands, value)
    message = compose(name, problem, where=_place(node), remedy=_remedy(graph, node, cause, value[made], from_infinite))
    bad = int((~value.isfinite()).sum())
    lines = [f"result {_type(value)}: {bad:,} of {value.numel():,} elements not finite"]
    for position, (operand, x) in enumerate(zip(node.inputs, operands), 1):
        line = f"operand {position}, {given_name(operand) or operand.op.name} {_type(x)}"
        line += f": {_statistics(x)}"
        if not given_name(operand) and operand.origin.location:
            line += f"; built at {operand.origin.location}"
        lines.append(line)
    lines += _parts(node, operands, index) if not node.op.is_pointwise else ()
    lines.append(_stage(graph, node))
    return NonFiniteError("\n  ".join([message, *lines]), index)


def not_the_same(output: Output, value: Array, backend: str) -> NonFiniteError:
    """The error for a result that is not finite, although it is when each node is evaluated by itself."""
    kind = "output" if output.cell is None else "the new value of"
    name = f"{kind} {brief(output.name)}"
    index = _first(~value.isfinite())
    problem = f"has {kind_of(value)}{_at(index)} on backend {backend!r}, while all values are finite node by node"
    remedy = (
        f"a value is as large as {dtype_name(value.dtype)} has them, and sums are taken in another order: {DIVERGED}"
    )
    return NonFiniteError(compose(name, problem, remedy=remedy), index)


def _remedy(graph: Graph, node: Node, cause: Cause | None, made: Array, from_infinite: bool) -> str:
    forward = _forward(graph, node)
    if forward is not None and forward.op.name in DERIVATIVES and (cause is not None or node.op.name == "mul"):
        return DERIVATIVES[forward.op.name]
    if cause is not None:
        return f"{cause.text}: {cause.remedy}"
    if bool(made.isnan().any()):
        if node.op.name in NAN_OF:
            return NAN_OF[node.op.name]
        return "infinities that were meant met each other or a 0" if from_infinite else ""
    remedy = TOO_LARGE.get(node.op.name, DIVERGED)
    return f"the result is beyond the largest {dtype_name(made.dtype)}: {remedy}"


def _stage(graph: Graph, node: Node) -> str:
    """Whether a node computes the declared values, a gradient, or an update, and of what."""
    updates = _updates(graph, node)
    if node.origin.forward is not None:
        forward = _forward(graph, node)
        text = "in a gradient" if forward is None else f"in the gradient of {forward.op.name}"
        if forward is not None and _place(forward):
            text += f" built at {_place(forward)}"
        return f"{text}, on the way to {updates}" if updates else text
    if node in _leading(graph):
        return "in the forward pass"
    return f"in {updates}" if updates else "in an update"


def _leading(graph: Graph) -> set[Node]:
    """The nodes that outputs and gradients need; the others are of updates."""
    found = {output.node for output in graph.outputs if output.role is not OutputRole.UPDATE}
    found |= {node for node in graph.nodes if node.origin.forward is not None}
    for node in reversed(graph.nodes):
        if node in found:
            found.update(node.inputs)
    return found


def _forward(graph: Graph, node: Node) -> Node | None:
    """The node that `node` is part of the gradient of; None if it is of none, or the graph has it no longer."""
    if node.origin.forward is None:
        return None
    return next((each for each in graph.nodes if each.origin.ident == node.origin.forward), None)


def _updates(graph: Graph, node: Node) -> str:
    """The updates that a node gets into, of parameters if there are any: `the new values of '0.weight', '0.bias'`."""
    after = {node}
    for each in graph.nodes:
        if any(x in after for x in each.inputs):
            after.add(each)
    cells = [output.cell for output in graph.outputs if output.cell is not None and output.node in after]
    cells = [cell for cell in cells if cell.role is Role.PARAMETER] or cells
    if not cells:
        return ""
    names = [brief(cell.name) for cell in cells[:SHOWN_UPDATES]]
    if len(cells) > SHOWN_UPDATES:
        names.append(f"{len(cells) - SHOWN_UPDATES:,} more")
    return f"the new value{'s' if len(cells) > 1 else ''} of {', '.join(names)}"


def _place(node: Node) -> str:
    """`model.py:12 in net.2 (Tanh)`."""
    origin = node.origin
    if not origin.module:
        return origin.location
    return f"{origin.location} in {origin.module} ({one_line(origin.scopes[-1].kind)})"


# Numbers --------------------------------------------------------------------------------------------------------------


def _first(where: Array) -> tuple[int, ...]:
    """The place of the first element that is true."""
    return tuple(where.nonzero()[0].tolist())


def _at(index: tuple[int, ...]) -> str:
    return f" at [{', '.join(map(str, index))}]" if index else ""


def _number(value: Array) -> str:
    return f"{value.item():.6g}" if value.is_floating_point() else str(value.item())


def _type(value: Array) -> str:
    return str(TensorType(tuple(value.shape), value.dtype))


def _statistics(x: Array) -> str:
    """`0 to 3.2, 2 are 0`: the range of the finite elements, and how many are 0, negative or not finite."""
    if not x.numel():
        return "no elements"
    if not x.is_floating_point():
        return f"{x.min().item()} to {x.max().item()}" if x.dtype is not torch.bool else f"{int(x.sum()):,} are true"
    finite = x[x.isfinite()]
    parts = [f"{_number(finite.min())} to {_number(finite.max())}"] if finite.numel() else []
    counts = {"0": x == 0, "negative": x < 0, "NaN": x.isnan(), "infinite": x.isinf()}
    for name, where in counts.items():
        count = int(where.sum())
        if count:
            parts.append(f"{count:,} {'is' if count == 1 else 'are'} {name}")
    return ", ".join(parts)


def _elements(node: Node, operands: Sequence[Array], index: tuple[int, ...]) -> list[str]:
    """The operands of one element, where each element has its own; attributes last, as of `pow`."""
    if not node.op.is_pointwise or not operands:
        return []
    numbers = [_number(x[index]) for x in operands]
    return [*numbers, *(f"{name}={brief(value)}" for name, value in node.op.attributes.items())]


def _parts(node: Node, operands: Sequence[Array], index: tuple[int, ...]) -> Iterator[str]:
    """What one element is made of, where that is a row of an operand."""
    attributes = node.op.attributes
    every = slice(None)
    places: list[Any] = []
    if isinstance(node.op, Matmul):
        places = [(*index[:-1], every), (*index[:-2], every, index[-1])]
    elif "dims" in attributes and len(index) == operands[0].ndim - len(attributes["dims"]):
        kept = iter(index)
        places = [tuple(every if d in attributes["dims"] else next(kept) for d in range(operands[0].ndim))]
    elif "dim" in attributes and len(operands) == 1 and len(index) == operands[0].ndim:
        places = [(*index[: attributes["dim"]], every, *index[attributes["dim"] + 1 :])]
    for position, (place, operand) in enumerate(zip(places, operands), 1):
        row = operand[place]
        yield f"element{_at(index)} is made of {row.numel():,} of operand {position}: {_statistics(row)}"
