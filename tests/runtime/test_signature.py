"""The door of a program: how sizes are bound and checked, which values are taken, and what the errors say."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import CompileError, InputError, Tensor
from graphc.runtime.signature import Signature
from tests.judge import Array, assert_same, graph_of

CPU = torch.device("cpu")


def signature_of(*inputs: Tensor) -> Signature:
    return Signature.of(graph_of(inputs, inputs))


def bound(inputs: list[Tensor], *shapes: tuple[int, ...]) -> dict[str, int]:
    return signature_of(*inputs).bind([torch.zeros(shape) for shape in shapes])


# Sizes ----------------------------------------------------------------------------------------------------------------


def test_names_are_bound_and_shared() -> None:
    x, y = graphc.placeholder("x", ("batch", "features")), graphc.placeholder("y", ("batch", 1))
    assert bound([x, y], (3, 2), (3, 1)) == {"batch": 3, "features": 2}
    assert bound([x, y], (0, 0), (0, 1)) == {"batch": 0, "features": 0}
    text = r"^input 'y' has size 4 in dimension 0, expected batch of f32\[batch,1\], where batch is 3 by input 'x'; dec"
    with pytest.raises(InputError, match=text):
        bound([x, y], (3, 2), (4, 1))
    with pytest.raises(
        InputError, match=r"^input 'y' has size 2 in dimension 1, expected 1 of f32\[batch,1\]; declared "
    ):
        bound([x, y], (3, 2), (3, 2))


def test_one_name_twice_in_one_input() -> None:
    x = graphc.placeholder("x", ("n", "n"))
    assert bound([x], (3, 3)) == {"n": 3}
    with pytest.raises(
        InputError, match=r"^input 'x' has size 2 in dimension 1, expected n of f32\[n,n\], where n is 3 by"
    ):
        bound([x], (3, 2))


def test_derived_sizes_are_checked() -> None:
    x = graphc.placeholder("x", ("n", "m"))
    total = graphc.cat([x, x]).flatten()
    y = graphc.placeholder("y", total.shape)
    assert str(y.type) == "f32[2*m*n]"
    assert bound([x, y], (3, 2), (12,)) == {"n": 3, "m": 2}
    assert bound([y, x], (0,), (3, 0)) == {"n": 3, "m": 0}
    text = r"^input 'y' has size 11 in dimension 0, expected 2\*m\*n of f32.*, where m is 2 by input 'x' and n is 3 by"
    with pytest.raises(InputError, match=text):
        bound([x, y], (3, 2), (11,))


def test_sizes_are_solved_for() -> None:
    """A derived size determines the last name in it that nothing else does, when it is linear in it."""
    n, m = graphc.placeholder("x", ("n", "m")).shape
    assert bound([graphc.placeholder("y", (2 * n + 1,))], (7,)) == {"n": 3}
    assert bound([graphc.placeholder("y", (n * m,)), graphc.placeholder("z", (m - 1,))], (12,), (3,)) == {
        "n": 3,
        "m": 4,
    }
    with pytest.raises(
        InputError, match=r"^input 'y' has size 6 in dimension 0, expected 2\*n \+ 1 .*, and no n makes it"
    ):
        bound([graphc.placeholder("y", (2 * n + 1,))], (6,))
    with pytest.raises(InputError, match=r"^input 'y' has size 0 in dimension 0, expected n - 5 of|no n makes it so"):
        bound([graphc.placeholder("y", (2 * n + 5,))], (1,))
    inputs = [graphc.placeholder("y", (n * m,)), graphc.placeholder("z", (m,))]
    with pytest.raises(
        InputError, match=r"expected m\*n of f32\[m\*n\], and no n makes it so, where m is 0 by input 'z'"
    ):
        bound(inputs, (3,), (0,))


def test_undetermined_size() -> None:
    n, m = graphc.placeholder("x", ("n", "m")).shape
    for shape in ((n * m,), (n * n,), (n + m,)):
        y = graphc.placeholder("y", shape)
        with pytest.raises(
            CompileError, match=r"^compile: size '[nm]' is not determined by any input; pass the .* are y"
        ):
            graphc.compile([y], y * 2.0, backend="reference")
    y = graphc.placeholder("y", (3,))
    with pytest.raises(
        CompileError, match=r"^compile: size 'n' is not determined by any input; pass .*inputs are y\)$"
    ):
        graphc.compile([y], y * n, backend="reference")


def test_guards() -> None:
    """A slice needs its elements: batch = 2 has no x[3:]."""
    x = graphc.placeholder("x", ("batch", 4))
    program = graphc.compile([x], x[3:].sum(0), backend="reference")
    assert_same(program(torch.ones(5, 4)), torch.full((4,), 2.0))
    assert_same(program(torch.ones(3, 4)), torch.zeros(4))
    with pytest.raises(
        InputError, match=r"^slice: needs batch >= 3, but batch = 2; built at tests/.*\d\. Give another number of rows"
    ):
        program(torch.ones(2, 4))
    both = graphc.compile([x], x[2:-2], backend="reference")
    with pytest.raises(InputError, match=r"^slice: needs batch >= 4, but batch = 3; built at "):
        both(torch.ones(3, 4))
    assert both(torch.ones(4, 4)).shape == (0, 4)


def test_guard_on_a_size_that_may_be_negative() -> None:
    x, y = graphc.placeholder("x", ("n",)), graphc.placeholder("y", ("m",))
    (n,), (m,) = x.shape, y.shape
    program = graphc.compile([x, y], graphc.constant(1.0).expand(n - m), backend="reference")
    assert program(torch.ones(3), torch.ones(1)).shape == (2,)
    with pytest.raises(InputError, match=r"^broadcast: needs n >= m, but m = 3, n = 1; built at "):
        program(torch.ones(1), torch.ones(3))


def test_symbolic_size_as_a_number() -> None:
    x = graphc.placeholder("x", ("batch",))
    (batch,) = x.shape
    program = graphc.compile([x], [x.sum() / batch, x * batch + batch, batch - x, batch / (x + 1)], backend="reference")
    for size in (1, 5):
        x0 = torch.arange(float(size))
        expected = [x0.sum() / size, x0 * size + size, size - x0, size / (x0 + 1)]
        for actual, each in zip(program(x0), expected, strict=True):
            assert_same(actual, each)


def test_squeeze_of_symbolic_size() -> None:
    x = graphc.placeholder("x", (1, "batch", 1))
    with pytest.raises(graphc.ShapeError, match="cannot decide whether dimension 1 of size batch is 1"):
        x.squeeze()
    assert str(x.squeeze(0).type) == "f32[batch,1]"
    with pytest.raises(
        graphc.ShapeError,
        match=r"^squeeze: cannot decide whether dimension 1 of size batch is 1, in .*Name the dimensions to drop",
    ):
        x.squeeze(1)


def test_two_names_for_one_size() -> None:
    x, y = graphc.placeholder("x", ("n", 2)), graphc.placeholder("y", ("m", 2))
    text = r"^add: in dimension -2, cannot decide whether n == m: .*\. Sizes that are always equal have the same name"
    with pytest.raises(graphc.ShapeError, match=text):
        x + y
    with pytest.raises(
        graphc.ShapeError, match=r"^mul: in dimension -2, cannot decide whether n == 3: .*, in f32\[n,2\] \* f32\[3,2\]"
    ):
        x * torch.ones(3, 2)
    with pytest.raises(
        graphc.ShapeError, match=r"^reshape: cannot decide whether 2\*n == 2\*m: .*, in reshape\(f32\[n,2\]"
    ):
        x.reshape(y.shape)
    with pytest.raises(
        graphc.ShapeError, match=r"^cat: cannot decide whether n == m: .*, in cat\(f32\[n,2\], f32\[m,2\]"
    ):
        graphc.cat([x, y], 1)
    assert str(graphc.cat([x, y]).type) == "f32[n+m,2]" or str(graphc.cat([x, y]).type) == "f32[m+n,2]"


def test_unused_input_is_checked() -> None:
    x, y = graphc.placeholder("x", ("n",)), graphc.placeholder("unused", (3,))
    program = graphc.compile([x, y], x * 2.0, backend="reference")
    with pytest.raises(
        InputError, match=r"^input 'unused' has size 2 in dimension 0, expected 3 of f32\[3\]; declared"
    ):
        program(torch.ones(1), torch.ones(2))


# Values ---------------------------------------------------------------------------------------------------------------


def layouts(x: Array) -> list[Any]:
    """x in many forms that a program takes."""
    big = torch.zeros(2 * x.shape[0] + 1, 2 * x.shape[1] + 1, dtype=x.dtype)
    big[1::2, 1::2] = x
    read_only = x.numpy().copy()
    read_only.flags.writeable = False
    return [
        x.t().contiguous().t(),
        big[1::2, 1::2],
        x.clone().requires_grad_(),
        torch.nn.Parameter(x.clone()),
        x.numpy(),
        x.numpy()[::-1, ::-1].copy()[::-1, ::-1],
        read_only,
        numpy.asfortranarray(x.numpy()),
    ]


def test_every_layout_is_taken_and_left_alone() -> None:
    x = graphc.placeholder("x", ("n", "m"))
    program = graphc.compile([x], (x * 2.0).T, backend="reference")
    array = torch.arange(6.0).reshape(2, 3)
    for given in layouts(array):
        held = given.detach().numpy() if isinstance(given, Array) else given
        before = held.copy()
        assert_same(program(given), (array * 2).t())
        assert numpy.array_equal(held, before)
    expanded = torch.ones(1, 3).expand(4, 3)
    assert_same(program(expanded), torch.full((3, 4), 2.0))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            torch.ones(2, 3).double(),
            r"is f64\[2,3\], expected f32\[n,3\]: nothing is cast silently; declared .*Convert it w",
        ),
        (
            numpy.ones((2, 3)),
            r"is f64\[2,3\], expected f32\[n,3\]: nothing is cast silently; declared at .*to\(torch.float32",
        ),
        (torch.ones(2, 3).to(torch.complex64), r"is torch.complex64\[2,3\], expected f32\[n,3\]: nothing is cast"),
        (
            torch.ones(3),
            r"is f32\[3\], expected f32\[n,3\]: 1 dimensions, not 2; declared at .*\d\. Add one .*\.unsqueeze\(0\)",
        ),
        (
            torch.ones(2, 4),
            r"has size 4 in dimension 1, expected 3 of f32\[n,3\]; declared at .*\d\. Inputs are given in the order",
        ),
        (
            torch.ones(2, 3).to_sparse(),
            r"is sparse, torch.sparse_coo, expected a dense tensor; declared at .*Use .to_dense\(\)",
        ),
        (
            torch.ones(2, 3, device="meta"),
            r"is on meta, the program's state on cpu; declared at .*. Move one with .to\(",
        ),
        (
            [[1.0, 2.0, 3.0]],
            r"is list, expected f32\[n,3\]; declared at .*. Give a torch tensor, such as .*, or anything with __array",
        ),
        (
            1.0,
            r"is float, expected f32\[n,3\]; declared at .*. Give a torch tensor, .*, or anything with __array__",
        ),
        (
            None,
            r"is NoneType, expected f32\[n,3\]; declared at .*. Give a torch tensor, .*, or anything with __array__",
        ),
        (
            graphc.placeholder("y", (2, 3)),
            r"is graphc.Tensor, expected f32\[n,3\]; declared at .*. Give a torch tensor",
        ),
        (
            numpy.array([["a"]]),
            r"is numpy.ndarray of dtype <U1, which cannot be read as a tensor, expected .*numpy.str_.*; declared at",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused_values(value: Any, problem: str) -> None:
    x = graphc.placeholder("x", ("n", 3))
    program = graphc.compile([x], x * 2.0, backend="reference")
    with pytest.raises(InputError, match=rf"^input 'x' {problem}"):
        program(value)


def test_wrong_number_of_inputs() -> None:
    x, y = graphc.placeholder("x", (1,)), graphc.placeholder("y", (1,))
    program = graphc.compile([x, y], x + y, backend="reference")
    for arrays in ((), (torch.ones(1),), (torch.ones(1),) * 3):
        with pytest.raises(InputError, match=rf"^{len(arrays)} inputs given, the program takes 2: x, y\."):
            program(*arrays)


def test_scalar_inputs() -> None:
    x = graphc.placeholder("x", ())
    program = graphc.compile([x], x * 2.0, backend="reference")
    assert program(torch.tensor(3.0)).item() == 6
    assert program(numpy.float32(3)).item() == 6


def test_sizes_have_to_fit_what_was_declared(backend: str) -> None:
    """Whatever passes make of it: the first of n equal numbers is that number, if there is one."""
    x, c = graphc.placeholder("x", ("n",)), graphc.placeholder("c", ())
    program = graphc.compile([x, c], c.broadcast_to(x.shape)[0], backend=backend)
    assert program(torch.ones(3), torch.tensor(5.0)).item() == 5
    with pytest.raises(InputError, match=r"^slice: needs n >= 1, but n = 0; built at "):
        program(torch.ones(0), torch.tensor(5.0))
