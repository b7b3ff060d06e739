"""What the optimizers refuse, and how they say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch

from graphc import Parameter, StateError, optim
from tests.optim.problem import problem


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
def test_params_are_checked(kind: Any) -> None:
    net, _, _ = problem()
    weight = net[0].weight
    name = kind.__name__
    with pytest.raises(StateError, match=rf"{name}: params is empty; .* An exhausted generator is, too"):
        kind([])
    with pytest.raises(
        StateError, match=rf"{name}: params is a graphc\.Parameter; .* Give a list of parameters, or net\.param"
    ):
        kind(weight)
    with pytest.raises(StateError, match=rf"{name}: params is a int; "):
        kind(3)
    with pytest.raises(StateError, match=rf"{name}: params has '0\.weight' more than once"):
        kind([weight, net[0].bias, weight])
    with pytest.raises(StateError, match=rf"params is a list of groups.* Make one {name} for each group and merge"):
        kind([{"params": [weight]}])
    with pytest.raises(StateError, match=r"params has a torch\.Tensor in it; .* Give graphc Parameters, such as net\."):
        kind([torch.ones(2)])
    with pytest.raises(StateError, match=r"params is a graphc\.Sequential, a module"):
        kind(net)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda p: optim.SGD(p, lr=-0.1), r"SGD: lr is 0 or more, not -0\.1"),
        (lambda p: optim.SGD(p, lr=float("nan")), r"SGD: lr is 0 or more, not nan"),
        (lambda p: optim.SGD(p, lr="fast"), r"SGD: lr is 0 or more, not 'fast'"),
        (lambda p: optim.SGD(p, lr=True), r"SGD: lr is 0 or more, not True\. Give one number"),
        (lambda p: optim.SGD(p, lr=numpy.True_), r"SGD: lr is 0 or more, not "),
        (lambda p: optim.SGD(p, lr=optim.Cosine(0.1, True)), r"Cosine: steps is 1 or more, not True"),
        (lambda p: optim.SGD(p, momentum=False), r"SGD: momentum is 0 or more, not False"),
        (lambda p: optim.SGD(p, weight_decay=None), r"SGD: weight_decay is 0 or more, not None"),
        (lambda p: optim.SGD(p, dampening="much"), r"SGD: dampening is .*, not 'much'"),
        (lambda p: optim.SGD(p, momentum=0.9, nesterov="yes"), r"SGD: nesterov is True or False, not 'yes'"),
        (lambda p: optim.Adam(p, amsgrad="yes"), r"Adam: amsgrad is True or False, not 'yes'"),
        (lambda p: optim.SGD(p, momentum=-1), r"SGD: momentum is 0 or more, not -1"),
        (lambda p: optim.SGD(p, weight_decay=-1), r"SGD: weight_decay is 0 or more, not -1"),
        (lambda p: optim.SGD(p, nesterov=True), r"SGD: nesterov needs momentum, and dampening = 0"),
        (lambda p: optim.SGD(p, 0.1, 0.9, 0.1, 0, True), r"SGD: nesterov needs momentum, and dampening = 0"),
        (lambda p: optim.Adam(p, lr=-1), r"Adam: lr is 0 or more, not -1"),
        (lambda p: optim.Adam(p, betas=(1.0, 0.9)), r"Adam: beta1 is in \[0, 1\), not 1\.0"),
        (lambda p: optim.Adam(p, betas=(0.9, -0.1)), r"Adam: beta2 is in \[0, 1\), not -0\.1"),
        (lambda p: optim.Adam(p, eps=-1e-8), r"Adam: eps is 0 or more, not -1e-08"),
        (lambda p: optim.Adam(p, weight_decay=-1), r"Adam: weight_decay is 0 or more, not -1"),
        (lambda p: optim.AdamW(p, lr=-1), r"AdamW: lr is 0 or more, not -1"),
        (lambda p: optim.AdamW(p, betas=(0.9, 1.0)), r"AdamW: beta2 is in \[0, 1\), not 1\.0"),
        (lambda p: optim.AdamW(p, weight_decay=-1), r"AdamW: weight_decay is 0 or more, not -1"),
    ],
)
def test_hyper_parameters_are_checked(make: Callable[[Any], object], match: str) -> None:
    with pytest.raises(StateError, match=match):
        make(problem()[0].parameters())


@pytest.mark.parametrize(
    ("name", "instead"), [("step", "A compiled program steps"), ("zero_grad", "never accumulate"), ("anything", "")]
)
def test_what_torch_optimizers_have(name: str, instead: str) -> None:
    with pytest.raises(AttributeError, match=f"graphc.optim.SGD has no '{name}'.*{instead}"):
        getattr(optim.SGD([Parameter(torch.ones(2))]), name)


def test_dampening_without_momentum_does_nothing_as_in_torch() -> None:
    optimizer = optim.SGD([Parameter(torch.ones(2))], dampening=0.5)
    assert optimizer.dampening is None
    torch.optim.SGD([torch.ones(2, requires_grad=True)], dampening=0.5)
