"""The permutations that shuffles are made of."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from graphc.runtime.shuffle import permutation


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
