"""What every op promises, tried on every op over all of its samples. A new op needs no line here.

The judges are eager torch, torch.autograd and finite differences, in float64 and with random cotangents: a test that
differentiates a sum does not notice a cotangent in the wrong place.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from graphc import DTypeError
from graphc.expr import Call, Cast, Expr, Reduce, Select
from graphc.ir import OPS, Arg, Op, Sample, TorchCall, apply
from graphc.ops.leaves import Constant, Full, Iota, SizeValue
from graphc.types import DTYPES
from tests.expr.source import element_of, interpreted
from tests.judge import Array, assert_same, graph_of, placeholders_for, special_values
from tests.ops.laws import (
    LAYOUTS,
    SAMPLES,
    Differentiated,
    assert_autograd,
    assert_finite_difference,
    assert_second_autograd,
    assert_second_finite_difference,
    draw,
    is_differentiable,
    name_of,
    special_operands,
    type_of,
)

LEAVES = {"placeholder", "constant", "full", "iota", "tensor_constant", "size_value", "cell_value"}


def over(condition: Callable[[Sample], bool] = lambda sample: True) -> pytest.MarkDecorator:
    """Run a test on each sample that has `condition`."""
    return pytest.mark.parametrize("sample", [sample for sample in SAMPLES if condition(sample)], ids=name_of)


# Samples --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_samples_cover_sizes(op: type[Op]) -> None:
    samples = list(op.samples())
    if not samples:
        assert op.name in LEAVES, "an op with operands has samples"
        return
    shapes = [arg.shape for sample in samples for arg in sample.args]
    exempt = {reason.split(": ")[0] for reason in op.exempt}
    assert "0-d" in exempt or () in shapes, "a sample has a 0-d operand, or `exempt` says why not"
    assert "zero-size" in exempt or any(0 in shape for shape in shapes), "or `exempt` says why not"
    assert all(isinstance(sample.op, op) for sample in samples)


# Values ---------------------------------------------------------------------------------------------------------------


@over()
def test_type_of_eval(sample: Sample) -> None:
    """`infer` tells the type of `eval`, for every dtype that it accepts; `eval` leaves its operands alone."""
    accepted = 0
    for dtype in DTYPES:
        arrays = [arg.draw(torch.Generator().manual_seed(0), each) for arg, each in with_dtype(sample, dtype)]
        before = [x.clone() for x in arrays]
        try:
            inferred = sample.op.infer(*map(type_of, arrays))
        except DTypeError:
            continue
        accepted += 1
        assert type_of(sample.op.eval(*arrays)) == inferred, dtype
        for x, old in zip(arrays, before, strict=True):
            assert_same(x, old, bits=True)
    assert accepted


def with_dtype(sample: Sample, dtype: torch.dtype) -> Iterator[tuple[Arg, torch.dtype]]:
    """The operands, those of the main dtype made `dtype`. The main dtype is that of the last operand."""
    main = sample.args[-1].dtype
    for arg in sample.args:
        chosen = dtype if arg.dtype is main else arg.dtype
        yield (replace(arg, low=0.0) if chosen is torch.uint8 else arg), chosen


@over()
def test_printing(sample: Sample) -> None:
    arrays = draw(sample.args)
    y = apply(sample.op, *placeholders_for(arrays))
    assert str(sample.op).startswith(sample.op.name)
    assert f"= {sample.op.name}(" in str(graph_of([y], y.inputs))
    assert sample.op == replace(sample.op)  # type: ignore[type-var]
    assert hash(sample.op) == hash(replace(sample.op))  # type: ignore[type-var]
    assert sample.op.bound({}) == sample.op


# The meaning of one element -------------------------------------------------------------------------------------------

GIVEN = {"placeholder", "tensor_constant", "cell_value"}
"""The ops whose value is memory that they are given."""

DECOMPOSED = {"softmax", "log_softmax", "log_sum_exp"}
"""The ops that are taken apart into others before code is generated."""

TRANSCENDENTAL = {"cos", "erf", "exp", "expm1", "log", "log1p", "pow", "sigmoid", "sin", "tanh"}


def tolerance_of(element: Expr, dtype: torch.dtype) -> dict[str, Any]:
    """How near an expression comes to `eval`: exactly, where both round in the same places."""
    if not dtype.is_floating_point:
        return {"bits": True}
    eps = torch.finfo(dtype).eps
    if any(isinstance(part, Reduce) and part.combine == "sum" for part in parts_of(element)):
        return {"rtol": 8 * eps, "atol": 16 * eps}
    if is_composed(element):
        return {"rtol": 8 * eps, "atol": 4 * eps}
    return {"bits": dtype in (torch.float32, torch.float64), "rtol": eps, "atol": 0.0}


def is_composed(element: Expr) -> bool:
    """Whether it is a formula with a transcendental function in it, which torch may compute in another way."""
    calls = [part for part in parts_of(element) if isinstance(part, Call)]
    return len(calls) > 1 and any(part.function in TRANSCENDENTAL for part in calls)


def parts_of(element: Expr) -> Iterator[Expr]:
    """An expression and all that it is made of, but for indices."""
    yield element
    match element:
        case Call(args=parts):
            pass
        case Select(condition, then, otherwise):
            parts = (condition, then, otherwise)
        case Cast(x) | Reduce(body=x):
            parts = (x,)
        case _:
            parts = ()
    for part in parts:
        yield from parts_of(part)


def assert_at_is_eval(op: Op, arrays: Sequence[Array]) -> None:
    types = [type_of(x) for x in arrays]
    element = element_of(op, *types)
    expected = op.eval(*arrays)
    assert element.dtype is expected.dtype
    assert_same(interpreted(op, types, arrays, {}), expected, element, **tolerance_of(element, expected.dtype))


def test_ops_without_elements() -> None:
    assert {name for name, op in OPS.items() if op.at is Op.at} == GIVEN | DECOMPOSED


@over(lambda sample: sample.op.name not in DECOMPOSED)
def test_at_is_eval(sample: Sample) -> None:
    """`at` tells the elements of `eval`, for every dtype that `infer` accepts."""
    accepted = 0
    for dtype in DTYPES:
        generator = torch.Generator().manual_seed(0)
        arrays = [arg.draw(generator, each) for arg, each in with_dtype(sample, dtype)]
        try:
            sample.op.infer(*map(type_of, arrays))
        except DTypeError:
            continue
        accepted += 1
        assert_at_is_eval(sample.op, arrays)
    assert accepted


@pytest.mark.parametrize(
    "op",
    [
        Constant(0.1, torch.float32),
        Constant(float("nan"), torch.float64),
        Constant(True, torch.bool),
        SizeValue(7, torch.int64),
        SizeValue(2**24 + 1, torch.float32),
        Full(-0.0, (2, 3), torch.float64),
        Full(3, (0, 2), torch.uint8),
        Iota(5),
        Iota(0),
    ],
    ids=str,
)
def test_at_is_eval_of_leaves(op: Op) -> None:
    assert_at_is_eval(op, [])


# The call of the torch plan -------------------------------------------------------------------------------------------


def run(call: TorchCall, op: Op, operands: Sequence[Array], out: Array) -> Array:
    """The op as the torch plan computes it."""
    arguments, keywords = call.arguments_of(op)
    function: Any = call.function(*(getattr(op, name) for name in call.factory)) if call.factory else call.function
    given = (tuple(operands),) if call.sequence else tuple(operands)
    match call.form:
        case "out":
            result = function(*given, *arguments, **keywords, **{call.destination: out})
        case "into":
            result = function(out, *given, *arguments, **keywords)
        case "view":
            return function(*given, *arguments, **keywords)  # type: ignore[no-any-return]
    assert result is out
    return out


@over(lambda sample: sample.op.torch is not None)
def test_torch_call(sample: Sample) -> None:
    """The call gives what `eval` gives, whatever the strides of its operands, and leaves them alone."""
    op, call = sample.op, sample.op.torch
    assert call is not None
    for (layout, lay_out), dtype in itertools.product(LAYOUTS.items(), (None, torch.float64)):
        operands = [lay_out(x) for x in draw(sample.args, dtype)]
        before = [x.clone() for x in operands]
        expected = op.eval(*before)
        actual = run(call, op, operands, torch.full(expected.shape, 7, dtype=expected.dtype))
        assert_same(actual, expected, layout)
        for x, old in zip(operands, before, strict=True):
            assert_same(x, old, layout, bits=True)
        shares = [actual.untyped_storage().data_ptr() == x.untyped_storage().data_ptr() for x in operands]
        if call.form == "view" and layout == "contiguous" and actual.numel():
            assert all(shares)


@over(lambda sample: sample.op.torch is not None and bool(sample.op.torch.alias))
def test_torch_call_in_place(sample: Sample) -> None:
    """`out` may be the memory of each operand in `alias`, also when another operand is the same tensor."""
    op, call = sample.op, sample.op.torch
    assert call is not None
    for layout, position, together in itertools.product(("contiguous", "transposed", "sliced"), call.alias, (0, 1)):
        operands = [LAYOUTS[layout](x) for x in draw(sample.args)]
        target = operands[position]
        if together:
            operands = [target if type_of(x) == type_of(target) else x for x in operands]
        expected = op.eval(*[x.clone() for x in operands])
        assert_same(run(call, op, operands, target), expected, f"{layout}, out is operand {position}")


# Gradients ------------------------------------------------------------------------------------------------------------


@over(lambda sample: sample.is_smooth and is_differentiable(sample))
def test_vjp_is_finite_difference(sample: Sample) -> None:
    case = Differentiated(sample)
    assert assert_finite_difference(case) or case.op.eval(*case.arrays).isnan().any(), "the mean of nothing is NaN"


@over(lambda sample: sample.is_smooth and is_differentiable(sample))
def test_second_order_is_finite_difference(sample: Sample) -> None:
    assert_second_finite_difference(Differentiated(sample))


@over(is_differentiable)
def test_vjp_is_autograd(sample: Sample) -> None:
    """At ties and kinks as well."""
    assert_autograd(Differentiated(sample))
    assert_second_autograd(Differentiated(sample))


@over(lambda sample: is_differentiable(sample) and sample.op.judge is None)
def test_vjp_on_special_values(sample: Sample) -> None:
    """NaN, infinities, signed zeros and denormals among operands and cotangents."""
    values = special_values(torch.float64)
    for arrays in special_operands(sample, values):
        case = Differentiated(sample, arrays)
        assert_autograd(case)
        for stride in (1, len(values)):  # the cotangent changes together with each operand, and apart from it
            numbers = torch.arange(case.cotangent.numel()) // stride
            case.cotangent = values[(numbers + 1) % len(values)].reshape(case.cotangent.shape)
            assert_autograd(case)


# Special values -------------------------------------------------------------------------------------------------------


def indices(shape: tuple[int, ...]) -> Array:
    """0, 1, 2, … in an array of `shape`."""
    return torch.arange(math.prod(shape)).reshape(shape)


@over(lambda sample: sample.op.is_pointwise and any(arg.dtype.is_floating_point for arg in sample.args))
def test_at_on_special_values(sample: Sample) -> None:
    """NaN, infinities, signed zeros and denormals."""
    if sample.op.name == "cast" and not is_differentiable(sample):
        return  # what an integer is made of NaN or infinity depends on the processor
    for dtype in (torch.float32, torch.float64):
        values = special_values(dtype)
        if dtype is torch.float32 and is_composed(element_of(sample.op, *map(type_of, draw(sample.args, dtype)))):
            values = values[~(values.abs() > 1e30)]  # torch may call oneDNN, which overflows
        for operands in special_operands(sample, values):
            assert_at_is_eval(sample.op, operands)


@over(lambda sample: sample.op.torch is not None and any(arg.dtype.is_floating_point for arg in sample.args))
def test_torch_call_on_special_values(sample: Sample) -> None:
    """NaN, infinities, signed zeros and denormals."""
    call = sample.op.torch
    assert call is not None
    if sample.op.name == "cast" and not is_differentiable(sample):
        return  # what an integer is made of NaN or infinity depends on the processor
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        for operands in special_operands(sample, special_values(dtype)):
            expected = sample.op.eval(*operands)
            out = torch.empty(expected.shape, dtype=expected.dtype)
            assert_same(run(call, sample.op, operands, out), expected, dtype)
