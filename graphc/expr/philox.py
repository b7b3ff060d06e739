"""Counter-based random numbers: the same bits on every backend, in any order.

Philox4x32-10 from J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The
key is a seed. The counter is the number of a block (64 bits), a step and a stream; a block gives four words.
"""

from __future__ import annotations

import numpy
import torch
from numpy.typing import NDArray

from graphc.types import Array

__all__ = ["DROPOUT", "SHUFFLE", "Words", "as_int64", "philox", "random_words", "word_at"]

SHUFFLE = 0x73687566
"""The stream of shuffles; every use of random numbers has a stream of its own."""
DROPOUT = 0x64726F70
"""The stream of the first dropout of a program; the others follow it."""

Words = NDArray[numpy.uint64]
"""32-bit words in 64 bits each, so that their products fit."""

_MASK = 0xFFFFFFFF
_LOW, _HALF = numpy.uint64(_MASK), numpy.uint64(32)
_MULTIPLIERS = numpy.array([[0xD2511F53], [0xCD9E8D57]], numpy.uint64)
_WEYL = numpy.array([[0x9E3779B9], [0xBB67AE85]], numpy.uint64) * numpy.arange(10, dtype=numpy.uint64).reshape(10, 1, 1)
"""What is added to the key in each of ten rounds."""


def philox(counters: Words, key: Words) -> Words:
    """Random 32-bit words, as [4, n], for 128-bit counters given as [4, n] of 32-bit words, and a key [2] or [2, n]."""
    # Words 0 and 2 are treated alike, and so are 1 and 3: half as many calls, which is what few counters cost.
    even, odd = counters[0::2], counters[1::2]
    for round_key in (key.reshape(2, -1) + _WEYL) & _LOW:
        crossed = (even * _MULTIPLIERS)[::-1]
        even, odd = crossed >> _HALF ^ odd ^ round_key, crossed & _LOW
    return numpy.stack((even[0], odd[0], even[1], odd[1]))


def random_words(n: int, seed: int, step: int, stream: int) -> Words:
    """The first n words of a stream at a step: word i is word i % 4 of block i // 4."""
    blocks: Words = numpy.arange((n + 3) // 4, dtype=numpy.uint64)
    key: Words = numpy.array([seed & _MASK, seed >> 32 & _MASK], numpy.uint64)
    return philox(_counters(blocks, step & _MASK, stream), key).T.reshape(-1)[:n]


def word_at(seed: Array, step: Array, stream: Array, place: Array) -> Array:
    """Word `place` of a stream at a step, element by element, on int64 tensors that broadcast."""
    operands = torch.broadcast_tensors(seed, step, stream, place)  # type: ignore[no-untyped-call]  # torch has no types
    seeds, steps, streams, places = (each.numpy().reshape(-1).astype(numpy.uint64) for each in operands)
    counters = _counters(places >> numpy.uint64(2), steps & _LOW, streams)
    words = philox(counters, numpy.stack((seeds & _LOW, seeds >> _HALF)))
    chosen = words[places & numpy.uint64(3), numpy.arange(len(places))]
    return torch.from_numpy(chosen.astype(numpy.int64)).reshape(operands[0].shape)


def _counters(blocks: Words, step: int | Words, stream: int | Words) -> Words:
    counters: Words = numpy.empty((4, len(blocks)), numpy.uint64)
    counters[0], counters[1], counters[2], counters[3] = blocks & _LOW, blocks >> _HALF, step, stream
    return counters


def as_int64(seed: int) -> int:
    """The low 64 bits of a seed, as a tensor of int64 holds them."""
    return (seed + (1 << 63)) % (1 << 64) - (1 << 63)
