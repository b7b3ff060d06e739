"""The disk's data, its networks, and the settings of the reports."""

from __future__ import annotations

import math

import pytest
import torch

import graphc
from graphc.bench.disk.best import CANDIDATES
from graphc.bench.disk.data import CENTRE, COUNT, RADIUS, TEST, TRAIN, one_hot, samples, signs
from graphc.bench.disk.minitorch import VARIANTS, summed_mse
from graphc.bench.disk.networks import ACTIVATIONS, layers, score
from graphc.bench.disk.setting import Programs, Setting
from graphc.bench.disk.study import seed_of
from graphc.bench.disk.table1 import PUBLISHED, half_mse, settings
from tests.judge import Array

# Data -----------------------------------------------------------------------------------------------------------------


def test_points_are_uniform_and_half_are_inside() -> None:
    data = samples(0, 0, TRAIN, 100_000)
    assert data.points.shape == (100_000, 2)
    assert data.points.dtype is torch.float32
    assert data.labels.shape == (100_000, 1)
    assert 0 <= data.points.min() < 0.001
    assert 0.999 < data.points.max() < 1
    torch.testing.assert_close(data.points.mean(dim=0), torch.tensor(CENTRE), atol=0.005, rtol=0)
    assert data.labels.mean().item() == pytest.approx(math.pi * RADIUS**2, abs=0.01)
    distances = (data.points.double() - torch.tensor(CENTRE)).norm(dim=1, keepdim=True)
    assert torch.equal(data.labels > 0.5, distances < RADIUS)


def test_every_run_has_points_of_its_own() -> None:
    keys = [(seed, run, part) for seed in (0, 1) for run in (0, 1) for part in (TRAIN, TEST)]
    assert len({samples(*key).points.sum().item() for key in keys}) == len(keys)
    assert torch.equal(samples(3, 4, TEST).points, samples(3, 4, TEST).points)
    assert len(samples(0, 0, TRAIN)) == COUNT


def test_no_two_members_share_a_seed() -> None:
    seeds = [seed_of(seed, run, member) for seed in range(3) for run in (0, 1, 99_999) for member in (0, 1, 99)]
    assert len(set(seeds)) == len(seeds)


def test_folds_hold_out_every_point_once() -> None:
    data = samples(0, 0, TRAIN, 10)
    folds = [data.fold(number, 3) for number in range(3)]
    assert [len(held_out) for _, held_out in folds] == [4, 3, 3]
    assert all(len(rest) + len(held_out) == 10 for rest, held_out in folds)
    together = torch.cat([held_out.points for _, held_out in folds])
    assert torch.equal(together.sort(dim=0).values, data.points.sort(dim=0).values)
    rest, held_out = data.fold(1, 5)
    assert torch.equal(held_out.points, data.points[[1, 6]])
    assert torch.equal(held_out.labels, data.labels[[1, 6]])
    assert torch.equal(rest.points[:2], data.points[[0, 2]])


def test_targets_and_scores_are_inverse() -> None:
    labels = torch.tensor([[0.0], [1.0]])
    assert one_hot(labels).tolist() == [[1, 0], [0, 1]]
    assert signs(labels).tolist() == [[1, -1], [-1, 1]]
    for targets in (labels, one_hot(labels), signs(labels)):
        x = graphc.placeholder("x", ("batch", targets.shape[1]))
        scores = graphc.compile([x], score(x), backend="reference")(targets)
        assert torch.equal((scores > 0.5).float(), labels)


# Losses and networks --------------------------------------------------------------------------------------------------


def test_losses_are_the_formulas() -> None:
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 2))
    s, t = torch.tensor([[0.5, 1.0], [0.0, 0.25]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    outputs = {"half": half_mse(x, y), "summed": summed_mse(x, y), "gradient": graphc.grad(summed_mse(x, y), x)}
    found = graphc.compile([x, y], outputs, backend="reference")(s, t)
    total = 0.25 + 1 + 0.0625
    assert found["half"].item() == total / (2 * 4)
    assert found["summed"].item() == total / 2
    assert torch.equal(found["gradient"], 2 * (s - t) / 2)


def test_layers() -> None:
    net = layers((2, 5, 1), ("tanh",))
    assert [type(module).__name__ for module in net] == ["Linear", "Tanh", "Linear"]
    assert set(ACTIVATIONS) >= {"tanh", "relu", "sigmoid"}
    x = graphc.placeholder("x", (3,))
    squared = ACTIVATIONS["square"]()(x)
    assert graphc.compile([x], squared, backend="reference")(torch.tensor([1.0, -2.0, 3.0])).tolist() == [1, 4, 9]


def parameters(setting: Setting) -> int:
    return sum(parameter.value.numel() for parameter in setting.network().parameters())


def test_the_rows_of_table_1() -> None:
    rows = {setting.name: setting for setting in settings(50)}
    assert list(rows) == list(PUBLISHED)
    assert {setting.epochs for setting in rows.values()} == {250}
    assert {setting.batch_size for setting in rows.values()} == {50}
    assert {parameters(rows[name]) for name in rows if not name.startswith("WS")} == {1401}
    rates = {name: Programs(setting).describe()["hyper_parameters"]["lr"] for name, setting in rows.items()}
    assert rates == dict(zip(rows, [0.5, 0.3, 0.001, 0.001, 0.5, 0.001]))


def test_the_variants_of_minitorch() -> None:
    for setting in VARIANTS.values():
        assert parameters(setting) == 1427
        assert (setting.batch_size, setting.epochs) == (25, 4000)
        assert Programs(setting).describe()["hyper_parameters"] == {"lr": 0.01}
    assert [setting.shuffle for setting in VARIANTS.values()].count(False) == 2


@pytest.mark.parametrize("candidate", CANDIDATES, ids=lambda candidate: candidate.name)
def test_candidates_learn(candidate: object) -> None:
    programs = Programs(candidate.setting())  # type: ignore[attr-defined]
    data = programs.data(samples(0, 0, TRAIN))
    state = programs.train.new_state(seed=0)
    state["decay_steps"] = 400.0
    history = programs.train.fit(*data, batch_size=25, epochs=10, state=state)
    assert history["loss"][-1] < history["loss"][0]
    scores: Array = programs.predict(data[0], state=state)
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_a_description_says_it_all() -> None:
    description = Programs(settings(50)[0]).describe()
    assert description["name"] == "MSE_SGD"
    assert description["hyper_parameters"] == {"lr": 0.5, "weight_decay": pytest.approx(1e-4)}
    assert description["parameters"]["0.weight"] == [25, 2]
    assert "tanh" in description["graph"]
