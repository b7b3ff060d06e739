"""What a process holds goes with the programs that needed it."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch

import graphc
from graphc import nn, optim
from graphc.backends.c import NativeExecutable
from tools.proving import leaks

MAPS = Path("/proc/self/maps")


def code() -> int:
    """How many libraries are mapped into this process."""
    return sum("r-xp" in line and "/" in line for line in MAPS.read_text(encoding="utf-8").splitlines())


def program(factor: float) -> graphc.Program:
    x = graphc.placeholder("x", ("n", 2))
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    loss = (net(x) * factor).square().mean()
    return graphc.compile([x], loss, optim.SGD(net.parameters(), lr=0.1).minimize(loss), backend="c")


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux says what is mapped")
def test_a_library_is_closed_with_its_last_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CFLAGS", "-O0")
    data = torch.ones(5, 2)
    program(0.5)(data)  # the first one loads what stays
    gc.collect()
    before = code()
    first = program(1.5)
    first(data)
    first.fit(data, batch_size=2, epochs=2, validation=[data])
    assert code() > before
    executable = first._executable
    assert isinstance(executable, NativeExecutable)
    library = weakref.ref(executable.library)
    assert len({id(executable.library), id(program(1.5)._executable.library)}) == 1  # type: ignore[attr-defined]
    del executable
    bound = first._executable.bind({"n": 5}, first.state)  # what is bound holds the library
    del first
    gc.collect()
    assert library() is not None
    assert bound.run(data)
    del bound
    gc.collect()
    assert library() is None
    assert code() == before


def test_growth_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "WARMING_UP", 0)
    monkeypatch.setattr(leaks, "EVERY", 1)
    watch = leaks.Watch()
    watch.look()
    watch.look()
    kept = [[] for _ in range(5000)]
    with pytest.raises(AssertionError, match="objects: "):
        watch.look()
    assert kept
    del kept
    watch.look()
    held = bytearray(64 << 20)
    held[::4096] = b"x" * len(held[::4096])
    with pytest.raises(AssertionError, match=r"memory: \d+\.\d MB more after"):
        watch.look()
    assert held
