"""JAX: the training step as one compiled function, called for each step or scanned over the batches of an epoch."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tools.benchmarks.epochs import Epochs, epochs_of
from tools.benchmarks.workloads import Chain, Workload, pointwise_chain

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "gelu": functools.partial(jax.nn.gelu, approximate=False),
}
Tree = dict[str, Any]


def calls(work: Workload, threads: int) -> Epochs:
    del threads  # they are those of the environment
    one = jax.jit(functools.partial(_step, work), donate_argnums=0)
    batches = [tuple(map(jnp.array, batch)) for batch in work.batches()]
    carry = _start(work)

    def step(*batch: jax.Array) -> jax.Array:
        nonlocal carry
        carry, loss = one(carry, batch)
        return loss

    return epochs_of(step, batches)


def scan(work: Workload, threads: int) -> Epochs:
    del threads  # they are those of the environment
    batches = tuple(jnp.stack(arrays) for arrays in zip(*work.batches(), strict=True))
    carry = _start(work)

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(carry: Tree, batches: tuple[jax.Array, ...]) -> tuple[Tree, jax.Array]:
        return lax.scan(functools.partial(_step, work), carry, batches)

    def epochs(count: int) -> list[float]:
        nonlocal carry
        for _ in range(count):
            carry, losses = epoch(carry, batches)
        return np.asarray(losses).tolist()

    return epochs


def _start(work: Workload) -> Tree:
    parameters = {name: jnp.array(value) for name, value in work.parameters().items()}
    slots = [{name: jnp.zeros_like(value) for name, value in parameters.items()} for _ in range(_slots(work))]
    return {"parameters": parameters, "slots": slots, "count": jnp.zeros(())}


def _slots(work: Workload) -> int:
    return 2 if work.optimiser == "Adam" else int("momentum" in work.options)


def _step(work: Workload, carry: Tree, batch: tuple[jax.Array, ...]) -> tuple[Tree, jax.Array]:
    loss, gradients = jax.value_and_grad(functools.partial(_loss, work))(carry["parameters"], *batch)
    count = carry["count"] + 1
    parameters, slots = {}, [{} for _ in carry["slots"]]
    for name, g in gradients.items():
        old = [slot[name] for slot in carry["slots"]]
        change, new = _adam(work, g, count, *old) if work.optimiser == "Adam" else _sgd(work, g, *old)
        parameters[name] = carry["parameters"][name] - change
        for slot, value in zip(slots, new, strict=True):
            slot[name] = value
    return {"parameters": parameters, "slots": slots, "count": count}, loss


def _adam(work: Workload, g: jax.Array, count: jax.Array, m: jax.Array, v: jax.Array) -> tuple[jax.Array, tuple]:
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g * g
    step_size = work.options["lr"] / (1 - 0.9**count)
    return step_size * m / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8), (m, v)


def _sgd(work: Workload, g: jax.Array, *momentum: jax.Array) -> tuple[jax.Array, tuple]:
    if momentum:
        g = work.options["momentum"] * momentum[0] + g
    return work.options["lr"] * g, (g,) * len(momentum)


def _loss(work: Workload, p: Tree, x: jax.Array, *targets: jax.Array) -> jax.Array:
    if work.pointwise:
        return jnp.mean(pointwise_chain(x, p["a"], p["b"], jnp.exp, jnp.tanh, jax.nn.sigmoid))
    if work.sharing:
        shared, head = work.chains
        halves = [_chain(shared, p, x[:, :2]), _chain(shared, p, x[:, 2:])]
        output = _chain(head, p, jnp.concatenate(halves, axis=1), first=len(shared.activations))
    else:
        output = _chain(work.chains[0], p, x)
    (y,) = targets
    if work.loss == "MSELoss":
        return jnp.mean(jnp.square(output - y))
    if work.loss == "BCELoss":
        return -jnp.mean(y * jnp.log(output) + (1 - y) * jnp.log(1 - output))
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(output), y[:, None], axis=1))


def _chain(chain: Chain, p: Tree, x: jax.Array, first: int = 0) -> jax.Array:
    for i, name in enumerate(chain.activations, start=first):
        x = x @ p[f"weight{i}"] + p[f"bias{i}"]
        if name:
            x = ACTIVATIONS[name](x)
    return x
