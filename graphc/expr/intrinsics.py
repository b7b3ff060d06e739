"""The functions of scalars that expressions call: each with its meaning on torch tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from graphc.expr.philox import word_at
from graphc.types import Array

__all__ = ["INTRINSICS", "Intrinsic"]


@dataclass(frozen=True)
class Intrinsic:
    """Operands and result have one dtype, except that comparisons give bool."""

    arity: int
    torch: Callable[..., Array]
    gives_bool: bool = False


INTRINSICS: dict[str, Intrinsic] = {
    "abs": Intrinsic(1, torch.abs),
    "cos": Intrinsic(1, torch.cos),
    "erf": Intrinsic(1, torch.erf),
    "exp": Intrinsic(1, torch.exp),
    "expm1": Intrinsic(1, torch.expm1),
    "floor": Intrinsic(1, torch.floor),
    "log": Intrinsic(1, torch.log),
    "log1p": Intrinsic(1, torch.log1p),
    "neg": Intrinsic(1, torch.neg),
    "not": Intrinsic(1, torch.logical_not),
    "sigmoid": Intrinsic(1, torch.sigmoid),
    "sin": Intrinsic(1, torch.sin),
    "sqrt": Intrinsic(1, torch.sqrt),
    "tanh": Intrinsic(1, torch.tanh),
    "add": Intrinsic(2, torch.add),
    "and": Intrinsic(2, torch.logical_and),
    "div": Intrinsic(2, torch.div),
    "floordiv": Intrinsic(2, torch.floor_divide),
    "maximum": Intrinsic(2, torch.maximum),
    "minimum": Intrinsic(2, torch.minimum),
    "mod": Intrinsic(2, torch.remainder),
    "mul": Intrinsic(2, torch.mul),
    "or": Intrinsic(2, torch.logical_or),
    "pow": Intrinsic(2, torch.pow),
    "sub": Intrinsic(2, torch.sub),
    "eq": Intrinsic(2, torch.eq, gives_bool=True),
    "ge": Intrinsic(2, torch.ge, gives_bool=True),
    "gt": Intrinsic(2, torch.gt, gives_bool=True),
    "le": Intrinsic(2, torch.le, gives_bool=True),
    "lt": Intrinsic(2, torch.lt, gives_bool=True),
    "ne": Intrinsic(2, torch.ne, gives_bool=True),
    "philox": Intrinsic(4, word_at),
}
