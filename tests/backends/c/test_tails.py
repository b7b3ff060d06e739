"""What lies past the last whole vector of a row: nothing of it reaches a result, and nothing of the row is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch

import graphc
from graphc import Tensor
from tests.judge import Array, assert_same

WIDTHS = (1, 5, 17, 31)


def whole(*shape: int) -> Array:
    return torch.randint(-9, 10, shape, generator=torch.Generator().manual_seed(sum(shape))).float()


def same_as_reference(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], calls: Sequence[Sequence[Array]], tolerance: float = 1e-6
) -> None:
    program, expected = (graphc.compile(inputs, outputs, backend=backend) for backend in ("c", "reference"))
    for arrays in calls:
        for k, (actual, value) in enumerate(zip(program(*arrays), expected(*arrays), strict=True)):
            assert_same(actual, value, f"output {k} of {[tuple(x.shape) for x in arrays]}", rtol=tolerance, atol=0.0)


def test_reductions_of_rows_of_any_length() -> None:
    """Padding is 0 where it is known: more than any of these, or less, or 1 once it is an exponent."""
    inputs = [graphc.placeholder(f"x{width}", ("n", width)) for width in WIDTHS]
    line = graphc.placeholder("line", ("m",))
    outputs = [
        y
        for x in inputs
        for shifted in (x * 0.5,)
        for y in (x.amax(1), x.amin(1), shifted.exp().sum(), shifted.exp().sum(1), (shifted - 1.0).amax())
    ]
    outputs += [line.amax(), line.amin(), line.exp().sum()]
    calls = []
    for sign, n, m in ((-1.0, 3, 19), (1.0, 3, 16), (-1.0, 1, 1)):
        sizes = [*((n, width) for width in WIDTHS), (m,)]
        calls.append([sign * (1.0 + torch.arange(math.prod(size)).reshape(size) % 7) for size in sizes])
    same_as_reference([*inputs, line], outputs, calls)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool])
def test_sums_of_rows_of_integers(dtype: torch.dtype) -> None:
    """gcc 12 mixed up the terms of four sums at a time, of the types that are narrower than the sum."""
    widths = (1, 7, 8, 9, 16, 17, 33, 64, 65)
    inputs = [graphc.placeholder(f"x{width}", ("n", width), dtype) for width in widths]
    fixed = graphc.placeholder("fixed", (3, 17), dtype)
    outputs = [y for x in (*inputs, fixed) for y in (x.sum(1), x.sum(), x.sum(0))]
    if dtype is not torch.bool:
        outputs += [y for x in (*inputs, fixed) for y in (x @ x.T, x @ x[0], (x * x).sum(1))]
    generator = torch.Generator().manual_seed(0)
    low = 0 if dtype in (torch.uint8, torch.bool) else -100
    arrays = [
        torch.randint(low, 2 if dtype is torch.bool else 100, (3, width), generator=generator).to(dtype)
        for width in (*widths, 17)
    ]
    same_as_reference([*inputs, fixed], outputs, [arrays, [*(x[:1] for x in arrays[:-1]), arrays[-1]]])


def test_extremes_of_rows() -> None:
    """Rows of nothing but an infinity, and with NaN in any place."""
    x, y = graphc.placeholder("x", (20, 19)), graphc.placeholder("y", ("n",), torch.float64)
    rows = torch.randn(20, 19, generator=torch.Generator().manual_seed(0))
    rows.fill_diagonal_(math.nan)
    every = [torch.full((20, 19), value) for value in (math.inf, -math.inf)]
    outputs = [x.amax(1), x.amin(1), x.amax(0), x.amin(0), y.amax(), y.amin()]
    same_as_reference([x, y], outputs, [[a, a.reshape(-1)[:17].double()] for a in (rows, *every)])


def test_products_of_any_width() -> None:
    """In tiles and along lanes, with what is made of them summed; depths that are one more than whole vectors."""
    x, w = graphc.placeholder("x", ("n", 17)), graphc.placeholder("w", (17, 125))
    narrow, tall = graphc.placeholder("narrow", (17, 2)), graphc.placeholder("tall", (19, 17))
    y, unstored = x @ w, x @ w[:, 1:]
    outputs = [y, (y * 0.01).exp().sum(), y.amax(1), x @ narrow, (x @ narrow).exp().sum(), x @ tall.T, x.T @ y]
    outputs.append((unstored * 0.01).exp().sum())
    arrays = [whole(5, 17), whole(17, 125), whole(17, 2), whole(19, 17)]
    same_as_reference([x, w, narrow, tall], outputs, [arrays, [arrays[0][:1], *arrays[1:]]], 2e-6)


def test_parts_side_by_side() -> None:
    """More than two, so that a part begins after all those before it."""
    inputs = [graphc.placeholder(f"x{width}", ("n", width)) for width in (3, 17, 5)]
    n = inputs[0].shape[0]
    outputs = [graphc.cat(inputs, 1), graphc.cat([inputs[2], inputs[2] * 2.0, -inputs[2]]), inputs[0][n - 1 :]]
    same_as_reference(inputs, outputs, [[whole(n, width) for width in (3, 17, 5)] for n in (1, 4)])


def test_sizes_to_a_power() -> None:
    x = graphc.placeholder("x", ("n", "n"))
    outputs = [x.reshape(-1) * 2.0, x.mean(), x.exp().sum(), graphc.cat([x.reshape(-1), x.T.reshape(-1)]).amax()]
    same_as_reference([x], outputs, [[whole(n, n)] for n in (1, 3, 8)])


@pytest.mark.parametrize("columns", [3, 67])
def test_training_data_of_any_number_of_bytes_a_row(columns: int) -> None:
    x, y = graphc.placeholder("x", ("n", columns), torch.uint8), graphc.placeholder("y", ("n", 3), torch.bool)
    places = [graphc.constant(torch.arange(1.0, size + 1).double()) for size in (columns, 3)]
    loss = sum((each.to(torch.float64) * place).square().sum() for each, place in zip((x, y), places)) / x.shape[0]
    data = (whole(11, columns) + 9).to(torch.uint8), whole(11, 3) < 0
    programs = [graphc.compile([x, y], loss, backend=backend) for backend in ("c", "reference")]
    for shuffle in (False, True):
        found, expected = (each.fit(*data, batch_size=4, epochs=2, shuffle=shuffle)["loss"] for each in programs)
        assert found == pytest.approx(expected, rel=1e-12)


def test_inputs_that_torch_negates_when_they_are_read() -> None:
    """Where they lie side by side, too, as a single number does."""
    x = graphc.placeholder("x", ("n",))
    program = graphc.compile([x], x * 2.0, backend="c")
    for n in (1, 5):
        value = torch.complex(torch.zeros(n), torch.arange(1.0, n + 1)).conj().imag
        assert value.is_neg()
        assert program(value).tolist() == [-2.0 * k for k in range(1, n + 1)]
