"""Sizes at their ends: requests for more memory than there is are refused, and empty tensors do as eager does.

Of the first proof, a case is a request from a list, on each backend: an error of graphc's must come, and the process
must not have grown. Of the second one, a case is some sizes, of which many are 0 or 1, of the operands of
twenty operations, against eager torch and its autograd.
"""

from __future__ import annotations

import random
import resource
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy
import torch

import graphc
from graphc import CompileError, MemoryLimitError, Parameter, ShapeError, Tensor, nn, optim
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
BACKENDS = ("c", "torch", "reference")
REFUSALS = (MemoryLimitError, CompileError, ShapeError)
GROWTH = 64 << 20
"""Bytes by which a process may grow while it refuses something."""


def expanded(*shape: int) -> Array:
    """A tensor of this shape, of which only one element is in memory."""
    return torch.ones(1).expand(shape)


def _call(shape: Any, make: Callable[[Tensor], Tensor], *given: int) -> Callable[[str], object]:
    """A call of a function of one input."""

    def request(backend: str) -> object:
        x = graphc.placeholder("x", shape)
        return graphc.compile([x], make(x), backend=backend)(expanded(*given))

    return request


def _broadcast(shape: tuple[int, ...], make: Callable[[Tensor], Tensor] = lambda x: x) -> Callable[[str], object]:
    return lambda backend: graphc.compile([], make(graphc.constant(1.5).broadcast_to(shape)), backend=backend)()


def _products(make: Callable[[Tensor], Tensor]) -> Callable[[str], object]:
    """All products of the elements of two vectors, which are not large."""

    def request(backend: str) -> object:
        x, y = graphc.placeholder("x", ("n", 1)), graphc.placeholder("y", (1, "m"))
        return graphc.compile([x, y], make(x @ y), backend=backend)(expanded(10**6, 1), expanded(1, 10**6))

    return request


def _trained(backend: str) -> graphc.Program:
    x = graphc.placeholder("x", ("batch", 3))
    net = nn.Linear(3, 1)
    loss = net(x).square().mean()
    return graphc.compile([x], loss, optim.SGD(net.parameters(), 0.1).minimize(loss), backend=backend)


def _fit(samples: int, batch: int, shuffle: bool = True) -> Callable[[str], object]:
    return lambda backend: _trained(backend).fit(
        expanded(samples, 3), batch_size=batch, epochs=1, shuffle=shuffle, progress=False
    )


def _validated(backend: str) -> object:
    huge = (expanded(10**12, 3),)
    return _trained(backend).fit(expanded(5, 3), batch_size=10**12, epochs=1, validation=huge, progress=False)


def _gradient(backend: str) -> object:
    x = graphc.placeholder("x", ("n",))
    (slope,) = graphc.grad(x.sum(), [x])
    return graphc.compile([x], slope, backend=backend)(expanded(10**12))


HUGE: Mapping[str, Callable[[str], object]] = {
    "a constant": lambda backend: graphc.constant(expanded(10**12)),
    "a constant of NumPy": lambda backend: graphc.constant(numpy.broadcast_to(numpy.float32(1), (10**12,))),
    "a parameter": lambda backend: Parameter(expanded(10**12)),
    "a parameter of NumPy": lambda backend: Parameter(numpy.broadcast_to(numpy.float32(1), (10**12,))),
    "a layer": lambda backend: nn.Linear(10**7, 10**7),
    "a size of 64 bits": lambda backend: graphc.placeholder("x", (2**63,)),
    "a size of 10,000 digits": lambda backend: graphc.placeholder("x", (10**9999,)),
    "10¹⁵ elements": _broadcast((10**15,)),
    "a product of 64 bits": _broadcast((2**62, 4)),
    "a sum over a product of 64 bits": _broadcast((2**40, 2**40), lambda x: x.sum()),
    "a sum over 2⁶²": _broadcast((2**62,), lambda x: x.sum()),
    "an expanded input": _call(("n", 3), lambda x: x * 2, 10**12, 3),
    "an input of 64 bits": _call(("n", 3), lambda x: x * 2, 2**61, 3),
    "two sizes of 64 bits": _call(("n", "m"), lambda x: x.sum(), 2**40, 2**22),
    "an output that is an input": _call(("n", 3), lambda x: x, 10**12, 3),
    "rows without columns": _call(("n", 0), lambda x: x.sum(1), 10**15, 0),
    "a reshape": _call(("n", "m"), lambda x: x.reshape(-1) + 1, 10**6, 10**7),
    "a dropout": _call(("n", 3), lambda x: nn.Dropout(0.5)(x) * x, 10**12, 3),
    "all products": _products(lambda x: x),
    "a sum over all products": _products(lambda x: x.exp().sum()),
    "a gradient": _gradient,
    "shuffled samples": _fit(10**12, 10),
    "batches that are large": _fit(10**12, 10**12, shuffle=False),
    "validation": _validated,
    "evaluation": lambda backend: _trained(backend).evaluate(expanded(10**12, 3)),
    "a negative stride": lambda backend: _trained(backend)(
        numpy.lib.stride_tricks.as_strided(numpy.ones(3, "f4")[::-1], (10**12, 3), (0, -4))
    ),
}


def huge(seed: int) -> Mapping[str, int]:
    name = list(HUGE)[seed % len(HUGE)]
    for backend in BACKENDS:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                HUGE[name](backend)
        except REFUSALS as error:
            text = str(error)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            assert grown < GROWTH, f"{name}, {backend}: grew by {grown} bytes before: {text}"
            assert len(text) < 600, f"{name}, {backend}: {text}"
            if isinstance(error, MemoryLimitError):
                assert "can be had" in text or "more than any machine has" in text, f"{name}, {backend}: {text}"
        else:
            raise AssertionError(f"{name}, {backend}: nothing was refused")
    return {"refusals": len(BACKENDS)}


# Empty tensors and scalars --------------------------------------------------------------------------------------------

SIZES = (0, 0, 1, 2, 3)


def results(m: Any, x: Any, y: Any, v: Any) -> dict[str, Any]:
    """The same of torch's and of graphc's: `x` is [n, a], `y` is [a, b], `v` is []."""
    product = x @ y
    return {
        "sum": x.sum(),
        "mean": x.mean(),
        "rows": x.sum(1),
        "columns": y.mean(0),
        "kept": x.sum(dim=0, keepdim=True),
        "product": product,
        "batches": x[None] @ y[None],
        "scalar": v * 2 + v.exp(),
        "scaled": x * v - 1,
        "softmax": product.softmax(-1),
        "logs": x.log_softmax(0),
        "flat": product.reshape(-1),
        "side": m.cat([x, x * 2], dim=1),
        "stack": m.stack([y, y]),
        "spread": v.broadcast_to(x.shape) + x,
        "choice": m.where(x > 0, x, v),
        "turned": y.T.sum(0),
        "sliced": x[:, 0:0].sum(),
        "logsumexp": m.logsumexp(y.T, 1) if y.shape[0] else y.sum(),
        "least": product.amin(1) if y.shape[1] else product.sum(),
    }


def empty(seed: int) -> Mapping[str, int]:
    choose = random.Random(f"sizes {seed}")
    a, b = choose.choice(SIZES), choose.choice(SIZES)
    generator = torch.Generator().manual_seed(seed)
    rows = ("n", a) if choose.random() < 0.8 else (choose.choice(SIZES), a)
    x, y, v = (
        graphc.placeholder(name, shape, torch.float64) for name, shape in (("x", rows), ("y", (a, b)), ("v", ()))
    )
    compared = 0
    symbolic = results(graphc, x, y, v)
    loss = sum((each * each).sum() for each in symbolic.values())
    assert isinstance(loss, Tensor), "sums of tensors are tensors"
    slopes = graphc.grad(loss, [x, y, v])
    outputs = {**symbolic, **{f"by {name}": slope for name, slope in zip("xyv", slopes)}}
    programs = [graphc.compile([x, y, v], outputs, backend=backend) for backend in BACKENDS]
    for n in (0, 1, 3) if isinstance(rows[0], str) else (rows[0],):
        given = [torch.randn(shape, dtype=torch.float64, generator=generator) for shape in ((n, a), (a, b), ())]
        leaves = [each.clone().requires_grad_() for each in given]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about means of nothing
            eager = results(torch, *leaves)
        gradients = torch.autograd.grad(sum((each * each).sum() for each in eager.values()), leaves)
        expected = {**eager, **{f"by {name}": slope for name, slope in zip("xyv", gradients)}}
        for program in programs:
            for name, actual in program(*given).items():
                what = f"{name} of n = {n}, a = {a}, b = {b} on {program.backend}"
                wanted = expected[name].detach()
                assert actual.shape == wanted.shape, f"{what}: {actual.shape}, eager has {wanted.shape}"
                assert torch.allclose(actual, wanted, 1e-9, 1e-9, equal_nan=True), f"{what}: {actual}, not {wanted}"
                compared += 1
    return {"results": compared}


PROOFS = (
    Proof("sizes", 19, "requests", full=len(HUGE), quick=0, case=huge),
    Proof("empty-tensors", 19, "sets of sizes", full=60, quick=0, case=empty),
)
