"""The command `graphc-viz`: what it writes, and what it says in one line when it cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from graphc.viz.command import main

MODEL = """
import graphc
from graphc import nn

print("reading")
x = graphc.placeholder("x", ("batch", 3))
net = nn.Linear(3, 2)
y = net(x)
both = {"y": y, "mean": y.mean()}
program = graphc.compile([x], y.sum(), {net.weight: net.weight - graphc.grad(y.sum(), net.weight)})
only_gradients = program.graph.subgraph(graphc.ir.OutputRole.UPDATE)
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
    assert result.stdout == f"{name}: 6 boxes, 1 module\n"
    assert (folder / name).read_bytes().startswith(magic.encode())


def test_writes_svg_beside_us_and_says_so(folder: Path) -> None:
    assert run("model.py:y").stdout == "y.svg: 6 boxes, 1 module\n"
    assert "<svg" in (folder / "y.svg").read_text()


@pytest.mark.parametrize(("target", "start"), [("-", "<?xml"), ("-.dot", "digraph graphc {")])
@pytest.mark.usefixtures("folder")
def test_standard_output_is_the_drawing_alone(target: str, start: str) -> None:
    result = run("model.py:y", "-o", target)
    assert result.exit_code == 0
    assert result.stdout.startswith(start)
    assert "reading" not in result.stdout
    assert result.stderr == "reading\n"


@pytest.mark.parametrize("name", ["y", "both", "program", "Holder.inner", "x", "net.weight", "program.graph"])
@pytest.mark.usefixtures("folder")
def test_what_can_be_drawn(name: str) -> None:
    assert run(f"model.py:{name}", "-o", "-.dot").exit_code == 0


@pytest.mark.usefixtures("folder")
def test_options() -> None:
    assert "rankdir=LR" in run("model.py:y", "-o", "-.dot", "--direction", "LR").stdout
    assert "new weight" not in run("model.py:program", "-o", "-.dot").stdout
    assert "new weight" in run("model.py:program", "-o", "-.dot", "--view", "all").stdout


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
        (["model.py"], 2, "name what to draw, as in model.py:name; it has x (a tensor), y (a tensor), both (a dict of"),
        (["model.py:"], 2, "name what to draw, as in model.py:name; it has x (a tensor)"),
        (["missing.py:y"], 2, "there is no file 'missing.py'"),
        (["missing"], 2, "there is no file 'missing'"),
        (["empty:y"], 2, "'empty' is a folder; name a Python file in it"),
        (["text.txt:y"], 2, "'text.txt' is not a Python file (.py)"),
        (["model.py:z"], 2, "there is no 'z' in model.py; it has x (a tensor), y (a tensor)"),
        (["model.py:y.z"], 2, "there is no 'y.z' in model.py; it has x"),
        (["nothing.py:z"], 2, "there is no 'z' in nothing.py; it has nothing that can be drawn"),
        (["model.py:y", "-o", "y.jpg"], 2, "cannot write '.jpg' files: the name ends with .svg, .png, .pdf or .dot"),
        (["model.py:y", "-o", "no/y.dot"], 1, "cannot write 'no/y.dot': No such file or directory"),
        (["model.py:net"], 1, "'net' is a module (Linear); it has no graph until it is called: write y = net(x)"),
        (["model.py:number"], 1, "'number' is an int; what can be drawn is a tensor, a list"),
        (["model.py:only_gradients"], 1, "'only_gradients' has only gradients and updates to draw: ask for all of it"),
        (["broken.py:y"], 1, "broken.py fails while it is read: ValueError: two lines (line 3)"),
        (["syntax.py:y"], 1, "syntax.py fails while it is read: SyntaxError: invalid syntax (line 2)"),
        (["shape.py:y"], 1, "shape.py fails while it is read: ShapeError: matmul: inner sizes differ, 3 != 2"),
        (["leaves.py:y"], 1, "leaves.py ends itself while it is read: SystemExit(3)"),
        (["model.py:y", "--timeout", "0.001"], 1, "the layout did not finish in 0.001 s: give it more time"),
        ([], 2, "missing argument 'FILE.py:NAME'. See graphc-viz --help"),
        (["model.py:y", "--what"], 2, "no such option '--what'. See graphc-viz --help"),
        (["model.py:y", "--direction", "up"], 2, "invalid value for '--direction': 'up' is not one of 'TB', 'LR'"),
        (["model.py:y", "--timeout", "0"], 2, "invalid value for '--timeout': 0.0 is not in the range"),
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
    result = run(*arguments)
    [line] = [line for line in result.stderr.splitlines() if line != "reading"]
    assert line.startswith(f"graphc-viz: {message}")
    assert result.exit_code == code
    assert result.stdout == ""


def test_help_teaches_by_examples() -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert "graphc-viz model.py:loss -o figure.pdf" in result.stdout


def test_the_installed_command(folder: Path) -> None:
    command = Path(sys.executable).with_name("graphc-viz")
    done = subprocess.run(
        [command, "model.py:y", "-o", "y.png"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "y.png: 6 boxes, 1 module\n", "reading\n")
    assert (folder / "y.png").read_bytes().startswith(b"\x89PNG")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("graphc-viz ")
    done = subprocess.run([command, "missing.py:y"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "graphc-viz: there is no file 'missing.py'\n")
