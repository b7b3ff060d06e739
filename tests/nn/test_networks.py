"""Whole networks against torch: every layer in float64, shared weights, sliced and joined paths."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import graphc
from graphc import nn

NN = Any  # graphc.nn or torch.nn: each network is written once and built from both


def plain(nn: NN) -> Any:
    return nn.Sequential(
        nn.Identity(), nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(),
        nn.Linear(8, 4), nn.LeakyReLU(0.1), nn.Linear(4, 3), nn.Sigmoid(),
    )  # fmt: skip


def shared(nn: NN) -> Any:
    """One layer called twice: its gradient has a part from each call."""

    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.enter = nn.Linear(6, 5)
            self.core = nn.Linear(5, 5)
            self.act = nn.Tanh()

        def forward(self, x: Any) -> Any:
            x = self.enter(x.flatten(1))
            return self.core(self.act(self.core(x)))

    return Shared()


def siamese(nn: NN) -> Any:
    """Slices of the input go through one branch; the results are joined again."""

    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.branch = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
            self.head = nn.Linear(8, 2)

        def forward(self, x: Any) -> Any:
            join = graphc.cat if isinstance(x, graphc.Tensor) else torch.cat
            return self.head(join([self.branch(x[:, 0]), self.branch(x[:, -1])], 1))

    return Siamese()


def tied(nn: NN) -> Any:
    """One parameter under two modules."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Linear(6, 6, bias=False)
            self.decode = nn.Linear(6, 6)
            self.decode.weight = self.encode.weight

        def forward(self, x: Any) -> Any:
            return self.decode(self.encode(x.flatten(1)).tanh())

    return Tied()


@pytest.mark.parametrize("build", [plain, shared, siamese, tied])
def test_results_and_gradients_are_those_of_torch(build: Any, backend: str) -> None:
    torch.manual_seed(0)
    theirs = build(torch.nn).double()
    torch.manual_seed(0)
    ours = build(nn).double()
    values = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    expected = theirs(values)
    expected.square().sum().backward()

    x = graphc.placeholder("x", ("batch", 2, 3), torch.float64)
    y = ours(x)
    gradients = graphc.grad(y.square().sum(), [x, *ours.parameters()])
    result, *found = graphc.compile([x], [y, *gradients], backend=backend)(values)
    torch.testing.assert_close(result, expected.detach(), rtol=1e-12, atol=1e-12)
    for gradient, judge in zip(found, [values, *theirs.parameters()], strict=True):
        torch.testing.assert_close(gradient, judge.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("build", [plain, shared, siamese, tied])
def test_state_dicts_go_both_ways(build: Any) -> None:
    ours, theirs = build(nn), build(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
    theirs = build(torch.nn)
    theirs.load_state_dict(ours.state_dict())
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)


@pytest.mark.parametrize("build", [plain, shared, siamese, tied])
def test_names_are_those_of_torch(build: Any) -> None:
    ours, theirs = build(nn), build(torch.nn)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    assert [name for name, _ in ours.named_modules()] == [name for name, _ in theirs.named_modules()]
    assert [name for name, _ in ours.named_children()] == [name for name, _ in theirs.named_children()]
    assert [name for name, _ in ours.named_parameters("net", recurse=False)] == []
    assert repr(ours) == repr(theirs)
