"""Reshaping, permuting, broadcasting, joining against torch: the same expression on symbols and on values."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import ShapeError
from graphc.types import DTYPES
from tests.judge import Array, same_as_torch

EXPRESSIONS: list[Callable[[Any], Any]] = [
    lambda x: x.reshape(6),
    lambda x: x.reshape(3, 2),
    lambda x: x.reshape((3, 2)),
    lambda x: x.reshape([-1]),
    lambda x: x.reshape(-1, 2),
    lambda x: x.reshape(2, -1, 3),
    lambda x: x.reshape(-1, -1),
    lambda x: x.reshape(4, 2),
    lambda x: x.reshape(-1, 4),
    lambda x: x.reshape(()),
    lambda x: x.reshape(0, -1),
    lambda x: x.reshape(-1, 0),
    lambda x: x.reshape(numpy.int64(-1), 1),
    lambda x: x.reshape(x.shape),
    lambda x: x.reshape(-2, 3),
    lambda x: x.view(3, 2),
    lambda x: x.flatten(),
    lambda x: x.flatten(1),
    lambda x: x.flatten(0, 1),
    lambda x: x.flatten(-2, -1),
    lambda x: x.flatten(1, 0),
    lambda x: x.flatten(-3),
    lambda x: x.permute(1, 0),
    lambda x: x.permute((-1, -2)),
    lambda x: x.permute(0, 1),
    lambda x: x.permute(0),
    lambda x: x.permute(0, 0),
    lambda x: x.permute(0, 1, 2),
    lambda x: x.transpose(0, 1),
    lambda x: x.transpose(-1, 0),
    lambda x: x.transpose(0, 0),
    lambda x: x.transpose(0, 2),
    lambda x: x.t(),
    lambda x: x.transpose(-2, -1),
    lambda x: x.squeeze(),
    lambda x: x.squeeze(0),
    lambda x: x.squeeze(-1),
    lambda x: x.squeeze((0, 1)),
    lambda x: x.squeeze((0, 0)),
    lambda x: x.squeeze(2),
    lambda x: x.unsqueeze(0),
    lambda x: x.unsqueeze(-1),
    lambda x: x.unsqueeze(2),
    lambda x: x.unsqueeze(-3),
    lambda x: x.unsqueeze(4),
    lambda x: x.expand(2, 3),
    lambda x: x.expand(4, 2, 3),
    lambda x: x.expand((2, -1)),
    lambda x: x.expand(-1, 3),
    lambda x: x.expand(-1, -1),
    lambda x: x.expand(-1, 2, 3),
    lambda x: x.expand(5),
    lambda x: x.expand(0, 3),
    lambda x: x.expand(-2, 3),
    lambda x: x.broadcast_to((4, 2, 3)),
    lambda x: x.broadcast_to((-1, 3)),
    lambda x: x.broadcast_to((3,)),
    lambda x: x.broadcast_to((-1, -1, 3)),
]


def text_of(f: Callable[[Any], Any]) -> str:
    return inspect.getsource(f).strip().removeprefix("lambda x: ").removesuffix(",")


@pytest.mark.parametrize("f", EXPRESSIONS, ids=text_of)
def test_expression(f: Callable[[Any], Any]) -> None:
    """On every shape, whether it fits or not."""
    shapes = [(), (1,), (6,), (2, 3), (1, 3), (2, 1), (1, 1), (2, 0), (0, 3), (2, 1, 3), (1, 2, 3)]
    arrays = [torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape) for shape in shapes]
    same_as_torch((f"{list(x.shape)}", f, f, (x,)) for x in arrays)


def test_transposing_properties() -> None:
    """`T` of any rank, which torch has deprecated beyond matrices, and `mT` of matrices and stacks of them."""
    for shape in ((), (3,), (2, 3), (2, 3, 4)):
        x = graphc.placeholder("x", shape)
        assert x.T.shape == tuple(reversed(shape))
        if len(shape) >= 2:
            assert x.mT.shape == (*shape[:-2], shape[-1], shape[-2])
        else:
            with pytest.raises(ShapeError, match=r"^transpose: dimension -2 does not exist, there are [01], in transp"):
                _ = x.mT


def pair(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Array:
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


@pytest.mark.parametrize("name", ["cat", "stack"])
def test_joining(name: str) -> None:
    """All pairs of shapes along all dimensions; all pairs of dtypes; 1, 3 and no tensors; empty vectors."""
    ours, theirs = getattr(graphc, name), getattr(torch, name)
    shapes = [(), (2,), (3,), (0,), (2, 3), (2, 1), (0, 3), (2, 3, 1)]

    def cases() -> Any:
        def along(dim: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
            return (lambda *xs: ours(xs, dim)), (lambda *xs: theirs(xs, dim))

        for dim in (-3, -2, -1, 0, 1, 2):
            for a, b in itertools.product(shapes, shapes):
                if (a, b) != ((0,), (0,)):  # for which torch does not look at `dim`
                    yield f"{a} {b} {dim}", *along(dim), (pair(a), pair(b))
        for a, b in itertools.product(DTYPES, DTYPES):
            yield f"{a} {b}", *along(0), (pair((2,), a), pair((2,), b))
        for count in (1, 3):
            yield f"{count}", *along(-1), tuple(pair((2, k + 1 if name == "cat" else 2)) for k in range(count))

    same_as_torch(cases())


def test_joining_0d_of_mixed_dtypes() -> None:
    xs = (torch.tensor(1.5), torch.tensor(2), torch.tensor(True))
    same_as_torch([("stack", lambda *x: graphc.stack(x), lambda *x: torch.stack(x), xs)])


def test_refusals() -> None:
    x = graphc.placeholder("x", (2, 3))
    with pytest.raises(
        ShapeError, match=r"^reshape: 6 elements do not fit f32\[4,2\], which has 8, in reshape\(f32\[2,3"
    ):
        x.reshape(4, 2)
    with pytest.raises(ShapeError, match=r"^reshape: only one size can be -1, in reshape\(f32\[2,3\]\); built at "):
        x.reshape(-1, -1)
    with pytest.raises(
        ShapeError, match=r"^reshape: 6 elements are not a multiple of 4 for every value of the sizes, in"
    ):
        x.reshape(-1, 4)
    with pytest.raises(ShapeError, match=r"^reshape: size -2 is negative; .*, in reshape\(f32\[2,3\]\); built at "):
        x.reshape(-2, 3)
    with pytest.raises(
        ShapeError, match=r'^reshape: a size is an integer or a name, such as "batch", not 1.5, in reshape\(f32'
    ):
        x.reshape(1.5)
    with pytest.raises(
        ShapeError, match=r"^expand: size 2 does not broadcast to 4, in expand\(f32\[2,3\]\); built at "
    ):
        x.expand(4, 3)
    with pytest.raises(
        ShapeError, match=r"^expand: 2 dimensions do not broadcast to 1, in expand\(f32\[2,3\]\); built "
    ):
        x.expand(3)
    with pytest.raises(
        ShapeError, match=r"^expand: -1 has no size to keep in an added dimension, in expand\(f32\[2,3\]"
    ):
        x.expand(-1, 2, 3)
    with pytest.raises(
        ShapeError, match=r"^permute: \(0,\) does not name each of 2 dimensions once, in permute\(f32\["
    ):
        x.permute(0)
    with pytest.raises(
        ShapeError, match=r"^flatten: start_dim 1 comes after end_dim 0, in flatten\(f32\[2,3\]\); built "
    ):
        x.flatten(1, 0)
    with pytest.raises(
        ShapeError, match=r"^t: takes at most 2 dimensions, not 3, in t\(f32\[1,2,3\]\); built.*Use x.mT"
    ):
        x[None].t()
    with pytest.raises(
        ShapeError, match=r"^cat: numbers of dimensions differ, 2 != 1, in cat\(f32\[2,3\], f32\[3\]\); b"
    ):
        graphc.cat([x, x[0]])
    with pytest.raises(
        ShapeError, match=r"^cat: sizes differ in dimension 1, 3 != 2, in cat\(f32\[2,3\], f32\[2,2\]\); "
    ):
        graphc.cat([x, x[:, :2]])
    with pytest.raises(
        ShapeError, match=r"^cat: 0-d tensors cannot be concatenated, in cat\(f32\[\], f32\[\]\); .*stack"
    ):
        graphc.cat([x.sum(), x.mean()])
    with pytest.raises(ShapeError, match=r"^cat: takes a non-empty list of tensors, not \[\]; built at "):
        graphc.cat([])
    with pytest.raises(
        ShapeError, match=r"^cat: takes a non-empty list of tensors, not <symbolic placeholder : f32\[2,3"
    ):
        graphc.cat(x)  # type: ignore[arg-type]
    with pytest.raises(
        ShapeError, match=r"^stack: numbers of dimensions differ, 2 != 1, in stack\(f32\[2,3\], f32\[3\]"
    ):
        graphc.stack([x, x[0]])
