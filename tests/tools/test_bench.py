"""The benchmark: a short run of it from end to end, its page, and losses that differ."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools import bench
from tools.benchmarks import rounds
from tools.benchmarks.contenders import CONTENDERS, Contender, version
from tools.benchmarks.page import page
from tools.benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["--quick", "--steps", "--only", "disk_sgd"]


def test_quick(tmp_path: Path) -> None:
    command = [sys.executable, "tools/bench.py", *QUICK, "--contenders", "eager", "fit"]
    outputs = ["--json", str(tmp_path / "bench.json"), "--page", str(tmp_path / "page.md")]
    done = subprocess.run([*command, *outputs], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "bench.json").read_text())["steps"]["1"]["disk_sgd"]
    assert list(found) == ["eager", "fit"]
    assert found["fit"]["loss"] == pytest.approx(found["eager"]["loss"], rel=1e-5)
    assert all(figures["step_us"] > 0 and figures["memory_mb"] > 10 for figures in found.values())
    assert "| graphc C, fit |" in (tmp_path / "page.md").read_text()


def figures(step_us: float) -> dict[str, float]:
    return {
        "step_us": step_us,
        "best_us": 1.0,
        "loss": 0.25,
        "first_step_s": 0.5,
        "memory_mb": 100.0,
        "times_faster": 2.0,
    }


REPORT = {
    "machine": {"processor": "a processor", "processors": 2, "memory_gb": 8.0, "system": "a system"},
    "versions": {"torch": "2.0"},
    "runs": {"steps": {"date": "today", "load": 0.1, "scheduling": "ordinary priority", "command": "bench.py"}},
    "steps": {"1": {"disk_sgd": {"eager": figures(345.6), "jax": {"missing": "not installed"}, "fit": figures(2.0)}}},
    "sweep": {
        "1": {
            "peak_gflops": 100.0,
            "cases": [
                {
                    "width": 25,
                    "depth": 1,
                    "activation": "tanh",
                    "optimiser": "SGD",
                    "batch": 10,
                    "step_us": 1.0,
                    "fraction": 0.25,
                }
            ],
        }
    },
}


def test_page() -> None:
    text = page(REPORT)
    assert "| torch eager | 346 | 1.00 | 2.00 | 0.50 s | 100 MB | 0.2500000 |" in text
    assert "| JAX, a call a step | not installed |" in text
    assert "| 25 | 25% |" in text
    assert "## Accuracy" not in text


def test_page_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bench.json").write_text(json.dumps(REPORT))
    arguments = ["--render", "--json", str(tmp_path / "bench.json"), "--page", str(tmp_path / "page.md")]
    assert bench.main(arguments) == 0
    assert (tmp_path / "page.md").read_text() == page(REPORT)
    assert "graphc C, fit" in capsys.readouterr().out


class Liar(rounds.Worker):
    """A contender without a process, whose losses are its own."""

    def __init__(self, contender: Contender, *arguments: object) -> None:
        self.start = {"loss": 1.0}
        self.loss = float(len(contender.label))

    def run(self, epochs: int) -> dict[str, float]:
        return {"seconds": 0.01 * epochs, "loss": self.loss}

    def close(self) -> None:
        pass


def test_losses_that_differ(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rounds, "Worker", Liar)
    assert bench.main([*QUICK, "--contenders", "eager", "plan"]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "losses differ: disk_sgd: the mean loss of epoch 2 is 17.0 with graphc torch plan, but 11.0" in printed


@pytest.mark.parametrize("loss", [0.2501, float("nan")])
def test_tolerance(loss: float) -> None:
    work = WORKLOADS["disk_sgd"]
    rounds.check_losses(work, {"eager": 0.25, "fit": 0.250001})
    with pytest.raises(rounds.LossMismatch, match=r"disk_sgd: .* with graphc C, fit, but 0\.25 with torch eager"):
        rounds.check_losses(work, {"fit": loss, "eager": 0.25})


def test_what_is_not_installed() -> None:
    assert version(Contender("nobody", "nothing:at_all", "no-such-package"), sys.executable) is None
    assert version(CONTENDERS["jax"], "/no/such/python") is None
    assert version(CONTENDERS["eager"], sys.executable)
