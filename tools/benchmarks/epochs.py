"""What a contender is: a function that trains for a number of epochs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["Epochs", "epochs_of"]

Epochs = Callable[[int], list[float]]
"""Trains for so many epochs, waits until all is computed, gives the losses of the last one's steps, or their mean."""


def epochs_of(step: Callable[..., Any], batches: Sequence[tuple[Any, ...]]) -> Epochs:
    """For contenders that are called for each step. Losses are read at the end, so that steps may overlap."""

    def epochs(count: int) -> list[float]:
        for _ in range(count - 1):
            for batch in batches:
                step(*batch)
        losses = [step(*batch) for batch in batches]
        return [float(loss) for loss in losses]

    return epochs
