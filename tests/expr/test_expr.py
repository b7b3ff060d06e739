"""Builders fold index arithmetic and give numbers their dtype; expressions print as they are read."""

from __future__ import annotations

import pytest
import torch

from graphc.dims import symbol
from graphc.expr import Call, Expr, Index, Literal, Reduce, Select, call, cast, literal, reduce, select
from graphc.ops.contractions import Matmul
from graphc.ops.reductions import Mean
from graphc.ops.selections import Clamp
from graphc.ops.views import Cat, SlicePad
from graphc.types import TensorType
from tests.expr.source import Source, element_of

i, j = Index("i"), Index("j")
n = symbol("n")
x = Source("x", (3, 4))[i, j]


def test_numbers_take_the_dtype_of_the_expressions() -> None:
    assert call("mul", 2, x) == Call("mul", (Literal(2, torch.float32), x), torch.float32)
    assert call("add", i, n) == Call("add", (i, Literal(n, torch.int64)), torch.int64)
    assert select(call("gt", x, 0), 0, x).dtype is torch.float32
    assert select(call("gt", x, 0), x, 0).otherwise.dtype is torch.float32
    assert literal(n).dtype is torch.int64


def test_comparisons_give_bool() -> None:
    assert call("lt", x, 0).dtype is torch.bool
    assert call("add", x, 0).dtype is torch.float32


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        (call("add", i, 0), "i"),
        (call("add", 0, i), "i"),
        (call("sub", i, 0), "i"),
        (call("mul", i, 1), "i"),
        (call("mul", 1, i), "i"),
        (call("mul", i, 0), "0"),
        (call("floordiv", i, 1), "i"),
        (call("floordiv", 0, i), "0"),
        (call("mod", i, 1), "0"),
        (call("add", literal(n), 2), "n + 2"),
        (call("sub", literal(n), n), "0"),
        (call("mul", literal(n), 3), "3*n"),
        (call("sub", 0, i), "sub(0, i)"),
        (call("add", i, j), "add(i, j)"),
    ],
    ids=str,
)
def test_index_arithmetic_is_folded(folded: Expr, expected: str) -> None:
    assert str(folded) == expected
    assert folded.dtype is torch.int64


def test_arithmetic_of_other_dtypes_is_not_folded() -> None:
    """x + 0 is not x where x is -0."""
    assert str(call("add", x, 0)) == "add(x[i, j], 0)"
    assert str(call("mul", x, 1)) == "mul(x[i, j], 1)"


def test_a_known_condition_chooses() -> None:
    assert select(literal(True, torch.bool), x, 0) is x
    assert select(literal(False, torch.bool), 0, x) is x
    assert isinstance(select(call("lt", i, 3), x, 0), Select)


def test_cast_to_the_same_dtype_is_none() -> None:
    assert cast(x, torch.float32) is x
    assert str(cast(x, torch.float64)) == "float64(x[i, j])"


def test_reduce_has_an_index_for_each_size() -> None:
    body = Source("y", (3, n))
    result = reduce("amax", (3, n), lambda r: body[r])
    assert isinstance(result, Reduce)
    assert isinstance(result.body, Reduce)
    assert (result.size, result.body.size) == (3, n)
    assert result.index != result.body.index
    assert result.body.body == body[result.index, result.body.index]
    assert reduce("sum", (), lambda r: x) is x


f32 = torch.float32


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        (
            element_of(Matmul(), TensorType((3, n), f32), TensorType((n, 5), f32)),
            "sum[r < n](mul(x0[i0, r], x1[r, i1]))",
        ),
        (element_of(Mean((1,)), TensorType((3, n), f32)), "div(sum[r < n](x0[i0, r]), float32(n))"),
        (element_of(Clamp(0.5, None), TensorType((3,), f32)), "(lt(x0[i0], 0.5) ? 0.5 : x0[i0])"),
        (
            element_of(Cat(0), TensorType((n,), f32), TensorType((2,), f32)),
            "(lt(i0, n) ? x0[i0] : x1[sub(i0, n)])",
        ),
        (
            element_of(SlicePad(0, 1, n), TensorType((3,), f32)),
            "(and(ge(sub(i0, 1), 0), lt(sub(i0, 1), 3)) ? x0[sub(i0, 1)] : 0)",
        ),
    ],
    ids=["matmul", "mean", "clamp", "cat", "slice_pad"],
)
def test_printing(element: Expr, expected: str) -> None:
    """Only the serial numbers of reduction indices are left out."""
    text = str(element)
    part = element.args[0] if isinstance(element, Call) else element
    if isinstance(part, Reduce):
        text = text.replace(part.index.name, "r")
    assert text == expected
