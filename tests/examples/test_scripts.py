"""The examples of one file run as a newcomer runs them, from the command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import graphc

ROOT = Path(graphc.__file__).resolve().parent.parent


def run(*command: str, cwd: Path = ROOT) -> str:
    """The standard output of a Python process in which every warning is an error."""
    # Tests run side by side, and threads of several processes that wait for each other are very slow.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", *command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["first_steps", "weight_sharing"])
def test_a_script_learns(name: str, tmp_path: Path) -> None:
    printed = run(str(ROOT / "examples" / f"{name}.py"), cwd=tmp_path)
    found = re.search(r"test error ([0-9.]+)%", printed)
    assert found is not None, printed
    assert float(found[1]) < 5
    assert not list(tmp_path.iterdir())


def test_an_ensemble_knows_where_it_knows_nothing(tmp_path: Path) -> None:
    printed = run(str(ROOT / "examples" / "ensemble.py"), cwd=tmp_path)
    found = re.search(r"they differ by ([0-9.]+); between, by ([0-9.]+)", printed)
    assert found is not None, printed
    assert float(found[2]) > 4 * float(found[1])
    assert not list(tmp_path.iterdir())


def test_a_killed_run_goes_on(tmp_path: Path) -> None:
    printed = run(str(ROOT / "examples" / "resume.py"), cwd=tmp_path)
    assert "the process was killed; its checkpoint is at step " in printed
    assert printed.endswith("equal to a run that was never cut, to the last bit: True\n")
    assert not list(tmp_path.iterdir())


def test_weight_sharing_is_drawn_without_training(tmp_path: Path) -> None:
    picture = tmp_path / "net.svg"
    printed = run(
        "-c", "from graphc.viz.command import main; main()", "examples/weight_sharing.py:net", "-o", str(picture)
    )
    assert printed.startswith(str(picture))
    assert "test error" not in printed
    text = picture.read_text(encoding="utf-8")
    assert "points" in text
    assert "used 2 times" in text


def test_the_disk_runs_as_a_module() -> None:
    assert "--epochs" in run("-m", "examples.disk", "--help")
