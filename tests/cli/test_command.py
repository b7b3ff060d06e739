"""The command `graphc`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

import graphc
from graphc.backends.c import build, cache, compiler, privacy
from graphc.cli import settings
from graphc.cli.command import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CC", *(name for name in os.environ if name.startswith(("GRAPHC_", "OMP_", "MKL_")))):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(compiler, "_found", {})
    monkeypatch.setattr(build, "_loaded", {})
    monkeypatch.setattr(cache, "_temporaries", [])
    for remembered in (cache._warn, privacy._trusted):
        remembered.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where training is not what is looked at: it takes a second."""
    monkeypatch.setattr("graphc.cli.doctor._network", lambda name: None)
    monkeypatch.setattr("graphc.cli.doctor._losses", lambda program: torch.ones(5))


needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def findings(result: Result) -> dict[str, list[tuple[str, str]]]:
    """State and text of what `doctor --json` found, by title."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(result.stdout)["findings"]:
        found.setdefault(each["title"], []).append((each["state"], each["text"]))
    return found


# doctor ---------------------------------------------------------------------------------------------------------------


@needs_compiler
def test_doctor_of_a_healthy_machine(folder: Path) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.stdout
    titles = [line[2:15].rstrip() for line in result.stdout.splitlines() if line[2:3].strip()]
    assert titles[:13] == [
        *("graphc", "Python", "system", "torch", "GPU", "processor", "cores", "memory", "numbers"),
        *("C compiler", "flags", "cache", "trial"),
    ]
    assert f"✓ cache        {folder}: private, 0 programs, 0.0 of at most 512.0 MB\n" in result.stdout
    assert "✓ trial        a small C program was compiled, loaded and run in " in result.stdout
    for backend in ("reference", "torch", "c"):
        assert f"{backend}: a small network was compiled and trained in " in result.stdout
    assert result.stdout.endswith("\n\nPrograms can be compiled to native code.\n")
    assert result.stderr == ""


@needs_compiler
@pytest.mark.usefixtures("untrained")
def test_doctor_as_data() -> None:
    result = run("doctor", "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["native"]) == (0, True)
    assert data["findings"][0] == {
        "title": "graphc",
        "state": "ok",
        "text": f"{graphc.__version__}, {Path(graphc.__file__).parent}",
        "remedy": "",
    }


def test_doctor_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = run("doctor")
    assert result.exit_code == 1
    assert "✗ C compiler   there is none on this machine. Set CC, or install a C compiler (Debian" in result.stdout
    assert "✗ trial        see C compiler\n" in result.stdout
    assert "✓              torch: a small network was compiled" in result.stdout
    assert "! drawing      nothing lays out graphs" in result.stdout
    assert "→ install Graphviz (apt install graphviz" in result.stdout
    assert result.stdout.endswith("Programs cannot be compiled to native code as things are.\n")


def test_doctor_of_a_wrong_cc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "nonsense")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    found = findings(result)
    assert found["C compiler"][0][0] == "bad"
    assert found["C compiler"][0][1].startswith("CC is 'nonsense', and there is no such program. Set CC to")
    assert [state for state, _ in found["training"]] == ["ok", "ok", "bad"]
    assert ("ok", "CC=nonsense") in found["settings"]


def test_doctor_says_once_what_keeps_every_backend_from_compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_VERIFY", "off")
    result = run("doctor", "--json")
    assert result.exit_code == 1
    [(state, text)] = findings(result)["training"]
    assert state == "bad"
    assert text.startswith("compile: GRAPHC_VERIFY is 'off', which is neither 1 nor 0")


def test_doctor_of_a_folder_that_others_can_write(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    result = run("doctor")
    assert result.exit_code == 1
    assert result.stdout.count(f"Run `chmod go-w {folder}`") == 1
    assert "✗ cache        see C compiler\n" in result.stdout


@pytest.mark.usefixtures("untrained")
def test_doctor_of_a_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = findings(run("doctor", "--json"))
    assert [state for state, _ in found["cache"]] == ["note", "note"]
    assert found["cache"][0][1].startswith("for this process only, ")
    assert "Not a directory; what is compiled is kept for this process only" in found["cache"][1][1]


@pytest.mark.usefixtures("untrained")
def test_doctor_of_wrong_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"GRAPHC_CASHE_DIR": "x", "GRAPHC_CACHE_SIZE": "lots", "GRAPHC_VECTOR_BYTES": "33", "GRAPHC_CFLAGS": "'"}
    wrong |= {"GRAPHC_MEMORY": "2GB", "GRAPHC_VERIFY": "off", "GRAPHC_NANCHECK": "no"}
    for name, value in {**wrong, "OMP_NUM_THREADS": "abc", "MKL_NUM_THREADS": "4", "GRAPHC_NOTHING": "1"}.items():
        monkeypatch.setenv(name, value)
    result = run("doctor", "--json")
    assert result.exit_code == 1
    found = findings(result)["settings"]
    assert ("note", "GRAPHC_CASHE_DIR: graphc knows no such setting; did you mean GRAPHC_CACHE_DIR?") in found
    assert ("note", "GRAPHC_NOTHING: graphc knows no such setting") in found
    bad = [text.partition(":")[0] for state, text in found if state == "bad"]
    names = ("CACHE_SIZE", "CFLAGS", "MEMORY", "NANCHECK", "VECTOR_BYTES", "VERIFY")
    assert bad == [f"GRAPHC_{name}" for name in names]
    assert [text.partition(":")[0] for state, text in found if "threads" in text] == ["OMP_NUM_THREADS"]


def test_doctor_of_a_backend_that_computes_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([torch.ones(5), torch.ones(5) + 1e-6, torch.full((5,), float("nan"))])
    monkeypatch.setattr("graphc.cli.doctor._network", lambda name: None)
    monkeypatch.setattr("graphc.cli.doctor._losses", lambda program: next(losses))
    result = run("doctor", "--json")
    assert result.exit_code == 1
    found = findings(result)["training"]
    assert [state for state, _ in found] == ["ok", "bad", "bad"]
    assert found[1][1] == "torch: the losses of a small network are 9.5e-07 from those of the reference"


@pytest.mark.usefixtures("untrained")
def test_doctor_goes_on_after_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.cli.doctor.memory", lambda: 1 / 0)
    result = run("doctor")
    assert result.exit_code == 1
    assert "✗ memory       ZeroDivisionError: division by zero\n" in result.stdout
    assert "please report it with `graphc doctor --json`" in result.stdout
    assert "\n✓ numbers " in result.stdout


@needs_compiler
def test_doctor_writes_what_the_terminal_can(folder: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "GRAPHC_CACHE_DIR": f"{folder}-é\n\x1b[31m", "PATH": ""}
    command = [sys.executable, "-c", "from graphc.cli.command import main; main()", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stderr == ""
    assert f"+ cache        {folder}-\\xe9\\n\\x1b[31m: private, 0 programs" in done.stdout
    assert "-> install Graphviz" in done.stdout or "pygraphviz" in done.stdout
    assert done.stdout.isascii()


def test_doctor_knows_every_setting() -> None:
    """Each GRAPHC_ variable that a module of graphc mentions."""
    sources = Path(graphc.__file__).parent.rglob("*.py")
    texts = [path.read_text(encoding="utf-8") for path in sources]
    named = {name for text in texts for name in re.findall(r"\bGRAPHC_[A-Z_]+[A-Z]\b", text)}
    assert named <= {*settings.KNOWN, "GRAPHC_BROWSER"}


# cache ----------------------------------------------------------------------------------------------------------------


@needs_compiler
def test_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("cache").stdout == f"{folder}: 0 programs, 0.0 MB of at most 512.0 MB\n"
    assert run("cache", "path").stdout == f"{folder}\n"
    assert not folder.exists()
    build.load("int f(void) { return 1; }", "p")
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", "7MB")
    assert run("cache").stdout == f"{folder}: 1 program, 0.0 MB of at most 7.0 MB\n"
    assert run("cache", "clear").stdout == f"{folder}: removed 1 program\n"
    assert list(folder.iterdir()) == []


@needs_compiler
def test_cache_list(folder: Path) -> None:
    assert run("cache", "list").stdout == f"{folder}: 0 programs, 0.0 MB of at most 512.0 MB\n"
    library = build.load("int f(void) { return 1; }", "p")
    x = graphc.placeholder("x", shape=("n",))
    graphc.compile([x], graphc.nn.Sequential(graphc.nn.Tanh())(x) * 2, backend="c")
    (folder / f"{'e' * 64}.c").write_text("int f(")
    now = time.time()
    for path in folder.iterdir():
        age = 7200 * path.name.startswith(Path(library._name).stem) + 600 * path.name.startswith("e" * 64)
        os.utime(path, (now - age, now - age))
    first, second, third, last = run("cache", "list").stdout.splitlines()
    assert "  just now  " in first
    assert first.endswith("tests/cli/test_command.py: sequential.0")
    assert second.split(maxsplit=2) == ["e" * 12, "0", "kB  10 minutes ago  not compiled: an error, or under way"]
    assert third.startswith(Path(library._name).stem[:12])
    assert third.endswith("  2 hours ago  no program of a user")
    assert last == f"{folder}: 3 programs, {cache_size(folder) / 1e6:.1f} MB of at most 512.0 MB"


def cache_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".note")


@pytest.mark.parametrize("arguments", [["cache"], ["cache", "clear"], ["cache", "list"]])
def test_cache_of_a_folder_that_others_can_write(arguments: list[str], folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"graphc: compile cache: {folder} can be written by other users")


UNPRIVILEGED = """
import json
from click.testing import CliRunner
from graphc.cli import doctor
from graphc.cli.command import main

results = [CliRunner().invoke(main, ["cache", *arguments]) for arguments in ([], ["list"], ["clear"])]
found = doctor._looked("cache", doctor._cache)
print(json.dumps([[[each.exit_code, each.output] for each in results], [[each.state, each.text] for each in found]]))
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="there is no setpriv")
@pytest.mark.parametrize("mode", [0o500, 0o300, 0o400])
def test_cache_of_a_folder_that_cannot_be_used(mode: int, folder: Path) -> None:
    command = [sys.executable, "-c", UNPRIVILEGED]
    if os.geteuid() == 0:  # who may read and write everything
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *command]
    folder.mkdir()
    (folder / f"{'a' * 64}.so").touch()
    folder.chmod(mode)
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        folder.chmod(0o700)
    assert (done.returncode, done.stderr) == (0, "")
    (cache, list_, clear), found = json.loads(done.stdout)
    if mode == 0o500:
        assert cache == [0, f"{folder}: 1 program, 0.0 MB of at most 512.0 MB\n"]
        assert clear[0] == 1
        assert f"{'a' * 64}.so cannot be removed: Permission denied; 0 of 1 programs are gone. Make the" in clear[1]
    else:
        message = f"graphc: compile cache: {folder} cannot be listed: Permission denied. Run `chmod u+rwx {folder}`\n"
        assert cache == list_ == clear == [1, message]
    assert [state for state, _ in found] == ["note", "note"]
    assert "what is compiled is kept for this process only" in found[1][1]


def test_version() -> None:
    assert run("--version").stdout.startswith("graphc ")
