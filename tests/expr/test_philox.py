"""The counter-based generator: known answers, and where the words of a stream are."""

from __future__ import annotations

import numpy
import pytest
import torch

from graphc.expr.philox import DROPOUT, SHUFFLE, as_int64, philox, random_words, word_at

# From Random123's `kat_vectors`, for philox4x32 with 10 rounds: counter, key, result.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
SEEDS = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1, 2**80 + 3]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
@pytest.mark.parametrize("keys", [1, 3])
def test_known_answers(counter: str, key: str, expected: str, keys: int) -> None:
    counters = numpy.array([words(counter)] * 3, dtype=numpy.uint64).T
    given = numpy.array([words(key)] * keys, dtype=numpy.uint64).T
    assert philox(counters, given).T.tolist() == [words(expected)] * 3


def test_no_counters_give_no_words() -> None:
    assert philox(numpy.empty((4, 0), numpy.uint64), numpy.zeros(2, numpy.uint64)).shape == (4, 0)
    assert len(random_words(0, 1, 2, 3)) == 0


def test_a_known_answer_by_seed_step_and_stream() -> None:
    """The key is the seed, low word first; the counter is block, block, step, stream."""
    (c0, _, c2, c3), (k0, k1), expected = (words(text) for text in KNOWN[2])
    counters = numpy.array([[c0], [0], [c2], [c3]], dtype=numpy.uint64)
    [[*expected]] = philox(counters, numpy.array([k0, k1], dtype=numpy.uint64)).T.tolist()
    seed, place = torch.tensor(as_int64(k0 | k1 << 32)), torch.arange(4) + 4 * c0
    assert word_at(seed, torch.tensor(c2), torch.tensor(c3), place).tolist() == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_each_word_has_its_place(seed: int) -> None:
    for n, step in ((1, 0), (4, 1), (7, 2**31), (30, 2**32 + 5)):
        found = random_words(n, seed, step, DROPOUT)
        assert found.tolist() == random_words(40, seed, step, DROPOUT)[:n].tolist()
        operands = (torch.tensor(as_int64(seed)), torch.tensor(step), torch.tensor(DROPOUT))
        assert word_at(*operands, torch.arange(n)).tolist() == found.tolist()
        assert int(found.max()) < 2**32


def test_streams_steps_and_seeds_differ() -> None:
    streams = (DROPOUT, DROPOUT + 1, SHUFFLE)
    settings = [(seed, step, stream) for seed in SEEDS for step in range(3) for stream in streams]
    found = {tuple(random_words(4, *each).tolist()) for each in settings}
    assert len(found) == len(settings)


def test_seeds_as_tensors_hold_them() -> None:
    assert [as_int64(seed) for seed in SEEDS] == [0, 1, 2**32 - 1, 2**32, -(2**63), -1, 3]
    assert random_words(4, -1, 0, 0).tolist() == random_words(4, 2**64 - 1, 0, 0).tolist()
