"""The order of samples in an epoch: the same on every backend."""

from __future__ import annotations

import numpy
import torch

from graphc.capacity import need
from graphc.expr.philox import SHUFFLE, random_words
from graphc.types import Array

__all__ = ["permutation"]

BYTES_EACH = 64
"""Memory that computing an order takes at most, for each sample."""


def permutation(n: int, seed: int, epoch: int) -> Array:
    """The order of `n` samples in an epoch, as int64[n]: samples sorted by random keys of 64 bits.

    Sample i has words 2i and 2i + 1 of the stream as its key, the high one first. Equal keys, of which there are none
    below billions of samples, keep their order.
    """
    need(BYTES_EACH * n, lambda: f"the order of {n} samples")
    words = random_words(2 * n, seed, epoch, SHUFFLE).reshape(-1, 2)
    return torch.from_numpy(numpy.argsort(words[:, 0] << numpy.uint64(32) | words[:, 1], kind="stable"))
