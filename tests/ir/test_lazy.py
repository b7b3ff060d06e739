"""Values that are computed when they are first asked for: once, and without a lock that others would wait for."""

from __future__ import annotations

import threading

import pytest

from graphc.ir.lazy import lazy


class Slow:
    """`value` is ready when it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.count = 0

    @lazy
    def value(self) -> object:
        """What takes long."""
        self.count += 1
        self.begun.set()
        assert self.let_go.wait(60)
        return object()


def test_a_value_is_computed_once() -> None:
    slow = Slow()
    slow.let_go.set()
    assert slow.value is slow.value
    assert slow.count == 1
    assert isinstance(Slow.value, lazy)


def test_what_fails_is_computed_again() -> None:
    class Failing:
        count = 0

        @lazy
        def value(self) -> int:
            self.count += 1
            if self.count == 1:
                raise ValueError("not yet")
            return self.count

    failing = Failing()
    with pytest.raises(ValueError, match="not yet"):
        failing.value  # noqa: B018 — it raises
    assert failing.value == 2


def test_nobody_waits_for_the_value_of_another_object() -> None:
    """`functools.cached_property` of Python 3.11 has one lock for all."""
    slow, quick = Slow(), Slow()
    quick.let_go.set()
    thread = threading.Thread(target=lambda: slow.value)
    thread.start()
    try:
        assert slow.begun.wait(60)
        other = threading.Thread(target=lambda: quick.value, daemon=True)
        other.start()
        other.join(60)
        assert not other.is_alive()
    finally:
        slow.let_go.set()
        thread.join()


def test_threads_that_ask_at_once_get_the_same() -> None:
    slow = Slow()
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(slow.value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    slow.let_go.set()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
