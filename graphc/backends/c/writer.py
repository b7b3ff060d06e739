"""What every kernel's C function needs: parameters, addresses, loads and stores, loops, and sums over the space."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch

from graphc import dims
from graphc.backends.c.body import Body, guards, loads_of
from graphc.backends.c.layout import Buffer, address
from graphc.backends.c.plan import NativePlan
from graphc.backends.c.scalars import C_TYPES, Emitter, Value, has_vectors, size_text, vectorises
from graphc.dims import Dim, Size
from graphc.expr import Expr, Index, Load
from graphc.ir import Node, Output

__all__ = ["BLOCK", "WORTH_THREADS", "Function", "Lane", "Share", "Writer"]

BLOCK = 4096
"""Elements that are summed one after another; sums of blocks are added then, so that errors grow slowly."""

WORTH_THREADS = 1 << 20
"""Operations of a kernel from which on threads share it: about a tenth of a millisecond."""

NOMINAL = 32
"""What a symbolic size counts as when loops are chosen."""


@dataclass(frozen=True)
class Share:
    """How threads share a kernel: each takes the indices from `lo` to `hi` of a loop to `extent`, cut at multiples of
    `grain`; the sums in `totals` are added up afterwards. `work` counts operations.
    """

    extent: Size
    grain: int
    work: Size
    totals: tuple[Buffer, ...]


@dataclass(frozen=True)
class Function:
    """C text of a function, and what a call passes: symbols as `n{k}`, buffers, and `lo` and `hi` if it is shared."""

    parameters: str
    text: str
    symbols: tuple[int, ...]
    buffers: tuple[Buffer, ...]
    share: Share | None
    functions: frozenset[tuple[str, torch.dtype, int]]
    blocks: frozenset[str]
    types: frozenset[tuple[str, int]]
    strips: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Lane:
    """The dimension along vectors: its loop variable, and how many elements a vector has."""

    index: Index
    size: Size
    count: int


class Writer:
    """The text of one function, and what it turns out to need: parameters, functions of vectors, blocks, types."""

    def __init__(self, plan: NativePlan, work: Size) -> None:
        """`work` counts the operations of the kernel."""
        self.plan = plan
        self.work = work
        self._shared: tuple[Size, int] | None = None
        self._totals: list[Buffer] = []
        self.strips: dict[str, int] = {}
        self.symbols = plan.graph.symbols
        self.lines: list[str] = []
        self.indent = 1
        self.pointers: dict[Buffer, str] = {}
        self.written: set[Buffer] = set()
        self.functions: set[tuple[str, torch.dtype, int]] = set()
        self.blocks: set[str] = set()
        self.types: set[tuple[str, int]] = set()
        self.names = 0

    # What every kernel needs.

    def finish(self) -> Function:
        body = "\n".join(self.lines)
        used = tuple(k for k in range(len(self.symbols)) if f"n{k}" in _words(body))
        parameters = [f"long n{k}" for k in used]
        for buffer, name in self.pointers.items():
            const = "" if buffer in self.written else "const "
            parameters.append(f"{const}{C_TYPES[buffer.dtype]} *restrict {name}")
        share = None
        if self._shared is not None:
            parameters += ["long lo", "long hi"]
            share = Share(*self._shared, self.work, tuple(self._totals))
        return Function(
            ", ".join(parameters),
            body,
            used,
            tuple(self.pointers),
            share,
            frozenset(self.functions),
            frozenset(self.blocks),
            frozenset(self.types),
            tuple(self.strips.items()),
        )

    def say(self, text: str) -> None:
        if text.startswith("}"):
            self.indent -= 1
        self.lines.append("  " * self.indent + text)
        if text.endswith("{"):
            self.indent += 1

    @contextmanager
    def braces(self, head: str) -> Iterator[None]:
        self.say(f"{head} {{" if head else "{")
        yield
        self.say("}")

    def name(self) -> str:
        self.names += 1
        return f"t{self.names}"

    def pointer(self, buffer: Buffer, *, write: bool = False) -> str:
        if write:
            self.written.add(buffer)
        return self.pointers.setdefault(buffer, f"p{len(self.pointers)}")

    def size(self, size: Size) -> str:
        return size_text(size, self.symbols)

    def strip(self, element: str, count: int) -> None:
        """Let there be scratch memory for `count` elements, one for each thread."""
        self.strips[element] = max(count, self.strips.get(element, 0))

    def block(self, name: str) -> None:
        element, lanes = name.split()[1:3]
        self.types.add((element, int(lanes)))
        self.blocks.add(name)

    def sum_text(self, terms: Mapping[str, Size]) -> str:
        """An address as C."""
        parts = []
        for name, size in terms.items():
            if not name:
                parts.append(self.size(size))
            elif isinstance(size, int) and size == 1:
                parts.append(name)
            else:
                parts.append(f"{name} * {self.size(size)}")
        return " + ".join(parts) or "0"

    def buffer_of(self, load: Load) -> Buffer:
        assert isinstance(load.source, Node), "kernels load nodes"
        return self.plan.memory_of[load.source]

    def emitter(self, lane: Lane | None, partial: str = "") -> Emitter:
        """Writes expressions for one vector (one element without `lane`), of which `partial` lanes count if given."""
        lanes = 1 if lane is None else lane.count

        def load(each: Load) -> Value:
            return self.load(each, self.buffer_of(each), lane, partial, emitter)

        emitter = Emitter(lanes, self.symbols, load, self.say, self.functions, self.name)
        for element in ("f32", "f64", "i32", "i64"):
            self.types.add((element, lanes))
        return emitter

    def load(self, load: Load, buffer: Buffer, lane: Lane | None, partial: str, emitter: Emitter) -> Value:
        pointer, type_ = self.pointer(buffer), C_TYPES[buffer.dtype]
        terms = address(buffer.layout, load.indices)
        if terms is None:
            parts = [
                f"({emitter.value(index).text}) * {self.size(stride)}"
                for index, stride in zip(load.indices, buffer.layout.strides, strict=True)
            ]
            text = f"{pointer}[{' + '.join(parts)}]"
            return emitter.define(Value(f"-(i32)({text})", "m32") if buffer.dtype is torch.bool else Value(text, type_))
        step = 0 if lane is None else terms.get(lane.index.name, 0)
        place = self.sum_text(terms)
        if lane is None or dims.same(step, 0):
            return emitter.define(emitter.splat(f"{pointer}[{place}]", buffer.dtype))
        kind = f"{type_}x{lane.count}"
        if buffer.dtype is torch.bool:
            return self._load_truth(pointer, place, step, lane, partial, emitter)
        if dims.same(step, 1):
            if not partial or self.may_overrun(buffer, terms):
                self.block(f"load {type_} {lane.count}")
                return emitter.define(Value(f"load_{kind}({pointer} + {place})", type_))
            self.block(f"partial {type_} {lane.count}")
            return emitter.define(Value(f"loadn_{kind}({pointer} + {place}, {partial})", type_))
        self.block(f"gather {type_} {lane.count}")
        if partial:
            return emitter.define(Value(f"gathern_{kind}({pointer} + {place}, {self.size(step)}, {partial})", type_))
        return emitter.define(Value(f"gather_{kind}({pointer} + {place}, {self.size(step)})", type_))

    def _load_truth(self, pointer: str, place: str, step: Size, lane: Lane, partial: str, emitter: Emitter) -> Value:
        """Bytes as a mask."""
        name, lanes = self.name(), lane.count
        if dims.same(step, 1) and not partial:
            self.block(f"truth i32 {lanes}")
            return emitter.define(Value(f"load_truth_x{lanes}({pointer} + {place})", "m32"))
        self.say(f"i32x{lanes} {name} = {{0}};")
        limit = partial or str(lanes)
        at = f"{pointer}[{place} + l * {self.size(step)}]"
        self.say(f"for (long l = 0; l < {limit}; l++) {name}[l] = -(i32){at};")
        return Value(name, "m32")

    def may_overrun(self, buffer: Buffer, terms: Mapping[str, Size]) -> bool:
        """Whether a whole vector may be read where a row has fewer elements left."""
        return buffer.layout.padded and buffer.kind in ("slot", "packed")

    def store(self, buffer: Buffer, place: Sequence[Expr], value: Value, lane: Lane | None, partial: str) -> None:
        pointer, type_ = self.pointer(buffer, write=True), C_TYPES[buffer.dtype]
        terms = address(buffer.layout, place)
        assert terms is not None, "kernels store along straight lines"
        at = self.sum_text(terms)
        if lane is None:
            text = f"({value.text}) & 1" if value.type[0] == "m" else value.text
            self.say(f"{pointer}[{at}] = {text};")
            return
        step = terms.get(lane.index.name, 0)
        kind = f"{type_}x{lane.count}"
        if buffer.dtype is torch.bool:
            if dims.same(step, 1) and not partial:
                self.block(f"truth i32 {lane.count}")
                mask = value.text if value.type == "m32" else f"__builtin_convertvector({value.text}, i32x{lane.count})"
                self.say(f"store_truth_x{lane.count}({pointer} + {at}, {mask});")
                return
            limit = partial or str(lane.count)
            where = f"{pointer}[{at} + l * {self.size(step)}]"
            name = self.name()
            self.say(f"const {value.type.replace('m', 'i')}x{lane.count} {name} = {value.text};")
            self.say(f"for (long l = 0; l < {limit}; l++) {where} = {name}[l] & 1;")
            return
        if dims.same(step, 1):
            if not partial or self._ends_row(buffer, place, lane):
                self.block(f"load {type_} {lane.count}")
                self.say(f"store_{kind}({pointer} + {at}, {value.text});")
            else:
                self.block(f"partial {type_} {lane.count}")
                self.say(f"storen_{kind}({pointer} + {at}, {value.text}, {partial});")
            return
        self.block(f"gather {type_} {lane.count}")
        self.say(f"scattern_{kind}({pointer} + {at}, {self.size(step)}, {value.text}, {partial or lane.count});")

    def _ends_row(self, buffer: Buffer, place: Sequence[Expr], lane: Lane) -> bool:
        """Whether nothing but padding follows the last elements along the lanes."""
        if not buffer.layout.padded or not all(isinstance(each, Index) for each in place):
            return False
        return any(each == lane.index and dims.same(lane.size, size) for each, size in zip(place, buffer.shape))

    # Loops.

    def share(self, extent: Size, grain: int = 1) -> tuple[str, str]:
        """Where the outermost loop starts and ends: threads share it if there may be work for them."""
        if isinstance(self.work, int) and self.work < WORTH_THREADS:
            return "0", self.size(extent)
        self._shared = extent, grain
        return "lo", "hi"

    @contextmanager
    def loops(self, pairs: Sequence[tuple[Index, Size]], shared: bool = False) -> Iterator[None]:
        """Nested loops, of which threads share the first if `shared`."""
        for depth, (index, size) in enumerate(pairs):
            start, end = self.share(size) if shared and not depth else ("0", self.size(size))
            self.say(f"for (long {index} = {start}; {index} < {end}; {index}++) {{")
        yield
        for _ in pairs:
            self.say("}")

    def along(
        self, lane: Lane, whole: bool, point: Callable[[str], None], between: tuple[str, str] | None = None
    ) -> None:
        """The loop over vectors. `point` writes the statements for one, given how many of its lanes count.

        `whole`: the vector that is not full is like the others. `between` are the start and the end if not all of it.
        """
        i, n, count = lane.index.name, lane.size, lane.count
        if isinstance(n, Dim) or between is not None:
            start, end = between or ("0", self.size(n))
            if whole:
                with self.braces(f"for (long {i} = {start}; {i} < {end}; {i} += {count})"):
                    point("")
                return
            self.say(f"long {i} = {start};")
            with self.braces(f"for (; {i} + {count} <= {end}; {i} += {count})"):
                point("")
            with self.braces(f"if ({i} < {end})"):
                rest = self.name()
                self.say(f"const long {rest} = {end} - {i};")
                point(rest)
            return
        full, rest_count = n // count * count, n % count
        if whole:
            full, rest_count = -(-n // count) * count, 0
        if full == count:
            with self.braces(""):
                self.say(f"const long {i} = 0;")
                point("")
        elif full:
            with self.braces(f"for (long {i} = 0; {i} < {full}; {i} += {count})"):
                point("")
        if rest_count:
            with self.braces(""):
                self.say(f"const long {i} = {full};")
                point(str(rest_count))

    def whole(self, body: Body, lane: Lane, stores: Sequence[tuple[Buffer, Sequence[Expr]]]) -> bool:
        """Whether a last vector that is not full may be computed as if it were: everything it touches has padding."""
        if body.totals:
            return False
        for load in body.loads:
            if load in (body.factors or ()):
                continue
            terms = address(self.buffer_of(load).layout, load.indices) or {}
            step = terms.get(lane.index.name, 0)
            if not dims.same(step, 0):
                if not dims.same(step, 1) or not self.may_overrun(self.buffer_of(load), terms):
                    return False
                if self.buffer_of(load).dtype is torch.bool:
                    return False
        for buffer, place in stores:
            step = (address(buffer.layout, place) or {}).get(lane.index.name, 0)
            if not dims.same(step, 1) or not buffer.layout.padded or buffer.dtype is torch.bool:
                return False
        return True

    def stores_of(self, body: Body) -> list[tuple[Buffer, Node | Output]]:
        """The buffers that the kernel writes, each with whose value it gets."""
        kernel = body.kernel
        result: list[tuple[Buffer, Node | Output]] = [
            (self.plan.memory_of[node], node) for node in kernel.stores if node not in kernel.totals
        ]
        for output in kernel.writes:
            owner: Node | Output = output.node if output.node in kernel.local else output
            if owner not in kernel.totals:
                result.append((self.target(output), owner))
        return result

    def target(self, output: Output) -> Buffer:
        if output.cell is None or output in self.plan.memory_of:
            return self.plan.memory_of[output]
        return self.plan.memory_of[output.cell]

    def lane_for(
        self,
        body: Body,
        exprs: Sequence[Expr],
        candidates: Sequence[tuple[Index, Size]],
        stores: Sequence[tuple[Buffer, Sequence[Expr]]],
    ) -> Lane | None:
        """The dimension along which most is contiguous, or None if elements one by one cost less."""
        local = body.kernel.local
        if not all(vectorises(expr) and not guards(expr, local) for expr in exprs):
            return None
        dtypes = {each.dtype for each in exprs} | {load.dtype for e in exprs for load in loads_of(e)}
        dtypes |= {buffer.dtype for buffer, _ in stores}
        if not all(map(has_vectors, dtypes)):
            return None
        count = self.lanes(dtypes)
        accesses = [
            address(self.buffer_of(load).layout, load.indices)
            for expr in exprs
            for load in loads_of(expr)
            if load.source not in local
        ]
        accesses += [address(buffer.layout, place) for buffer, place in stores]
        if any(terms is None for terms in accesses):
            return None
        # A vector operation for each intrinsic, a load for each vector, or for each element where they lie apart.
        work = 2 * len(exprs) + len(accesses)
        best, least = None, float(work)
        for index, size in candidates:
            n = size if isinstance(size, int) else NOMINAL
            if not n:
                continue
            steps = [(terms or {}).get(index.name, 0) for terms in accesses]
            apart = sum(not dims.same(step, 0) and not dims.same(step, 1) for step in steps)
            cost = (math.ceil(n / count) * (work - apart) + apart * n) / n
            if cost < least:
                best, least = Lane(index, size, count), cost
        return best

    def lanes(self, dtypes: set[torch.dtype]) -> int:
        """Elements of a vector: as many as the narrowest numbers fill."""
        numbers = [dtype.itemsize for dtype in dtypes if dtype is not torch.bool]
        return self.plan.vector_bytes // min(numbers, default=4)

    def epilogue(
        self,
        body: Body,
        emitter: Emitter,
        stores: Sequence[tuple[Buffer, Node | Output]],
        sums: Mapping[Node, str],
        lane: Lane | None,
        partial: str,
    ) -> None:
        """The statements at one point: the nodes of the body, what is stored, and what is added to sums."""
        values: dict[Node | Output, Value] = {}
        core = body.kernel.core
        if core is not None:
            values[core] = emitter.value(Load(core, body.indices, core.type.dtype))
        for node, expr in body.nodes:
            values[node] = emitter.value(expr)
            emitter.bind(Load(node, body.indices, node.type.dtype), values[node])
        for output, expr in body.copies:
            values[output] = emitter.value(expr)
        for buffer, owner in stores:
            self.store(buffer, body.indices, values[owner], lane, partial)
        for node, expr in body.totals:
            item = emitter.value(expr).text
            if partial and lane is not None:
                item = self.first(item, partial, lane.count, expr.dtype)
            self.say(f"{sums[node]}_part += {item};")

    def first(self, text: str, partial: str, lanes: int, dtype: torch.dtype, other: str = "0") -> str:
        """A vector of which only the first lanes count."""
        type_ = C_TYPES[dtype]
        self.block(f"iota {type_} {lanes}")
        self.functions.add(("select", dtype, lanes))
        kind, bits = f"{type_}x{lanes}", type_[1:]
        limit = f"({kind.replace('f', 'i')}){{{', '.join([f'(i{bits}){partial}'] * lanes)}}}"
        return f"select_{kind}(iota_{kind} < {limit}, {text}, splat_{kind}({other}))"

    def open_totals(self, body: Body, lane: Lane | None) -> dict[Node, str]:
        sums = {node: self.name() for node, _ in body.totals}
        for name, kind in self.kinds(sums, lane).items():
            self.say(f"{kind} {name} = {{0}};")
        return sums

    def points(
        self,
        space: Sequence[tuple[Index, Size]],
        lane: Lane | None,
        whole: bool,
        sums: Mapping[Node, str],
        point: Callable[[str], None],
    ) -> None:
        """Loops over a space, which threads may share. Long loops over vectors are summed block by block."""
        kinds = self.kinds(sums, lane)
        if lane is None:
            with self.adding(space, kinds, shared=not sums) as into, self.parts(kinds, into):
                point("")
            return
        outer = [pair for pair in space if pair[0] != lane.index]
        with self.adding(outer, kinds, shared=True) as into:
            between = None if outer else self.share(lane.size, BLOCK)
            if not outer and between == ("0", self.size(lane.size)):
                between = None
            with self.pieces(lane, between) if sums else nullcontext(between) as piece, self.parts(kinds, into):
                self.along(lane, whole, point, piece)

    def kinds(self, sums: Mapping[Node, str], lane: Lane | None) -> dict[str, str]:
        """The names of sums, with their C types. One element after another is added up in double precision."""
        if lane is None:
            return {name: f"{C_TYPES[_precise(node.type.dtype)]}x1" for node, name in sums.items()}
        return {name: f"{C_TYPES[node.type.dtype]}x{lane.count}" for node, name in sums.items()}

    @contextmanager
    def parts(self, kinds: Mapping[str, str], into: str = "") -> Iterator[None]:
        """Sums of their own for what is inside, which are added to those with the suffix `into`."""
        for name, kind in kinds.items():
            self.say(f"{kind} {name}_part = {{0}};")
        with self.braces(""):
            yield
        for name in kinds:
            self.say(f"{name}{into} += {name}_part;")

    @contextmanager
    def pieces(self, lane: Lane, between: tuple[str, str] | None = None) -> Iterator[tuple[str, str] | None]:
        """Start and end of a loop over vectors that something is summed in, piece by piece if it is long."""
        if isinstance(lane.size, int) and lane.size <= BLOCK:
            yield between
            return
        start, end = between or ("0", self.size(lane.size))
        with self.stretches(lane.index.name, start, end, BLOCK) as piece:
            yield piece

    @contextmanager
    def stretches(self, i: str, start: str, end: str, step: int) -> Iterator[tuple[str, str]]:
        """A loop over stretches of `step` indices, and the names of where each starts and ends."""
        low, high = f"{i}_low", f"{i}_high"
        with self.braces(f"for (long {low} = {start}; {low} < {end}; {low} += {step})"):
            self.say(f"const long {high} = {end} - {low} < {step} ? {end} : {low} + {step};")
            yield low, high

    @contextmanager
    def adding(
        self, pairs: Sequence[tuple[Index, Size]], kinds: Mapping[str, str], shared: bool = False, into: str = ""
    ) -> Iterator[str]:
        """Nested loops in which something is added to sums, of which threads share the first if `shared`.

        After some BLOCK additions there are new sums, which are added to the others at the end. Gives the suffix of the
        names of those to add to.
        """
        if not kinds or not pairs:
            with self.loops(pairs, shared):
                yield into
            return
        (index, size), *rest = pairs
        start, end = self.share(size) if shared else ("0", self.size(size))
        each = math.prod(size for _, size in rest if isinstance(size, int))  # others are long, with sums of their own
        step = max(1, BLOCK // max(1, each))
        if isinstance(size, int) and size <= step:
            head = f"for (long {index} = {start}; {index} < {end}; {index}++)"
            with self.braces(head), self.adding(rest, kinds, into=into) as inner:
                yield inner
            return
        with self.stretches(index.name, start, end, step) as (low, high), self.block_sums(kinds, into) as block:
            head = f"for (long {index} = {low}; {index} < {high}; {index}++)"
            with self.braces(head), self.adding(rest, kinds, into=block) as inner:
                yield inner

    @contextmanager
    def block_sums(self, kinds: Mapping[str, str], into: str = "") -> Iterator[str]:
        """New sums with another suffix, which are added to those with the suffix `into` at the end."""
        block = f"{into}_block"
        for name, kind in kinds.items():
            self.say(f"{kind} {name}{block} = {{0}};")
        yield block
        for name in kinds:
            self.say(f"{name}{into} += {name}{block};")

    def close_totals(self, body: Body, sums: Mapping[Node, str], lane: Lane | None) -> None:
        kernel = body.kernel
        for node, name in sums.items():
            text = name
            if lane is not None:
                kind = f"{C_TYPES[node.type.dtype]} {lane.count}"
                self.block(f"hsum {kind}")
                text = f"hsum_{kind.replace(' ', 'x')}({name})"
            total = self.name()
            self.say(f"const {C_TYPES[node.type.dtype]} {total} = {text};")
            targets = [self.plan.memory_of[node]] if node in kernel.stores else []
            targets += [self.target(output) for output in kernel.writes if output.node is node]
            self._totals += targets
            for buffer in targets:
                self.say(f"{self.pointer(buffer, write=True)}[0] = {total};")


def _precise(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype is torch.float32 else dtype


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))
