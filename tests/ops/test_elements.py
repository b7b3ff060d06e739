"""What `at` tells where samples do not go: unusual attributes on special values, and symbolic sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

from graphc.dims import Size, evaluate, symbol
from graphc.ir import Op
from graphc.ops.activations import LeakyRelu
from graphc.ops.arithmetic import PowNumber
from graphc.ops.leaves import Full, Iota, SizeValue
from graphc.ops.packing import Pack
from graphc.ops.reductions import Amax, Mean, Sum
from graphc.ops.selections import Clamp
from graphc.ops.views import Broadcast, Cat, Permute, Slice, SlicePad
from graphc.types import TensorType
from tests.expr.source import interpreted
from tests.judge import assert_same, special_values

n = symbol("n")


@pytest.mark.parametrize(
    "op",
    [
        *(PowNumber(exponent) for exponent in (0, 0.0, 1, 2, 2.0, 3, 0.5, -0.5, -1, -2, -3, 7, 1.5, math.inf)),
        *(Clamp(low, high) for low, high in ((0.0, None), (-0.0, None), (None, 0.0), (None, -0.0), (1.0, -1.0))),
        *(Clamp(low, high) for low, high in ((math.nan, 1.0), (-1.0, math.nan), (math.nan, None), (-math.inf, 0.0))),
        *(LeakyRelu(slope) for slope in (0.0, -1.0, math.inf)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_attributes_on_special_values(op: Op, dtype: torch.dtype) -> None:
    x = torch.cat([special_values(dtype), torch.linspace(-3, 3, 50, dtype=dtype)])
    actual, expected = interpreted(op, [TensorType(tuple(x.shape), dtype)], [x], {}), op.eval(x)
    if op == PowNumber(-0.5):  # torch has a vector loop of its own for 1 / sqrt(x), which rounds differently
        assert_same(actual, expected, rtol=torch.finfo(dtype).eps, atol=0.0)
    else:
        assert_same(actual, expected, bits=True)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.uint8], ids=str)
def test_powers_of_integers_wrap(exponent: int, dtype: torch.dtype) -> None:
    x = torch.arange(-128 if dtype.is_signed else 0, 128).to(dtype)
    op = PowNumber(exponent)
    assert torch.equal(interpreted(op, [TensorType(tuple(x.shape), dtype)], [x], {}), op.eval(x))


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (SizeValue(2 * n, torch.int64), ()),
        (Full(1.5, (n, 2), torch.float64), ()),
        (Iota(n + 1), ()),
        (Sum((0, 1)), ((n, 3),)),
        (Mean((0, 2)), ((n, 2, n),)),
        (Amax((1,)), ((n, 3),)),
        (Permute((2, 0, 1)), ((n, 2, 3),)),
        (Broadcast((n, 2, n)), ((2, 1),)),
        (Broadcast((3, n)), ((1, n),)),
        (Slice(0, n, n + 1, 2), ((4 * n, 2),)),
        (SlicePad(0, n, 4 * n, 2), ((n + 1, 2),)),
        (SlicePad(1, 0, 2 * n), ((2, n),)),
        (Cat(0), ((n, 2), (3, 2), (0, 2), (2 * n, 2))),
        (Cat(0), ((n,),) * 9),
        (Pack(), ((3, 2), (), (0, 4), (1, 5, 1), (2, 2, 2))),
    ],
    ids=str,
)
def test_symbolic_sizes(op: Op, shapes: Sequence[tuple[Size, ...]]) -> None:
    """The expression is made once, and holds whatever sizes are bound."""
    types = [TensorType(shape, torch.float64) for shape in shapes]
    for size in (1, 2, 5):
        sizes = {"n": size}
        generator = torch.Generator().manual_seed(0)
        bounds = [[evaluate(d, sizes) for d in shape] for shape in shapes]
        arrays = [torch.randint(-9, 9, shape, generator=generator).double() for shape in bounds]
        assert_same(interpreted(op, types, arrays, sizes), op.bound(sizes).eval(*arrays), size, rtol=1e-15, atol=0.0)
