"""Points of the unit square, labelled by whether they are inside a disk that covers half of it."""

from __future__ import annotations

import math

import torch

CENTRE = (0.5, 0.5)
RADIUS = 1 / math.sqrt(2 * math.pi)  # the area π · RADIUS² is 1/2


def disk(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` uniform points, [count, 2], and their labels, [count, 1]: 1 inside the disk, 0 outside."""
    points = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed))
    distances = (points - torch.tensor(CENTRE)).square().sum(dim=1, keepdim=True).sqrt()
    return points, (distances < RADIUS).float()


def one_hot(labels: torch.Tensor) -> torch.Tensor:
    """Labels as rows with one 1: [1, 0] outside, [0, 1] inside. [count, 1] gives [count, 2]."""
    return torch.cat([1 - labels, labels], dim=1)
