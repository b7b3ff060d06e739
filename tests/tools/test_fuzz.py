"""The fuzzer: a short run of it, which must find nothing, and faults that it must find."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from graphc import compiler
from graphc.backends.torch_plan import patterns
from graphc.ir import TorchCall
from graphc.memory import plan
from graphc.ops.activations import Sigmoid
from graphc.ops.arithmetic import Sub
from graphc.ops.comparisons import Lt
from graphc.passes import canonicalise
from tools.fuzz import cases, fuzz
from tools.fuzzing import trial

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seed", range(0, 100, 20))
def test_random_graphs(seed: int) -> None:
    for case in itertools.islice(cases(seed), 12):
        report = fuzz(*case).report
        assert not report, report


def test_one_graph_again() -> None:
    command = [sys.executable, "tools/fuzz.py", "--seed", "3", "--size", "5"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("1 graphs, ")


# A fuzzer that finds nothing has to show that it can.


def first_report() -> str:
    """Of the first failure among some small graphs."""
    reports = (fuzz(*case).report for case in itertools.islice(cases(0, native=0), 150))
    return next((report for report in reports if report), "nothing was found")


def test_a_wrong_call_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sub, "torch", TorchCall(torch.add, alias=(0, 1)))
    report = first_report()
    assert report.startswith("FAILED: call ")
    assert "Mismatch: " in report
    assert " = sub(" in report  # the graph
    assert "def run(" in report  # the plan
    assert "\nagain: python tools/fuzz.py --seed " in report


def test_a_call_on_equal_values_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lt, "torch", TorchCall(torch.le))
    assert "Mismatch" in first_report()


def test_a_call_that_may_not_write_over_its_operands_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_MM", TorchCall(torch.mm, alias=(0, 1)))
    assert "Mismatch" in first_report()


def test_a_wrong_derivative_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sigmoid, "vjp", lambda self, y, g: (g * (1.0 - y),))
    assert first_report().startswith("FAILED: derivatives against torch.autograd")


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canonicalise, "_is", lambda node, value: canonicalise._number(node) is not None)
    assert "Mismatch" in first_report()


@pytest.mark.parametrize("is_checked", [True, False])
def test_a_wrong_plan_is_found(monkeypatch: pytest.MonkeyPatch, is_checked: bool) -> None:
    """Buffers that are given away too early, with and without the checker."""
    if not is_checked:
        for module in (compiler, trial):
            monkeypatch.setattr(module, "check", lambda *arguments: None)
    planner = plan.__globals__["_Planner"]
    monkeypatch.setattr(planner, "_last_uses", lambda self: {self._owner(x): i for x, i in self.start.items()})
    report = first_report()
    assert report.startswith("FAILED: compile" if is_checked else "FAILED: call")
    assert ("VerifyError: memory plan" in report) is is_checked
