"""The training loop: shuffling, batches, steps, means, validation, callbacks."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import torch

from graphc.backends.executable import Loop, Position
from graphc.capacity import need
from graphc.dims import Dim, same
from graphc.errors import InputError, NonFiniteError, StateError, brief, type_name
from graphc.ir import Role
from graphc.ir.elsewhere import EPOCHS_ELSEWHERE, missing
from graphc.runtime.history import History
from graphc.runtime.interrupt import DeferredInterrupt
from graphc.runtime.progress import Reporter
from graphc.runtime.resume import Saver
from graphc.runtime.runner import Runner
from graphc.runtime.shuffle import permutation
from graphc.state import State, Variable
from graphc.types import Array, as_index

__all__ = ["Epoch", "check", "check_hypers", "count", "evaluate", "fit"]

START = Position()

GATHERED_BYTES = 1 << 26
"""How much shuffled data is gathered at a time."""


class _Means(dict[str, float]):
    """Means by name."""

    def __missing__(self, name: str) -> NoReturn:
        raise KeyError(f"epoch.metrics has no {name!r}; it has {', '.join(map(repr, self)) or 'nothing'}")


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

    if not TYPE_CHECKING:  # type checkers report unknown attributes themselves

        def __getattr__(self, name: str) -> NoReturn:
            raise missing("'Epoch' object", name, [*dir(type(self)), *vars(self)], EPOCHS_ELSEWHERE)

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
    state: State,
    validation: tuple[Runner, Sequence[object]] | None,
    shuffle: bool = True,
    on_epoch: Callable[[Epoch], object] | None = None,
) -> tuple[list[Array], list[Array] | None]:
    """What `fit` is given, counts aside, checked: data and validation data as tensors.

    Raises InputError and StateError.
    """
    if not isinstance(shuffle, bool):
        raise InputError(f"fit: shuffle is True or False, not {brief(shuffle)}")
    if on_epoch is not None and not callable(on_epoch):
        raise InputError(
            f"fit: on_epoch is a {type_name(on_epoch)}, which cannot be called: give one function of the Epoch"
        )
    for cell in program.graph.cells:
        state.read(cell)
    arrays = _batched(program, data, state, "fit: data")
    program.bind_batches(arrays, batch_size)
    _check_names(_names(program, None if validation is None else validation[0]))
    if validation is None:
        return arrays, None
    held_out = _batched(*validation, state, "fit: validation")
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
    saving: Callable[..., Saver] | None = None,
) -> History:
    """See `Program.fit`. `validation` has the program that evaluates, and its data; `reporting` takes the epochs.

    `saving` gives what writes checkpoints, from the settings of the run, its epochs, the names of its means, its data
    and its validation data.
    """
    batch_size, epochs = count("fit", "batch_size", batch_size, 1), count("fit", "epochs", epochs, 0)
    seed = count("fit", "seed", seed, 0)
    arrays, arrays_held_out = check(program, data, batch_size, state, validation, shuffle, on_epoch)
    held_out = None
    if validation is not None and arrays_held_out is not None:
        held_out = _Run(validation[0], arrays_held_out, batch_size, epochs, None, state)
    settings = {"batch_size": batch_size, "seed": seed, "shuffle": int(shuffle), "samples": len(arrays[0])}
    names = _names(program, None if held_out is None else held_out.program)
    saver = None if saving is None else saving(settings, epochs, names, arrays, arrays_held_out)
    history = History() if saver is None else saver.history
    steps = -(-len(arrays[0]) // batch_size)
    # An interrupt ends the run between two steps. What is finished then gets into the history and to `on_epoch` first,
    # whose settings belong to the next epoch: a checkpoint without them would go on to other bits.
    with DeferredInterrupt() as interrupt, reporting(epochs) as report:
        if any(cell.role is Role.RANDOM for cell in program.graph.cells):
            with program.running(state):
                program.reseed(seed, state)
        apart = program.apart(arrays, state)
        run = _Run(program, apart, batch_size, epochs, seed if shuffle else None, state, held_out, saver)
        for number, metrics, seconds in run.epoch_by_epoch(interrupt, several_at_a_time=on_epoch is None):
            history.add(metrics, seconds, steps)
            report(number, metrics)
            if on_epoch is not None:
                epoch = Epoch(number, _Means(metrics), state)
                interrupt.let_through(on_epoch, epoch)
                if epoch.stopped:
                    if saver is not None:
                        saver.stopped = True
                    break
        if saver is not None:
            saver.write()
    return history


@dataclass(frozen=True)
class _Run:
    """What does not change during a run. `seed` is None for data in order; `held_out` has no updates.

    `saver` is told where the run is, and what is finished is in its history when it writes.
    """

    program: Runner
    data: Sequence[Array]
    batch_size: int
    epochs: int
    seed: int | None
    state: State
    held_out: _Run | None = None
    saver: Saver | None = None

    def epoch_by_epoch(
        self, interrupt: DeferredInterrupt, several_at_a_time: bool
    ) -> Iterator[tuple[int, dict[str, float], float]]:
        """Number, means and seconds of each epoch, once it is done; maybe of several, once all of them are.

        Ends between two steps when an interrupt is requested.
        """
        start = Position() if self.saver is None else self.saver.position
        if self.saver is not None and self.saver.stopped:
            return iter(())
        loop = self.loop(start)
        if loop is None:
            return self._in_python(start, interrupt)
        return self._natively(loop, interrupt, several_at_a_time)

    def loop(self, start: Position) -> Loop | None:
        loop = self.program.loop(self.data, self.batch_size, self.epochs, start, self.seed, self.state)
        if loop is None or self.held_out is None:
            return loop
        held_out = self.held_out.loop(Position(start.epochs))
        return None if held_out is None else loop.look_at(held_out)

    @property
    def names(self) -> list[str]:
        return _names(self.program, None if self.held_out is None else self.held_out.program)

    # The State is reserved for an epoch, or some hundredths of a second, and not between: `on_epoch` may restore
    # parameters, or train something else. An interrupt on the way in or out would leave it reserved for ever.

    def _in_python(
        self, start: Position, interrupt: DeferredInterrupt
    ) -> Iterator[tuple[int, dict[str, float], float]]:
        samples, held_out = len(self.data[0]), self.held_out
        for number in range(start.epochs + 1, self.epochs + 1):
            began = time.perf_counter()
            order = None if self.seed is None else permutation(samples, self.seed, number - 1).to(self.state.device)
            with self.program.running(self.state):
                means = _pass_over(self, order, f"epoch {number}", start)
            seconds = time.perf_counter() - began
            if held_out is not None and not interrupt.requested:
                means += _pass_over(held_out, None, f"validation after epoch {number}")
            if interrupt.requested:
                return
            if self.saver is not None:
                self.saver.mark(number)
            yield number, dict(zip(self.names, means, strict=True)), seconds
            if interrupt.requested:
                return
            start = Position(number)
            if self.saver is not None:
                self.saver.write_if_due()

    def _natively(
        self, loop: Loop, interrupt: DeferredInterrupt, several_at_a_time: bool
    ) -> Iterator[tuple[int, dict[str, float], float]]:
        done = loop.position.epochs
        while done < self.epochs:
            finished: list[tuple[int, dict[str, float], float]] = []
            with self.program.running(self.state):
                if not loop.is_current(self.state):
                    moved = self.loop(loop.position)
                    if moved is None:  # to another device
                        break
                    loop = moved
                self.program.advance(loop, self.epochs if several_at_a_time else done + 1)
            position = loop.position
            for means, seconds in loop.results(done, position.epochs):
                done += 1
                finished.append((done, dict(zip(self.names, means, strict=True)), seconds))
            if self.saver is not None:
                self.saver.mark(position.epochs, position.samples, position.totals)
            yield from finished
            if interrupt.requested:
                return
            if self.saver is not None:
                self.saver.write_if_due()
        if done < self.epochs:
            yield from self._in_python(loop.position, interrupt)


def _names(program: Runner, held_out: Runner | None) -> list[str]:
    """Of the means: those of the scalar outputs, then on held-out data."""
    names = [name for _, name in program.scalar_outputs]
    return names if held_out is None else [*names, *(f"validation_{name}" for _, name in held_out.scalar_outputs)]


def _check_names(names: Sequence[str]) -> None:
    """Raises InputError if one curve would take another's place in the History."""
    [(name, count)] = Counter([*names, "seconds"]).most_common(1)
    if count > 1:
        other = "the time of each epoch"
        if name != "seconds":
            other = f"the mean of {brief(name.removeprefix('validation_'))} on validation data"
        problem = f"the output {brief(name)} has the name under which the history keeps {other}"
        raise InputError(f"fit: {problem}. Give the output another name")


def evaluate(program: Runner, data: Sequence[object], batch_size: int | None, state: State) -> dict[str, float]:
    """See `Program.evaluate`. `program` has no updates."""
    if batch_size is not None:
        batch_size = count("evaluate", "batch_size", batch_size, 1)
    if not program.scalar_outputs:
        shown = ", ".join(f"{output.name} is {output.node.type}" for output in program.declared.outputs)
        raise InputError(
            f"evaluate: means are of scalar outputs, and there are none: {shown}. "
            "Compile a scalar, such as output.mean(), or call the program"
        )
    arrays = _batched(program, data, state, "evaluate: data")
    run = _Run(program, arrays, batch_size or len(arrays[0]), 1, None, state)
    means = _pass_over(run, None, "evaluate")
    return {name: mean for (_, name), mean in zip(program.scalar_outputs, means)}


def _pass_over(run: _Run, order: Array | None, during: str, start: Position = START) -> list[float]:
    """Run the program on every batch once, those before `start` aside. Returns the means of its scalar outputs.

    Means are weighted by samples. A NonFiniteError says in which batch, and `during` what.
    """
    scalars, saver = run.program.scalar_outputs, run.saver
    sums = start.totals if start.samples else [0.0] * len(scalars)
    totals = [torch.tensor(value, dtype=torch.float64, device=run.state.device) for value in sums]
    seen = start.samples
    with DeferredInterrupt() as interrupt:
        for batch in _batches(run.data, order, run.batch_size, seen):
            rows = len(batch[0])
            try:
                results = run.program.step(batch, run.state)
            except NonFiniteError as error:
                error.args = (f"{error}\n  {_moment(error, order, len(run.data[0]), seen, run.batch_size, during)}",)
                raise
            for total, (position, _) in zip(totals, scalars):
                total.add_(results[position], alpha=rows)
            seen += rows
            if saver is not None:
                saver.mark(start.epochs, seen, totals)
                saver.write_if_due()
            if interrupt.requested:
                break
    return [total.item() / seen if seen else math.nan for total in totals]


def _moment(error: NonFiniteError, order: Array | None, samples: int, seen: int, batch_size: int, during: str) -> str:
    """In which batch an error was, and which sample it is about."""
    text = f"in {during}, batch {seen // batch_size + 1} of {-(-samples // batch_size)}"
    if error.is_input:
        row = seen + error.index[0]
        text += f": row {row if order is None else int(order[row])} of the data"
    return text


def _batches(arrays: Sequence[Array], order: Array | None, batch_size: int, seen: int) -> Iterator[tuple[Array, ...]]:
    """Batches in order, after the first `seen` samples; shuffled data is gathered in large pieces, then cut."""
    if seen >= len(arrays[0]):  # cutting nothing would give one batch without samples
        return
    batch_size = min(batch_size, len(arrays[0]))  # torch cuts by numbers of 64 bits
    if order is None:
        yield from zip(*(torch.split(array[seen:], batch_size) for array in arrays))
        return
    row = sum(array[:1].numel() * array.element_size() for array in arrays)
    need(row * batch_size, lambda: f"a batch of {batch_size} shuffled samples")
    rows = max(1, GATHERED_BYTES // max(1, row * batch_size)) * batch_size
    for piece in torch.split(order[seen:], rows):
        yield from zip(*(torch.split(array.index_select(0, piece), batch_size) for array in arrays))


def _batched(program: Runner, data: Sequence[object], state: State, what: str) -> list[Array]:
    """The data as tensors of one length along the size that all inputs share. Raises InputError."""
    names, types = program.input_names, program.input_types
    if not names:
        raise InputError(f"{what} is cut into batches, and the program takes no inputs. Call it instead: program()")
    sizes = [type_.shape[0] if type_.shape else None for type_ in types]
    for name, type_, size, place in zip(names, types, sizes, program.input_places):
        if not isinstance(size, Dim) or not isinstance(sizes[0], Dim) or not same(size, sizes[0]):
            other = f"; {names[0]!r} is {types[0]}" if name != names[0] else ""
            raise InputError(
                f"{what.partition(':')[0]}: input {name!r} is {type_}, but all inputs need the same symbolic first "
                f'size, such as "batch", to be cut into batches{other}; declared at {place}'
            )
    given = data if isinstance(data, Sequence) and not isinstance(data, str) else (data,)
    if len(given) != len(types):
        kinds = ", ".join(map(type_name, given))
        raise InputError(
            f"{what} has {len(given)} tensors, the program takes {len(types)}: {', '.join(names)}; given is "
            f"{kinds or 'nothing'}. Give whole tensors, one by one and in order: ({', '.join(names)})"
        )
    try:
        arrays = program.check_inputs(given, state)
    except InputError as error:
        if "validation" not in what:  # of data, the caller knows where it is
            raise
        raise InputError(f"{what}: {error}") from None
    if not len(arrays[0]):
        raise InputError(f"{what} has no samples: its first size is 0, and it needs at least one")
    return arrays


def count(caller: str, name: str, value: object, least: int) -> int:
    """An integer of any library as Python's. Raises InputError for what is none, or less than `least`."""
    number = as_index(value)
    if number is None or number < least:
        raise InputError(f"{caller}: {name} is an integer of {least} or more, not {brief(value)}")
    return number
