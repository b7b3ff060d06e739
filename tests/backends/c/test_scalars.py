"""Expressions as C where C leaves a choice and torch has made it."""

from __future__ import annotations

import itertools

import pytest
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


def test_casts_on_the_widest_vectors_without_optimisation(monkeypatch: pytest.MonkeyPatch) -> None:
    """gcc 12 ended with an internal error on the upper half of 16 integers."""
    monkeypatch.setenv("GRAPHC_CFLAGS", "-O0")
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", "64")
    dtypes = (torch.int32, torch.float64, torch.float32, torch.int64, torch.uint8, torch.bool)
    pairs = list(itertools.permutations(dtypes, 2))
    symbols = {dtype: graphc.placeholder(f"x{k}", ("n",), dtype) for k, dtype in enumerate(dtypes)}
    casts = [symbols[source].to(dtype) for source, dtype in pairs]
    outputs = [x if x.dtype is torch.bool else x + x for x in casts]
    arrays = {dtype: (torch.arange(37) % 7).to(dtype) for dtype in dtypes}
    results = graphc.compile(list(symbols.values()), outputs, backend="c")(*arrays.values())
    for (source, dtype), result in zip(pairs, results, strict=True):
        x = arrays[source].to(dtype)
        assert_same(result, x if dtype is torch.bool else x + x, f"{source} to {dtype}", bits=True)
