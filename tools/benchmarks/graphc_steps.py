"""graphc: the torch plan and the C backend, called from Python for each step, and the C backend's own loop."""

from __future__ import annotations

import torch

import graphc
from tools.benchmarks.epochs import Epochs, epochs_of
from tools.benchmarks.networks import as_torch, criterion, network
from tools.benchmarks.workloads import Workload


def plan(work: Workload, threads: int) -> Epochs:
    return _called(work, threads, "torch")


def calls(work: Workload, threads: int) -> Epochs:
    return _called(work, threads, "c")


def fit(work: Workload, threads: int) -> Epochs:
    torch.set_num_threads(threads)
    data = [as_torch(array) for array in work.data()]
    trained = program(work, "c", threads)

    def epochs(count: int) -> list[float]:
        history = trained.fit(*data, batch_size=work.batch, epochs=count, shuffle=False, progress=False)
        return history["loss"][-1:]

    return epochs


def fit_flushing(work: Workload, threads: int) -> Epochs:
    """As the C by hand, which is compiled with -ffast-math: numbers below 1e-38 count as 0."""
    torch.set_flush_denormal(True)
    return fit(work, threads)


def _called(work: Workload, threads: int, backend: str) -> Epochs:
    torch.set_num_threads(threads)
    step = program(work, backend, threads)
    return epochs_of(step, [tuple(map(as_torch, batch)) for batch in work.batches()])


def program(
    work: Workload, backend: str, threads: int | None = None, net: graphc.nn.Module | None = None
) -> graphc.Program:
    """The training step, compiled."""
    return graphc.compile(*declared(work, net), backend=backend, threads=threads)


def declared(
    work: Workload, net: graphc.nn.Module | None = None
) -> tuple[list[graphc.Tensor], graphc.Tensor, graphc.optim.Updates]:
    """Inputs, loss and updates, of the workload's network or of `net`, whose dtype the inputs get."""
    net = net or network(work, graphc)
    inputs = _placeholders(work, next(iter(net.parameters())).dtype)
    loss = criterion(work, graphc)(net(inputs[0]), *inputs[1:])
    optimiser = getattr(graphc.optim, work.optimiser)(net.parameters(), **work.options)
    return inputs, loss, optimiser.minimize(loss)


def _placeholders(work: Workload, dtype: torch.dtype) -> list[graphc.Tensor]:
    if work.pointwise:
        return [graphc.placeholder("x", (work.samples,), dtype)]
    x = graphc.placeholder("x", ("batch", work.chains[0].sizes[0] * len(work.chains)), dtype)
    if work.loss == "CrossEntropyLoss":
        return [x, graphc.placeholder("y", ("batch",), torch.int64)]
    return [x, graphc.placeholder("y", ("batch", work.chains[-1].sizes[-1]), dtype)]
