"""Layout: which engine runs, what comes back, and what happens when one fails or takes too long."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import graphc
from graphc.viz import DrawingError, draw
from graphc.viz.dot import dot_source
from graphc.viz.layout import Format, render
from graphc.viz.views import drawing_for

SOURCE = "digraph { a -> b }"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_pygraphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.viz.layout.importlib.util.find_spec", lambda name: None)


def install_dot(folder: Path, script: str) -> None:
    dot = folder / "dot"
    dot.write_text(f"#!/bin/sh\n{script}\n")
    dot.chmod(0o755)


@pytest.mark.parametrize(("format", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
@pytest.mark.usefixtures("path")
def test_formats_of_pygraphviz(format: Format, magic: bytes) -> None:
    assert render(SOURCE, format).startswith(magic)


def test_dot_is_preferred(path: Path) -> None:
    install_dot(path, 'echo "$@"; /bin/cat')
    assert render(SOURCE, "png") == f"-Tpng -Gdpi=144\n{SOURCE}".encode()


@pytest.mark.parametrize("script", ["exit 1", "exit 0", "kill -SEGV $$"])
def test_pygraphviz_is_tried_when_dot_fails(path: Path, script: str) -> None:
    install_dot(path, script)
    assert render(SOURCE, "svg").startswith(b"<?xml")


def test_dot_that_does_not_start(path: Path) -> None:
    (path / "dot").write_bytes(b"\x7fELF, but not really")
    (path / "dot").chmod(0o755)
    assert render(SOURCE, "svg").startswith(b"<?xml")


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'Error: <stdin>: syntax error' >&2; exit 1", "the layout failed: Error: <stdin>: syntax error"),
        ("exit 3", "the layout failed: the layout engine ended with 3 and wrote nothing"),
        ("kill -SEGV $$", r"the layout failed: the layout engine crashed \(signal 11\)"),
    ],
)
@pytest.mark.usefixtures("no_pygraphviz")
def test_failures(path: Path, script: str, problem: str) -> None:
    install_dot(path, script)
    with pytest.raises(DrawingError, match=problem):
        render(SOURCE, "svg")


@pytest.mark.usefixtures("path")
def test_what_is_no_dot_fails_in_pygraphviz() -> None:
    with pytest.raises(DrawingError, match=r"the layout failed: .*Draw a smaller part, or write \.dot"):
        render("this is no graph", "svg")


@pytest.mark.usefixtures("path", "no_pygraphviz")
def test_no_engine() -> None:
    with pytest.raises(DrawingError, match=r"install Graphviz \(apt install graphviz.*pip install pygraphviz.*\.dot"):
        render(SOURCE, "svg")


def test_dot_takes_too_long(path: Path) -> None:
    install_dot(path, "exec /bin/sleep 60")
    start = time.perf_counter()
    with pytest.raises(DrawingError, match=r"did not finish in 0\.2 s: give it more time \(--timeout SECONDS\)"):
        render(SOURCE, "svg", timeout=0.2)
    assert time.perf_counter() - start < 10


@pytest.mark.usefixtures("path")
def test_pygraphviz_takes_too_long() -> None:
    y = graphc.placeholder("x", ("batch", 4))
    for _ in range(10_000):
        y = y.tanh()
    source = dot_source(drawing_for(y, "forward"))
    start = time.perf_counter()
    with pytest.raises(DrawingError, match=r"did not finish in 0\.5 s"):
        render(source, "svg", timeout=0.5)
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_time_outs_are_seconds(timeout: float) -> None:
    with pytest.raises(DrawingError, match=f"a number of seconds between 0 and 86400, not {timeout}"):
        render(SOURCE, "svg", timeout)


def test_draw_writes_files(tmp_path: Path) -> None:
    x = graphc.placeholder("x", ("batch", 4))
    for suffix, magic in ((".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF"), (".dot", b"digraph")):
        draw(x.tanh(), tmp_path / f"net{suffix}")
        assert (tmp_path / f"net{suffix}").read_bytes().startswith(magic)


def test_a_failure_leaves_the_file_as_it_is(tmp_path: Path, path: Path) -> None:
    install_dot(path, "exec /bin/sleep 60")
    file = tmp_path / "net.svg"
    file.write_text("before")
    with pytest.raises(DrawingError, match="did not finish"):
        draw(graphc.placeholder("x", ("batch", 4)), file, timeout=0.1)
    assert file.read_text() == "before"


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    x = graphc.placeholder("x", ("batch", 4))
    with pytest.raises(
        DrawingError,
        match=r"cannot write '.*net\.jpg': there are no '\.jpg' files; the name ends with \.svg, \.png, .*or \.html",
    ):
        draw(x, tmp_path / "net.jpg")
    with pytest.raises(DrawingError, match="there are no files without an ending"):
        draw(x, tmp_path / "net")
    with pytest.raises(DrawingError, match=r"cannot write '.*net\.dot': No such file or directory"):
        draw(x, tmp_path / "missing" / "net.dot")
