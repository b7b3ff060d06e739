"""The training loop: shuffling, batches, steps, means, validation, callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch

from graphc.backends.executable import Loop
from graphc.dims import Dim, same
from graphc.errors import InputError, StateError, brief
from graphc.ir import Role
from graphc.runtime.history import History
from graphc.runtime.interrupt import DeferredInterrupt
from graphc.runtime.progress import Reporter
from graphc.runtime.runner import Runner
from graphc.runtime.shuffle import permutation
from graphc.state import State, Variable
from graphc.types import Array

__all__ = ["Epoch", "check", "check_hypers", "evaluate", "fit"]

GATHERED_BYTES = 1 << 26
"""How much shuffled data is gathered at a time."""


@dataclass
class Epoch:
    """What `on_epoch` is given after each epoch, the first being number 1."""

    number: int
    metrics: dict[str, float]
    state: State
    stopped: bool = field(default=False, init=False)

    def set(self, **values: float) -> None:
        """Set hyper-parameters by name, for example `epoch.set(lr=0.01)`. Nothing is compiled again.

        Raises StateError for a name that is no hyper-parameter of the program.
        """
        for name, value in dict(check_hypers(self.state, values.items())).items():
            self.state[name] = value

    def stop(self) -> None:
        """Let this epoch be the last."""
        self.stopped = True


def check_hypers(
    state: State, values: Iterable[tuple[str | Variable, object]]
) -> Iterator[tuple[str | Variable, float]]:
    """The values as floats.

    Raises StateError for a key that is no hyper-parameter of the State, by name or as a handle, and for what is no
    finite number.
    """
    known = {cell: cell.name for cell in state.cells if cell.role is Role.HYPER}
    for key, value in values:
        if (key.cell not in known) if isinstance(key, Variable) else (key not in known.values()):
            raise StateError(
                f"{key!r} is no hyper-parameter here; there are {', '.join(map(repr, known.values())) or 'none'}. "
                "Options that were 0 when the optimizer was made are left out of the program"
            )
        state[key]  # raises where two have the name
        try:
            found = math.nan if isinstance(value, str) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError, RuntimeError):
            found = math.nan
        if not math.isfinite(found):
            raise StateError(f"hyper-parameter {key!r} is a finite number, not {brief(value)}")
        yield key, found


def check(
    program: Runner,
    data: Sequence[object],
    batch_size: int,
    epochs: int,
    seed: int,
    state: State,
    validation: tuple[Runner, Sequence[object]] | None,
) -> tuple[list[Array], list[Array] | None]:
    """What `fit` is given, checked: data and validation data as tensors. Raises InputError and StateError."""
    _check_count("batch_size", batch_size, 1)
    _check_count("epochs", epochs, 0)
    _check_count("seed", seed, 0)
    for cell in program.graph.cells:
        state.read(cell)
    arrays = _batched(program, data, state, "data")
    program.bind_batches(arrays, batch_size)
    if validation is None:
        return arrays, None
    held_out = _batched(*validation, state, "validation")
    validation[0].bind_batches(held_out, batch_size)
    return arrays, held_out


def fit(
    program: Runner,
    data: Sequence[object],
    *,
    batch_size: int,
    epochs: int,
    shuffle: bool,
    seed: int,
    state: State,
    validation: tuple[Runner, Sequence[object]] | None,
    on_epoch: Callable[[Epoch], object] | None,
    reporting: Callable[[int], AbstractContextManager[Reporter]],
) -> History:
    """See `Program.fit`. `validation` has the program that evaluates, and its data; `reporting` takes the epochs."""
    arrays, arrays_held_out = check(program, data, batch_size, epochs, seed, state, validation)
    held_out = None
    if validation is not None and arrays_held_out is not None:
        held_out = _Run(validation[0], arrays_held_out, batch_size, epochs, None, state)
    history = History()
    steps = -(-len(arrays[0]) // batch_size)
    if any(cell.role is Role.RANDOM for cell in program.graph.cells):
        with DeferredInterrupt(), program.running(state):
            program.reseed(seed, state)
    run = _Run(program, arrays, batch_size, epochs, seed if shuffle else None, state, held_out)
    with reporting(epochs) as report:
        for number, metrics, seconds in run.epoch_by_epoch(several_at_a_time=on_epoch is None):
            history.add(metrics, seconds, steps)
            report(number, metrics)
            if on_epoch is not None:
                epoch = Epoch(number, dict(metrics), state)
                on_epoch(epoch)
                if epoch.stopped:
                    break
    return history


@dataclass(frozen=True)
class _Run:
    """What does not change during a run. `seed` is None for data in order; `held_out` has no updates."""

    program: Runner
    data: Sequence[Array]
    batch_size: int
    epochs: int
    seed: int | None
    state: State
    held_out: _Run | None = None

    def epoch_by_epoch(self, several_at_a_time: bool) -> Iterator[tuple[int, dict[str, float], float]]:
        """Number, means and seconds of each epoch, once it is done; maybe of several, once all of them are."""
        loop = self.loop(0)
        return self._in_python(0) if loop is None else self._natively(loop, several_at_a_time)

    def loop(self, first: int) -> Loop | None:
        loop = self.program.loop(self.data, self.batch_size, self.epochs, first, self.seed, self.state)
        if loop is None or self.held_out is None:
            return loop
        held_out = self.held_out.loop(first)
        return None if held_out is None else loop.look_at(held_out)

    @property
    def names(self) -> list[str]:
        """Of the means: those of the scalar outputs, then on held-out data."""
        names = [name for _, name in self.program.scalar_outputs]
        return names if self.held_out is None else [*names, *(f"validation_{name}" for name in self.held_out.names)]

    # The State is reserved for an epoch, or some hundredths of a second, and not between: `on_epoch` may restore
    # parameters, or train something else. An interrupt on the way in or out would leave it reserved for ever.

    def _in_python(self, first: int) -> Iterator[tuple[int, dict[str, float], float]]:
        samples, held_out = len(self.data[0]), self.held_out
        for number in range(first + 1, self.epochs + 1):
            start = time.perf_counter()
            order = None if self.seed is None else permutation(samples, self.seed, number - 1).to(self.state.device)
            with DeferredInterrupt(), self.program.running(self.state):
                means = _pass_over(self.program, self.data, order, self.batch_size, self.state)
            seconds = time.perf_counter() - start
            if held_out is not None:
                means += _pass_over(held_out.program, held_out.data, None, self.batch_size, self.state)
            yield number, dict(zip(self.names, means, strict=True)), seconds

    def _natively(self, loop: Loop, several_at_a_time: bool) -> Iterator[tuple[int, dict[str, float], float]]:
        names = self.names
        done = 0
        while done < self.epochs:
            with DeferredInterrupt(), self.program.running(self.state):
                if not loop.is_current(self.state):
                    moved = self.loop(done)
                    if moved is None:  # to another device
                        break
                    loop = moved
                self.program.advance(loop, self.epochs if several_at_a_time else done + 1)
            for means, seconds in loop.results(done, loop.epoch):
                done += 1
                yield done, dict(zip(names, means, strict=True)), seconds
        if done < self.epochs:
            yield from self._in_python(done)


def evaluate(program: Runner, data: Sequence[object], batch_size: int | None, state: State) -> dict[str, float]:
    """See `Program.evaluate`. `program` has no updates."""
    if batch_size is not None:
        _check_count("batch_size", batch_size, 1)
    arrays = _batched(program, data, state, "data")
    means = _pass_over(program, arrays, None, batch_size or len(arrays[0]), state)
    return {name: mean for (_, name), mean in zip(program.scalar_outputs, means)}


def _pass_over(
    program: Runner, arrays: Sequence[Array], order: Array | None, batch_size: int, state: State
) -> list[float]:
    """Run the program on every batch once. Returns the means of its scalar outputs, weighted by samples."""
    scalars = program.scalar_outputs
    totals = [torch.zeros((), dtype=torch.float64, device=state.device) for _ in scalars]
    seen = 0
    with DeferredInterrupt() as interrupt:
        for batch in _batches(arrays, order, batch_size):
            rows = len(batch[0])
            results = program.step(batch, state)
            for total, (position, _) in zip(totals, scalars):
                total.add_(results[position], alpha=rows)
            seen += rows
            if interrupt.requested:
                break
    return [total.item() / seen if seen else math.nan for total in totals]


def _batches(arrays: Sequence[Array], order: Array | None, batch_size: int) -> Iterator[tuple[Array, ...]]:
    """Batches in order; shuffled data is gathered in large pieces, each cut into batches."""
    if order is None:
        yield from zip(*(torch.split(array, batch_size) for array in arrays))
        return
    row = sum(array[:1].numel() * array.element_size() for array in arrays)
    rows = max(1, GATHERED_BYTES // max(1, row * batch_size)) * batch_size
    for piece in torch.split(order, rows):
        yield from zip(*(torch.split(array.index_select(0, piece), batch_size) for array in arrays))


def _batched(program: Runner, data: Sequence[object], state: State, what: str) -> list[Array]:
    """The data as tensors of one length along the size that all inputs share. Raises InputError."""
    names, types = program.input_names, program.input_types
    sizes = [type_.shape[0] if type_.shape else None for type_ in types]
    for name, type_, size in zip(names, types, sizes):
        if not isinstance(size, Dim) or not isinstance(sizes[0], Dim) or not same(size, sizes[0]):
            raise InputError(
                f"fit: input {name!r} is {type_}, but all inputs need the same symbolic first size, such as "
                '"batch", to be cut into batches'
            )
    if isinstance(data, torch.Tensor) or len(data) != len(types):
        count = 1 if isinstance(data, torch.Tensor) else len(data)
        raise InputError(f"fit: {what} has {count} tensors, the program takes {len(types)}: {', '.join(names)}")
    arrays = program.check_inputs(data, state)
    if not arrays or not len(arrays[0]):
        raise InputError(f"fit: {what} has no samples")
    return arrays


def _check_count(name: str, value: int, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"fit: {name} is an integer of {least} or more, not {value!r}")
