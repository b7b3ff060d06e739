"""From DOT to a picture: Graphviz lays it out in a process of its own, which is stopped when its time is up."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

from graphc.errors import brief
from graphc.viz.errors import DrawingError

__all__ = ["DEFAULT_TIMEOUT", "FORMATS", "LONGEST_TIMEOUT", "Format", "check_timeout", "render"]

Format = Literal["svg", "png", "pdf"]
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT_TIMEOUT = 30.0
LONGEST_TIMEOUT = 86_400
DPI = {"svg": "72", "png": "144", "pdf": "72"}
ENGINE = Path(__file__).with_name("engine.py")


def render(source: str, format: Format, timeout: float = DEFAULT_TIMEOUT) -> bytes:
    """The picture of DOT text `source`, within `timeout` seconds. Raises DrawingError.

    Graphviz's own `dot` is used where there is one, otherwise the one inside pygraphviz.
    """
    check_timeout(timeout)
    problem = ""
    for command in _engines(format):
        try:
            # Bytes in and out: names may have any characters, whatever the locale is.
            done = subprocess.run(command, input=source.encode(), capture_output=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            raise DrawingError(
                f"the layout did not finish in {timeout:g} s: give it more time (--timeout SECONDS), "
                "draw a smaller part, or write .dot, which needs no layout"
            ) from None
        except OSError as error:
            problem = problem or f"{command[0]} does not start: {error.strerror}"
            continue
        if done.returncode == 0 and done.stdout:
            return done.stdout
        problem = problem or _problem(done)
    if problem:
        raise DrawingError(f"the layout failed: {problem}. Draw a smaller part, or write .dot, which needs no layout")
    raise DrawingError(
        "nothing on this machine lays out graphs: install Graphviz (apt install graphviz, brew install graphviz) "
        "or pygraphviz (pip install pygraphviz), or write .dot, which needs neither"
    )


def _engines(format: Format) -> Iterator[list[str]]:
    dot = shutil.which("dot")
    if dot is not None:
        yield [dot, f"-T{format}", f"-Gdpi={DPI[format]}"]
    if importlib.util.find_spec("pygraphviz") is not None:
        # -P: the engine's folder is not searched for modules.
        yield [sys.executable, "-P", str(ENGINE), format, DPI[format]]


def _problem(done: subprocess.CompletedProcess[bytes]) -> str:
    """The last line that the engine wrote, or how it ended."""
    if done.returncode < 0:
        return f"the layout engine crashed (signal {-done.returncode}), as it does on very deep graphs"
    lines = done.stderr.decode(errors="replace").split("\n")
    written = [line.strip() for line in lines if line.strip()]
    return written[-1] if written else f"the layout engine ended with {done.returncode} and wrote nothing"


def check_timeout(timeout: object) -> None:
    """Raises DrawingError for what is no time that a layout may take."""
    if not isinstance(timeout, (int, float)) or not 0 < timeout <= LONGEST_TIMEOUT:
        raise DrawingError(f"a timeout is a number of seconds between 0 and {LONGEST_TIMEOUT}, not {brief(timeout)}")
