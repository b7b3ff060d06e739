"""What a proof is: a promise, and many cases that would break it if it could be broken."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Proof", "proofs"]


@dataclass(frozen=True)
class Proof:
    """A promise of docs/promises.md, by its number, and how many cases are tried for it.

    `case` is a function of a module, which tries one case from its seed: it raises when the promise is broken, and may
    return counts, which are added up. Cases that are numbered (each op, each file) take the seed modulo their number.
    """

    name: str
    """On the command line: lower case, words joined by hyphens."""
    promise: int
    unit: str
    """What is counted, in the plural."""
    full: int
    """How many cases are the full figure."""
    quick: int
    """How many of them `make test` tries; 0 if other tests do that."""
    case: Callable[[int], Mapping[str, int] | None]
    alone: bool = False
    """Cases load the machine or measure it, and run one at a time."""
    limit: float = 120.0
    """Seconds after which a case counts as hung."""


def proofs() -> dict[str, Proof]:
    """All proofs by name, in the order of their promises."""
    folder = Path(__file__).parent
    found: list[Proof] = []
    for module in pkgutil.iter_modules([str(folder)]):
        found += getattr(importlib.import_module(f"tools.proving.{module.name}"), "PROOFS", ())
    return {proof.name: proof for proof in sorted(found, key=lambda proof: (proof.promise, proof.name))}
