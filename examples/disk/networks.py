"""The networks of two student reports about frameworks of their own, and what their outputs mean.

[1] K. Peeters, L. Schlyter: Mini Deep-learning framework. EPFL.
[2] A. Reynaud, V. Taburet, V. Rinaldi: EE-559 Project 2, Mini deep-learning framework. EPFL.
"""

from __future__ import annotations

import graphc
from graphc import nn


def one_output() -> nn.Module:
    """2-25-25-25-1, from [1]. The output is between 0 and 1."""
    return nn.Sequential(
        nn.Linear(2, 25),
        nn.Tanh(),
        nn.Linear(25, 25),
        nn.ReLU(),
        nn.Linear(25, 25),
        nn.ReLU(),
        nn.Linear(25, 1),
        nn.Sigmoid(),
    )


def two_outputs() -> nn.Module:
    """2-25-25-25-2, from [2]. One output for each class, of any size, for one-hot targets."""
    return nn.Sequential(
        nn.Linear(2, 25),
        nn.Tanh(),
        nn.Linear(25, 25),
        nn.Tanh(),
        nn.Linear(25, 25),
        nn.Tanh(),
        nn.Linear(25, 2),
    )


class WeightSharing(nn.Module):
    """Both coordinates go through the same layers; a head sees the two results side by side. [1] gives no sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.coordinate = nn.Sequential(
            nn.Linear(1, 25),
            nn.Tanh(),
            nn.Linear(25, 25),
            nn.ReLU(),
            nn.Linear(25, 25),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(50, 1), nn.Sigmoid())

    def forward(self, points: graphc.Tensor) -> graphc.Tensor:
        sides = [self.coordinate(points[:, :1]), self.coordinate(points[:, 1:])]
        return self.head(graphc.cat(sides, dim=1))


def score(output: graphc.Tensor) -> graphc.Tensor:
    """[batch, 1]: above 1/2 where the network says inside. Targets score exactly 0 or 1, networks [2] may go beyond."""
    if output.shape[1] == 1:
        return output
    return (output[:, 1:] - output[:, :1] + 1) / 2


def half_mse(prediction: graphc.Tensor, target: graphc.Tensor) -> graphc.Tensor:
    """1/(2N) · Σ(x - y)², the loss of [1]: half of nn.MSELoss, and so is its gradient.

    The learning rates of [1] belong to this loss; with nn.MSELoss, half of them make the same steps.
    """
    return nn.MSELoss()(prediction, target) / 2
