"""The disk: its data, its networks, what training reaches, and the command."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import graphc
from examples.disk import __main__ as command
from examples.disk.data import CENTRE, RADIUS, disk, one_hot
from examples.disk.networks import WeightSharing, half_mse, one_output, score, two_outputs
from examples.disk.training import BATCH_SIZE, COUNT, RUNS, Result, train
from graphc import nn

PNG = b"\x89PNG\r\n\x1a\n"
PICTURES = {"maps.png", "error.png", "loss.png", "sharing.png"}


# Data -----------------------------------------------------------------------------------------------------------------


def test_points_are_uniform_and_half_are_inside() -> None:
    points, labels = disk(100_000, seed=0)
    assert points.shape == (100_000, 2)
    assert labels.shape == (100_000, 1)
    assert 0 <= points.min() < 0.001
    assert 0.999 < points.max() < 1
    torch.testing.assert_close(points.mean(dim=0), torch.tensor(CENTRE), atol=0.005, rtol=0)
    assert set(labels.flatten().tolist()) == {0.0, 1.0}
    assert labels.mean().item() == pytest.approx(0.5, abs=0.01)  # six standard deviations


def test_labels_are_1_inside_the_circle_and_0_outside() -> None:
    points, labels = disk(2000, seed=3)
    for (x, y), (label,) in zip(points.double().tolist(), labels.tolist()):
        distance = ((x - 0.5) ** 2 + (y - 0.5) ** 2) ** 0.5
        if abs(distance - RADIUS) > 1e-6:
            assert label == (distance < RADIUS)


def test_points_depend_on_the_seed_alone() -> None:
    torch.manual_seed(1)
    first, _ = disk(100, seed=5)
    torch.manual_seed(2)
    again, _ = disk(100, seed=5)
    other, _ = disk(100, seed=6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_one_hot_and_score_are_inverse() -> None:
    labels = torch.tensor([[0.0], [1.0]])
    assert one_hot(labels).tolist() == [[1, 0], [0, 1]]
    for targets in (labels, one_hot(labels)):
        x = graphc.placeholder("x", ("batch", targets.shape[1]))
        assert torch.equal(graphc.compile([x], score(x))(targets), labels)


# Networks and training ------------------------------------------------------------------------------------------------


def test_half_mse_is_the_formula() -> None:
    x, y = graphc.placeholder("x", ("batch", 1)), graphc.placeholder("y", ("batch", 1))
    prediction, target = torch.tensor([[0.5], [1.0]]), torch.tensor([[1.0], [0.0]])
    assert graphc.compile([x, y], half_mse(x, y))(prediction, target).item() == (0.25 + 1) / (2 * 2)


@pytest.mark.parametrize(("network", "count"), [(one_output, 1401), (two_outputs, 1427), (WeightSharing, 1401)])
def test_networks_have_their_sizes(network: Callable[[], nn.Module], count: int) -> None:
    assert sum(parameter.value.numel() for parameter in network().parameters()) == count


def same(a: Result, b: Result) -> bool:
    return a.curves == b.curves and torch.equal(a.wrong, b.wrong)


def test_a_run_depends_on_its_seed_alone() -> None:
    run = RUNS[0]
    first = train(run, epochs=2, seed=1)
    torch.manual_seed(99)
    assert same(train(run, epochs=2, seed=1), first)
    assert not same(train(run, epochs=2, seed=2), first)


def test_mse_with_adam_learns_the_disk() -> None:
    result = train(RUNS[0], epochs=250, seed=0)
    assert result.run.name == "MSE + Adam"
    assert result.steps == 250 * COUNT / BATCH_SIZE
    assert {name: len(values) for name, values in result.curves.items()} == dict.fromkeys(
        ["train_loss", "train_error", "test_loss", "test_error"], 250
    )
    assert result.curves["test_error"][-1] < 0.05
    assert result.curves["train_error"][-1] < 0.05
    # What the program counted is what a look at every test point gives.
    points, labels = disk(COUNT, seed=1)
    wrong = points[((result.predict(points) > 0.5) != (labels > 0.5)).flatten()]
    assert torch.equal(wrong, result.wrong)
    assert len(wrong) / COUNT == pytest.approx(result.curves["test_error"][-1])


def test_a_run_learns_on_every_backend(backend: str) -> None:
    sharing = next(run for run in RUNS if run.network is WeightSharing)
    result = train(sharing, epochs=8, seed=0, backend=backend)
    assert result.predict.backend == backend
    assert result.curves["train_loss"][-1] < result.curves["train_loss"][0]


# The command ----------------------------------------------------------------------------------------------------------


def test_the_command_trains_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a" / "[b]"
    command.main(["--epochs", "2", "--seed", "4", "--out", str(folder)])
    captured = capsys.readouterr()
    assert not captured.err
    assert "seed 4" in captured.out
    for run in RUNS:
        line = rf"^ *{re.escape(run.name)} +{2 * run.slowness} +[\d.]+% +[\d.]+% +[\d.]+ +[\d.]+ +[\d.]+ *$"
        assert re.search(line, captured.out, re.MULTILINE), run.name
    assert "not an average" in captured.out
    assert {file.name for file in folder.iterdir()} == PICTURES
    for name in PICTURES:
        assert (folder / name).read_bytes().startswith(PNG)
        assert f"{folder / name}: " in captured.out


@pytest.mark.parametrize("arguments", [["--epochs", "0"], ["--seed", "-1"], ["--epochs", "many"]])
def test_the_command_refuses(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert arguments[0] in capsys.readouterr().err
