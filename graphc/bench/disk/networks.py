"""The networks of both reports."""

from __future__ import annotations

from collections.abc import Sequence

from graphc import nn
from graphc.ir import Tensor
from graphc.ops import cat

__all__ = ["ACTIVATIONS", "Square", "WeightSharing", "layers", "one_output", "score"]


class Square(nn.Module):
    """x²: with it, one hidden layer can draw any conic section, and a circle is one."""

    def forward(self, x: Tensor) -> Tensor:
        return x.square()


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "square": Square,
}


def layers(widths: Sequence[int], activations: Sequence[str]) -> nn.Sequential:
    """Linear layers between `widths`, each but perhaps the last with its activation behind it."""
    modules: list[nn.Module] = []
    for i in range(len(widths) - 1):
        modules.append(nn.Linear(widths[i], widths[i + 1]))
        if i < len(activations):
            modules.append(ACTIVATIONS[activations[i]]())
    return nn.Sequential(*modules)


def one_output() -> nn.Sequential:
    """2-25-25-25-1, from [1]. The output is between 0 and 1."""
    return layers((2, 25, 25, 25, 1), ("tanh", "relu", "relu", "sigmoid"))


class WeightSharing(nn.Module):
    """Both coordinates go through the same layers, and a head sees the two results side by side.

    [1] says no more than this. Of `features`, 1-25-25-25 for each coordinate and 50-1; else 1-25-25-25-1 and 2-1.
    """

    def __init__(self, features: bool = True) -> None:
        super().__init__()
        widths = (1, 25, 25, 25) if features else (1, 25, 25, 25, 1)
        self.coordinate = layers(widths, ("tanh", "relu", "relu"))
        self.head = layers((2 * widths[-1], 1), ("sigmoid",))

    def forward(self, points: Tensor) -> Tensor:
        sides = [self.coordinate(points[:, :1]), self.coordinate(points[:, 1:])]
        output: Tensor = self.head(cat(sides, dim=1))
        return output


def score(output: Tensor) -> Tensor:
    """[n, 1]: above 1/2 where the network says inside, for one output or for one of each class."""
    if output.shape[1] == 1:
        return output
    return (output[:, 1:] - output[:, :1] + 1) / 2
