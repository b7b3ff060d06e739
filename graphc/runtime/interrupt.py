"""Ctrl-C between steps: an interrupt waits until the State is whole."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # has no stub; what `signal` wraps at 3 µs a call, for enums
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TypeVar

__all__ = ["Cancelled", "DeferredInterrupt", "cancel_on", "is_cancelled"]

_SIGINT = int(signal.SIGINT)
_T = TypeVar("_T")


class Cancelled(BaseException):
    """Ends what a thread does, between two steps, as KeyboardInterrupt does in the main thread."""


class _Cancellation(threading.local):
    """What cancels the work of a thread: None for nothing."""

    event: threading.Event | None = None


_cancellation = _Cancellation()


def cancel_on(event: threading.Event) -> None:
    """From now on, an event that is set ends the work of this thread with Cancelled, between two steps."""
    _cancellation.event = event


def is_cancelled() -> bool:
    """Whether the work of this thread is to end."""
    return _cancellation.event is not None and _cancellation.event.is_set()


class DeferredInterrupt:
    """While entered, SIGINT only makes `requested` true; leaving delivers it to the handler that was there before.

    One inside another leaves that to it. Outside the main thread, where Python handles no signals, the event of
    `cancel_on` does this, if there is one. Does nothing when no Python handler waits for SIGINT.
    """

    __slots__ = ("_before", "_event", "_noted", "_outer")

    def __init__(self) -> None:
        self._noted = False
        self._before: object = None
        self._event: threading.Event | None = None
        self._outer: DeferredInterrupt | None = None

    @property
    def requested(self) -> bool:
        if self._outer is not None:
            return self._outer.requested
        return self._noted or (self._event is not None and self._event.is_set())

    def let_through(self, work: Callable[[_T], object], argument: _T) -> None:
        """`work(argument)`, during which SIGINT goes where it went before. A handler that it installs stays.

        This is no context manager made of a generator: one that is interrupted on the way in is closed at any time,
        and would install the handler of here after everything is over.
        """
        if self._before is None:
            work(argument)
            return
        _signal.signal(_SIGINT, self._before)
        try:
            work(argument)
        finally:
            self._before = _signal.getsignal(_SIGINT)
            _signal.signal(_SIGINT, self._note)

    def __enter__(self) -> DeferredInterrupt:
        if threading.current_thread() is threading.main_thread():
            before = _signal.getsignal(_SIGINT)
            outer = getattr(before, "__self__", None)
            if isinstance(outer, DeferredInterrupt):
                self._outer = outer
            elif callable(before):
                self._before = before
                _signal.signal(_SIGINT, self._note)
        else:
            self._event = _cancellation.event
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            _signal.signal(_SIGINT, self._before)
            if self._noted:
                signal.raise_signal(signal.SIGINT)
        elif self._event is not None and kind is None and self._event.is_set():
            raise Cancelled


def _deliver_again() -> None:
    """In a forked process, which may have another main thread, nobody leaves what was entered here."""
    owner = getattr(_signal.getsignal(_SIGINT), "__self__", None)
    if isinstance(owner, DeferredInterrupt):
        _signal.signal(_SIGINT, owner._before)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_deliver_again)
