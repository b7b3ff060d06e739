"""Numbers that go with a drawing, as values: for which sizes they hold, how they are ranked and written for people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, TypeVar

from graphc import dims
from graphc.dims import Size
from graphc.errors import brief, compose, type_name
from graphc.ir import Graph, Node
from graphc.runtime import Program
from graphc.types import as_index
from graphc.viz.errors import DrawingError

__all__ = [
    "DEFAULT_SIZE",
    "Overlay",
    "Row",
    "Unit",
    "amount",
    "bound_sizes",
    "checked_program",
    "evaluated_graph",
    "ranked",
    "sizes_text",
]

DEFAULT_SIZE = 32
"""What a size is that nobody gave, as in `program.summary()`."""

OTHER_SIZES = (*(2**k for k in range(6, 17)), 16, 8, 4, 2, 1)
"""What it is where a graph cannot have that: more for `x[100:]`, and else less."""

Unit = Literal["s", "flop", "B", "norm", "entries"]

DECADES = 6
"""Powers of ten below the largest norm after which a norm counts as nothing."""

SHOWN = 20
"""Rows that a printed overlay has."""

PREFIXES = {
    "s": ((1e-9, "ns"), (1e-6, "µs"), (1e-3, "ms"), (1.0, "s")),
    "flop": ((1, "flop"), (1e3, "kflop"), (1e6, "Mflop"), (1e9, "Gflop"), (1e12, "Tflop"), (1e15, "Pflop")),
    "B": ((1, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB"), (1e15, "PB")),
}

_K = TypeVar("_K")


@dataclass(frozen=True)
class Row:
    """One line of a ranking: a node, a kernel or a parameter's gradient, and where the user built it.

    `share` is the part of all rows together; of a norm, of the largest; of entries, of all that the value has. `nodes`
    are the idents of the nodes that it stands for, `text` is a sentence about it where there is one.
    """

    what: str
    module: str
    where: str
    value: float
    share: float
    nodes: tuple[int, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Overlay:
    """Numbers to lay over a drawing. `rows` are ranked, the largest first.

    `of_nodes` are by `node.origin.ident`, which every view of a program shares, and `of_kernels` by a kernel's index in
    its KernelSchedule. The number of a node in `kernel_of` is that of its whole kernel: what is computed together is
    not told apart.
    """

    name: str
    title: str
    unit: Unit
    of_nodes: Mapping[int, float]
    of_kernels: Mapping[int, float]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    kernel_of: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))

    def format(self, value: float) -> str:
        """`value` for people: `12.3 µs`, `1.2 Mflop`, `4.1 kB`, `3.2e-4`."""
        return amount(value, self.unit)

    def of(self, idents: Iterable[int]) -> float | None:
        """What nodes have that are drawn as one; None if none of them has a number.

        That is the sum, for which each kernel counts once; of norms, the largest.
        """
        found = [ident for ident in dict.fromkeys(idents) if ident in self.of_nodes]
        if not found:
            return None
        if self.unit == "norm":
            norms = [self.of_nodes[ident] for ident in found]
            return next((norm for norm in norms if math.isnan(norm)), max(norms))
        kernels = dict.fromkeys(self.kernel_of[ident] for ident in found if ident in self.kernel_of)
        own = sum(self.of_nodes[ident] for ident in found if ident not in self.kernel_of)
        return own + sum(self.of_kernels[kernel] for kernel in kernels)

    def shares(self, values: Mapping[_K, float]) -> dict[_K, float]:
        """How hot each of `values` is drawn: from 0 for nothing to 1 for the largest, and for what is not finite.

        For norms, the logarithm counts, over the decades below the largest.
        """
        largest = max((value for value in values.values() if math.isfinite(value)), default=0.0)
        return {key: self._share(value, largest) for key, value in values.items()}

    def _share(self, value: float, largest: float) -> float:
        if not math.isfinite(value):
            return 1.0
        if not value or not largest:
            return 0.0
        if self.unit == "norm":
            return max(0.0, 1 + (math.log10(value) - math.log10(largest)) / DECADES)
        return value / largest

    def __str__(self) -> str:
        cells = [
            (
                self.format(row.value),
                "" if math.isnan(row.share) else f"{row.share:.1%}",
                row.what,
                row.module,
                row.where,
            )
            for row in self.rows[:SHOWN]
        ]
        widths = [max(map(len, column)) for column in zip(*cells)]
        lines = [f"{self.title}: {'; '.join(self.notes)}" if self.notes else self.title]
        for value, share, *texts in cells:
            aligned = (f"{text:<{width}}" for text, width in zip(texts, widths[2:]))
            lines.append("  ".join((f"{value:>{widths[0]}}", f"{share:>{widths[1]}}", *aligned)).rstrip())
        if len(self.rows) > SHOWN:
            lines.append(f"and {len(self.rows) - SHOWN:,} more")
        return "\n".join(lines) + "\n"


def ranked(rows: Iterable[Row]) -> tuple[Row, ...]:
    """The largest first, and what is not a number before it; equal ones in the order given."""
    return tuple(sorted(rows, key=lambda row: -math.inf if math.isnan(row.value) else -row.value))


def amount(value: float, unit: Unit) -> str:
    """A quantity for people, with two or three digits."""
    if unit == "entries":
        return f"{value:,.0f} {'entry' if value == 1 else 'entries'}"
    if unit == "norm":
        return _number(value)
    scales = PREFIXES[unit]
    factor, name = next((scale for scale in scales if abs(value) < 999.5 * scale[0]), scales[-1])
    scaled = value / factor
    return f"{scaled:.1f}".removesuffix(".0") + f" {name}" if abs(scaled) < 99.95 else f"{scaled:,.0f} {name}"


def _number(value: float) -> str:
    if not math.isfinite(value) or value == 0 or 1e-2 <= abs(value) < 1e3:
        return f"{value:.3g}"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits}e{int(exponent)}"


def evaluated_graph(value: Graph | Program) -> Graph:
    """The graph itself; of a program, the declared one with dropout decided, before any pass makes it smaller."""
    if isinstance(value, Graph):
        return value
    if not isinstance(value, Program):
        raise DrawingError(f"numbers are of a graph or a program, not of a {type_name(value)}")
    stages = (stage.value for stage in value.stages if stage.name == "specialise")
    return next((graph for graph in stages if isinstance(graph, Graph)), value.graph)


def checked_program(name: str, value: object) -> Program:
    """`value` itself. Raises DrawingError for what cannot be run, as the overlay `name` has to."""
    if isinstance(value, Program):
        return value
    problem = f"a {type_name(value)} is not run"
    raise DrawingError(compose(f"overlay {name!r}", problem, remedy="compile it, and ask for that of the program"))


def bound_sizes(graph: Graph, given: Mapping[str, int] | None) -> dict[str, int]:
    """A number for each symbolic size of `graph`: of those not given 32, or another power of 2 if it cannot have that.

    Raises DrawingError for what cannot be.
    """
    given = given or {}
    for name, value in given.items():
        number = as_index(value)
        if name not in graph.symbols:
            choice = f"there are {', '.join(map(repr, graph.symbols))}" if graph.symbols else "all sizes are numbers"
            raise DrawingError(compose("sizes", f"there is no size {brief(name)}; {choice}"))
        if number is None or number < 0:
            raise DrawingError(compose("sizes", f"{name!r} is a whole number of at least 0, not {brief(value)}"))
    needed = _needed(graph)
    best: tuple[dict[str, int], list[Size]] | None = None
    for size in (DEFAULT_SIZE, *OTHER_SIZES):
        sizes = {name: int(given.get(name, size)) for name in graph.symbols}
        missed = [each for each in needed if dims.evaluate(each, sizes) < 0]
        if not missed:
            return sizes
        if best is None or len(missed) < len(best[1]):
            best = sizes, missed
    assert best is not None, "there is a size to try"
    sizes, (size, *_) = best
    node = needed[size]
    taken = sizes_text({name: sizes[name] for name in sorted(dims.symbols_of([size]))})
    problem = f"needs {dims.at_least_zero(size)}, but {taken}"
    remedy = "say how large they are, as in sizes={...}"
    raise DrawingError(compose(node.op.name, problem, where=node.origin.location, remedy=remedy))


def _needed(graph: Graph) -> dict[Size, Node]:
    """Sizes that must not be negative, and may be, each with the first node that needs it."""
    found: dict[Size, Node] = {}
    for node in graph.nodes:
        for size in (*node.type.shape, *node.op.guards(*(x.type for x in node.inputs))):
            if not dims.non_negative(size):
                found.setdefault(size, node)
    return found


def sizes_text(sizes: Mapping[str, int]) -> str:
    """`batch = 32, n = 5`."""
    return ", ".join(f"{name} = {value:,}" for name, value in sizes.items())
