"""Networks to draw. The modules of the first are only scopes, so that they stay what they are whatever layers do."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch

import graphc
from graphc import Tensor, nn, optim
from graphc.ir.origin import Scope, entered
from graphc.viz.request import View

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


# The networks whose DOT is kept ---------------------------------------------------------------------------------------


class Residual(nn.Module):
    """Two layers beside the straight way."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(size, size)
        self.outer = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(self.inner(x).relu())


def mlp(*sizes: int, last: nn.Module | None = None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(itertools.pairwise(sizes)):
        layers += [nn.Linear(a, b), *([nn.Tanh()] if k < len(sizes) - 2 else [])]
    return nn.Sequential(*layers, *([last] if last is not None else []))


def disk(loss: str, optimizer: Callable[..., optim.Optimizer]) -> graphc.Program:
    """The networks of the disk studies: 2-25-25-25-2 with MSE, 2-25-25-25-1 with BCE."""
    x = graphc.placeholder("points", ("batch", 2))
    if loss == "mse":
        net, y = mlp(2, 25, 25, 25, 2), graphc.placeholder("labels", ("batch", 2))
        error = nn.MSELoss()(net(x), y)
    else:
        net, y = mlp(2, 25, 25, 25, 1, last=nn.Sigmoid()), graphc.placeholder("labels", ("batch", 1))
        error = nn.BCELoss()(net(x), y)
    return graphc.compile([x, y], error, optimizer(net.parameters()).minimize(error), backend="torch")


def weight_sharing() -> Tensor:
    """Both coordinates of a point through the same layers, by slice and cat."""
    x = graphc.placeholder("points", ("batch", 2))
    each = mlp(1, 25, 25)
    return mlp(50, 25, 1, last=nn.Sigmoid())(graphc.cat([each(x[:, :1]), each(x[:, 1:])], dim=1))


def siamese() -> Tensor:
    """How far apart two inputs are for one encoder."""
    a, b = (graphc.placeholder(name, ("batch", 8)) for name in ("left", "right"))
    encoder = mlp(8, 16, 4)
    return (encoder(a) - encoder(b)).square().sum(dim=1)


def two_towers() -> dict[str, Tensor]:
    """Users and items meet in a product."""
    user, item = graphc.placeholder("user", ("users", 6)), graphc.placeholder("item", ("items", 9))
    scores = mlp(6, 12, 4)(user) @ mlp(9, 12, 4)(item).T
    return {"scores": scores, "probability": scores.softmax(dim=1)}


def residual() -> Tensor:
    """Twelve blocks of one kind."""
    x = graphc.placeholder("x", ("batch", 8))
    return nn.Sequential(nn.Linear(8, 16), *(Residual(16) for _ in range(12)), nn.Linear(16, 1))(x)


def deep() -> Tensor:
    """A chain of a thousand operations, without modules."""
    x = graphc.placeholder("x", ("batch", 3))
    for _ in range(500):
        x = x.tanh() * 0.5
    return x


def recurrent() -> Tensor:
    """One cell, called for each of eight steps of a sequence."""
    x, h = graphc.placeholder("x", ("batch", 8, 4)), graphc.placeholder("h", ("batch", 6))
    cell = nn.Linear(10, 6)
    for step in range(8):
        h = cell(graphc.cat([x[:, step], h], dim=1)).tanh()
    return h


def attention() -> Tensor:
    """A head of attention with dropout."""
    x = graphc.placeholder("x", ("batch", "time", 16))
    q, k, v = (nn.Linear(16, 16)(x) for _ in range(3))
    return nn.Dropout(0.1)((q @ k.transpose(1, 2) / 4).softmax(dim=2)) @ v


GALLERY: dict[str, tuple[Callable[[], object], View]] = {
    "perceptron": (perceptron, "forward"),
    "shared": (shared, "forward"),
    "branches": (branches, "forward"),
    "disk_mse_sgd": (lambda: disk("mse", lambda p: optim.SGD(p, lr=0.1)), "backward"),
    "disk_bce_adam": (lambda: disk("bce", optim.Adam), "training"),
    "disk_kernels": (lambda: disk("mse", lambda p: optim.SGD(p, lr=0.1)), "kernels"),
    "weight_sharing": (weight_sharing, "forward"),
    "siamese": (siamese, "forward"),
    "two_towers": (two_towers, "forward"),
    "residual": (residual, "forward"),
    "deep": (deep, "forward"),
    "recurrent": (recurrent, "forward"),
    "attention": (attention, "forward"),
}
"""What is drawn, and in which view."""
