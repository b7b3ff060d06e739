"""Which passes run, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphc.ir import Graph
from graphc.passes.canonicalise import canonicalise
from graphc.passes.cse import cse
from graphc.passes.dce import dce
from graphc.passes.fold import fold_constants

__all__ = ["PASSES", "Pass", "PassResult"]

PassResult = tuple[Graph, Mapping[str, int]]


@dataclass(frozen=True)
class Pass:
    """A named function from a graph to a graph, and how often each of its rules fired."""

    name: str
    run: Callable[[Graph], PassResult]


PASSES: tuple[Pass, ...] = (
    Pass("canonicalise", canonicalise),
    Pass("fold_constants", fold_constants),
    Pass("cse", cse),
    Pass("dce", dce),
)
