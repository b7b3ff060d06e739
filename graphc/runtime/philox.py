"""Counter-based random numbers: the same bits on every backend, in any order.

Philox4x32-10 from J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import torch

from graphc.types import Array

__all__ = ["SHUFFLE", "permutation", "philox"]

SHUFFLE = 0x73687566
"""The stream of shuffles; every use of random numbers has a stream of its own."""

_MASK = 0xFFFFFFFF
_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10


def philox(counters: Array, key: tuple[int, int]) -> Array:
    """Random 32-bit words, as int64[n, 4], for 128-bit counters given as int64[n, 4] of 32-bit words."""
    c0, c1, c2, c3 = counters.unbind(1)
    k0, k1 = key
    for _ in range(_ROUNDS):
        # Products of 32-bit words wrap in int64 with the right bits; the shift is arithmetic, so the mask follows it.
        p0, p1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (p1 >> 32 & _MASK) ^ c1 ^ k0, p1 & _MASK, (p0 >> 32 & _MASK) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return torch.stack((c0, c1, c2, c3), 1)


def permutation(n: int, seed: int, epoch: int) -> Array:
    """The order of `n` samples in an epoch, as int64[n]: Durstenfeld's shuffle, for i from n - 1 down to 1.

    The partner of i is word i of the stream (block i // 4 of the counter) times i + 1, divided by 2**32: Lemire's
    bounded integer without rejection, whose bias is below n / 2**32.
    """
    blocks = torch.arange((n + 3) // 4, dtype=torch.int64)
    counters = torch.stack(
        (blocks & _MASK, blocks >> 32, torch.full_like(blocks, epoch & _MASK), torch.full_like(blocks, SHUFFLE)), 1
    )
    words = philox(counters, (seed & _MASK, seed >> 32 & _MASK)).view(-1)[:n]
    partners = (words * torch.arange(1, n + 1) >> 32).tolist()
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = partners[i]
        order[i], order[j] = order[j], order[i]
    return torch.tensor(order, dtype=torch.int64)
