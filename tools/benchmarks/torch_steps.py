"""torch: eager, and compiled in the two ways that are fast."""

from __future__ import annotations

from collections.abc import Callable

import torch

from tools.benchmarks.epochs import Epochs, epochs_of
from tools.benchmarks.networks import as_torch, criterion, network
from tools.benchmarks.workloads import Workload


def eager(work: Workload, threads: int) -> Epochs:
    return _trained(work, threads, compiled=False)


def compiled_parts(work: Workload, threads: int) -> Epochs:
    """The way of the tutorials: forward and backward compiled, and torch's own fused optimiser."""
    return _trained(work, threads, compiled=True)


def _trained(work: Workload, threads: int, compiled: bool) -> Epochs:
    torch.set_num_threads(threads)
    net, loss_of = network(work, torch), criterion(work, torch)
    options = work.options | ({"fused": True} if compiled else {})
    optimiser = getattr(torch.optim, work.optimiser)(net.parameters(), **options)

    def forward(x: torch.Tensor, *targets: torch.Tensor) -> torch.Tensor:
        return loss_of(net(x), *targets)

    if compiled:
        forward = torch.compile(forward)

    def step(*batch: torch.Tensor) -> torch.Tensor:
        optimiser.zero_grad()
        loss = forward(*batch)
        loss.backward()
        optimiser.step()
        return loss.detach()

    return _epochs(work, step)


def compiled_step(work: Workload, threads: int) -> Epochs:
    """Forward, backward and optimiser as one function, which nothing has to leave before its end."""
    torch.set_num_threads(threads)
    net, loss_of = network(work, torch), criterion(work, torch)
    parameters = {name: value.detach() for name, value in net.named_parameters()}
    slots = [{name: torch.zeros_like(value) for name, value in parameters.items()} for _ in range(2)]
    count = torch.zeros(())

    def loss_at(values: dict[str, torch.Tensor], x: torch.Tensor, *targets: torch.Tensor) -> torch.Tensor:
        return loss_of(torch.func.functional_call(net, values, (x,)), *targets)

    update = {"Adam": _adam, "SGD": _sgd}[work.optimiser]

    @torch.compile
    def step(*batch: torch.Tensor) -> torch.Tensor:
        gradients, loss = torch.func.grad_and_value(loss_at)(parameters, *batch)
        count.add_(1)
        for name, value in parameters.items():
            update(value, gradients[name], *[slot[name] for slot in slots], count, work.options)
        return loss

    return _epochs(work, torch.no_grad()(step))


def _adam(
    p: torch.Tensor, g: torch.Tensor, m: torch.Tensor, v: torch.Tensor, count: torch.Tensor, options: dict[str, float]
) -> None:
    beta1, beta2 = 0.9, 0.999
    m.lerp_(g, 1 - beta1)
    v.mul_(beta2).addcmul_(g, g, value=1 - beta2)
    root = (v / (1 - beta2**count)).sqrt() + 1e-8
    p.sub_(options["lr"] / (1 - beta1**count) * m / root)


def _sgd(
    p: torch.Tensor, g: torch.Tensor, m: torch.Tensor, v: torch.Tensor, count: torch.Tensor, options: dict[str, float]
) -> None:
    if "momentum" in options:
        g = m.mul_(options["momentum"]).add_(g)
    p.sub_(options["lr"] * g)


def _epochs(work: Workload, step: Callable[..., torch.Tensor]) -> Epochs:
    return epochs_of(step, [tuple(map(as_torch, batch)) for batch in work.batches()])
