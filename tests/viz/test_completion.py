"""What a shell completes: files, the names in them (without running them), commands and options."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class
from click.testing import CliRunner

from graphc.viz.command import main
from graphc.viz.completion import COMPLETE_VAR, PROGRAM, SHELLS, targets
from graphc.viz.names import assigned_names

MODEL = """
import graphc as g, os
from graphc import nn
raise SystemExit("completing runs nothing")

net = nn.Linear(3, 2)
x, (y, *rest) = 1, (2, 3)
loss: object = net
_hidden = 1
bare: int

def function():
    inside = 1

class Class:
    attribute = 1

if True:
    program = [each for each in ()]
    with open(os.devnull) as file:
        net = 2
for i in range(3):
    pass
if __name__ == "__main__":
    never = 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    for name in ("model.py", "nets/encoder.py"):
        (tmp_path / name).write_text(MODEL)
    for name in ("graph.json", "notes.txt", "two\nlines.py", ".hidden.py", "my net.py"):
        (tmp_path / name).touch()
    return tmp_path


def complete(*words: str) -> list[str]:
    """What is offered for the last word."""
    shell = ShellComplete(main, {}, PROGRAM, COMPLETE_VAR)
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.mark.usefixtures("folder")
def test_names_are_found_without_running_anything() -> None:
    found = assigned_names(Path("model.py"))
    assert list(found) == ["net", "x", "y", "rest", "loss", "bare", "program", "file", "i"]
    assert found["loss"] == 8
    assert found["net"] == 21


@pytest.mark.parametrize("text", ["x = = 1", "x = '\0'", "(" * 10_000, "\ud800".encode("utf-8", "surrogatepass")])
def test_files_that_cannot_be_read_have_no_names(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "a.py").write_bytes(text.encode() if isinstance(text, str) else text)
    assert assigned_names(tmp_path / "a.py") == {}
    assert assigned_names(tmp_path / "none.py") == {}
    assert assigned_names(tmp_path) == {}


def test_reading_names_warns_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = '\\d'\n")
    assert list(assigned_names(tmp_path / "a.py")) == ["x"]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("incomplete", "expected"),
    [
        ("", ["graph.json", "model.py:", "my net.py:", "nets/"]),
        ("m", ["model.py:", "my net.py:"]),
        ("nets/", ["nets/encoder.py:"]),
        ("nets/e", ["nets/encoder.py:"]),
        (".h", [".hidden.py:"]),
        ("no/", []),
        ("a\0", []),
        (
            "model.py:",
            [f"model.py:{name}" for name in ("net", "x", "y", "rest", "loss", "bare", "program", "file", "i")],
        ),
        ("model.py:l", ["model.py:loss"]),
        ("nets/encoder.py:ne", ["nets/encoder.py:net"]),
        ("missing.py:", []),
    ],
)
def test_targets(incomplete: str, expected: list[str]) -> None:
    assert targets(incomplete) == expected


@pytest.mark.usefixtures("folder")
def test_a_shell_completes_targets_commands_and_options() -> None:
    assert complete("") == ["diff", "passes", "completion", "graph.json", "model.py:", "my net.py:", "nets/"]
    assert complete("d") == ["diff"]
    assert complete("model.py:lo") == ["model.py:loss"]
    assert complete("diff", "model.py:lo") == ["model.py:loss"]
    assert complete("diff", "model.py:loss", "g") == ["graph.json"]
    assert complete("passes", "model.py:pro") == ["model.py:program"]
    assert complete("model.py:loss", "--vi") == ["--view"]
    assert complete("model.py:loss", "--view", "ker") == ["kernels"]
    assert complete("--direction", "T") == ["TB"]
    assert complete("--direction", "LR", "model.py:lo") == ["model.py:loss"]
    assert complete("--ove") == ["--overlay"]
    assert complete("completion", "z") == ["zsh"]
    assert complete("diff", "--pa") == ["--pass"]


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts(shell: str) -> None:
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert f"{COMPLETE_VAR}={shell}_complete" in result.stdout
    assert PROGRAM in result.stdout


def test_only_shells_that_are_known() -> None:
    result = CliRunner().invoke(main, ["completion", "csh"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in result.stderr


def bash(line: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What bash is answered when the words of `line` are its own, split at colons."""
    kind = get_completion_class("bash")
    assert kind is not None
    monkeypatch.setenv("COMP_WORDS", "\n".join([PROGRAM, *line]))
    monkeypatch.setenv("COMP_CWORD", str(len(line)))
    shell: Any = kind(main, {}, PROGRAM, COMPLETE_VAR)
    return [text.removeprefix("plain,") for text in shell.complete().splitlines()]


@pytest.mark.usefixtures("folder")
def test_bash_splits_words_at_colons(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bash(["mod"], monkeypatch) == ["model.py:"]
    assert bash(["model.py", ":", "lo"], monkeypatch) == ["loss "]
    assert bash(["model.py", ":"], monkeypatch)[0] == "net "
    assert bash(["diff", "graph.json", "nets/encoder.py", ":", "lo"], monkeypatch) == ["loss "]
    assert bash(["model.py", ":", "loss", "--dir"], monkeypatch) == ["--direction "]
    assert bash(["my"], monkeypatch) == [r"my\ net.py:"]


def test_bash_runs_nothing_that_a_name_says() -> None:
    kind = get_completion_class("bash")
    assert kind is not None
    shell: Any = kind(main, {}, PROGRAM, COMPLETE_VAR)
    name = "$(touch gone); `a` 'b' \"c\" *.py"
    offered = shell.format_completion(CompletionItem(name)).removeprefix("plain,").removesuffix(" ")
    assert shlex.split(offered) == [name]
    assert re.search(r"(?<!\\)[$`;*]", offered) is None


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_itself(folder: Path) -> None:
    """The function that the script defines, called as bash calls it."""
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    call = (
        f"{script}\nCOMP_WORDS=(graphc-viz model.py : lo); COMP_CWORD=3; _graphc_viz_completion graphc-viz lo :\n"
        "printf '<%s>' \"${COMPREPLY[@]}\"; complete -p graphc-viz\n"
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "--norc", "-c", call], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.startswith("<loss >complete ")
    assert "-o nospace" in done.stdout
