"""Linear against torch.nn.Linear: initial values to the bit, results and gradients in float64; and its errors."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import CompileError, DTypeError, ShapeError, nn


@pytest.mark.parametrize("sizes", [(2, 25), (784, 10), (3, 1), (1, 4)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [None, torch.float32, torch.float64])
def test_initial_values_are_those_of_torch(sizes: tuple[int, int], bias: bool, dtype: torch.dtype | None) -> None:
    torch.manual_seed(7)
    theirs = torch.nn.Linear(*sizes, bias=bias, dtype=dtype)
    after = torch.get_rng_state()
    torch.manual_seed(7)
    ours = nn.Linear(*sizes, bias=bias, dtype=dtype)
    assert torch.equal(torch.get_rng_state(), after)
    assert torch.equal(ours.weight.value, theirs.weight)
    if bias:
        assert ours.bias is not None
        assert torch.equal(ours.bias.value, theirs.bias)
    else:
        assert ours.bias is None


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_empty_weights_warn_as_in_torch(sizes: tuple[int, int]) -> None:
    torch.manual_seed(7)
    with pytest.warns(UserWarning, match="zero-element"):
        theirs = torch.nn.Linear(*sizes)
    torch.manual_seed(7)
    with pytest.warns(UserWarning, match="zero-element"):
        ours = nn.Linear(*sizes)
    assert torch.equal(ours.state_dict()["bias"], theirs.bias)


def test_the_default_dtype_is_that_of_construction() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        layer = nn.Linear(2, 3)
    finally:
        torch.set_default_dtype(torch.float32)
    assert layer.weight.dtype is torch.float64
    assert layer.weight.cell.initial(None).dtype is torch.float64


def test_new_state_draws_as_construction_does(backend: str) -> None:
    def build(modules):  # type: ignore[no-untyped-def]
        return modules.Sequential(modules.Linear(2, 5), modules.Tanh(), modules.Linear(5, 1)).double()

    net = build(nn)
    x = graphc.placeholder("x", ("batch", 2), torch.float64)
    program = graphc.compile([x], net(x), backend=backend)
    fresh = program.new_state(seed=11)
    torch.manual_seed(11)
    for name, value in build(torch.nn).state_dict().items():
        assert torch.equal(fresh[name], value)  # drawn in float32 and then converted, as torch's .double() leaves it


@pytest.mark.parametrize("shape", [(4,), (3, 4), (0, 4), (2, 3, 4), (2, 1, 3, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_results_and_gradients_are_those_of_torch(shape: tuple[int, ...], bias: bool, backend: str) -> None:
    torch.manual_seed(0)
    theirs = torch.nn.Linear(4, 5, bias=bias, dtype=torch.float64)
    torch.manual_seed(0)
    ours = nn.Linear(4, 5, bias=bias, dtype=torch.float64)
    values = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    expected = theirs(values)
    expected.square().sum().backward()

    x = graphc.placeholder("x", shape, torch.float64)
    y = ours(x)
    gradients = graphc.grad(y.square().sum(), [x, *ours.parameters()])
    result, *found = graphc.compile([x], [y, *gradients], backend=backend)(values)
    torch.testing.assert_close(result, expected.detach(), rtol=1e-13, atol=1e-13)
    for gradient, judge in zip(found, [values, *theirs.parameters()], strict=True):
        torch.testing.assert_close(gradient, judge.grad, rtol=1e-12, atol=1e-12)


def test_a_wrong_input_size_names_the_layer_and_both_sizes() -> None:
    net = nn.Sequential(nn.Linear(784, 10))
    x = graphc.placeholder("x", ("batch", 512))
    match = (
        r"sequential\.0 \(Linear\): the input, f32\[batch,512\], has 512 "
        r"features in its last dimension, and the layer takes 784; built at .*test_linear\.py:\d+"
    )
    with pytest.raises(ShapeError, match=match):
        net(x)


def test_a_symbolic_or_missing_last_size_is_a_wrong_size() -> None:
    layer = nn.Linear(3, 1)
    with pytest.raises(ShapeError, match=r"^linear \(Linear\): the input, f32\[2,n\], has n features in its last"):
        layer(graphc.placeholder("x", (2, "n")))
    with pytest.raises(ShapeError, match=r"the input, f32\[\], has no dimensions, and the layer takes 3"):
        layer(graphc.placeholder("x", ()))


def test_a_wrong_dtype_names_both_and_the_remedy() -> None:
    layer = nn.Linear(3, 1)
    with pytest.raises(
        DTypeError, match=r"the input is f64\[3\], and the layer computes in f32.*x\.to\(torch\.float32\), or net"
    ):
        layer(graphc.placeholder("x", (3,), torch.float64))
    with pytest.raises(DTypeError, match=r"the input is i64\[3\], and .* x\.to\(torch\.float32\)$"):
        layer(graphc.placeholder("x", (3,), torch.int64))
    with pytest.raises(DTypeError, match=r"the input is a int, not a symbolic tensor"):
        layer(3)


@pytest.mark.parametrize("size", [-1, 2.0, True, "2"])
def test_sizes_are_whole_numbers(size: object) -> None:
    with pytest.raises(ShapeError, match="Linear: out_features is a number of features, not"):
        nn.Linear(2, size)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [numpy.int64(3), numpy.array(3), torch.tensor(3)])
def test_sizes_are_whole_numbers_of_any_library(size: Any) -> None:
    layer = nn.Linear(size, size)
    assert layer.weight.shape == (3, 3)
    assert repr(layer) == "Linear(in_features=3, out_features=3, bias=True)"
    assert layer(graphc.placeholder("x", ("n", 3))).shape[1] == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a torch without CUDA")
def test_a_device_that_torch_lacks() -> None:
    with pytest.raises(CompileError, match=r"Linear: device 'cuda' is not one of this torch's: .*Stay on 'cpu'"):
        nn.Linear(2, 3, device="cuda")


def test_parameters_are_floating() -> None:
    with pytest.raises(DTypeError, match="Linear: parameters have a floating dtype, not i64"):
        nn.Linear(2, 3, dtype=torch.int64)
