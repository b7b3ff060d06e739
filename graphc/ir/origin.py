"""Where a node comes from: the user's line, the module that was running, the forward node that it differentiates.

An origin is no part of a node's meaning: it never takes part in equality, and every rewrite keeps it.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch

from graphc.errors import one_line

__all__ = ["Origin", "Scope", "current_origin", "entered", "inherited", "next_ident", "user_location"]

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
        path = one_line(self.file.removeprefix(os.getcwd() + os.sep))
        return f"{path}:{self.line}"

    @property
    def module(self) -> str:
        """Dotted path of the module that built the node, such as `net.0`; empty outside modules."""
        return ".".join(one_line(scope.name) for scope in self.scopes)

    def touched_by(self, pass_name: str) -> Origin:
        return self if pass_name in self.passes else replace(self, passes=(*self.passes, pass_name))


class _Current(threading.local):
    scopes: tuple[Scope, ...] = ()
    source: Origin | None = None
    is_gradient: bool = False


_current = _Current()


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
    source = _current.source
    if source is not None:
        forward = source.ident if _current.is_gradient else source.forward
        return Origin(next(_ids), source.file, source.line, source.scopes, forward, source.passes)
    file, line = user_location()
    return Origin(next(_ids), file, line, _current.scopes)


@contextmanager
def entered(scope: Scope) -> Iterator[None]:
    """Nodes built inside belong to the module call `scope`."""
    outer = _current.scopes
    _current.scopes = (*outer, scope)
    try:
        yield
    finally:
        _current.scopes = outer


@contextmanager
def inherited(source: Origin, *, gradient: bool = False) -> Iterator[None]:
    """Nodes built inside take line and module from `source`; with `gradient`, they are its backward partners."""
    outer = _current.source, _current.is_gradient
    _current.source, _current.is_gradient = source, gradient
    try:
        yield
    finally:
        _current.source, _current.is_gradient = outer
