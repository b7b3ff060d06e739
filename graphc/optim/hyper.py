"""What numbers hyper-parameters may be."""

from __future__ import annotations

import math

from graphc.errors import StateError, brief

__all__ = ["number"]


def number(owner: str, name: str, value: object, low: float = 0.0, high: float = math.inf, ends: str = "[)") -> float:
    """`value` as a float between `low` and `high`; the brackets in `ends` say which of the two it may be.

    Raises StateError otherwise, also for what is no number.
    """
    try:
        found = float(value)  # type: ignore[arg-type]  # that is the question
    except (TypeError, ValueError):
        found = math.nan
    above = found >= low if ends[0] == "[" else found > low
    below = found <= high if ends[1] == "]" else found < high
    if not (above and below):
        limits = f"{low:g} or more" if high == math.inf else f"in {ends[0]}{low:g}, {high:g}{ends[1]}"
        raise StateError(f"{owner}: {name} is {limits}, not {brief(value)}")
    return found
