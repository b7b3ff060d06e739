"""A whole training run in native code: shuffling, batches, steps and means, with no Python in between."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch

from graphc.backends.c.plan import NativePlan
from graphc.backends.c.torch_functions import share_count
from graphc.backends.executable import Position
from graphc.dims import evaluate
from graphc.state import State
from graphc.types import Array

__all__ = ["NativeLoop", "scalar_types", "shuffled_bytes"]

BUDGET = 0.05
"""Seconds after which native code comes back, so that Python can look for an interrupt."""

KEPT_EPOCHS = 4096
"""Epochs that one call of native code goes through at most: their means are kept until it comes back."""

scalar_types = {torch.float32: 0, torch.float64: 1, torch.int64: 2}
"""Dtypes of outputs that native code adds up."""

_Long, _Pointer, _Double = ctypes.c_long, ctypes.c_void_p, ctypes.c_double


def shuffled_bytes(data: Sequence[Array], batch: int) -> int:
    """Memory for the order of samples, and for a batch of them."""
    samples = len(data[0])
    return (3 * samples + (1 << _bits(samples)) + 2) * 8 + batch * sum(map(_row_bytes, data))


def _bits(samples: int) -> int:
    """Leading bits of a key that cut the samples into buckets of about one."""
    return max(1, (samples - 1).bit_length())


def _row_bytes(array: Array) -> int:
    return array[:1].numel() * array.element_size()


class _Run(ctypes.Structure):
    """`struct graphc_run`."""

    _fields_ = [
        ("whole", _Pointer),
        ("last", _Pointer),
        ("b", _Pointer),
        ("samples", _Long),
        ("batch", _Long),
        ("inputs", _Long),
        ("scalars", _Long),
        ("input", _Pointer),
        ("data", _Pointer),
        ("row", _Pointer),
        ("gathered", _Pointer),
        ("scalar", _Pointer),
        ("type", _Pointer),
        ("shuffle", _Long),
        ("bits", _Long),
        ("seed", ctypes.c_uint64),
        ("stream", ctypes.c_uint64),
        ("keys", _Pointer),
        ("sorted", _Pointer),
        ("starts", _Pointer),
        ("order", _Pointer),
        ("history", _Pointer),
        ("seconds", _Pointer),
        ("totals", _Pointer),
        ("first", _Long),
        ("epoch", _Long),
        ("position", _Long),
        ("unshuffled", _Long),
        ("epochs", _Long),
        ("budget", _Double),
        ("look", _Pointer),
        ("held_out", _Pointer),
    ]


class _Bound(Protocol):
    @property
    def table(self) -> Any: ...

    @property
    def threads(self) -> int | None: ...

    def is_current(self, state: State) -> bool: ...


class NativeLoop:
    """A run over `data` that can be gone on with."""

    def __init__(
        self,
        library: ctypes.CDLL,
        plan: NativePlan,
        bound: _Bound,
        sizes: Sequence[Mapping[str, int]],
        data: Sequence[Array],
        batch: int,
        epochs: int,
        start: Position,
        shuffle: tuple[int, int] | None,
    ) -> None:
        """`bound` has room for steps of `sizes`: those of a whole batch, and of the last one. `shuffle` is a seed and
        the stream of random numbers, None for the order of the data.
        """
        self._fit = library["graphc_fit"]
        self._fit.argtypes, self._fit.restype = (_Pointer,), None
        self._bound = bound
        self._keep: list[object] = []
        table = bound.table
        graph = plan.graph
        samples = len(data[0])
        rows = list(map(_row_bytes, data))
        inputs = [plan.memory_of[node].index for node in graph.inputs]
        gathered = [self._bytes(row * batch if shuffle else 0) for row in rows]
        scalars = []
        for output in graph.outputs:
            if output.cell is not None:
                continue
            numel = max(evaluate(output.node.type.numel, each) for each in sizes)
            index = plan.memory_of[output].index
            table[index] = self._bytes(numel * output.node.type.dtype.itemsize)
            if not output.node.type.shape:
                scalars.append((index, scalar_types[output.node.type.dtype]))
        bits = _bits(samples)
        many = samples if shuffle else 0
        seed, stream = shuffle or (0, 0)
        self._sizes = [(_Long * (len(graph.symbols) + 1))(*(each[name] for name in graph.symbols), 1) for each in sizes]
        self._history = torch.zeros((min(epochs, KEPT_EPOCHS), len(scalars)), dtype=torch.float64, device="cpu")
        self._seconds = torch.zeros(min(epochs, KEPT_EPOCHS), dtype=torch.float64, device="cpu")
        self._totals = torch.zeros(max(1, len(scalars)), dtype=torch.float64, device="cpu")
        self._totals[: len(start.totals)] = torch.tensor(start.totals, dtype=torch.float64, device="cpu")
        self._scalars = len(scalars)
        self._run = _Run(
            whole=ctypes.addressof(self._sizes[0]),
            last=ctypes.addressof(self._sizes[1]),
            b=ctypes.addressof(table),
            samples=samples,
            batch=batch,
            inputs=len(inputs),
            scalars=len(scalars),
            input=self._longs(inputs),
            data=self._longs([array.data_ptr() for array in data]),
            row=self._longs(rows),
            gathered=self._longs(gathered),
            scalar=self._longs([index for index, _ in scalars]),
            type=self._longs([type_ for _, type_ in scalars]),
            shuffle=shuffle is not None,
            bits=bits,
            seed=seed & (2**64 - 1),
            stream=stream,
            keys=self._bytes(8 * many),
            sorted=self._bytes(8 * many),
            starts=self._bytes(8 * ((1 << bits) + 2) if shuffle else 0),
            order=self._bytes(8 * many),
            history=self._history.data_ptr(),
            seconds=self._seconds.data_ptr(),
            totals=self._totals.data_ptr(),
            first=start.epochs,
            epoch=start.epochs,
            position=start.samples,
            unshuffled=start.samples > 0,
            budget=BUDGET,
        )
        self._keep.append(data)
        self._held_out: NativeLoop | None = None

    def look_at(self, held_out: NativeLoop) -> NativeLoop:
        """The same run, with an epoch of `held_out`, which updates nothing, after each of its own."""
        self._held_out = held_out
        self._run.held_out = ctypes.addressof(held_out._run)
        self._run.look = ctypes.cast(held_out._fit, _Pointer).value
        return self

    @property
    def threads(self) -> int | None:
        """How many threads the work is worth; None for as many as there are."""
        return self._bound.threads

    def is_current(self, state: State) -> bool:
        """Whether the State still keeps its values where this run reads and writes them."""
        held_out = self._held_out
        return self._bound.is_current(state) and (held_out is None or held_out.is_current(state))

    @property
    def position(self) -> Position:
        """How far the run is."""
        return Position(int(self._run.epoch), int(self._run.position), tuple(self._totals[: self._scalars].tolist()))

    def advance(self, epochs: int) -> None:
        """Go on until `epochs` are done, or for a while. What earlier calls have left is forgotten."""
        self._begin()
        if self._held_out is not None:
            self._held_out._begin()
        self._run.epochs = min(epochs, self._run.first + len(self._seconds))
        self._fit(ctypes.addressof(self._run))

    def _begin(self) -> None:
        """Let results begin with the epoch that is next, or half done."""
        run = self._run
        begun = self._seconds[run.epoch - run.first].item() if run.position else 0.0
        self._seconds.zero_()
        self._seconds[0] = begun
        run.first = run.epoch
        for sizes in self._sizes:
            sizes[-1] = share_count()

    def results(self, first: int, last: int) -> Iterator[tuple[list[float], float]]:
        """Means of the scalar outputs, then of those on held-out data, and seconds of the epochs that the last call has
        done, counted from 0.
        """
        done = slice(first - self._run.first, last - self._run.first)
        seconds = self._seconds[done].tolist()
        if self._held_out is None:
            return zip(self._history[done].tolist(), seconds, strict=True)
        both = torch.cat([self._history[done], self._held_out._history[done]], dim=1)
        return zip(both.tolist(), seconds, strict=True)

    def _bytes(self, nbytes: int) -> int:
        memory = torch.zeros(nbytes + 64, dtype=torch.uint8, device="cpu")
        self._keep.append(memory)
        return -(-memory.data_ptr() // 64) * 64

    def _longs(self, values: Sequence[int]) -> int:
        array = (_Long * max(1, len(values)))(*values)
        self._keep.append(array)
        return ctypes.addressof(array)
