"""Points of the unit square, labelled by whether they are inside a disk that covers half of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy
import torch

from graphc.types import Array

__all__ = ["CENTRE", "COUNT", "RADIUS", "TEST", "TRAIN", "TUNE", "Samples", "one_hot", "samples", "signs"]

CENTRE = (0.5, 0.5)
RADIUS = 1 / math.sqrt(2 * math.pi)
"""The area π · RADIUS² is 1/2."""

COUNT = 1000
"""Points to train on, and as many to test on: so [2] says, and [1] does not say how many."""

TRAIN, TEST, TUNE = 0, 1, 2
"""Parts of a run: points to train on, to test on, and those of other data sets, on which choices are made."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Points, float32 [count, 2], and labels, float32 [count, 1]: 1 inside, 0 outside."""

    points: Array
    labels: Array

    def __len__(self) -> int:
        return len(self.points)

    def split(self, count: int) -> tuple[Samples, Samples]:
        """The first `count`, and the rest."""
        return Samples(self.points[:count], self.labels[:count]), Samples(self.points[count:], self.labels[count:])

    def fold(self, number: int, folds: int) -> tuple[Samples, Samples]:
        """All but every `folds`-th, from `number` on, and these: for cross-validation."""
        held_out = torch.arange(len(self)) % folds == number
        return (
            Samples(self.points[~held_out], self.labels[~held_out]),
            Samples(self.points[held_out], self.labels[held_out]),
        )


def samples(seed: int, run: int, part: int, count: int = COUNT) -> Samples:
    """Uniform points. Every triple of seed, run and part has a stream of random numbers of its own."""
    points = numpy.random.default_rng([seed, run, part]).random((count, 2), dtype=numpy.float32)
    distances = numpy.hypot(*(points.astype(numpy.float64) - CENTRE).T)
    return Samples(torch.from_numpy(points), torch.from_numpy((distances < RADIUS).astype(numpy.float32)[:, None]))


def one_hot(labels: Array) -> Array:
    """Labels as rows with one 1: [1, 0] outside, [0, 1] inside. [count, 1] gives [count, 2]."""
    return torch.cat([1 - labels, labels], dim=1)


def signs(labels: Array) -> Array:
    """`one_hot` with -1 in place of 0."""
    return 2 * one_hot(labels) - 1
