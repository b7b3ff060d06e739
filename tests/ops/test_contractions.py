"""matmul against torch: vectors, matrices and stacks of them in every combination."""

from __future__ import annotations

import itertools

import pytest
import torch

import graphc
from graphc import DTypeError, ShapeError
from graphc.types import DTYPES
from tests.judge import label_of, same_as_torch

SHAPES = [
    (),
    (3,),
    (4,),
    (0,),
    (2, 3),
    (3, 4),
    (3, 0),
    (0, 3),
    (5, 2, 3),
    (5, 3, 4),
    (1, 3, 2),
    (2, 5, 3, 3),
    (1, 1, 3, 1),
]


# torch has no product of booleans, except where it is empty; we have none.
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype is not torch.bool], ids=DTYPES.get)
def test_ranks(dtype: torch.dtype) -> None:
    """All pairs of shapes, whether they fit or not."""
    generator = torch.Generator().manual_seed(0)
    arrays = [(torch.rand(shape, generator=generator) * 4).to(dtype) for shape in SHAPES]
    same_as_torch(
        (label_of("matmul", x, y), graphc.matmul, torch.matmul, (x, y)) for x, y in itertools.product(arrays, arrays)
    )


def test_symbolic_batch() -> None:
    x = graphc.placeholder("x", ("batch", "time", 3))
    y = x @ torch.ones(3, 2)
    assert str(y.type) == "f32[batch,time,2]"
    assert str((y @ y.mT).type) == "f32[batch,time,time]"
    program = graphc.compile([x], y @ y.mT, backend="reference")
    for batch, time in ((2, 4), (0, 4), (2, 0)):
        assert program(torch.ones(batch, time, 3)).shape == (batch, time, time)


def test_refusals() -> None:
    x, w = graphc.placeholder("x", ("batch", 784)), graphc.placeholder("w", (512, 10))
    text = r"^matmul: inner sizes differ, 784 != 512, in f32\[batch,784\] @ f32\[512,10\]; built at .*tions.py:\d+\. "
    with pytest.raises(ShapeError, match=text):
        x @ w
    with pytest.raises(
        ShapeError, match=r"^matmul: inner sizes: cannot decide whether batch == 512: .*, in f32\[784,batch"
    ):
        x.T @ w
    with pytest.raises(
        DTypeError, match=r"^matmul: dtypes differ, f32 != f64, in f32.* @ f64.*; built.*Convert one of"
    ):
        x @ graphc.placeholder("v", (784,), torch.float64)
    with pytest.raises(ShapeError, match=r"^matmul: takes at least 1 dimension on each side, in .* @ i64\[\].*Use \*"):
        x @ 2
    with pytest.raises(
        ShapeError, match=r"^matmul: sizes differ in dimension -3, 2 != 3, and neither is 1, in f32\[2,4,5"
    ):
        graphc.placeholder("a", (2, 4, 5)) @ graphc.placeholder("b", (3, 5, 6))
    with pytest.raises(DTypeError, match=r"^matmul: is not defined for bool, in bool\[2,2\] @ bool\[2,2\]; built at "):
        graphc.placeholder("a", (2, 2), torch.bool) @ graphc.placeholder("b", (2, 2), torch.bool)
