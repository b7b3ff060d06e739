"""What may be copied and pickled: graphs are shared, States copied, programs neither."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest
import torch

import graphc
from graphc import nn


def deep(length: int = 1500) -> tuple[graphc.Tensor, graphc.Program]:
    """Deeper than Python recurses."""
    x = graphc.placeholder("x", ("n",))
    y = x + graphc.Parameter(torch.ones(()), name="p")
    for _ in range(length):
        y = y + 1.0
    return y, graphc.compile([x], y, backend="reference")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_graphs_are_shared(copied: Callable[[object], object]) -> None:
    y, program = deep()
    for original in (y.node, y, program.graph):
        twin = copied(original)
        assert type(twin) is type(original)
    assert copied(y.node) is y.node
    assert copied(y).node is y.node  # type: ignore[attr-defined]
    assert copied(program.graph).nodes == program.graph.nodes  # type: ignore[attr-defined]


def test_graphs_are_not_pickled() -> None:
    y, program = deep()
    for each in (y.node, y, program.graph, graphc.Parameter(torch.ones(2)), nn.Linear(2, 2)):
        with pytest.raises((TypeError, AttributeError), match=r"graphs are not pickled.* Graph\.save|pickle"):
            pickle.dumps(each)


@pytest.mark.parametrize("backend", ["c", "torch", "reference"])
def test_programs_are_neither_copied_nor_pickled(backend: str) -> None:
    x = graphc.placeholder("x", ("n",))
    program = graphc.compile([x], x + 1.0, backend=backend)
    program(torch.ones(2))
    for each in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"neither copied nor pickled. program\.new_state\(\)"):
            each(program)


def test_libraries_are_not_copied() -> None:
    x = graphc.placeholder("x", ("n",))
    executable = graphc.compile([x], x + 1.0, backend="c")._executable
    with pytest.raises(TypeError, match="a loaded library cannot be copied"):
        copy.deepcopy(executable)


def test_a_deep_copy_of_a_state_is_independent() -> None:
    p = graphc.Parameter(torch.ones(2), name="p")
    program = graphc.compile([], p.sum(), {p: p + 1.0}, backend="reference")
    for original in (program.state, program.new_state()):
        twin = copy.deepcopy(original)
        before = original["p"].clone()
        program(state=twin)
        assert torch.equal(original["p"], before)
        assert torch.equal(twin["p"], before + 1.0)
