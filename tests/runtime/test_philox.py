"""The counter-based generator against known answers, and the permutations that shuffles are made of."""

from __future__ import annotations

from collections import Counter

import numpy
import pytest
import torch

from graphc.runtime.philox import permutation, philox

# From Random123's `kat_vectors`, for philox4x32 with 10 rounds: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter: str, key: str, expected: str) -> None:
    first, second = words(key)
    counters = numpy.array([words(counter)] * 3, dtype=numpy.uint64)
    assert philox(counters, (first, second)).tolist() == [words(expected)] * 3


def test_no_counters_give_no_words() -> None:
    assert philox(numpy.empty((0, 4), numpy.uint64), (1, 2)).shape == (0, 4)


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1, 2**80 + 3])
def test_each_permutation_has_everything_once(seed: int) -> None:
    for n in range(71):
        order = permutation(n, seed, epoch=n % 3)
        assert order.dtype is torch.int64
        assert sorted(order.tolist()) == list(range(n))


def test_a_permutation_depends_on_seed_and_epoch_only() -> None:
    orders = {
        (seed, epoch): tuple(permutation(50, seed, epoch).tolist()) for seed in (*range(5), 2**33) for epoch in range(5)
    }
    assert len(set(orders.values())) == len(orders)
    state = torch.get_rng_state()
    torch.manual_seed(9)
    for (seed, epoch), order in orders.items():
        assert tuple(permutation(50, seed, epoch).tolist()) == order
    torch.set_rng_state(state)


def test_permutations_stay_what_they_are() -> None:
    """Runs of earlier versions can be repeated."""
    assert permutation(10, seed=0, epoch=0).tolist() == [5, 6, 8, 9, 3, 1, 4, 0, 7, 2]
    assert permutation(7, seed=2**40 + 5, epoch=3).tolist() == [1, 0, 4, 2, 3, 5, 6]


def test_permutations_are_uniform() -> None:
    """All 120 orders of five: χ² with 119 degrees of freedom is below 170 in all but 0.2% of trials."""
    trials = 6000
    found = Counter(tuple(permutation(5, seed=7, epoch=epoch).tolist()) for epoch in range(trials))
    assert len(found) == 120
    expected = trials / 120
    assert sum((count - expected) ** 2 / expected for count in found.values()) < 170


def test_every_place_of_a_longer_one_is_uniform() -> None:
    n, trials = 13, 3000
    counts = torch.zeros(n, n)
    for epoch in range(trials):
        counts[torch.arange(n), permutation(n, 3, epoch)] += 1
    expected = trials / n
    chi_squares = ((counts - expected) ** 2 / expected).sum(1)
    assert chi_squares.max() < 36, "12 degrees of freedom: above in 0.03% of trials"
