"""Dtypes: every function with every dtype, pairs of dtypes, 0-d tensors, and numbers of Python and NumPy, as torch.

A case is a function, with one dtype of its first operand where there are many combinations: some dozen to a hundred
calls, which are compared with torch's in dtype and value, in one program on every backend; native code leaves out
float16 and bfloat16. What torch refuses must be refused when the graph is built.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping

import torch

from graphc.types import DTYPES
from tests.judge import Array, Case, same_as_torch
from tests.ops import cases
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

HALVES = (torch.float16, torch.bfloat16)


def of_each_dtype(generate: Callable[..., Iterable[Case]], *names: str) -> list[Callable[[], Iterable[Case]]]:
    if names:
        return [functools.partial(generate, *pair) for pair in itertools.product(names, DTYPES)]
    return [functools.partial(generate, dtype) for dtype in DTYPES]


GROUPS: list[Callable[[], Iterable[Case]]] = [
    *(functools.partial(cases.unary, name) for name in cases.UNARY),
    *(functools.partial(cases.reduced, name) for name in cases.REDUCTIONS),
    *of_each_dtype(cases.binary, *cases.BINARY),
    *of_each_dtype(cases.with_number, *cases.OPERATORS),
    *of_each_dtype(cases.chosen),
    *of_each_dtype(cases.clamped),
    *of_each_dtype(cases.joined),
    cases.casts,
    cases.constants,
]


def is_native(case: Case) -> bool:
    """Whether neither an operand nor the result is a half."""
    _, _, theirs, operands = case
    try:
        result = theirs(*operands)
    except (RuntimeError, TypeError, ValueError, IndexError, OverflowError):
        return False  # which the other backends have tried
    return not any(isinstance(x, Array) and x.dtype in HALVES for x in (result, *operands))


def case(seed: int) -> Mapping[str, int]:
    """One group of calls, on all backends."""
    group = GROUPS[seed % len(GROUPS)]
    compared = same_as_torch(group(), "reference") + same_as_torch(group(), "torch")
    return {"calls": compared + same_as_torch(filter(is_native, group()), "c")}


PROOFS = (Proof("dtypes", promise=20, unit="functions and dtypes", full=len(GROUPS), quick=2, case=case),)
