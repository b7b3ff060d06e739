"""Many training runs at once: each as `fit` would do it alone, over all cores."""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import NoneType
from typing import Any, Generic, TypeVar, overload

import torch

from graphc.capacity import fits, left, written
from graphc.errors import InputError, StateError, SweepError, brief, type_name
from graphc.runtime.history import History
from graphc.runtime.interrupt import Cancelled, cancel_on, is_cancelled
from graphc.runtime.program import Program
from graphc.runtime.progress import Reporter, sweep_bar
from graphc.runtime.training import Epoch, check, check_hypers, count, fit
from graphc.state import State, Variable

__all__ = ["Outcome", "Run", "Sweep"]

INTERVAL = 0.1
"""Seconds between two looks at what the workers have done."""

TENSOR_BYTES = 700
"""What a small tensor takes besides its values."""

SHOWN_ERRORS = 3
"""How many failures a SweepError tells of."""

_T = TypeVar("_T")


class Run:
    """What one run of a Sweep does: what `program.fit` is given, and hyper-parameters of its own.

    It starts from a copy of `state`, or if None from `program.new_state(seed=seed)`, where all is as constructed. What
    the default State has become, by training, loading or setting, is not in that; `state=program.state` has it.
    Then the values of `hyper` are set: keys are names or handles, as in `{"lr": 0.1}` or `{optimizer.lr: 0.1}`.
    A Run is a description and may be done again. Raises InputError and StateError for what `fit` would refuse.
    """

    def __init__(
        self,
        program: Program,
        *data: object,
        batch_size: int,
        epochs: int,
        shuffle: bool = True,
        seed: int = 0,
        state: State | None = None,
        hyper: Mapping[str, float] | Mapping[Variable, float] | Mapping[str | Variable, float] | None = None,
        validation: Sequence[object] | None = None,
        on_epoch: Callable[[Epoch], object] | None = None,
    ) -> None:
        if not isinstance(program, Program):
            raise InputError(f"Run: program is a {type_name(program)}, not what graphc.compile returns")
        given = program._checked(state)
        self.program = program
        self.data = data
        self.batch_size = count("fit", "batch_size", batch_size, 1)
        self.epochs = count("fit", "epochs", epochs, 0)
        self.shuffle = shuffle
        self.seed = count("fit", "seed", seed, 0)
        self.state = state
        self.validation = validation
        self.on_epoch = on_epoch
        if not isinstance(hyper, (Mapping, NoneType)):
            raise StateError(f"hyper is a {type_name(hyper)}, not a mapping such as {{'lr': 0.1}}")
        self.hyper: dict[str | Variable, float] = dict(check_hypers(given, (hyper or {}).items()))
        arrays, _ = check(program, data, self.batch_size, given, self._held_out, shuffle, on_epoch)
        if state is None and self.seed >= 2**64:
            raise InputError(f"a seed of initial values is below 2⁶⁴; {self.seed} is not")
        parameters = sum(cell.value.numel() for cell in program.graph.cells)
        # How long it takes, in a unit that is the same for runs of similar programs.
        self._work = float(self.epochs * len(arrays[0]) * max(1, parameters))

    @property
    def _held_out(self) -> tuple[Program, Sequence[object]] | None:
        return None if self.validation is None else (self.program.evaluation, self.validation)

    @property
    def nbytes(self) -> int:
        """Memory that its Outcome takes, about: the State, and 32 bytes for a number in the History."""
        cells = self.program.state.cells
        values = sum(cell.value.numel() * cell.value.element_size() + TENSOR_BYTES for cell in cells)
        numbers = 1 + len(self.program.scalar_outputs) * (1 if self.validation is None else 2)
        return values + 32 * self.epochs * numbers

    def start(self) -> State:
        """The State from which it starts, a new one each time."""
        state = self.program.new_state(seed=self.seed) if self.state is None else self.state.copy()
        for key, value in self.hyper.items():
            state[key] = value
        return state

    def _fit(self, report: Reporter) -> Outcome:
        """Do it, in this thread."""
        state = self.start()
        history = fit(
            self.program,
            self.data,
            batch_size=self.batch_size,
            epochs=self.epochs,
            shuffle=self.shuffle,
            seed=self.seed,
            state=state,
            validation=self._held_out,
            on_epoch=self.on_epoch,
            reporting=lambda epochs: _as_context(report),
        )
        return Outcome(self, state, history)

    def __repr__(self) -> str:
        hyper = "".join(f", {getattr(key, 'name', key)}={value:g}" for key, value in self.hyper.items())
        return f"<run: seed {self.seed}, {self.epochs} epochs in batches of {self.batch_size}{hyper}>"


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run leaves behind."""

    run: Run
    state: State
    history: History


class Sweep(Generic[_T]):
    """Independent training runs, of one program or of several: ensembles, seeds, hyper-parameters, other data.

    `keep` makes of each Outcome what is kept of it, as soon as the run is done and in its thread; the State goes when
    `keep` does not return it. Without it, the Outcomes are kept. `results` has what is there, None for runs not done.

    Raises InputError for what are no Runs, and when all Outcomes need more memory than the machine has.
    """

    @overload
    def __init__(self: Sweep[Outcome], runs: Iterable[Run]) -> None: ...
    @overload
    def __init__(self, runs: Iterable[Run], keep: Callable[[Outcome], _T]) -> None: ...

    def __init__(self, runs: Iterable[Run], keep: Callable[[Outcome], Any] | None = None) -> None:
        if not isinstance(runs, Iterable):
            raise InputError(f"Sweep: runs is a {type_name(runs)}, not a list of graphc.Run")
        if keep is not None and not callable(keep):
            raise InputError(f"Sweep: keep is a {type_name(keep)}, which cannot be called")
        self.runs = tuple(runs)
        for number, run in enumerate(self.runs):
            if not isinstance(run, Run):
                raise InputError(f"Sweep: run {number} is a {type_name(run)}, not a graphc.Run")
        self._keep = keep
        self.results: list[_T | None] = [None] * len(self.runs)
        self._done = [False] * len(self.runs)
        self._busy = threading.Lock()
        if keep is None:
            _check_memory(self.runs)

    @property
    def done(self) -> int:
        """How many runs are done."""
        return sum(self._done)

    def fit(self, *, workers: int | None = None, progress: bool | None = None) -> list[_T]:
        """Do all runs that are not done yet; returns what is kept of each, in order.

        Each run gives what `fit` gives alone on one thread, or on as many as its program was compiled for (`threads=`),
        bit for bit, whatever the number of workers. `workers` runs go on at a time: as many as the process has cores,
        and one if a run is not native code on the CPU, since Python then has to lead every step. `progress` shows a
        bar; None means if standard error is a terminal.

        Ctrl-C raises KeyboardInterrupt; what is finished is kept, and another `fit` does the rest, each from its
        beginning. A run that fails lets the others go on; in the end SweepError says which failed and why.
        """
        if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 1):
            raise InputError(f"Sweep.fit: workers is an integer of 1 or more, not {brief(workers)}")
        if not self._busy.acquire(blocking=False):
            raise StateError("this Sweep is being done by another call of fit")
        try:
            # The longest first, so that none is left to one worker in the end; those of equal length in order.
            numbers = [number for number in range(len(self.runs)) if not self._done[number]]
            numbers.sort(key=lambda number: -self.runs[number]._work)
            if numbers:
                failed = self._work_through(numbers, min(workers or default_workers(self.runs), len(numbers)), progress)
                if failed:
                    raise _summary(failed, self.runs) from failed[min(failed)]
        finally:
            self._busy.release()
        return list(self.results)  # type: ignore[arg-type]  # all are done

    def _work_through(self, numbers: Sequence[int], count: int, progress: bool | None) -> dict[int, Exception]:
        """Do the runs of these numbers with `count` threads. Returns the errors of those that failed."""
        waiting, cancelled, failed = deque(numbers), threading.Event(), {}
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        account = _Account()

        def work() -> None:
            cancel_on(cancelled)
            problem: BaseException | None = None
            try:
                while waiting and not cancelled.is_set():
                    try:
                        number = waiting.popleft()
                    except IndexError:  # another worker took the last one
                        break
                    with account.running(number, self.runs[number]) as report:
                        try:
                            self._do(number, report)
                        except Exception as error:
                            failed[number] = error
            except Cancelled:
                pass
            except BaseException as error:
                problem = error
            ended.put(problem)

        before = torch.get_num_threads()
        threads = [threading.Thread(target=work, name=f"graphc-sweep-{k}", daemon=True) for k in range(count)]
        left = count
        with sweep_bar(len(numbers), sum(self.runs[number]._work for number in numbers), progress) as show:
            try:
                for thread in threads:
                    thread.start()
                while left:
                    try:
                        problem = ended.get(timeout=INTERVAL)
                        left -= 1
                        if problem is not None:
                            raise problem
                    except queue.Empty:
                        pass
                    if is_cancelled():  # this is a thread of another sweep
                        raise Cancelled
                    show(account.runs, account.work())
            finally:
                cancelled.set()
                try:
                    for thread in threads:
                        if thread.ident is not None:  # it was started
                            thread.join()
                finally:
                    torch.set_num_threads(before)  # also what threads that start later begin with
        return failed

    def _do(self, number: int, report: Reporter) -> None:
        run = self.runs[number]
        torch.set_num_threads(run.program.threads or 1)  # of this thread
        outcome = run._fit(report)
        self.results[number] = outcome if self._keep is None else self._keep(outcome)  # type: ignore[assignment]
        self._done[number] = True

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        return f"<sweep: {self.done} of {len(self.runs)} runs done>"


class _Account:
    """How far a sweep is: runs that are over, and the work of these and of those that go on."""

    def __init__(self) -> None:
        self.runs = 0
        self._over = 0.0
        self._going_on: dict[int, float] = {}
        self._lock = threading.Lock()

    @contextmanager
    def running(self, number: int, run: Run) -> Iterator[Reporter]:
        """For a run that goes on inside; its Reporter."""

        def report(epoch: int, metrics: Mapping[str, float]) -> None:
            self._going_on[number] = run._work * epoch / run.epochs

        yield report
        with self._lock:
            self.runs += 1
            self._over += run._work
            self._going_on.pop(number, None)

    def work(self) -> float:
        with self._lock:
            return self._over + sum(self._going_on.values())


@contextmanager
def _as_context(report: Reporter) -> Iterator[Reporter]:
    yield report


def default_workers(runs: Sequence[Run]) -> int:
    if any(run.program.backend != "c" or (run.state or run.program.state).device.type != "cpu" for run in runs):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // max(run.program.threads or 1 for run in runs))


def _check_memory(runs: Sequence[Run]) -> None:
    nbytes = sum(run.nbytes for run in runs)
    if not fits(nbytes):
        raise InputError(
            f"Sweep: what {len(runs):,} runs leave behind takes {written(nbytes)}, and {written(max(0, int(left())))} "
            "can be had. Say with keep= what to keep of each, such as "
            "keep=lambda outcome: outcome.history['loss'][-1], or make several sweeps"
        )


def _summary(failed: Mapping[int, Exception], runs: Sequence[Run]) -> SweepError:
    others = "; the others are done and kept in `results`" if len(failed) < len(runs) else ""
    lines = [f"{len(failed)} of {len(runs)} runs failed{others}"]
    for number in sorted(failed)[:SHOWN_ERRORS]:
        error = failed[number]
        lines.append(f"  run {number}, {runs[number]!r}: {type(error).__name__}: {error}")
    if len(failed) > SHOWN_ERRORS:
        lines.append("  …")
    return SweepError("\n".join(lines), dict(failed))
