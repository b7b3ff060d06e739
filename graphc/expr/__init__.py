"""Scalar expressions over indices: what one element of a tensor is."""

from __future__ import annotations

from graphc.expr.expr import (
    Call,
    Cast,
    Combine,
    Expr,
    Index,
    Literal,
    Load,
    Operand,
    Reduce,
    Select,
    call,
    cast,
    literal,
    reduce,
    select,
)
from graphc.expr.indexing import flattened, joined, reshaped, unflattened
from graphc.expr.interpret import interpret
from graphc.expr.intrinsics import INTRINSICS, Intrinsic

__all__ = [
    "INTRINSICS",
    "Call",
    "Cast",
    "Combine",
    "Expr",
    "Index",
    "Intrinsic",
    "Literal",
    "Load",
    "Operand",
    "Reduce",
    "Select",
    "call",
    "cast",
    "flattened",
    "interpret",
    "joined",
    "literal",
    "reduce",
    "reshaped",
    "select",
    "unflattened",
]
