"""Whether anything works at all, in a few seconds: `make smoke`. Everything that this touches has tests of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import graphc
from graphc import nn, optim
from graphc.backends.c.compiler import find_compiler
from graphc.cli.command import main

BACKENDS = ["reference", "torch", *(["c"] if find_compiler() is not None else [])]


def build(backend: str) -> tuple[graphc.Program, graphc.Program]:
    """A program that trains a small network with a bit of everything, and one that predicts."""
    torch.manual_seed(1)
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1), nn.Sigmoid())
    loss = nn.BCELoss()(net(x), y)
    train = graphc.compile(
        [x, y], {"loss": loss}, optim.Adam(net.parameters(), lr=0.05).minimize(loss), backend=backend
    )
    return train, graphc.compile([x], net(x), backend=backend)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(64, 2, generator=torch.Generator().manual_seed(1))
    return x, (x.sum(1, keepdim=True) > 1.0).float()


@pytest.mark.parametrize("backend", BACKENDS)
def test_training(backend: str) -> None:
    """Every backend learns, and finds what torch finds for one step without dropout."""
    train, predict = build(backend)
    x, y = data()
    expected = torch.nn.functional.binary_cross_entropy(predict(x), y)
    torch.testing.assert_close(train.evaluate(x, y)["loss"], expected.item())
    history = train.fit(x, y, batch_size=16, epochs=15, validation=(x, y))
    assert history["validation_loss"][-1] < 0.7 * history["validation_loss"][0]
    assert predict(x[:3]).shape == (3, 1)


def test_runs_at_once() -> None:
    train, _ = build("auto")
    outcomes = graphc.Sweep(graphc.Run(train, *data(), batch_size=16, epochs=2, seed=seed) for seed in range(3)).fit()
    assert len({outcome.history["loss"][-1] for outcome in outcomes}) == 3


def test_files_and_drawings(tmp_path: Path) -> None:
    train, _ = build("torch")
    train.graph.save(tmp_path / "train.json")
    assert str(graphc.Graph.load(tmp_path / "train.json")) == str(train.graph)
    for name in ("net.dot", "net.mmd", "net.svg", "net.html"):
        graphc.viz.draw(train, tmp_path / name)
        assert (tmp_path / name).stat().st_size > 500


def test_the_command() -> None:
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
