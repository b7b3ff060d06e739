"""What changes between calls: parameters, optimiser slots, hyper-parameters, and the States that hold their values."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self

import torch

from graphc.capacity import need
from graphc.dims import Size
from graphc.errors import StateError, SymbolicValueError, brief, one_line, type_name
from graphc.ir import Cell, Node, Role, Tensor, apply, complaint
from graphc.ir.elsewhere import missing
from graphc.ops import CellValue
from graphc.types import Array, TensorType, as_array, check_dtype, dtype_name

__all__ = ["Parameter", "State", "Variable", "missing_device"]

# What people reach for because dicts, modules or tensors have it, and what States do instead.
_ELSEWHERE = {
    **dict.fromkeys(("items", "values", "state_dict"), "copy what is needed: {name: state[name].clone() for name in "
                    "state}; net.state_dict() has the parameters"),
    **dict.fromkeys(("update", "setdefault"), "set one at a time: state[name] = value"),
    "get": "state[name] reads, and `name in state` says whether it is there",
    "load_state_dict": "use net.load_state_dict(values), or set one at a time: state[name] = value",
    "clone": "use state.copy()",
    "cpu": 'use state.to("cpu")',
    "cuda": 'use state.to("cuda")',
    "save": "programs write and read files: program.save(path, state=state)",
    "load": "programs write and read files: program.load(path, state=state)",
    "parameters": "they are the module's, net.parameters(); their values here are state[parameter]",
}  # fmt: skip

NO_VALUES = "meta"
"""The device where torch keeps shapes and no elements."""

# Of torch's tensors, and so of values: what a variable has not, but its value has.
_OF_VALUES = ("clone", "data", "detach", "device")


class Variable(Tensor):
    """A tensor whose value lives in a State and may be updated by a program.

    Its dtype may change until its node is taken into a graph (see `convert`), so only `node` counts as a use; reading
    the type, the name or the value does not.
    """

    __slots__ = ("_is_used", "_node", "cell")

    def __init__(
        self,
        value: object,
        *,
        name: str = "",
        role: Role = Role.SLOT,
        initial: Callable[[torch.Generator | None], Array] | None = None,
    ) -> None:
        """Start from a copy of `value`. `initial` draws what `new_state(seed=...)` starts from; None: `value`.

        It draws from the generator that it is given, and never from torch's, which all threads share:
        `Parameter(torch.randn(3), initial=lambda generator: torch.randn(3, generator=generator))`.
        """
        if isinstance(value, Tensor):
            problem = f"{type(self).__name__}: the value is {value!r}, and it has to be a tensor with values"
            raise StateError(f"{problem}, such as a torch tensor. A Parameter is a symbol itself: compute with it")
        given = _read(value, name or type(self).__name__)
        type_ = TensorType(tuple(given.shape), check_dtype(given.dtype))
        need(2 * given.numel() * given.itemsize, lambda: f"{name or 'a variable'}, {type_} with a copy to start from,")
        with torch.inference_mode(False):  # what is made in inference mode could not be updated outside it
            start = given.clone(memory_format=torch.contiguous_format).resolve_neg()
        first = start.clone()  # programs write into `start`
        draw = initial or (lambda generator: first.clone())
        cell = Cell(name, type_, role, start, draw)
        self.cell = cell
        self._node = apply(CellValue(cell)).node
        self._is_used = False

    @property
    def node(self) -> Node:  # type: ignore[override]  # nobody sets a variable's node
        self._is_used = True
        return self._node

    @property
    def is_used(self) -> bool:
        """Whether a graph or an optimizer has taken the variable, which fixes its dtype."""
        return self._is_used

    @property
    def name(self) -> str:
        return self.cell.name

    @property
    def type(self) -> TensorType:
        return self.cell.type

    @property
    def shape(self) -> tuple[Size, ...]:
        return self.cell.type.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.cell.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.cell.type.shape)

    @property
    def value(self) -> Array:
        """The live value in the default State, to be read, written into and set; its `.data` is its own.

        Read it when needed: a program's first call may move it.
        """
        return self.cell.value.detach()  # see State.__getitem__

    @value.setter
    def value(self, new: object) -> None:
        assign(self.cell, self.cell.value, new)

    def convert(self, dtype: torch.dtype) -> None:
        """Change the dtype of the value, and of fresh initial values: they are drawn as before, then converted.

        Raises StateError when the variable is used already.
        """
        if self._is_used:
            raise StateError(
                f"{self.name!r} is part of a graph or an optimizer already, as {dtype_name(self.dtype)}; "
                "convert it before its first use"
            )
        cell, draw = self.cell, self.cell.initial
        cell.type = TensorType(cell.type.shape, check_dtype(dtype))
        cell.value = cell.value.to(dtype)
        cell.initial = lambda generator: draw(generator).to(dtype)
        self._node = replace(self._node, type=cell.type)

    def __copy__(self) -> Self:
        return self  # as of any symbol: a second handle would be another key for the same cell

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """An independent variable that starts from the present value and is not used yet."""
        twin = type(self).__new__(type(self))
        Variable.__init__(twin, self.value, name=self.name, role=self.cell.role, initial=self.cell.initial)
        return twin

    def __reduce__(self) -> NoReturn:
        kind = type(self).__name__
        raise TypeError(
            f"a {kind} is not pickled, nor a module or an optimizer that has one, since loading a pickle runs code. "
            f"Values are written by program.save(path); net.state_dict() and {kind.lower()}.value have them"
        )

    def _no_value(self, what: str, alternative: str = "") -> NoReturn:
        there = f"its present value is {type(self).__name__.lower()}.value, a torch tensor"
        raise complaint(
            SymbolicValueError,
            what,
            f"{self!r} is a symbol, which stands for whatever value a State has",
            about=(self,),
            remedy=f"{there}; in a graph, for {alternative}" if alternative else there,
        )

    def __getattr__(self, name: str) -> NoReturn:
        in_place = name.endswith("_") and not name.startswith("_") and name != "requires_grad_"
        if name in _OF_VALUES or (in_place and hasattr(Array, name)):
            there = f"{type(self).__name__.lower()}.value"
            use = f"{there}, which may be set" if name == "data" else f"{there}.{name}"
            raise missing(repr(self), name, (), {name: f"a symbol has none, and its present value does: use {use}"})
        super().__getattr__(name)

    if not TYPE_CHECKING:  # type checkers report unknown attributes themselves

        def __setattr__(self, name: str, value: object) -> None:
            try:
                super().__setattr__(name, value)
            except AttributeError:
                if hasattr(type(self), name):
                    raise
            else:
                return
            self.__getattr__(name)  # says what there is instead

    def __hash__(self) -> int:
        return id(self.cell)

    def __repr__(self) -> str:
        return f"<{self.cell.role.value} {self.name!r} : {self.type}>"


class Parameter(Variable):
    """A trainable tensor."""

    __slots__ = ()

    def __init__(
        self, value: object, *, name: str = "", initial: Callable[[torch.Generator | None], Array] | None = None
    ) -> None:
        super().__init__(value, name=name, role=Role.PARAMETER, initial=initial)


def _read(value: object, name: str, dtype: torch.dtype | None = None) -> Array:
    """A value that is given for a cell, as a tensor. Raises StateError."""
    try:
        return as_array(value, dtype)
    except (BufferError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        problem = f"{brief(value)}, a {type_name(value)} that cannot be read as a tensor: {one_line(str(error))}"
        raise StateError(f"{name!r}: the value is {problem}. Give a number or a torch tensor") from None


def assign(cell: Cell, destination: Array, value: object) -> None:
    """Copy `value` into `destination`. Raises StateError when shape or dtype do not fit; Python numbers convert."""
    # A Python number takes the cell's dtype at once: by way of float32, 0.1 would not be the float64 that it is.
    source = _read(value, cell.name, None if hasattr(value, "dtype") else cell.type.dtype)
    if tuple(source.shape) != cell.type.shape:
        raise StateError(
            f"{cell.name!r} has shape {list(cell.type.shape)}; a value of shape {list(source.shape)} does not fit. "
            f"Give {'a value of that shape' if cell.type.shape else 'one number'}"
        )
    if source.dtype is not cell.type.dtype:
        raise StateError(
            f"{cell.name!r} is {dtype_name(cell.type.dtype)}; a value of {dtype_name(source.dtype)} does not fit. "
            f"Convert it with .to({cell.type.dtype})"
        )
    if source.is_meta and not destination.is_meta:
        raise StateError(f"{cell.name!r}: the value is on meta, where tensors have no elements")
    if source.untyped_storage().data_ptr() == destination.untyped_storage().data_ptr():
        source = source.clone()  # such as the value transposed, over which its own elements would be written
    destination.copy_(source)


def missing_device(device: object) -> tuple[str, str] | None:
    """What is wrong with `device` and what to do about it; None for one where torch has room for tensors."""
    try:
        there = torch.device(device)  # type: ignore[call-overload]  # whatever users give
    except (TypeError, RuntimeError):
        return f"device {brief(device)} does not exist", "Give one of torch's, such as 'cpu' or 'cuda'"
    try:
        torch.empty(0, device=there)
    except (AssertionError, RuntimeError, ImportError) as error:
        reason = one_line(str(error).strip().partition("\n")[0].rstrip("."))
        return f"device {str(there)!r} is not one of this torch's: {reason}", "Stay on 'cpu', or install a torch for it"
    return None


_default_busy: set[Cell] = set()
_busy_lock = threading.RLock()  # a signal handler that saves may come while its thread has the lock
if hasattr(os, "register_at_fork"):  # or the child might wait for ever for a thread of its parent
    os.register_at_fork(
        before=_busy_lock.acquire, after_in_parent=_busy_lock.release, after_in_child=_busy_lock.release
    )


class _Reservation:
    """What `State.updating` gives; a class and not a generator, since every updating call enters one."""

    __slots__ = ("_busy", "_cells")

    def __init__(self, busy: set[Cell], cells: frozenset[Cell]) -> None:
        self._busy = busy
        self._cells = cells

    def __enter__(self) -> None:
        with _busy_lock:
            if not self._busy.isdisjoint(self._cells):
                raise StateError(
                    "this State is being updated by another call. Give each concurrent training call a State of its "
                    "own (program.new_state())"
                )
            self._busy |= self._cells

    def __exit__(self, *error: object) -> None:
        with _busy_lock:
            self._busy -= self._cells


class State:
    """Values of cells, in torch's layout. Independent States over one program train independently.

    `state["lr"]` and `state[parameter]` read, `state["lr"] = 0.1` writes. A tensor that is read is live until a program
    is first called on the State, which may move values side by side: read it again, or copy it.
    The default State of a program has the parameters' own values; `program.new_state()` makes others.
    """

    moves: ClassVar[int] = 0
    """How often a value of any State was given another tensor: while it stays, tensors that were read are live."""

    def __init__(self, cells: Iterable[Cell], values: Mapping[Cell, Array] | None = None) -> None:
        """Values of `cells`: those of `values`, or the default ones (shared with every program) when None."""
        self.cells = tuple(cells)
        # A program runs where its parameters are, and random counters follow.
        leading = [cell for cell in self.cells if cell.role is not Role.RANDOM] or self.cells
        self._leader = leading[0] if leading else None
        self._values = None if values is None else dict(values)
        self._busy = _default_busy if values is None else set()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_") or name == "cells":  # of a State that is only being made
            raise AttributeError(name)
        if name in self:
            raise missing("State", name, (), {name: f"values are read as state[{name!r}]"})
        raise missing("State", name, dir(State), _ELSEWHERE)

    def __setattr__(self, name: str, value: object) -> None:
        if name not in ("cells", "_leader", "_values", "_busy"):
            problem = f"State: {name!r} is no attribute, and setting it would change no program"
            raise AttributeError(f"{problem}. Set a value with state[{name!r}] = {brief(value)}")
        super().__setattr__(name, value)

    @property
    def is_default(self) -> bool:
        return self._values is None

    @property
    def device(self) -> torch.device:
        """Where the values are, all on one device."""
        return torch.device("cpu") if self._leader is None else self.read(self._leader).device

    def read(self, cell: Cell) -> Array:
        """The live tensor of `cell`, for programs. Raises StateError when this State has no such cell."""
        if self._values is None:
            return cell.value
        try:
            return self._values[cell]
        except KeyError:
            raise StateError(
                f"this State has no value for {cell.role.value} {cell.name!r}: it was made for another program. "
                "Make it with new_state() of the program that updates"
            ) from None

    def place(self, cell: Cell, storage: Array) -> None:
        """Let `storage`, which has the cell's value already, be the cell's tensor from now on."""
        if self._values is None:
            cell.value = storage
        else:
            self._values[cell] = storage
        with _busy_lock:  # counting is a read and a write
            State.moves += 1  # last, so that whoever reads the old tensor meanwhile has the old count, too

    def __getitem__(self, key: str | Variable) -> Array:
        # Another tensor over the same memory: with requires_grad_() on the State's own, no program could write it.
        return self.read(self._find(key)).detach()

    def __setitem__(self, key: str | Variable, value: object) -> None:
        cell = self._find(key)
        assign(cell, self.read(cell), value)

    def __delitem__(self, key: str | Variable) -> NoReturn:
        raise TypeError(f"State: no item deletion, of {key!r}: a State has a value for each cell of its program")

    def keys(self) -> NoReturn:
        """A State is no mapping; `dict(state)` asks for this one."""
        raise TypeError(f"State: no keys(), since a State is no dict. Its names are list(state); {_ELSEWHERE['items']}")

    def __contains__(self, key: object) -> bool:
        return (isinstance(key, Variable) and key.cell in self.cells) or any(cell.name == key for cell in self.cells)

    def __iter__(self) -> Iterator[str]:
        return (cell.name for cell in self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        counts = {role: sum(cell.role is role for cell in self.cells) for role in Role}
        parts = ", ".join(f"{count} {role.value}{'s' if count > 1 else ''}" for role, count in counts.items() if count)
        return f"<{'default ' if self.is_default else ''}State: {parts or 'empty'}>"

    def copy(self) -> State:
        """An independent State with the same values."""
        with torch.inference_mode(False):
            return State(self.cells, {cell: self.read(cell).clone() for cell in self.cells})

    def __copy__(self) -> State:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, object]) -> State:
        return self.copy()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a State is not pickled, since loading a pickle runs code. program.save(path, state=state) writes its "
            "values, and program.load(path, state=state) reads them; {name: state[name] for name in state} are tensors"
        )

    def redrawn(self, seed: int) -> State:
        """An independent State with the initial values that construction after `torch.manual_seed(seed)` would give.

        Raises StateError for a seed that torch does not take.
        """
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**64:
            raise StateError(f"a seed is an integer from 0 to 2⁶⁴ - 1, not {brief(seed)}")
        values = {}
        generator = torch.Generator("cpu").manual_seed(seed)
        with torch.inference_mode(False), torch.no_grad():
            for cell in sorted(self.cells, key=lambda cell: cell.serial):
                fresh = torch.empty(self.read(cell).shape, dtype=cell.type.dtype, device=self.device)
                values[cell] = fresh.copy_(cell.initial(generator))
        return State(self.cells, values)

    def to(self, device: torch.device | str) -> State:
        """Move every value to `device`; programs run where their State is. Returns the State itself."""
        if found := missing_device(device):
            raise StateError(f"State.to: {found[0]}. {found[1]}")
        if torch.device(device).type == NO_VALUES:
            raise StateError("State.to: tensors on meta have no elements, and all values would be lost. Give 'cpu'")
        with torch.inference_mode(False):
            moved = [self.read(cell).to(device) for cell in self.cells]  # all or none: a device may be full
            for cell, value in zip(self.cells, moved, strict=True):
                self.place(cell, value)
        return self

    def updating(self, cells: frozenset[Cell]) -> AbstractContextManager[None]:
        """Reserve `cells` for one updating call. Raises StateError when another call is updating one of them."""
        return _Reservation(self._busy, cells)

    @contextmanager
    def resting(self, cells: Collection[Cell]) -> Iterator[None]:
        """Let updating calls wait while `cells` are copied. Raises StateError when one is updating them now."""
        with _busy_lock:
            if not self._busy.isdisjoint(cells):
                raise StateError(
                    "this State is being updated by another call. Save between two calls, such as in on_epoch, or let "
                    "fit write a checkpoint=path as it goes"
                )
            yield

    def _find(self, key: str | Variable) -> Cell:
        if isinstance(key, Variable):
            if key.cell not in self.cells:
                raise StateError(
                    f"this State has no value for {key.cell.role.value} {key.name!r}: it was made for another program. "
                    "Make it with new_state() of that one; the default value is variable.value"
                )
            return key.cell
        if not isinstance(key, str):
            problem = f"a State is read by the name of a cell, or by a handle such as optimizer.lr, not by {brief(key)}"
            raise StateError(problem)
        found = [cell for cell in self.cells if cell.name == key]
        if len(found) == 1:
            return found[0]
        if found:
            raise StateError(
                f"{len(found)} cells are called {key!r}; use a handle instead, such as state[optimizer.lr]"
            )
        names = ", ".join(repr(name) for name in dict.fromkeys(self))
        raise StateError(f"there is no cell called {key!r}; there are {names or 'none'}")
