"""Packs: what they refuse. The contract tests have the rest."""

from __future__ import annotations

import pytest

import graphc
from graphc import ShapeError
from graphc.ir import apply
from graphc.ops import Pack


def test_symbolic_sizes_are_refused() -> None:
    x, y = graphc.placeholder("x", (3,)), graphc.placeholder("y", ("n", 2))
    with pytest.raises(ShapeError, match=r"packs tensors whose sizes are numbers, not f32\[n,2\]"):
        apply(Pack(), x, y)
