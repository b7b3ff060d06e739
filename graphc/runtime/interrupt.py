"""Ctrl-C between steps: an interrupt waits until the State is whole."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # has no stub; what `signal` wraps at 3 µs a call, for enums
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

__all__ = ["Cancelled", "DeferredInterrupt", "cancel_on", "is_cancelled"]

_SIGINT = int(signal.SIGINT)


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

    @contextmanager
    def delivered(self) -> Iterator[None]:
        """SIGINT goes where it went before, for as long as this takes."""
        if self._before is None:
            yield
            return
        _signal.signal(_SIGINT, self._before)
        try:
            yield
        finally:
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
