"""Values that are computed when they are first asked for."""

from __future__ import annotations

import functools
from typing import TypeVar

__all__ = ["lazy"]

_T = TypeVar("_T")


class lazy(functools.cached_property[_T]):  # noqa: N801 — a decorator, as the one that it derives from
    """`functools.cached_property` without a lock.

    That of Python 3.11 is one for all instances: while one program is compiled, all other threads that compile wait,
    and so does, for ever, the child of a process that is forked meanwhile. Threads that ask at once compute the value
    twice, and get the same object.
    """

    def __get__(self, instance: object, owner: type | None = None) -> _T:  # type: ignore[override]
        if instance is None:
            return self  # type: ignore[return-value]
        assert self.attrname is not None, "the value is kept under the name of the property"
        values = instance.__dict__
        if self.attrname in values:
            return values[self.attrname]  # type: ignore[no-any-return]
        return values.setdefault(self.attrname, self.func(instance))  # type: ignore[no-any-return]
