"""Chains of any length, in graphc and in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

import graphc

Chain = Callable[[Any, int], Any]


def wave(x: Any, k: int) -> Any:
    """Three nodes; the value neither grows nor vanishes, nor does its slope."""
    return x - x.tanh() * (1e-3 if k % 2 else -1e-3)


CHAINS: dict[str, Chain] = {
    "arithmetic": wave,
    "views": lambda x, k: x.reshape(2, 2).T.reshape(4) if k % 2 else x[None].expand(1, 4)[0],
    "slices": lambda x, k: (torch.cat if isinstance(x, torch.Tensor) else graphc.cat)([x[1:], x[:1]]),
    "products": lambda x, k: (x.reshape(1, 4) @ (x.reshape(4, 1) @ x.reshape(1, 4) * 0.01)).reshape(4) + x * 0.9,
    "reductions": lambda x, k: x - x.mean() * 1e-3 + x.amax() * 1e-3,
    "two paths": lambda x, k: x * 0.5 + x.sigmoid() * 0.5 - 0.25,
    "broadcasts": lambda x, k: x + x.sum().reshape(1, 1).expand(1, 4).reshape(4) * 1e-3,
}
