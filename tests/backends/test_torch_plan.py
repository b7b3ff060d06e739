"""The torch plan: every op on it, its source as people read it, and names that are only text in it."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import graphc
from graphc import Parameter, Program, Tensor, grad, nn, optim
from graphc.backends.torch_plan import source as plan_source
from graphc.ir import OPS, Sample, apply
from tests.judge import Array, assert_same, placeholders_for, probed, random_like, values_of

# Every op -------------------------------------------------------------------------------------------------------------

SAMPLES = [
    pytest.param(sample, id=f"{sample.op.name}-{n}") for op in OPS.values() for n, sample in enumerate(op.samples())
]


@pytest.mark.parametrize("sample", SAMPLES)
def test_ops(sample: Sample) -> None:
    """Forward and backward, as outputs and inside an expression."""
    generator = torch.Generator().manual_seed(0)
    arrays = [arg.draw(generator) for arg in sample.args]
    x = placeholders_for(arrays)
    y = apply(sample.op, *x)
    outputs = [y, y.to(torch.float64) + 1.0]
    wrt = [each for each in x if each.dtype.is_floating_point]
    if y.dtype.is_floating_point and wrt:
        weight = graphc.placeholder("weight", y.shape, y.dtype)
        arrays.append(random_like(torch.empty(sample.op.eval(*arrays).shape, dtype=y.dtype), generator))
        x.append(weight)
        outputs += grad((y * weight).sum(), wrt)
    expected = values_of(outputs, x, arrays)
    before = [array.clone() for array in arrays]
    program = graphc.compile(x, outputs, backend="torch")
    for _ in range(2):
        for actual, value in zip(program(*arrays), expected, strict=True):
            assert_same(actual, value)
    for array, old in zip(arrays, before, strict=True):
        assert_same(array, old, bits=True)


# The source -----------------------------------------------------------------------------------------------------------

MODEL = """
import graphc
from graphc import nn, optim

points = graphc.placeholder("points", shape=("batch", 2))
labels = graphc.placeholder("labels", shape=("batch", 1))
net = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1))
loss = nn.MSELoss()(net(points), labels)
updates = optim.SGD(net.parameters(), lr=0.1).minimize(loss)
program = graphc.compile([points, labels], loss, updates, backend="torch")
"""


def model(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str = "model.py") -> dict[str, Any]:
    """What the model defines, run from a file of that name."""
    (folder / name).write_text(MODEL, encoding="utf-8")
    monkeypatch.chdir(folder)
    return runpy.run_path(name)


def test_the_source_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None]
) -> None:
    program: Program = model(tmp_path, monkeypatch)["program"]
    golden("backends/training_step.txt", program.source)


def test_the_reference_has_no_source() -> None:
    x = graphc.placeholder("x", (2,))
    assert graphc.compile([x], x, backend="reference").source == ""


def test_compiling_twice_gives_the_same_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = model(tmp_path, monkeypatch)
    again = graphc.compile([found["points"], found["labels"]], found["loss"], found["updates"], backend="torch")
    assert again.source == found["program"].source


def trained(program: Program, count: int) -> list[Array]:
    """Outputs and State after `count` steps of a program of the model."""
    generator = torch.Generator().manual_seed(1)
    state = program.new_state(seed=2)
    losses = [
        program(torch.randn(7, 2, generator=generator), torch.randn(7, 1, generator=generator), state=state)
        for _ in range(count)
    ]
    return [*losses, *(state[name] for name in state)]


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_long_plans_are_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    whole: Program = model(tmp_path, monkeypatch)["program"]
    monkeypatch.setattr(plan_source, "PART", length)
    split: Program = model(tmp_path, monkeypatch)["program"]
    assert "def part1(" in split.source
    assert "def part" not in whole.source
    functions = [node for node in ast.parse(split.source).body if isinstance(node, ast.FunctionDef)]
    parts = [function for function in functions if function.name.startswith("part")]
    assert all(len(part.body) <= length + 1 for part in parts), "the statements, and what is returned"
    for actual, expected in zip(trained(split, 5), trained(whole, 5), strict=True):
        assert_same(actual, expected, bits=True)


def test_parts_hand_on_what_later_ones_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that nothing stores: of ops without a call of their own, views of inputs, outputs."""
    monkeypatch.setattr(plan_source, "PART", 1)
    x, y = graphc.placeholder("x", ("n", 3)), graphc.placeholder("y", ("n", 3))
    z = probed(x.sigmoid(), lambda: None, monkeypatch)
    outputs = [z, y.T, z.exp() * y, graphc.cat([z, z.T.T]), x, z + y.T.T, z, probed(z, lambda: None, monkeypatch)]
    arrays = [torch.randn(2, 3), torch.rand(2, 3)]
    program = graphc.compile([x, y], outputs, backend="torch")
    assert "def part3(" in program.source
    for actual, expected in zip(program(*arrays), values_of(outputs, [x, y], arrays), strict=True):
        assert_same(actual, expected)


def test_ops_without_a_call_are_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their results are the caller's, or another call's, or a cell's."""
    calls: list[str] = []
    x, p = graphc.placeholder("x", ("n", 3)), Parameter(torch.zeros(3))
    y = probed(x, lambda: calls.append("y"), monkeypatch)
    new = probed(p, lambda: calls.append("new"), monkeypatch) + 1.0
    program = graphc.compile([x], [y, y.exp(), y.T], {p: probed(new, lambda: None, monkeypatch)}, backend="torch")
    assert program.source.count("op(") == 3
    value = torch.randn(2, 3)
    kept = [program(value) for _ in range(3)]
    assert sorted(calls) == ["new"] * 3 + ["y"] * 3
    for same, exponential, turned in kept:
        assert_same(same, value, bits=True)
        assert_same(exponential, value.exp())
        assert_same(turned, value.T, bits=True)
        same.zero_()
    assert p.value.tolist() == [3.0] * 3


# Names are only text --------------------------------------------------------------------------------------------------

HOSTILE = [
    '"; raise SystemExit #',
    "x\nraise SystemExit",
    "x\r\nraise SystemExit",
    "'''\nraise SystemExit\n'''",
    '"""',
    "\\",
    "\\\n",
    "{x}",
    "%s",
    "x\0y",
    "x\u2028raise SystemExit",
    "x\x85raise SystemExit",
    "\u202ereversed",
    "größe",
    "\ud800",
    "a b",
    "a-b",
    "a.b",
    "1",
    "class",
    "None",
    "run",
    "v3",
    "n_batch",
    "n_n",
    "cell0",
    "buffer",
    "constant",
    "device",
    "empty",
    "float32",
    "addmm",
    "versions",
    "set_up",
    "part0",
    "out0",
    "in1",
    "__builtins__",
    "x" * 5000,
]


def shape_of_source(program: Program) -> str:
    """The source without comments, with the names of inputs and sizes made alike."""
    text = re.sub(r"\b(in|n)_?\w*\b", "name", ast.unparse(ast.parse(program.source)))
    assert "SystemExit" not in text
    return text


def step_with_names(inputs: tuple[str, str], parameter: str, size: str = "n") -> Program:
    x, y = (graphc.placeholder(name, (size, 3)) for name in inputs)
    p, q = Parameter(torch.tensor([1.0, -2.0, 3.0]), name=parameter), Parameter(torch.ones(2), name=parameter)
    loss = (x * p - y).square().mean() + q.square().sum()
    updates = optim.SGD([p, q], lr=0.1).minimize(loss)
    return graphc.compile([x, y], {"loss": loss, parameter: x.T + 1.0}, updates, backend="torch")


PLAIN = step_with_names(("x", "y"), "p")
X, Y = torch.arange(6.0).reshape(2, 3), torch.ones(2, 3)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_names_of_inputs_and_parameters(name: str) -> None:
    program = step_with_names((name, "y"), name)
    assert shape_of_source(program) == shape_of_source(PLAIN)
    expected = list(PLAIN(X, Y, state=PLAIN.new_state()).values())
    for actual, value in zip(program(X, Y).values(), expected, strict=True):
        assert_same(actual, value, bits=True)


@pytest.mark.parametrize(
    "names", [("a b", "a-b"), ("ä", "ö"), ("x", "x"), ("in1", "1"), ("x", "X"), ("x" * 31, "x" * 32), ("_", "__")]
)
def test_inputs_whose_names_look_alike(names: tuple[str, str]) -> None:
    x, y = (graphc.placeholder(name, (3,)) for name in names)
    program = graphc.compile([x, y], x - y * 2.0, backend="torch")
    assert program(torch.ones(3), torch.full((3,), 5.0)).tolist() == [-9.0] * 3


SIZES = [name for name in HOSTILE if name.isidentifier()] + [
    "mm",
    "sum",
    "cat",
    "lambda",
    "True",
    "n",
    "_",
    "ﬁ",
    "ªº",
    "a·b",
    "℘",
    "名前",
    "\U0001d41b\U0001d41a\U0001d42d\U0001d41c\U0001d421",
]


@pytest.mark.parametrize("size", SIZES, ids=ascii)
def test_names_of_sizes(size: str) -> None:
    program = step_with_names(("x", "y"), "p", size)
    assert shape_of_source(program) == shape_of_source(PLAIN)
    x = graphc.placeholder("x", (size, 3))
    doubled = graphc.compile([x], graphc.cat([x, x.exp()])[1:].reshape(-1) / x.shape[0], backend="torch")
    expected = torch.cat([X, X.exp()])[1:].reshape(-1) / 2
    assert_same(doubled(X), expected)


def test_sizes_whose_names_python_reads_as_one() -> None:
    """Python takes the ligature in an identifier for the two letters."""
    x, y = graphc.placeholder("x", ("ﬁ",)), graphc.placeholder("y", ("fi",))
    program = graphc.compile([x, y], graphc.cat([x.exp(), y.exp()]) * 2.0, backend="torch")
    assert program(torch.zeros(2), torch.zeros(3)).tolist() == [2.0] * 5


@pytest.mark.parametrize("name", [name for name in HOSTILE if "." not in name], ids=ascii)
def test_names_of_modules(name: str) -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            result: Tensor = getattr(self, name)(x)
            return result

    torch.manual_seed(0)
    net = Net()
    setattr(net, name, nn.Linear(3, 2))
    x = graphc.placeholder("x", ("n", 3))
    program = graphc.compile([x], net(x), backend="torch")
    ast.parse(program.source)
    torch.manual_seed(0)
    assert_same(program(X), torch.nn.Linear(3, 2)(X).detach())


@pytest.mark.parametrize(
    "name", ["a\nraise SystemExit\n.py", "\"'\\.py", "größe.py", "# .py", "a\u2028b.py"], ids=ascii
)
def test_names_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plain: Program = model(tmp_path, monkeypatch)["program"]
    hostile: Program = model(tmp_path, monkeypatch, name)["program"]
    assert shape_of_source(hostile) == shape_of_source(plain)
    assert hostile.source.count("\n") == plain.source.count("\n")
    for actual, expected in zip(trained(hostile, 2), trained(plain, 2), strict=True):
        assert_same(actual, expected, bits=True)


def test_numbers_that_are_no_literals() -> None:
    x = graphc.placeholder("x", (3,))
    inf = float("inf")
    outputs = [x.clamp(-inf, inf), graphc.leaky_relu(x, -inf), x.clamp(max=1e-320), x.pow(float("nan")), x * inf]
    arrays = [torch.tensor([1.0, -1.0, float("nan")])]
    program = graphc.compile([x], outputs, backend="torch")
    for actual, expected in zip(program(*arrays), values_of(outputs, [x], arrays), strict=True):
        assert_same(actual, expected, bits=True)


def test_empty_pieces_of_a_pack() -> None:
    """They start where their neighbours do."""
    shapes = [(0, 2), (2,), (0,), (), (3, 0), (1, 3), (0, 1)]
    x = [graphc.placeholder(f"x{i}", shape) for i, shape in enumerate(shapes)]
    outputs = [apply(OPS["pack"](), *x).exp()]
    arrays = [torch.rand(shape) for shape in shapes]
    assert_same(graphc.compile(x, outputs, backend="torch")(*arrays)[0], values_of(outputs, x, arrays)[0], bits=True)
