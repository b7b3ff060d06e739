"""Which passes run, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from graphc.ir import Graph
from graphc.passes.cse import cse

__all__ = ["PASSES", "Pass", "PassResult"]

PassResult = tuple[Graph, Mapping[str, int]]


@dataclass(frozen=True)
class Pass:
    """A named function from a graph to a graph, and how often each of its rules fired."""

    name: str
    run: Callable[[Graph], PassResult]


PASSES: tuple[Pass, ...] = (Pass("cse", cse),)
