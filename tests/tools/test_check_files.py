"""What every file of the project keeps to."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tools.check_files import LARGEST, main, problems

ROOT = Path(__file__).resolve().parents[2]

BAD = {
    b"x = 1 \n": ["a.py:1: blanks at the end"],
    b"x = 1\n\t\ny\n": ["a.py:2: blanks at the end"],
    b"x = 1\r\n": ["a.py:1: ends in a carriage return"],
    b"x = 1": ["a.py: the last line does not end"],
    b"x = 1\n\n": ["a.py: empty lines at the end"],
    b"x\n<<<<<<< ours\n=======\n>>>>>>> theirs\n": [f"a.py:{k}: a conflict of a merge" for k in (2, 3, 4)],
    b"\xff\n": ["a.py: byte 0 is not UTF-8"],
    b"\0" * (LARGEST + 1): ["a.py: 512 KiB, more than 512"],
}


@pytest.mark.parametrize("data", BAD)
def test_problems(data: bytes) -> None:
    assert list(problems("a.py", data)) == BAD[data]


@pytest.mark.parametrize("data", [b"", b"x\n", b"\n\nx\n", b"\0\r\n ", "é\n".encode(), b"========\n"])
def test_what_is_fine(data: bytes) -> None:
    assert list(problems("a.py", data)) == []


def test_what_tools_write_is_left_alone() -> None:
    assert list(problems("docs/images/a.svg", b"x \r\n")) == []


def test_this_checkout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this is no checkout of git")
    files = [path for path in listed.stdout.split("\0") if path and Path(path).is_file()]
    assert main(files) == 0, capsys.readouterr().out
