"""A compiled program: what `compile` returns and users call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

from graphc.backends.by_device import ByDevice
from graphc.backends.c import NativePlan
from graphc.backends.executable import Executable
from graphc.backends.torch_plan import TorchExecutable
from graphc.ir import Graph
from graphc.memory import MemoryPlan
from graphc.runtime.form import Form
from graphc.runtime.history import History
from graphc.runtime.interrupt import DeferredInterrupt
from graphc.runtime.profile import Profile, profile
from graphc.runtime.progress import progress_bar
from graphc.runtime.report import explain, summarise
from graphc.runtime.runner import Runner
from graphc.runtime.stage import Stage
from graphc.runtime.training import Epoch, evaluate, fit
from graphc.schedule import KernelSchedule, Schedule
from graphc.state import State

__all__ = ["Program"]

_T = TypeVar("_T")


class Program(Runner):
    """A compiled graph: call it, `fit` it, read what was made of it."""

    def __init__(
        self,
        declared: Graph,
        graph: Graph,
        form: Form,
        backend: str,
        reason: str,
        executable: Executable,
        stages: Sequence[Stage],
        threads: int | None,
        training: bool,
        make_evaluation: Callable[[], Program],
    ) -> None:
        """`graph` is what passes have made of the `declared` one, which says what inputs and States have to fit.

        `reason` says why the backend is not a faster one, if there is a reason.
        """
        super().__init__(declared, graph, executable, threads)
        self.backend = backend
        self._reason = reason
        self.stages = tuple(stages)
        self.training = training
        self._form = form
        self._make_evaluation = make_evaluation

    # What a user reads.

    @property
    def source(self) -> str:
        """The generated code."""
        return self._executable.source

    @property
    def torch_plan(self) -> TorchExecutable | None:
        """The plan of torch calls: what runs, or what would run where native code cannot. None if there is neither."""
        executable = self._executable.other if isinstance(self._executable, ByDevice) else self._executable
        return executable if isinstance(executable, TorchExecutable) else None

    @property
    def schedule(self) -> Schedule | KernelSchedule | None:
        """The calls or kernels in order; None on the reference backend, which has no schedule."""
        return self._stage(Schedule) or self._stage(KernelSchedule)

    @property
    def memory(self) -> MemoryPlan | NativePlan | None:
        """Where every value lives; `memory.nbytes({"batch": 25})` is the scratch memory of a call."""
        return self._stage(MemoryPlan) or self._stage(NativePlan)

    def summary(self) -> str:
        """Inputs, outputs, mode, parameters, nodes by stage, calls, scratch memory and compile time, in a few lines."""
        return summarise(self, self.output_names, self.backend, self.training, self.stages)

    def explain(self) -> str:
        """Which rewrites fired, what was fused, packed and copied, and what fell back to evaluating itself."""
        return explain(self.backend, self._reason, self.stages)

    def profile(self, *inputs: object, state: State | None = None, seconds: float = 0.2) -> Profile:
        """How long each kernel of a step takes on `inputs`, against what its arithmetic and its bytes need at least.

        Steps are run for about `seconds` on a copy of `state`, which stays as it is. Native code only: raises
        CompileError for other backends, InputError and StateError as a call does.
        """
        state = self._checked(state)
        arrays = self.check_inputs(inputs, state)
        twin = state.copy()
        sizes = self._signature.bind(arrays)
        return profile(self._executable, sizes, twin, arrays, self._threads, seconds, lambda: self(*arrays, state=twin))

    def _stage(self, kind: type[_T]) -> _T | None:
        return next((stage.value for stage in self.stages if isinstance(stage.value, kind)), None)

    @property
    def output_names(self) -> tuple[str, ...]:
        return self._form.names

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
        depends on `seed` and the epoch only; dropout depends on `seed` and the steps that the State has seen.
        `validation` is a tuple like `data`, on which the outputs are evaluated after each epoch, without updates and
        dropout. `on_epoch` is called with an `Epoch`, which can set hyper-parameters and stop. `progress` shows a bar;
        None means if standard error is a terminal. Ctrl-C ends the run between two steps.
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
            validation=None if validation is None else (self.evaluation, validation),
            on_epoch=on_epoch,
            reporting=partial(progress_bar, show=progress),
        )

    def evaluate(self, *data: object, batch_size: int | None = None, state: State | None = None) -> dict[str, float]:
        """Means of the scalar outputs over `data`, weighted by samples, without updates; in one batch if None.

        Raises InputError and StateError.
        """
        return evaluate(self.evaluation, data, batch_size, self._checked(state))

    @cached_property
    def evaluation(self) -> Program:
        """The same outputs without updates and dropout, over the same State: what `fit` runs on validation data."""
        return self._make_evaluation() if self._updated or self.training else self
