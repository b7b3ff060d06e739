"""Loops: values at every point of a space, reductions, and copies between layouts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from graphc.backends.c.body import Body, Part, loads_of
from graphc.backends.c.layout import Buffer, address, dense
from graphc.backends.c.plan import Relayout
from graphc.backends.c.scalars import C_TYPES, Value, has_vectors, neutral
from graphc.backends.c.writer import BLOCK, Lane, Writer
from graphc.dims import Size
from graphc.expr import Expr, Index, Load
from graphc.expr.philox import DROPOUT
from graphc.ir import Node, Output
from graphc.ops.randomness import RandomMask

__all__ = ["write_map", "write_mask", "write_parts", "write_reduction", "write_relayout"]

WIDEST = 8192
"""Columns that are summed in memory of their own at most."""


def write_map(w: Writer, body: Body) -> None:
    exprs = [expr for _, expr in (*body.nodes, *body.totals, *body.copies)]
    stores = w.stores_of(body)
    places = [(buffer, body.indices) for buffer, _ in stores]
    space = list(zip(body.indices, body.kernel.space, strict=True))
    lane = w.lane_for(body, exprs, space, places)
    sums = w.open_totals(body, lane)

    def point(partial: str) -> None:
        emitter = w.emitter(lane, partial)
        w.epilogue(body, emitter, stores, sums, lane, partial)

    w.points(space, lane, lane is not None and w.whole(body, lane, places), sums, point)
    w.close_totals(body, sums, lane)


def write_reduction(w: Writer, body: Body) -> None:
    core, item = body.kernel.core, body.item
    assert core is not None, "a reduction has a core"
    assert item is not None, "a reduction has items"
    space = list(zip(body.indices, body.kernel.space, strict=True))
    exprs = [expr for _, expr in body.prologue] + [item]
    after = [expr for _, expr in body.nodes]
    stores = w.stores_of(body)
    places = [(buffer, body.indices) for buffer, _ in stores]
    can = core.type.dtype is not torch.bool
    outer_lane = w.lane_for(body, [*exprs, *after], space, places) if can else None
    inner_lane = w.lane_for(body, exprs, body.reduced, ()) if can else None
    if outer_lane is not None and _is_wide(body, outer_lane):
        _reduce_rows(w, body, outer_lane, stores, places)
    elif outer_lane is not None:
        _reduce_down(w, body, outer_lane, space, stores, places)
    elif inner_lane is not None:
        _reduce_along(w, body, inner_lane, space, stores)
    else:
        _reduce_down(w, body, None, space, stores, places)


def _reduce_down(
    w: Writer,
    body: Body,
    lane: Lane | None,
    space: Sequence[tuple[Index, Size]],
    stores: Sequence[tuple[Buffer, Node | Output]],
    places: Sequence[tuple[Buffer, Sequence[Expr]]],
) -> None:
    """Every result by a loop of its own, several results side by side in a vector."""
    core = body.kernel.core
    assert core is not None, "a reduction has a core"
    dtype, lanes = core.type.dtype, 1 if lane is None else lane.count
    kind = f"{C_TYPES[dtype]}x{lanes}"
    sums = w.open_totals(body, lane)

    def start() -> str:
        if lanes == 1:
            return neutral(body.combine, dtype)
        return f"splat_{kind}({neutral(body.combine, dtype)})"

    def point(partial: str) -> None:
        total = w.name()
        w.say(f"{kind} {total} = {start()};")
        *outer, (index, size) = body.reduced
        i, end = index.name, w.size(size)
        with w.adding(outer, {total: kind} if body.combine == "sum" else {}) as into:
            chains = 4 if body.combine == "sum" and len(body.prologue) <= 3 else 1
            parts = [f"{total}_{c}" for c in range(chains)]
            with w.braces(f"for (long {i}_0 = 0; {i}_0 < {end}; {i}_0 += {BLOCK})"):
                w.say(f"const long {i}_1 = {end} - {i}_0 < {BLOCK} ? {end} : {i}_0 + {BLOCK};")
                w.say(f"{kind} {', '.join(f'{part} = {start()}' for part in parts)};")
                w.say(f"long {i} = {i}_0;")
                if chains > 1:
                    with w.braces(f"for (; {i} + {chains} <= {i}_1; {i}++)"):
                        for c, part in enumerate(parts):
                            with w.braces(""):
                                _join(w, body, part, lane, partial)
                            if c < chains - 1:
                                w.say(f"{i}++;")
                with w.braces(f"for (; {i} < {i}_1; {i}++)"):
                    _join(w, body, parts[0], lane, partial)
                for part in parts:
                    w.say(f"{total}{into} = {w.emitter(lane).combine(body.combine, total + into, part, dtype)};")
        emitter = w.emitter(lane, partial)
        value = emitter.truth(total) if dtype is torch.bool else Value(total, C_TYPES[dtype])
        emitter.bind(Load(core, body.indices, dtype), value)
        w.epilogue(body, emitter, stores, sums, lane, partial)

    w.points(space, lane, lane is not None and w.whole(body, lane, places), sums, point)
    w.close_totals(body, sums, lane)


def _is_wide(body: Body, lane: Lane) -> bool:
    """Whether a sum of rows has so many columns that rows are added one after another, as they lie in memory."""
    only_rows = len(body.kernel.space) == 1 and len(body.reduced) == 1 and body.combine == "sum"
    return only_rows and isinstance(lane.size, int) and 8 * lane.count <= lane.size <= WIDEST and not body.totals


def _reduce_rows(
    w: Writer,
    body: Body,
    lane: Lane,
    stores: Sequence[tuple[Buffer, Node | Output]],
    places: Sequence[tuple[Buffer, Sequence[Expr]]],
) -> None:
    """A sum of rows in memory of its own: down the columns, every element would lie on another page."""
    core = body.kernel.core
    assert core is not None, "a reduction has a core"
    assert isinstance(lane.size, int), "wide rows have a known width"
    kind = f"{C_TYPES[core.type.dtype]}x{lane.count}"
    ((index, size),) = body.reduced
    r, i, end = index.name, lane.index.name, w.size(size)
    start, stop = w.share(lane.size, lane.count)
    total, part, vectors = w.name(), w.name(), -(-lane.size // lane.count)
    w.say(f"{kind} {total}[{vectors}], {part}[{vectors}];")
    w.say(f"for (long v = 0; v < {vectors}; v++) {total}[v] = ({kind}){{0}};")
    with w.braces(f"for (long {r}_0 = 0; {r}_0 < {end}; {r}_0 += {BLOCK})"):
        w.say(f"const long {r}_1 = {end} - {r}_0 < {BLOCK} ? {end} : {r}_0 + {BLOCK};")
        w.say(f"for (long v = 0; v < {vectors}; v++) {part}[v] = ({kind}){{0}};")
        with w.braces(f"for (long {r} = {r}_0; {r} < {r}_1; {r}++)"):
            place = f"{part}[{i} / {lane.count}]"
            w.along(lane, False, lambda partial: _join(w, body, place, lane, partial), (start, stop))
        w.say(f"for (long v = 0; v < {vectors}; v++) {total}[v] += {part}[v];")

    def point(partial: str) -> None:
        emitter = w.emitter(lane, partial)
        value = Value(f"{total}[{i} / {lane.count}]", C_TYPES[core.type.dtype])
        emitter.bind(Load(core, body.indices, core.type.dtype), emitter.define(value))
        w.epilogue(body, emitter, stores, {}, lane, partial)

    with w.braces(""):
        w.along(lane, w.whole(body, lane, places), point, (start, stop))


def _join(w: Writer, body: Body, total: str, lane: Lane | None, partial: str) -> None:
    """One item more in `total`."""
    assert body.item is not None, "a reduction has items"
    emitter = w.emitter(lane, partial)
    for node, expr in body.prologue:
        place = next(x.indices for _, e in _uses(body) for x in loads_of(e) if x.source is node)
        emitter.bind(Load(node, place, node.type.dtype), emitter.value(expr))
    item = emitter.value(body.item)
    text = f"(u8)({item.text} & 1)" if item.type[0] == "m" else item.text
    w.say(f"{total} = {emitter.combine(body.combine, total, text, body.item.dtype)};")


def _uses(body: Body) -> Iterator[tuple[Node | None, Expr]]:
    yield from body.prologue
    assert body.item is not None, "a reduction has items"
    yield None, body.item


def _reduce_along(
    w: Writer,
    body: Body,
    lane: Lane,
    space: Sequence[tuple[Index, Size]],
    stores: Sequence[tuple[Buffer, Node | Output]],
) -> None:
    """Every result by vectors along what is reduced, then across their lanes."""
    core = body.kernel.core
    assert core is not None, "a reduction has a core"
    dtype = core.type.dtype
    type_ = C_TYPES[dtype]
    kind = f"{type_}x{lane.count}"
    start = neutral(body.combine, dtype)
    sums = w.open_totals(body, None)
    kinds = w.kinds(sums, None)
    with w.adding(space, kinds) as sums_into:
        total = w.name()
        w.say(f"{kind} {total} = splat_{kind}({start});")
        outer = [pair for pair in body.reduced if pair[0] != lane.index]
        with w.adding(outer, {total: kind} if body.combine == "sum" else {}) as into, w.pieces(lane) as piece:

            def point(partial: str) -> None:
                emitter = w.emitter(lane, partial)
                for node, expr in body.prologue:
                    place = next(x.indices for _, e in _uses(body) for x in loads_of(e) if x.source is node)
                    emitter.bind(Load(node, place, node.type.dtype), emitter.value(expr))
                assert body.item is not None, "a reduction has items"
                text = emitter.value(body.item).text
                if partial:
                    text = w.first(text, partial, lane.count, dtype, start)
                w.say(f"{part} = {emitter.combine(body.combine, part, text, dtype)};")

            part = w.name()
            w.say(f"{kind} {part} = splat_{kind}({start});")
            with w.braces(""):
                w.along(lane, False, point, piece)
            w.say(f"{total}{into} = {w.emitter(lane).combine(body.combine, total + into, part, dtype)};")
        emitter = w.emitter(None)
        result = w.name()
        if body.combine == "sum":
            w.block(f"hsum {type_} {lane.count}")
            w.say(f"const {type_} {result} = hsum_{kind}({total});")
        else:
            w.say(f"{type_}x1 {result} = {total}[0];")
            joined = emitter.combine(body.combine, result, f"{total}[l]", dtype)
            w.say(f"for (long l = 1; l < {lane.count}; l++) {result} = {joined};")
        emitter.bind(Load(core, body.indices, dtype), Value(result, type_))
        with w.parts(kinds, sums_into):
            w.epilogue(body, emitter, stores, sums, None, "")
    w.close_totals(body, sums, None)


def write_mask(w: Writer, body: Body) -> bool:
    """A random mask, many elements at a time; False if it, or its counter, does not lie element after element."""
    (node,) = body.kernel.body
    ((buffer, _), *others) = w.stores_of(body)
    places = [address(w.buffer_of(load).layout, load.indices) for load in body.loads]
    if others or sorted(w.sum_text(terms) for terms in places if terms is not None) != ["0", "1"]:
        return False
    if buffer.layout.lane is None or buffer.layout.strides != dense(node.type.shape).strides:
        return False
    assert isinstance(node.op, RandomMask), "only random masks are written so"
    w.block("mask i32 1")
    lo, hi = w.share(node.type.numel, 1 << 15)
    counter = w.pointer(w.buffer_of(body.loads[0]))
    w.say(
        f"random_mask({w.pointer(buffer, write=True)}, {counter}[0], {counter}[1], {DROPOUT + node.op.stream}, "
        f"{node.op.threshold}, {lo}, {hi});"
    )
    return True


def write_parts(w: Writer, body: Body) -> None:
    for buffer, _ in w.stores_of(body):
        for part in body.parts:
            _part(w, body, part, buffer)


def _part(w: Writer, body: Body, part: Part, buffer: Buffer) -> None:
    space = list(zip(part.indices, part.space, strict=True))
    lane = w.lane_for(body, [part.value], space, [(buffer, part.place)])

    def point(partial: str) -> None:
        value = w.emitter(lane, partial).value(part.value)
        w.store(buffer, part.place, value, lane, partial)

    with w.loops([pair for pair in space if lane is None or pair[0] != lane.index]):
        if lane is None:
            point("")
        else:
            with w.braces(""):
                w.along(lane, False, point)


def write_relayout(w: Writer, relayout: Relayout) -> None:
    source, target = relayout.source, relayout.target
    type_, count = C_TYPES[source.dtype], w.plan.vector_bytes // source.dtype.itemsize
    indices = tuple(Index(f"i{d}") for d in range(len(source.shape)))
    if _is_transpose(relayout):
        down = source.layout.lane
        assert down is not None, "padded rows run along a dimension"
        across = 1 - down
        w.block(f"transpose {type_} {count}")
        w.say(
            f"transpose_{type_}x{count}({w.size(source.shape[across])}, {w.size(source.shape[down])}, "
            f"{w.pointer(source)}, {w.size(source.layout.strides[across])}, "
            f"{w.pointer(target, write=True)}, {w.size(target.layout.strides[down])});"
        )
        return
    space = list(zip(indices, source.shape, strict=True))
    lane = None
    if has_vectors(source.dtype) and source.dtype is not torch.bool and space:
        lane = Lane(indices[target.layout.lane or 0], source.shape[target.layout.lane or 0], count)
    load = Load(source.owner, indices, source.dtype)

    def point(partial: str) -> None:
        emitter = w.emitter(lane, partial)
        w.store(target, indices, w.load(load, source, lane, partial, emitter), lane, partial)

    with w.loops([pair for pair in space if lane is None or pair[0] != lane.index]):
        if lane is None:
            point("")
        else:
            with w.braces(""):
                w.along(lane, False, point)


def _is_transpose(relayout: Relayout) -> bool:
    """Whether rows become columns, in memory for whole squares."""
    source, target = relayout.source, relayout.target
    if len(source.shape) != 2 or source.dtype not in (torch.float32, torch.float64) or target.kind != "slot":
        return False
    if source.layout.lane is None or not target.layout.padded or source.layout.lane == target.layout.lane:
        return False
    return all(isinstance(size, int) for size in source.shape)
