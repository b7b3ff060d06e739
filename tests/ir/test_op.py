"""Ops as values: names, equality, sizes bound to numbers, text; and how samples are drawn."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
import torch

from graphc import GradientError
from graphc.dims import symbol
from graphc.ir import OPS, Arg, Op, Sample
from graphc.ops.activations import LeakyRelu
from graphc.ops.arithmetic import Add, PowNumber, Sub
from graphc.ops.comparisons import Cast
from graphc.ops.leaves import Constant, Placeholder, SizeValue, TensorConstant
from graphc.ops.reductions import Mean, Sum
from graphc.ops.selections import Clamp
from graphc.ops.views import Broadcast, Reshape, Slice
from graphc.types import TensorType

n, m = symbol("n"), symbol("m")
F32 = torch.float32
NAN = float("nan")


def test_registry() -> None:
    """Every op is there by its name, is a frozen dataclass and explains itself; bases of several ops are not there."""
    for name, op in OPS.items():
        assert op.name == name
        assert dataclasses.is_dataclass(op)
        assert op.__doc__
        assert op.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert OPS["pow_number"] is PowNumber
    assert OPS["leaky_relu"] is LeakyRelu
    assert not {"unary", "binary", "float_unary", "activation", "comparison", "op"} & set(OPS)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Add(), Add()),
        (Sum((0, 1)), Sum((0, 1))),
        (Reshape((n, 2)), Reshape((symbol("n"), 2))),
        (Constant(NAN, F32), Constant(NAN, F32)),
        (Clamp(NAN, None), Clamp(NAN, None)),
        (Cast(F32), Cast(F32)),
    ],
    ids=str,
)
def test_equal(a: Op, b: Op) -> None:
    assert a == b
    assert hash(a) == hash(b)
    assert len({a, b}) == 1


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Add(), Sub()),
        (Sum((0,)), Mean((0,))),
        (Sum((0,)), Sum((1,))),
        (Constant(0.0, F32), Constant(-0.0, F32)),
        (Constant(1.0, F32), Constant(1.0, torch.float64)),
        (Constant(1, torch.int64), Constant(True, torch.bool)),
        (LeakyRelu(0.0), LeakyRelu(-0.0)),
        (Clamp(0.0, None), Clamp(-0.0, None)),
        (Clamp(None, 1.0), Clamp(1.0, None)),
        (PowNumber(2), PowNumber(2.0)),
        # No question about sizes is asked, so none is left open.
        (Reshape((n, 2)), Reshape((m, 2))),
        (Reshape((n, 2)), Reshape((3, 2))),
        (Slice(0, n, 2), Slice(0, 1, 2)),
        (TensorConstant(torch.ones(2)), TensorConstant(torch.ones(2))),
    ],
    ids=str,
)
def test_different(a: Op, b: Op) -> None:
    assert a != b
    assert len({a, b}) == 2


def test_op_is_no_other_value() -> None:
    assert Add() != "add"
    assert Add() is not None
    value = torch.ones(2)
    assert TensorConstant(value) == TensorConstant(value)
    assert hash(TensorConstant(value)) == hash(TensorConstant(value))


def test_a_subclass_without_a_dataclass_of_its_own_is_equal_by_class() -> None:
    registered = dict(OPS)
    try:

        @dataclass(frozen=True)
        class Half(Op):
            scale: float = 0.5

        assert OPS["half"] is Half
        assert Half() == Half(0.5)
        assert Half(0.0) != Half(-0.0)
        with pytest.raises(NotImplementedError, match="half does not define infer"):
            Half().infer()
        with pytest.raises(NotImplementedError, match="half does not define eval"):
            Half().eval()
        with pytest.raises(GradientError, match="half has no gradient"):
            Half().vjp(None, None)
        assert Half().guards() == ()
        assert list(Half.samples()) == []
    finally:
        OPS.clear()
        OPS.update(registered)


def test_bound() -> None:
    sizes = {"n": 3, "m": 4}
    assert Reshape((n * m, 2)).bound(sizes) == Reshape((12, 2))
    assert Slice(0, n - 1, m, 2).bound(sizes) == Slice(0, 2, 4, 2)
    assert SizeValue(n + m, F32).bound(sizes) == SizeValue(7, F32)
    unchanged = Broadcast((2, 3))
    assert unchanged.bound(sizes) is unchanged
    assert Reshape((n * m, 2)).sizes == (n * m,)
    assert Slice(0, n, 2).sizes == (n,)
    assert unchanged.sizes == ()


def test_text() -> None:
    assert str(Add()) == "add"
    assert str(Sum((0,))) == "sum(dims=(0,))"
    assert str(Reshape((n * m, 2))) == "reshape(shape=(m*n, 2))"
    assert str(Cast(F32)) == "cast(dtype=torch.float32)"
    assert str(Placeholder('a"\n', TensorType((), F32))) == "placeholder(label='a\"\\n')"


def test_draw() -> None:
    generator = torch.Generator().manual_seed(0)
    x = Arg((1000,), low=-1.0, high=3.0).draw(generator)
    assert x.dtype is F32
    assert -1.0 <= x.min() < -0.9
    assert 2.9 < x.max() <= 3.0
    ties = Arg((100,), integer=True).draw(generator, torch.float64)
    assert ties.dtype is torch.float64
    assert torch.equal(ties, ties.round())
    assert Arg((100,), torch.bool).draw(generator).unique().tolist() == [False, True]
    assert Arg((), torch.int64).draw(generator).shape == ()
    assert Sample(Add(), (Arg(()), Arg(()))).is_smooth
    assert not Sample(Add(), (Arg((), integer=True), Arg(()))).is_smooth
    assert not Sample(Add(), (Arg((), torch.int64),)).is_smooth
