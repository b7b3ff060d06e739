"""Whether the tests notice a mutation: a copy of the checkout with the bug, and the tests that run on it.

First the tests that probably notice, then all tests, then the fuzzer. What notices a bug has to pass without it, so the
one test that failed runs again on the copy with the file as it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.mutating.mutation import ROOT, Mutation

__all__ = ["Verdict", "checkout", "environment", "tried"]

COPIED = ("graphc", "tests", "tools", "examples", "docs", "README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")

# Tests know from their bytecode where they are. That of graphc is told so, and saves a second.
_BYTECODE = shutil.ignore_patterns("__pycache__")
_SKIPPED = {"graphc": shutil.ignore_patterns("*.pyc.*")}  # but what somebody is writing

PYTEST = ("-m", "pytest", "-x", "-q", "--tb=line")

# The pages of graphc-viz are JavaScript, and the test of mutations fails wherever one is applied.
EVERYTHING = ("tests", "--ignore=tests/viz/page", "--ignore=tests/tools/test_mutate.py")

FUZZED = ("tools/fuzz.py", "--count", "60", "--native", "4", "--shrink", "0")

LIKELY_SECONDS, ALL_SECONDS = 240.0, 1200.0
"""What hangs longer counts as noticed: somebody would."""

NO_TESTS = 5
"""How pytest ends when there are none."""


@dataclass(frozen=True)
class Verdict:
    """Which stage noticed a mutation ("" if none did), by what, and after how long. `problem` says what is wrong with
    the mutation itself.
    """

    mutation: Mutation
    stage: str
    by: str
    seconds: float
    problem: str = ""

    @property
    def is_caught(self) -> bool:
        return bool(self.stage) and not self.problem

    def __str__(self) -> str:
        mutation = self.mutation
        if self.problem:
            return f"{mutation.name}: {self.problem}"
        if not self.stage:
            return f"{mutation.name} survived: {mutation.kind} (graphc/{mutation.file}: {mutation.new!r})"
        return f"{mutation.name}: caught by {self.stage} in {self.seconds:.0f} s: {self.by}"


def tried(mutation: Mutation, *, only_likely: bool = False, source: Path = ROOT) -> Verdict:
    """What becomes of a mutation of `source`; with `only_likely` just the first tests have the chance to notice."""
    start = time.monotonic()
    with checkout(source) as copy:
        file = copy / "graphc" / mutation.file
        before = file.read_text(encoding="utf-8")
        try:
            _write(file, mutation.applied(before))
        except ValueError as error:
            return Verdict(mutation, "", "", 0.0, str(error))
        for stage, command, limit in _stages(mutation, only_likely):
            by = _complaint(copy, command, limit)
            if by is None:
                continue
            seconds = time.monotonic() - start
            _write(file, before)
            again = (*PYTEST, by) if "::" in by else command
            if (innocent := _complaint(copy, again, limit)) is not None:
                return Verdict(mutation, stage, by, seconds, f"{innocent} fails without the bug, too")
            return Verdict(mutation, stage, by, seconds)
    return Verdict(mutation, "", "", time.monotonic() - start)


def _stages(mutation: Mutation, only_likely: bool) -> Iterator[tuple[str, Sequence[str], float]]:
    chosen = ("-k", mutation.only) if mutation.only else ()
    yield "likely tests", (*PYTEST, *mutation.likely, *chosen), LIKELY_SECONDS
    if not only_likely:
        yield "all tests", (*PYTEST, *EVERYTHING), ALL_SECONDS
        yield "the fuzzer", FUZZED, ALL_SECONDS


@contextlib.contextmanager
def checkout(source: Path = ROOT) -> Iterator[Path]:
    """A copy of what the tests need, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="graphc-mutant-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder).resolve() / "checkout"
        copy.mkdir()
        for name in COPIED:
            if (source / name).is_dir():
                shutil.copytree(source / name, copy / name, ignore=_SKIPPED.get(name, _BYTECODE))
            elif (source / name).exists():
                shutil.copy2(source / name, copy / name)
        (copy.parent / "tmp").mkdir()
        yield copy


def environment(copy: Path) -> dict[str, str]:
    """For processes that run in a copy: its graphc, a compile cache of its own, the same random examples each time."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRAPHC_", "PYTEST_"))}
    return {
        **kept,
        "CI": "1",
        "COLUMNS": "400",
        "GRAPHC_CACHE_DIR": str(copy.parent / "cache"),
        "PYTEST_ADDOPTS": f"-o cache_dir={copy.parent / 'pytest'}",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the tests need none, and they take a second to load
        "PYTHONPATH": str(copy),
        "TMPDIR": str(copy.parent / "tmp"),
    }


def _write(file: Path, text: str) -> None:
    """Other text, and no bytecode of what was there: what is written within a second has the same time."""
    file.write_text(text, encoding="utf-8")
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc"):
        compiled.unlink()


def _last_failed(copy: Path) -> str:
    """The test that made pytest stop, as its cache has it; "" when it did not come to that."""
    try:
        failed: dict[str, bool] = json.loads((copy.parent / "pytest/v/cache/lastfailed").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    return next(iter(failed), "")


def _complaint(copy: Path, command: Sequence[str], limit: float) -> str | None:
    """What a command of Python complains of: a test by name, if it is one. None if it has nothing to complain of."""
    shutil.rmtree(copy.parent / "pytest", ignore_errors=True)
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=copy,
        env=environment(copy),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return f"hangs longer than {limit:.0f} s"
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # with all that it has started
    if process.returncode in (0, NO_TESTS):
        return None
    if failed := _last_failed(copy):
        return failed
    if failed := re.search(r"^FAILED: .*$", output, re.MULTILINE):
        return failed[0]
    last = output.strip().splitlines()[-1:] or [""]
    return f"ends with {process.returncode}: {last[0][:200]}"
