"""The interpreter computes what expressions say: in their dtypes, for all indices at once, with guarded loads."""

from __future__ import annotations

import math
import re

import pytest
import torch

from graphc.dims import symbol
from graphc.expr import Call, Expr, Index, Literal, call, cast, interpret, literal, reduce, select
from tests.expr.source import Source

i, j = Index("i"), Index("j")
n = symbol("n")
source = Source("x", (4,))
x = torch.tensor([1.0, 2.0, 3.0, 4.0])


def test_indices_run_over_the_shape() -> None:
    result = interpret(call("add", call("mul", i, 10), j), [i, j], (2, n), {}, {"n": 3})
    assert result.tolist() == [[0, 1, 2], [10, 11, 12]]


def test_what_does_not_depend_on_the_indices_is_repeated() -> None:
    result = interpret(literal(2.5, torch.float64), [i, j], (2, 3), {}, {})
    assert torch.equal(result, torch.full((2, 3), 2.5, dtype=torch.float64))
    assert result.is_contiguous()


def test_symbolic_sizes_are_numbers() -> None:
    assert interpret(cast(literal(2 * n), torch.float32), [], (), {}, {"n": 4}).item() == 8.0


def test_reductions_nest() -> None:
    """Σ_r max_s (10·i + r·s), for s up to 2."""
    body = reduce(
        "sum", (n,), lambda r: reduce("amax", (3,), lambda s: call("add", call("mul", i, 10), call("mul", r[0], s[0])))
    )
    assert interpret(body, [i], (2,), {}, {"n": 3}).tolist() == [6, 36]


@pytest.mark.parametrize(
    ("combine", "dtype", "expected"),
    [
        ("sum", torch.float32, 0),
        ("amax", torch.float32, -math.inf),
        ("amin", torch.float64, math.inf),
        ("amax", torch.int64, -(2**63)),
        ("amin", torch.uint8, 255),
        ("amax", torch.bool, False),
        ("amin", torch.bool, True),
    ],
)
def test_reduction_of_nothing(combine: str, dtype: torch.dtype, expected: float) -> None:
    result = interpret(reduce(combine, (n,), lambda r: cast(r[0], dtype)), [i], (2,), {}, {"n": 0})
    assert torch.equal(result, torch.full((2,), expected, dtype=dtype))


def test_reductions_let_nan_through() -> None:
    array = {source: torch.tensor([1.0, math.nan, 3.0, 4.0])}
    for combine in ("sum", "amax", "amin"):
        assert interpret(reduce(combine, (4,), lambda r: source[r]), [], (), array, {}).isnan()


def shifted(by: int) -> Expr:
    return source[(call("add", i, by),)]


@pytest.mark.parametrize(("by", "size"), [(1, 4), (-1, 4), (0, 5), (100, 1)])
def test_out_of_range(by: int, size: int) -> None:
    message = re.escape(f"{shifted(by)} is out of range: x has shape (4,)")
    with pytest.raises(IndexError, match=message):
        interpret(shifted(by), [i], (size,), {source: x}, {})


def test_a_branch_that_is_not_taken_may_be_out_of_range() -> None:
    inside = call("lt", call("add", i, 1), 4)
    result = interpret(select(inside, shifted(1), -1), [i], (4,), {source: x}, {})
    assert result.tolist() == [2, 3, 4, -1]


def test_a_branch_that_is_taken_once_is_in_range() -> None:
    with pytest.raises(IndexError, match=r"x\[add\(i, 2\)\] is out of range"):
        interpret(select(call("lt", i, 3), shifted(2), shifted(0)), [i], (4,), {source: x}, {})


def test_a_fault_goes_through_everything() -> None:
    """An index that is itself loaded, a condition, a cast, and one term of a sum."""
    index = cast(shifted(1), torch.int64)
    faulty = [
        source[(call("mod", index, 4),)],
        select(call("gt", shifted(1), 0), literal(1), 2),
        call("neg", index),
        reduce("sum", (2,), lambda r: source[(call("add", i, r[0]),)]),
    ]
    for expr in faulty:
        interpret(expr, [i], (3,), {source: x}, {})
        with pytest.raises(IndexError, match="is out of range"):
            interpret(expr, [i], (4,), {source: x}, {})


def test_nothing_is_read_for_no_elements() -> None:
    assert interpret(shifted(7), [i], (0,), {source: x}, {}).shape == (0,)
    assert interpret(reduce("sum", (0,), lambda r: shifted(7)), [i], (2,), {source: x}, {}).tolist() == [0, 0]


def test_an_empty_tensor_has_no_element() -> None:
    empty = Source("e", (0,))
    assert interpret(empty[(i,)], [i], (0,), {empty: torch.empty(0)}, {}).shape == (0,)
    with pytest.raises(IndexError, match=r"e\[i\] is out of range: e has shape \(0,\)"):
        interpret(empty[(i,)], [i], (1,), {empty: torch.empty(0)}, {})


def test_shared_parts_are_computed_once() -> None:
    expr: Expr = literal(1.0, torch.float64)
    for _ in range(100):
        expr = Call("add", (expr, expr), torch.float64)
    assert interpret(expr, [], (), {}, {}).item() == 2.0**100


def test_dtypes_are_those_of_the_expression() -> None:
    mixed = Call("add", (Literal(1, torch.float32), Literal(1, torch.float64)), torch.float32)
    with pytest.raises(AssertionError, match=r"is torch.float64, not torch.float32"):
        interpret(mixed, [], (), {}, {})
