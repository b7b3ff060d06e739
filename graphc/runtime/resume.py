"""Runs of `fit` that survive the end of their process: checkpoints as they go, and going on from one, bit for bit."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from sys import float_info
from typing import Any, TypeVar

import torch

from graphc.backends.executable import Position
from graphc.errors import CheckpointError, InputError, brief, one_line
from graphc.files import check_writable, path_name, reason
from graphc.ir import Cell, Graph
from graphc.runtime.checkpoint import (
    Checkpoint,
    checked_path,
    copies,
    put,
    read_checkpoint,
    values_for,
    write_checkpoint,
)
from graphc.runtime.history import History
from graphc.runtime.interrupt import DeferredInterrupt
from graphc.state import State
from graphc.types import Array

__all__ = ["Saver", "saver_for"]

_T = TypeVar("_T")

EVERY = 60.0
"""Seconds from one checkpoint to the next, where nobody says."""

_CHUNK = 1 << 24
"""Bytes of data that are hashed at a time."""


@dataclass
class Saver:
    """Where a run is, and what writes that down. `settings` is what has to be the same to go on with the run."""

    path: str
    every: float
    settings: Mapping[str, Any]
    cells: Sequence[Cell]
    state: State
    history: History = field(default_factory=History)
    stopped: bool = False
    _at: tuple[int, int, Sequence[float | Array]] = (0, 0, ())
    _due: float = 0.0

    def __post_init__(self) -> None:
        self._due = time.monotonic() + self.every

    @property
    def position(self) -> Position:
        epochs, samples, totals = self._at
        return Position(epochs, samples, tuple(float(total) for total in totals))

    def mark(self, epochs: int, samples: int = 0, totals: Sequence[float | Array] = ()) -> None:
        """The run is there, between two steps: see `Position`. `totals` may be tensors, which are read when needed."""
        self._at = epochs, samples, totals

    def write_if_due(self) -> None:
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> None:
        """Write the State and the position. Raises CheckpointError."""
        history, position = self.history, self.position
        record = {
            "settings": self.settings,
            "epochs": position.epochs,
            "samples": position.samples,
            "steps": history.steps,
            "stopped": self.stopped,
            "names": list(history.metrics),
        }
        tensors = {
            "means": _numbers([value for values in history.metrics.values() for value in values]),
            "seconds": _numbers(history.seconds),
            "totals": _numbers(position.totals),
        }
        with DeferredInterrupt():
            write_checkpoint(self.path, copies(self.cells, self.state.read), record, tensors)
        self._due = time.monotonic() + self.every


def _numbers(values: Sequence[float]) -> Array:
    return torch.tensor(values, dtype=torch.float64, device="cpu")


def saver_for(
    path: object,
    every: float | None,
    resume: bool,
    declared: Graph,
    state: State,
    settings: Mapping[str, int],
    epochs: int,
    names: Sequence[str],
    data: Sequence[Array],
    held_out: Sequence[Array] | None,
) -> Saver:
    """The saver of a run, where the run in the file at `path` is if that is to be gone on with.

    `settings` has what the run was asked to do, as numbers, and `names` are those of its means, on held-out data last;
    the rest of what must be the same is found here. Values of the file are in the State afterwards. Raises InputError
    for what makes no sense, CheckpointError for a file that is there and is not to be gone on with, and for one that
    does not belong to this run.
    """
    name = path_name(path)
    if name is None:
        raise InputError(f"fit: checkpoint is a path, not {brief(path)}")
    if every is None:
        every = EVERY
    if isinstance(every, bool) or not isinstance(every, Real) or not every >= 0:
        raise InputError(f"fit: checkpoint_every is a number of seconds, 0 or more, not {brief(every)}")
    if not isinstance(resume, bool):
        raise InputError(f"fit: resume is True or False, not {brief(resume)}")
    name = checked_path(name)
    try:
        check_writable(name)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{one_line(name)}: cannot be written: {reason(error)}") from None
    whole = {
        **settings,
        "program": _digest_of_graph(declared),
        "data": _digest(data),
        "validation": "none" if held_out is None else _digest(held_out),
    }
    saver = Saver(name, float(min(float_info.max, every)), whole, declared.cells, state)
    if not os.path.exists(name):
        return saver  # the first start of a run that will be resumed is like any other
    if not resume:
        raise CheckpointError(
            f"{one_line(name)}: is there already. Pass resume=True to go on with the run in it, use another path, or "
            "remove it"
        )
    checkpoint = read_checkpoint(name)
    if checkpoint.record is None:
        raise CheckpointError(
            f"{one_line(name)}: has values, but no run to go on with. program.load(path) reads them, and fit starts "
            "from there with another checkpoint path"
        )
    _restore(saver, checkpoint, epochs, names, len(names) if held_out is None else len(names) // 2)
    return saver


def _restore(saver: Saver, checkpoint: Checkpoint, most_epochs: int, names: Sequence[str], scalars: int) -> None:
    """Let State, history and position be those of the checkpoint; nothing changes if it does not fit.

    `names` are those of the means of an epoch, and `scalars` is how many of them there are within one.

    Native code goes on at the position as it is: within a batch, it would read what is beyond the data.
    """
    found = _field(checkpoint, "settings", dict)
    for key, value in saver.settings.items():
        if found.get(key) != value:
            text = _DIFFERENT.get(key, _OTHER).format(key, brief(found.get(key)), value)
            raise CheckpointError(f"{one_line(saver.path)}: {text}")
    values = values_for(checkpoint, saver.cells)
    epochs, samples, steps = (_field(checkpoint, key, int) for key in ("epochs", "samples", "steps"))
    means, seconds, totals = (_numbers_of(checkpoint, key) for key in ("means", "seconds", "totals"))
    all_samples = saver.settings["samples"]
    is_whole = (
        _field(checkpoint, "names", list) == (list(names) if epochs else [])
        and len(means) == len(names) * epochs
        and len(seconds) == epochs
        and (samples in range(0, all_samples, saver.settings["batch_size"]) or samples == all_samples)
        and (not samples or len(totals) == scalars)
        and min(epochs, steps) >= 0
    )
    if not is_whole:
        raise CheckpointError(f"{one_line(saver.path)}: the record of its run is not whole")
    if epochs > most_epochs:
        raise InputError(f"fit: epochs is {most_epochs}, and the run in {one_line(saver.path)} has done {epochs}")
    saver.mark(epochs, samples, totals if samples else ())
    saver.stopped = _field(checkpoint, "stopped", bool)
    history = saver.history
    history.metrics = {name: means[i * epochs : (i + 1) * epochs] for i, name in enumerate(names) if epochs}
    history.seconds, history.steps = seconds, steps
    put(values, saver.state)


_OTHER = "{0} is {2} here, and {1} in the run that it has. Use the same, or start another run with another path"
_DIFFERENT = {
    "program": "its run is one of another program: the graph has changed. program.load(path) takes the values alone",
    "data": "its run is one on other data. program.load(path) takes the values alone",
    "validation": "its run is one with other validation data, or without any. Use the same",
}


def _field(checkpoint: Checkpoint, name: str, kind: type[_T]) -> _T:
    value = (checkpoint.record or {}).get(name)
    if type(value) is not kind:
        raise CheckpointError(f"{one_line(checkpoint.path)}: the record of its run has {brief(value)} for {name!r}")
    return value


def _numbers_of(checkpoint: Checkpoint, name: str) -> list[float]:
    tensor = (checkpoint.tensors or {}).get(name)
    if tensor is None or tensor.dtype is not torch.float64 or tensor.ndim != 1:
        raise CheckpointError(f"{one_line(checkpoint.path)}: the record of its run has no numbers for {name!r}")
    return tensor.tolist()


def _digest_of_graph(graph: Graph) -> str:
    """Of what the graph computes: lines, modules and the values of hyper-parameters do not count."""
    saved = json.loads(graph.to_json())
    nodes = [{key: value for key, value in node.items() if key != "origin"} for node in saved["nodes"]]
    cells = [{key: value for key, value in cell.items() if key != "value"} for cell in saved["cells"]]
    meaning = [saved["constants"], nodes, cells, saved["inputs"], saved["outputs"]]
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def _digest(data: Sequence[Array]) -> str:
    """Of all values, however they are laid out."""
    digest = hashlib.blake2b(digest_size=32)
    for array in data:
        digest.update(f"{array.dtype} {tuple(array.shape)}\0".encode())
        row = array[:1].numel() * array.element_size()
        for piece in torch.split(array.detach(), max(1, _CHUNK // max(1, row))):
            plain = piece.resolve_neg().cpu().contiguous().reshape(-1)
            digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()
