"""Any strides: a value may lie in memory as it likes, and what has no elements in memory is refused.

A case is a layout from a list, with random values, on each backend: for calls, `fit`, `evaluate`, a parameter's first
value and `state[...] = value`. Results must be those of the same values in plain layout, of native code to the bit. The
memory that was given must stay as it was, no output may share memory with anything, and no warning may be seen.
"""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy
import torch
from numpy.lib.stride_tricks import as_strided
from torch._subclasses.fake_tensor import FakeTensorMode

import graphc
from graphc import GraphcError, Parameter, optim
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
BACKENDS = ("c", "torch", "reference")
ROWS, COLUMNS = 6, 5


class _Sub(torch.Tensor):
    """A subclass of somebody's."""


class _Lender:
    """Gives its array by DLPack, and by nothing else."""

    def __init__(self, x: Array) -> None:
        self.x = x

    def __dlpack__(self, **options: Any) -> Any:
        return self.x.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.x.__dlpack_device__()


def _sliced(x: Array) -> Array:
    base = torch.full([2 * size + 3 for size in x.shape], torch.nan)
    return base[2 : 2 + 2 * ROWS : 2, 1 : 1 + 2 * COLUMNS : 2].copy_(x)


def _offset(x: Array) -> Array:
    return torch.cat([torch.full((1,), torch.nan), x.reshape(-1)])[1:].view(x.shape)


def _unaligned(x: Array) -> Array:
    base = torch.frombuffer(bytearray(x.nbytes + 1), dtype=x.dtype, offset=1, count=x.numel())
    return base.view(x.shape).copy_(x)


def _by_bytes(x: Array) -> Any:
    array = numpy.frombuffer(bytearray(x.nbytes + 3), "f4", offset=3, count=x.numel()).reshape(x.shape)
    array[...] = x.numpy()
    return array


def _field(x: Array) -> Any:
    """A field of records of 21 bytes, which no stride of whole elements reaches."""
    records = numpy.zeros(ROWS, [("flag", "u1"), ("values", "f4", (COLUMNS,))])
    records["values"] = x.numpy()
    return records["values"]


def _read_only(x: Array) -> Any:
    array = x.numpy().copy()
    array.flags.writeable = False
    return array


def _inference(x: Array) -> Array:
    with torch.inference_mode():
        return x * 1


LAYOUTS: Mapping[str, Callable[[Array], Any]] = {
    "plain": lambda x: x,
    "transposed": lambda x: x.T.contiguous().T,
    "sliced": _sliced,
    "offset": _offset,
    "unaligned": _unaligned,
    "a row of a larger tensor": lambda x: torch.stack([x, x + 1]).permute(1, 2, 0)[..., 0],
    "one column": lambda x: x[:, :1].expand(x.shape),
    "one row": lambda x: x[:1].expand(x.shape),
    "one element": lambda x: x[0, 0].expand(x.shape),
    "overlapping": lambda x: x.reshape(-1).as_strided(x.shape, (1, 2)),
    "negated": lambda x: torch._neg_view(-x),
    "negated, transposed": lambda x: torch._neg_view(-x.T.contiguous()).T,
    "the imaginary part of a conjugate": lambda x: torch.complex(x, -x).conj().imag,
    "the real part": lambda x: torch.complex(x, -x).real,
    "zeros without memory": lambda x: torch._efficientzerotensor(x.shape),
    "a subclass": lambda x: x.as_subclass(_Sub),
    "a parameter": lambda x: torch.nn.Parameter(x),
    "requires grad": lambda x: (x.clone().requires_grad_() * 1).T.contiguous().T,
    "of inference": _inference,
    "shared between processes": lambda x: x.clone().share_memory_(),
    "NumPy": lambda x: x.numpy(),
    "NumPy, in Fortran's order": lambda x: numpy.asfortranarray(x.numpy()),
    "NumPy, backwards": lambda x: x.flip(0, 1).numpy()[::-1, ::-1],
    "NumPy, every other": lambda x: numpy.repeat(x.numpy(), 2, axis=1)[:, ::2],
    "NumPy, read-only": _read_only,
    "NumPy, read-only backwards": lambda x: _read_only(x.flip(0))[::-1],
    "NumPy, one element": lambda x: numpy.broadcast_to(x.numpy()[:1, :1], x.shape),
    "NumPy, overlapping": lambda x: as_strided(x.numpy(), x.shape, (4, 8)),
    "NumPy, unaligned": _by_bytes,
    "NumPy, a field": _field,
    "NumPy, masked": lambda x: numpy.ma.masked_array(x.numpy(), mask=False),
    "NumPy, a matrix": lambda x: x.numpy().view(numpy.matrix),
    "DLPack": _Lender,
    "DLPack, transposed": lambda x: _Lender(x.T.contiguous().T),
}

REFUSED: Mapping[str, Callable[[Array], Any]] = {
    "sparse": lambda x: x.to_sparse(),
    "sparse by rows": lambda x: x.to_sparse_csr(),
    "quantised": lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8),
    "nested": lambda x: torch.nested.nested_tensor([x[0], x[1, :2]]),
    "nested, jagged": lambda x: torch.nested.nested_tensor([x[0], x[1, :2]], layout=torch.jagged),
    "of MKL-DNN": lambda x: x.to_mkldnn(),
    "on meta": lambda x: x.to("meta"),
    "fake": lambda x: FakeTensorMode().from_tensor(x),
    "a tensor of torch.vmap": lambda x: torch._C._functorch._add_batch_dim(x[None], 0, 1),
    "complex": lambda x: torch.complex(x, x).conj(),
    "double": lambda x: x.double(),
    "swapped bytes": lambda x: x.numpy().astype(">f4"),
    "objects": lambda x: x.numpy().astype(object),
    "records": lambda x: numpy.zeros(ROWS, [("a", "f4"), ("b", "i4")]),
    "text": lambda x: numpy.array([["a"] * COLUMNS] * ROWS),
    "another shape": lambda x: x.T.contiguous(),
}


@cache
def _programs(backend: str) -> tuple[graphc.Program, graphc.Program]:
    """One that trains and one that predicts; outputs are also what is given, as it is."""
    x = graphc.placeholder("x", ("n", COLUMNS))
    weight = Parameter(torch.zeros(ROWS, COLUMNS), name="weight")
    y = (x @ weight.T).tanh()
    loss = y.square().mean() + x.mean()
    updates = optim.SGD([weight], 0.1).minimize(loss)
    train = graphc.compile([x], {"loss": loss}, updates, backend=backend)
    outputs = {"y": y, "x": x, "turned": x.T, "column": x[:, 0:1], "weight": weight, "flat": weight.reshape(-1)}
    return train, graphc.compile([x], outputs, backend=backend)


def _all(backend: str, given: Any, start: Any) -> list[Array]:
    """All results from `given` as data and `start` as the parameter's value."""
    train, predict = _programs(backend)
    state = train.new_state()
    state["weight"] = start
    found = list(predict(given, state=state).values())
    found.append(train(given, state=state)["loss"])
    for shuffle in (True, False):
        history = train.fit(
            given, batch_size=4, epochs=2, shuffle=shuffle, state=state, validation=(given,), progress=False
        )
        found += [torch.tensor(history["loss"]), torch.tensor(history["validation_loss"])]
    found.append(torch.tensor(list(train.evaluate(given, batch_size=4, state=state).values())))
    return [*found, state["weight"].clone(), Parameter(start).value, graphc.constant(start).node.op.eval()]


def _read(value: Any) -> Array:
    """The values in torch's hands."""
    if isinstance(value, _Lender):
        return value.x
    return value.detach() if isinstance(value, torch.Tensor) else torch.as_tensor(numpy.array(value, "f4"))


def _bytes(value: Any) -> tuple[int, bytes]:
    """Where the memory of a value is, and what is in it."""
    value = value.x if isinstance(value, _Lender) else value
    if isinstance(value, torch.Tensor):
        if value._is_zerotensor():
            return 0, b""
        storage = value.detach().untyped_storage()
        return storage.data_ptr(), ctypes.string_at(storage.data_ptr(), storage.nbytes())
    low, high = numpy.lib.array_utils.byte_bounds(value)
    return low, ctypes.string_at(low, high - low)


def layout(seed: int) -> Mapping[str, int]:
    name, make = list(LAYOUTS.items())[seed % len(LAYOUTS)]
    plain = torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed))
    for backend in BACKENDS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            given = make(plain.clone())
            start, content = _bytes(given)
            values = torch.empty(ROWS, COLUMNS).copy_(_read(given))
            expected = _all(backend, values, values.clone())
            actual = _all(backend, given, given)
        for i, (one, other) in enumerate(zip(actual, expected, strict=True)):
            same = torch.equal if backend == "c" else torch.allclose  # torch adds up in an order that strides tell it
            assert same(one, other), f"{name}, {backend}: result {i} is {one}, not {other}"
            inside = start <= one.data_ptr() < start + len(content)
            assert not inside, f"{name}, {backend}: result {i} lies in the memory that was given"
        assert _bytes(given) == (start, content), f"{name}, {backend}: what was given has changed"
        _own(backend, values)
    return {"results": len(BACKENDS) * len(expected)}


def _own(backend: str, given: Array) -> None:
    """Outputs share memory with nothing: each may be written without anything else changing."""
    _, predict = _programs(backend)
    state = predict.new_state()
    first = predict(given, state=state)
    kept = {name: value.clone() for name, value in first.items()}
    before, weight = given.clone(), state["weight"].clone()
    for name, value in first.items():
        value.fill_(7.0)
        for other, old in kept.items():
            assert other == name or torch.equal(first[other], old), f"{backend}: {other} lies in the memory of {name}"
        value.copy_(kept[name])
        value.fill_(7.0)
        assert torch.equal(given, before), f"{backend}: output {name} lies in the memory of the input"
        assert torch.equal(state["weight"], weight), f"{backend}: output {name} lies in the memory of the parameter"
        assert all(torch.equal(predict(given, state=state)[each], kept[each]) for each in kept), f"{backend}: {name}"
        value.copy_(kept[name])


def refused(seed: int) -> Mapping[str, int]:
    name, make = list(REFUSED.items())[seed % len(REFUSED)]
    plain = torch.rand(ROWS, COLUMNS, generator=torch.Generator().manual_seed(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about some of these kinds when they are made
        given = make(plain)
    tried = 0
    for backend in BACKENDS:
        train, predict = _programs(backend)
        predict(plain)  # the shape is known from here on
        ways: dict[str, Callable[[], object]] = {
            "a call": lambda predict=predict: predict(given),  # type: ignore[misc]
            "fit": lambda train=train: train.fit(given, batch_size=4, epochs=1, progress=False),  # type: ignore[misc]
            "evaluate": lambda train=train: train.evaluate(given),  # type: ignore[misc]
            "a value": lambda train=train: train.new_state().__setitem__("weight", given),  # type: ignore[misc]
        }
        for way, use in ways.items():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    use()
            except GraphcError:
                pass
            else:
                raise AssertionError(f"{name}, {way}, {backend}: nothing was refused")
            tried += 1
    return {"refusals": tried}


PROOFS = (
    Proof("strides", 18, "draws of layouts", full=4 * len(LAYOUTS), quick=0, case=layout),
    Proof("no-strides", 18, "kinds of tensors", full=len(REFUSED), quick=0, case=refused),
)
