"""Modules in other dtypes, on other devices, and copied."""

from __future__ import annotations

import copy

import pytest
import torch

import graphc
from graphc import DTypeError, StateError, nn, optim
from tests.nn.block import Block


def test_double_converts_values_types_and_initial_values() -> None:
    block = Block(2)
    before = block.state_dict()
    assert block.double() is block
    for name, parameter in block.named_parameters():
        assert parameter.dtype is parameter.type.dtype is parameter.cell.initial(None).dtype is torch.float64
        assert torch.equal(parameter.value, before[name].double())
    y = block(graphc.placeholder("x", ("batch", 2), torch.float64))
    assert y.dtype is torch.float64


def test_float_undoes_double() -> None:
    assert Block(2).double().float().scale.dtype is torch.float32


def test_reading_a_parameter_is_not_a_use() -> None:
    block = Block(2)
    _ = [(p.shape, p.dtype, p.ndim, p.type, p.name, p.value, hash(p), repr(p)) for p in block.parameters()]
    block.double()


def test_the_dtype_is_fixed_by_the_first_call_and_by_an_optimizer() -> None:
    match = r"Sequential\.to\(torch\.float64\): '0\.scale' is part of a graph or an optimizer already, as f32\. Convert"
    called = nn.Sequential(Block(2))
    called(graphc.placeholder("x", ("batch", 2)))
    optimized = nn.Sequential(Block(2))
    optim.SGD(optimized.parameters())
    partly = nn.Sequential(Block(2), nn.Linear(2, 1))
    _ = partly[0].scale * 2.0
    for net in (called, optimized, partly):
        with pytest.raises(StateError, match=match):
            net.double()
        assert all(parameter.value.dtype is torch.float32 for parameter in net.parameters())
        net.float()  # changes nothing


def test_dtypes_are_floating() -> None:
    with pytest.raises(DTypeError, match=r"Block\.to: parameters have a floating dtype, not i64"):
        Block(2).to(torch.int64)


def test_moving_to_a_device_is_possible_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.state.NO_VALUES", "none")  # `meta` stands for another device
    block = Block(2)
    block(graphc.placeholder("x", ("batch", 2)))
    assert block.to("meta") is block
    assert all(parameter.value.device.type == "meta" for parameter in block.parameters())


def test_deep_copies_are_independent(backend: str) -> None:
    block = Block(2)
    x = graphc.placeholder("x", (2,))
    y = block(x)
    twin = copy.deepcopy(block)
    program = graphc.compile([x], [y, twin(x)], backend=backend)
    first, second = program(torch.ones(2))
    assert torch.equal(first, second)
    twin.scale.value = torch.zeros(2)
    first, second = program(torch.ones(2))
    assert first.abs().sum() > 0
    assert second.tolist() == [0.0, 0.0]
    copy.deepcopy(block).double()  # a copy is not used yet
