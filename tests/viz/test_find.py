"""Finding what to draw: files, names in them, modules that are called, and what is said of those that are not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import graphc
from graphc import nn
from graphc.viz.errors import DrawingError
from graphc.viz.failure import BuildFailure
from graphc.viz.find import TargetError, find, pick, run, split_target
from graphc.viz.inputs import Input, called, input_of, opened, size_of, values_of

HERE = Path("model.py")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Targets --------------------------------------------------------------------------------------------------------------


def test_a_target_is_a_file_and_a_name(folder: Path) -> None:
    for name in ("model.py", "odd:name.py", "graph.json"):
        (folder / name).touch()
    assert split_target("model.py:net") == (Path("model.py"), "net")
    assert split_target("model.py:net.0") == (Path("model.py"), "net.0")
    assert split_target("model.py") == (Path("model.py"), "")
    assert split_target("odd:name.py") == (Path("odd:name.py"), "")
    assert split_target("odd:name.py:x") == (Path("odd:name.py"), "x")
    assert split_target("graph.json") == (Path("graph.json"), "")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("modle.py:net", r"there is no file 'modle\.py'; did you mean 'model\.py'\?"),
        ("nets/encodr.py:net", r"there is no file 'nets/encodr\.py'; did you mean 'nets/encoder\.py'\?"),
        ("nets/:net", r"'nets/' is a folder; name a Python file in it"),
        ("n" * 300 + ".py:net", r"there is no file 'nnn"),
        ("far/away.py:net", r"there is no file 'far/away\.py'$"),
        ("notes.txt", r"'notes\.txt' is neither a Python file \(\.py\) nor a saved graph \(\.json\)"),
        ("graph.json:net", r"'graph\.json' is a saved graph, which has no names in it: leave out 'net'"),
        ("a\nb\x1b[31m.py", r"there is no file 'a\\\\nb\\\\x1b\[31m\.py'$"),
    ],
)
def test_targets_that_name_nothing(folder: Path, target: str, message: str) -> None:
    (folder / "nets").mkdir()
    for name in ("model.py", "nets/encoder.py", "notes.txt", "graph.json"):
        (folder / name).touch()
    with pytest.raises(TargetError, match=message):
        split_target(target)


def test_a_name_that_is_not_there(folder: Path) -> None:
    names: dict[str, object] = {"loss": graphc.placeholder("x", ()), "_hidden": 1, "number": 3}
    with pytest.raises(TargetError, match=r"there is no 'lss' in model\.py; did you mean 'loss'\?; it has loss \(a t"):
        pick(names, HERE, "lss")
    with pytest.raises(TargetError, match=r"there is no 'q' in model\.py; it has loss \(a tensor\)$"):
        pick(names, HERE, "q")
    with pytest.raises(TargetError, match=r"there is no 'loss\.a' in model\.py; it has loss"):
        pick(names, HERE, "loss.a")
    assert pick(names, HERE, "number") == 3


def test_modules_are_among_what_can_be_drawn() -> None:
    names: dict[str, object] = {"net": nn.Linear(3, 2), "make": nn.Linear}
    with pytest.raises(TargetError, match=r"name what to draw, as in model\.py:name; it has net \(a Linear module\)$"):
        pick(names, HERE, "")


def test_a_property_that_raises_is_one_line() -> None:
    class Holder:
        @property
        def broken(self) -> None:
            raise RuntimeError("two\nlines")

    with pytest.raises(DrawingError, match=r"'h\.broken' of model\.py cannot be read: RuntimeError: two lines$"):
        pick({"h": Holder()}, HERE, "h.broken")


def test_hostile_names_stay_one_line(folder: Path) -> None:
    (folder / "bad\nname.py").write_text("globals()['x\\n\\x1b[2J'] = __import__('graphc').placeholder('x', ())")
    with pytest.raises(TargetError, match=r"^there is no 'y' in bad\\nname\.py; it has x\\n\\x1b\[2J \(a tensor\)$"):
        find(Path("bad\nname.py"), "y")
    (folder / "exit.py").write_text("raise SystemExit('a\\nb')")
    with pytest.raises(DrawingError, match=r"SystemExit\('a\\nb'\)$"):
        find(Path("exit.py"), "y")
    (folder / "raise.py").write_text("raise type('E\\nE', (Exception,), {})('\\x1b[31m')")
    with pytest.raises(DrawingError, match=r"fails while it is read: E\\nE: \\x1b\[31m \(line 1\)$"):
        find(Path("raise.py"), "y")


def test_what_a_file_prints_goes_to_standard_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "model.py").write_text("import sys\nprint('hello', sys.argv)\n")
    before = list(sys.path), list(sys.argv)
    run(Path("model.py"))
    assert capsys.readouterr() == ("", "hello ['model.py']\n")
    assert (sys.path, sys.argv) == before


# Inputs of modules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("batch,2", Input("", ("batch", 2))),
        ("batch, 2", Input("", ("batch", 2))),
        ("3", Input("", (3,))),
        ("0", Input("", (0,))),
        ("()", Input("", ())),
        ("points=batch,2", Input("points", ("batch", 2))),
        ("labels=batch:int64", Input("labels", ("batch",), torch.int64)),
        ("t=():bool", Input("t", (), torch.bool)),
    ],
)
def test_inputs_are_read(text: str, expected: Input) -> None:
    assert input_of(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' has no sizes: write them as in batch,2"),
        ("x=", "'x=' has no sizes"),
        ("=2", "'=2': an input is named like a variable"),
        ("a b=2", "'a b=2': an input is named like a variable"),
        ("batch,", "'' is no size: a size is a number from 0, or a name such as batch"),
        ("-1", "'-1' is no size"),
        ("1.5", "'1.5' is no size"),
        ("2²", "'2²' is no size"),
        ("\uff19", "is no size"),
        ("9" * 30, "is no size"),
        ("a\nb", r"'a.+nb' is no size"),
        ("batch:int46", "there is no dtype 'int46'; did you mean 'int64'\\?; use one of float32, float64"),
        ("batch:", "there is no dtype ''; use one of"),
    ],
)
def test_inputs_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(DrawingError, match=message):
        input_of(text)


def test_a_size_is_a_number_or_a_name() -> None:
    assert (size_of("12"), size_of("batch")) == (12, "batch")


def linear() -> nn.Linear:
    return nn.Linear(3, 2)


class Two(nn.Module):
    """Takes a tensor and indices."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 2, dtype=torch.float64)

    def forward(self, points: graphc.Tensor, scale: graphc.Tensor, power: int = 2) -> graphc.Tensor:
        result: graphc.Tensor = self.first(points) * scale
        return result


def the_inputs(value: object) -> list[str]:
    assert isinstance(value, graphc.Tensor)
    nodes, waiting = [], [value.node]
    while waiting:
        node = waiting.pop()
        waiting.extend(node.inputs)
        if node.op.name == "placeholder":
            nodes.append(node)
    return sorted({f"{node.op.label}: {node.type}" for node in nodes})  # type: ignore[attr-defined]  # a placeholder


def test_a_module_is_called_on_what_its_first_matrix_takes() -> None:
    net = nn.Sequential(nn.Tanh(), nn.Linear(5, 4), nn.Linear(4, 1))
    assert the_inputs(called(net, "net", (), HERE)) == ["x: f32[batch,5]"]
    double = nn.Sequential(nn.Linear(3, 2, dtype=torch.float64))
    [described] = the_inputs(called(double, "net", (), HERE))
    assert described.endswith(": f64[batch,3]")


def test_a_module_is_called_on_what_it_is_told() -> None:
    value = called(Two(), "net", [input_of("n,3:float64"), input_of("s=():float64")], HERE)
    assert the_inputs(value) == ["points: f64[n,3]", "s: f64[]"]


def test_anything_callable_with_parameters_is_a_module() -> None:
    class Mine:
        def __init__(self) -> None:
            self.weight = graphc.Parameter(torch.ones(4, 3), name="weight")

        def named_parameters(self) -> list[tuple[str, graphc.Parameter]]:
            return [("weight", self.weight)]

        def __call__(self, x: graphc.Tensor) -> graphc.Tensor:
            return x @ self.weight.T

    assert the_inputs(called(Mine(), "mine", (), HERE)) == ["x: f32[batch,3]"]


class Prints(nn.Linear):
    """Says something and gives no tensor."""

    def forward(self, x: graphc.Tensor) -> int:  # type: ignore[override]  # what this is about
        sys.stdout.write("called")
        return 3


class Fails(nn.Linear):
    """Raises what is not graphc's."""

    def forward(self, x: graphc.Tensor) -> graphc.Tensor:
        raise KeyError("two\nlines")


@pytest.mark.parametrize(
    ("module", "inputs", "message"),
    [
        (Two(), (), r"'net' takes 2 inputs, points, scale; say what it takes with --input batch,2, once for each arg"),
        (nn.Tanh(), (), r"'net' has no matrix that would say what it takes; say what it takes with --input batch,2$"),
        (nn.Sequential(nn.Flatten(), linear()), ("4,7",), r"'net' fails on .*: f32\[4,7\]: ShapeError: .* 7 features"),
        (
            nn.Sequential(nn.Flatten(2), linear()),
            (),
            r"'net' fails on the input that was guessed, .*: f32\[batch,3\]: ",
        ),
        (linear(), ("2,3", "2,3"), r"'net' fails on x: f32\[2,3\], input1: f32\[2,3\]: TypeError: .* too many"),
        (Fails(3, 2), ("2,3",), r"'net' fails on x: f32\[2,3\]: KeyError: 'two.+nlines'"),
        (Prints(3, 2), (), r"'net' gives an int, not a tensor, or a list, tuple or dict of tensors"),
        (torch.nn.Linear(3, 2), (), r"'net' fails on .* SymbolicValueError: torch\.linear: torch computes at once"),
    ],
)
def test_modules_that_cannot_be_called(
    module: object, inputs: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DrawingError, match=message):
        called(module, "net", [input_of(text) for text in inputs], HERE)
    assert capsys.readouterr().out == ""


def test_a_guess_that_fails_asks_for_the_input() -> None:
    class Wide(nn.Linear):
        def forward(self, x: graphc.Tensor) -> graphc.Tensor:
            return super().forward(graphc.cat([x, x], dim=1))

    with pytest.raises(DrawingError, match=r"say what it takes with --input batch,2$") as caught:
        called(Wide(3, 2), "net", (), HERE)
    assert not isinstance(caught.value, BuildFailure)


def test_inputs_are_for_modules() -> None:
    names: dict[str, object] = {"y": graphc.placeholder("x", ())}
    with pytest.raises(TargetError, match="--input is for modules, which are called on it; 'y' is a tensor"):
        opened(HERE, "y", names, [input_of("3")])
    assert opened(HERE, "y", names) is names["y"]


def test_values_of_a_batch() -> None:
    x = torch.ones(2)
    assert values_of(x, "batch") == (x,)
    assert len(values_of([x, x.numpy()], "batch")) == 2
    for value, what in (
        (3, "an int"),
        ([], "a list of other"),
        ([x, 1], "a list of"),
        (graphc.constant(x), "a tensor"),
    ):
        with pytest.raises(TargetError, match=rf"'b' is {what}.*; --batch names a torch tensor"):
            values_of(value, "b")
