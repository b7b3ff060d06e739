"""A compiled program: what `compile` returns and users call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from graphc.backends.by_device import ByDevice
from graphc.backends.c import NativePlan
from graphc.backends.executable import Executable
from graphc.backends.nancheck import CheckedExecutable
from graphc.backends.torch_plan import TorchExecutable
from graphc.errors import InputError, brief, explained, one_line
from graphc.ir import Graph
from graphc.ir.elsewhere import PROGRAMS_ELSEWHERE, missing
from graphc.ir.lazy import lazy
from graphc.memory import MemoryPlan
from graphc.runtime.checkpoint import copies, put, read_checkpoint, values_for, write_checkpoint
from graphc.runtime.form import Form
from graphc.runtime.history import History
from graphc.runtime.interrupt import DeferredInterrupt
from graphc.runtime.profile import Profile, profile
from graphc.runtime.progress import progress_bar
from graphc.runtime.report import explain, summarise
from graphc.runtime.resume import saver_for
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

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_") and "_make_evaluation" in vars(self):
            is_now = f" is {brief(getattr(self, name))} and" if name in ("backend", "training", "threads") else ""
            problem = f"a program is what it was compiled as: its {name!r}{is_now} cannot be set"
            raise AttributeError(f"{problem}; {_other(name)}")
        super().__setattr__(name, value)

    if not TYPE_CHECKING:  # type checkers report unknown attributes themselves

        def __getattr__(self, name: str) -> NoReturn:
            raise missing(f"{type(self).__name__!r} object", name, dir(type(self)), PROGRAMS_ELSEWHERE)

    # What a user reads.

    @property
    def source(self) -> str:
        """The generated code."""
        return self._executable.source

    @property
    def torch_plan(self) -> TorchExecutable | None:
        """The plan of torch calls: what runs, or what would run where native code cannot. None if there is neither."""
        executable = self._unchecked
        executable = executable.other if isinstance(executable, ByDevice) else executable
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
        return profile(self._unchecked, sizes, twin, arrays, self._threads, seconds, lambda: self(*arrays, state=twin))

    @property
    def nancheck(self) -> bool:
        """Whether each step is evaluated node by node first, and stops where NaN or infinity appears."""
        return isinstance(self._executable, CheckedExecutable)

    @property
    def _unchecked(self) -> Executable:
        return self._executable.inner if isinstance(self._executable, CheckedExecutable) else self._executable

    def _stage(self, kind: type[_T]) -> _T | None:
        return next((stage.value for stage in self.stages if isinstance(stage.value, kind)), None)

    @property
    def output_names(self) -> tuple[str, ...]:
        return self._form.names

    def __repr__(self) -> str:
        names, types = self._signature.names, self._signature.types
        inputs = ", ".join(f"{one_line(n)}: {t}" for n, t in zip(names, types, strict=True))
        outputs = ", ".join(map(one_line, self._form.names))
        updates = f", {len(self._updated)} updates" if self._updated else ""
        checked = ", nancheck" if self.nancheck else ""
        return f"<graphc program ({inputs}) -> {outputs}{updates}; {self.backend} backend{checked}>"

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

    @explained
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
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: float | None = None,
        resume: bool = False,
    ) -> History:
        """Run the program over `data`, batch by batch, `epochs` times; returns the means of each epoch.

        `data` has one tensor for each input, all of one length along the first size, which every input must share by
        name; the last batch of an epoch may be smaller. With `shuffle`, each epoch has an order of its own, which
        depends on `seed` and the epoch only; dropout depends on `seed` and the steps that the State has seen.
        `validation` is a tuple like `data`, on which the outputs are evaluated after each epoch, without updates and
        dropout. `on_epoch` is called with an `Epoch`, which can set hyper-parameters and stop. `progress` shows a bar;
        None means if standard error is a terminal. Ctrl-C ends the run between two steps.
        Outputs that are not scalars are computed but not recorded.

        `checkpoint` is a file that gets everything needed to go on: every `checkpoint_every` seconds (60 if None), on
        Ctrl-C (after `on_epoch`, if an epoch has just ended), and at the end. With `resume`, a run whose file is there
        goes on where it was, in the middle of an epoch too, and ends with the bits that it would have had; `epochs` may
        be larger than before. Raises InputError, StateError and CheckpointError.
        """
        state = self._checked(state)
        saving = None
        if checkpoint is not None:
            saving = partial(saver_for, checkpoint, checkpoint_every, resume, self.declared, state)
        elif resume:
            raise InputError("fit: resume=True goes on with the run of a file; name it with checkpoint=path")
        elif checkpoint_every is not None:
            raise InputError("fit: checkpoint_every says when a file is written; name it with checkpoint=path")
        return fit(
            self,
            data,
            batch_size=batch_size,
            epochs=epochs,
            shuffle=shuffle,
            seed=seed,
            state=state,
            validation=None if validation is None else (self.evaluation, validation),
            on_epoch=on_epoch,
            reporting=partial(progress_bar, show=progress),
            saving=saving,
        )

    @explained
    def save(self, path: str | os.PathLike[str], *, state: State | None = None) -> None:
        """Write the values of `state`, the default one if None, to a safetensors file: parameters under torch's names,
        and all else that training goes on from.

        The file is the new one or the old one, whatever happens, and on disk when this returns. Calls that would update
        the State wait while its values are copied. Raises CheckpointError, and StateError while another call updates
        the State.
        """
        state = self._checked(state)
        with state.resting(self.declared.cells):
            values = copies(self.declared.cells, state.read)
        write_checkpoint(path, values)

    @explained
    def load(self, path: str | os.PathLike[str], *, state: State | None = None, strict: bool = True) -> None:
        """Read what `save` or `fit(checkpoint=...)` wrote into `state`, the default one if None.

        A torch state dict that was saved as safetensors will do for a program without updates. What the program has no
        use for, such as the slots of an optimizer, is left; but with `strict`, values that are missing and parameters
        that the program does not have are errors, and without, a file that has nothing for the program. Nothing of the
        file is executed, and if it is refused the State is as it was. Raises CheckpointError, and StateError while
        another call updates the State.
        """
        state = self._checked(state)
        put(values_for(read_checkpoint(path), self.declared.cells, strict), state)

    @explained
    def evaluate(self, *data: object, batch_size: int | None = None, state: State | None = None) -> dict[str, float]:
        """Means of the scalar outputs over `data`, weighted by samples, without updates; in one batch if None.

        Raises InputError and StateError.
        """
        return evaluate(self.evaluation, data, batch_size, self._checked(state))

    @lazy
    def evaluation(self) -> Program:
        """The same outputs without updates and dropout, over the same State: what `fit` runs on validation data."""
        return self._make_evaluation() if self._updated or self.training else self


def _other(name: str) -> str:
    """What to do instead of setting an attribute of a program."""
    if name == "state":
        return "pass program(..., state=s) or program.fit(..., state=s)"
    return PROGRAMS_ELSEWHERE.get(name, f"compile another, with graphc.compile(..., {name}=...)")
