"""The command `graphc-viz`: what it writes, and what it says in one line when it cannot."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import graphc
from graphc.viz.command import main

MODEL = """
import torch

import graphc
from graphc import nn

print("reading")
x = graphc.placeholder("x", ("batch", 3))
net = nn.Linear(3, 2)
y = net(x)
both = {"y": y, "mean": y.mean()}
program = graphc.compile([x], y.sum(), {net.weight: net.weight - graphc.grad(y.sum(), net.weight)})
only_gradients = program.graph.subgraph(graphc.ir.OutputRole.UPDATE)
deep = nn.Sequential(net, nn.Tanh(), nn.Sequential(nn.Linear(2, 4), nn.ReLU()))
values = torch.ones(5, 3)
number = 3


class Holder:
    inner = y
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a file to draw from."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


@pytest.mark.parametrize(("name", "magic"), [("y.svg", "<?xml"), ("net.dot", "digraph"), ("deep.PDF", "%PDF")])
def test_writes_where_it_is_told(folder: Path, name: str, magic: str) -> None:
    result = run("model.py:y", "-o", name)
    assert result.exit_code == 0
    assert re.fullmatch(rf"{re.escape(name)}: 8 parameters \(32 B\).*\n", result.stdout)
    assert (folder / name).read_bytes().startswith(magic.encode())


def test_writes_svg_beside_us_and_says_so(folder: Path) -> None:
    assert run("model.py:y").stdout.startswith("y.svg: 8 parameters")
    assert "<svg" in (folder / "y.svg").read_text()


@pytest.mark.parametrize(("target", "start"), [("-", "<?xml"), ("-.dot", "digraph graphc {")])
@pytest.mark.usefixtures("folder")
def test_standard_output_is_the_drawing_alone(target: str, start: str) -> None:
    result = run("model.py:y", "-o", target)
    assert result.exit_code == 0
    assert result.stdout.startswith(start)
    assert "reading" not in result.stdout
    assert result.stderr == "reading\n"


@pytest.mark.parametrize("name", ["y", "both", "program", "Holder.inner", "x", "net.weight", "program.graph", "net"])
@pytest.mark.usefixtures("folder")
def test_what_can_be_drawn(name: str) -> None:
    assert run(f"model.py:{name}", "-o", "-.dot").exit_code == 0


@pytest.mark.usefixtures("folder")
def test_options() -> None:
    assert "rankdir=LR" in run("model.py:y", "-o", "-.dot", "--direction", "LR").stdout
    assert "new weight" not in run("model.py:program", "-o", "-.dot").stdout
    assert "new weight" in run("model.py:program", "-o", "-.dot", "--view", "training").stdout


def test_neighbours_and_the_working_directory_can_be_imported(folder: Path) -> None:
    (folder / "nets").mkdir()
    (folder / "nets" / "neighbour.py").write_text("import model\n")
    (folder / "nets" / "file.py").write_text(
        "import sys\nimport neighbour\nz = neighbour.model.y\nassert len(sys.argv) == 1\n"
    )
    before = list(sys.path)
    try:
        assert run("nets/file.py:z", "-o", "-.dot").exit_code == 0
    finally:
        sys.modules.pop("model", None)
        sys.modules.pop("neighbour", None)
    assert sys.path == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["model.py"], 2, "name what to draw, as in model.py:name; it has x (a tensor), net (a Linear module), y (a t"),
        (["model.py:"], 2, "name what to draw, as in model.py:name; it has x (a tensor)"),
        (["missing.py:y"], 2, "there is no file 'missing.py'"),
        (["mdel.py:y"], 2, "there is no file 'mdel.py'; did you mean 'model.py'?"),
        (["missing"], 2, "there is no file 'missing'"),
        (["empty:y"], 2, "'empty' is a folder; name a Python file in it"),
        (["text.txt:y"], 2, "'text.txt' is neither a Python file (.py) nor a saved graph (.json)"),
        (["model.py:z"], 2, "there is no 'z' in model.py; it has x (a tensor), net (a Linear module), y (a tensor)"),
        (["model.py:progam"], 2, "there is no 'progam' in model.py; did you mean 'program'?; it has x"),
        (["model.py:y.z"], 2, "there is no 'y.z' in model.py; it has x"),
        (["nothing.py:z"], 2, "there is no 'z' in nothing.py; it has nothing that can be drawn"),
        (["model.py:y", "-o", "y.jpg"], 2, "invalid value for '-o' / '--output': cannot write 'y.jpg': there are"),
        (["model.py:y", "-o", "-.jpg"], 2, "invalid value for '-o' / '--output': cannot write 'output.jpg': there"),
        (["model.py:y", "-o", "no/y.dot"], 1, "cannot write 'no/y.dot': No such file or directory"),
        (["model.py:number"], 1, "'number' is an int; what can be drawn is a tensor, a list"),
        (["model.py:only_gradients"], 1, "'only_gradients' has only gradients and updates to draw: ask for all of it"),
        (["model.py:y", "--view", "training"], 1, "'y' has no backward part"),
        (["model.py:y", "--view", "all"], 2, "invalid value for '--view': 'all' is not one of 'forward', 'backward'"),
        (["broken.py:y"], 1, "broken.py fails while it is read: ValueError: two lines (line 3)"),
        (["syntax.py:y"], 1, "syntax.py fails while it is read: SyntaxError: invalid syntax (line 2)"),
        (["leaves.py:y"], 1, "leaves.py ends itself while it is read: SystemExit(3)"),
        (["bad.json"], 1, "bad.json cannot be read: "),
        (["bad.json:y"], 2, "'bad.json' is a saved graph, which has no names in it: leave out 'y'"),
        (["bad.json", "--input", "3"], 2, "--input is for Python files; 'bad.json' is a saved graph"),
        (["bad.json", "--batch", "b"], 2, "--batch is for Python files; 'bad.json' is a saved graph"),
        (["model.py:y", "--timeout", "0.001"], 1, "the layout did not finish in 0.001 s: give it more time"),
        ([], 2, "missing argument 'TARGET'. See graphc-viz --help"),
        (["model.py:y", "--quux"], 2, "no such option '--quux'. See graphc-viz --help"),
        (["model.py:y", "--vew", "forward"], 2, "no such option '--vew'. Did you mean '--view'? See graphc-viz --help"),
        (["model.py:y", "--direction", "up"], 2, "invalid value for '--direction': 'up' is not one of 'TB', 'LR'"),
        (["model.py:y", "--timeout", "0"], 2, "invalid value for '--timeout': 0.0 is not in the range"),
        (["model.py:y", "--depth", "-1"], 2, "invalid value for '--depth': -1 is not in the range"),
        (["model.py:deep", "--only", "2.7"], 1, "there is no module '2.7' in this drawing"),
        (["model.py:deep", "--only", ""], 2, "invalid value for '--only': a module has a name, such as encoder.0"),
        (["model.py:y", "--overlay", "heat"], 2, "invalid value for '--overlay': 'heat' is not one of 'time', 'flops'"),
        (["model.py:y", "--size", "batch"], 2, "invalid value for '--size': 'batch': a size is given as in batch=25"),
        (["model.py:y", "--size", "batch=-1"], 2, "invalid value for '--size': '-1' is no size"),
        (
            ["model.py:y", "--size", "batch=n"],
            2,
            "invalid value for '--size': 'batch=n': the size of batch is a number",
        ),
        (["model.py:y", "--size", "n=1", "--size", "n=2"], 2, "--size n is given twice, as 1 and 2"),
        (["model.py:y", "--input", "3"], 2, "--input is for modules, which are called on it; 'y' is a tensor"),
        (["model.py:net", "--input", "1.5"], 2, "invalid value for '--input': '1.5' is no size"),
        (["model.py:net", "--input", "batch,4"], 1, "'net' fails on x: f32[batch,4]: ShapeError: 0 (Linear): the"),
        (["model.py:program", "--batch", "number"], 2, "'number' is an int; --batch names a torch tensor"),
        (["model.py:program", "--batch", "numbr"], 2, "there is no 'numbr' in model.py; did you mean 'number'?"),
        (["dif", "a", "b"], 2, "there is no command or file 'dif'; did you mean 'diff'?"),
        (["diff", "model.py:y"], 2, "name two targets, or one program and one of its passes (--pass NAME)"),
        (["diff", "model.py:y", "model.py:x", "--pass", "cse"], 2, "name two targets, or one program and one of its"),
        (["diff", "model.py:program", "--pass", "css"], 2, "there is no pass 'css'; did you mean 'cse'?; there are"),
        (["diff", "model.py:y", "--what"], 2, "no such option '--what'. See graphc-viz diff --help"),
        (["passes", "model.py:program", "-o", "p.svg"], 1, "passes are several drawings: write .html or .json"),
        (["passes", "model.py:y"], 2, "'model.py:y' is a tensor; passes make a program, by graphc.compile"),
        (
            ["passes", "shape.py:y"],
            1,
            "shape.py fails while it is read: ShapeError: matmul: inner sizes differ, 3 != 2",
        ),
        (["model.py:a\nb\x1b[31m"], 2, "there is no 'a\\\\nb\\\\x1b[31m' in model.py; it has x"),
        (["model.py:y", "--a\nb"], 2, "no such option '--a\\nb'. See graphc-viz --help"),
    ],
)
def test_errors_are_one_line(folder: Path, arguments: list[str], code: int, message: str) -> None:
    (folder / "empty").mkdir()
    (folder / "text.txt").touch()
    (folder / "nothing.py").touch()
    (folder / "broken.py").write_text("\ndef f():\n    raise ValueError('two\\nlines')\n\nf()\n")
    (folder / "syntax.py").write_text("x = 1\ny = = 2\n")
    (folder / "shape.py").write_text(
        "import graphc\nx = graphc.placeholder('x', (2, 3))\ny = x @ graphc.placeholder('w', (2, 3))\n"
    )
    (folder / "leaves.py").write_text("raise SystemExit(3)\n")
    (folder / "bad.json").write_text("{")
    result = run(*arguments)
    [line] = [line for line in result.stderr.splitlines() if line != "reading"]
    assert line.startswith(f"graphc-viz: {message}")
    assert result.exit_code == code
    assert result.stdout == ""


def test_help_teaches_by_examples() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "graphc-viz model.py:loss -o figure.pdf" in result.stdout
    for word in ("--overlay", "--input", "diff", "passes", "completion"):
        assert word in result.stdout
    assert run("model.py:y", "--help").stdout == result.stdout
    assert "graphc-viz diff saved.json model.py:loss" in run("diff", "--help").stdout


def test_a_graph_that_cannot_be_built_is_drawn_up_to_the_error(folder: Path) -> None:
    (folder / "shape.py").write_text(
        "import graphc\nx = graphc.placeholder('x', (2, 3))\ny = x.tanh() @ graphc.placeholder('w', (2, 3))\n"
    )
    for arguments, name in (
        (["shape.py:y"], "y.svg"),
        (["shape.py"], "shape.svg"),
        (["shape.py:q", "-o", "a.html"], "a.html"),
    ):
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        start = (
            "graphc-viz: shape.py fails while it is read: ShapeError: matmul: inner sizes differ, 3 != 2, in f32[2,3]"
        )
        assert result.stderr.startswith(start)
        assert result.stderr.count("shape.py:3") == 1, "the line is said once"
        assert result.stderr.endswith(f"; drawn up to there in {name}\n")
        assert "inner sizes differ" in (folder / name).read_text()
    for suffix in ("dot", "mmd", "json"):
        result = run("shape.py:y", "-o", f"-.{suffix}")
        assert result.exit_code == 1
        assert "inner sizes differ" in result.stdout
        assert result.stderr.endswith("; drawn up to there\n")
    result = run("shape.py:y", "-o", "no/y.svg")
    assert result.stderr.endswith(
        "; what there is of it could not be drawn: cannot write 'no/y.svg': No such file or directory\n"
    )


def test_modules_are_called(folder: Path) -> None:
    guessed = run("model.py:net", "-o", "-.dot").stdout
    assert "[batch, 3]" in guessed
    assert "model.py:9" in guessed, "nodes are where the module is"
    assert "[7, 3]" in run("model.py:net", "-o", "-.dot", "--input", "points=7,3").stdout
    assert "points" in run("model.py:net", "-o", "-.dot", "--input", "points=7,3").stdout


@pytest.mark.usefixtures("folder")
def test_modules_are_opened_and_closed() -> None:
    plain = run("model.py:deep", "-o", "-.dot").stdout
    assert plain.count("subgraph cluster") == 4
    assert run("model.py:deep", "-o", "-.dot", "--depth", "1").stdout.count("subgraph cluster") == 1
    assert run("model.py:deep", "-o", "-.dot", "--collapse", "Linear").stdout.count("subgraph cluster") == 2
    inside = run("model.py:deep", "-o", "-.dot", "--only", "sequential.2").stdout
    assert "relu" in inside
    assert "[batch, 3]" in plain
    assert "[batch, 3]" not in inside


@pytest.mark.usefixtures("folder")
def test_sizes_and_batches() -> None:
    assert "batch = 7" in run("model.py:program", "-o", "-.dot", "--overlay", "flops", "--size", "batch=7").stdout
    assert run("model.py:program", "-o", "-.dot", "--overlay", "gradient", "--batch", "values").exit_code == 0
    assert (
        run("model.py:program", "-o", "-.dot", "--theme", "dark").stdout
        != run("model.py:program", "-o", "-.dot").stdout
    )


def test_saved_graphs(folder: Path) -> None:
    x = graphc.placeholder("x", ("batch", 3))
    graphc.ir.Graph((x.node,), (graphc.ir.Output(x.tanh().node, graphc.ir.OutputRole.OUTPUT, "y"),)).save("graph.json")
    assert run("graph.json").stdout.startswith("graph.svg: ")
    assert "<svg" in (folder / "graph.svg").read_text()
    assert "tanh" in run("graph.json", "-o", "-.dot").stdout
    assert run("diff", "graph.json", "graph.json").stdout.startswith("graph -> graph: 2 -> 2 nodes, 0 added")


@pytest.mark.usefixtures("folder")
def test_graphs_are_compared() -> None:
    result = run("diff", "model.py:y", "model.py:program")
    assert result.exit_code == 0
    assert result.stderr == "reading\n", "a file that both are in is run once"
    assert " 0 removed" in result.stdout
    assert "canonicalise" not in result.stdout
    assert run("diff", "model.py:program", "--pass", "cse").stdout.startswith("graph -> graph: ")
    assert run("diff", "model.py:program", "--pass", "cse#2").exit_code == 0


def test_comparisons_are_drawn(folder: Path) -> None:
    result = run("diff", "model.py:y", "model.py:program", "-o", "d.svg")
    assert result.exit_code == 0
    assert result.stdout.startswith("graph -> graph: ")
    assert "<svg" in (folder / "d.svg").read_text()
    for suffix, start in (("dot", "digraph graphc {"), ("mmd", ""), ("json", "{"), ("html", "<!")):
        result = run("diff", "model.py:program", "--pass", "cse", "-o", f"-.{suffix}")
        assert result.exit_code == 0
        assert result.stdout.startswith(start)
        assert "graph -> graph: " not in result.stdout


def test_passes_are_listed(folder: Path) -> None:
    result = run("passes", "model.py:program")
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names[:3] == ["stage", "graph", "specialise"]
    assert "cse" in names
    both = run("passes", "model.py:program", "-o", "p.html")
    assert both.stdout.splitlines()[0].split() == result.stdout.splitlines()[0].split()
    assert "canonicalise" in (folder / "p.html").read_text()
    assert run("passes", "model.py:program", "-o", "-.json").stdout.startswith("{")


def test_the_installed_command(folder: Path) -> None:
    command = Path(sys.executable).with_name("graphc-viz")
    done = subprocess.run(
        [command, "model.py:y", "-o", "y.png"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "reading\n")
    assert done.stdout.startswith("y.png: 8 parameters")
    assert (folder / "y.png").read_bytes().startswith(b"\x89PNG")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("graphc-viz ")
    done = subprocess.run([command, "missing.py:y"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "graphc-viz: there is no file 'missing.py'\n")


def test_memory_of_a_program_without_a_plan_says_so(folder: Path) -> None:
    (folder / "judge.py").write_text(
        "import graphc\nx = graphc.placeholder('x', ('n',))\np = graphc.compile([x], x.tanh(), backend='reference')\n"
    )
    for file in ("p.svg", "p.html"):
        result = run("judge.py:p", "--view", "memory", "-o", file)
        assert result.exit_code == 1
        assert "the reference backend makes a new tensor for every value" in result.stderr
