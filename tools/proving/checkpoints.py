"""Checkpoints: whole after a kill and on a full disk, and runs that go on bit for bit.

Kills: a forked child saves over and over, each time with another value in every cell, and is killed at a random
moment. What it leaves must have one value everywhere: that of the last save that returned, or of the one after.

Faults: the disk is full after so many bytes (a limit on the size of files, as the system enforces it), or one of the
calls that writing makes fails. The save must fail with a CheckpointError, and leave the old file and nothing else.

Resuming: a random network, optimizer and way to go through the data; the run is cut at random moments, by interrupts
or by kills, and gone on with in new programs. History and State must have the bits of the run that was not cut.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import resource
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch

import graphc
from graphc import CheckpointError, Epoch, Program, nn, optim
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

DRAWS = 8
"""Different runs that are resumed: each is trained once without a cut, in each process."""


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="graphc-prove-") as folder:
        yield Path(folder)


@cache
def _small() -> Program:
    return _program(1, "reference")


def _program(seed: int, backend: str = "auto") -> Program:
    """A small training step; what it is depends on the seed."""
    choose = random.Random(seed)
    torch.manual_seed(seed)
    x, y = graphc.placeholder("x", ("batch", 3)), graphc.placeholder("y", ("batch", 1))
    width = choose.choice([1, 5, 8])
    hidden: list[nn.Module] = [nn.Linear(3, width), choose.choice([nn.Tanh, nn.ReLU, nn.GELU])()]
    net = nn.Sequential(*hidden, nn.Dropout(choose.choice([0.2, 0.5])), nn.Linear(width, 1))
    loss = nn.MSELoss()(net(x), y)
    lr = choose.choice([0.01, optim.Cosine(0.01, steps=500)])
    kinds: list[Callable[[], optim.Optimizer]] = [
        lambda: optim.Adam(net.parameters(), lr),
        lambda: optim.AdamW(net.parameters(), lr, amsgrad=True),
        lambda: optim.SGD(net.parameters(), lr, momentum=0.9, nesterov=True),
    ]
    return graphc.compile([x, y], {"loss": loss}, choose.choice(kinds)().minimize(loss), backend=backend)


# Kills ----------------------------------------------------------------------------------------------------------------


def _killed(seed: int) -> None:
    program, choose = _small(), random.Random(seed)
    state = program.new_state()
    with _folder() as folder:
        path = folder / "run.safetensors"
        _fill(program, state, 0)
        program.save(path, state=state)
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            _save_for_ever(program, state, path, writer)
        os.close(writer)
        os.read(reader, 1)  # the first save is done
        time.sleep(choose.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        saved = 1
        while more := os.read(reader, 1 << 16):
            saved += len(more)
        os.close(reader)
        program.load(path, state=state)
        found = {float(value) for cell in state.cells for value in state.read(cell).reshape(-1)}
        assert found in ({float(saved)}, {float(saved + 1)}), f"{saved} saves returned, and the file has {found}"
        program.save(path, state=state)
        assert os.listdir(folder) == [path.name], f"left behind: {os.listdir(folder)}"


def _fill(program: Program, state: graphc.State, value: int) -> None:
    for cell in program.state.cells:
        state.read(cell).fill_(value)


def _save_for_ever(program: Program, state: graphc.State, path: Path, writer: int) -> None:
    try:
        for value in range(1, 1 << 30):
            _fill(program, state, value)
            program.save(path, state=state)
            os.write(writer, b".")
    finally:
        os._exit(1)


# Faults ---------------------------------------------------------------------------------------------------------------

_CALLS = {
    "os.open": errno.EACCES,
    "os.write": errno.ENOSPC,
    "os.fsync": errno.EIO,
    "os.replace": errno.EACCES,
}


def _fault(seed: int) -> dict[str, int]:
    program, choose = _small(), random.Random(seed)
    old, new = program.new_state(), program.new_state()
    _fill(program, old, 1)
    _fill(program, new, 2)
    with _folder() as folder:
        path = folder / "run.safetensors"
        program.save(path, state=old)
        size = path.stat().st_size
        kind = choose.choice(["full", "full", *_CALLS])
        fault = _full(choose.randrange(size)) if kind == "full" else _failing(kind, _CALLS[kind])
        with pytest.raises(CheckpointError, match=re.escape(str(path))), fault:
            program.save(path, state=new)
        assert os.listdir(folder) == [path.name], f"{kind}: left behind: {os.listdir(folder)}"
        program.load(path, state=new)
        assert all(bool((new.read(cell) == 1).all()) for cell in new.cells), f"{kind}: the file is not the old one"
    return {kind: 1}


@contextlib.contextmanager
def _full(nbytes: int) -> Iterator[None]:
    """No file gets larger than this; Python ignores the signal that comes with it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def _failing(call: str, number: int) -> Iterator[None]:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    with mock.patch(f"graphc.files.{call}", fail):
        yield


# Resuming -------------------------------------------------------------------------------------------------------------


def _resumed(seed: int) -> dict[str, int]:
    choose = random.Random(seed)
    draw, backend = seed % DRAWS, choose.choice(["auto", "auto", "torch"])
    expected, bits, seconds = _uncut(draw, backend)
    cuts = 0
    with _folder() as folder:
        path = folder / "run.safetensors"
        options = {"checkpoint": path, "resume": True, "checkpoint_every": choose.choice([0.0, 0.01, 60.0])}
        kill = choose.random() < 0.3
        while True:
            program = _program(draw, backend)  # as a new process has it
            when = choose.random() * seconds if cuts < 5 else None
            if kill and when is not None:
                history = _in_child(program, draw, {**options, "checkpoint_every": 0.0}, when)
            else:
                history = _interrupted(program, draw, options, when)
            if history is not None:
                break
            cuts += 1
        assert history.metrics == expected.metrics, f"after {cuts} cuts, the history is another"
        assert history.steps == expected.steps
        assert _bits(program) == bits, f"after {cuts} cuts, the State is another"
    return {"cuts": cuts}


@cache
def _uncut(draw: int, backend: str) -> tuple[graphc.History, list[bytes], float]:
    program = _program(draw, backend)
    start = time.perf_counter()
    history = _fit(program, draw)
    return history, _bits(program), time.perf_counter() - start


def _fit(program: Program, draw: int, **options: Any) -> graphc.History:
    choose = random.Random(draw)
    samples, batch = choose.choice([40, 103, 257]), choose.choice([7, 16, 50])
    generator = torch.Generator().manual_seed(draw)
    x, y = torch.randn(samples, 3, generator=generator), torch.randn(samples, 1, generator=generator)
    held_out = (x[:30], y[:30]) if choose.random() < 0.5 else None
    on_epoch = _slow_down if choose.random() < 0.4 else None
    slow = program.backend == "torch"
    epochs = (800 if slow else 80_000) // samples
    return program.fit(
        *(x, y),
        batch_size=batch,
        epochs=epochs,
        shuffle=choose.random() < 0.7,
        seed=draw,
        validation=held_out,
        on_epoch=on_epoch,
        progress=False,
        **options,
    )


def _slow_down(epoch: Epoch) -> None:
    """A learning rate that somebody sets from outside, which is part of the State."""
    if epoch.number % 3 == 0:
        epoch.set(lr=epoch.state["lr"].item() * 0.999)


def _bits(program: Program) -> list[bytes]:
    return [program.state.read(cell).numpy().tobytes() for cell in program.state.cells]


def _interrupted(program: Program, draw: int, options: dict[str, Any], when: float | None) -> graphc.History | None:
    """The history; None if the run was interrupted after `when` seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        if when is not None:
            signal.setitimer(signal.ITIMER_REAL, max(when, 1e-4))
        return _fit(program, draw, **options)
    except KeyboardInterrupt:
        return None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_child(program: Program, draw: int, options: dict[str, Any], when: float) -> None:
    """Run in a child that is killed after `when` seconds; the next one goes on with what it has left."""
    child = os.fork()
    if not child:
        try:
            _fit(program, draw, **options)
        finally:
            os._exit(0)
    time.sleep(when)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


PROOFS = (
    Proof("checkpoint-kills", 10, "kills", 1000, 3, _killed),
    Proof("checkpoint-faults", 10, "faults", 2000, 20, _fault),
    Proof("resume", 11, "runs", 400, 2, _resumed),
)
