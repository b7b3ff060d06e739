"""Products: tiles in registers, inner products along the lanes, or BLAS, each with what is made of the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace

from graphc import dims
from graphc.backends.c.blocks import tile_vectors
from graphc.backends.c.layout import Buffer, address
from graphc.backends.c.plan import STRIP_DEPTH, Contraction, Task
from graphc.backends.c.scalars import C_TYPES, Value
from graphc.backends.c.writer import Lane, Writer
from graphc.dims import Size
from graphc.expr import Index, Load
from graphc.ir import Node, Output

__all__ = ["write_blas", "write_contraction"]

CHUNK = 30
"""Rows of a product that are computed before what is made of them."""

STRETCH = 128
"""Such pieces after which new sums of results are begun, so that their errors grow slowly."""

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
    w.functions.add(("muladd", core.type.dtype, lane.count))
    sums, stores = w.open_totals(body, lane), w.stores_of(body)
    batch = [(index, size) for index, size in sizes.items() if index not in (contraction.row, lane.index)]
    kinds = w.kinds(sums, lane)
    with (
        w.adding(batch, kinds, shared=True) as outer,
        w.block_sums(kinds, outer) if batch else nullcontext("") as into,
    ):
        product = _Product(
            task, core, a, b, contraction.row, sizes[contraction.row], lane, inner, depth, sums, into, stores
        )
        if contraction.kind == "inner":
            _inner(w, product)
        elif contraction.large:
            _strips(w, product)
        else:
            _tiles(w, product)
    w.close_totals(body, sums, lane)


@dataclass(frozen=True)
class _Product:
    """`a` has the row index, `b` the lane index; both have the inner one, which is summed over.

    Totals are added to `sums`, with the suffix `into`.
    """

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
    into: str
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

    def parts(self, w: Writer) -> AbstractContextManager[None]:
        return w.parts(w.kinds(self.sums, self.lane), self.into)

    @contextmanager
    def chunks(self, w: Writer, i: str, start: str, end: str, chunk: int) -> Iterator[_Product]:
        """A loop over pieces of an index: `i_n` of them from `i_0` on. Long stretches have sums of their own."""
        product = self
        with ExitStack() as stack:
            if self.sums:
                start, end = stack.enter_context(w.stretches(i, start, end, STRETCH * chunk))
                block = stack.enter_context(w.block_sums(w.kinds(self.sums, self.lane), self.into))
                product = replace(self, into=block)
            with w.braces(f"for (long {i}_0 = {start}; {i}_0 < {end}; {i}_0 += {chunk})"):
                w.say(f"const long {i}_n = {end} - {i}_0 < {chunk} ? {end} - {i}_0 : {chunk};")
                yield product


def _relaid(w: Writer, task: Task, load: Load) -> tuple[Buffer, dict[str, Size]]:
    """A factor that is read along its lanes, from the copy that was made for that if there is one."""
    assert isinstance(load.source, Node), "kernels load nodes"
    return _at(task.relaid.get(load, w.plan.memory_of[load.source]), load)


def _at(buffer: Buffer, load: Load) -> tuple[Buffer, dict[str, Size]]:
    terms = address(buffer.layout, load.indices)
    assert terms is not None, "contractions read along straight lines"
    return buffer, terms


def _groups(lane: Lane) -> list[tuple[int, int, int]]:
    """Tiles side by side: the first vector, vectors of a tile, and how many tiles of that width. The end of a row that
    is not a whole vector has a tile of its own.
    """
    assert isinstance(lane.size, int), "tiles have known widths"
    widths = tile_vectors(-(-lane.size // lane.count))
    groups: list[tuple[int, int, int]] = []
    for width in dict.fromkeys(widths):
        before = sum(widths[: widths.index(width)])
        count = widths.count(width)
        if lane.size % lane.count and width == widths[-1] and count > 1:
            groups += [(before, width, count - 1), (before + width * (count - 1), width, 1)]
        else:
            groups.append((before, width, count))
    return groups


def _is_last(lane: Lane, first: int, width: int, count: int) -> bool:
    assert isinstance(lane.size, int), "tiles have known widths"
    return (first + width * count) * lane.count >= lane.size


def _tiles(w: Writer, product: _Product) -> None:
    """Tiles of some rows and up to four vectors. The product of some tiles, one under the other, is computed before
    what is made of it: it stays in the first-level cache.
    """
    lane, i, j = product.lane, product.row.name, product.lane.index.name
    start, end = product.share(w, product.rows, CHUNK)
    with product.chunks(w, i, start, end, CHUNK) as piece:
        for first, width, count in _groups(lane):
            at, step = first * lane.count, width * lane.count
            head = f"for (long {j}_0 = {at}; {j}_0 < {at + count * step}; {j}_0 += {step})" if count > 1 else ""
            with w.braces(head):
                if not head:
                    w.say(f"const long {j}_0 = {at};")
                rest = lane.size % lane.count if _is_last(lane, first, width, count) else 0
                tile = _open_tile(w, piece, width)
                _sum(w, piece, width, int(rest), tile)
                _close_tile(w, piece, width, int(rest), tile)


def _open_tile(w: Writer, product: _Product, width: int) -> str:
    tile = w.name()
    w.say(f"{product.kind} {tile}[{CHUNK * width}];")
    return tile


def _close_tile(w: Writer, product: _Product, width: int, rest: int, tile: str) -> None:
    """What is made of rows from `i_0` on, `i_n` of them, and `width` vectors from `j_0` on."""
    lane, i, j = product.lane, product.row.name, product.lane.index.name
    plain = width if not rest or product.is_whole(w) else width - 1
    with w.braces(f"for (long {i}_1 = 0; {i}_1 < {i}_n; {i}_1++)"):
        w.say(f"const long {i} = {i}_0 + {i}_1;")
        with product.parts(w):
            if plain:
                with w.braces(f"for (long v = 0; v < {plain}; v++)"):
                    w.say(f"const long {j} = {j}_0 + v * {lane.count};")
                    product.epilogue(w, f"{tile}[{i}_1 * {width} + v]", "")
            if plain < width:
                with w.braces(""):
                    w.say(f"const long {j} = {j}_0 + {plain * lane.count};")
                    product.epilogue(w, f"{tile}[{i}_1 * {width} + {plain}]", str(rest))


def _sum(w: Writer, product: _Product, width: int, rest: int, tile: str) -> None:
    """The sums of a tile, of factors where they lie."""
    kind, i, j, k = product.kind, product.row.name, product.lane.index.name, product.inner.name
    a_buffer, a = _at(w.buffer_of(product.a), product.a)
    b_buffer, b = _relaid(w, product.task, product.b)
    ai, ak, bk = a.pop(i, 0), a.pop(k, 0), b.pop(k, 0)
    b.pop(j, None)
    partial = bool(rest) and not w.may_overrun(b_buffer, b)
    w.block(f"contract {kind.replace('x', ' ')} {width} {'partial' if partial else 'whole'}")
    w.say(
        f"contract_{kind}_{width}{'p' if partial else ''}({i}_n, {w.size(product.depth)}, "
        f"{w.pointer(a_buffer)} + {w.sum_text({**a, f'{i}_0': ai})}, {w.size(ai)}, {w.size(ak)}, "
        f"{w.pointer(b_buffer)} + {w.sum_text({**b, f'{j}_0': 1})}, {w.size(bk)}, {rest}, {tile});"
    )


def _strips(w: Writer, product: _Product) -> None:
    """A product of large factors, strip by strip of up to four vectors.

    A strip of `b` is copied side by side first, and stays in the second-level cache while all rows of `a` pass; rows of
    `a` that lie along its columns are copied, too. Without that, rows a power of two apart would evict each other.
    """
    lane, i, j, k = product.lane, product.row.name, product.lane.index.name, product.inner.name
    kind, element = product.kind, C_TYPES[product.core.type.dtype]
    a_buffer, a = _at(w.buffer_of(product.a), product.a)
    ai, ak = a.pop(i, 0), a.pop(k, 0)
    depth = w.size(product.depth)
    packs = dims.same(ai, 1) and not dims.same(ak, 1)
    groups = _groups(lane)
    start, end = product.share(w, sum(count for _, _, count in groups), 1)
    before = 0
    w.strip(element, STRIP_DEPTH * 4 * lane.count)
    for first, width, count in groups:
        rest = int(lane.size % lane.count) if _is_last(lane, first, width, count) else 0
        low = f"({start} > {before} ? {start} : {before})" if start != "0" else str(before)
        high = f"({end} < {before + count} ? {end} : {before + count})" if start != "0" else str(before + count)
        with w.braces(f"for (long {j}_s = {low}; {j}_s < {high}; {j}_s++)"):
            w.say(f"const long {j}_0 = {first * lane.count} + ({j}_s - {before}) * {width * lane.count};")
            strip, step, partial = _pack_strip(w, product, width, rest)
            w.block(f"contract {kind.replace('x', ' ')} {width} {'partial' if partial else 'whole'} more")
            name = f"contract_{kind}_{width}{'p' if partial else ''}_more"
            with product.chunks(w, i, "0", w.size(product.rows), CHUNK) as piece:
                tile = _open_tile(w, product, width)
                w.say(f"for (long t = 0; t < {i}_n * {width}; t++) {tile}[t] = ({kind}){{0}};")
                if packs:
                    w.say(f"{element} packed[{CHUNK * DEEP}];")
                from_a = f"{w.pointer(a_buffer)} + {w.sum_text({**a, f'{i}_0': ai})}"
                with w.braces(f"for (long {k}_0 = 0; {k}_0 < {depth}; {k}_0 += {DEEP})"):
                    w.say(f"const long {k}_n = {depth} - {k}_0 < {DEEP} ? {depth} - {k}_0 : {DEEP};")
                    at = f"{from_a} + {k}_0 * {w.size(ak)}, {w.size(ai)}, {w.size(ak)}"
                    if packs:
                        with w.braces(f"for (long t = 0; t < {k}_n; t++)"):
                            w.say(f"const {element} *from = {from_a} + ({k}_0 + t) * {w.size(ak)};")
                            w.say(f"for (long s = 0; s < {i}_n; s++) packed[t * {CHUNK} + s] = from[s];")
                        at = f"packed, 1, {CHUNK}"
                    w.say(f"{name}({i}_n, {k}_n, {at}, {strip} + {k}_0 * {step}, {step}, {rest}, {tile});")
                _close_tile(w, piece, width, rest, tile)
        before += count


def _pack_strip(w: Writer, product: _Product, width: int, rest: int) -> tuple[str, str, bool]:
    """Copy a strip of `b` if there is room. Where it is, how far its rows are apart, and whether the last vector of a
    row must be read in part.
    """
    lane, j, k, kind = product.lane, product.lane.index.name, product.inner.name, product.kind
    element, across = C_TYPES[product.core.type.dtype], width * lane.count
    buffer, b = _relaid(w, product.task, product.b)
    bk, bj = b.pop(k, 0), b.pop(j, 0)
    depth, pointer = w.size(product.depth), w.pointer(buffer)
    start = w.sum_text({**b, f"{j}_0": bj})
    strip = f"strip_{element}"
    if not dims.same(bj, 1):
        w.block(f"transpose {kind.replace('x', ' ')}")
        assert isinstance(lane.size, int), "tiles have known widths"
        with w.braces(f"for (long t = 0; t < {depth}; t += {lane.count})"):
            w.say(
                f"for (long v = 0; v < {width}; v++) transpose_{kind}_square({pointer} + {start} + v * {lane.count} * "
                f"{w.size(bj)} + t, {w.size(bj)}, {lane.size} - {j}_0 - v * {lane.count}, {depth} - t, "
                f"{strip} + t * {across} + v * {lane.count}, {across});"
            )
        return strip, str(across), False
    w.block(f"load {kind.replace('x', ' ')}")
    in_part = bool(rest) and not w.may_overrun(buffer, b)
    copied = width - 1 if in_part else width
    place = f"{pointer} + {start} + t * {w.size(bk)}"
    with w.braces(f"if ({depth} <= {STRIP_DEPTH}) for (long t = 0; t < {depth}; t++)"):
        for v in range(copied):
            at = v * lane.count
            w.say(f"store_{kind}({strip} + t * {across} + {at}, load_{kind}({place} + {at}));")
        if in_part:
            w.block(f"partial {kind.replace('x', ' ')}")
            last = copied * lane.count
            w.say(f"store_{kind}({strip} + t * {across} + {last}, loadn_{kind}({place} + {last}, {rest}));")
    w.say(f"const {element} *from_b = {depth} <= {STRIP_DEPTH} ? {strip} : {pointer} + {start};")
    w.say(f"const long step_b = {depth} <= {STRIP_DEPTH} ? {across} : {w.size(bk)};")
    return "from_b", "step_b", in_part


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
    with product.chunks(w, i, start, end, chunk) as piece:
        w.say(f"const long {i}_v = ({i}_n + {lane.count - 1}) / {lane.count};")
        tile = w.name()
        w.say(f"{kind} {tile}[{4 * rows}];")
        w.say(
            f"inner_{kind}({i}_n, {rows}, {w.size(product.depth)}, "
            f"{w.pointer(b_buffer)} + {w.sum_text({**b, f'{i}_0': bi})}, {w.size(bi)}, "
            f"{w.pointer(a_buffer)} + {w.sum_text(a)}, {w.size(aj)}, {tile});"
        )
        core = f"{tile}[{row} * {i}_v + {i}_1 / {lane.count}]"
        across = f"for (long {i}_1 = 0; {i}_1 < {i}_n; {i}_1 += {lane.count})"
        with w.braces(f"for (long {row} = 0; {row} < {rows}; {row}++)"), piece.parts(w), w.braces(across):
            w.say(f"const long {i} = {i}_0 + {i}_1;")
            if product.is_whole(w):
                piece.epilogue(w, core, "")
            else:
                with w.braces(f"if ({i}_n - {i}_1 >= {lane.count})"):
                    piece.epilogue(w, core, "")
                with w.braces("else"):
                    rest = w.name()
                    w.say(f"const long {rest} = {i}_n - {i}_1;")
                    piece.epilogue(w, core, rest)


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
