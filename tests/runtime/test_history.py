"""What a run leaves behind."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from graphc import InputError
from graphc.runtime import History


@pytest.fixture
def history() -> History:
    result = History()
    result.add({"loss": 0.5, "validation_loss": 0.75}, 0.25, 10)
    result.add({"loss": 0.25, "validation_loss": 0.625}, 0.5, 10)
    return result


def test_metrics_are_lists_by_name(history: History) -> None:
    assert history["loss"] == [0.5, 0.25]
    assert history["validation_loss"] == [0.75, 0.625]
    assert "loss" in history
    assert "accuracy" not in history
    assert (history.epochs, history.steps, history.seconds) == (2, 20, [0.25, 0.5])


def test_a_name_that_is_not_there(history: History) -> None:
    with pytest.raises(KeyError, match=r"history has no 'accuracy'; it has 'loss', 'validation_loss'"):
        history["accuracy"]
    with pytest.raises(KeyError, match=r"history has no 'loss'; it has nothing"):
        History()["loss"]


def test_repr(history: History) -> None:
    assert repr(history) == "<History: 2 epochs in 0.75 s; last loss 0.25, validation_loss 0.625>"
    assert repr(History()) == "<History: 0 epochs in 0.00 s>"


def test_to_dict_is_plain_and_a_copy(history: History) -> None:
    found = history.to_dict()
    assert json.loads(json.dumps(found)) == {
        "loss": [0.5, 0.25],
        "validation_loss": [0.75, 0.625],
        "seconds": [0.25, 0.5],
    }
    found["loss"].append(1.0)
    found["seconds"].clear()
    assert history["loss"] == [0.5, 0.25]
    assert history.epochs == 2


def test_plot(history: History, tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    figure = history.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    [axes] = figure.axes
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == "epoch"
    assert {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()} == {
        "loss": [0.5, 0.25],
        "validation loss": [0.75, 0.625],
    }
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[1, 2]] * 2
    assert history.plot(log=False).axes[0].get_yscale() == "linear"


def test_plots_of_little(tmp_path: Path) -> None:
    """Nothing at all, and what has no logarithm."""
    assert not History().plot(tmp_path / "empty.svg").axes[0].get_lines()
    history = History()
    history.add({"loss": 0.0, "other": -1.0}, 0.1, 1)
    assert history.plot(tmp_path / "zero.png").axes[0].get_yscale() == "linear"


@pytest.mark.parametrize("name", ["$$x$$", "$\\bogus{$", "a\nb", "\x1b[2J", "_x", "\ud800"])
def test_names_are_only_text(name: str, tmp_path: Path) -> None:
    history = History()
    for loss in (0.5, 0.25):
        history.add({name: loss, "loss": loss}, 0.1, 1)
    assert repr(history).isprintable()
    [axes] = history.plot(tmp_path / "names.png").axes
    assert len(axes.get_legend().get_texts()) == 2


def test_plot_says_what_is_missing(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    present = builtins.__import__

    def absent(name: str, *arguments: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return present(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(InputError, match="plot needs matplotlib: install it with pip install matplotlib"):
        history.plot()
