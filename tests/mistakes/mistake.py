"""Mistakes that users make, and what a message has to say for them to mend it: how they are written down and scored.

A mistake is a function that makes it, in its last statement or the one marked `# here`. With it stands, written by hand
as a user would want it, what the message must say:

- the `name` of the layer, op, function or argument;
- the `facts` that conflict: both shapes, sizes, dtypes, counts;
- a `remedy`.

`a & b` means that both are said, `a | b` that one of them is. Each is looked for as a whole word, so that `3` is not
found in `32`, and not in the line that the message points to. What the message must say of the line depends on when the
mistake can be seen:

- `built`: while graph is built. The message names file and line of the mistake itself.
- `called`: when a program is given values. The message names file and line where the input is declared; in the mistake
  that is the statement marked `# declared`.
- `raised`: when an object is made or used. The traceback does it: the user's last line in it is that of the mistake.
- `typed`: a command line, which has no line; instead it ends with an exit status, and without a traceback.
"""

from __future__ import annotations

import ast
import functools
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

import click
from click.testing import CliRunner

from graphc.errors import GraphcError, SweepError

__all__ = ["CRITERIA", "Mistake", "Score", "built", "called", "raised", "score", "typed"]

Place = Literal["built", "called", "raised", "typed"]
Kind = type[Exception]

CRITERIA = ("refused", "name", "facts", "line", "remedy", "short")
"""`refused`: by an error of the kind that users expect. `short`: one message, without those that led to it."""

LONGEST = 1000
"""Characters of a message that is still read. Lists of many problems (a wrong state dict) are longer."""

MOST_FRAMES = 15
"""Calls inside graphc that a traceback may show below the user's line."""

_LOCATION = re.compile(r"[\w./-]+\.py:(\d+)")


@dataclass(frozen=True)
class Mistake:
    """One mistake: what makes it, and what its message must say."""

    make: Callable[[], object]
    place: Place
    name: str
    facts: str
    remedy: str
    kind: Kind = GraphcError

    @property
    def title(self) -> str:
        return self.make.__name__

    @property
    def file(self) -> str:
        return self.make.__code__.co_filename


@dataclass(frozen=True)
class Score:
    """Which criteria the message of a mistake meets, and what there was to read."""

    met: frozenset[str]
    message: str

    @property
    def helps(self) -> bool:
        return len(self.met) == len(CRITERIA)

    @property
    def lacks(self) -> tuple[str, ...]:
        return tuple(each for each in CRITERIA if each not in self.met)


# How they are written down --------------------------------------------------------------------------------------------


def _decorator(
    place: Place, name: str, facts: str, remedy: str, kind: Kind
) -> Callable[[Callable[[], object]], Mistake]:
    return lambda make: Mistake(make, place, name, facts, remedy, kind)


def built(name: str, facts: str, remedy: str, kind: Kind = GraphcError) -> Callable[[Callable[[], object]], Mistake]:
    """A mistake that is seen while graph is built."""
    return _decorator("built", name, facts, remedy, kind)


def called(name: str, facts: str, remedy: str, kind: Kind = GraphcError) -> Callable[[Callable[[], object]], Mistake]:
    """A mistake that is seen when a program is given values."""
    return _decorator("called", name, facts, remedy, kind)


def raised(name: str, facts: str, remedy: str, kind: Kind = GraphcError) -> Callable[[Callable[[], object]], Mistake]:
    """A mistake that is seen when something is made or used."""
    return _decorator("raised", name, facts, remedy, kind)


def typed(command: click.Command, arguments: Sequence[str], title: str, name: str, facts: str, remedy: str) -> Mistake:
    """A command line that is wrong."""

    def make() -> object:
        result = CliRunner().invoke(command, list(arguments))
        if isinstance(result.exception, SystemExit) and result.exit_code in (1, 2):
            raise click.ClickException(result.output)
        return result

    make.__name__ = title
    return Mistake(make, "typed", name, facts, remedy, click.ClickException)


# How they are scored --------------------------------------------------------------------------------------------------


def score(mistake: Mistake) -> Score:
    """Make the mistake and read what is said about it."""
    try:
        result = mistake.make()
    except mistake.kind as error:
        return _scored(mistake, error)
    except Exception as error:
        shown = "".join(traceback.format_exception(error)[-3:])
        return Score(frozenset(), f"{type(error).__name__}, where {mistake.kind.__name__} was expected: {shown}")
    return Score(frozenset(), f"was accepted: {result!r:.200}")


def _scored(mistake: Mistake, error: Exception) -> Score:
    text = error.message if isinstance(error, click.ClickException) else _text(error)
    prose = _LOCATION.sub("", text)
    met = {
        "refused": not isinstance(error, AssertionError),
        "name": says(prose, mistake.name),
        "facts": says(prose, mistake.facts),
        "line": _tells_line(mistake, error, text),
        "remedy": says(prose.lower(), mistake.remedy.lower()),
        "short": _is_short(mistake, error, text),
    }
    return Score(frozenset(name for name, holds in met.items() if holds), f"{type(error).__name__}: {text}")


def _text(error: Exception) -> str:
    text = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
    return "\n".join([str(text), *getattr(error, "__notes__", ())])


def says(text: str, wanted: str) -> bool:
    """Whether `text` has all that is between `&`, of each one of what is between `|`, as whole words."""
    return all(
        any(_has_word(text, alternative.strip()) for alternative in part.split(" | ")) for part in wanted.split(" & ")
    )


def _has_word(text: str, word: str) -> bool:
    start = r"(?<![\w.])" if word[:1].isdigit() else r"(?<!\w)" if word[:1].isalpha() else ""
    end = r"(?![\w]|\.\d)" if word[-1:].isdigit() else r"(?!\w)" if word[-1:].isalpha() else ""
    return re.search(start + re.escape(word) + end, text) is not None


def _tells_line(mistake: Mistake, error: Exception, text: str) -> bool:
    if mistake.place == "typed":
        return "Traceback" not in text
    lines = _statement(mistake, "# declared" if mistake.place == "called" else "# here")
    if mistake.place == "raised":
        return _last(mistake.file, error.__traceback__) in lines
    file = Path(mistake.file).name
    return any(found[0].rpartition("/")[2].startswith(file) and int(found[1]) in lines for found in _locations(text))


def _locations(text: str) -> list[tuple[str, str]]:
    return [(match[0], match[1]) for match in _LOCATION.finditer(text)]


def _last(file: str, trace: TracebackType | None) -> int:
    """The innermost line of `file` in a traceback."""
    return [0, *(line for frame, line in traceback.walk_tb(trace) if frame.f_code.co_filename == file)][-1]


@functools.cache
def _functions(file: str) -> tuple[dict[str, ast.FunctionDef], list[str]]:
    source = Path(file).read_text(encoding="utf-8")
    tree = ast.parse(source)
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}, source.splitlines()


def _statement(mistake: Mistake, mark: str) -> range:
    """The lines of the innermost marked statement of a mistake; of its last one if none is marked."""
    functions, source = _functions(mistake.file)
    function = functions[mistake.title]
    statements = [node for node in ast.walk(function) if isinstance(node, ast.stmt) and node is not function]
    lines = [range(node.lineno, (node.end_lineno or node.lineno) + 1) for node in statements]
    marked = [each for each in lines if any(mark in source[line - 1] for line in each)]
    if marked:
        return min(marked, key=len)
    last = function.body[-1]
    return range(last.lineno, (last.end_lineno or last.lineno) + 1)


def _is_short(mistake: Mistake, error: Exception, text: str) -> bool:
    alone = error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    below = files[::-1].index(mistake.file) if mistake.file in files else 0
    return (alone or isinstance(error, SweepError)) and below <= MOST_FRAMES and 0 < len(text) <= LONGEST
