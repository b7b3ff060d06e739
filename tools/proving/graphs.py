"""Random graphs: every backend against eager, passes on and off, reuse of memory on and off, outputs held.

A case builds a graph from its seed and tries one of the aspects of `tools.fuzzing.trial` with it, as generated C, too.
The first op goes through all samples of all ops, so that as many seeds as there are samples have every op with every
dtype; most graphs are small, and some have dozens of nodes. `python tools/fuzz.py` tries all aspects with one graph,
and makes a failure smaller.
"""

from __future__ import annotations

from collections.abc import Mapping

from tools.fuzz import fuzz
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

LARGEST = 24


def _size(seed: int) -> int:
    """From 1 to 6 ops are chosen, for one graph in ten up to LARGEST. Gradients and updates come on top."""
    return 1 + seed // 10 % LARGEST if seed % 10 == 9 else 1 + seed % 6


def _tried(seed: int, aspect: str) -> Mapping[str, int]:
    outcome = fuzz(seed, _size(seed), True, (aspect,))
    if outcome.report:
        raise AssertionError(outcome.report)
    return {"nodes": outcome.nodes, "elements": outcome.elements}


def on_backends(seed: int) -> Mapping[str, int]:
    """Values, updates and gradients on each backend, for several sizes, against eager torch and torch.autograd."""
    return _tried(seed, "backends")


def with_passes(seed: int) -> Mapping[str, int]:
    """With passes, rules and patterns switched off and in other orders, for plans of torch calls and generated C."""
    return _tried(seed, "passes")


def with_reuse(seed: int) -> Mapping[str, int]:
    """The checker of memory plans; with and without reuse, and with poisoned buffers, to the bit."""
    return _tried(seed, "reuse")


def held(seed: int) -> Mapping[str, int]:
    """The outputs of 20 calls are held, and then overwritten; the bytes that inputs are read from are hashed."""
    return _tried(seed, "held")


PROOFS = (
    Proof("graphs", 1, "graphs", 10_000, 8, on_backends),
    Proof("passes", 3, "graphs", 500, 4, with_passes),
    Proof("reuse", 4, "graphs", 500, 4, with_reuse),
    Proof("held", 5, "graphs", 500, 6, held),
)
