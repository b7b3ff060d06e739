"""Where a node comes from: the user's line, the module that was running, the forward node that it differentiates.

An origin is no part of a node's meaning: it never takes part in equality, and every rewrite keeps it.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from dataclasses import dataclass, replace

import torch

from graphc.errors import one_line

__all__ = ["Origin", "Scope", "current_origin", "entered", "inherited", "next_ident", "shown_path", "user_location"]

_NOT_USERS = tuple(
    os.path.dirname(os.path.abspath(path)) + os.sep for path in (os.path.dirname(__file__), torch.__file__)
)
_ids = itertools.count()


@dataclass(frozen=True, slots=True)
class Scope:
    """One module call on the way to a node. `ident` is the same for all calls of one module, `call` counts them."""

    name: str
    kind: str
    ident: int
    call: int = 0


@dataclass(frozen=True, slots=True)
class Origin:
    """`ident` names the node that the user built, through all stages; `forward` is that of the differentiated node."""

    ident: int
    file: str = ""
    line: int = 0
    scopes: tuple[Scope, ...] = ()
    forward: int | None = None
    passes: tuple[str, ...] = ()

    @property
    def location(self) -> str:
        """`file:line` as an error message shows it: the path is relative when it lies below the working directory."""
        if not self.file:
            return ""
        return f"{one_line(shown_path(self.file))}:{self.line}"

    @property
    def module(self) -> str:
        """Dotted path of the module that built the node, such as `net.0`; empty outside modules."""
        return ".".join(one_line(scope.name) for scope in self.scopes)

    def touched_by(self, pass_name: str) -> Origin:
        return self if pass_name in self.passes else replace(self, passes=(*self.passes, pass_name))


class _Current(threading.local):
    scopes: tuple[Scope, ...] = ()
    inherited: inherited | None = None


_current = _Current()


def shown_path(file: str) -> str:
    """`file`, relative when it lies below the working directory."""
    try:
        folder = os.getcwd()
    except OSError:  # it was removed, and nothing lies below it
        return file
    return file.removeprefix(folder + os.sep)


def next_ident() -> int:
    """A new ident: nodes built later have larger ones."""
    return next(_ids)


def user_location() -> tuple[str, int]:
    """File and line of the innermost frame outside graphc and torch."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(_NOT_USERS):
        if frame.f_back is None:
            return "", 0
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def current_origin() -> Origin:
    """The origin of a node that is built now."""
    if _current.inherited is not None:
        return _current.inherited.origin()
    file, line = user_location()
    return Origin(next(_ids), file, line, _current.scopes)


class entered:  # noqa: N801 - reads as a verb where it is used
    """Nodes built inside belong to the module call `scope`."""

    __slots__ = ("_outer", "_scope")

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __enter__(self) -> None:
        self._outer = _current.scopes
        _current.scopes = (*self._outer, self._scope)

    def __exit__(self, *error: object) -> None:
        _current.scopes = self._outer


class inherited:  # noqa: N801 - reads as a verb where it is used
    """Nodes built inside take line and module from `source`.

    With `gradient`, they are its backward partners; with `by`, they carry the name of the pass that builds them. A
    class and not a generator: it is entered for every node that a pass or the gradient looks at.
    """

    __slots__ = ("_by", "_gradient", "_outer", "_source")

    def __init__(self, source: Origin, *, gradient: bool = False, by: str = "") -> None:
        self._source = source
        self._gradient = gradient
        self._by = by

    def __enter__(self) -> None:
        self._outer = _current.inherited
        _current.inherited = self

    def __exit__(self, *error: object) -> None:
        _current.inherited = self._outer

    def origin(self) -> Origin:
        """The origin of a node that is built now."""
        source = self._source
        forward = source.ident if self._gradient else source.forward
        passes = source.passes if not self._by or self._by in source.passes else (*source.passes, self._by)
        return Origin(next(_ids), source.file, source.line, source.scopes, forward, passes)
