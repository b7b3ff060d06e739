"""Symbolic sizes: polynomials that agree with their values, a normal form, and questions that have no answer."""

from __future__ import annotations

import math
import operator
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphc import ShapeError, dims
from graphc.dims import Dim, Size, symbol

n, m = symbol("n"), symbol("m")

sizes = st.recursive(
    st.sampled_from([n, m, symbol("k")]) | st.integers(-4, 6),
    lambda inner: (
        st.builds(operator.add, inner, inner)
        | st.builds(operator.sub, inner, inner)
        | st.builds(operator.mul, inner, inner)
    ),
    max_leaves=8,
)
bindings = st.fixed_dictionaries({name: st.integers(0, 9) for name in "nmk"})
OPERATORS = [operator.add, operator.sub, operator.mul]


@given(sizes, sizes, st.sampled_from(OPERATORS), bindings)
def test_arithmetic_agrees_with_values(a: Size, b: Size, f: object, binding: dict[str, int]) -> None:
    assert callable(f)
    assert dims.evaluate(f(a, b), binding) == f(dims.evaluate(a, binding), dims.evaluate(b, binding))


@given(sizes, sizes, sizes)
def test_normal_form(a: Size, b: Size, c: Size) -> None:
    """Equal polynomials are the same value, with one hash and one text; without names they are integers."""
    for left, right in ((a + b, b + a), ((a + b) * c, b * c + a * c), (a - b, -(b - a)), ((a * b) * c, a * (b * c))):
        assert dims.same(left, right)
        assert hash(left) == hash(right)
        assert str(left) == str(right)
    assert isinstance(a - a, int)
    assert isinstance(a * 0, int)


def test_sizes_in_one_dict_are_not_compared() -> None:
    """Python gives -1 and -2 one hash; were these compared, a ShapeError would say that it cannot be decided."""
    n = dims.symbol("n")
    coefficients = range(-20, 21)
    found = {n * n + k * n + c for k in coefficients for c in coefficients}
    assert len(found) == len(coefficients) ** 2
    assert len({hash(size) for size in found}) == len(found)


@given(sizes, sizes)
def test_division_undoes_multiplication(a: Size, b: Size) -> None:
    if not dims.same(b, 0):
        quotient = dims.divide(a * b, b)
        assert quotient is not None
        assert dims.same(quotient, a)


@given(sizes, sizes)
def test_division_is_exact_or_refused(a: Size, b: Size) -> None:
    if not dims.same(b, 0):
        quotient = dims.divide(a, b)
        assert quotient is None or dims.same(quotient * b, a)


@given(sizes, sizes, bindings)
def test_decisions_hold_for_every_binding(a: Size, b: Size, binding: dict[str, int]) -> None:
    """An answer is right for all values of the names, or there is none."""
    x, y = dims.evaluate(a, binding), dims.evaluate(b, binding)
    for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        try:
            answer = compare(a, b)
        except ShapeError as error:
            assert "it depends on the sizes given at run time" in str(error)  # noqa: PT017 - or there is no error
        else:
            assert answer is compare(x, y)
    if dims.non_negative(a):
        assert x >= 0


@given(sizes, bindings)
def test_condition_reads_as_it_is_meant(a: Size, binding: dict[str, int]) -> None:
    left, right = dims.at_least_zero(a).split(" >= ")
    values = [eval(side, {}, binding) for side in (left, right)]  # noqa: S307 - our own arithmetic
    assert (values[0] >= values[1]) is (dims.evaluate(a, binding) >= 0)
    assert "-" not in left + right


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (2 * n + 1, "2*n + 1"),
        (n * n - n, "n**2 - n"),
        (3 - n, "-n + 3"),
        (n * m * 2 + m, "2*m*n + m"),
        (-n, "-n"),
        ((n + 1) * (n - 1), "n**2 - 1"),
    ],
)
def test_text(size: Size, text: str) -> None:
    assert str(size) == text
    assert repr(size) == text


def test_decided() -> None:
    assert n == n + 0
    assert n + 1 != n
    assert n + 1 > n
    assert n >= 0
    assert not n < 0
    assert n <= 2 * n
    assert n * m + 1 > 0
    assert n + 2 >= 1
    assert -n <= 0
    assert bool(n + 1)
    assert math.prod([n, 2, n]) == 2 * n * n
    assert {n: 1}[symbol("n")] == 1


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (lambda: n == m, "n == m"),
        (lambda: n == 3, "n == 3"),
        (lambda: n != 3, "n == 3"),
        (lambda: n < 3, "n < 3"),
        (lambda: n > m, "n > m"),
        (lambda: n >= 1, "n >= 1"),
        (lambda: n <= m, "n <= m"),
        (lambda: bool(n), "n == 0"),
        (lambda: n * n == n, r"n\*\*2 == n"),
    ],
)
def test_undecided(question: object, text: str) -> None:
    assert callable(question)
    with pytest.raises(ShapeError, match=rf"^cannot decide whether {text}: it depends on .* at run time; to decide"):
        question()


def test_division() -> None:
    assert (6 * n) // 3 == 2 * n
    assert (n * n - 1) // (n + 1) == n - 1
    assert 0 // n == 0
    with pytest.raises(ShapeError, match=r"^n is not divisible by 2 for every value of the sizes\. Name the quo"):
        n // 2
    with pytest.raises(ShapeError, match=r"^6 is not divisible by n for every value of the sizes\. Name the quo"):
        6 // n
    with pytest.raises(ZeroDivisionError, match=r"^size n divided by zero$"):
        n // 0
    for ratio in (lambda: n / 2, lambda: 1 / n, lambda: n / m, lambda: 0.5 / n):
        with pytest.raises(
            ShapeError, match=r"is not a size. For an exact quotient use //; for a number at run time use"
        ):
            ratio()


def test_sizes_are_whole_numbers() -> None:
    for text, f in {
        "n * 0.5": lambda: n * 0.5,
        "n * 2.0": lambda: 2.0 * n,
        "n + 0.5": lambda: n + 0.5,
        "n - 0.5": lambda: n - 0.5,
        "0.5 - n": lambda: 0.5 - n,
        "n // 0.5": lambda: n // 0.5,
        "1.0 // n": lambda: 1.0 // n,
        "n % 2": lambda: n % 2,
        "7 % n": lambda: 7 % n,
        "n % m": lambda: n % m,
    }.items():
        with pytest.raises(ShapeError, match=rf"^{re.escape(text)} is not a size\. .* use graphc\.constant\(size\)$"):
            f()


def test_not_a_number() -> None:
    for convert in (int, float, range, operator.index):
        with pytest.raises(
            ShapeError, match=r"^size n is symbolic: it has no number until a program is called\. For a number"
        ):
            convert(n)
    for f in (operator.add, operator.sub, operator.mul, operator.lt, operator.floordiv):
        with pytest.raises(TypeError, match=r"^('<' not supported between|unsupported operand)"):
            f(n, object())
    with pytest.raises(KeyError, match="m"):
        (n * m).evaluate({"n": 2})
    assert isinstance(n - m, Dim)


def test_powers() -> None:
    assert n**2 == n * n
    assert n**0 == 1
    with pytest.raises(ShapeError, match=r"^n \*\* 0\.5 is not a size: powers are integers of 0 .*graphc\.constant"):
        n**0.5
