"""What a node does: an op is a frozen dataclass whose fields are its attributes and whose methods are its meanings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, ClassVar, Literal

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.errors import GradientError
from graphc.expr import Expr
from graphc.ir.cell import Cell
from graphc.ir.lazy import lazy
from graphc.types import Array, TensorType

__all__ = ["OPS", "Arg", "Op", "Sample", "TorchCall"]

OPS: dict[str, type[Op]] = {}
"""Every op by name, filled as the classes are defined."""


@dataclass(frozen=True)
class TorchCall:
    """How the torch plan computes an op with one torch call.

    The call is `function(*operands, *arguments, **keywords)`; `arguments` and `keywords` name attributes of the op.
    Forms: `out` writes into `out=`; `into` takes the destination first, as `copy_` does; `view` returns a view of its
    only operand. `alias` lists the operands whose memory `out` may be; torch is silently wrong when an output aliases
    an operand that is not listed.
    """

    function: Callable[..., Any]
    form: Literal["out", "into", "view"] = "out"
    alias: tuple[int, ...] = ()
    arguments: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)
    sequence: bool = False
    """The operands are passed as one tuple, as to `torch.cat`."""
    destination: str = "out"
    """The keyword of the `out` form."""
    broadcasts: bool = True
    """Whether operands of a pointwise call may have shapes that only broadcast to the result's."""
    factory: tuple[str, ...] = ()
    """Attributes that decide, once sizes are bound, what is called: `function(*factory)` gives the function."""

    def arguments_of(self, op: Op) -> tuple[tuple[object, ...], dict[str, object]]:
        """What the call passes after the operands: the positional arguments, and those by keyword."""
        return (
            tuple(getattr(op, name) for name in self.arguments),
            {keyword: getattr(op, name) for keyword, name in self.keywords.items()},
        )


@dataclass(frozen=True)
class Arg:
    """An operand of a sample: values drawn uniformly from [low, high]; whole numbers, hence ties, if `integer`."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    low: float = -2.0
    high: float = 2.0
    integer: bool = False

    def draw(self, generator: torch.Generator, dtype: torch.dtype | None = None) -> torch.Tensor:
        dtype = dtype or self.dtype
        x = torch.rand(self.shape, generator=generator, dtype=torch.float64) * (self.high - self.low) + self.low
        if dtype is torch.bool:
            return x > 0
        if self.integer or not dtype.is_floating_point:
            x = x.round()
        return x.to(dtype)


@dataclass(frozen=True)
class Sample:
    """An op with operands that it accepts, for the contract tests, the fuzzer and the op reference."""

    op: Op
    args: tuple[Arg, ...]

    @property
    def is_smooth(self) -> bool:
        """Whether finite differences make sense: floating operands without ties."""
        floating = [arg for arg in self.args if arg.dtype.is_floating_point]
        return bool(floating) and not any(arg.integer for arg in floating)


class Op:
    """Base of every op. A subclass is a frozen dataclass; with `abstract=True`, a base of several and no op itself.

    Two ops are equal when class and attributes are, where numbers count as printed: 0.0 is not -0.0, 1 is not 1.0, and
    NaN is NaN. A leaf op (no operands) such as a placeholder or a cell has no `eval`: the program supplies its value.
    """

    name: ClassVar[str]
    torch: ClassVar[TorchCall | None] = None
    """How the torch plan calls it; None means through `eval`."""
    cell: Cell | None = None
    """The cell whose value the op reads; only the op that reads cells has one."""
    is_pointwise: ClassVar[bool] = False
    """Element i of the result depends on element i of each operand only, and all operands have the result's shape."""

    judge: ClassVar[Callable[..., Array] | None] = None
    """The torch function whose derivative `vjp` follows, where that is not the derivative of `eval`."""
    exempt: ClassVar[tuple[str, ...]] = ()
    """Kinds of operands that no sample has, each with the reason: "0-d: ..." or "zero-size: ..."."""

    def __init_subclass__(cls, *, abstract: bool = False) -> None:
        super().__init_subclass__()
        cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if not abstract:
            OPS[cls.name] = cls
        for method in ("__eq__", "__hash__"):  # a dataclass writes its own where a class has none of its own
            if method not in cls.__dict__:
                setattr(cls, method, getattr(cls, method))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Op):
            return NotImplemented
        return self is other or (type(self) is type(other) and self._key == other._key)

    def __hash__(self) -> int:
        return hash((type(self), self._key))

    @lazy
    def _key(self) -> tuple[object, ...]:
        return tuple(_exact(value) for value in self.attributes.values())

    def infer(self, *inputs: Any, **unused: Any) -> TensorType:
        """The type of the result from the types of the operands. Raises ShapeError or DTypeError."""
        raise NotImplementedError(f"{self.name} does not define infer")

    def eval(self, *inputs: Any, **unused: Any) -> Array:
        """The result on torch tensors: the reference that everything else is measured against."""
        raise NotImplementedError(f"{self.name} does not define eval")

    def at(self, i: tuple[Expr, ...], *x: Any, **unused: Any) -> Expr | None:
        """Element i of the result as an expression of elements of the operands, which are `Operand`s.

        None for an op that is not generated as code: its value is memory that it is given, or a pass takes it apart.
        """
        return None

    def vjp(self, y: Any, g: Any) -> tuple[Any, ...]:
        """Cotangents of the operands (None where there is none) from the result `y` and its cotangent `g`."""
        raise GradientError(f"{self.name} has no gradient")

    def guards(self, *inputs: Any, **unused: Any) -> tuple[Size, ...]:
        """Sizes that must not be negative once sizes are bound, beyond those of the result's shape."""
        return ()

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        """Operands to try the op on. Leaf ops have none."""
        return ()

    @property
    def attributes(self) -> dict[str, Any]:
        names = _attribute_names(type(self))  # type: ignore[arg-type]  # mypy takes the hash of instances for the class's
        return {name: getattr(self, name) for name in names}

    @property
    def sizes(self) -> tuple[Dim, ...]:
        """The symbolic sizes among the attributes."""
        values = self.attributes.values()
        entries = (entry for value in values for entry in (value if isinstance(value, tuple) else (value,)))
        return tuple(entry for entry in entries if isinstance(entry, Dim))

    def bound(self, sizes: Mapping[str, int]) -> Op:
        """The op with every symbolic size in its attributes replaced by a number."""
        changes: dict[str, Any] = {}
        for name, value in self.attributes.items():
            if isinstance(value, Dim):
                changes[name] = value.evaluate(sizes)
            elif isinstance(value, tuple) and any(isinstance(entry, Dim) for entry in value):
                changes[name] = tuple(
                    dims.evaluate(entry, sizes) if isinstance(entry, Dim) else entry for entry in value
                )
        return replace(self, **changes) if changes else self  # type: ignore[type-var]

    def __str__(self) -> str:
        attributes = ", ".join(f"{name}={_text(value)}" for name, value in self.attributes.items())
        return f"{self.name}({attributes})" if attributes else self.name


@cache
def _attribute_names(op: type[Op]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(op) if f.compare)  # type: ignore[arg-type]  # ops are dataclasses


def _exact(value: object) -> object:
    """What equal attributes have in common; never asks whether two symbolic sizes are equal."""
    if isinstance(value, tuple):
        return tuple(map(_exact, value))
    if isinstance(value, Dim):
        return value.terms
    return repr(value) if isinstance(value, (bool, int, float)) else value


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_text(entry) for entry in value) + ("," if len(value) == 1 else "") + ")"
    return str(value) if isinstance(value, (Dim, torch.dtype)) else repr(value)
