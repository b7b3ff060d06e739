"""`graphc-bench disk`: what it prints, writes and refuses. Studies are cut short here; nothing else about them is."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graphc import Sweep
from graphc.bench import options
from graphc.bench.command import main
from graphc.bench.disk import best, eager, minitorch, table1

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some epochs for thousands."""
    monkeypatch.setattr(table1, "EPOCHS", 3)
    variants = {name: replace(setting, epochs=2) for name, setting in minitorch.VARIANTS.items()}
    monkeypatch.setattr(minitorch, "VARIANTS", variants)
    monkeypatch.setattr(minitorch, "RESAMPLES", 1000)
    monkeypatch.setattr(minitorch, "CURVE_EVERY", 1)
    monkeypatch.setattr(eager, "EPOCHS", 1)
    monkeypatch.setattr(best, "CANDIDATES", tuple(replace(each, epochs=2) for each in best.CANDIDATES))


def run(*arguments: str, ends: int = 0) -> Result:
    result = CliRunner().invoke(main, ["disk", *arguments])
    assert result.exit_code == ends, result.output
    return result


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(path: Path) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows(path)]


def record(path: Path) -> Any:
    return json.loads(path.read_text())


def pictures(folder: Path) -> set[str]:
    found = set(folder.glob("*.png"))
    assert all(path.read_bytes().startswith(PNG) for path in found)
    return {path.name for path in found}


def test_table1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "a" / "[b]"
    monkeypatch.setattr(sys, "argv", ["graphc-bench", "disk", "table1", "--seed", "5"])
    result = run("table1", "--runs", "2", "--seed", "5", "--out", str(out))
    for name in table1.PUBLISHED:
        assert f" {name} " in result.output
    assert "3.17 ± 1.37" in result.output
    assert f"{out}/table1.csv" in result.output.replace("\n", "")
    runs = rows(out / "table1.csv")
    assert len(runs) == 12
    assert {row["setting"] for row in runs} == set(table1.PUBLISHED)
    assert {row["steps"] for row in runs} == {"60"}
    found = record(out / "table1.json")
    assert found["command"] == ["graphc-bench", "disk", "table1", "--seed", "5"]
    assert (found["runs"], found["seed"], found["batch_size"]) == (2, 5, 50)
    assert found["machine"]["torch"]
    errors = [float(row["test_error"]) for row in runs if row["setting"] == "MSE_Adam"]
    assert found["summary"]["MSE_Adam"]["test"]["measured"]["mean"] == pytest.approx(sum(errors) / 2)
    assert found["summary"]["MSE_Adam"]["test"]["published"] == [0.0157, 0.0056]
    assert pictures(out) == {"table1-curves.png", "table1-maps.png"}


def test_few_runs_say_no_more_than_they_know(tmp_path: Path) -> None:
    for study in (["table1"], ["minitorch", "--variant", "elements"], ["best", "--tuning-sets", "1"]):
        result = run(*study, "--runs", "1", "--no-pictures", "--out", str(tmp_path))
        assert "nan" not in result.output
    assert record(tmp_path / "table1.json")["summary"]["MSE_SGD"]["test"]["plausibility"] is None
    assert record(tmp_path / "minitorch.json")["summary"]["elements"]["mean"] is None
    many = run("minitorch", "--variant", "elements", "--runs", "30", "--no-pictures", "--out", str(tmp_path))
    assert "too low" in many.output
    run("table1", "--runs", "30", "--no-pictures", "--out", str(tmp_path))
    assert record(tmp_path / "table1.json")["summary"]["MSE_SGD"]["test"]["plausibility"] == [
        0.0,
        pytest.approx(0, abs=1),
    ]


def test_a_narrow_terminal_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "WIDTH", 50)
    result = run("table1", "--runs", "2", "--no-pictures", "--out", str(tmp_path))
    assert "WS_MSE_SGD     11.41 ± 9.21" in result.output
    assert "…" not in result.output


def test_ctrl_c_leaves_the_runs_that_are_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit = Sweep.fit

    def interrupted(self: Sweep[Any], **given: Any) -> None:
        fit(self, **given)
        self.results[3:] = [None] * (len(self.results) - 3)
        raise KeyboardInterrupt

    monkeypatch.setattr(Sweep, "fit", interrupted)
    for study, total in (("table1", 12), ("minitorch", 6), ("grid", 18 * 40 * 2)):
        few = ["--epochs", "1"] if study == "grid" else []
        total //= 2 if few else 1
        result = run(study, *few, "--runs", "2", "--out", str(tmp_path), ends=1)
        output = " ".join(result.output.split())
        assert f"{study}-unfinished.csv: the 3 runs of {total} that were finished" in output.replace(f"{tmp_path}/", "")
        assert "Aborted!" in output
        assert len(rows(tmp_path / f"{study}-unfinished.csv")) == 3


def test_the_number_of_workers_changes_no_bit(tmp_path: Path) -> None:
    for workers in ("1", "3"):
        run("table1", "--runs", "3", "--no-pictures", "--workers", workers, "--out", str(tmp_path / workers))
    assert without_seconds(tmp_path / "1" / "table1.csv") == without_seconds(tmp_path / "3" / "table1.csv")
    run("table1", "--runs", "3", "--no-pictures", "--seed", "1", "--out", str(tmp_path / "seed"))
    assert without_seconds(tmp_path / "1" / "table1.csv") != without_seconds(tmp_path / "seed" / "table1.csv")
    run("table1", "--runs", "2", "--no-pictures", "--out", str(tmp_path / "fewer"))
    fewer, more = (without_seconds(tmp_path / name / "table1.csv") for name in ("fewer", "1"))
    assert fewer == [row for row in more if int(row["run"]) < 2], "more runs are further runs"


def test_minitorch(tmp_path: Path) -> None:
    arguments = ["--runs", "3", "--variant", "elements", "--variant", "samples-signs", "--compare", "torch"]
    result = run("minitorch", *arguments, "--out", str(tmp_path))
    assert "[98.55, 98.63]" in result.output
    assert "samples-signs" in result.output
    assert "Extrapolated, not measured" in result.output.replace("\n", " ")
    found = record(tmp_path / "minitorch.json")
    assert found["torch_eager"]["loss"] == pytest.approx(found["torch_eager"]["graphc_loss"], rel=1e-4)
    assert found["torch_eager"]["steps"] == 40
    assert set(found["summary"]) == {"elements", "samples-signs"}
    assert len(rows(tmp_path / "minitorch.csv")) == 6
    assert pictures(tmp_path) == {"minitorch-curves.png", "minitorch-accuracy.png", "minitorch-maps.png"}


def test_eager_that_comes_to_something_else_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eager, "TOLERANCE", 0.0)
    monkeypatch.setattr(minitorch, "_summed", lambda prediction, target: (prediction - target).square().sum())
    result = run(
        "minitorch", "--variant", "samples", "--runs", "1", "--no-pictures", "--compare", "torch", "--out",
        str(tmp_path), ends=1,
    )  # fmt: skip
    assert "torch eager comes to a loss of" in result.output


def test_grid(tmp_path: Path) -> None:
    arguments = ["--activations", "tanh-relu-tanh,relu-relu-relu", "--lr", "0.1,1e30", "--batch-size", "50,100"]
    result = run("grid", *arguments, "--epochs", "1,3", "--runs", "2", "--out", str(tmp_path))
    trials = rows(tmp_path / "grid.csv")
    assert len(trials) == 2 * 2 * 2 * 2 * 2 * 2
    assert {row["diverged"] for row in trials if row["learning_rate"] == "1e+30" and row["loss"] == "mse"} == {"True"}
    assert {row["diverged"] for row in trials if row["learning_rate"] == "0.1"} == {"False"}
    ranked = record(tmp_path / "grid.json")["ranked"]
    errors = [each["validation_error"] for each in ranked]
    assert errors == sorted(errors)
    assert len(ranked) == 32
    assert f"The best: {ranked[0]['activations']}, {ranked[0]['loss']}," in result.output.replace("\n", " ")
    assert pictures(tmp_path) == {"grid.png", "grid-activations.png"}


def test_best(tmp_path: Path) -> None:
    names = [candidate.name for candidate in best.CANDIDATES][:2]
    arguments = [word for name in names for word in ("--candidate", name)]
    result = run("best", *arguments, "--tuning-sets", "2", "--runs", "4", "--out", str(tmp_path))
    found = record(tmp_path / "best.json")
    tuned = found["cross_validation"]
    assert {each["candidate"]["name"] for each in tuned} == set(names)
    assert tuned[0]["mean"] <= tuned[1]["mean"]
    assert found["chosen"] == tuned[0]["candidate"]["name"]
    results = rows(tmp_path / "best.csv")
    assert {row["candidate"] for row in results} == {found["chosen"]}
    assert found["summary"]["test_error"]["mean"] == pytest.approx(sum(float(r["test_error"]) for r in results) / 4)
    assert "published, WS_MSE_Adam" in result.output
    assert pictures(tmp_path) == {"best-maps.png"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["table1", "--runs", "0"], "--runs"),
        (["table1", "--seed", "-1"], "--seed"),
        (["table1", "--batch-size", "0"], "--batch-size"),
        (["minitorch", "--variant", "none"], "'none' is not one of 'elements'"),
        (["minitorch", "--compare", "jax"], "--compare"),
        (["grid", "--lr", "0.1,fast"], "'0.1,fast' is not a list of numbers such as 0.3,0.1"),
        (["grid", "--batch-size", "2.5"], "is not a list of numbers"),
        (["grid", "--epochs", "0"], "all numbers are above 0"),
        (["grid", "--lr", "nan"], "all numbers are above 0"),
        (["grid", "--activations", "tanh-tanh"], "'tanh-tanh' is not three of tanh, relu"),
        (["grid", "--activations", "tanh-tanh-none"], "'tanh-tanh-none' is not three of"),
        (["best", "--tuning-sets", "0"], "--tuning-sets"),
    ],
)
def test_what_is_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    result = run(*arguments, "--out", str(tmp_path / "out"), ends=2)
    assert words in " ".join(result.output.replace("│", " ").split())
    assert not (tmp_path / "out").exists()


def test_a_backend_that_is_none(tmp_path: Path) -> None:
    result = run("table1", "--runs", "1", "--backend", "fortran", "--out", str(tmp_path), ends=1)
    assert "'fortran'" in result.output


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("table1", "--runs", "1", "--out", str(tmp_path / "file" / "out"), ends=1)
    assert "cannot write to" in result.output


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("table1", "--runs", "1", "--out", str(tmp_path), ends=1)
    assert "pip install 'graphc[plot]', or say --no-pictures" in result.output
    run("table1", "--runs", "1", "--no-pictures", "--out", str(tmp_path))
    assert (tmp_path / "table1.csv").exists()


def test_it_is_a_command_with_help_and_version() -> None:
    runner = CliRunner()
    assert "graphc-bench 0" in runner.invoke(main, ["--version"]).output
    for study in ("table1", "minitorch", "grid", "best"):
        assert study in runner.invoke(main, ["disk", "--help"]).output
        assert "--runs" in runner.invoke(main, ["disk", study, "-h"]).output
