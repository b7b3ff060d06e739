"""Calls of graphc's functions beside torch's: every dtype, tensors of all ranks and numbers of all kinds.

A case is a label, our function, torch's, and the operands of both; `judge.same_as_torch` compares them. Functions are
found by their signatures, so that a new one that has torch's name is covered at once.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import torch

import graphc
from graphc.ir import FUNCTIONS, Tensor
from graphc.types import DTYPES
from tests.judge import Array, Case, label_of


def required(f: Callable[..., Any]) -> list[str]:
    """Names of the parameters without a default."""
    return [name for name, p in inspect.signature(f).parameters.items() if p.default is inspect.Parameter.empty]


def torchs(name: str) -> Callable[..., Array]:
    """torch's function of that name."""
    return getattr(torch, name, None) or getattr(torch.nn.functional, name)  # type: ignore[no-any-return]


NOT_POINTWISE = {"amax", "amin", "constant", "dropout", "flatten", "mean", "squeeze", "sum", "t", "clamp", "matmul"}
UNARY = sorted(name for name, f in FUNCTIONS.items() if required(f) == ["x"] and name not in NOT_POINTWISE)
BINARY = sorted(
    name
    for name, f in FUNCTIONS.items()
    if required(f) in (["x", "y"], ["x", "exponent"]) and name not in NOT_POINTWISE
)
OPERATORS = ["add", "sub", "mul", "truediv", "pow", "eq", "ne", "lt", "le", "gt", "ge"]
REDUCTIONS = ["sum", "mean", "amax", "amin", "logsumexp", "softmax", "log_softmax"]

NUMBERS: list[Any] = [True, False, 2, 3, 0, -1, 0.5, 2.0, -1.5, 1000, 1e6, 2**40]
NUMBERS += [0.1, -0.0, 1e39, 1e-46, float("inf"), float("nan"), 2**63 - 1, -(2**63), 10**30, -(2**63) - 1]
NUMPY: list[Any] = [
    *(dtype(2) for dtype in (numpy.float64, numpy.float32, numpy.float16, numpy.int64, numpy.int16, numpy.uint8)),
    *(numpy.float32(0.1), numpy.int8(-1), numpy.uint8(200)),
]
"""On the right of an operator only: what NumPy's scalars do with a torch tensor on their right is NumPy's choice."""


def sample_values(dtype: torch.dtype, shape: tuple[int, ...]) -> Array:
    """Small numbers, zero and negative ones where there are such."""
    count = torch.Size(shape).numel()
    values = torch.tensor([3.0, 0.0, 2.0, -1.0, 1.0, -2.0, 5.0, 0.5, -0.25]).repeat(count)[:count].reshape(shape)
    if dtype is torch.bool:
        return values > 1
    return (values.abs() if dtype is torch.uint8 else values).to(dtype)


SHAPES = ((9,), ())
GRID = [sample_values(dtype, shape) for dtype in DTYPES for shape in SHAPES]
ROWS = [sample_values(dtype, (3, 17)) for dtype in DTYPES if not dtype.is_floating_point]
"""Sums that are exact in any order, and longer than what is added at a time."""


def unary(name: str) -> Iterator[Case]:
    for x in GRID:
        yield label_of(name, x), FUNCTIONS[name], torchs(name), (x,)


def binary(name: str, dtype: torch.dtype) -> Iterator[Case]:
    """The first operand of that dtype, with all others; each n-d and 0-d."""
    for x, y in itertools.product((each for each in GRID if each.dtype is dtype), GRID):
        yield label_of(name, x, y), FUNCTIONS[name], torchs(name), (x, y)


def with_number(name: str, dtype: torch.dtype) -> Iterator[Case]:
    """`x + 2` and `2 + x`."""
    f = getattr(operator, name)
    for x in (each for each in GRID if each.dtype is dtype):
        pairs = [(x, number) for number in (*NUMBERS, *NUMPY)] + [(number, x) for number in NUMBERS]
        for pair in pairs:
            if name == "pow" and isinstance(pair[1], bool) and dtype is torch.bool:
                continue  # torch raises a bool to True, though not to a bool tensor
            if name == "pow" and not isinstance(pair[1], Array) and pair[1] == 1e-46:
                continue  # in torch, whether that is 0 depends on the number of elements
            yield label_of(name, *pair), f, f, pair


def chosen(dtype: torch.dtype) -> Iterator[Case]:
    """`where`, of tensors and numbers; for one dtype of the first."""
    conditions = [torch.tensor([True, False, True] * 3), torch.tensor(False)]
    values = [*GRID, 2, 2.5, True]
    for three in itertools.product(conditions, (x for x in GRID if x.dtype is dtype), values):
        yield label_of("where", *three), graphc.where, torch.where, three
        if not isinstance(three[2], Array):
            turned = (three[0], three[2], three[1])
            yield label_of("where", *turned), graphc.where, torch.where, turned


def clamped(dtype: torch.dtype) -> Iterator[Case]:
    """Numbers and tensors as limits, ties and crossed limits included."""
    limits = [None, -1, 2, 0.5, True, 300, float("nan"), float("inf"), numpy.float32(0.1), numpy.int64(1)]
    tensors = [None, GRID[0], torch.tensor(1), torch.tensor([0.5]), torch.full((9,), float("nan"), dtype=torch.float64)]
    for x, kind in itertools.product((each for each in GRID if each.dtype is dtype), (limits, tensors)):
        for pair in itertools.product(kind, kind):
            # torch reads -1 as 255 where x is unsigned; we refuse.
            if not (dtype is torch.uint8 and any(limit == -1 for limit in pair if isinstance(limit, int))):
                yield label_of("clamp", x, *pair), graphc.clamp, torch.clamp, (x, *pair)


def casts() -> Iterator[Case]:
    """Every dtype to every other."""
    for x, dtype in itertools.product(GRID, DTYPES):
        yield f"cast {DTYPES[x.dtype]} {dtype}", Tensor.to, Array.to, (x, dtype)


def reduced(name: str) -> Iterator[Case]:
    for x, dim in (*((x, 0) for x in GRID), *((x, 1) for x in ROWS)):
        yield label_of(name, x), FUNCTIONS[name], torchs(name), (x, dim)


def joined(dtype: torch.dtype) -> Iterator[Case]:
    """`cat` and `stack` of that dtype and every other, and products of matrices of both."""
    first = sample_values(dtype, (3, 3))
    for other in DTYPES:
        second = sample_values(other, (3, 3)).flip(0)
        for name, f in (("cat", torch.cat), ("stack", torch.stack)):
            ours = functools.partial(_of_two, FUNCTIONS[name])
            yield label_of(name, first, second), ours, functools.partial(_of_two, f), (first, second)
        yield label_of("matmul", first, second), graphc.matmul, torch.matmul, (first, second)
    for row in (x for x in ROWS if x.dtype is dtype):
        yield label_of("matmul", row, row.T[:, :1]), graphc.matmul, torch.matmul, (row, row.T[:, :1])


def _of_two(f: Callable[..., Any], x: Any, y: Any) -> Any:
    return f((x, y))


def constants() -> Iterator[Case]:
    """What torch makes of numbers, lists and arrays, with and without a dtype."""
    values: list[Any] = [True, 7, -1, 0.1, -0.0, 1e39, 300, 2**40, [1, 2], [1, 2.5], [True, False], [[0.1], [-1.0]], []]
    values += [
        numpy.float64(0.1),
        numpy.float32(0.1),
        numpy.int8(3),
        numpy.bool_(True),
        numpy.array([1, 2], numpy.int16),
    ]
    values += [numpy.array(0.5), numpy.arange(6.0)[::-2], torch.tensor([1, 2], dtype=torch.uint8), float("nan")]
    x = torch.zeros(())
    for value, dtype in itertools.product(values, (None, *DTYPES)):
        ours = functools.partial(_constant, value, dtype)
        yield f"constant {value!r} {dtype}", ours, functools.partial(_torch_tensor, value, dtype), (x,)


def _constant(value: Any, dtype: torch.dtype | None, x: Tensor) -> Tensor:
    return graphc.constant(value, dtype)


def _torch_tensor(value: Any, dtype: torch.dtype | None, x: Array) -> Array:
    array = numpy.array(value) if isinstance(value, (numpy.ndarray, numpy.generic)) else value
    return torch.as_tensor(array, dtype=dtype)
