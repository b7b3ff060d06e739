"""The networks of the workloads, built from `torch.nn` or `graphc.nn`, whose names are the same."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from tools.benchmarks.workloads import Arrays, Chain, Workload, pointwise_chain

ACTIVATIONS = {"tanh": "Tanh", "relu": "ReLU", "sigmoid": "Sigmoid", "gelu": "GELU"}


def network(work: Workload, library: ModuleType) -> Any:
    """A module of `library`, torch or graphc, that starts from the workload's parameters."""
    if work.pointwise:
        return _pointwise(library, work.parameters())
    layers = [_layers(library, chain) for chain in work.chains]
    net = _sharing(library, *layers) if work.sharing else layers[0]
    _load(net, work.parameters())
    return net


def criterion(work: Workload, library: ModuleType) -> Callable[..., Any]:
    """The loss, from the network's output and the targets, if there are any."""
    return (lambda output: output.mean()) if work.loss == "mean" else getattr(library.nn, work.loss)()


def as_torch(array: Any) -> torch.Tensor:
    return torch.from_numpy(array.copy())


def _layers(library: ModuleType, chain: Chain) -> Any:
    layers = []
    for size_in, size_out, name in zip(chain.sizes[:-1], chain.sizes[1:], chain.activations, strict=True):
        layers.append(library.nn.Linear(size_in, size_out))
        if name:
            layers.append(getattr(library.nn, ACTIVATIONS[name])())
    return library.nn.Sequential(*layers)


def _sharing(library: ModuleType, shared: Any, head: Any) -> Any:
    class Sharing(library.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.shared, self.head = shared, head

        def forward(self, x: Any) -> Any:
            return self.head(library.cat([self.shared(x[:, :2]), self.shared(x[:, 2:])], 1))

    return Sharing()


def _pointwise(library: ModuleType, weights: Arrays) -> Any:
    class Pointwise(library.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = (library.nn.Parameter(as_torch(weights[name])) for name in "ab")

        def forward(self, x: Any) -> Any:
            return pointwise_chain(x, self.a, self.b, library.exp, library.tanh, library.sigmoid)

    return Pointwise()


def _load(net: Any, weights: Arrays) -> None:
    """By order, which is the same everywhere; Linear has its weights as outputs × inputs."""
    values = [as_torch(array.T if array.ndim == 2 else array) for array in weights.values()]
    net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))
