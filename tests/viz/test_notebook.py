"""Notebooks: IPython is told how graphs draw themselves, when it is there."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import graphc
from graphc.viz import Drawing, DrawingError, draw, explore, notebook
from tests.viz.networks import training


def test_registers_with_a_running_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[type, Callable[..., object]] = {}
    formatter = SimpleNamespace(for_type=known.__setitem__)
    shell = SimpleNamespace(display_formatter=SimpleNamespace(formatters={"image/svg+xml": formatter}))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    notebook.register()
    assert set(known) == {graphc.Graph, graphc.Program, Drawing}
    program = training()
    for value in (program, program.graph, draw(program)):
        assert str(known[type(value)](value)).startswith("<svg")


def test_does_nothing_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    notebook.register()
    monkeypatch.delitem(sys.modules, "IPython")
    notebook.register()


def test_shows_text_where_nothing_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> bytes:
        raise DrawingError("no engine")

    monkeypatch.setattr(notebook, "render", fail)
    assert notebook.svg_of(training()) is None


def test_a_page_is_a_frame_of_its_own() -> None:
    shown = explore(training(), view="training", name="<b>")._repr_html_()
    frame = ElementTree.fromstring(shown)
    assert frame.tag == "iframe"
    assert frame.get("sandbox") == "allow-scripts"
    assert str(frame.get("srcdoc")).startswith("<!doctype html>")
    assert len(frame) == 0
