"""Means, deviations, and what is known of them from a number of runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy

__all__ = ["ENOUGH", "Interval", "Spread", "bootstrap", "plausibility", "spread"]

CHUNK = 50_000
"""Resamples that are drawn at a time."""

ENOUGH = 30
"""Fewer values do not say how probable something is."""

GROUPS = 20_000
"""Groups of runs that are drawn to see how plausible a published figure is."""


@dataclass(frozen=True)
class Spread:
    """Of a number for each run: mean, standard deviation (n - 1 in the denominator), and the runs."""

    mean: float
    std: float
    runs: int

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return self.std / math.sqrt(self.runs)

    def scaled(self, factor: float) -> Spread:
        return Spread(factor * self.mean, factor * self.std, self.runs)

    def __format__(self, spec: str) -> str:
        return f"{self.mean:{spec}} ± {self.std:{spec}}" if self.runs > 1 else f"{self.mean:{spec}}"


def spread(values: Sequence[float]) -> Spread:
    return Spread(fmean(values), stdev(values) if len(values) > 1 else math.nan, len(values))


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        return self.low <= other.high and other.low <= self.high

    def __format__(self, spec: str) -> str:
        return f"[{self.low:{spec}}, {self.high:{spec}}]"


def bootstrap(values: Sequence[float], resamples: int, confidence: float, seed: int) -> tuple[Interval, Interval]:
    """Percentile intervals of the mean and of the standard deviation of as many values, drawn with replacement.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    given = numpy.asarray(values, dtype=numpy.float64)
    shifted = given - given.mean()  # so that sums of squares lose no digits
    random = numpy.random.default_rng(seed)
    means, deviations = numpy.empty(resamples), numpy.empty(resamples)
    for start in range(0, resamples, CHUNK):
        part = slice(start, min(start + CHUNK, resamples))
        drawn = shifted[random.integers(0, len(given), (part.stop - start, len(given)), dtype=numpy.uint32)]
        means[part] = drawn.mean(axis=1)
        deviations[part] = drawn.std(axis=1, ddof=1)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = numpy.quantile(means, tails) + given.mean()
    return Interval(float(low), float(high)), Interval(*map(float, numpy.quantile(deviations, tails)))


def plausibility(values: Sequence[float], mean: float, std: float, size: int, seed: int) -> tuple[float, float]:
    """How plausible it is that a mean, and a standard deviation, are those of `size` such values.

    Two-sided probabilities to be as far out, among groups drawn with replacement from `values`, which are themselves
    drawn anew for each group, since they are a sample, too.
    """
    given, random = numpy.asarray(values, dtype=numpy.float64), numpy.random.default_rng(seed)
    drawn_again = given[random.integers(0, len(given), (GROUPS, len(given)))]
    groups = numpy.take_along_axis(drawn_again, random.integers(0, len(given), (GROUPS, size)), axis=1)

    def two_sided(drawn: numpy.ndarray[Any, Any], published: float) -> float:
        return min(1.0, 2 * float(min((drawn <= published).mean(), (drawn >= published).mean())))

    return two_sided(groups.mean(axis=1), mean), two_sided(groups.std(axis=1, ddof=1), std)
