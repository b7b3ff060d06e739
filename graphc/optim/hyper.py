"""What numbers hyper-parameters may be."""

from __future__ import annotations

import math

import numpy
import torch

from graphc.errors import StateError, brief, type_name
from graphc.ir import Tensor

__all__ = ["check_flag", "number"]


def number(owner: str, name: str, value: object, low: float = 0.0, high: float = math.inf, ends: str = "[)") -> float:
    """`value` as a float between `low` and `high`; the brackets in `ends` say which of the two it may be.

    Raises StateError otherwise, also for what is no number, as True and False.
    """
    try:
        strange = isinstance(value, (str, bytes, bool, numpy.bool_))
        found = math.nan if strange else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        found = math.nan
    above = found >= low if ends[0] == "[" else found > low
    below = found <= high if ends[1] == "]" else found < high
    if not (above and below):
        limits = f"{low:g} or more" if high == math.inf else f"in {ends[0]}{low:g}, {high:g}{ends[1]}"
        shown = f"a {type_name(value)}, {value!r}" if isinstance(value, Tensor) else brief(value)
        shown += f" ({type_name(value)})" * isinstance(value, (str, list, tuple, torch.Tensor))
        remedy = (
            ""
            if isinstance(value, (int, float)) and not isinstance(value, bool)
            else ". Give one number, or a function for a rate that changes"
        )
        raise StateError(f"{owner}: {name} is {limits}, not {shown}{remedy}")
    return found


def check_flag(owner: str, name: str, value: object) -> None:
    """Raises StateError for what is neither True nor False."""
    if not isinstance(value, bool):
        raise StateError(f"{owner}: {name} is True or False, not {brief(value)}")
