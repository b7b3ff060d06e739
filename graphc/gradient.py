"""Reverse mode: from a scalar to its gradients, as graph.

The rules are the ops' own `vjp`, written on tensor handles, so a gradient can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

from graphc import dims
from graphc.errors import GradientError, explained, type_name
from graphc.ir import FUNCTIONS, Node, Tensor, complaint, topological_order
from graphc.ir.collection import collector_paused
from graphc.ir.origin import inherited
from graphc.types import TensorType, dtype_name

__all__ = ["grad"]


@overload
def grad(loss: Tensor, wrt: Tensor) -> Tensor: ...
@overload
def grad(loss: Tensor, wrt: Sequence[Tensor]) -> list[Tensor]: ...
@explained
def grad(loss: Tensor, wrt: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
    """The gradient of `loss` with respect to each of `wrt`: a tensor of the same type, zeros where no path leads.

    `loss` is floating and has one element; `wrt` are floating tensors, mostly of its graph: placeholders, parameters or
    results. Only nodes between `wrt` and `loss` are differentiated. Gradients are tensors like any other: call `grad`
    again for higher orders. Raises GradientError.
    """
    if hasattr(wrt, "named_parameters"):
        remedy = "give list(net.parameters())"
        raise complaint(GradientError, "grad", f"takes symbolic tensors, not {type_name(wrt)}, a module", remedy=remedy)
    single = isinstance(wrt, Tensor)
    several = wrt if isinstance(wrt, Iterable) and not hasattr(wrt, "shape") else None
    targets: list[Tensor] = [wrt] if several is None else list(several)  # type: ignore[list-item]  # checked below
    _check(loss, targets)
    order = topological_order([loss.node])
    between = _between(order, {target.node for target in targets})
    cotangents: dict[Node, Tensor] = {}
    if loss.node in between:
        with inherited(loss.node.origin, gradient=True):
            cotangents[loss.node] = _filled(1.0, loss.type)
    with collector_paused():
        for node in reversed(order):
            if node in between and node in cotangents and node.inputs:
                with inherited(node.origin, gradient=True):
                    _pull(node, cotangents, between)
    results = [cotangents.get(target.node) for target in targets]
    gradients = [
        _filled(0.0, target.type) if result is None else result for target, result in zip(targets, results, strict=True)
    ]
    return gradients[0] if single else gradients


def _pull(node: Node, cotangents: dict[Node, Tensor], between: set[Node]) -> None:
    """Add what the cotangent of `node` contributes to the cotangents of its operands."""
    contributions = node.op.vjp(Tensor(node), cotangents[node])
    for operand, contribution in zip(node.inputs, contributions, strict=True):
        if contribution is None or operand not in between:
            continue
        assert contribution.type == operand.type, f"vjp of {node.op.name} gives {contribution.type} for {operand.type}"
        known = cotangents.get(operand)
        cotangents[operand] = contribution if known is None else known + contribution


def _between(order: Sequence[Node], targets: set[Node]) -> set[Node]:
    """The floating nodes of `order` that depend on a target."""
    found: set[Node] = set()
    for node in order:
        if node.type.dtype.is_floating_point and (node in targets or any(x in found for x in node.inputs)):
            found.add(node)
    return found


def _filled(value: float, type_: TensorType) -> Tensor:
    result: Tensor = FUNCTIONS["constant"](value, type_.dtype).broadcast_to(type_.shape)
    return result


def _check(loss: Tensor, targets: Sequence[Tensor]) -> None:
    for each in (loss, *targets):
        if not isinstance(each, Tensor):
            remedy = "give placeholders, results, or list(net.parameters())"
            raise complaint(GradientError, "grad", f"takes symbolic tensors, not {type_name(each)}", remedy=remedy)
        if not each.dtype.is_floating_point:
            problem = f"only floating tensors have gradients, not {dtype_name(each.dtype)}"
            raise complaint(GradientError, "grad", problem, each, remedy="convert it before, with x.float()")
    if not dims.same(loss.type.numel, 1):
        raise complaint(
            GradientError,
            "grad",
            f"the loss has shape {list(loss.shape)}, not one element",
            loss,
            remedy="reduce it first, for example with .mean() or .sum()",
        )
