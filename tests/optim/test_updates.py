"""Updates: how those of several optimizers merge, and how gradients are changed on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

import graphc
from graphc import CompileError, GradientError, Parameter, StateError, Tensor, Variable, optim
from graphc.optim import Updates
from tests.optim.problem import PARAMETERS, data, names, problem, twin


def test_updates_merge_and_train_like_torchs_groups(backend: str) -> None:
    net, inputs, loss = problem()
    slow, fast = optim.SGD(net[0].parameters(), lr=0.01), optim.Adam(net[2].parameters(), lr=0.1)
    program = graphc.compile(inputs, loss, slow.minimize(loss) | fast.minimize(loss), backend=backend)
    theirs, torch_loss = twin()
    judges = torch.optim.SGD(theirs[0].parameters(), lr=0.01), torch.optim.Adam(theirs[2].parameters(), lr=0.1)
    for _ in range(5):
        program(*data())
        theirs.zero_grad()
        torch_loss().backward()
        for judge in judges:
            judge.step()
    for a, b in zip(net.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.value, b.detach(), rtol=1e-12, atol=1e-12)
    with pytest.raises(
        StateError, match=r"2 cells are called 'lr'; use a handle instead, such as state\[optimizer\.lr\]"
    ):
        program.state["lr"] = 0.1
    program.state[fast.lr] = 0.2
    assert fast.lr.value == 0.2
    assert slow.lr.value == 0.01


def test_updates_merge_with_plain_mappings_on_either_side() -> None:
    net, _, loss = problem()
    updates = optim.SGD(net.parameters()).minimize(loss)
    count = graphc.Variable(0.0, name="count")
    extra = {count: count + 1.0}
    for merged in (updates | extra, extra | updates):
        assert isinstance(merged, Updates)
        assert names(merged) == PARAMETERS | {"count"}
        assert merged[count] is extra[count]
    assert names(updates) == PARAMETERS
    assert repr(Updates(extra)) == "<updates of count>"
    with pytest.raises(TypeError, match=r"updates \| int: updates are merged"):
        updates | 3  # type: ignore[operator]


def test_a_variable_that_both_sides_update_is_an_error() -> None:
    net, _, loss = problem()
    all_of_it, half = optim.SGD(net.parameters()), optim.SGD(net[0].parameters())
    match = r"updates \| updates: both sides update '0\.weight', '0\.bias', and a step gives a variable one new value"
    with pytest.raises(CompileError, match=match):
        all_of_it.minimize(loss) | half.minimize(loss)


def test_gradients_can_be_changed_on_the_way(backend: str) -> None:
    net, inputs, loss = problem()
    optimizer = optim.SGD(net.parameters(), lr=1.0)
    gradients = graphc.grad(loss, list(net.parameters()))
    clipped = {p: g.clamp(-1e-3, 1e-3) for p, g in zip(net.parameters(), gradients, strict=True)}
    before = net.state_dict()
    graphc.compile(inputs, loss, optimizer.update(clipped), backend=backend)(*data())
    for name, value in net.state_dict().items():
        assert 0 < (value - before[name]).abs().max() <= 1e-3 + 1e-15


class Sign(optim.Optimizer):
    """As a user writes one."""

    def update(self, gradients: Mapping[Parameter, Tensor]) -> dict[Variable, Tensor]:
        """By the sign."""
        return {p: p - g.sign() * 0.5 for p, g in gradients.items()}


class Smaller(Sign):
    def update(self, gradients: Mapping[Parameter, Tensor], scale: float = 0.5) -> dict[Variable, Tensor]:
        return super().update({p: g * scale for p, g in gradients.items()})


GIVEN: list[tuple[Callable[[dict[Any, Any]], object], str]] = [
    (
        lambda found: list(found.items()),
        r"gradients is a list, not a mapping .*Give \{p: graphc\.grad\(loss, p\) for p in",
    ),
    (lambda found: list(found.values()), r"gradients is a list, not a mapping"),
    (lambda found: None, r"gradients is a NoneType, not a mapping"),
    (lambda found: {p.name: g for p, g in found.items()}, r"a key is '0\.weight', not a Parameter"),
    (lambda found: {p.value: g for p, g in found.items()}, r"a key is .*, not a Parameter"),
    (lambda found: {**found, Parameter(torch.ones(1), name="w"): 0}, r"'w' is none of the optimizer's 4 parameters"),
    (lambda found: {p: p.value for p in found}, r"gradient of '0\.weight' is .*torch\.Tensor.*, not a symbolic tensor"),
    (lambda found: dict.fromkeys(found, 0.0), r"gradient of '0\.weight' is 0\.0 \(float\), not a symbolic tensor"),
    (lambda found: dict.fromkeys(found), r"gradient of '0\.weight' is None \(NoneType\), not a symbolic tensor"),
    (lambda found: {p: g.sum() for p, g in found.items()}, r"is f64\[\], and the parameter f64\[3,2\]; .* Give \{p:"),
    (lambda found: {p: g.T for p, g in found.items()}, r"is f64\[2,3\], and the parameter f64\[3,2\]"),
    (
        lambda found: {p: g.float() for p, g in found.items()},
        r"f32\[3,2\], and .* f64\[3,2\]; .*\.to\(torch\.float64\)$",
    ),
]


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, Sign, Smaller])
@pytest.mark.parametrize(("given", "match"), GIVEN)
def test_what_are_no_gradients(kind: Any, given: Callable[[dict[Any, Any]], object], match: str) -> None:
    net, _, loss = problem()
    optimizer = kind(net.parameters())
    found = {p: graphc.grad(loss, p) for p in net.parameters()}
    with pytest.raises(GradientError, match=rf"^{kind.__name__}\.update: .*{match}"):
        optimizer.update(given(found))


def test_rules_of_users(backend: str) -> None:
    net, inputs, loss = problem()
    before = net.state_dict()
    optimizer = Smaller(net.parameters())
    assert Sign.update.__doc__ == "By the sign."
    found = {p: graphc.grad(loss, p) for p in net[0].parameters()}
    graphc.compile(inputs, loss, optimizer.update(found, scale=2.0), backend=backend)(*data())
    for name, value in net.state_dict().items():
        moved = (value - before[name]).abs()
        assert torch.equal(moved.round(decimals=12), torch.full_like(moved, 0.5 if name.startswith("0.") else 0.0))
    assert names(optimizer.minimize(loss)) == PARAMETERS


def test_a_call_without_gradients_says_what_it_takes() -> None:
    net, _, _ = problem()
    with pytest.raises(TypeError, match=r"^update: missing 1 required .*'gradients'\. It takes gradients$"):
        optim.SGD(net.parameters()).update()  # type: ignore[call-arg]
