"""What is said of attributes that are not there."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch

import graphc
from graphc import nn, optim
from graphc.ir.elsewhere import (
    EPOCHS_ELSEWHERE,
    FUNCTIONS_ELSEWHERE,
    LAYERS_ELSEWHERE,
    METHODS_ELSEWHERE,
    MODULES_ELSEWHERE,
    OPTIMIZERS_ELSEWHERE,
    PROGRAMS_ELSEWHERE,
    UFUNCS,
    missing,
)
from graphc.ir.tensor import FUNCTIONS


@pytest.mark.parametrize(
    ("there", "texts"),
    [
        (graphc, FUNCTIONS_ELSEWHERE),
        (nn, LAYERS_ELSEWHERE),
        (optim, OPTIMIZERS_ELSEWHERE),
        (nn.Module, MODULES_ELSEWHERE),
        (graphc.Epoch(1, {}, graphc.State([])), EPOCHS_ELSEWHERE),
    ],
)
def test_what_is_there_is_not_elsewhere(there: object, texts: Mapping[str, str]) -> None:
    assert not [name for name in texts if name and name in dir(there)]


def test_attributes_that_can_only_be_set_wrongly() -> None:
    """`requires_grad` of a symbol, and what a program was compiled as: the texts are for those who set them."""
    assert {name for name in METHODS_ELSEWHERE if name in dir(graphc.Tensor)} <= {"requires_grad"}
    assert {name for name in PROGRAMS_ELSEWHERE if name in dir(graphc.Program)} <= {"backend"}


def test_operators_of_numpy() -> None:
    assert set(UFUNCS.values()) <= set(FUNCTIONS)


def test_missing() -> None:
    texts = {"old": "use new", "": "there are few"}
    assert str(missing("it", "old", ["older"], texts)) == "it has no attribute 'old': use new"
    assert str(missing("it", "tahn", ["tanh", "sinh"], texts)) == "it has no attribute 'tahn'; did you mean 'tanh'?"
    assert str(missing("it", "TANH", ["tanh"], {})) == "it has no attribute 'TANH'; did you mean 'tanh'?"
    assert str(missing("it", "zebra", ["tanh"], texts)) == "it has no attribute 'zebra': there are few"
    assert str(missing("it", "zebra", ["tanh"], {})) == "it has no attribute 'zebra'"
    assert str(missing("it", "_private", ["private"], {})) == "it has no attribute '_private'"


def test_what_is_made_of_other_functions() -> None:
    """The formulas that are told give what torch gives."""
    x, c = graphc.placeholder("x", ("n", 3)), graphc.placeholder("c", ("n",), torch.int64)
    values, classes, k = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, 0.0]]), torch.tensor([2, 0]), 3
    outputs = [
        x.square().sum().sqrt(),
        x.abs().sum(),
        (x - x.mean()).square().mean(),
        (x - x.mean()).square().mean().sqrt(),
        x @ torch.ones(k, k).triu(),
        (c.unsqueeze(-1) == torch.arange(k)).to(torch.float32),
    ]
    expected = [
        values.norm(),
        values.norm(1),
        values.var(correction=0),
        values.std(correction=0),
        values.cumsum(1),
        torch.nn.functional.one_hot(classes, k).to(torch.float32),
    ]
    for found, theirs in zip(graphc.compile([x, c], outputs)(values, classes), expected, strict=True):
        torch.testing.assert_close(found, theirs)
    for name in ("norm", "std", "var", "cumsum"):
        assert FUNCTIONS_ELSEWHERE[name] == METHODS_ELSEWHERE[name]


def test_asking_is_harmless() -> None:
    """Libraries ask for attributes that are not there, and expect Python's answer."""
    x = graphc.placeholder("x", (2,))
    for name in ("__array_interface__", "__torch_dispatch__", "_ipython_canary", "nothing", "grad"):
        assert not hasattr(x, name)
        assert getattr(x, name, None) is None
    assert not hasattr(graphc, "sort")
    assert not hasattr(nn, "Conv2d")
    layer = nn.Linear(2, 1)
    assert not hasattr(layer, "nothing")
    program = graphc.compile([x], layer(x), backend="reference")
    assert not hasattr(program, "loss")
    half_made = graphc.Tensor.__new__(graphc.Tensor)
    with pytest.raises(AttributeError, match=r"^node$"):
        half_made.node  # noqa: B018 - asking is the test


def test_arrays_on_the_left() -> None:
    """NumPy's operators build graph, and its other functions say what to use."""
    numpy = pytest.importorskip("numpy")
    x = graphc.placeholder("x", (2,))
    values, given = numpy.array([1.0, 2.0], dtype="float32"), torch.tensor([4.0, 8.0])
    for build in (
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: a**b,
        lambda a, b: a < b,
        lambda a, b: a == b,
        lambda a, b: a @ b,
    ):
        found = graphc.compile([x], build(values, x), backend="reference")(given)
        torch.testing.assert_close(found, build(torch.from_numpy(values), given))
    with pytest.raises(graphc.SymbolicValueError, match=r"^numpy\.sin: numpy computes at once, .* Use graphc\.sin$"):
        numpy.sin(x)
    with pytest.raises(graphc.SymbolicValueError, match=r"^numpy\.add: numpy computes at once"):
        values += x
