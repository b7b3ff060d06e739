"""Tensor types: equality under every binding, text, and the doors through which sizes and dtypes come in."""

from __future__ import annotations

import warnings
from typing import Any

import numpy
import pytest
import torch

from graphc import DTypeError, ShapeError
from graphc.dims import symbol
from graphc.types import DTYPES, TensorType, as_array, as_index, check_dtype, check_shape, dtype_name

n = symbol("n")


def test_properties() -> None:
    x = TensorType((n, 2, n + 1), torch.float64)
    assert str(x) == "f64[n,2,n+1]"
    assert x.ndim == 3
    assert x.numel == 2 * n * n + 2 * n
    assert x.nbytes == 16 * n * n + 16 * n
    assert not x.is_static
    assert TensorType((2, 3), torch.bool).is_static
    assert TensorType((), torch.float32).numel == 1
    assert TensorType((0, n), torch.float32).numel == 0


def test_equality_never_raises() -> None:
    """Unlike that of sizes: types are equal when they are under every binding."""
    x = TensorType((n, 2), torch.float32)
    assert x == TensorType((symbol("n"), 2), torch.float32)
    assert hash(x) == hash(TensorType((symbol("n"), 2), torch.float32))
    for other in (
        TensorType((symbol("m"), 2), torch.float32),
        TensorType((3, 2), torch.float32),
        TensorType((n, 2), torch.float64),
        TensorType((n,), torch.float32),
    ):
        assert x != other
    assert x != "f32[n,2]"


def test_names_of_dtypes_are_distinct() -> None:
    assert len(set(DTYPES.values())) == len(DTYPES)
    assert dtype_name(torch.complex64) == "torch.complex64"


@pytest.mark.parametrize("dtype", [torch.complex64, torch.uint16, float, "float32", numpy.float32, None])
def test_unknown_dtypes(dtype: Any) -> None:
    with pytest.raises(DTypeError, match=r"^dtype .* is not one that graphc computes with; use one of torch.float32, "):
        check_dtype(dtype)


def test_shapes() -> None:
    shape = check_shape(("batch", 2, n, numpy.int64(3), torch.Size([4])[0]))
    assert str(shape) == "(batch, 2, n, 3, 4)"
    assert all(type(size) is int for size in shape[3:])
    assert check_shape(torch.Size([2, 0])) == (2, 0)
    assert check_shape([]) == ()


COMPUTED = ". A size that depends on another is computed from it, as in 2 * x.shape[0]"


@pytest.mark.parametrize(
    ("shape", "problem"),
    [
        (3, "a shape is a sequence of sizes such as ('batch', 2), not 3"),
        ("batch", "a shape is a sequence of sizes such as ('batch', 2), not 'batch'"),
        (None, "a shape is a sequence of sizes such as ('batch', 2), not None"),
        (n, "a shape is a sequence of sizes such as ('batch', 2), not n"),
        ((-1, 2), "size -1 is negative; give an unknown size a name, such as 'batch'"),
        ((2.0,), "a size is an integer or a name, such as 'batch', not 2.0"),
        ((True,), "a size is an integer or a name, such as 'batch', not True"),
        ((None, 2), "a size is an integer or a name, such as 'batch', not None"),
        (
            ("my batch",),
            "a size is named like a variable, such as 'batch'; 'my batch' is not such a name" + COMPUTED,
        ),
        (
            ("",),
            "a size is named like a variable, such as 'batch'; '' is not such a name" + COMPUTED,
        ),
        (
            ("a\n*/",),
            "a size is named like a variable, such as 'batch'; 'a\\n*/' is not such a name" + COMPUTED,
        ),
    ],
)
def test_wrong_shapes(shape: Any, problem: str) -> None:
    with pytest.raises(ShapeError, match=r"^(a size|a shape|size)") as caught:
        check_shape(shape)
    assert str(caught.value).replace('"', "'") == problem


def test_as_index() -> None:
    assert [as_index(x) for x in (3, numpy.int8(3), torch.tensor(3))] == [3, 3, 3]
    for x in (True, 3.0, "3", None, torch.tensor([3]), numpy.array([3]), torch.tensor(True), numpy.bool_(1), n):
        assert as_index(x) is None


class Foreign:
    """A tensor of another library, which only speaks DLPack."""

    def __init__(self, array: numpy.ndarray[Any, Any]) -> None:
        self.array = array

    def __dlpack__(self, **options: object) -> object:
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()


def test_as_array() -> None:
    """Anything with `__array__` or `__dlpack__`, shared where torch allows it; read-only and reversed arrays too."""
    array = numpy.arange(6.0).reshape(2, 3)
    assert as_array(array).data_ptr() == array.ctypes.data
    assert as_array(Foreign(array)).data_ptr() == array.ctypes.data
    assert torch.equal(as_array(array[::-1]), torch.tensor([[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]]).double())
    array.flags.writeable = False
    assert torch.equal(as_array(array), torch.arange(6.0).double().reshape(2, 3))
    assert as_array(numpy.float32(2)).dtype is torch.float32
    assert not as_array(torch.ones(2, requires_grad=True)).requires_grad
    with pytest.raises(TypeError, match=r"numpy\.object_"):
        as_array(numpy.array([None]))


def test_arrays_of_numpy_in_any_layout() -> None:
    """Without a warning, and without a copy where torch has such tensors."""
    values = numpy.arange(6, dtype="f4").reshape(2, 3)
    records = numpy.zeros(2, [("flag", "u1"), ("values", "f4", (3,))])
    records["values"] = values
    unaligned = numpy.frombuffer(bytearray(25), "f4", offset=1, count=6).reshape(2, 3)
    unaligned[...] = values
    read_only = values.copy()
    read_only.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for array in (values, values.T.copy().T, values[::-1][::-1], records["values"], unaligned, read_only):
            found = as_array(array)
            assert torch.equal(found, torch.arange(6.0).view(2, 3))
            assert found.data_ptr() % 4 == 0
        assert as_array(read_only).data_ptr() == read_only.ctypes.data
        assert as_array(numpy.broadcast_to(numpy.float32(2), (10**12, 3))).stride() == (0, 0)


def test_tensors_without_elements_in_memory() -> None:
    x = torch.rand(2, 3)
    with pytest.raises(TypeError, match=r"^the tensor is torch.sparse_coo, not dense. Use .to_dense"):
        as_array(x.to_sparse())
    with pytest.raises(TypeError, match=r"^the tensor has no memory: it stands for others"):
        as_array(torch._to_functional_tensor(x))
    assert as_array(torch._efficientzerotensor((2,))).data_ptr()
