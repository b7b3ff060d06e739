"""Updates: how those of several optimizers merge, and how gradients are changed on the way."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import CompileError, StateError, optim
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
