"""From a graph to something that runs: the reference (node by node, the judge), the torch plan (generated Python)."""

from __future__ import annotations
