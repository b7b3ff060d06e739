"""The fuzzer: a short run of it, which must find nothing, and faults that it must find and make small."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import graphc
from graphc import Graph, Parameter, State, VerifyError, compiler
from graphc.backends.c import not_native
from graphc.backends.torch_plan import patterns
from graphc.ir import Arg, TorchCall
from graphc.memory import plan
from graphc.ops.activations import Sigmoid
from graphc.ops.arithmetic import Sub
from graphc.ops.comparisons import Lt
from graphc.passes import canonicalise
from graphc.passes.specialise import specialise
from graphc.runtime import training
from tools.fuzz import cases, coverage, fuzz
from tools.fuzzing import ways
from tools.fuzzing.build import SAMPLES
from tools.fuzzing.cases import Case, build
from tools.fuzzing.holding import hold
from tools.fuzzing.judge import Expected, Mismatch, Noise
from tools.fuzzing.reproduce import ending, printed
from tools.fuzzing.shrink import Failure, failure_of, shrink
from tools.fuzzing.trial import Trial
from tools.fuzzing.ways import Way
from tools.proving import derivatives

ROOT = Path(__file__).resolve().parents[2]


def test_random_graphs() -> None:
    for case in itertools.islice(cases(0), 10):
        report = fuzz(*case).report
        assert not report, report


def test_one_graph_again() -> None:
    command = [sys.executable, "tools/fuzz.py", "--seed", "3", "--size", "2", "--native", "0"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.startswith("1 graphs, ")


def test_every_op_is_tried_with_every_dtype_of_its_samples() -> None:
    """In as many small graphs as there are samples."""
    counts = coverage((seed, 1 + seed % 4, False) for seed in range(len(SAMPLES)))
    assert not [key for key, count in counts.items() if not count]


def test_the_default_ways_are_those_of_compile() -> None:
    trial = next(trial for seed in range(9) if not_native((trial := Trial(build(seed, 6))).specialised) is None)
    for backend in ("torch", "c"):
        way = Way(backend, vector_bytes=compiler.vector_bytes())
        assert way.executable(trial.specialised).source == trial.compiled(backend).source


def test_a_way_is_printed_as_what_makes_it() -> None:
    assert repr(Way("torch")) == "Way('torch')"
    assert repr(Way("c", choices=(("NARROW", 1),), vector_bytes=16)) == (
        "Way('c', choices=(('NARROW', 1),), vector_bytes=16)"
    )


# A fuzzer that finds nothing has to show that it can.


def first_failure(op: str = "", seeds: Iterable[int] = range(150), **options: Any) -> Failure:
    """Of small graphs, first those that have some op."""
    chosen = [i for i, sample in enumerate(SAMPLES) if sample.op.name == op]
    for seed in (*chosen, *seeds):
        failure = failure_of(Trial(build(seed, 1 + seed % 6), **options))
        if failure is not None:
            return failure
    pytest.fail("nothing was found")


def test_a_wrong_call_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sub, "torch", TorchCall(torch.add, alias=(0, 1)))
    seed = first_failure("sub", aspects=("backends",)).trial.case.seed
    report = fuzz(seed, 1 + seed % 6).report
    assert report.startswith("FAILED: call ")
    assert "Mismatch: " in report
    assert " = sub(" in report  # the graph
    assert "def run(" in report  # the plan
    assert f"\nagain: python tools/fuzz.py --seed {seed} --size {1 + seed % 6} --native 0" in report


FAULTS = {
    "a call that adds": (Sub, "torch", TorchCall(torch.add, alias=(0, 1)), "sub"),
    "a call on equal values": (Lt, "torch", TorchCall(torch.le), "lt"),
    "a rule": (canonicalise, "_is", lambda node, value: canonicalise._number(node) is not None, "pow_number"),
}


def test_a_call_that_may_not_write_over_its_operands_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "_MM", TorchCall(torch.mm, alias=(0, 1)))
    assert isinstance(first_failure("matmul", aspects=("backends",)).error, Mismatch)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_printed_as_a_small_test(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, name, wrong, op = FAULTS[fault]
    monkeypatch.setattr(owner, name, wrong)
    failure = shrink(first_failure(op, aspects=("backends",)), seconds=60)
    assert isinstance(failure.error, Mismatch)
    assert len(failure.trial.graph.nodes) <= 12
    text = printed(failure)
    assert text.count("\n\n\ndef test_found_by_fuzzing() -> None:\n") == 1
    assert isinstance(ending(text), Mismatch)
    monkeypatch.undo()
    assert ending(text) is None


def test_a_wrong_derivative_is_found_and_printed_as_a_small_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sigmoid, "vjp", lambda self, y, g: (g * (1.0 - y),))
    failure = shrink(first_failure("sigmoid", aspects=("backends",)), seconds=60)
    assert failure.is_derivative
    assert failure.trial.what.startswith("derivatives against torch.autograd")
    text = printed(failure)
    assert text.count("graphc.sigmoid(") == 1
    assert len(text.splitlines()) < 60
    assert isinstance(ending(text), Mismatch)
    monkeypatch.undo()
    assert ending(text) is None


def test_finite_differences_find_a_wrong_derivative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derivatives, "expect_derivatives", lambda *arguments: [])
    seeds = [i for i, sample in enumerate(SAMPLES) if sample.op.name in ("sigmoid", "tanh", "mul")]
    for seed in seeds:
        derivatives.on_graph(seed)
    monkeypatch.setattr(Sigmoid, "vjp", lambda self, y, g: (g * (1.0 - y) * 1.001,))
    with pytest.raises(AssertionError, match="along a random direction is"):
        list(map(derivatives.on_graph, range(100)))


@pytest.mark.parametrize("is_checked", [True, False])
def test_a_wrong_plan_is_found(monkeypatch: pytest.MonkeyPatch, is_checked: bool) -> None:
    """Buffers that are given away too early, with and without the checker."""
    if not is_checked:
        for module in (compiler, ways):
            monkeypatch.setattr(module, "check", lambda *arguments: None)
    planner = plan.__globals__["_Planner"]
    monkeypatch.setattr(planner, "_last_uses", lambda self: {self._owner(x): i for x, i in self.start.items()})
    failure = first_failure(aspects=("backends",))
    assert isinstance(failure.error, VerifyError) is is_checked
    assert failure.trial.what.startswith("program" if is_checked else "call")


def test_a_wrong_order_in_fit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w = graphc.placeholder("x", ("n",)), Parameter(torch.zeros(()), name="w")
    draws = {x.node: Arg(())}
    sizes = ({"n": 2}, {"n": 0})
    case = Case(0, 1, (x,), draws, {"y": w + 0.0}, {w: w * 0.5 + x.sum()}, sizes, training=True, is_batched=True)
    assert failure_of(Trial(case)) is None
    monkeypatch.setattr(training, "permutation", lambda n, seed, epoch: torch.arange(n))
    failure = failure_of(Trial(case))
    assert failure is not None
    assert failure.trial.what == "fit on reference"


class Kept:
    """A program that gives the same tensors again, which it overwrites."""

    def __init__(self, case: Case, *, writes: bool) -> None:
        outputs, _ = specialise(Trial(case).specialised, False)
        self.stages = [SimpleNamespace(value=Graph(outputs.inputs, outputs.outputs))]
        self.state = State(())
        self.writes = writes
        self.calls = 0

    def new_state(self) -> State:
        return self.state

    def __call__(self, *inputs: torch.Tensor, state: State) -> dict[str, torch.Tensor]:
        self.calls += 1
        if self.writes:
            for x in inputs:
                if x.is_contiguous() and x.dtype.is_floating_point:
                    x.mul_(2.0)
            return {}
        self.result = getattr(self, "result", torch.zeros(3)).fill_(self.calls % 20)
        return {"y": self.result}


def test_outputs_that_are_not_the_callers_are_found() -> None:
    case = build(1, 2)
    with pytest.raises(AssertionError, match="differs in its bits"):
        hold(case, Kept(case, writes=False))  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="an input was written"):
        hold(case, Kept(case, writes=True))  # type: ignore[arg-type]


def test_the_same_number_again_and_again_may_round_alike() -> None:
    """Added in turn, its roundings do not cancel; noise that knows of no repetition expects them to."""
    x = torch.full((1000,), 0.1, dtype=torch.float64)
    in_turn = torch.from_numpy(np.cumsum(x.numpy())[-1:]).sum()
    value, apart, alike = x.sum(), [Noise(k).shake(x).sum() for k in range(4)], Noise(0, alike=True).shake(x).sum()
    Expected.of([value, *apart, alike]).compare(in_turn, "the sum")
    with pytest.raises(Mismatch, match="differs in 1 of 1"):
        Expected.of([value, *apart]).compare(in_turn, "the sum")
