"""Products: tiles in registers, inner products along the lanes, or BLAS, each with what is made of the result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from graphc import dims
from graphc.backends.c.blocks import tile_vectors
from graphc.backends.c.layout import Buffer, address
from graphc.backends.c.plan import Contraction, Task
from graphc.backends.c.scalars import C_TYPES, Value
from graphc.backends.c.writer import Lane, Writer
from graphc.dims import Size
from graphc.expr import Index, Load
from graphc.ir import Node, Output

__all__ = ["write_blas", "write_contraction"]

CHUNK = 30
"""Rows of a product that are computed before what is made of them."""

DEEP = 256
"""Terms of a large product that are summed before the next piece of its factors is read."""


def write_contraction(w: Writer, task: Task, contraction: Contraction) -> None:
    body = task.body
    core = body.kernel.core
    assert core is not None, "a contraction has a core"
    assert body.factors is not None, "a contraction has factors"
    sizes = dict(zip(body.indices, body.kernel.space, strict=True))
    lane = Lane(contraction.lane, sizes[contraction.lane], w.plan.vector_bytes // core.type.dtype.itemsize)
    (inner, depth), *_ = body.reduced
    x, y = body.factors
    a, b = (x, y) if contraction.lane == body.indices[-1] else (y, x)
    w.functions.add(("fma", core.type.dtype, lane.count))
    sums = w.open_totals(body, lane)
    product = _Product(
        task, core, a, b, contraction.row, sizes[contraction.row], lane, inner, depth, sums, w.stores_of(body)
    )
    batch = [(index, size) for index, size in sizes.items() if index not in (contraction.row, lane.index)]
    with w.loops(batch, shared=True):
        if contraction.kind == "inner":
            _inner(w, product)
        else:
            _tiles(w, product, contraction.large)
    w.close_totals(body, sums, lane)


@dataclass(frozen=True)
class _Product:
    """`a` has the row index, `b` the lane index; both have the inner one, which is summed over."""

    task: Task
    core: Node
    a: Load
    b: Load
    row: Index
    rows: Size
    lane: Lane
    inner: Index
    depth: Size
    sums: Mapping[Node, str]
    stores: Sequence[tuple[Buffer, Node | Output]]

    @property
    def kind(self) -> str:
        return f"{C_TYPES[self.core.type.dtype]}x{self.lane.count}"

    def share(self, w: Writer, extent: Size, grain: int) -> tuple[str, str]:
        """What threads share: this loop, unless there is one over several products around it."""
        return w.share(extent, grain) if len(self.task.kernel.space) == 2 else ("0", w.size(extent))

    def epilogue(self, w: Writer, core: str, partial: str) -> None:
        """What is made of a vector of the product."""
        body = self.task.body
        emitter = w.emitter(self.lane, partial)
        value = emitter.define(Value(core, C_TYPES[self.core.type.dtype]))
        emitter.bind(Load(self.core, body.indices, self.core.type.dtype), value)
        w.epilogue(body, emitter, self.stores, self.sums, self.lane, partial)

    def is_whole(self, w: Writer) -> bool:
        body = self.task.body
        return w.whole(body, self.lane, [(buffer, body.indices) for buffer, _ in self.stores])

    def open_parts(self, w: Writer) -> None:
        for node, name in self.sums.items():
            w.say(f"{C_TYPES[node.type.dtype]}x{self.lane.count} {name}_part = {{0}};")

    def close_parts(self, w: Writer) -> None:
        for name in self.sums.values():
            w.say(f"{name} += {name}_part;")


def _relaid(w: Writer, task: Task, load: Load) -> tuple[Buffer, dict[str, Size]]:
    """A factor that is read along its lanes, from the copy that was made for that if there is one."""
    assert isinstance(load.source, Node), "kernels load nodes"
    return _at(task.relaid.get(load, w.plan.memory_of[load.source]), load)


def _at(buffer: Buffer, load: Load) -> tuple[Buffer, dict[str, Size]]:
    terms = address(buffer.layout, load.indices)
    assert terms is not None, "contractions read along straight lines"
    return buffer, terms


def _tiles(w: Writer, product: _Product, large: bool) -> None:
    """Tiles of some rows and up to four vectors. The product of some tiles, one under the other, is computed before
    what is made of it: it stays in the first-level cache.

    If the factors are large, columns come first, so that a strip of `b` stays in the second-level cache; deep products
    are summed piece by piece; and the rows of `a`, if they lie along its columns, are copied side by side.
    """
    lane, row = product.lane, product.row
    assert isinstance(lane.size, int), "tiles have known widths"
    vectors = -(-lane.size // lane.count)
    widths = tile_vectors(vectors)
    groups: list[tuple[int, int, int]] = []  # first vector, vectors of a tile, tiles
    for width in dict.fromkeys(widths):
        before = sum(each for each in widths[: widths.index(width)])
        count = widths.count(width)
        if lane.size % lane.count and width == widths[-1] and count > 1:
            groups += [(before, width, count - 1), (before + width * (count - 1), width, 1)]
        else:
            groups.append((before, width, count))
    i, j = row.name, lane.index.name
    start, end = product.share(w, product.rows, CHUNK)

    def chunks() -> AbstractContextManager[None]:
        return w.braces(f"for (long {i}_0 = {start}; {i}_0 < {end}; {i}_0 += {CHUNK})")

    def strips(first: int, width: int, count: int) -> AbstractContextManager[None]:
        start, step = first * lane.count, width * lane.count
        if count == 1:
            return w.braces("")
        return w.braces(f"for (long {j}_0 = {start}; {j}_0 < {start + count * step}; {j}_0 += {step})")

    for place, outer in enumerate(groups if large else [(0, 0, 1)]):
        with strips(*outer) if large else chunks():
            for first, width, count in [groups[place]] if large else groups:
                with chunks() if large else strips(first, width, count):
                    if count == 1:
                        w.say(f"const long {j}_0 = {first * lane.count};")
                    w.say(f"const long {i}_n = {end} - {i}_0 < {CHUNK} ? {end} - {i}_0 : {CHUNK};")
                    _tile(w, product, width, first + width * count == vectors, large)


def _tile(w: Writer, product: _Product, width: int, last: bool, large: bool) -> None:
    """Rows from `i_0` on, `i_n` of them, and `width` vectors from `j_0` on; `last` are those at the end of a row."""
    kind, lane = product.kind, product.lane
    assert isinstance(lane.size, int), "tiles have known widths"
    i, j = product.row.name, lane.index.name
    rest = lane.size % lane.count if last else 0
    tile = w.name()
    w.say(f"{kind} {tile}[{CHUNK * width}];")
    _sum(w, product, width, rest, tile, large)
    with w.braces(f"for (long {i}_1 = 0; {i}_1 < {i}_n; {i}_1++)"):
        w.say(f"const long {i} = {i}_0 + {i}_1;")
        product.open_parts(w)
        plain = width if not rest or product.is_whole(w) else width - 1
        if plain:
            with w.braces(f"for (long v = 0; v < {plain}; v++)"):
                w.say(f"const long {j} = {j}_0 + v * {lane.count};")
                product.epilogue(w, f"{tile}[{i}_1 * {width} + v]", "")
        if plain < width:
            with w.braces(""):
                w.say(f"const long {j} = {j}_0 + {plain * lane.count};")
                product.epilogue(w, f"{tile}[{i}_1 * {width} + {plain}]", str(rest))
        product.close_parts(w)


def _sum(w: Writer, product: _Product, width: int, rest: int, tile: str, large: bool) -> None:
    """The sums of a tile."""
    kind, lane, depth = product.kind, product.lane, product.depth
    i, j, k = product.row.name, lane.index.name, product.inner.name
    a_buffer, a = _at(w.buffer_of(product.a), product.a)
    b_buffer, b = _relaid(w, product.task, product.b)
    ai, ak, bk = a.pop(i, 0), a.pop(k, 0), b.pop(k, 0)
    b.pop(j, None)
    partial = bool(rest) and not w.may_overrun(b_buffer, b)
    pa, pb = w.pointer(a_buffer), w.pointer(b_buffer)
    from_a = f"{pa} + {w.sum_text({**a, f'{i}_0': ai})}"
    from_b = f"{pb} + {w.sum_text({**b, f'{j}_0': 1})}"
    name = f"contract_{kind}_{width}{'p' if partial else ''}"
    block = f"contract {kind.replace('x', ' ')} {width} {'partial' if partial else 'whole'}"
    end = w.size(depth)
    if not large or (isinstance(depth, int) and depth <= DEEP):
        w.block(block)
        w.say(f"{name}({i}_n, {end}, {from_a}, {w.size(ai)}, {w.size(ak)}, {from_b}, {w.size(bk)}, {rest}, {tile});")
        return
    w.block(f"{block} more")
    w.say(f"for (long t = 0; t < {i}_n * {width}; t++) {tile}[t] = ({kind}){{0}};")
    packs = dims.same(ai, 1) and not dims.same(ak, 1)
    if packs:
        element = C_TYPES[product.core.type.dtype]
        w.say(f"{element} packed[{CHUNK * DEEP}];")
    with w.braces(f"for (long {k}_0 = 0; {k}_0 < {end}; {k}_0 += {DEEP})"):
        w.say(f"const long {k}_n = {end} - {k}_0 < {DEEP} ? {end} - {k}_0 : {DEEP};")
        if packs:
            with w.braces(f"for (long t = 0; t < {k}_n; t++)"):
                source = f"{from_a} + ({k}_0 + t) * {w.size(ak)}"
                w.say(f"for (long s = 0; s < {i}_n; s++) packed[t * {CHUNK} + s] = ({source})[s];")
            rows = f"packed, 1, {CHUNK}"
        else:
            rows = f"{from_a} + {k}_0 * {w.size(ak)}, {w.size(ai)}, {w.size(ak)}"
        w.say(f"{name}_more({i}_n, {k}_n, {rows}, {from_b} + {k}_0 * {w.size(bk)}, {w.size(bk)}, {rest}, {tile});")


def _inner(w: Writer, product: _Product) -> None:
    """Products along the lanes: for few rows, that is, results with few columns."""
    kind, lane, row, rows = product.kind, product.lane, product.row, product.rows
    assert isinstance(rows, int), "inner products are for few columns"
    a_buffer, a = _relaid(w, product.task, product.a)
    b_buffer, b = _relaid(w, product.task, product.b)
    aj, bi = a.pop(row.name, 0), b.pop(lane.index.name, 0)
    a.pop(product.inner.name, None)
    b.pop(product.inner.name, None)
    w.block(f"inner {kind.replace('x', ' ')}")
    i, chunk = lane.index.name, 4 * lane.count
    start, end = product.share(w, lane.size, chunk)
    with w.braces(f"for (long {i}_0 = {start}; {i}_0 < {end}; {i}_0 += {chunk})"):
        w.say(f"const long {i}_n = {end} - {i}_0 < {chunk} ? {end} - {i}_0 : {chunk};")
        w.say(f"const long {i}_v = ({i}_n + {lane.count - 1}) / {lane.count};")
        tile = w.name()
        w.say(f"{kind} {tile}[{4 * rows}];")
        w.say(
            f"inner_{kind}({i}_n, {rows}, {w.size(product.depth)}, "
            f"{w.pointer(b_buffer)} + {w.sum_text({**b, f'{i}_0': bi})}, {w.size(bi)}, "
            f"{w.pointer(a_buffer)} + {w.sum_text(a)}, {w.size(aj)}, {tile});"
        )
        core = f"{tile}[{row} * {i}_v + {i}_1 / {lane.count}]"
        with w.braces(f"for (long {row} = 0; {row} < {rows}; {row}++)"):
            product.open_parts(w)
            with w.braces(f"for (long {i}_1 = 0; {i}_1 < {i}_n; {i}_1 += {lane.count})"):
                w.say(f"const long {i} = {i}_0 + {i}_1;")
                if product.is_whole(w):
                    product.epilogue(w, core, "")
                else:
                    with w.braces(f"if ({i}_n - {i}_1 >= {lane.count})"):
                        product.epilogue(w, core, "")
                    with w.braces("else"):
                        rest = w.name()
                        w.say(f"const long {rest} = {i}_n - {i}_1;")
                        product.epilogue(w, core, rest)
            product.close_parts(w)


def write_blas(w: Writer, task: Task) -> bool:
    """A call of BLAS, which takes matrices that are contiguous along one dimension; False for others."""
    body, core = task.body, task.kernel.core
    assert core is not None, "a contraction has a core"
    assert body.factors is not None, "a contraction has factors"
    *batch, row, lane = body.indices
    (inner, depth), *_ = body.reduced
    (a, a_terms), (b, b_terms) = (_at(w.buffer_of(load), load) for load in body.factors)
    ai, ak = a_terms.pop(row.name, 0), a_terms.pop(inner.name, 0)
    bk, bj = b_terms.pop(inner.name, 0), b_terms.pop(lane.name, 0)
    # BLAS counts by columns: row-major C = A·B is its Cᵀ = Bᵀ·Aᵀ.
    if not (dims.same(bj, 1) or dims.same(bk, 1)) or not (dims.same(ak, 1) or dims.same(ai, 1)):
        return False
    if any(isinstance(stride, int) and stride == 0 for stride in (ai, ak, bk, bj)):
        return False
    *_, m, n = body.kernel.space
    target = w.plan.memory_of[core]
    place = address(target.layout, body.indices)
    assert place is not None, "stores go along straight lines"
    place.pop(row.name, None)
    place.pop(lane.name, None)
    with w.loops([(index, size) for index, size in zip(batch, body.kernel.space, strict=False)]):
        b_flag, ldb = ("N", bk) if dims.same(bj, 1) else ("T", bj)
        a_flag, lda = ("N", ai) if dims.same(ak, 1) else ("T", ak)
        w.say(
            f"gemm_{C_TYPES[core.type.dtype]}('{b_flag}', '{a_flag}', {w.size(n)}, {w.size(m)}, "
            f"{w.size(depth)}, {w.pointer(b)} + {w.sum_text(b_terms)}, {w.size(ldb)}, "
            f"{w.pointer(a)} + {w.sum_text(a_terms)}, {w.size(lda)}, "
            f"{w.pointer(target, write=True)} + {w.sum_text(place)}, {w.size(n)});"
        )
    return True
