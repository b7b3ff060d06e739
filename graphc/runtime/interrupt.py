"""Ctrl-C between steps: an interrupt waits until the State is whole."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

__all__ = ["DeferredInterrupt"]


class DeferredInterrupt:
    """While entered, SIGINT only sets `requested`; leaving delivers it to the handler that was there before.

    Does nothing outside the main thread, where Python handles no signals, or when SIGINT is ignored.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: object = None

    def __enter__(self) -> DeferredInterrupt:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if callable(before):
                self._before = before
                signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not callable(self._before):
            return
        signal.signal(signal.SIGINT, self._before)
        if self.requested:
            self.requested = False
            signal.raise_signal(signal.SIGINT)
