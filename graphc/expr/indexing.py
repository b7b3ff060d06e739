"""Index arithmetic: where an element lies in another shape, or among parts that lie one after another.

Indices stay affine wherever they can, because whatever reads them tells strides from that.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from graphc import dims
from graphc.dims import Size
from graphc.expr.expr import Expr, call, literal, select

__all__ = ["flattened", "joined", "reshaped", "unflattened"]


def flattened(i: Sequence[Expr], shape: Sequence[Size]) -> Expr:
    """The place of element i among all elements of `shape`, row by row."""
    place: Expr = literal(0)
    for k, stride in zip(i, _strides(shape), strict=True):
        place = call("add", place, call("mul", k, stride))
    return place


def unflattened(place: Expr, shape: Sequence[Size]) -> tuple[Expr, ...]:
    """The indices of the element of `shape` that lies at `place`, row by row."""
    quotients = [call("floordiv", place, stride) for stride in _strides(shape)]
    return (*quotients[:1], *(call("mod", q, size) for q, size in zip(quotients[1:], shape[1:], strict=True)))


def reshaped(i: Sequence[Expr], shape: Sequence[Size], before: Sequence[Size]) -> tuple[Expr, ...]:
    """The indices, in shape `before`, of what is element i once it has `shape`.

    Dimensions are matched from the front in the smallest groups of equal product, so that what a reshape leaves alone
    keeps its index. Dimensions of size 1 belong to no group.
    """
    found: list[Expr] = [literal(0)] * len(before)
    if dims.same(dims.product(before), 0):
        return tuple(found)  # there is no element, and nothing divides by zero
    sources = [d for d, size in enumerate(before) if not dims.same(size, 1)]
    targets = [d for d, size in enumerate(shape) if not dims.same(size, 1)]
    while sources or targets:
        m, n = _group([before[d] for d in sources], [shape[d] for d in targets])
        group, sources = sources[:m], sources[m:]
        onto, targets = targets[:n], targets[n:]
        place = flattened([i[d] for d in onto], [shape[d] for d in onto])
        for d, index in zip(group, unflattened(place, [before[d] for d in group]), strict=True):
            found[d] = index
    return tuple(found)


def joined(place: Expr, sizes: Sequence[Size], element: Callable[[int, Expr], Expr]) -> Expr:
    """What lies at `place` where parts of `sizes` lie one after another; part k has `element(k, j)` at its place j."""
    starts = list(itertools.accumulate(sizes, initial=0))

    def within(first: int, last: int) -> Expr:  # halves, so that hundreds of parts nest a few deep
        if first == last:
            return element(first, call("sub", place, starts[first]))
        middle = (first + last + 1) // 2
        return select(call("lt", place, starts[middle]), within(first, middle - 1), within(middle, last))

    return within(0, len(sizes) - 1)


def _strides(shape: Sequence[Size]) -> list[Size]:
    return [dims.product(shape[d + 1 :]) for d in range(len(shape))]


def _group(a: Sequence[Size], b: Sequence[Size]) -> tuple[int, int]:
    """How many sizes of `a` and of `b`, from the front, have equal products. All of them do."""
    m = n = 1
    x, y = a[0], b[0]
    while not dims.same(x, y):
        if n == len(b) or (m < len(a) and _comes_first(x, y)):
            x, m = x * a[m], m + 1
        else:
            y, n = y * b[n], n + 1
    return m, n


def _comes_first(x: Size, y: Size) -> bool:
    """Whether it is `x` that has to grow for products of sizes to become equal."""
    if isinstance(x, int) and isinstance(y, int):
        return x < y
    return dims.divide(x, y) is None
