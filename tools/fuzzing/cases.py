"""A case: a random graph, and what is asked of it. Outputs and gradients of a loss, or a training step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

import graphc
from graphc import Parameter, Tensor, Variable, dims, optim
from graphc.ir import Arg, Node, Role, topological_order
from graphc.types import TensorType
from tools.fuzzing.build import MAX_ELEMENTS, ROUND_VECTORS, SMALL, Builder, Kind

__all__ = ["Case", "build"]


@dataclass(frozen=True, eq=False)
class Case:
    """A graph to try. `draws` tells how the values of each input are drawn.

    `gradients` names the outputs that are derivatives of `loss` by `wrt`, `seconds` those of Σ gradient · weight.
    `training` is as for `compile`; `is_batched` means that `fit` takes it.
    """

    seed: int
    size: int
    inputs: tuple[Tensor, ...]
    draws: Mapping[Node, Arg]
    outputs: Mapping[str, Tensor]
    updates: Mapping[Variable, Tensor]
    bindings: tuple[Mapping[str, int], ...]
    loss: Tensor | None = None
    wrt: tuple[Tensor, ...] = ()
    gradients: tuple[str, ...] = ()
    weights: tuple[Tensor, ...] = ()
    seconds: tuple[str, ...] = ()
    is_wild: bool = False
    training: bool = False
    is_batched: bool = False


def build(seed: int, size: int, kind: Kind = "any") -> Case:
    """The case with this seed; about `size` ops are chosen."""
    b = Builder(seed, size, kind)
    b.grow()
    return _training(b) if b.is_training else _differentiated(b)


def _differentiated(b: Builder) -> Case:
    """Outputs, and gradients of a random loss by leaves and by other tensors."""
    outputs = _outputs(b)
    loss = _loss(b)
    if loss is None:
        return _case(b, outputs)
    reached = set(topological_order([loss.node]))
    floating = [x for x in b.pool if x.dtype.is_floating_point and (x.node in reached or b.chance(0.1))]
    leaves = [x for x in floating if not x.node.inputs and (x.node in b.draws or x.node.op.cell is not None)]
    active = _active(b)
    inner = [x for x in floating if x.node in active]
    wrt = leaves[-6:] + b.random.sample(inner, min(len(inner), b.random.choice([0, 0, 1, 2])))
    gradients = graphc.grad(loss, wrt)
    outputs["loss"] = loss
    outputs.update({f"gradient{i}": gradient for i, gradient in enumerate(gradients)})
    asked: dict[str, Any] = {"loss": loss, "wrt": tuple(wrt)}
    asked["gradients"] = tuple(f"gradient{i}" for i in range(len(gradients)))
    if not wrt or b.is_wild or not (b.is_smooth or b.chance(0.3)):
        return _case(b, outputs, **asked)
    weights = [b.placeholder(gradient.type) for gradient in gradients]
    total = sum((g * w).to(b.main).sum() for g, w in zip(gradients, weights))
    assert isinstance(total, Tensor)
    seconds = {f"second{i}": second for i, second in enumerate(graphc.grad(total, wrt))}
    outputs.update(seconds)
    return _case(b, outputs, **asked, weights=tuple(weights), seconds=tuple(seconds))


def _active(b: Builder) -> set[Node]:
    """Inner nodes that a floating leaf reaches by floating nodes: only these have gradients in torch."""
    found: set[Node] = set()
    for node in topological_order(x.node for x in b.pool):
        leaves = [x for x in node.inputs if x in b.draws or x.op.cell is not None]
        if node.type.dtype.is_floating_point and any(
            x in found or (x in leaves and x.type.dtype.is_floating_point) for x in node.inputs
        ):
            found.add(node)
    return found


def _training(b: Builder) -> Case:
    """Outputs, and updates: an optimiser for some parameters, one formula for several, anything for the rest."""
    outputs = _outputs(b)
    updates: dict[Variable, Tensor] = {}
    loss = _loss(b)
    free = list(b.variables)
    if loss is not None:
        outputs["loss"] = loss
        if b.chance(0.6):
            updates.update(_optimised(b, loss, free))
        elif b.chance(0.6):
            updates.update(_decayed(b, loss, free))
    free = [variable for variable in free if variable not in updates]
    b.random.shuffle(free)
    while free:
        variable = free.pop()
        twin = next((other for other in free if other.type == variable.type), None)
        if twin is not None and b.chance(0.3):
            free = [other for other in free if other is not twin]
            updates.update({variable: twin, twin: variable})
        elif b.chance(0.75):
            new = _updated(b, variable)
            if new is not None:
                updates[variable] = new
    for variable, new in updates.items():
        if b.chance(0.2):
            value = b.random.choice([variable, new, variable.reshape(-1), new * 2 if new.ndim else new])
            outputs[f"of {len(outputs)}"] = value
    return _case(b, outputs, updates=dict(b.random.sample(list(updates.items()), len(updates))), loss=loss)


def _rate(b: Builder, lr: float) -> float | optim.Rate:
    """A learning rate that changes within the few steps of a trial, or stays."""
    if b.chance(0.6):
        return lr
    rate: optim.Rate = b.random.choice(
        [optim.Cosine(lr, steps=3, end=lr / 10), optim.StepDecay(lr, every=2), optim.Exponential(lr, gamma=0.5)]
    )
    return optim.Warmup(2, rate) if b.chance(0.3) else rate


def _optimised(b: Builder, loss: Tensor, variables: Sequence[Variable]) -> Mapping[Variable, Tensor]:
    parameters = [x for x in variables if isinstance(x, Parameter) and b.chance(0.85)]
    if not parameters:
        return {}
    decay = b.random.choice([0, 0.01])
    momentums: list[dict[str, Any]] = [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.5, "dampening": 0.3},
    ]
    optimizer: optim.Optimizer
    if b.chance(0.5):
        optimizer = optim.SGD(parameters, _rate(b, 0.1), weight_decay=decay, **b.random.choice(momentums))
    else:
        kind = b.random.choice([optim.Adam, optim.AdamW])
        optimizer = kind(parameters, _rate(b, 0.01), eps=1e-3, weight_decay=decay, amsgrad=b.chance(0.3))
    try:
        return dict(optimizer.minimize(loss))
    except graphc.GradientError:
        return {}


def _decayed(b: Builder, loss: Tensor, variables: Sequence[Variable]) -> Mapping[Variable, Tensor]:
    """A formula of our own, the same for several."""
    rate = b.number(b.main)
    chosen = [x for x in variables if x.dtype is b.main]
    formulas: list[Callable[[Tensor, Tensor], Tensor]] = [
        lambda p, g: p - g * rate,
        lambda p, g: graphc.where(p > g, p * 0.5, rate),
        lambda p, g: (p.tanh() + g * g.sigmoid()).clamp(-1.0, 1.0),
        lambda p, g: rate.broadcast_to(p.shape).maximum(0.25),
        lambda p, g: p.to(torch.float64).sigmoid().to(p.dtype),
        lambda p, g: (p == g).to(p.dtype) * rate + p,
        lambda p, g: g.tanh() * p.tanh() - p.tanh(),
    ]
    formula = b.random.choice(formulas)
    return {p: formula(p, g) for p, g in zip(chosen, graphc.grad(loss, chosen))}


def _updated(b: Builder, variable: Variable) -> Tensor | None:
    """A new value of any kind."""
    exact = [x for x in b.pool if x.type == variable.type]
    makers: list[Callable[[], Tensor | None]] = [
        lambda: b.adapted(variable.type),
        lambda: b.operand(variable.type),
        lambda: b.random.choice(exact),
        lambda: variable,
        lambda: variable.T if variable.ndim else variable,
        lambda: b.operand(variable.type) * 0.5 + variable,
        lambda: (b.operand(TensorType((variable.numel(),), variable.dtype)) * 2).reshape(variable.shape),
        lambda: _setting(b, variable),
        lambda: variable @ b.operand(variable.type),
        lambda: (variable @ variable).T,
        lambda: variable.sum(0).broadcast_to(variable.shape),
        lambda: variable + b.random.choice(b.variables).sum().to(variable.dtype) * 0.1,
        lambda: graphc.where(variable > 0, variable, b.operand(variable.type)),
    ]
    for _ in range(5):
        x = b.attempt(b.random.choice(makers))
        if x is not None and x.type == variable.type:
            return x
    return None


def _setting(b: Builder, variable: Variable) -> Tensor:
    """A value that depends on hyper-parameters only."""
    value = b.draw(TensorType((1, *variable.shape), variable.dtype))
    setting = Variable(value, name="setting", role=Role.HYPER)
    b.values[setting.node] = value
    b.variables.append(setting)
    doubled = setting + setting
    return b.random.choice([doubled, setting, doubled.sum(0)]).reshape(variable.shape)


def _loss(b: Builder) -> Tensor | None:
    terms: list[Tensor] = []
    for i in range(b.random.randint(1, 3)):
        x = b.pick(lambda x: x.dtype.is_floating_point)
        if i == 0 and b.network is not None and b.chance(0.8):
            x = b.network
        kinds: list[Callable[[Tensor], Tensor]] = [
            lambda x: (x * b.placeholder(x.type)).sum(),
            lambda x: (x * b.operand(x.type)).sum(),
            lambda x: x.mean(),
            lambda x: x.sum(),
            lambda x: (x.square() * 0.1).mean(),
        ]
        term = b.attempt(partial(b.random.choice(kinds[:1] if b.is_smooth else kinds), x))
        if term is not None:
            terms.append(term.to(b.main))
    if not terms:
        return None
    loss = sum(terms[1:], start=terms[0])
    return b.attempt(lambda: loss.reshape((1, 1)) if b.chance(0.1) else loss)


def _outputs(b: Builder) -> dict[str, Tensor]:
    read = {node for x in b.pool for node in x.node.inputs}
    ends = [x for x in b.pool if x.node not in read and x.node.inputs]
    chosen = b.random.sample(ends, min(len(ends), b.random.randint(1, 4)))
    for _ in range(b.random.choice([0, 0, 1, 2, 3])):
        x = b.pick()
        chosen.append(b.random.choice([x, x.reshape(-1), x.T if x.ndim else x, x[None]]))
    if b.wanted is not None and not any(x.node is b.wanted.node for x in chosen):
        chosen.append(b.wanted)
    if chosen and b.chance(0.2):
        chosen.append(b.random.choice(chosen))
    return {f"output{i}": x for i, x in enumerate(chosen or [b.pick()])}


def _case(b: Builder, outputs: Mapping[str, Tensor], **more: Any) -> Case:
    updates: Mapping[Variable, Tensor] = more.pop("updates", {})
    results = (*outputs.values(), *updates.values(), *more.get("weights", ()))
    needed = set(topological_order(x.node for x in results))
    inputs = [x for i, x in enumerate(b.inputs) if i < 2 or x.node in needed or b.chance(0.3)]
    b.random.shuffle(inputs)
    asked = {**more, "outputs": dict(outputs), "updates": updates, "bindings": _bindings(b, needed)}
    training = bool(updates) if b.chance(0.5) else b.chance(0.5)
    flags = {"is_wild": b.is_wild, "training": training and not b.is_smooth, "is_batched": b.is_batched}
    return Case(b.seed, b.size, tuple(inputs), b.draws, **asked, **flags)


def _bindings(b: Builder, needed: Collection[Node]) -> tuple[Mapping[str, int], ...]:
    """Sizes to try: those of the builder, some between vectors, 0 and 1."""
    chosen: list[Mapping[str, int]] = [b.sizes]
    wide = {name: b.random.choice([*SMALL, *ROUND_VECTORS]) for name in b.sizes}
    small = {name: b.random.randint(0, 7) for name in b.sizes}
    largest = max((dims.evaluate(node.type.numel, wide) for node in needed), default=0)
    chosen += [wide if largest <= MAX_ELEMENTS else small, small]
    chosen += [dict.fromkeys(b.sizes, size) for size in (0, 1)]
    return tuple(chosen)
