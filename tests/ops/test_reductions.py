"""Reductions against torch: every form of `dim`, dtypes, empty tensors, special values, what is refused."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

import graphc
from graphc import DTypeError, InputError, ShapeError
from graphc.ir import FUNCTIONS, apply
from graphc.ops.reductions import Sum
from graphc.types import DTYPES
from tests.judge import Array, assert_same, label_of, same_as_torch, special_values

NAMES = ["sum", "mean", "amax", "amin"]
FORMS: list[Any] = [None, (), 0, 1, -1, -3, 2, 3, (0,), (0, 1), (1, 0), (-1, 0), (0, 1, 2), [0, 2], (0, 0), (0, -3)]


def arrays(dtype: torch.dtype) -> list[Array]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, 4), (5,), (), (0, 3), (3, 0, 2), (1, 1))
    return [(torch.randn(shape, generator=generator) * 3).abs().to(dtype) for shape in shapes]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES, ids=DTYPES.get)
def test_forms_of_dim(name: str, dtype: torch.dtype) -> None:
    """What torch takes and what it refuses, with and without `keepdim`."""
    f, theirs = FUNCTIONS[name], getattr(torch, name)
    # torch reads None as all dimensions, except in amax and amin, where it is not accepted and we take it.
    forms = [form for form in FORMS if form is not None or name in ("sum", "mean")]
    same_as_torch(
        (label_of(name, x, dim, keepdim), f, theirs, (x, dim, keepdim))
        for x, dim, keepdim in itertools.product(arrays(dtype), forms, (False, True))
    )


@pytest.mark.parametrize("name", NAMES)
def test_default_is_all_dimensions(name: str) -> None:
    same_as_torch((label_of(name, x), FUNCTIONS[name], getattr(torch, name), (x,)) for x in arrays(torch.float64)[:3])


@pytest.mark.parametrize("name", NAMES)
def test_special_values(name: str) -> None:
    """Each special value among ordinary ones, and each with each other one."""
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        x = special_values(dtype)
        if name.startswith("am"):  # which zero the largest of both is depends, in torch, on the position
            x = x.abs()
        pairs = torch.cartesian_prod(x, x)
        ordinary = torch.stack([x, torch.ones_like(x), x * 0 + 2])
        same_as_torch(
            (label_of(name, each, dim), FUNCTIONS[name], getattr(torch, name), (each, dim))
            for each, dim in ((pairs, 1), (pairs, 0), (ordinary, 0), (ordinary, 1), (x, 0))
        )


@pytest.mark.parametrize("name", NAMES)
def test_empty_batch(name: str) -> None:
    """A symbolic size of 0: as torch over an empty dimension, which for amax and amin is an error of the call."""
    x = graphc.placeholder("x", ("batch", 3))
    program = graphc.compile([x], FUNCTIONS[name](x, 0), backend="reference")
    if name in ("sum", "mean"):
        assert_same(program(torch.ones(0, 3)), getattr(torch, name)(torch.ones(0, 3), 0))
    else:
        with pytest.raises(
            InputError, match=rf"^{name}: needs batch >= 1, but batch = 0; built at .*test_red.*py:\d+\. Give"
        ):
            program(torch.ones(0, 3))
    assert_same(program(torch.eye(3)), getattr(torch, name)(torch.eye(3), 0))


def test_refusals() -> None:
    x, counts = graphc.placeholder("x", (2, 0)), graphc.placeholder("n", (3,), torch.int64)
    with pytest.raises(
        DTypeError, match=r"^mean: needs a floating dtype, not i64, in mean\(i64\[3\]\); built.*Convert"
    ):
        counts.mean()
    with pytest.raises(ShapeError, match=r"^amax: dimension 1 is empty, .*, in amax\(f32\[2,0\]\); built at "):
        x.amax(1)
    with pytest.raises(
        ShapeError, match=r"^sum: dimension 2 does not exist, there are 2, in sum\(f32\[2,0\]\); built "
    ):
        x.sum(2)
    with pytest.raises(
        ShapeError, match=r"^sum: a dimension appears twice in \(0, -2\), in sum\(f32\[2,0\]\); built at"
    ):
        x.sum((0, -2))
    with pytest.raises(ShapeError, match=r"^sum: a dimension is an integer, not 1.5, in sum\(f32\[2,0\]\); built at "):
        x.sum(1.5)  # type: ignore[arg-type]
    with pytest.raises(
        ShapeError, match=r"^sum: a dimension is an integer, not 'rows', in sum\(f32\[2,0\]\); built at"
    ):
        x.sum(["rows"])  # type: ignore[list-item]
    assert x.sum(torch.tensor(1)).shape == (2,)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32])
def test_the_op_sums_in_int64(dtype: torch.dtype) -> None:
    """As torch, which promotes to it: the function does so before it builds the op."""
    x = graphc.placeholder("x", (3,), dtype)
    assert graphc.sum(x).dtype is torch.int64
    with pytest.raises(DTypeError, match="sums int64 or floating numbers, as torch does, not"):
        apply(Sum((0,)), x)
