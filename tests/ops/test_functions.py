"""Functions and operators against torch: every pair of dtypes, 0-d tensors, numbers, broadcasting.

Where torch refuses, graphc refuses when the graph is built.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Mapping
from typing import Any

import pytest
import torch

import graphc
from graphc import DTypeError
from graphc.ir import FUNCTIONS, Tensor
from graphc.types import DTYPES
from tests.judge import Array, assert_same, label_of, same_as_torch, special_values
from tests.ops import cases
from tests.ops.cases import BINARY, OPERATORS, UNARY, torchs


def test_all_are_found() -> None:
    assert {"abs", "exp", "leaky_relu", "log", "neg", "relu", "sign", "square"} <= set(UNARY)
    assert {"add", "div", "eq", "ge", "maximum", "minimum", "mul", "pow", "sub"} <= set(BINARY)


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    same_as_torch(cases.unary(name))


@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str) -> None:
    """All pairs of dtypes, each n-d and 0-d."""
    same_as_torch(case for dtype in DTYPES for case in cases.binary(name, dtype))


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_with_number(name: str) -> None:
    """`x + 2` and `2 + x` for every dtype."""
    same_as_torch(case for dtype in DTYPES for case in cases.with_number(name, dtype))


def test_number_where_torch_wants_a_tensor() -> None:
    """torch refuses some numbers; here they count as they do in torch's operators."""
    x = graphc.placeholder("x", (3,), torch.int32)
    assert graphc.maximum(x, 2).dtype is torch.int32
    assert graphc.minimum(2.5, x).dtype is torch.float32
    assert graphc.div(1, x).dtype is torch.float32


def test_where() -> None:
    same_as_torch(case for dtype in DTYPES for case in cases.chosen(dtype))


def test_clamp() -> None:
    same_as_torch(case for dtype in DTYPES for case in cases.clamped(dtype))


def test_joined() -> None:
    same_as_torch(case for dtype in DTYPES for case in cases.joined(dtype))


def test_constants() -> None:
    same_as_torch(cases.constants())


def test_number_that_does_not_fit() -> None:
    x = graphc.placeholder("x", (3,), torch.uint8)
    with pytest.raises(DTypeError, match=r"^clamp: -1 does not fit u8; built at .*test_functions.py:\d+. Convert"):
        graphc.clamp(x, min=-1)
    with pytest.raises(DTypeError, match=r"^where: 300 does not fit u8; built at .*test_functions.py:\d+. Convert"):
        graphc.where(x > 2, x, 300)
    y = graphc.placeholder("y", (3,))
    with pytest.raises(DTypeError, match=r"^pow: 10{30} does not fit 64 bits; built at .*:\d+. Write it as a float"):
        y**10**30
    with pytest.raises(DTypeError, match=r"^add: 9223372036854775808 does not fit i64; built at .*functions.py:\d+"):
        x + 2**63


def test_cast() -> None:
    """NaN and all numbers but zero are True."""
    same_as_torch(cases.casts())
    specials = special_values(torch.float32)
    floating = [dtype for dtype in DTYPES if dtype.is_floating_point]
    same_as_torch((f"cast {dtype}", Tensor.to, Array.to, (specials, dtype)) for dtype in [*floating, torch.bool])


SHAPES = [(), (1,), (3,), (2, 3), (1, 3), (2, 1), (4, 1, 3), (4, 2, 1), (1, 1, 1), (0,), (0, 3), (2, 0), (1, 4, 1, 1)]


@pytest.mark.parametrize("name", ["add", "eq", "where", "clamp"])
def test_broadcasting(name: str) -> None:
    """All pairs of shapes, whether they fit or not."""
    arrays = [torch.arange(torch.Size(shape).numel(), dtype=torch.float32).reshape(shape) for shape in SHAPES]
    mask = torch.tensor([[True], [False]])

    def operands(x: Array, y: Array) -> tuple[Array, ...]:
        return (mask, x, y) if name == "where" else (x, y)

    same_as_torch(
        (f"{name} {tuple(x.shape)} {tuple(y.shape)}", FUNCTIONS[name], torchs(name), operands(x, y))
        for x, y in itertools.product(arrays, arrays)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=DTYPES.get)
def test_special_values(dtype: torch.dtype) -> None:
    """NaN, infinities, signed zeros and denormals in every function, every value with every other."""
    x = special_values(dtype)
    a, b = (each.flatten() for each in torch.meshgrid(x, x, indexing="ij"))
    unary = [(f"{name} special", FUNCTIONS[name], torchs(name), (x,)) for name in UNARY]
    # Which zero a maximum of both takes depends, in torch, on the position.
    binary = [
        (f"{name} special", FUNCTIONS[name], torchs(name), (a, b) if "imum" not in name else (a.abs(), b.abs()))
        for name in BINARY
    ]
    numbers = [
        (label_of(name, number), f, f, pair)
        for name in OPERATORS
        for f in (getattr(operator, name),)
        for number in (0.0, -0.0, 2.0, 0.5, float("inf"), float("nan"))
        for pair in ((x, number), (number, x))
    ]
    limits = [(x, low, high) for low in (None, -0.5, 0.0, float("nan")) for high in (None, 2, float("-inf"))]
    clamped = [(label_of("clamp", *case), graphc.clamp, torch.clamp, case) for case in limits]
    chosen = [("where special", graphc.where, torch.where, (a > b, a, b))]
    same_as_torch([*unary, *binary, *numbers, *clamped, *chosen])


def test_gradients_of_clamp_between_tensors() -> None:
    """Ties, crossed limits and NaN; where the limits are equal, torch gives the gradient to x or to none."""
    values = [-1.0, 0.0, 1.0, 2.0, float("nan"), float("inf"), float("-inf")]
    x, low, high = (torch.tensor(column, dtype=torch.float64) for column in zip(*itertools.product(values, repeat=3)))
    for limits in ({"min": low}, {"max": high}, {"min": low, "max": high}):
        arrays = [each.clone().requires_grad_() for each in (x, *limits.values())]
        weights = torch.arange(1.0, 1.0 + x.numel(), dtype=torch.float64)
        value = torch.clamp(arrays[0], **dict(zip(limits, arrays[1:])))
        expected = torch.autograd.grad(value, arrays, weights)
        symbols = [graphc.placeholder(name, (x.numel(),), torch.float64) for name in ("x", *limits)]
        result = graphc.clamp(symbols[0], **dict(zip(limits, symbols[1:])))
        found = graphc.compile(
            symbols, graphc.grad((result * graphc.constant(weights)).sum(), symbols), backend="reference"
        )(*(each.detach() for each in arrays))
        for name, actual, wanted in zip(("x", *limits), found, expected, strict=True):
            assert_same(actual, wanted, f"the gradient of {name} with {list(limits)}")


METHODS = [name for name in FUNCTIONS if hasattr(Tensor, name) and name not in {"where", "constant"}]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_method_is_the_function(name: str) -> None:
    x = graphc.placeholder("x", (1, 4))
    arguments: Mapping[str, tuple[Any, ...]] = {
        "clamp": (0.0,),
        "reshape": ((2, 2),),
        "expand": ((3, 4),),
        "broadcast_to": ((3, 4),),
        "permute": ((1, 0),),
        "transpose": (0, 1),
        "unsqueeze": (0,),
        "matmul": (torch.ones(4, 2),),
        "pow": (3,),
        "softmax": (1,),
        "log_softmax": (1,),
        "logsumexp": (1,),
    }
    default = (x,) if name in BINARY else ()
    method = getattr(x, name)(*arguments.get(name, default))
    function = FUNCTIONS[name](x, *arguments.get(name, default))
    assert method.node.op == function.node.op
    assert method.type == function.type


def test_functions_have_methods_and_are_exported() -> None:
    """As far as torch's tensors have them."""
    for name in FUNCTIONS:
        if hasattr(torch.Tensor, name) and name not in {"constant"}:
            assert hasattr(Tensor, name), f"torch.Tensor.{name} exists"
        if hasattr(torch, name) and name not in {"constant", "t", "expand"}:
            assert getattr(graphc, name) is FUNCTIONS[name]
