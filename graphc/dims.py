"""Symbolic sizes: integer polynomials over named non-negative sizes, in normal form.

A size is an `int` or a `Dim`; a polynomial without names is always an `int`. Two sizes that are the same polynomial
are equal for every binding. Sizes that differ as polynomials may still be equal for some bindings: asking `==` or `<`
about such a pair raises a ShapeError, since any answer would be wrong for somebody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn, Union

from graphc.errors import ShapeError

__all__ = [
    "Dim",
    "Size",
    "at_least_zero",
    "divide",
    "equal",
    "evaluate",
    "non_negative",
    "product",
    "same",
    "symbol",
    "symbols_of",
]

Monomial = tuple[tuple[str, int], ...]
"""Names with their powers, sorted by name; the empty tuple is the constant term."""

Size = Union[int, "Dim"]


class Dim:
    """A size that is not a number yet, such as `batch` or `2*batch + 1`."""

    __slots__ = ("_hash", "terms")
    terms: tuple[tuple[Monomial, int], ...]

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        # Python gives -1 and -2 one hash, and sizes in one place of a dict would be asked whether they are equal.
        self._hash = hash(tuple((monomial, k if k > 0 else k - 1) for monomial, k in terms))

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(name for monomial, _ in self.terms for name, _ in monomial)

    def evaluate(self, sizes: Mapping[str, int]) -> int:
        """The number that this size is under `sizes`. Raises KeyError for a name that is not bound."""
        total = 0
        for monomial, coefficient in self.terms:
            for name, power in monomial:
                coefficient *= sizes[name] ** power
            total += coefficient
        return total

    def __add__(self, other: Size) -> Size:
        _check_whole(self, "+", other)
        return _from_terms((*self.terms, *_terms(other))) if isinstance(other, (int, Dim)) else NotImplemented

    def __mul__(self, other: Size) -> Size:
        _check_whole(self, "*", other)
        if not isinstance(other, (int, Dim)):
            return NotImplemented
        return _from_terms((_join(a, b), p * q) for a, p in self.terms for b, q in _terms(other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        _check_whole(self, "-", other)
        return self + -other if isinstance(other, (int, Dim)) else NotImplemented

    def __rsub__(self, other: Size) -> Size:
        _check_whole(other, "-", self)
        return -self + other if isinstance(other, (int, Dim)) else NotImplemented

    def __floordiv__(self, other: Size) -> Size:
        """Exact division. Raises ShapeError when the quotient is not a polynomial."""
        _check_whole(self, "//", other)
        return _exact(self, other) if isinstance(other, (int, Dim)) else NotImplemented

    def __rfloordiv__(self, other: Size) -> Size:
        _check_whole(other, "//", self)
        return _exact(other, self) if isinstance(other, (int, Dim)) else NotImplemented

    def __truediv__(self, other: object) -> Any:
        return _no_size(self, "/", other) if isinstance(other, (int, float, Dim)) else NotImplemented

    def __rtruediv__(self, other: object) -> Any:
        return _no_size(other, "/", self) if isinstance(other, (int, float, Dim)) else NotImplemented

    def __mod__(self, other: object) -> Any:
        return _no_size(self, "%", other) if isinstance(other, (int, float, Dim)) else NotImplemented

    def __rmod__(self, other: object) -> Any:
        return _no_size(other, "%", self) if isinstance(other, (int, float, Dim)) else NotImplemented

    def __pow__(self, power: int | float) -> Size:
        if not isinstance(power, (int, float)):
            return NotImplemented
        if isinstance(power, int) and power >= 0:
            return product([self] * power)
        raise ShapeError(
            f"{self} ** {power} is not a size: powers are integers of 0 or more. For a number at run time use "
            "graphc.constant(size)"
        )

    def __eq__(self, other: object) -> bool:
        return equal(self, other) if isinstance(other, (int, Dim)) else NotImplemented

    def __lt__(self, other: Size) -> bool:
        return _less(self, other, f"{self} < {other}") if isinstance(other, (int, Dim)) else NotImplemented

    def __le__(self, other: Size) -> bool:
        return not _less(other, self, f"{self} <= {other}") if isinstance(other, (int, Dim)) else NotImplemented

    def __gt__(self, other: Size) -> bool:
        return _less(other, self, f"{self} > {other}") if isinstance(other, (int, Dim)) else NotImplemented

    def __ge__(self, other: Size) -> bool:
        return not _less(self, other, f"{self} >= {other}") if isinstance(other, (int, Dim)) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __bool__(self) -> bool:
        return not equal(self, 0)

    def __index__(self) -> int:
        raise ShapeError(
            f"size {self} is symbolic: it has no number until a program is called. For a number in the program use "
            f"graphc.constant(size); for one in Python, such as the turns of a loop, declare a fixed size"
        )

    __int__ = __index__
    __float__ = __index__

    def __str__(self) -> str:
        text = ""
        for monomial, coefficient in self.terms:
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} " if text else ("-" if sign == "-" else "")
            factors = [name if power == 1 else f"{name}**{power}" for name, power in monomial]
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            text += "*".join(factors)
        return text

    __repr__ = __str__


def symbol(name: str) -> Dim:
    """The size called `name`. The same name is the same size, in every graph."""
    return Dim(((((name, 1),), 1),))


def same(a: Size, b: Size) -> bool:
    """Whether `a` and `b` are one polynomial, hence equal under every binding. Never raises."""
    if isinstance(a, Dim):
        return isinstance(b, Dim) and a.terms == b.terms
    return not isinstance(b, Dim) and a == b


def equal(a: Size, b: Size) -> bool:
    """Whether `a == b`. Raises ShapeError when that holds for some bindings only."""
    if same(a, b):
        return True
    if isinstance(a, int) and isinstance(b, int):
        return False
    if non_negative(a - b - 1) or non_negative(b - a - 1):
        return False
    raise _undecided(f"{a} == {b}")


def non_negative(a: Size) -> bool:
    """Whether `a >= 0` under every binding; False means that it has to be checked when sizes are bound."""
    return a >= 0 if isinstance(a, int) else all(coefficient >= 0 for _, coefficient in a.terms)


def at_least_zero(a: Size) -> str:
    """`a >= 0` as people write it, such as `batch >= 3` for `batch - 3`."""
    left = _from_terms(term for term in _terms(a) if term[1] > 0)
    return f"{left} >= {left - a}"


def divide(a: Size, b: Size) -> Size | None:
    """`a / b` when it is a polynomial with integer coefficients, else None. `b` is not the number 0."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if a % b == 0 else None
    divisor = _sorted(_terms(b))
    lead, lead_coefficient = divisor[0]
    quotient: Size = 0
    rest = a
    while isinstance(rest, Dim) or rest != 0:
        monomial, coefficient = _sorted(_terms(rest))[0]
        reduced = _without(monomial, lead)
        if reduced is None or coefficient % lead_coefficient:
            return None
        term = _from_terms([(reduced, coefficient // lead_coefficient)])
        quotient = quotient + term
        rest = rest - term * b
    return quotient


def product(sizes: Iterable[Size]) -> Size:
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


def evaluate(size: Size, sizes: Mapping[str, int]) -> int:
    return size if isinstance(size, int) else size.evaluate(sizes)


def symbols_of(sizes: Iterable[Size]) -> frozenset[str]:
    return frozenset(name for size in sizes if isinstance(size, Dim) for name in size.symbols)


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    return size.terms if isinstance(size, Dim) else (((), size),)


def _order(term: tuple[Monomial, int]) -> tuple[int, Monomial]:
    return -sum(power for _, power in term[0]), term[0]


def _sorted(terms: Iterable[tuple[Monomial, int]]) -> list[tuple[Monomial, int]]:
    """Highest degree first, then by name: an order that multiplication keeps, as division needs."""
    names = sorted({name for monomial, _ in terms for name, _ in monomial})

    def key(term: tuple[Monomial, int]) -> tuple[int, ...]:
        powers = dict(term[0])
        return (-sum(powers.values()), *(-powers.get(name, 0) for name in names))

    return sorted(terms, key=key)


def _from_terms(terms: Iterable[tuple[Monomial, int]]) -> Size:
    collected: dict[Monomial, int] = {}
    for monomial, coefficient in terms:
        collected[monomial] = collected.get(monomial, 0) + coefficient
    kept = {monomial: coefficient for monomial, coefficient in collected.items() if coefficient}
    if not kept:
        return 0
    if len(kept) == 1 and () in kept:
        return kept[()]
    return Dim(tuple(sorted(kept.items(), key=_order)))


def _join(a: Monomial, b: Monomial) -> Monomial:
    powers = dict(a)
    for name, power in b:
        powers[name] = powers.get(name, 0) + power
    return tuple(sorted(powers.items()))


def _without(a: Monomial, b: Monomial) -> Monomial | None:
    powers = dict(a)
    for name, power in b:
        powers[name] = powers.get(name, 0) - power
        if powers[name] < 0:
            return None
    return tuple(sorted((name, power) for name, power in powers.items() if power))


def _less(a: Size, b: Size, question: str) -> bool:
    if non_negative(a - b):
        return False
    if non_negative(b - a - 1):
        return True
    raise _undecided(question)


def _undecided(question: str) -> ShapeError:
    return ShapeError(
        f"cannot decide whether {question}: it depends on the sizes given at run time; "
        "to decide while graph is built, declare a fixed size"
    )


def _no_size(a: object, sign: str, b: object) -> NoReturn:
    raise ShapeError(
        f"{a} {sign} {b} is not a size. For an exact quotient use //; for a number at run time use "
        "graphc.constant(size)"
    )


def _check_whole(a: object, sign: str, b: object) -> None:
    if isinstance(a, float) or isinstance(b, float):
        _no_size(a, sign, b)


def _exact(a: Size, b: Size) -> Size:
    if isinstance(b, int) and b == 0:
        raise ZeroDivisionError(f"size {a} divided by zero")
    quotient = divide(a, b)
    if quotient is None:
        raise ShapeError(
            f"{a} is not divisible by {b} for every value of the sizes. Name the quotient where the placeholder is "
            f'declared: graphc.placeholder("y", ("k",)) gives k = y.shape[0], and {b} * k is a multiple'
        )
    return quotient
