"""Means, deviations and bootstrap intervals: against formulas, and resample by resample."""

from __future__ import annotations

import math

import numpy
import pytest

from graphc.bench import statistics
from graphc.bench.statistics import Interval, bootstrap, plausibility, spread

VALUES = numpy.random.default_rng(0).normal(98.6, 0.5, 110).tolist()


def test_spread() -> None:
    found = spread([1.0, 2.0, 4.0])
    assert (found.mean, found.runs) == (pytest.approx(7 / 3), 3)
    assert found.std == pytest.approx(math.sqrt(7 / 3))
    assert found.error == pytest.approx(math.sqrt(7) / 3)
    assert f"{found:.2f}" == "2.33 ± 1.53"
    assert math.isnan(spread([1.0]).std)


def test_intervals() -> None:
    interval = Interval(1.0, 2.0)
    assert interval.overlaps(Interval(2.0, 3.0))
    assert interval.overlaps(Interval(0.0, 9.0))
    assert not interval.overlaps(Interval(2.1, 3.0))
    assert f"{interval:.1f}" == "[1.0, 2.0]"


def test_the_bootstrap_of_the_mean_is_nearly_normal() -> None:
    mean, std = bootstrap(VALUES, 100_000, 0.99, seed=1)
    deviation = numpy.std(VALUES) / math.sqrt(110)
    assert mean.low == pytest.approx(numpy.mean(VALUES) - 2.576 * deviation, abs=0.05 * deviation)
    assert mean.high == pytest.approx(numpy.mean(VALUES) + 2.576 * deviation, abs=0.05 * deviation)
    assert std.low < numpy.std(VALUES) < std.high
    # The standard error of a standard deviation of n normal values is σ/√(2n).
    assert std.high - std.low == pytest.approx(2 * 2.576 * numpy.std(VALUES) / math.sqrt(220), rel=0.15)


def test_the_bootstrap_resample_by_resample(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces of any size."""
    monkeypatch.setattr(statistics, "CHUNK", 7)
    found = bootstrap(VALUES[:5], 20, 0.9, seed=3)
    random = numpy.random.default_rng(3)
    drawn = [random.integers(0, 5, (min(7, 20 - start), 5), dtype=numpy.uint32) for start in range(0, 20, 7)]
    resamples = numpy.array(VALUES[:5])[numpy.concatenate(drawn)]
    for interval, values in zip(found, (resamples.mean(axis=1), resamples.std(axis=1, ddof=1))):
        assert [interval.low, interval.high] == pytest.approx(numpy.quantile(values, [0.05, 0.95]).tolist(), rel=1e-12)


def test_the_bootstrap_depends_on_its_seed_alone() -> None:
    assert bootstrap(VALUES, 1000, 0.99, seed=1) == bootstrap(VALUES, 1000, 0.99, seed=1)
    assert bootstrap(VALUES, 1000, 0.99, seed=1) != bootstrap(VALUES, 1000, 0.99, seed=2)


def test_plausibility() -> None:
    mean, std = float(numpy.mean(VALUES)), float(numpy.std(VALUES))
    assert min(plausibility(VALUES, mean, std, 10, seed=0)) > 0.5
    # The mean of ten is 2 standard errors away in one case of twenty or so.
    off, _ = plausibility(VALUES, mean + 2 * std / math.sqrt(10), std, 10, seed=0)
    assert off == pytest.approx(0.0455, abs=0.02)
    # With as many values as these, the difference of two means has twice the variance of one.
    off, _ = plausibility(VALUES, mean + 2 * math.sqrt(2 / 110) * std, std, 110, seed=0)
    assert off == pytest.approx(0.0455, abs=0.015)
    assert plausibility(VALUES, mean + 9 * std, std, 10, seed=0)[0] == 0
    assert plausibility(VALUES, mean, 9 * std, 10, seed=0)[1] == 0
    assert plausibility(VALUES, mean, 0.01 * std, 10, seed=0)[1] == 0
    assert plausibility([1.0, 1.0], 1.0, 0.0, 10, seed=0) == (1.0, 1.0)
