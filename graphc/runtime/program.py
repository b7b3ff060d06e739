"""A compiled program: what `compile` returns and users call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch

from graphc.backends.executable import Bound, Executable
from graphc.errors import InputError, StateError
from graphc.ir import Cell, Graph
from graphc.memory import MemoryPlan
from graphc.runtime.form import Form
from graphc.runtime.history import History
from graphc.runtime.interrupt import DeferredInterrupt
from graphc.runtime.report import explain, summarise
from graphc.runtime.signature import Signature
from graphc.runtime.training import Epoch, evaluate, fit
from graphc.schedule import Schedule
from graphc.state import State
from graphc.types import Array, TensorType

__all__ = ["Program", "Stage"]

_T = TypeVar("_T")

KEPT_BINDINGS = 8
"""How many combinations of sizes keep their workspaces, for each State."""

KEPT_LOOKS = 1024
"""How many combinations of input shapes are remembered as checked."""


@dataclass(frozen=True)
class Stage:
    """One stage of compilation: its value prints as text; `counts` says how often each rule fired."""

    name: str
    value: object
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        counts = "".join(f" {rule}×{count}" for rule, count in self.counts.items())
        return f"<stage {self.name}: {self.seconds * 1e3:.2f} ms{counts}>"


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
        self.idle.setdefault(sizes, []).append(bound)
        while len(self.idle) > KEPT_BINDINGS:
            self.idle.popitem(last=False)


class Program:
    """Immutable and re-entrant: all that changes lives in a State, all scratch in a workspace that one call has."""

    def __init__(
        self,
        declared: Graph,
        graph: Graph,
        form: Form,
        backend: str,
        executable: Executable,
        stages: Sequence[Stage],
        threads: int | None,
        make_evaluation: Callable[[], Program],
    ) -> None:
        """`graph` is what passes have made of the `declared` one, which says what inputs and States have to fit."""
        self.graph = graph
        self.backend = backend
        self.stages = tuple(stages)
        self._executable = executable
        self._form = form
        self._threads = threads
        self._make_evaluation = make_evaluation
        self._signature = Signature.of(declared)
        self._updated: frozenset[Cell] = frozenset(o.cell for o in graph.outputs if o.cell is not None)
        self._state = State(declared.cells)
        self._pool = _Pool()
        self._pools: WeakKeyDictionary[State, _Pool] = WeakKeyDictionary()
        self._known: dict[tuple[object, ...], tuple[int, ...]] = {}

    # What a user reads.

    @property
    def state(self) -> State:
        """The default State: the parameters' own values, shared with every program over the same parameters."""
        return self._state

    @property
    def source(self) -> str:
        """The generated code."""
        return self._executable.source

    @property
    def schedule(self) -> Schedule | None:
        """The calls in order; None on the reference backend, which has no schedule."""
        return self._stage(Schedule)

    @property
    def memory(self) -> MemoryPlan | None:
        """Where every value lives; `memory.nbytes({"batch": 25})` is the scratch memory of a call."""
        return self._stage(MemoryPlan)

    def summary(self) -> str:
        """Inputs, outputs, parameters, nodes by stage, calls, scratch memory and compile time, in a few lines."""
        return summarise(self)

    def explain(self) -> str:
        """Which rewrites fired, what was fused, packed and copied, and what fell back to evaluating itself."""
        schedule, memory = self.schedule, self.memory
        if schedule is None or memory is None:
            return "the reference backend evaluates every node by itself\n"
        return explain(schedule, memory, [(stage.name, stage.counts) for stage in self.stages])

    def _stage(self, kind: type[_T]) -> _T | None:
        return next((stage.value for stage in self.stages if isinstance(stage.value, kind)), None)

    @property
    def input_names(self) -> tuple[str, ...]:
        return self._signature.names

    @property
    def input_types(self) -> tuple[TensorType, ...]:
        return self._signature.types

    @property
    def output_names(self) -> tuple[str, ...]:
        return self._form.names

    def new_state(self, seed: int | None = None) -> State:
        """An independent State: a copy of the default one, or with `seed` fresh initial values and slots.

        The values drawn are those that constructing the same layers after `torch.manual_seed(seed)` would give.
        """
        return self._state.copy() if seed is None else self._state.redrawn(seed)

    def __repr__(self) -> str:
        inputs = ", ".join(f"{n}: {t}" for n, t in zip(self._signature.names, self._signature.types, strict=True))
        updates = f", {len(self._updated)} updates" if self._updated else ""
        return f"<graphc program ({inputs}) -> {', '.join(self._form.names)}{updates}; {self.backend} backend>"

    # Running.

    def __call__(self, *inputs: object, state: State | None = None) -> Any:
        """Run once on `inputs`, in the order of `compile`'s; returns outputs in the form given to `compile`.

        Inputs are torch tensors of any stride, or anything with `__array__` or `__dlpack__`; they are not written.
        Outputs belong to the caller. Updates go to `state`, the default one if None. Raises InputError and StateError.
        """
        state = self._state if state is None else self._checked(state)
        if not self._updated:
            return self._form.pack(self.step(inputs, state))
        with DeferredInterrupt(), state.updating(self._updated):
            return self._form.pack(self.step(inputs, state))

    def fit(
        self,
        *data: object,
        batch_size: int,
        epochs: int,
        shuffle: bool = True,
        seed: int = 0,
        state: State | None = None,
        validation: Sequence[object] | None = None,
        on_epoch: Callable[[Epoch], object] | None = None,
        progress: bool | None = None,
    ) -> History:
        """Run the program over `data`, batch by batch, `epochs` times; returns the means of each epoch.

        `data` has one tensor for each input, all of one length along the first size, which every input must share by
        name; the last batch of an epoch may be smaller. With `shuffle`, each epoch has an order of its own, which
        depends on `seed` and the epoch only. `validation` is a tuple like `data`, on which the outputs are evaluated
        without updates after each epoch. `on_epoch` is called with an `Epoch`, which can set hyper-parameters and stop.
        `progress` shows a bar; None means if standard error is a terminal. Ctrl-C ends the run between two steps.
        Outputs that are not scalars are computed but not recorded. Raises InputError and StateError.
        """
        return fit(
            self,
            data,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=shuffle,
            seed=seed,
            state=self._checked(state),
            validation=validation,
            on_epoch=on_epoch,
            progress=progress,
        )

    def evaluate(self, *data: object, batch_size: int | None = None, state: State | None = None) -> dict[str, float]:
        """Means of the scalar outputs over `data`, weighted by samples, without updates; in one batch if None.

        Raises InputError and StateError.
        """
        return evaluate(self, data, batch_size, self._checked(state))

    @cached_property
    def evaluation(self) -> Program:
        """The same outputs without the updates, over the same State: what `fit` runs on validation data."""
        return self._make_evaluation() if self._updated else self

    @cached_property
    def scalar_outputs(self) -> tuple[tuple[int, str], ...]:
        """Position and name of the outputs that are 0-d: those that a History records."""
        outputs = [output for output in self.graph.outputs if output.cell is None]
        return tuple((i, output.name) for i, output in enumerate(outputs) if not output.node.type.shape)

    def running(self, state: State) -> AbstractContextManager[None]:
        """Reserves what the program updates in `state` for the calls inside."""
        return state.updating(self._updated)

    def check_inputs(self, inputs: Sequence[object], state: State) -> list[Array]:
        """`inputs` as tensors of the program's input types, for one call or many. Raises InputError."""
        names = self._signature.names
        if len(inputs) != len(names):
            raise InputError(
                f"{len(inputs)} inputs given, the program takes {len(names)}: {', '.join(names) or 'none'}"
            )
        device = state.device
        arrays = [self._signature.convert(position, value, device) for position, value in enumerate(inputs)]
        self._signature.sizes(arrays)
        return arrays

    def step(self, inputs: Sequence[object], state: State) -> Sequence[Array]:
        """One run; outputs as a sequence. The caller has reserved the State."""
        arrays, sizes = self._enter(inputs, state)
        pool = self._pool if state is self._state else self._pool_of(state)
        bound = pool.take(sizes)
        if bound is None or not bound.is_current(state):
            bound = self._bind(sizes, state)
        limit, threads = self._threads or bound.threads, torch.get_num_threads()
        if limit is None or limit == threads:
            results = bound.run(*arrays)
        else:
            try:
                torch.set_num_threads(limit)
                results = bound.run(*arrays)
            finally:
                torch.set_num_threads(threads)
        pool.put(sizes, bound)
        return results

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

    def _bind(self, values: tuple[int, ...], state: State) -> Bound:
        sizes = dict(zip(self.graph.symbols, values, strict=True))
        # Buffers made in inference mode could not be written outside it.
        with torch.inference_mode(False), torch.no_grad():
            return self._executable.bind(sizes, state)
