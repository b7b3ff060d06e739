"""The commands under the pictures of docs/drawing.md do what they did when the pictures were made."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from graphc.viz.command import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/drawing.md").read_text()
COMMANDS = [
    " ".join(found.split())
    for found in re.findall(r"`(graphc-viz [^`]*)`", PAGE)
    if "examples/" in found and "-o" in found
]


def test_every_picture_has_a_command() -> None:
    pictures = set(re.findall(r"images/viz/([\w-]+)\.svg", PAGE))
    assert pictures <= {match[1] for match in (re.search(r"-o ([\w-]+)\.svg", each) for each in COMMANDS) if match}
    assert len(pictures) > 8


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_draw(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    _, *words = shlex.split(command)
    at = words.index("-o") + 1
    file = tmp_path / words[at]
    words[at] = str(file)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == (1 if "broken" in command else 0), result.output
    assert file.read_text().lstrip().startswith(("<?xml", "<!doctype html>"))
