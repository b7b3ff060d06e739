"""Sizes and addresses that generated C has to take: products too large for BLAS, and inputs without usable memory."""

from __future__ import annotations

import itertools

import pytest
import torch

import graphc
from graphc import InputError


@pytest.mark.parametrize("most", [1, 3])
def test_products_larger_than_blas_takes(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made piece by piece. Here BLAS is said to take sizes and distances up to `most` only."""
    monkeypatch.setenv("GRAPHC_CFLAGS", f"-DMOST_OF_BLAS={most}")
    kinds = list(itertools.product((False, True), (False, True)))
    a, at = graphc.placeholder("a", ("m", "k")), graphc.placeholder("at", ("k", "m"))
    b, bt = graphc.placeholder("b", ("k", "n")), graphc.placeholder("bt", ("n", "k"))
    products = [(at.T if turned else a) @ (bt.T if other else b) for turned, other in kinds]
    program = graphc.compile([a, at, b, bt], products, backend="c")
    assert program.source.count("  gemm_f32(") == len(kinds)
    for m, k, n in itertools.product((0, 1, 2, 4, 7), repeat=3):
        x, y = torch.rand(m, k), torch.rand(k, n)
        for result in program(x, x.T.contiguous(), y, y.T.contiguous()):
            assert torch.allclose(result, x @ y, 1e-5, 1e-5), (m, k, n)


def test_inputs_whose_memory_cannot_be_read_as_it_is() -> None:
    """The shape is known before, so that nothing but the address tells."""
    x = graphc.placeholder("x", ("n", 3))
    program = graphc.compile([x], x * 2, backend="c")
    values = torch.rand(2, 3)
    assert torch.equal(program(values), values * 2)
    assert torch.equal(program(torch._efficientzerotensor((2, 3))), torch.zeros(2, 3))
    odd = torch.frombuffer(bytearray(25), dtype=torch.float32, offset=1, count=6).view(2, 3).copy_(values)
    assert odd.data_ptr() % 4
    assert torch.equal(program(odd), values * 2)
    gone = values.clone()
    gone.untyped_storage().resize_(0)
    with pytest.raises(InputError, match=r"^an input, f32\[2,3\], has no memory"):
        program(gone)
    with pytest.raises(InputError, match=r"'x'.*the tensor has no memory: it stands for others, as within torch.vmap"):
        torch.vmap(program)(values[None])


def test_shuffled_rows_without_columns() -> None:
    x = graphc.placeholder("x", ("n", 0))
    program = graphc.compile([x], x.sum(), backend="c")
    history = program.fit(torch.zeros(5, 0), batch_size=2, epochs=2, progress=False)
    assert history[program.output_names[0]] == [0.0, 0.0]
