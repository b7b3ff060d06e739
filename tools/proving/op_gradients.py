"""Gradients of ops: every sample of every op, first and second order, by finite differences and by torch.autograd.

A case is one sample with the values of one draw, in float64, whose operands lie in memory in one of four ways; where
they are expanded, all elements are equal and tie. The laws are those of the contract tests.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from tests.ops.laws import (
    LAYOUTS,
    SAMPLES,
    Differentiated,
    assert_autograd,
    assert_finite_difference,
    assert_second_autograd,
    assert_second_finite_difference,
    draw,
    is_differentiable,
)
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

DIFFERENTIABLE = [sample for sample in SAMPLES if is_differentiable(sample)]
DRAWS = 2 * len(LAYOUTS)


def case(seed: int) -> Mapping[str, int]:
    """One sample, one draw of values, one layout."""
    sample, turn = DIFFERENTIABLE[seed % len(DIFFERENTIABLE)], seed // len(DIFFERENTIABLE)
    layout = list(LAYOUTS)[turn % len(LAYOUTS)]
    arrays = [LAYOUTS[layout](x) for x in draw(sample.args, torch.float64, seed)]
    compared = 2
    assert_autograd(Differentiated(sample, arrays, seed))
    assert_second_autograd(Differentiated(sample, arrays, seed))
    if sample.is_smooth and layout != "expanded":
        compared += assert_finite_difference(Differentiated(sample, arrays, seed))
        compared += assert_second_finite_difference(Differentiated(sample, arrays, seed))
    return {"comparisons": compared}


PROOFS = (
    Proof("op-gradients", promise=2, unit="draws of samples", full=DRAWS * len(DIFFERENTIABLE), quick=0, case=case),
)
