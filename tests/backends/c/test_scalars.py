"""Expressions as C where C leaves a choice and torch has made it."""

from __future__ import annotations

import torch

import graphc
from tests.judge import assert_same


def test_floating_numbers_wrap_around_in_uint8() -> None:
    """By way of int64: also where 32 bits do not hold the number."""
    numbers = [-1.9, -129.0, 255.9, 256.0, 300.0, 70000.0, -(2.0**31) - 1, 2.0**32 + 5000]
    x = torch.tensor(numbers * 5, dtype=torch.float64)
    symbol = graphc.placeholder("x", (40,), torch.float64)
    result = graphc.compile([symbol], symbol.to(torch.uint8), backend="c")(x)
    assert_same(result, x.to(torch.int64).to(torch.uint8), bits=True)


def test_integers_wrap_around_where_the_compiler_knows_more() -> None:
    """A truth value is 0 or 1, from which a compiler concluded that the sum is the larger number, or negative."""
    largest, wrapped = 2**63 - 1, torch.tensor([-(2**63)])
    x = graphc.placeholder("x", (1,), torch.bool)
    outputs = [x + largest, -(x + largest), (x + largest).abs(), (x + largest) * 1 + 0, (x + largest).sum()]
    program = graphc.compile([x], outputs, backend="c")
    expected = [wrapped, wrapped, wrapped, wrapped, wrapped[0]]
    for actual, each in zip(program(torch.tensor([True])), expected, strict=True):
        assert_same(actual, each, bits=True)
