"""Scalar expressions: one element of a tensor as a function of its indices.

A closed set of immutable values. `Select` evaluates one branch only, so that it guards the loads in the other; index
division and remainder are calls. Integers and symbolic sizes among operands become literals.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal as Choice
from typing import Protocol

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.expr.intrinsics import INTRINSICS

__all__ = [
    "Call",
    "Cast",
    "Combine",
    "Expr",
    "Index",
    "Literal",
    "Load",
    "Operand",
    "Reduce",
    "Select",
    "call",
    "cast",
    "literal",
    "reduce",
    "select",
]

Number = int | float | bool
Combine = Choice["sum", "amax", "amin"]
"""How a reduction joins two values; `amax` and `amin` let NaN through."""

_serials = itertools.count()


@dataclass(frozen=True)
class Literal:
    """A number of a dtype; an int64 may be a symbolic size."""

    value: Number | Dim
    dtype: torch.dtype

    def __eq__(self, other: object) -> bool:
        """Zeros of different signs differ."""
        return isinstance(other, Literal) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[object, ...]:
        return self.value, self.dtype, isinstance(self.value, float) and math.copysign(1.0, self.value)

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Index:
    """A loop variable, int64, which runs from 0 to a size."""

    name: str

    @property
    def dtype(self) -> torch.dtype:
        return torch.int64

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Load:
    """The element of `source` at `indices`, one for each dimension of it."""

    source: object
    indices: tuple[Expr, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.source}[{', '.join(map(str, self.indices))}]"


@dataclass(frozen=True)
class Call:
    """An intrinsic function of scalars."""

    function: str
    args: tuple[Expr, ...]
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.args))})"


@dataclass(frozen=True)
class Select:
    """`then` where the condition holds, else `otherwise`; the other one is not evaluated."""

    condition: Expr
    then: Expr
    otherwise: Expr

    @property
    def dtype(self) -> torch.dtype:
        return self.then.dtype

    def __str__(self) -> str:
        return f"({self.condition} ? {self.then} : {self.otherwise})"


@dataclass(frozen=True)
class Cast:
    """`x` in another dtype, converted as torch converts."""

    x: Expr
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')}({self.x})"


@dataclass(frozen=True)
class Reduce:
    """`body` for every value of `index` below `size`, joined by `combine`; nothing gives 0 (sum) or what is neutral."""

    combine: Combine
    index: Index
    size: Size
    body: Expr

    @property
    def dtype(self) -> torch.dtype:
        return self.body.dtype

    def __str__(self) -> str:
        return f"{self.combine}[{self.index} < {self.size}]({self.body})"


Expr = Literal | Index | Load | Call | Select | Cast | Reduce


class Operand(Protocol):
    """A tensor that an expression reads from."""

    @property
    def shape(self) -> tuple[Size, ...]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def __getitem__(self, indices: tuple[Expr, ...]) -> Expr:
        """The element at `indices`."""
        ...


Value = Expr | Number | Dim
"""What builders take: an expression, or a number or size that becomes a literal."""


def literal(value: Number | Size, dtype: torch.dtype = torch.int64) -> Literal:
    return Literal(value, dtype)


def call(function: str, *args: Value) -> Expr:
    """The intrinsic `function`; numbers take the dtype of the first expression among `args`, int64 if there is none.

    Index arithmetic with literals is done at once.
    """
    intrinsic = INTRINSICS[function]
    assert len(args) == intrinsic.arity, f"{function} takes {intrinsic.arity} operands"
    known = [arg.dtype for arg in args if not isinstance(arg, (bool, int, float, Dim))]
    dtype = known[0] if known else torch.int64
    exprs = tuple(Literal(arg, dtype) if isinstance(arg, (bool, int, float, Dim)) else arg for arg in args)
    if dtype is torch.int64 and function in _FOLDS:
        folded = _FOLDS[function](*exprs)
        if folded is not None:
            return folded
    return Call(function, exprs, torch.bool if intrinsic.gives_bool else dtype)


def select(condition: Expr, then: Value, otherwise: Value) -> Expr:
    """`then` where `condition` holds, else `otherwise`; a number takes the dtype of the other branch."""
    if isinstance(condition, Literal):
        chosen = then if condition.value else otherwise
        if not isinstance(chosen, (bool, int, float, Dim)):
            return chosen
    if isinstance(then, (bool, int, float, Dim)):
        assert not isinstance(otherwise, (bool, int, float, Dim)), "one branch says what dtype the result has"
        return Select(condition, Literal(then, otherwise.dtype), otherwise)
    if isinstance(otherwise, (bool, int, float, Dim)):
        return Select(condition, then, Literal(otherwise, then.dtype))
    return Select(condition, then, otherwise)


def cast(x: Expr, dtype: torch.dtype) -> Expr:
    return x if x.dtype is dtype else Cast(x, dtype)


def reduce(combine: Combine, sizes: Sequence[Size], body: Callable[[tuple[Index, ...]], Expr]) -> Expr:
    """The reduction of `body`, a function of one fresh index for each of `sizes`, the last one innermost."""
    indices = tuple(Index(f"r{next(_serials)}") for _ in sizes)
    result = body(indices)
    for at, size in reversed(list(zip(indices, sizes, strict=True))):
        result = Reduce(combine, at, size, result)
    return result


# Index arithmetic.


def _size(x: Expr) -> Size | None:
    return x.value if isinstance(x, Literal) and isinstance(x.value, (int, Dim)) else None


def _is(x: Expr, value: int) -> bool:
    size = _size(x)
    return size is not None and dims.same(size, value)


def _fold_add(x: Expr, y: Expr) -> Expr | None:
    if _is(x, 0):
        return y
    if _is(y, 0):
        return x
    a, b = _size(x), _size(y)
    return None if a is None or b is None else Literal(a + b, torch.int64)


def _fold_sub(x: Expr, y: Expr) -> Expr | None:
    if _is(y, 0):
        return x
    a, b = _size(x), _size(y)
    return None if a is None or b is None else Literal(a - b, torch.int64)


def _fold_mul(x: Expr, y: Expr) -> Expr | None:
    if _is(x, 1) or _is(y, 0):
        return y
    if _is(y, 1) or _is(x, 0):
        return x
    a, b = _size(x), _size(y)
    return None if a is None or b is None else Literal(a * b, torch.int64)


def _fold_floordiv(x: Expr, y: Expr) -> Expr | None:
    return x if _is(y, 1) or _is(x, 0) else None


def _fold_mod(x: Expr, y: Expr) -> Expr | None:
    return Literal(0, torch.int64) if _is(y, 1) or _is(x, 0) else None


_FOLDS: dict[str, Callable[..., Expr | None]] = {
    "add": _fold_add,
    "sub": _fold_sub,
    "mul": _fold_mul,
    "floordiv": _fold_floordiv,
    "mod": _fold_mod,
}
