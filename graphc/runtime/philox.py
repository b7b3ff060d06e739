"""Counter-based random numbers: the same bits on every backend, in any order.

Philox4x32-10 from J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import numpy
import torch
from numpy.typing import NDArray

from graphc.types import Array

__all__ = ["SHUFFLE", "permutation", "philox"]

SHUFFLE = 0x73687566
"""The stream of shuffles; every use of random numbers has a stream of its own."""

Words = NDArray[numpy.uint64]
"""32-bit words in 64 bits each, so that their products fit."""

_MASK = 0xFFFFFFFF
_LOW, _HALF = numpy.uint64(_MASK), numpy.uint64(32)
_MULTIPLIERS = numpy.uint64(0xD2511F53), numpy.uint64(0xCD9E8D57)
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


def philox(counters: Words, key: tuple[int, int]) -> Words:
    """Random 32-bit words, as [n, 4], for 128-bit counters given as [n, 4] of 32-bit words."""
    c0, c1, c2, c3 = counters.T
    k0, k1 = key
    for _ in range(_ROUNDS):
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c2 = (p1 >> _HALF) ^ c1 ^ numpy.uint64(k0), (p0 >> _HALF) ^ c3 ^ numpy.uint64(k1)
        c1, c3 = p1 & _LOW, p0 & _LOW
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return numpy.stack((c0, c1, c2, c3), 1)


def permutation(n: int, seed: int, epoch: int) -> Array:
    """The order of `n` samples in an epoch, as int64[n]: samples sorted by random keys of 64 bits.

    Sample i has words 2i and 2i + 1 of the stream as its key, the high one first; block j of the counter gives words 4j
    to 4j + 3. Equal keys, of which there are none below billions of samples, keep their order.
    """
    blocks: Words = numpy.arange((n + 1) // 2, dtype=numpy.uint64)
    counters: Words = numpy.empty((len(blocks), 4), numpy.uint64)
    counters[:, 0], counters[:, 1] = blocks & _LOW, blocks >> _HALF
    counters[:, 2], counters[:, 3] = epoch & _MASK, SHUFFLE
    words = philox(counters, (seed & _MASK, seed >> 32 & _MASK)).reshape(-1, 2)[:n]
    return torch.from_numpy(numpy.argsort(words[:, 0] << _HALF | words[:, 1], kind="stable"))
