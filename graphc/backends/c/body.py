"""What a kernel computes at each point, as expressions of loads: the ops' `at`, put into each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from graphc.dims import Size
from graphc.expr import Call, Cast, Expr, Index, Load, Reduce, Select, call, literal
from graphc.ir import Node, Output
from graphc.ir.lazy import lazy
from graphc.ops import Pack
from graphc.ops.contractions import Matmul
from graphc.ops.views import Cat, SlicePad
from graphc.schedule.kernels import Kernel, is_literal, is_view, source_of
from graphc.types import DType

__all__ = ["Body", "Part", "body_of", "guards", "loads_of"]


@dataclass(frozen=True)
class Part:
    """Elements of `value` over `space`, which go to `place` in the result."""

    space: tuple[Size, ...]
    indices: tuple[Index, ...]
    value: Expr
    place: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Body:
    """A kernel as expressions. A load whose source is a local node stands for that node's value at this point.

    `reduced` are the loop variables of the core with their sizes; `item` is what a reduction core joins, `factors` are
    the loads that a contraction core multiplies. `parts` are the pieces of an op that puts values side by side.
    """

    kernel: Kernel
    indices: tuple[Index, ...]
    reduced: tuple[tuple[Index, Size], ...] = ()
    combine: str = ""
    item: Expr | None = None
    factors: tuple[Load, Load] | None = None
    prologue: tuple[tuple[Node, Expr], ...] = ()
    nodes: tuple[tuple[Node, Expr], ...] = ()
    totals: tuple[tuple[Node, Expr], ...] = ()
    copies: tuple[tuple[Output, Expr], ...] = ()
    parts: tuple[Part, ...] = ()

    def expressions(self) -> Iterator[Expr]:
        for pairs in (self.prologue, self.nodes, self.totals, self.copies):
            yield from (expr for _, expr in pairs)
        if self.item is not None:
            yield self.item
        yield from self.factors or ()
        yield from (part.value for part in self.parts)

    @lazy
    def loads(self) -> tuple[Load, ...]:
        """The loads from memory."""
        found = dict.fromkeys(load for expr in self.expressions() for load in loads_of(expr))
        return tuple(load for load in found if load.source not in self.kernel.local)


def loads_of(expr: Expr) -> Iterator[Load]:
    stack = [expr]
    while stack:
        each = stack.pop()
        match each:
            case Load():
                yield each
                stack.extend(each.indices)
            case Call(args=args):
                stack.extend(args)
            case Select(condition=condition, then=then, otherwise=otherwise):
                stack.extend((condition, then, otherwise))
            case Cast(x=x) | Reduce(body=x):
                stack.append(x)


def guards(expr: Expr, local: frozenset[Node]) -> bool:
    """Whether a branch guards a load from memory, which vectors would do on all lanes."""
    match expr:
        case Select(condition=c, then=a, otherwise=b):
            guarded = any(load.source not in local for branch in (a, b) for load in loads_of(branch))
            return guarded or any(guards(each, local) for each in (c, a, b))
        case Call(args=args):
            return any(guards(each, local) for each in args)
        case Cast(x=x):
            return guards(x, local)
    return False


@dataclass(frozen=True, eq=False)
class _Ref:
    """An operand as the kernel sees it: a local value, memory, a literal, or a view of one of these."""

    node: Node
    kernel: Kernel

    @property
    def shape(self) -> tuple[Size, ...]:
        return self.node.type.shape

    @property
    def dtype(self) -> DType:
        return self.node.type.dtype

    def __getitem__(self, indices: tuple[Expr, ...]) -> Expr:
        node = self.node
        if node not in self.kernel.local:
            if is_literal(node):
                found = node.op.at(indices)
                assert found is not None, "literals are written into the code"
                return found
            if is_view(node) and source_of(node) is not node:
                found = node.op.at(indices, _Ref(node.inputs[0], self.kernel))
                assert found is not None, "views are generated as code"
                return found
        return Load(node, tuple(indices), node.type.dtype)


def body_of(kernel: Kernel) -> Body:
    """The expressions of a kernel. Every op in it has an `at`."""
    indices = tuple(Index(f"i{d}") for d in range(len(kernel.space)))

    def at(node: Node, place: Sequence[Expr]) -> Expr:
        found = node.op.at(tuple(place), *(_Ref(x, kernel) for x in node.inputs))
        assert found is not None, f"{node.op.name} is not generated as code"
        return found

    copies = tuple(
        (output, _Ref(output.node, kernel)[indices]) for output in kernel.writes if output.node not in kernel.local
    )
    if len(kernel.body) == 1 and isinstance(kernel.body[0].op, (Cat, SlicePad, Pack)):
        return Body(kernel, indices, copies=copies, parts=tuple(_parts(kernel.body[0], kernel)))
    nodes = tuple((node, at(node, indices)) for node in kernel.body)
    totals = tuple((node, _total(node, kernel, indices)) for node in kernel.totals)
    core = kernel.core
    if core is None:
        return Body(kernel, indices, nodes=nodes, totals=totals, copies=copies)
    result = at(core, indices)
    reduced: list[tuple[Index, Size]] = []
    combine = ""
    while isinstance(result, Reduce):
        reduced.append((Index(f"r{len(reduced)}"), result.size))
        combine = result.combine
        result = _renamed(result.body, result.index, reduced[-1][0])
    if isinstance(core.op, Matmul) and isinstance(result, Call) and all(isinstance(x, Load) for x in result.args):
        x, y = result.args
        assert isinstance(x, Load), "checked above"
        assert isinstance(y, Load), "checked above"
        return Body(kernel, indices, tuple(reduced), combine, result, (x, y), (), nodes, totals, copies)
    prologue: tuple[tuple[Node, Expr], ...] = ()
    if kernel.prologue:
        place = next(load.indices for load in loads_of(result) if load.source in kernel.local)
        prologue = tuple((node, at(node, place)) for node in kernel.prologue)
    return Body(kernel, indices, tuple(reduced), combine, result, None, prologue, nodes, totals, copies)


def _total(node: Node, kernel: Kernel, indices: tuple[Index, ...]) -> Expr:
    return _Ref(node.inputs[0], kernel)[indices]


def _parts(node: Node, kernel: Kernel) -> Iterable[Part]:
    def part(x: Node, place: Callable[[tuple[Index, ...]], tuple[Expr, ...]]) -> Part:
        own = tuple(Index(f"i{d}") for d in range(len(x.type.shape)))
        return Part(x.type.shape, own, _Ref(x, kernel)[own], place(own))

    match node.op:
        case Cat(dim=d):
            start: Size = 0
            for x in node.inputs:
                yield part(x, lambda i, s=start: (*i[:d], call("add", i[d], s), *i[d + 1 :]))  # type: ignore[misc]
                start = start + x.type.shape[d]
        case SlicePad(dim=d, start=first, step=step):
            zero = tuple(Index(f"i{d}") for d in range(len(node.type.shape)))
            yield Part(node.type.shape, zero, literal(0, node.type.dtype), zero)
            (x,) = node.inputs
            yield part(x, lambda i: (*i[:d], call("add", call("mul", i[d], step), first), *i[d + 1 :]))
        case Pack():
            start = 0
            for x in node.inputs:
                yield part(x, lambda i, x=x, s=start: (call("add", _flat(i, x.type.shape), s),))  # type: ignore[misc]
                start = start + x.type.numel


def _flat(i: tuple[Index, ...], shape: Sequence[Size]) -> Expr:
    flat: Expr = literal(0)
    for each, size in zip(i, shape, strict=True):
        flat = call("add", call("mul", flat, size), each)
    return flat


def _renamed(expr: Expr, old: Index, new: Index) -> Expr:
    """`expr` with another loop variable, so that equal kernels have equal text."""
    match expr:
        case Index():
            return new if expr == old else expr
        case Load(source=source, indices=indices, dtype=dtype):
            return Load(source, tuple(_renamed(x, old, new) for x in indices), dtype)
        case Call(function=function, args=args, dtype=dtype):
            return Call(function, tuple(_renamed(x, old, new) for x in args), dtype)
        case Select(condition=condition, then=then, otherwise=otherwise):
            return Select(*(_renamed(x, old, new) for x in (condition, then, otherwise)))
        case Cast(x=x, dtype=dtype):
            return Cast(_renamed(x, old, new), dtype)
        case Reduce(combine=combine, index=index, size=size, body=body):
            return Reduce(combine, index, size, _renamed(body, old, new))
    return expr
