"""`compile`: what it refuses, the stages that it shows, writes and verifies, and what importing graphc costs."""

from __future__ import annotations

import ast
import gc
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest
import torch

import graphc
from graphc import CompileError, Parameter, VerifyError, nn, optim
from graphc import compiler as compiler_module
from graphc.backends.torch_plan import PlanSource
from graphc.compiler import BACKENDS
from graphc.ir import Graph, OutputRole, Tensor
from graphc.memory import MemoryPlan
from graphc.passes import PASSES, Pass
from graphc.schedule import Schedule
from tests.judge import probed


def problem() -> tuple[list[Tensor], Tensor, optim.Updates]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    loss = nn.MSELoss()(net(x), y)
    return [x, y], loss, optim.SGD(net.parameters(), lr=0.1).minimize(loss)


# What it refuses ------------------------------------------------------------------------------------------------------

X = graphc.placeholder("x", ("n", 2))
P = Parameter(torch.ones(2), name="p")
UPDATES = r"compile: updates map variables to tensors, as optimizer\.minimize\(loss\) gives them"

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "inputs that are no list": (
        lambda: graphc.compile(X, X),  # type: ignore[arg-type]
        r"compile: inputs is a graphc\.Tensor, not a list of placeholders, such as inputs=\[points, labels\]",
    ),
    "inputs by name": (lambda: graphc.compile({"x": X}, X), r"compile: inputs is a dict, not a list of placeholders"),  # type: ignore[arg-type]
    "a string": (lambda: graphc.compile("x", X), r"compile: 'x' is not a placeholder"),  # type: ignore[arg-type]
    "a value": (lambda: graphc.compile([torch.ones(2)], X), r"compile: a torch\.Tensor is not a placeholder; "),  # type: ignore[list-item]
    "a result": (
        lambda: graphc.compile([X + 1.0], X),
        r"compile: <symbolic add : f32\[n,2\], built at .*> is not a placeholder; inputs are made with graphc\.place",
    ),
    "a parameter": (lambda: graphc.compile([P], X), r"compile: <parameter 'p' : f32\[2\]> is not a placeholder"),
    "an input twice": (lambda: graphc.compile([X, X], X), r"compile: placeholder 'x' is listed twice in inputs"),
    "an input that is missing": (
        lambda: graphc.compile([], X * 2.0),
        r"compile: the outputs need placeholder 'x' \(declared at .*\.py:\d+\), which is not among the inputs",
    ),
    "an input that only an update needs": (
        lambda: graphc.compile([], [], {P: P + X.sum(0)}),
        r"compile: the outputs need placeholder 'x'",
    ),
    "a size without an input": (
        lambda: graphc.compile([], graphc.constant(X.shape[0])),
        r"compile: size 'n' is not determined by any input; pass the placeholder .* \(inputs are none\)",
    ),
    "nothing": (lambda: graphc.compile([X], []), r"compile: there is nothing to compute: outputs and updates are e"),
    "an optimizer": (
        lambda: graphc.compile([X], X, optim.SGD([P])),  # type: ignore[arg-type]
        "updates is an optimizer; pass updates=optimizer.minimize",
    ),
    "updates in a list": (lambda: graphc.compile([X], X, [(P, P)]), UPDATES),  # type: ignore[arg-type]
    "an empty list of updates": (lambda: graphc.compile([X], X, []), UPDATES),  # type: ignore[arg-type]
    "updates switched off": (lambda: graphc.compile([X], X, False), f"{UPDATES}, not bool"),  # type: ignore[arg-type]
    "a tensor for updates": (lambda: graphc.compile([X], X, X), rf"{UPDATES}, not graphc\.Tensor"),  # type: ignore[arg-type]
    "an update of a result": (lambda: graphc.compile([X], X, {X: X}), UPDATES),  # type: ignore[dict-item]
    "an update by name": (lambda: graphc.compile([X], X, {"p": P}), UPDATES),  # type: ignore[dict-item]
    "an update to a value": (lambda: graphc.compile([X], X, {P: torch.ones(2)}), UPDATES),  # type: ignore[dict-item]
    "an update of another shape": (
        lambda: graphc.compile([X], X, {P: P[:1]}),
        r"compile: the update of <parameter 'p' : f32\[2\]> has type f32\[1\]",
    ),
    "an update of a symbolic shape": (lambda: graphc.compile([X], X, {P: X[:, 0]}), r"has type f32\[n\]"),
    "an update of another dtype": (lambda: graphc.compile([X], X, {P: P.double()}), r"has type f64\[2\]"),
    "a backend": (
        lambda: graphc.compile([X], X, backend="fast"),
        r"compile: backend 'fast' does not exist; choose 'auto' or one of 'c', 'torch', 'reference'",
    ),
    "no threads": (lambda: graphc.compile([X], X, threads=0), r"compile: threads is a positive number or None, not 0"),
    "half a thread": (lambda: graphc.compile([X], X, threads=0.5), r"compile: threads is a positive number"),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_errors(name: str) -> None:
    build, match = REFUSED[name]
    with pytest.raises(CompileError, match=match):
        build()


def test_mappings_of_any_kind_are_taken() -> None:
    outputs = types.MappingProxyType({"doubled": X * 2.0})
    updates = types.MappingProxyType({P: P * 1.0})
    program = graphc.compile((X,), outputs, updates)
    assert type(program(torch.ones(1, 2))) is dict


@pytest.mark.parametrize("updates", [None, {}, optim.Updates({})])
def test_a_program_may_have_no_updates(updates: optim.Updates | None) -> None:
    program = graphc.compile([X], X, updates, backend="reference")
    assert not program.training
    assert not program.graph.cells


def test_threads_are_a_number_of_any_library() -> None:
    program = graphc.compile([X], X, threads=numpy.int64(2), backend="reference")  # type: ignore[arg-type]
    assert type(program.threads) is int
    assert program.threads == 2


def test_auto_takes_the_fastest() -> None:
    assert graphc.compile([X], X).backend == BACKENDS[0] == "c"


def test_outputs_that_are_gradients_are_marked() -> None:
    inputs, loss, _ = problem()
    program = graphc.compile(inputs, [loss, graphc.grad(loss, inputs[0])])
    assert [output.role for output in program.graph.outputs] == [OutputRole.OUTPUT, OutputRole.GRADIENT]


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_as_it_was(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        graphc.compile([X], X)
        assert gc.isenabled() is enabled
        with pytest.raises(CompileError, match="there is nothing to compute"):
            graphc.compile([X], [])
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


# Stages ---------------------------------------------------------------------------------------------------------------


def test_stages_tell_the_way_from_graph_to_plan() -> None:
    inputs, loss, updates = problem()
    program = graphc.compile(inputs, loss, updates, backend="torch")
    names = [stage.name for stage in program.stages]
    assert names[: len(PASSES) + 2] == ["graph", "specialise", *(each.name for each in PASSES)]
    assert names[-3:] == ["schedule", "memory", "plan"]
    first, last = program.stages[0].value, program.stages[-1].value
    assert isinstance(first, Graph)
    assert {node.op.name for node in first.nodes} >= {"mean", "tanh", "matmul"}, "as it was declared"
    assert isinstance(program.stages[-3].value, Schedule)
    assert isinstance(program.stages[-2].value, MemoryPlan)
    assert isinstance(last, PlanSource)
    assert last.text == program.source == str(program.stages[-1])
    assert all(isinstance(stage.value, Graph) for stage in program.stages[:-3])
    assert all(stage.seconds >= 0 for stage in program.stages)
    assert all(str(stage).endswith("\n") for stage in program.stages)


def test_the_reference_stops_after_the_passes() -> None:
    program = graphc.compile([X], X.exp(), backend="reference")
    assert [stage.name for stage in program.stages] == ["graph", "specialise", *(each.name for each in PASSES)]


# GRAPHC_DUMP ----------------------------------------------------------------------------------------------------------


def test_stages_are_written_to_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "dump"
    monkeypatch.setenv("GRAPHC_DUMP", str(folder))
    inputs, loss, updates = problem()
    program = graphc.compile(inputs, loss, updates, backend="torch")
    files = sorted(folder.iterdir())
    names = [stage.name.replace("_", "-") for stage in program.stages]
    suffixes = ["txt"] * (len(names) - 1) + ["py"]
    assert [file.name for file in files] == [
        f"{k:02d}-{name}.{suffix}" for k, (name, suffix) in enumerate(zip(names, suffixes, strict=True), 1)
    ]
    assert files[0].name == "01-graph.txt"
    assert files[1].name == "02-specialise.txt"
    for file, stage in zip(files, program.stages, strict=True):
        head, _, text = file.read_text(encoding="utf-8").partition("\n")
        assert head == f"# {stage!r}"
        assert text == str(stage)
    ast.parse(files[-1].read_text(encoding="utf-8"))


def test_a_folder_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_DUMP", str(tmp_path))
    for _ in range(2):
        graphc.compile([X], X.exp(), backend="torch")
    assert (tmp_path / "01-graph.txt").read_text(encoding="utf-8").count("exp") == 1


def test_names_in_dumps_are_only_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any alphabet, under any locale, and on one line."""
    monkeypatch.setenv("GRAPHC_DUMP", str(tmp_path))
    for name in ("größe\n# 名前", "\ud800", "\u2028"):
        x = graphc.placeholder(name, ("größe",))
        p = Parameter(torch.ones(()), name=name)
        program = graphc.compile([x], {name: x * p}, {p: p + 1.0}, backend="torch")
        for file, stage in zip(sorted(tmp_path.iterdir()), program.stages, strict=True):
            lines = file.read_text(encoding="utf-8").split("\n")
            assert len(lines) == 1 + str(stage).count("\n") + 1
            assert not any(line.startswith("# 名前") for line in lines)


@pytest.mark.parametrize("kind", ["a file", "a folder within", "no right"])
def test_a_folder_that_cannot_be_written(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path
    if kind == "a file":
        folder = tmp_path / "file"
        folder.touch()
    elif kind == "a folder within":
        (tmp_path / "01-graph.txt").mkdir()
    else:  # even root makes no files in /proc
        folder = Path("/proc")
    monkeypatch.setenv("GRAPHC_DUMP", str(folder))
    match = rf"^compile: GRAPHC_DUMP is '{folder}', where '01-graph\.txt' cannot be written: .*\. Set GRAPHC_DUMP to a"
    with pytest.raises(CompileError, match=match):
        graphc.compile([X], X.exp(), backend="reference")


def test_nothing_is_written_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GRAPHC_DUMP", "")
    graphc.compile([X], X.exp())
    assert not list(tmp_path.iterdir())


# GRAPHC_VERIFY --------------------------------------------------------------------------------------------------------


def broken(graph: Graph) -> tuple[Graph, dict[str, int]]:
    """A pass that makes a graph whose input nobody supplies."""
    return Graph((), graph.outputs, graph.name), {}


@pytest.fixture
def broken_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler_module, "PASSES", (*PASSES, Pass("break_it", broken)))


@pytest.mark.usefixtures("broken_pass")
def test_what_a_pass_breaks_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_VERIFY", "1")
    with pytest.raises(VerifyError, match=r"^after break_it: a placeholder that is not an input of the graph\n"):
        graphc.compile([X], X.exp(), backend="reference")


@pytest.mark.usefixtures("broken_pass")
@pytest.mark.parametrize("value", ["", "0"])
def test_verifying_can_be_left_out(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_VERIFY", value)
    graphc.compile([X], X.exp(), backend="reference")


@pytest.mark.parametrize("variable", ["GRAPHC_VERIFY", "GRAPHC_NANCHECK"])
def test_switches_are_on_or_off(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("false", "no", "off", "2", "true"):
        monkeypatch.setenv(variable, value)
        match = rf"^compile: {variable} is '{value}', which is neither 1 nor 0\. Set it to 1 to switch it on"
        with pytest.raises(CompileError, match=match):
            graphc.compile([X], X.exp(), backend="reference")
    monkeypatch.setenv(variable, " ")
    assert not graphc.compile([X], X.exp(), backend="reference").nancheck


def test_memory_plans_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[dict[str, int]] = []
    monkeypatch.setattr(compiler_module, "check", lambda steps, places, sizes: checked.append(dict(sizes)))
    monkeypatch.setenv("GRAPHC_VERIFY", "0")
    graphc.compile([X], X.exp(), backend="torch")
    assert not checked
    monkeypatch.setenv("GRAPHC_VERIFY", "1")
    graphc.compile([X], X.exp(), backend="torch")
    assert checked == [{"n": 0}, {"n": 1}, {"n": 3}]


# Threads --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("threads", [None, 1, 2, 3])
def test_threads_are_limited_during_a_call_only(
    threads: int | None, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    x = graphc.placeholder("x", ("n",))
    y = probed(x, lambda: seen.append(torch.get_num_threads()), monkeypatch) * 2.0
    program = graphc.compile([x], y, backend=backend, threads=threads)
    for n in (4, 1 << 21, 4):
        assert torch.equal(program(torch.ones(n)), torch.full((n,), 2.0))
        assert torch.get_num_threads() == 2
    assert seen[1] == threads or (threads is None and seen[1] == 2), "a large call has all that are allowed"
    assert set(seen) <= {threads} if threads else {1, 2}
    with pytest.raises(graphc.InputError, match="inputs given"):
        program()
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_threads_are_restored_after_an_error(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MemoryError("no room")

    x = graphc.placeholder("x", ("n",))
    program = graphc.compile([x], probed(x, fail, monkeypatch), backend=backend, threads=1)
    with pytest.raises(MemoryError, match="no room"):
        program(torch.ones(2))
    assert torch.get_num_threads() == 2


# What importing costs -------------------------------------------------------------------------------------------------

SLOW = ("networkx", "matplotlib", "rich", "scipy", "graphviz", "pygraphviz", "click")


def test_importing_and_training_load_nothing_slow() -> None:
    program = f"""
import sys, graphc, torch
from graphc import nn, optim
def loaded():
    return [name for name in {SLOW} if name in sys.modules]
print(loaded())
x = graphc.placeholder("x", ("n", 2))
net = nn.Linear(2, 1)
loss = net(x).square().mean()
train = graphc.compile([x], loss, optim.Adam(net.parameters()).minimize(loss))
train.fit(torch.ones(4, 2), batch_size=2, epochs=1)
print(loaded())
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.split("\n") == ["[]", "[]", ""]
