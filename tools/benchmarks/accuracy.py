"""How far training drifts: small networks after 1,000 steps, against torch eager in float64. Prints JSON.

Rounding is amplified by training, so what eager float32 drifts is the measure for others.
"""

from __future__ import annotations

import json

import torch

import graphc
from tools.benchmarks.graphc_steps import program
from tools.benchmarks.networks import as_torch, criterion, network
from tools.benchmarks.workloads import WORKLOADS, Workload

SMALL = ("disk_sgd", "disk_adam", "sharing_adam")
STEPS = 1000
Trained = tuple[float, list[torch.Tensor]]
"""The mean loss of the last epoch, and the parameters."""


def _eager(work: Workload, dtype: torch.dtype) -> Trained:
    net, loss_of = network(work, torch).to(dtype), criterion(work, torch)
    optimiser = getattr(torch.optim, work.optimiser)(net.parameters(), **work.options)
    batches = [[as_torch(array).to(dtype) for array in batch] for batch in work.batches()]
    for _ in range(STEPS // work.steps):
        losses = []
        for x, y in batches:
            optimiser.zero_grad()
            loss = loss_of(net(x), y)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    return sum(losses) / len(losses), [parameter.detach() for parameter in net.parameters()]


def _fitted(work: Workload, dtype: torch.dtype, backend: str) -> Trained:
    net = network(work, graphc)
    if dtype == torch.float64:
        net.double()
    data = [as_torch(array).to(dtype) for array in work.data()]
    history = program(work, backend, net=net).fit(
        *data, batch_size=work.batch, epochs=STEPS // work.steps, shuffle=False, progress=False
    )
    return history["loss"][-1], [parameter.value.clone() for parameter in net.parameters()]


def drift(work: Workload) -> dict[str, dict[str, float]]:
    """Of each contender: relative difference of the loss, and largest difference of a parameter."""
    loss, parameters = _eager(work, torch.float64)
    found = {
        "torch eager, float32": _eager(work, torch.float32),
        "graphc torch plan, float32": _fitted(work, torch.float32, "torch"),
        "graphc C, float32": _fitted(work, torch.float32, "c"),
        "graphc C, float64": _fitted(work, torch.float64, "c"),
    }
    return {
        name: {
            "loss": abs(its_loss - loss) / abs(loss),
            "parameters": max(
                (its.double() - value).abs().max().item() for its, value in zip(theirs, parameters, strict=True)
            ),
        }
        for name, (its_loss, theirs) in found.items()
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({name: drift(WORKLOADS[name]) for name in SMALL}))
