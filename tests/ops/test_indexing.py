"""`x[...]` against torch, with random indices; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import graphc
from graphc import InputError, ShapeError
from graphc.ir import FUNCTIONS
from tests.judge import assert_same, placeholders_for, values_of

edges = st.none() | st.integers(-7, 7)
steps = st.none() | st.integers(1, 4)
parts = st.integers(-6, 6) | st.builds(slice, edges, edges, steps) | st.none() | st.just(...)
shapes = st.lists(st.integers(0, 5), max_size=3).map(tuple)


@settings(max_examples=300)
@given(shapes, st.lists(parts, max_size=4).filter(lambda key: key.count(...) < 2).map(tuple))
def test_random_indices(shape: tuple[int, ...], key: tuple[Any, ...]) -> None:
    """Same values and shapes as torch; where torch refuses, so do we. (torch takes several `...`, and we do not.)"""
    array = torch.arange(torch.Size(shape).numel()).reshape(shape)
    (x,) = placeholders_for([array])
    try:
        expected = array[key]
    except IndexError:
        with pytest.raises(ShapeError, match=r"^getitem: .*, in getitem\(i64\[.*\]\); built at .*test_indexing.py:\d+"):
            x[key]
    else:
        assert_same(values_of([x[key]], [x], [array])[0], expected, key)


@pytest.mark.parametrize(
    "key",
    [0, -1, slice(None), slice(1, None), None, ..., (), numpy.int64(1), torch.tensor(1), slice(numpy.int64(1), 2)],
)
def test_single_indices(key: Any) -> None:
    array = torch.arange(6).reshape(2, 3)
    (x,) = placeholders_for([array])
    assert_same(values_of([x[key]], [x], [array])[0], array[key])


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (True, "an index is bool"),
        ([0, 1], "an index is list"),
        (torch.tensor([0, 1]), "an index is torch.Tensor"),
        (torch.tensor(True), "an index is torch.Tensor"),
        (graphc.placeholder("i", (), torch.int64), "an index is graphc.Tensor"),
        (1.0, "an index is float"),
        ("a", "an index is str"),
        (slice(1.0, None), "a slice is made of integers and sizes, not 1.0"),
        (slice(None, None, -1), "step -1 is not a positive integer"),
        (slice(None, None, 0), "step 0 is not a positive integer"),
        (2, "index 2 is out of range for dimension 0 of size 2"),
        ((0, -4), "index -4 is out of range for dimension 1 of size 3"),
        ((0, 0, 0), "3 indices for 2 dimensions"),
        ((..., ...), "an index has at most one ..."),
    ],
)
def test_refusals(key: Any, problem: str) -> None:
    x = graphc.placeholder("x", (2, 3))
    with pytest.raises(ShapeError, match=r"built at .*test_indexing.py:\d+") as caught:
        x[key]
    assert str(caught.value).startswith(f"getitem: {problem}, ")
    assert ", in getitem(f32[" in str(caught.value)


# Symbolic sizes -------------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 9))
def test_slices_of_symbolic_size(a: int, b: int, n: int) -> None:
    """`a:`, `:-b`, `a:-b`, one element from either end: as torch, or an InputError where torch would clamp or raise."""
    array = torch.arange(n)
    x = graphc.placeholder("x", ("n",), torch.int64)
    for key, fits in (
        (slice(a, None), n >= a),
        (slice(a, -b if b else None), n >= a + b),
        (slice(-b if b else None, None), n >= b),
        (a, n > a),
        (-a - 1, n > a),
    ):
        y = FUNCTIONS["getitem"](x, key)
        if fits:
            assert_same(values_of([y], [x], [array])[0], array[key], key)
        else:
            with pytest.raises(InputError, match=rf"^slice: needs n >= \d+, but n = {n}; built at .*py:\d+\. Give"):
                values_of([y], [x], [array])


def test_types_of_symbolic_slices() -> None:
    x = graphc.placeholder("x", ("n", "m"))
    n, m = x.shape
    types = {
        "f32[n-3,m]": x[3:],
        "f32[n-2,m]": x[:-2],
        "f32[n,m-3]": x[:, 1:-2],
        "f32[0,m]": x[-1:-3],
        "f32[m]": x[-1],
        "f32[n,m]": x[0:],
        "f32[n,1,m]": x[:, None],
        "f32[2*n,m]": graphc.cat([x, x])[: 2 * n],
        "f32[n]": x[..., 0],
        "f32[m,m]": graphc.placeholder("y", (m * 3, "m"))[: m * 3 : 3],
    }
    for text, y in types.items():
        assert str(y.type) == text
    assert x[:].node is x.node


def test_strided_slice_of_symbolic_size() -> None:
    pairs = graphc.placeholder("pairs", ("n",)).unsqueeze(1).expand(-1, 2).flatten()
    x = graphc.placeholder("x", pairs.shape)
    program = graphc.compile([x], x[::2], backend="reference")
    for n in (0, 1, 5):
        array = torch.arange(2.0 * n)
        assert_same(program(array), array[::2])
    with pytest.raises(
        InputError, match=r"^input 'x' has size 3 in dimension 0, expected 2\*n of f32\[2\*n\], and no n"
    ):
        program(torch.ones(3))


def test_undecidable_slices() -> None:
    x = graphc.placeholder("x", ("batch", 4))
    with pytest.raises(
        ShapeError, match=r"the length of \[:5\] on size batch depends on whether batch reaches 5, in.*a:"
    ):
        x[:5]
    with pytest.raises(
        ShapeError, match=r"the length of \[::2\] on size batch, \(batch\) / 2, is not a polynomial, in "
    ):
        x[::2]
    with pytest.raises(
        ShapeError, match=r"the length of \[1:3\] on size batch depends on whether batch reaches 3, in .*"
    ):
        x[1:3]


def test_slice_with_size_of_another_input() -> None:
    """A bound that is a size is checked when sizes are bound."""
    x, y = graphc.placeholder("x", (10,)), graphc.placeholder("y", ("n",))
    program = graphc.compile([x, y], x[: y.shape[0]] * y, backend="reference")
    assert_same(program(torch.arange(10.0), torch.ones(3)), torch.arange(3.0))
    with pytest.raises(
        InputError, match=r"^slice: needs 10 >= n, but n = 11; built at .*test_indexing.py:\d+\. Give another"
    ):
        program(torch.arange(10.0), torch.ones(11))
