"""PyTensor: the training step as a function whose updates are of shared variables, with its default mode."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt

from tools.benchmarks.epochs import Epochs, epochs_of
from tools.benchmarks.workloads import Chain, Workload, pointwise_chain


def _f32(value: float) -> np.float32:
    return np.float32(value)  # a Python number would make float64 of an expression


ACTIVATIONS = {
    "tanh": pt.tanh,
    "relu": lambda x: pt.maximum(x, _f32(0)),
    "sigmoid": pt.sigmoid,
    "gelu": lambda x: _f32(0.5) * x * (_f32(1) + pt.erf(x * _f32(math.sqrt(0.5)))),
}


def calls(work: Workload, threads: int) -> Epochs:
    """Threads are those of the environment."""
    del threads
    batches = work.batches()
    inputs = [pt.TensorType(str(array.dtype), (None,) * array.ndim)() for array in batches[0]]
    parameters = {name: pytensor.shared(value) for name, value in work.parameters().items()}
    loss = _loss(work, parameters, *inputs)
    variables = list(parameters.values())
    step = pytensor.function(inputs, loss, updates=_updates(work, variables, pt.grad(loss, variables)))
    step.trust_input = True
    return epochs_of(step, batches)


def _updates(work: Workload, parameters: list[Any], gradients: list[Any]) -> list[tuple[Any, Any]]:
    lr, updates = _f32(work.options["lr"]), []
    if work.optimiser == "Adam":
        count = pytensor.shared(_f32(0))
        updates.append((count, count + _f32(1)))
        step_size = lr / (_f32(1) - _f32(0.9) ** updates[0][1])
        correction = _f32(1) - _f32(0.999) ** updates[0][1]
    for p, g in zip(parameters, gradients, strict=True):
        slots = [pytensor.shared(np.zeros_like(p.get_value())) for _ in range(2)]
        if work.optimiser == "Adam":
            m = _f32(0.9) * slots[0] + _f32(0.1) * g
            v = _f32(0.999) * slots[1] + _f32(0.001) * g * g
            updates += [*zip(slots, (m, v), strict=True)]
            change = step_size * m / (pt.sqrt(v / correction) + _f32(1e-8))
        elif "momentum" in work.options:
            m = _f32(work.options["momentum"]) * slots[0] + g
            updates.append((slots[0], m))
            change = lr * m
        else:
            change = lr * g
        updates.append((p, p - change))
    return updates


def _loss(work: Workload, p: dict[str, Any], x: Any, *targets: Any) -> Any:
    if work.pointwise:
        return pointwise_chain(x, p["a"], p["b"], pt.exp, pt.tanh, pt.sigmoid).mean()
    if work.sharing:
        shared, head = work.chains
        halves = [_chain(shared, p, x[:, :2]), _chain(shared, p, x[:, 2:])]
        output = _chain(head, p, pt.concatenate(halves, axis=1), first=len(shared.activations))
    else:
        output = _chain(work.chains[0], p, x)
    (y,) = targets
    if work.loss == "MSELoss":
        return pt.sqr(output - y).mean()
    if work.loss == "BCELoss":
        return -(y * pt.log(output) + (_f32(1) - y) * pt.log(_f32(1) - output)).mean()
    return -pt.special.log_softmax(output, axis=1)[pt.arange(work.batch), y].mean()


def _chain(chain: Chain, p: dict[str, Any], x: Any, first: int = 0) -> Any:
    for i, name in enumerate(chain.activations, start=first):
        x = x @ p[f"weight{i}"] + p[f"bias{i}"]
        if name:
            x = ACTIVATIONS[name](x)
    return x
