"""Binding native code: the library, run with the sizes, the State and a workspace of its own."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from graphc import dims
from graphc.backends.binding import Binding, need_for_call
from graphc.backends.c.build import load
from graphc.backends.c.loop import NativeLoop, scalar_types, shuffled_bytes
from graphc.backends.c.plan import NativePlan
from graphc.backends.c.source import NativeSource
from graphc.backends.c.torch_functions import link, share_count
from graphc.backends.executable import Position
from graphc.capacity import need
from graphc.errors import InputError, StateError
from graphc.ir import Node
from graphc.ir.lazy import lazy
from graphc.state import State
from graphc.types import Array, TensorType

__all__ = ["NativeExecutable"]


class _NativeBound(Binding):
    """A table of pointers, and the function that runs on it."""

    __slots__ = ("_memory", "_pointers", "nbytes", "run", "table")

    threads = None  # kernels that are worth it share all there are

    def __init__(self, executable: NativeExecutable, sizes: Sequence[Mapping[str, int]], state: State) -> None:
        """Room for a step with any of `sizes`; `run` takes the first of them.

        Raises StateError for a State that is not on the CPU.
        """
        if state.device.type != "cpu":
            raise StateError(
                f"native code runs on the CPU, and the State is on {state.device}. Compile for 'auto' or 'torch'"
            )
        plan, graph = executable.plan, executable.plan.graph
        moves = state.moves
        for cell in graph.cells:
            if not state.read(cell).is_contiguous():
                state.place(cell, state.read(cell).contiguous())
        values = tuple(state.read(cell) for cell in graph.cells)
        super().__init__(graph.cells, values, {output.cell for output in graph.outputs}, moves)
        slots = [max(each) for each in zip(*(plan.slot_sizes(each) for each in sizes))]
        self.nbytes = sum(slots)
        need_for_call(self.nbytes + plan.given_bytes(sizes[0]), plan.held, sizes[0])
        self._memory = torch.zeros(self.nbytes + 64, dtype=torch.uint8, device="cpu")
        starts = [-(-self._memory.data_ptr() // 64) * 64]
        for size in slots:
            starts.append(starts[-1] + size)
        self._pointers = list(map(torch.Tensor.data_ptr, values))
        self.table = (ctypes.c_void_p * max(1, len(plan.buffers)))()
        for buffer, slot in plan.slot_of.items():
            self.table[buffer.index] = starts[slot]
        for cell, value in zip(graph.cells, values):
            self.table[plan.home_of[cell].index] = value.data_ptr()
        for index, constant in executable.constants:
            self.table[index] = constant.data_ptr()
        numbers = (ctypes.c_long * (len(graph.symbols) + 1))(*[sizes[0][name] for name in graph.symbols], 1)
        self.run = _runner(executable.library, plan, sizes[0], self.table, numbers)

    def is_current(self, state: State) -> bool:
        """Also false when a tensor has got other memory in place, as `share_memory_` gives it."""
        return super().is_current(state) and list(map(torch.Tensor.data_ptr, self._values)) == self._pointers


@dataclass(frozen=True, eq=False)
class NativeExecutable:
    """A native plan with its C source and its library."""

    plan: NativePlan
    code: NativeSource

    @property
    def source(self) -> str:
        return self.code.text

    def build(self) -> str:
        """Compile, or find in the cache. Returns where the library is. Raises CompileError."""
        return str(self.library._name)

    @lazy
    def library(self) -> ctypes.CDLL:
        """Its functions are read as `library[name]`: see `build.Library`."""
        library = load(self.code.text, "step")
        link(library)
        return library

    @lazy
    def constants(self) -> list[tuple[int, Array]]:
        """Tensors that the graph has in it, with the index of their buffer."""
        return [
            (buffer.index, buffer.owner.op.eval().cpu().contiguous())
            for buffer in self.plan.buffers
            if buffer.kind == "constant" and isinstance(buffer.owner, Node)
        ]

    def bind(self, sizes: Mapping[str, int], state: State) -> _NativeBound:
        return _NativeBound(self, [sizes], state)

    def loop(
        self,
        sizes: Sequence[Mapping[str, int]],
        state: State,
        data: Sequence[Array],
        batch: int,
        epochs: int,
        start: Position,
        shuffle: tuple[int, int] | None,
    ) -> NativeLoop | None:
        """See `Executable.loop`. None when an output has a dtype that native code does not add up."""
        outputs = [output.node.type for output in self.plan.graph.outputs if output.cell is None]
        if any(type_.dtype not in scalar_types for type_ in outputs if not type_.shape):
            return None
        bound = _NativeBound(self, sizes, state)
        copied = sum(array.nbytes for array in data if _is_apart(array))
        tables = shuffled_bytes(data, batch) if shuffle else 0
        need(copied + tables + bound.nbytes, lambda: f"a run over {len(data[0])} samples, in batches of {batch},")
        plain = list(map(_plain, data))
        return NativeLoop(self.library, self.plan, bound, sizes, plain, batch, epochs, start, shuffle)


def _runner(
    library: ctypes.CDLL, plan: NativePlan, sizes: Mapping[str, int], table: Any, numbers: Any
) -> Callable[..., Sequence[Array]]:
    """The function that sets pointers to inputs and outputs and runs a step."""
    call = library["graphc_call"]
    call.argtypes, call.restype = (ctypes.c_void_p, ctypes.c_void_p), None
    inputs = [(plan.memory_of[node].index, node.type.dtype.itemsize - 1) for node in plan.graph.inputs]
    outputs = [
        (
            plan.memory_of[output].index,
            [dims.evaluate(s, sizes) for s in output.node.type.shape],
            output.node.type.dtype,
        )
        for output in plan.graph.outputs
        if output.cell is None
    ]
    address_of_table, address_of_numbers = ctypes.addressof(table), ctypes.addressof(numbers)

    def run(*arrays: Array) -> Sequence[Array]:
        held = [numbers]
        for (index, unaligned), array in zip(inputs, arrays):
            address = array.data_ptr()
            if not address or address & unaligned or not array.is_contiguous() or array.is_neg():
                array = _plain(array)
                held.append(array)
                address = array.data_ptr()
            table[index] = address
        results = []
        for index, shape, dtype in outputs:
            result = torch.empty(shape, dtype=dtype, device="cpu")
            table[index] = result.data_ptr()
            results.append(result)
        numbers[-1] = share_count()
        call(address_of_numbers, address_of_table)
        return results

    return run


def _is_apart(array: Array) -> bool:
    """Whether the elements do not lie one after another, or have another sign in memory."""
    return not array.is_contiguous() or array.is_neg()


def _plain(array: Array) -> Array:
    """The elements of `array` one after another, as native code reads them, each at a multiple of its size.

    Raises InputError where there are none, as in a tensor whose storage was resized.
    """
    if _is_apart(array):
        need(array.nbytes, lambda: f"an input, {TensorType(tuple(array.shape), array.dtype)}, row by row,")
        array = array.resolve_neg().contiguous()
    elif array.data_ptr() % array.itemsize or array._is_zerotensor():
        array = array.clone()
    if array.numel() and not array.data_ptr():
        raise InputError(f"an input, {TensorType(tuple(array.shape), array.dtype)}, has no memory")
    return array
