"""The door: what a program takes. Checks every input, binds the symbolic sizes, checks what depends on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from graphc import dims
from graphc.dims import Dim, Size
from graphc.errors import CompileError, InputError
from graphc.ir import Graph, Node
from graphc.ops import Placeholder
from graphc.types import Array, TensorType, dtype_name

__all__ = ["Guard", "Signature"]


@dataclass(frozen=True)
class Guard:
    """A size that must not be negative, and the node that needs it."""

    size: Size
    node: Node


@dataclass(frozen=True, eq=False)
class Signature:
    """Names and types of the inputs, and the guards on sizes."""

    names: tuple[str, ...]
    types: tuple[TensorType, ...]
    guards: tuple[Guard, ...]

    @staticmethod
    def of(graph: Graph) -> Signature:
        """The signature of a graph. Raises CompileError for a size that no input determines."""
        names = []
        for node in graph.inputs:
            assert isinstance(node.op, Placeholder), "compile checks its inputs"
            names.append(node.op.label)
        signature = Signature(tuple(names), tuple(node.type for node in graph.inputs), _guards(graph))
        known: set[str] = set()
        for size in _in_binding_order([size for type_ in signature.types for size in type_.shape]):
            known |= dims.symbols_of([size])
        missing = sorted(set(graph.symbols) - known)
        if missing:
            raise CompileError(
                f"compile: size {missing[0]!r} is not determined by any input; "
                f"pass the placeholder that has it in inputs=[...] (inputs are {', '.join(names) or 'none'})"
            )
        return signature

    def convert(self, position: int, value: object, device: torch.device) -> Array:
        """`value` as a plain strided tensor, without copying where possible. Raises InputError."""
        name = self.names[position]
        if not isinstance(value, torch.Tensor):
            if not hasattr(value, "__array__") and not hasattr(value, "__dlpack__"):
                raise InputError(
                    f"input {name!r} is a {type(value).__name__}; expected {self.types[position]}: "
                    "a torch tensor, or anything with __array__ or __dlpack__"
                )
            try:
                value = torch.as_tensor(value) if hasattr(value, "__array__") else torch.utils.dlpack.from_dlpack(value)
            except (TypeError, ValueError, RuntimeError) as error:
                raise InputError(f"input {name!r} cannot be read as a tensor: {error}") from None
        if value.layout is not torch.strided:
            raise InputError(f"input {name!r} is {value.layout}; graphc takes dense tensors. Use .to_dense()")
        if value.device != device:
            raise InputError(
                f"input {name!r} is on {value.device}, the program's state on {device}. Move one with .to(device)"
            )
        value = value.detach()
        return value if type(value) is torch.Tensor else value.as_subclass(torch.Tensor)

    def bind(self, arrays: Sequence[Array]) -> dict[str, int]:
        """Values of the symbolic sizes. Raises InputError for a dtype or size that does not fit."""
        claims: list[tuple[Size, int, int, int]] = []
        for position, (type_, array) in enumerate(zip(self.types, arrays, strict=True)):
            name = self.names[position]
            if array.dtype is not type_.dtype:
                raise InputError(
                    f"input {name!r} is {dtype_name(array.dtype)}, expected {type_}: nothing is cast silently. "
                    f"Convert it with .to({type_.dtype})"
                )
            if array.ndim != type_.ndim:
                raise InputError(f"input {name!r} has shape {list(array.shape)}, expected {type_}")
            claims.extend((size, array.shape[d], position, d) for d, size in enumerate(type_.shape))
        sizes: dict[str, int] = {}
        source: dict[str, str] = {}
        turn = {size: i for i, size in enumerate(_in_binding_order([size for size, *_ in claims]))}
        for size, actual, position, d in sorted(claims, key=lambda claim: turn[claim[0]]):
            name, type_ = self.names[position], self.types[position]
            if isinstance(size, Dim):
                unknown = size.symbols - sizes.keys()
                if unknown:
                    (symbol,) = unknown
                    solved = _solve(size, symbol, actual, sizes)
                    if solved is None:
                        raise InputError(
                            f"input {name!r} has size {actual} in dimension {d}, which is no value of {size} (in {type_})"
                        )
                    sizes[symbol] = solved
                    source[symbol] = name
            wanted = dims.evaluate(size, sizes)
            if wanted != actual:
                because = "".join(
                    f", and {symbol} is {sizes[symbol]} by input {source[symbol]!r}"
                    for symbol in sorted(dims.symbols_of([size]))
                )
                raise InputError(f"input {name!r} has size {actual} in dimension {d}, but {type_} says {size}{because}")
        self._check_guards(sizes)
        return sizes

    def _check_guards(self, sizes: Mapping[str, int]) -> None:
        for guard in self.guards:
            if dims.evaluate(guard.size, sizes) < 0:
                values = ", ".join(f"{name} = {sizes[name]}" for name in sorted(dims.symbols_of([guard.size])))
                where = guard.node.origin.location
                raise InputError(
                    f"{guard.node.op.name}{f' (built at {where})' if where else ''} needs {guard.size} >= 0, but {values}"
                )


def _guards(graph: Graph) -> tuple[Guard, ...]:
    found: dict[Size, Guard] = {}
    for node in graph.nodes:
        needed = node.op.guards(*(operand.type for operand in node.inputs))
        for size in (*node.type.shape, *needed):
            if not dims.non_negative(size):
                found.setdefault(size, Guard(size, node))
    return tuple(found.values())


def _in_binding_order(sizes: Sequence[Size]) -> list[Size]:
    """`sizes` such that each has at most one symbol that those before it do not determine; the hopeless are left out.

    A size determines its last unknown symbol when it is linear in it.
    """
    waiting = sorted(dict.fromkeys(sizes), key=lambda size: len(dims.symbols_of([size])))
    known: set[str] = set()
    order: list[Size] = []
    progress = True
    while waiting and progress:
        left: list[Size] = []
        for size in waiting:
            unknown = dims.symbols_of([size]) - known
            if not unknown or (len(unknown) == 1 and isinstance(size, Dim) and _is_linear(size, *unknown)):
                known |= unknown
                order.append(size)
            else:
                left.append(size)
        progress = len(left) < len(waiting)
        waiting = left
    return order


def _is_linear(size: Dim, symbol: str) -> bool:
    return all(power == 1 for monomial, _ in size.terms for name, power in monomial if name == symbol)


def _solve(size: Dim, symbol: str, actual: int, sizes: Mapping[str, int]) -> int | None:
    """The value of `symbol` that makes `size` equal `actual`, if there is one that is a size."""
    at_zero = size.evaluate({**sizes, symbol: 0})
    slope = size.evaluate({**sizes, symbol: 1}) - at_zero
    if slope == 0:
        return None
    value, rest = divmod(actual - at_zero, slope)
    return value if rest == 0 and value >= 0 else None
