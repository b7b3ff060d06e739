"""torch's default device: what graphc makes for itself does not follow it, and values of layers do, as torch's."""

from __future__ import annotations

import pytest
import torch

import graphc
from graphc import DTypeError, Parameter, State, nn, optim
from graphc.types import as_array
from graphc.viz.fold import number
from graphc.viz.overlays import batch_for
from tests.judge import assert_same

POINTS, LABELS = torch.rand(8, 2, generator=torch.Generator().manual_seed(0)), torch.ones(8, 1)


def trained(backend: str, net: nn.Module, weights: torch.Tensor) -> tuple[State, list[float]]:
    """A program with constants, sizes as numbers, limits, masks and updates: built, called and trained."""
    x, y = graphc.placeholder("x", ("n", 2)), graphc.placeholder("y", ("n", 1))
    scaled = (x * 2.5 + weights).clamp(-1, 1) / x.shape[0] + graphc.constant([1.0, 2.0])
    loss = nn.MSELoss()(net(scaled), y) + graphc.cat([x, x], 1).mean()
    rate = optim.Warmup(3, optim.Cosine(0.1, steps=20))
    updates = optim.Adam(net.parameters(), lr=rate).minimize(loss)
    program = graphc.compile([x, y], loss, updates, backend=backend)
    state = program.new_state(seed=3)
    program(POINTS, LABELS, state=state)
    history = program.fit(POINTS, LABELS, batch_size=3, epochs=2, state=state, validation=(POINTS, LABELS))
    return state, [*history["loss"], *history["validation_loss"], program.evaluate(POINTS, LABELS)["loss"]]


def test_programs_do_not_depend_on_it(backend: str) -> None:
    torch.manual_seed(0)
    net, weights = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1)), torch.arange(2.0)
    expected, losses = trained(backend, net, weights)
    with torch.device("meta"):
        actual, found = trained(backend, net, weights)
    assert found == losses
    for one, other in zip(expected.cells, actual.cells, strict=True):  # those of an optimizer are its own
        assert_same(actual.read(other), expected.read(one), bits=True)


def test_values_follow_it_as_torchs_do() -> None:
    with torch.device("meta"):
        assert nn.Linear(2, 3).weight.value.is_meta
        assert Parameter([1.0, 2.0]).value.is_meta
        assert not Parameter(POINTS).value.is_meta, "a tensor stays where it is"
        assert as_array(POINTS).data_ptr() == POINTS.data_ptr()


@pytest.mark.parametrize("shape", [(), (2,)])
def test_constants_have_values(shape: tuple[int, ...]) -> None:
    x = graphc.placeholder("x", ("n", 2))
    with (
        torch.device("meta"),
        pytest.raises(DTypeError, match=r"^mul: an operand cannot be: .* on meta, where tensors"),
    ):
        x * torch.ones(shape)


def test_drawings_do_not_depend_on_it() -> None:
    x = graphc.placeholder("x", ("n", 2))
    program = graphc.compile([x], x * 0.1, backend="reference")
    (drawn,) = batch_for(program)
    with torch.device("meta"):
        assert number(torch.tensor(0.1, device="cpu").item(), torch.float32) == "0.1"
        (again,) = batch_for(program)
    assert torch.equal(again, drawn)
