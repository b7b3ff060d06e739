"""Running a compiled graph: checks inputs, binds sizes, keeps workspaces, and runs one step."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn
from weakref import WeakKeyDictionary

import torch

from graphc.backends.binding import Binding
from graphc.backends.executable import Bound, Executable, Loop, Position
from graphc.backends.threads import Threads
from graphc.errors import InputError, StateError, explained
from graphc.expr.philox import SHUFFLE, as_int64
from graphc.ir import Cell, Graph, Role
from graphc.ir.lazy import lazy
from graphc.runtime.signature import Signature
from graphc.state import State
from graphc.types import Array, TensorType

__all__ = ["Runner"]

KEPT_BINDINGS = 8
"""How many combinations of sizes keep their workspaces, for each State."""

KEPT_BYTES = 1 << 28
"""When new sizes come and all workspaces together are larger than this, only the one that was used last is kept.
States other than the default one may have as much together.
"""

AUTOCASTING = ("cpu", "cuda", "mps", "xpu")
"""The kinds of devices for which `torch.autocast` exists."""

KEPT_LOOKS = 1024
"""How many combinations of input shapes are remembered as checked."""


class _Pool:
    """Idle bindings of one State by sizes: a call takes one or makes one, and puts it back."""

    def __init__(self) -> None:
        self.idle: OrderedDict[tuple[int, ...], list[Bound]] = OrderedDict()

    def take(self, sizes: tuple[int, ...]) -> Bound | None:
        waiting = self.idle.get(sizes)
        try:
            return waiting.pop() if waiting else None
        except IndexError:
            return None  # another thread took the last one

    def put(self, sizes: tuple[int, ...], bound: Bound) -> None:
        waiting = self.idle.pop(sizes, None)
        # Taken out and put back, so that the sizes used last stay. If threads meet here, a binding is made once more.
        if waiting is not None:
            waiting.append(bound)
            self.idle[sizes] = waiting
            return
        self.idle[sizes] = [bound]
        while len(self.idle) > (KEPT_BINDINGS if self.nbytes() <= KEPT_BYTES else 1):
            self.idle.popitem(last=False)

    def nbytes(self) -> int:
        return sum(bound.nbytes for waiting in list(self.idle.values()) for bound in waiting)


class Runner:
    """Immutable and re-entrant: all that changes lives in a State, all scratch in a workspace that one call has."""

    def __init__(self, declared: Graph, graph: Graph, executable: Executable, threads: int | None) -> None:
        """`graph` is what passes have made of the `declared` one, which says what inputs and States have to fit."""
        self.declared = declared
        self.graph = graph
        self._executable = executable
        self._threads = threads
        self._signature = Signature.of(declared)
        self._updated: frozenset[Cell] = frozenset(o.cell for o in graph.outputs if o.cell is not None)
        self._state = State(declared.cells)
        self._pool = _Pool()
        self._pools: WeakKeyDictionary[State, _Pool] = WeakKeyDictionary()
        self._pooled = 0
        self._known: dict[tuple[object, ...], tuple[int, ...]] = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a program is neither copied nor pickled. program.new_state() makes values of their own for the same "
            "program; program.graph.save(path) keeps the graph"
        )

    @property
    def state(self) -> State:
        """The default State: the parameters' own values, shared with every program over the same parameters."""
        return self._state

    @property
    def threads(self) -> int | None:
        """How many threads a call may use, as `compile` was told; None for as many as it is worth."""
        return self._threads

    @explained
    def new_state(self, seed: int | None = None) -> State:
        """An independent State: a copy of the default one, or with `seed` fresh initial values and slots.

        The values drawn are those that constructing the same layers after `torch.manual_seed(seed)` would give.
        """
        return self._state.copy() if seed is None else self._state.redrawn(seed)

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._signature.names

    @property
    def input_places(self) -> tuple[str, ...]:
        """Where each input is declared, as `file:line`."""
        return self._signature.places

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        return self._signature.types

    @lazy
    def scalar_outputs(self) -> tuple[tuple[int, str], ...]:
        """Position and name of the outputs that are 0-d: those that a History records."""
        outputs = [output for output in self.graph.outputs if output.cell is None]
        return tuple((i, output.name) for i, output in enumerate(outputs) if not output.node.type.shape)

    def running(self, state: State) -> AbstractContextManager[None]:
        """Reserves what the program updates in `state` for the calls inside."""
        return state.updating(self._updated)

    def apart(self, data: Sequence[Array], state: State) -> list[Array]:
        """`data` as it is now: what lies in a value that the program updates is copied."""
        cells = tuple(self._updated)
        written = Binding(cells, [state.read(cell) for cell in cells], self._updated, state.moves)
        return [array.clone() if written.reads_and_writes(array.data_ptr()) else array for array in data]

    def reseed(self, seed: int, state: State) -> None:
        """Let random masks depend on `seed` from now on; steps are counted on. The caller has reserved the State."""
        for cell in self.graph.cells:
            if cell.role is Role.RANDOM:
                state.read(cell)[0] = as_int64(seed)

    def check_inputs(self, inputs: Sequence[object], state: State) -> list[Array]:
        """`inputs` as tensors of the program's input types, for one call or many. Raises InputError."""
        names = self._signature.names
        if len(inputs) != len(names):
            raise InputError(
                f"{len(inputs)} inputs given, the program takes {len(names)}: {', '.join(names) or 'none'}. "
                f"Give them one by one and in order: program({', '.join(names)})"
            )
        device = state.device
        arrays = [self._signature.convert(position, value, device) for position, value in enumerate(inputs)]
        self._signature.sizes(arrays)
        return arrays

    def step(self, inputs: Sequence[object], state: State) -> Sequence[Array]:
        """One run; outputs as a sequence. The caller has reserved the State."""
        try:
            arrays, sizes = self._enter(inputs, state)
            pool = self._pool if state is self._state else self._pool_of(state)
            bound = pool.take(sizes)
            if bound is None or not bound.is_current(state):
                bound = self._bind(sizes, state)
                if pool is not self._pool:
                    self._make_room(state, bound.nbytes)
            start, stop = bound.written
            for array in arrays:
                if start <= array.data_ptr() < stop and bound.reads_and_writes(array.data_ptr()):
                    arrays = [array.clone() for array in arrays]
                    break
            run, kind = bound.run, state.device.type
            if kind in AUTOCASTING and torch.is_autocast_enabled(kind):
                run = torch.autocast(kind, enabled=False)(run)  # dtypes are those that were declared
            limit = self._threads or bound.threads
            if limit is None:
                results = run(*arrays)
            else:
                with Threads(limit):
                    results = run(*arrays)
            pool.put(sizes, bound)
            return results
        except RuntimeError:
            self.check_inputs(inputs, state)  # shapes were known; an input may only stand for others, as in torch.vmap
            raise

    def bind_batches(self, data: Sequence[Array], batch: int) -> list[dict[str, int]]:
        """The symbolic sizes of a batch of checked `data`, and of the last one.

        Raises InputError for what the graph cannot take.
        """
        samples = len(data[0])
        batch = min(batch, samples)
        last = samples % batch or batch
        return [self._signature.bind([array[:rows] for array in data]) for rows in (batch, last)]

    def loop(
        self, data: Sequence[Array], batch: int, epochs: int, start: Position, seed: int | None, state: State
    ) -> Loop | None:
        """A run over checked `data` that needs no Python between steps, from `start` on; None if there is none.

        `seed` shuffles, None does not. Raises InputError for a batch that the graph cannot take.
        """
        batch = min(batch, len(data[0]))
        sizes = self.bind_batches(data, batch)
        shuffle = None if seed is None else (seed, SHUFFLE)
        return self._executable.loop(sizes, state, data, batch, epochs, start, shuffle)

    def advance(self, loop: Loop, epochs: int) -> None:
        """Let a loop go on for a while. The caller has reserved the State."""
        limit = self._threads or loop.threads
        if limit is None:
            loop.advance(epochs)
        else:
            with Threads(limit):
                loop.advance(epochs)

    def _checked(self, state: State | None) -> State:
        if state is None:
            return self._state
        if not isinstance(state, State):
            raise StateError(
                f"state is a {type(state).__name__}, not a graphc State. Make one with program.new_state()"
            )
        return state

    def _enter(self, inputs: Sequence[object], state: State) -> tuple[Sequence[Any], tuple[int, ...]]:
        """Checked inputs, and the values of the symbolic sizes in order. What passed once passes quickly again."""
        device = state.device
        look: list[object] = []
        for value in inputs:
            if (
                type(value) is not torch.Tensor
                or value.requires_grad
                or value.device != device
                or value.layout is not torch.strided
            ):
                inputs = self.check_inputs(inputs, state)
                look = [fact for array in inputs for fact in (array.shape, array.dtype)]
                break
            look += value.shape, value.dtype
        seen = tuple(look)
        known = self._known.get(seen)
        if known is None:
            sizes = self._signature.bind(self.check_inputs(inputs, state))
            known = tuple(sizes[name] for name in self.graph.symbols)
            if len(self._known) >= KEPT_LOOKS:
                self._known.clear()
            self._known[seen] = known
        return inputs, known

    def _pool_of(self, state: State) -> _Pool:
        if not isinstance(state, State):
            raise StateError(
                f"state is a {type(state).__name__}, not a graphc State. Make one with program.new_state()"
            )
        pool = self._pools.get(state)
        if pool is None:
            pool = self._pools[state] = _Pool()
        return pool

    def _make_room(self, state: State, nbytes: int) -> None:
        """Forget the workspaces of other States when all together are large: an ensemble predicts with each in turn."""
        self._pooled += nbytes  # at most so much is kept
        if self._pooled > KEPT_BYTES:
            for other in list(self._pools):
                if other is not state:
                    self._pools.pop(other, None)
            self._pooled = nbytes

    def _bind(self, values: tuple[int, ...], state: State) -> Bound:
        sizes = dict(zip(self.graph.symbols, values, strict=True))
        # Buffers made in inference mode could not be written outside it.
        with torch.inference_mode(False), torch.no_grad():
            for cell in self.graph.cells:
                if cell.role is Role.RANDOM and state.read(cell).device != state.device:
                    state.place(cell, state.read(cell).to(state.device))
            return self._executable.bind(sizes, state)
