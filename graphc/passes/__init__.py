"""Passes: pure functions from graph to graph."""

from __future__ import annotations

from graphc.passes.pipeline import PASSES, Pass, PassResult

__all__ = ["PASSES", "Pass", "PassResult"]
