"""Affine maps."""

from __future__ import annotations

import math

import torch

from graphc import dims
from graphc.capacity import need
from graphc.errors import CompileError, DTypeError, ShapeError, brief
from graphc.ir import Tensor, complaint
from graphc.ir.origin import current_origin
from graphc.nn.module import Module
from graphc.state import Parameter, missing_device
from graphc.types import Array, as_index, dtype_name

__all__ = ["Linear"]


class Linear(Module):
    """y = x · weightᵀ + bias, over the last dimension of x: f[..., in_features] gives f[..., out_features].

    `weight` is [out_features, in_features], `bias` is [out_features]. Initial values are torch.nn.Linear's, bit by bit:
    uniform within ±1/√in_features, drawn from torch's global generator, the weight first.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features = _features("in_features", in_features)
        self.out_features = out_features = _features("out_features", out_features)
        if not isinstance(bias, bool):
            raise complaint(CompileError, "Linear", f"bias is True or False, not {brief(bias)}")
        if dtype is not None and not isinstance(dtype, torch.dtype):
            problem = f"dtype is {brief(dtype)}, not a dtype of torch"
            raise complaint(DTypeError, "Linear", problem, remedy="write dtype=torch.float32")
        if device is not None and (found := missing_device(device)):
            raise complaint(CompileError, "Linear", found[0], remedy=found[1])
        dtype = dtype or torch.get_default_dtype()
        if not dtype.is_floating_point:
            problem = f"parameters have a floating dtype, not {dtype_name(dtype)}"
            raise complaint(DTypeError, "Linear", problem, remedy="write dtype=torch.float32")

        if str(device or "cpu") == "cpu":
            nbytes = 3 * in_features * out_features * dtype.itemsize  # drawn, kept, and what a fresh State starts from
            need(nbytes, lambda: f"Linear({in_features}, {out_features})")

        def weight(generator: torch.Generator | None) -> Array:
            # √5 makes the bound 1/√in_features but for rounding, and the bits are to be torch's.
            empty = torch.empty(
                out_features, in_features, device=generator.device if generator else device, dtype=dtype
            )
            return torch.nn.init.kaiming_uniform_(empty, a=math.sqrt(5), generator=generator)

        def shift(generator: torch.Generator | None) -> Array:
            bound = 1 / math.sqrt(in_features) if in_features else 0.0
            empty = torch.empty(out_features, device=generator.device if generator else device, dtype=dtype)
            return empty.uniform_(-bound, bound, generator=generator)

        self.weight = Parameter(weight(None), initial=weight)
        self.bias = Parameter(shift(None), initial=shift) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        self._check(x)
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias

    def _check(self, x: object) -> None:
        """Errors that name the layer, where those of matmul would speak of its transposed weight."""
        name = f"{current_origin().module} (Linear)"
        if not isinstance(x, Tensor):
            problem = f"the input is a {type(x).__name__}, not a symbolic tensor"
            remedy = "give a graphc.placeholder, or what a layer returns" + " (did forward forget it?)" * (x is None)
            raise complaint(DTypeError, name, problem, remedy=remedy)
        if not x.ndim or not dims.same(x.shape[-1], self.in_features):
            last = f"has {x.shape[-1]} features in its last dimension" if x.ndim else "has no dimensions"
            problem = f"the input, {x.type}, {last}, and the layer takes {self.in_features}"
            raise complaint(ShapeError, name, problem, about=(x,), remedy=self._way_out(x))
        if x.dtype is not self.weight.dtype:
            problem = f"the input is {x.type}, and the layer computes in {dtype_name(self.weight.dtype)}"
            remedy = f"convert one of them: x.to({self.weight.dtype})"
            if x.dtype.is_floating_point:
                remedy += f", or net.to({x.dtype}) before its first call"
            raise complaint(DTypeError, name, problem, about=(x,), remedy=remedy)

    def _way_out(self, x: Tensor) -> str:
        """What to do about an input that has another number of features."""
        wanted, sizes = self.in_features, x.shape
        if not sizes:
            return f"reshape it to ({wanted},)" if wanted == 1 else "reshape it: features are its last dimension"
        if len(sizes) > 2 and dims.same(dims.product(sizes[1:]), wanted):
            return "flatten it first, with nn.Flatten() or x.flatten(1)"
        if isinstance(sizes[-1], dims.Dim):
            if len(sizes) == 2 and dims.same(sizes[0], wanted):
                return "transpose it (x.T): features come last"
            return "features are a number: declare one, or add a dimension with x.unsqueeze(-1)"
        return f"make the layer nn.Linear({sizes[-1]}, {self.out_features})"

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _features(name: str, size: object) -> int:
    number = as_index(size)
    if number is None or number < 0:
        problem = f"{name} is a number of features, not {brief(size)}"
        remedy = "write an integer of 0 or more, as in nn.Linear(784, 10); whole numbers are divided with //"
        raise complaint(ShapeError, "Linear", problem, remedy=remedy)
    return number
