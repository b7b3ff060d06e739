"""Leaks: what a process holds does not grow, however many programs it compiles and runs.

All cases of a proof run in one process. Each compiles programs that nobody has compiled before, uses them and drops
them, or does 1 of everything else: a call with other sizes, a State, a run, a saved graph, an error. After some cases
for warming up, memory, descriptors, mappings, threads, and entries of the tables that Python keeps have to stay where
they are.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import linecache
import os
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch

import graphc
from graphc import GraphcError, nn, optim
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
WARMING_UP = 60
"""Cases after which nothing grows any more: what is made once is made."""
EVERY = 20
"""Cases from one look to the next; each takes a garbage collection."""
GROWTH = 8 << 20
"""Bytes of memory by which a process may differ from before: free memory of allocators comes and goes by so much."""


@dataclass
class Held:
    """What a process holds. `counts` may not grow at all."""

    memory: int
    counts: dict[str, int]

    @staticmethod
    def now() -> Held:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # free memory is not held
        folder = Path(os.environ.get("GRAPHC_CACHE_DIR", tempfile.gettempdir()))
        counts = {
            "objects": len(gc.get_objects()) // 1000,
            "modules": len(sys.modules),
            "source files": len(linecache.cache),
            "threads": threading.active_count(),
            "unfinished compilations": len(list(folder.glob("compiling-*"))),
        }
        memory = 0
        if Path("/proc/self").exists():
            counts["descriptors"] = len(os.listdir("/proc/self/fd"))
            counts["mappings of files"] = len({line.split(None, 5)[5] for line in _mappings() if line.count("/")})
            counts["mappings"] = len(_mappings()) // 10
            memory = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return Held(memory, counts)


def _mappings() -> list[str]:
    return Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()


@dataclass
class Watch:
    """Looks at what this process holds, case by case, against what it held when it was warm."""

    cases: int = 0
    first: Held | None = None
    last: Held | None = field(default=None)

    def look(self) -> dict[str, int]:
        """After a case. Raises AssertionError for what has grown."""
        self.cases += 1
        if self.cases < WARMING_UP or self.cases % EVERY:
            return {}
        self.last = Held.now()
        if self.first is None:
            self.first = self.last
            return {}
        for name, count in self.last.counts.items():
            before = self.first.counts[name]
            slack = 1 if name in ("objects", "mappings") else 0
            assert count <= before + slack, f"{name}: {before} after {WARMING_UP} cases, {count} after {self.cases}"
        grown = self.last.memory - self.first.memory
        assert grown < GROWTH, f"memory: {grown / 1e6:.1f} MB more after {self.cases} cases than after {WARMING_UP}"
        return {"looks": 1}


@cache
def watch(name: str) -> Watch:
    return Watch()


@contextlib.contextmanager
def quickly_compiled() -> Iterator[None]:
    """C without optimisation: what is compiled is no less a library."""
    before = os.environ.get("GRAPHC_CFLAGS")
    os.environ["GRAPHC_CFLAGS"] = "-O0"
    try:
        yield
    finally:
        if before is None:
            del os.environ["GRAPHC_CFLAGS"]
        else:
            os.environ["GRAPHC_CFLAGS"] = before


# Compilations ---------------------------------------------------------------------------------------------------------


def compilations(seed: int) -> dict[str, int]:
    """Both generated backends, of a network of its own."""
    width, factor = 1 + seed % 37, 1.0 + seed * 2.0**-20
    with quickly_compiled():
        for backend in ("c", "torch"):
            x, net, loss = network(width, factor)
            updates = optim.Adam(net.parameters(), lr=0.01 + seed * 2.0**-30).minimize(loss)
            program = graphc.compile([x], loss, updates, backend=backend)
            data = torch.ones(5, 2)
            program(data)
            program.fit(data, batch_size=2, epochs=2, validation=[data] if seed % 5 == 0 else None)
            gone = weakref.ref(program)
            del x, net, loss, updates, program
            if seed % EVERY == 0:
                gc.collect()
                assert gone() is None, "a program stays"
    return {"programs": 2, **watch("compilations").look()}


def network(width: int, factor: float) -> tuple[graphc.Tensor, nn.Sequential, graphc.Tensor]:
    x = graphc.placeholder("x", ("batch", 2))
    net = nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))
    return x, net, (net(x) * factor).square().mean()


# Runs -----------------------------------------------------------------------------------------------------------------


@cache
def program(backend: str) -> graphc.Program:
    x, net, loss = network(9, 1.0)
    updates = optim.SGD(net.parameters(), lr=0.01, momentum=0.9).minimize(loss)
    return graphc.compile([x], {"loss": loss, "y": net(x)}, updates, backend=backend)


def other_sizes(seed: int, backend: str) -> None:
    """As many as have come when the process is warm: a program remembers some hundreds."""
    program(backend)(torch.ones(seed % (WARMING_UP // 2), 2))


def states(seed: int, backend: str) -> None:
    trained, data = program(backend), torch.ones(7, 2)
    for state in (trained.new_state(), trained.new_state(seed=seed), trained.state.copy()):
        trained(data, state=state)
        trained.fit(data, batch_size=3, epochs=1, state=state)


def saved(seed: int, backend: str) -> None:
    graph = program(backend).graph
    assert graphc.Graph.from_json(graph.to_json()).to_python() == graph.to_python()
    assert graph.to_networkx()


def errors(seed: int, backend: str) -> None:
    trained, data = program(backend), torch.ones(7, 2)

    def stopped(epoch: graphc.Epoch) -> None:
        raise KeyError("from a callback")

    x = graphc.placeholder("x", ("n", 2))
    mistakes: list[Callable[[], object]] = [
        lambda: trained(torch.ones(7, 3)),
        lambda: trained.fit(data, batch_size=0, epochs=1),
        lambda: trained.fit(data, batch_size=2, epochs=3, on_epoch=stopped),
        lambda: x @ torch.ones(3, 3),
        lambda: graphc.compile([x], x.sum(), backend="none"),
        lambda: graphc.Graph.from_json("{"),
        lambda: trained.state["none"],
    ]
    for mistake in mistakes:
        try:
            mistake()
        except (GraphcError, KeyError):
            continue
        raise AssertionError("a mistake was let through")


def sweeps(seed: int, backend: str) -> None:
    if seed % 10 == 0:
        data = torch.ones(7, 2)
        runs = [graphc.Run(program(backend), data, batch_size=3, epochs=2, seed=each) for each in range(3)]
        assert len(graphc.Sweep(runs).fit(workers=2)) == 3


def runs(seed: int) -> dict[str, int]:
    for backend in ("c", "torch", "reference"):
        for what in (other_sizes, states, saved, errors, sweeps):
            what(seed, backend)
    return watch("runs").look()


PROOFS = (
    Proof("leaks", promise=25, unit="compilations", full=2000, quick=0, case=compilations, alone=True),
    Proof("leaks-of-runs", promise=25, unit="rounds", full=2000, quick=0, case=runs, alone=True),
)
