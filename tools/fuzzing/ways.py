"""Ways to compile a declared graph, which must all agree: each backend, pass, rule, pattern and choice on and off."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from types import ModuleType
from unittest import mock

from graphc.backends.c import NativeExecutable, generate_native, plan_native, source, writer
from graphc.backends.c import plan as native_plan
from graphc.backends.c.check import check as check_native
from graphc.backends.c.layout import Buffer
from graphc.backends.executable import Executable
from graphc.backends.reference import ReferenceExecutable
from graphc.backends.torch_plan import PATTERNS, TorchExecutable, generate, lower
from graphc.backends.torch_plan import source as plan_source
from graphc.dims import Size
from graphc.ir import Graph
from graphc.ir.verify import verify
from graphc.memory import check, plan
from graphc.passes import PASSES, canonicalise
from graphc.passes.cse import cse
from graphc.passes.decompose import decompose
from graphc.passes.pack_updates import pack_updates
from graphc.passes.split_products import split_products
from graphc.schedule import kernels, schedule, schedule_kernels

__all__ = ["PIPELINES", "SWITCHES", "Way", "native_ways", "switched_ways"]

ALL = {
    **{each.name: each.run for each in PASSES},
    "pack_updates": pack_updates,
    "lower": lower,
    "decompose": decompose,
    "split_products": split_products,
    "cse": cse,
}
_FIRST = tuple(each.name for each in PASSES)
PIPELINES: Mapping[str, tuple[str, ...]] = {
    "reference": _FIRST,
    "torch": (*_FIRST, "pack_updates", "lower", "cse"),
    "c": (*_FIRST, "decompose", "split_products", "cse"),
}
"""The passes of `graphc.compile` after `specialise`, by backend."""

NEEDED = "decompose"
"""The one pass that a backend cannot do without."""

RULES = (*(rule.name for rule in canonicalise.RULES), "transpose_of_product")
SWITCHES = (*RULES, *(pattern.name for pattern in PATTERNS))
"""What `without` may name besides passes: the rules of `canonicalise` and the patterns of the torch plan."""

CHOICES: Mapping[str, tuple[ModuleType, ...]] = {
    "LARGEST_BODY": (kernels,),
    "DEEPEST_VIEW": (kernels,),
    "LARGEST_SMALL": (native_plan,),
    "LARGEST_PACKED": (native_plan,),
    "NARROW": (native_plan,),
    "MOST_COPIES": (source,),
    "WORTH_THREADS": (writer, source),
    "PART": (plan_source,),
}
"""Numbers by which graphc chooses how to compute, and the modules that have them."""


@dataclass(frozen=True, repr=False)
class Way:
    """A backend with its passes, without some rules and patterns, and with other numbers to choose by.

    `passes` are names in order, None for all. `threads` is what torch has while it runs.
    """

    backend: str
    passes: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    choices: tuple[tuple[str, int], ...] = ()
    reuse: bool = True
    vector_bytes: int = 64
    threads: int = 1

    def __repr__(self) -> str:
        values = [(each, getattr(self, each.name)) for each in fields(self)[1:]]
        changed = [f"{each.name}={value!r}" for each, value in values if value != each.default]
        return f"Way({', '.join([repr(self.backend), *changed])})"

    def __str__(self) -> str:
        parts = [self.backend if self.backend != "c" else f"c with vectors of {self.vector_bytes} bytes"]
        if self.passes is not None:
            parts.append(f"passes {', '.join(self.passes) or 'none'}")
        if self.without:
            parts.append(f"without {', '.join(self.without)}")
        parts += [f"{name} {value}" for name, value in self.choices]
        parts += ["without reuse"] * (not self.reuse) + [f"{self.threads} threads"] * (self.threads > 1)
        return "; ".join(parts)

    def optimised(self, graph: Graph) -> Graph:
        """`graph` after the passes, verified after each."""
        for name in PIPELINES[self.backend] if self.passes is None else self.passes:
            graph, _ = ALL[name](graph)
            verify(graph, f"after {name}")
        return graph

    def executable(self, graph: Graph) -> Executable:
        """`graph`, which is specialised already, compiled. Memory plans are checked for sizes 0, 1 and 3."""
        with self._switched():
            graph = self.optimised(graph)
            if self.backend == "reference":
                return ReferenceExecutable(graph)
            return self._torch(graph) if self.backend == "torch" else self._native(graph)

    def _torch(self, graph: Graph) -> TorchExecutable:
        steps = schedule(graph, tuple(pattern for pattern in PATTERNS if pattern.name not in self.without))
        places = plan(steps, reuse=self.reuse)
        for size in (0, 1, 3):
            check(steps, places, dict.fromkeys(graph.symbols, size))
        return TorchExecutable(steps, places, generate(steps, places))

    def _native(self, graph: Graph) -> NativeExecutable:
        native = plan_native(schedule_kernels(graph), self.vector_bytes)
        for size in (0, 1, 3):
            check_native(native, dict.fromkeys(graph.symbols, size))
        executable = NativeExecutable(native, generate_native(native))
        executable.build()
        return executable

    @contextmanager
    def _switched(self) -> Iterator[None]:
        with ExitStack() as stack:
            kept = tuple(rule for rule in canonicalise.RULES if rule.name not in self.without)
            stack.enter_context(mock.patch.object(canonicalise, "RULES", kept))
            if "transpose_of_product" in self.without:
                stack.enter_context(mock.patch.object(canonicalise, "_transpose_products", lambda graph: (graph, 0)))
            if not self.reuse:
                stack.enter_context(mock.patch.object(native_plan, "_slots", _apart))
            for name, value in self.choices:
                for module in CHOICES[name]:
                    stack.enter_context(mock.patch.object(module, name, value))
            yield


def _apart(lifetimes: Mapping[Buffer, object]) -> tuple[dict[Buffer, int], tuple[tuple[Size, ...], ...]]:
    """A piece of the workspace for each buffer, as `plan._slots` gives pieces to several."""
    return {buffer: i for i, buffer in enumerate(lifetimes)}, tuple((buffer.nbytes,) for buffer in lifetimes)


def _left_out(name: str, backend: str) -> Way:
    return Way(backend, tuple(each for each in PIPELINES[backend] if each != name))


def switched_ways(choose: random.Random, backend: str) -> Iterator[Way]:
    """Ways for one backend in which something is switched off or done in another order, without end.

    Each pass, rule and pattern has its turn about equally often.
    """
    passes = PIPELINES[backend]
    singles = [*dict.fromkeys(name for name in passes if name != NEEDED), *(SWITCHES if backend == "torch" else RULES)]
    while True:
        match choose.randrange(8):
            case 0:
                yield Way(backend, (NEEDED,) if backend == "c" else ())
            case 1:
                yield Way(backend, without=tuple(choose.sample(SWITCHES, choose.randrange(1, len(SWITCHES)))))
            case 2:
                order = choose.sample(_FIRST, len(_FIRST))
                yield Way(backend, (*order, *passes[len(_FIRST) :]))
            case 3:
                yield Way(backend, without=tuple(SWITCHES))
            case _:
                name = choose.choice(singles)
                yield _left_out(name, backend) if name in passes else Way(backend, without=(name,))


def native_ways(choose: random.Random) -> Iterator[Way]:
    """Ways to generate C for a processor of some kind, with choices of their own, without end."""
    choices = {
        "LARGEST_BODY": (1, 2, 4),
        "DEEPEST_VIEW": (1, 2),
        "LARGEST_SMALL": (0, 16),
        "LARGEST_PACKED": (0, 8),
        "NARROW": (0, 1, 16),
        "MOST_COPIES": (0, 1),
        "WORTH_THREADS": (1,),
    }
    while True:
        chosen = choose.sample(list(choices), choose.choice([0, 0, 0, 1, 1, 3]))
        yield Way(
            "c",
            choices=tuple((name, choose.choice(choices[name])) for name in chosen),
            vector_bytes=choose.choice([16, 32, 64, 64]),
            threads=2 if "WORTH_THREADS" in chosen else 1,
        )
