"""Networks to draw: the pictures of docs/drawing.md are made of this file.

graphc-viz examples/gallery.py:residual -o residual.svg
graphc-viz examples/gallery.py:train -o train.html
"""

from __future__ import annotations

import itertools

import torch

import graphc
from graphc import Tensor, nn, optim

torch.manual_seed(0)


class Residual(nn.Module):
    """Two layers beside the straight way."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(size, size)
        self.outer = nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(self.inner(x).relu())


def mlp(*sizes: int) -> nn.Sequential:
    """Layers of these sizes with tanh between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Tanh(), nn.Linear(before, after)]
    return nn.Sequential(*layers[1:])


x = graphc.placeholder("x", shape=("batch", 8))
target = graphc.placeholder("target", shape=("batch", 1))

# Twelve blocks of one kind.
residual = nn.Sequential(nn.Linear(8, 16), *(Residual(16) for _ in range(12)), nn.Linear(16, 1))(x)

# How far apart two inputs are for one encoder.
left, right = (graphc.placeholder(name, shape=("batch", 8)) for name in ("left", "right"))
encoder = mlp(8, 16, 4)
distance = (encoder(left) - encoder(right)).square().sum(dim=1)

# Users and items meet in a product.
user, item = graphc.placeholder("user", shape=("users", 6)), graphc.placeholder("item", shape=("items", 9))
scores = mlp(6, 12, 4)(user) @ mlp(9, 12, 4)(item).T

# A head of attention.
tokens = graphc.placeholder("tokens", shape=("batch", "time", 16))
query, key, value = (nn.Linear(16, 16)(tokens) for _ in range(3))
attention = nn.Dropout(0.1)((query @ key.transpose(1, 2) / 4).softmax(dim=2)) @ value

# Two versions of one network, to compare.
before = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))(x)
after = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))(x)

# A small network in training: its gradients, updates, kernels and memory.
net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
loss = nn.MSELoss()(net(x), target)
train = graphc.compile([x, target], loss, updates=optim.Adam(net.parameters(), lr=0.01).minimize(loss))
descend = graphc.compile([x, target], loss, updates=optim.SGD(net.parameters(), lr=0.01).minimize(loss))
batch = (torch.randn(32, 8), torch.randn(32, 1))
