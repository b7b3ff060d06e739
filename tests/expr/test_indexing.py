"""Indices in another shape: affine wherever they can be, and always those of the right element."""

from __future__ import annotations

import pytest
import torch

from graphc.dims import Size, evaluate, symbol
from graphc.expr import Expr, Index, Load, call, interpret, joined, reshaped
from graphc.ops.views import Reshape
from graphc.types import TensorType
from tests.expr.source import Source, indices_of, interpreted

n, m = symbol("n"), symbol("m")


@pytest.mark.parametrize(
    ("before", "shape", "expected"),
    [
        ((3, 4), (3, 4), "i0, i1"),
        ((3, n, 4), (3, n, 4), "i0, i1, i2"),
        ((n, m), (n, 1, m), "i0, i2"),
        ((n, 1, m), (n, m), "i0, 0, i1"),
        ((), (1, 1), ""),
        ((1, 1), (), "0, 0"),
        ((3, 4), (12,), "floordiv(i0, 4), mod(i0, 4)"),
        ((12,), (3, 4), "add(mul(i0, 4), i1)"),
        ((n, 3, 4), (n, 12), "i0, floordiv(i1, 4), mod(i1, 4)"),
        ((n, 12), (n, 3, 4), "i0, add(mul(i1, 4), i2)"),
        ((n, m), (n * m,), "floordiv(i0, m), mod(i0, m)"),
        ((n * m,), (n, m), "add(mul(i0, m), i1)"),
        ((n * m, 5), (n, m, 5), "add(mul(i0, m), i1), i2"),
        ((2 * n, 3), (n, 6), "floordiv(add(mul(i0, 6), i1), 3), mod(add(mul(i0, 6), i1), 3)"),
        ((n, 4), (4, n), "floordiv(add(mul(i0, n), i1), 4), mod(add(mul(i0, n), i1), 4)"),
        ((2, 3, 5), (6, 5), "floordiv(i0, 3), mod(i0, 3), i1"),
        ((2, 3, 4), (24,), "floordiv(i0, 12), mod(floordiv(i0, 4), 3), mod(i0, 4)"),
        ((n + 1, 2), (2 * n + 2,), "floordiv(i0, 2), mod(i0, 2)"),
        ((0, 3), (5, 0), "0, 0"),
    ],
    ids=str,
)
def test_reshaped(before: tuple[Size, ...], shape: tuple[Size, ...], expected: str) -> None:
    assert ", ".join(map(str, reshaped(indices_of(shape), shape, before))) == expected


@pytest.mark.parametrize(
    ("before", "shape"),
    [
        ((2, 3, 4), (24,)),
        ((24,), (2, 3, 4)),
        ((4, 6), (6, 4)),
        ((4, 3, 2, 5), (2, 6, 2, 5)),
        ((1, 6, 1), (2, 1, 3)),
        ((2, 0, 3), (2, 3, 0)),
        ((0,), (3, 0)),
        ((n, m), (m, n)),
        ((n, 4), (4, n)),
        ((2 * n, 3), (n, 6)),
        ((n, m, 2), (n * m * 2,)),
        ((n * m * 2,), (m, 2, n)),
        ((n, m, n), (m * n * n, 1)),
        ((n + 1, m), (m, n + 1)),
    ],
    ids=str,
)
def test_reshape_by_its_elements_is_reshape(before: tuple[Size, ...], shape: tuple[Size, ...]) -> None:
    for sizes in ({"n": 3, "m": 4}, {"n": 1, "m": 2}, {"n": 2, "m": 1}, {"n": 0, "m": 2}, {"n": 3, "m": 0}):
        bounds = [evaluate(size, sizes) for size in before]
        x = torch.arange(torch.Size(bounds).numel()).reshape(bounds)
        expected = x.reshape([evaluate(size, sizes) for size in shape])
        actual = interpreted(Reshape(shape), [TensorType(before, x.dtype)], [x], sizes)
        assert torch.equal(actual, expected), sizes


def test_joined_nests_a_few_deep() -> None:
    """A thousand parts, some of them empty, are told apart in ten questions."""
    sizes = [k % 3 for k in range(1000)]
    place = Index("i")
    parts = [Source(f"x{k}", (size,), torch.int64) for k, size in enumerate(sizes)]
    expr = joined(place, sizes, lambda k, j: parts[k][(j,)])
    assert depth_of(expr) == 10
    arrays = {part: 10 * k + torch.arange(size) for k, (part, size) in enumerate(zip(parts, sizes, strict=True))}
    assert torch.equal(interpret(expr, [place], [sum(sizes)], arrays, {}), torch.cat(list(arrays.values())))


def test_one_part_is_read_without_a_question() -> None:
    place = Index("i")
    assert joined(place, [n], lambda k, j: call("add", j, k)) is place


def depth_of(expr: Expr) -> int:
    """How many questions are asked at most."""
    pending, deepest = [(expr, 0)], 0
    while pending:
        part, depth = pending.pop()
        deepest = max(deepest, depth)
        if not isinstance(part, Load):
            pending += [(part.then, depth + 1), (part.otherwise, depth + 1)]
    return deepest
