"""Where nodes come from: the user's line through every way of building, module scopes, threads, stability."""

from __future__ import annotations

import inspect
import operator
import os
import threading
from pathlib import Path

import pytest
import torch

import graphc
from graphc import ShapeError, Tensor, nn
from graphc.ir import Scope
from graphc.ir.origin import Origin, current_origin, entered, inherited, user_location


def line() -> int:
    """The line of the caller."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_location_is_the_users_line() -> None:
    """Also for operators from either side, methods, torch operands, indices and what is built by layers."""
    x = graphc.placeholder("x", (2, 4))
    matrix, layer = torch.ones(4, 3), nn.Linear(4, 3)
    built = [
        (x + 1, line()),
        (1 - x, line()),
        (torch.ones(2, 4) * x, line()),
        (torch.ones(2, 2) @ x, line()),
        (x @ matrix, line()),
        (x.sum(0, True), line()),
        (graphc.cat([x, x]), line()),
        (x[:, 1:3], line()),
        (layer(x), line()),
        (x.T, line()),
        (graphc.placeholder("y", (3,)), line()),
        (graphc.constant(torch.ones(3)), line()),
        (operator.mul(x, x), line()),
        (sum([x, x], start=x), line()),
    ]
    for y, expected in built:
        assert y.node.origin.location == f"tests/ir/test_origin.py:{expected}"
        assert Path(y.node.origin.file) == Path(__file__)


def test_location_is_relative_to_the_working_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    x = graphc.placeholder("x", (2, 4))
    number = x.node.origin.line
    monkeypatch.chdir(Path(__file__).parent)
    assert x.node.origin.location == f"test_origin.py:{number}"
    monkeypatch.chdir(tmp_path)
    assert x.node.origin.location == f"{__file__}:{number}"
    assert Origin(0).location == ""


def test_a_working_directory_that_was_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    x = graphc.placeholder("x", (2, 4))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    number = x.node.origin.line
    assert x.node.origin.location == f"{__file__}:{number}"
    with pytest.raises(ShapeError, match=f"the layer takes 3; built at {__file__}:"):
        nn.Linear(3, 2)(x)
    program = graphc.compile([x], x.exp())
    assert program(torch.zeros(2, 4)).eq(1).all()
    program.declared.save(tmp_path / "net.json")
    assert f"# {__file__}:{number + 8}" in str(graphc.Graph.load(tmp_path / "net.json"))


def test_location_in_errors_is_that_of_the_mistake() -> None:
    x = graphc.placeholder("x", (2, 4))
    here = 0
    with pytest.raises(ShapeError, match="built at") as caught:  # noqa: PT012 - the line is noted on the way
        here = line() + 1
        x + graphc.constant(torch.ones(3))
    assert f"built at tests/ir/test_origin.py:{here}" in str(caught.value)


def test_callbacks_and_torch_frames_are_looked_through() -> None:
    """A function that torch or graphc calls is not where the user wrote it, and the user's own wrapper is."""

    def wrapper(x: Tensor) -> Tensor:
        return x.exp()

    y = next(iter(map(wrapper, [graphc.placeholder("x", ())])))
    assert y.node.origin.line == inspect.getsourcelines(wrapper)[1] + 1
    assert user_location() == (__file__, line())


def test_idents_grow() -> None:
    x = graphc.placeholder("x", ())
    first, second = x.exp(), x.exp()
    assert x.node.origin.ident < first.node.origin.ident < second.node.origin.ident


def test_scopes_nest_and_end_with_their_block() -> None:
    outer, inner = Scope("net", "Sequential", 1), Scope("0", "Linear", 2)
    with entered(outer):
        with entered(inner):
            assert current_origin().scopes == (outer, inner)
            assert current_origin().module == "net.0"
        assert current_origin().module == "net"
        with pytest.raises(KeyError, match="left by an error"), entered(inner):
            raise KeyError("left by an error")
        assert current_origin().module == "net"
    assert current_origin().scopes == ()
    assert current_origin().module == ""


def test_inherited() -> None:
    source = Origin(7, "model.py", 3, (Scope("net", "Linear", 1),), passes=("cse",))
    with inherited(source):
        origin = current_origin()
        assert (origin.location, origin.module, origin.forward, origin.passes) == ("model.py:3", "net", None, ("cse",))
        with inherited(Origin(8, "model.py", 4, forward=2), gradient=True):
            assert (current_origin().line, current_origin().forward) == (4, 8)
        with inherited(Origin(9, "model.py", 5, forward=2), by="fold"):
            assert (current_origin().forward, current_origin().passes) == (2, ("fold",))
        assert current_origin().line == 3
    assert current_origin().file == __file__


def test_scopes_belong_to_a_thread() -> None:
    found: list[str] = []
    with entered(Scope("net", "Linear", 1)):
        thread = threading.Thread(target=lambda: found.append(current_origin().module))
        thread.start()
        thread.join()
    assert found == [""]


def test_hostile_paths_and_names_are_one_line() -> None:
    origin = Origin(0, os.path.join("/tmp", 'a"\nb.py'), 1, (Scope("x\ny", "Linear", 0),))
    assert origin.location == '/tmp/a"\\nb.py:1'
    assert origin.module == "x\\ny"
