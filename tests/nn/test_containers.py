"""Sequential against torch.nn.Sequential."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import CompileError, ShapeError, nn


def test_names_follow_the_position_or_the_dict() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1, bias=False))
    assert list(net.state_dict()) == ["0.weight", "0.bias", "2.weight"]
    named = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), act=nn.Tanh()))
    assert list(named.state_dict()) == ["first.weight", "first.bias"]
    assert [parameter.name for parameter in named.parameters()] == ["first.weight", "first.bias"]


def test_indexing_slicing_length_and_iteration() -> None:
    layers = [nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)]
    net = nn.Sequential(*layers)
    assert len(net) == 3
    assert list(net) == layers
    assert net[0] is layers[0]
    assert net[-1] is layers[2]
    tail = net[1:]
    assert isinstance(tail, nn.Sequential)
    assert list(tail) == layers[1:]
    assert list(tail.state_dict()) == ["2.weight", "2.bias"]  # as in torch, a slice keeps the names
    with pytest.raises(IndexError, match="index 3 is out of range for a Sequential of 3 modules"):
        net[3]


def test_a_module_may_stand_twice() -> None:
    act = nn.ReLU()
    net = nn.Sequential(act, nn.Linear(2, 2), act)
    assert len(net) == 3
    assert [name for name, _ in net.named_modules()] == ["", "0", "1"]


def test_an_empty_one_is_the_identity() -> None:
    x = graphc.placeholder("x", (2,))
    assert nn.Sequential()(x) is x


def test_entries_are_modules() -> None:
    with pytest.raises(
        CompileError, match=r"Sequential: entry '0' is the class Tanh, not a module; .*as in nn\.Tanh\(\)"
    ):
        nn.Sequential(nn.Tanh)  # type: ignore[arg-type]
    with pytest.raises(CompileError, match="entry '1' is the function <lambda>, not a module"):
        nn.Sequential(nn.Tanh(), lambda x: x)  # type: ignore[arg-type]
    with pytest.raises(CompileError, match=r"'a\.b' cannot name a Tanh: names have no dots"):
        nn.Sequential(OrderedDict({"a.b": nn.Tanh()}))


def test_it_prints_as_in_torch() -> None:
    def build(modules):  # type: ignore[no-untyped-def]
        return modules.Sequential(
            modules.Flatten(),
            modules.Sequential(modules.Linear(4, 2, bias=False), modules.LeakyReLU(0.2), modules.ReLU()),
            OrderedSequence(modules),
            modules.BCELoss(),
        )

    def OrderedSequence(modules):  # type: ignore[no-untyped-def]  # noqa: N802
        return modules.Sequential(OrderedDict(first=modules.Identity(), last=modules.Sigmoid()))

    assert repr(build(nn)) == repr(build(torch.nn))
    assert repr(nn.Sequential()) == repr(torch.nn.Sequential())


def test_an_index_is_a_whole_number_of_any_library() -> None:
    net = nn.Sequential(nn.Tanh(), nn.ReLU())
    assert net[numpy.int64(1)] is net[-1] is net[1]
    for index in (True, 1.0, "1"):
        with pytest.raises(TypeError, match="Sequential: an index is an integer or a slice, not"):
            net[index]


@pytest.mark.parametrize("dims", [("a",), (1, 2.0), (True,), (None,)])
def test_dimensions_to_flatten_are_integers(dims: Any) -> None:
    with pytest.raises(ShapeError, match=r"Flatten: (start|end)_dim, a dimension, is an integer, not"):
        nn.Flatten(*dims)
    assert nn.Flatten(numpy.int64(1))(graphc.placeholder("x", ("n", 2, 3))).ndim == 2
