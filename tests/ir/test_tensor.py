"""The handle: what it tells, what Python and other libraries may do with it, and what it refuses to be."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import DTypeError, SymbolicValueError, Tensor
from graphc.ir import is_number, is_tensor_like
from tests.judge import assert_same, values_of

x = graphc.placeholder("x", (2, 3))
LINE = r"built at tests/ir/test_tensor.py:\d+"


def test_attributes() -> None:
    y = graphc.placeholder("y", ("n", 3), torch.float64)
    (n, _) = y.shape
    assert (str(y.type), y.dtype, y.ndim, y.dim()) == ("f64[n,3]", torch.float64, 2, 2)
    assert y.numel() == 3 * n
    assert y.size() == y.shape
    assert y.size(-1) == 3
    assert [each.node for each in (x * x).inputs] == [x.node, x.node]
    assert len(x) == 2
    assert repr(x).startswith("<symbolic placeholder : f32[2,3], built at tests/ir/test_tensor.py:")


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow", "matmul", "eq", "ne", "lt", "le", "gt", "ge"])
def test_torch_and_numpy_operands_on_either_side(name: str) -> None:
    """A tensor with values becomes a constant; the result is symbolic and has torch's value."""
    f = getattr(operator, name)
    values = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    s = graphc.placeholder("s", (2, 2))
    for other in (values + 1, (values + 1).numpy()):
        for left, right in ((s, other), (other, s)):
            result = f(left, right)
            assert isinstance(result, Tensor)
            expected = f(values, values + 1) if left is s else f(values + 1, values)
            assert_same(values_of([result], [s], [values])[0], expected)


def test_numpy_numbers_are_numbers() -> None:
    assert (x * numpy.float64(2)).dtype is torch.float32
    assert (numpy.float64(2) * x).dtype is torch.float32
    assert (numpy.float64(2) - x).dtype is torch.float32
    assert (x + numpy.int64(1)).dtype is torch.float32


def test_comparison_with_what_is_no_tensor_is_pythons() -> None:
    """As for torch's tensors: None and texts are not equal to a tensor, and that is no error."""
    assert (x == None) is False  # noqa: E711 - what is tested
    assert (x != None) is True  # noqa: E711 - what is tested
    assert (x == "x") is False
    assert isinstance(x == 1, Tensor)
    assert isinstance(x == x, Tensor)


def test_handles_are_hashed_by_identity() -> None:
    names = {x: "x", x * 2.0: "y"}
    assert names[x] == "x"
    assert len(names) == 2


def test_kinds() -> None:
    scalars = (numpy.float64(1), numpy.float32(1), numpy.uint8(1), numpy.bool_(True))
    for value in (True, 1, 1.5, *scalars, x.shape[0], graphc.placeholder("z", ("n",)).shape[0]):
        assert is_number(value)
        assert is_tensor_like(value)
    for value in (x, torch.ones(1), numpy.ones(1), numpy.array(1)):
        assert not is_number(value)
        assert is_tensor_like(value)
    for nothing in (None, "1", 1j, [1.0], object()):
        assert not is_tensor_like(nothing)


NO_VALUE: dict[str, Callable[[], Any]] = {
    "bool()": lambda: bool(x > 0),
    "float()": lambda: float(x.sum()),
    "int()": lambda: int(x.sum()),
    "index": lambda: [1, 2][x],  # type: ignore[call-overload]
    "item()": lambda: x.sum().item(),
    "numpy()": lambda: x.numpy(),
    "tolist()": lambda: x.tolist(),
    "in": lambda: 1.0 in x,
    "conversion to a NumPy array": lambda: numpy.asarray(x),
}


@pytest.mark.parametrize("what", NO_VALUE)
def test_has_no_value_yet(what: str) -> None:
    text = (
        rf": <symbolic .*, {LINE}> has no value yet: graphs are declared first and run after; {LINE}. Compile it with "
    )
    with pytest.raises(SymbolicValueError, match=text) as caught:
        NO_VALUE[what]()
    assert str(caught.value).startswith(what + ":")


@pytest.mark.parametrize(
    ("misuse", "text"),
    [
        (
            lambda: list(x),
            r"^iteration: <symbolic .* cannot be iterated: nothing has run yet; built at .*Index it \(x\[0\]",
        ),
        (
            lambda: max(x),
            r"^iteration: <symbolic .* cannot be iterated: nothing has run yet; built at .*Index it \(x\[0\]",
        ),
        (
            lambda: operator.setitem(x, 0, 1.0),
            r"^item assignment: symbolic tensors are immutable, in item assignment.*; built.*graphc.where or g",
        ),
        (
            lambda: x.sum().backward(),
            r"^backward\(\): gradients are graph, too, in backward.*; built at .*Use graphc.grad\(loss, wrt=",
        ),
        (
            lambda: len(x.sum()),
            r"^len\(\): a 0-d tensor has no length, in len\(\)\(f32\[\]\)|^len\(\): a 0-d tensor has",
        ),
        (
            lambda: torch.tanh(x),
            r"^torch.tanh: torch computes at once, and a symbolic tensor has no value.*Use graphc.tanh$",
        ),
        (
            lambda: torch.cat([torch.ones(1), x]),
            r"^torch.cat: torch computes at once, .*; built at .*. Use graphc.cat$",
        ),
        (
            lambda: torch.nn.functional.hardtanh(x),
            r"^torch.hardtanh: torch computes at once, .*. Use graphc's functions and layers",
        ),
        (
            lambda: torch.nn.functional.mse_loss(x, x),
            r"^torch.mse_loss: torch computes at once, .*built at tests/ir/.*:\d+",
        ),
        (lambda: torch.ones(2).add(x), r"^torch.add: torch computes at once, and a symbolic tensor.*. Use graphc.add$"),
        (
            lambda: torch.nn.Linear(3, 2)(x),
            r"^torch.linear: torch computes at once, .*. Use graphc.nn.Linear, which torch.nn.Linear is not",
        ),
    ],
)
def test_misuse(misuse: Callable[[], Any], text: str) -> None:
    with pytest.raises(SymbolicValueError, match=text) as caught:
        misuse()
    assert "built at tests/ir/test_tensor.py:" in str(caught.value)


def test_symbolic_values_are_type_errors_too() -> None:
    """For callers that try, such as NumPy's printing or a debugger."""
    with pytest.raises(TypeError, match="no value yet"):
        float(x.sum())
    assert not hasattr(x, "detach")
    assert copy.copy(x).node is x.node


@pytest.mark.parametrize(
    "value", ["2", None, [1.0], 1j, {}, object()], ids=["str", "None", "list", "complex", "dict", "object"]
)
def test_operands_that_are_no_tensors(value: Any) -> None:
    text = rf"^add: an operand is .*, of type {type(value).__name__}; {LINE}. Operands are symbolic"
    with pytest.raises(DTypeError, match=text):
        x + value
