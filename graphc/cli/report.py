"""Findings on a terminal, in a pipe, or where nothing but ASCII can be written."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

from graphc.cli.doctor import Finding
from graphc.errors import one_line

__all__ = ["write"]

TITLES = 12
"""Columns of the titles."""

MARKS = {"ok": "✓", "note": "!", "bad": "✗"}
PLAIN = {"ok": "+", "note": "!", "bad": "x"}
ARROW = "→"
COLOURS = {"ok": "green", "note": "yellow", "bad": "bold red"}


def write(findings: Iterable[Finding], after: Sequence[Finding] = ()) -> None:
    """Write to standard output, `after` others; with colours on a terminal, unless NO_COLOR says otherwise."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, markup=False, soft_wrap=True)
    width = shutil.get_terminal_size().columns if console.is_terminal else None
    fancy = _can_write("".join((*MARKS.values(), ARROW)))
    title = after[-1].title if after else ""
    for finding in findings:
        mark = (MARKS if fancy else PLAIN)[finding.state]
        shown = "" if finding.title == title else finding.title
        title = finding.title
        first, *rest = _lines(finding, width)
        texts = [Text.assemble((mark, COLOURS[finding.state]), f" {shown:<{TITLES}} {first}")]
        texts += [Text(" " * (len(mark) + 2 + TITLES) + line) for line in rest]
        for text in texts:
            console.print(text if fancy else _ascii(text.plain))


def _lines(finding: Finding, width: int | None) -> list[str]:
    """Text and remedy; wrapped, if the width is known."""
    parts = [one_line(part) for part in finding.text.splitlines() or [""]]
    parts += [f"{ARROW} {one_line(finding.remedy)}"] * bool(finding.remedy)
    if width is None:
        return parts
    columns = max(30, width - TITLES - 3)
    wrapped = (textwrap.wrap(part, columns, break_long_words=False, break_on_hyphens=False) for part in parts)
    return [line for each in wrapped for line in each or [""]]


def _ascii(text: str) -> str:
    return text.replace(ARROW, "->").encode("ascii", "backslashreplace").decode()


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
