"""Small networks to draw. Their modules are only scopes, so that they stay what they are whatever layers do."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

import graphc
from graphc import Tensor
from graphc.ir.origin import Scope, entered

_idents = itertools.count(10**6)


class Layer:
    """A module as `graphc.ir.origin` sees one: an ident, a name, a kind and calls."""

    def __init__(self, name: str, kind: str, forward: Callable[[Tensor], Tensor]) -> None:
        self.name, self.kind, self.forward = name, kind, forward
        self.ident = next(_idents)
        self.calls = 0

    def __call__(self, x: Tensor) -> Tensor:
        with entered(Scope(self.name, self.kind, self.ident, self.calls)):
            self.calls += 1
            return self.forward(x)


def linear(name: str, features: int, results: int, prefix: str = "") -> Layer:
    weight = graphc.Parameter(torch.zeros(results, features), name=f"{prefix}{name}.weight")
    bias = graphc.Parameter(torch.zeros(results), name=f"{prefix}{name}.bias")
    return Layer(name, "Linear", lambda x: x @ weight.T + bias)


def sequential(name: str, *layers: Layer) -> Layer:
    def forward(x: Tensor) -> Tensor:
        for layer in layers:
            x = layer(x)
        return x

    return Layer(name, "Sequential", forward)


def tanh(name: str) -> Layer:
    return Layer(name, "Tanh", graphc.tanh)


def perceptron() -> Tensor:
    """Two layers."""
    x = graphc.placeholder("x", ("batch", 2))
    return sequential("net", linear("0", 2, 5), tanh("1"), linear("2", 5, 1))(x).sigmoid()


def shared() -> Tensor:
    """One encoder for three slices, side by side."""
    x = graphc.placeholder("x", ("batch", 6))
    encoder = sequential("encoder", linear("0", 2, 4), tanh("1"))
    parts = [encoder(x[:, start : start + 2]) for start in (0, 2, 4)]
    return linear("head", 12, 1)(graphc.cat(parts, dim=1))


def branches() -> dict[str, Tensor]:
    """No modules, several outputs, numbers, types other than float32, symbolic slices."""
    x = graphc.placeholder("x", ("batch", 3))
    rest = graphc.where(x[:, 0] > 0, x.sum(1) * 2, 0.5)
    return {"steps": x[1:] - x[:-1], "rest": 1 - rest, "wide": x.double().clamp(min=0)}


def training() -> graphc.Program:
    """A step of gradient descent on one weight, with an input that nothing uses."""
    x, spare = graphc.placeholder("x", ("batch", 3)), graphc.placeholder("spare", ("n",))
    weight = graphc.Parameter(torch.zeros(3, 1), name="weight")
    loss = (x @ weight).square().sum()
    return graphc.compile([x, spare], loss, {weight: weight - 0.1 * graphc.grad(loss, weight)})
