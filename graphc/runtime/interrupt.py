"""Ctrl-C between steps: an interrupt waits until the State is whole."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # has no stub; what `signal` wraps at 3 µs a call, for enums
import signal
import threading
from types import FrameType, TracebackType

__all__ = ["DeferredInterrupt"]

_SIGINT = int(signal.SIGINT)


class DeferredInterrupt:
    """While entered, SIGINT only sets `requested`; leaving delivers it to the handler that was there before.

    Does nothing outside the main thread, where Python handles no signals, or when no Python handler waits for SIGINT.
    """

    __slots__ = ("_before", "requested")

    def __init__(self) -> None:
        self.requested = False
        self._before: object = None

    def __enter__(self) -> DeferredInterrupt:
        if threading.current_thread() is threading.main_thread():
            before = _signal.getsignal(_SIGINT)
            if callable(before):
                self._before = before
                _signal.signal(_SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            _signal.signal(_SIGINT, self._before)
            if self.requested:
                signal.raise_signal(signal.SIGINT)
