"""The door: what a program takes. Checks every input, binds the symbolic sizes, checks what depends on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from graphc import dims
from graphc.capacity import LARGEST, written
from graphc.dims import Dim, Size
from graphc.errors import CompileError, InputError, MemoryLimitError, compose, one_line, type_name
from graphc.ir import Graph, Node, Tensor
from graphc.ir.lazy import lazy
from graphc.ops import Placeholder
from graphc.types import Array, TensorType, as_array

__all__ = ["Guard", "Signature"]


@dataclass(frozen=True)
class Guard:
    """A size that must not be negative, or a number of bytes that must not be too large, and the node that needs it."""

    size: Size
    node: Node


@dataclass(frozen=True, eq=False)
class Signature:
    """Names and types of the inputs, where they were declared, and the guards on sizes and on bytes."""

    names: tuple[str, ...]
    types: tuple[TensorType, ...]
    places: tuple[str, ...]
    guards: tuple[Guard, ...]
    volumes: tuple[Guard, ...]

    @staticmethod
    def of(graph: Graph) -> Signature:
        """The signature of a graph. Raises CompileError for a size that no input determines, or one too large."""
        names = []
        for node in graph.inputs:
            assert isinstance(node.op, Placeholder), "compile checks its inputs"
            names.append(node.op.label)
        types = tuple(node.type for node in graph.inputs)
        known = dims.symbols_of(_in_binding_order([size for type_ in types for size in type_.shape]))
        missing = sorted(set(graph.symbols) - known)
        if missing:
            raise CompileError(
                f"compile: size {missing[0]!r} is not determined by any input; "
                f"pass the placeholder that has it in inputs=[...] (inputs are {', '.join(names) or 'none'})"
            )
        places = tuple(node.origin.location for node in graph.inputs)
        return Signature(tuple(names), types, places, _guards(graph), _volumes(graph))

    def convert(self, position: int, value: object, device: torch.device) -> Array:
        """`value` as a plain strided tensor, without copying where possible. Raises InputError."""
        if isinstance(value, torch.Tensor):
            if value.layout is not torch.strided:
                raise self._mistake(position, f"is sparse, {value.layout}, expected a dense tensor", "Use .to_dense()")
        elif isinstance(value, Tensor) or not (hasattr(value, "__array__") or hasattr(value, "__dlpack__")):
            problem = f"is {type_name(value)}, expected {self.types[position]}"
            remedy = "Give a torch tensor, such as torch.tensor(value), or anything with __array__ or __dlpack__"
            raise self._mistake(position, problem, remedy)
        try:
            array = as_array(value)
        except (BufferError, TypeError, ValueError, RuntimeError) as error:
            kind = f"{type_name(value)} of dtype {value.dtype}" if hasattr(value, "dtype") else type_name(value)
            problem = (
                f"is {kind}, which cannot be read as a tensor, expected {self.types[position]}: {one_line(str(error))}"
            )
            remedy = f"It has to have numbers, in rows of one length. {_conversion(self.types[position].dtype)}"
            raise self._mistake(position, problem, remedy) from None
        if array.device != device:
            problem = f"is on {array.device}, the program's state on {device}"
            raise self._mistake(position, problem, "Move one with .to(device)")
        return array

    def _mistake(self, position: int, problem: str, remedy: str = "") -> InputError:
        text = f"input {self.names[position]!r} {problem}"
        if self.places[position]:
            text += f"; declared at {self.places[position]}"
        return InputError(f"{text}. {remedy}" if remedy else text)

    def bind(self, arrays: Sequence[Array]) -> dict[str, int]:
        """Values of the symbolic sizes for a call. Raises InputError for a dtype or size that does not fit."""
        sizes = self.sizes(arrays)
        self._check_guards(sizes)
        return sizes

    @lazy
    def _turn(self) -> dict[Size, int]:
        """When each size of the inputs binds its symbol."""
        order = _in_binding_order([size for type_ in self.types for size in type_.shape])
        return {size: i for i, size in enumerate(order)}

    def sizes(self, arrays: Sequence[Array]) -> dict[str, int]:
        """Values of the symbolic sizes, which the graph may be unable to take: data for many calls are larger."""
        claims: list[tuple[Size, int, int, int]] = []
        for position, (type_, array) in enumerate(zip(self.types, arrays, strict=True)):
            given = TensorType(tuple(array.shape), array.dtype)
            if given.dtype is not type_.dtype:
                problem = f"is {given}, expected {type_}: nothing is cast silently"
                raise self._mistake(position, problem, _conversion(type_.dtype))
            if given.ndim != type_.ndim:
                problem = f"is {given}, expected {type_}: {given.ndim} dimensions, not {type_.ndim}"
                raise self._mistake(position, problem, _reshaping(given, type_))
            claims.extend((size, array.shape[d], position, d) for d, size in enumerate(type_.shape))
        sizes: dict[str, int] = {}
        source: dict[str, str] = {}
        for size, actual, position, d in sorted(claims, key=lambda claim: self._turn[claim[0]]):
            found = f"has size {actual} in dimension {d}, expected {size} of {self.types[position]}"
            for symbol in dims.symbols_of([size]) - sizes.keys():
                solved = _solve(size, symbol, actual, sizes)
                if solved is None:
                    problem = f"{found}, and no {symbol} makes it so{_because(size, sizes, source)}"
                    raise self._mistake(position, problem, f"Give a size that is {size} of something")
                sizes[symbol] = solved
                source[symbol] = self.names[position]
            if dims.evaluate(size, sizes) != actual:
                because = _because(size, sizes, source)
                remedy = "Sizes of one name are the same in every input" if because else _IN_ORDER
                raise self._mistake(position, found + because, remedy)
        return sizes

    def _check_guards(self, sizes: Mapping[str, int]) -> None:
        for guard in self.guards:
            if dims.evaluate(guard.size, sizes) < 0:
                problem = f"needs {dims.at_least_zero(guard.size)}, but {_values([guard.size], sizes)}"
                remedy = "give another number of rows, in the last batch too, or slice otherwise"
                raise InputError(compose(guard.node.op.name, problem, where=guard.node.origin.location, remedy=remedy))
        for guard in self.volumes:
            if dims.evaluate(guard.size, sizes) > LARGEST:
                raise MemoryLimitError(_too_large(guard.node, f", where {_values(guard.node.type.shape, sizes)},"))


_IN_ORDER = "Inputs are given in the order of compile's, with the sizes that they were declared with"


def _conversion(dtype: torch.dtype) -> str:
    """How an input gets a dtype: torch's arrays one way, NumPy's and those of tables another."""
    name = str(dtype).removeprefix("torch.")
    return f"Convert it with .to({dtype}), or an array of NumPy with .astype({name!r})"


def _reshaping(given: TensorType, wanted: TensorType) -> str:
    """How an input gets as many dimensions as it was declared with."""
    if given.ndim == wanted.ndim - 1:
        at = 0 if given.ndim and not dims.same(wanted.shape[-1], 1) else -1
        return f"Add one of size 1 with .unsqueeze({at}), or declare it otherwise"
    ones = [d for d, size in enumerate(given.shape) if dims.same(size, 1)]
    if given.ndim == wanted.ndim + 1 and ones:
        return f"Drop the one of size 1 with .squeeze({ones[-1]}), or declare it otherwise"
    return "Use .reshape(...), or declare it otherwise"


def _guards(graph: Graph) -> tuple[Guard, ...]:
    found: dict[Size, Guard] = {}
    for node in graph.nodes:
        needed = node.op.guards(*(operand.type for operand in node.inputs))
        for size in (*node.type.shape, *needed):
            if not dims.non_negative(size):
                found.setdefault(size, Guard(size, node))
    return tuple(found.values())


def _volumes(graph: Graph) -> tuple[Guard, ...]:
    """The bytes of all nodes, each number once. Raises CompileError where they are known and too many."""
    found: dict[Size, Guard] = {}
    for node in graph.nodes:
        nbytes = node.type.nbytes
        if not isinstance(nbytes, int):
            found.setdefault(nbytes, Guard(nbytes, node))
        elif nbytes > LARGEST:
            raise CompileError(_too_large(node))
    return tuple(found.values())


def _too_large(node: Node, where: str = "") -> str:
    problem = f"{node.type}{where} has more than {written(LARGEST)}, which is more than any machine has"
    return compose(node.op.name, problem, where=node.origin.location, remedy="Take smaller sizes")


def _values(needed: Iterable[Size], sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {sizes[name]}" for name in sorted(dims.symbols_of(needed)))


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


def _because(size: Size, sizes: Mapping[str, int], source: Mapping[str, str]) -> str:
    known = [
        f"{name} is {sizes[name]} by input {source[name]!r}" for name in sorted(dims.symbols_of([size]) & sizes.keys())
    ]
    return "".join(f", where {text}" if i == 0 else f" and {text}" for i, text in enumerate(known))


def _solve(size: Size, symbol: str, actual: int, sizes: Mapping[str, int]) -> int | None:
    """The value of `symbol` that makes `size` equal `actual`, if there is just one and it is a size."""
    at_zero = dims.evaluate(size, {**sizes, symbol: 0})
    slope = dims.evaluate(size, {**sizes, symbol: 1}) - at_zero
    if slope == 0:
        return None
    value, rest = divmod(actual - at_zero, slope)
    return value if rest == 0 and value >= 0 else None
