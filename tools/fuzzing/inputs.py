"""What a user might pass for an input: other strides, arrays of NumPy, tensors that require grad, live parameters."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch

from graphc import State
from graphc.types import TensorType

__all__ = ["disguised", "give_cells", "laid_out"]

Array = torch.Tensor


def laid_out(choose: random.Random, x: Array) -> tuple[Array, Array]:
    """The values of x (for `expanded`, some of them) in another layout, and the memory that they lie in."""
    match choose.choice(["plain", "plain", "transposed", "sliced", "expanded", "offset"]):
        case "transposed":
            base = x.permute(tuple(reversed(range(x.ndim)))).contiguous()
            return base.permute(tuple(reversed(range(x.ndim)))), base
        case "sliced":
            base = torch.ones([2 * size + 3 for size in x.shape], dtype=x.dtype)
            view = base[tuple(slice(2, 2 + 2 * size, 2) for size in x.shape)]
            return view.copy_(x), base
        case "expanded":
            base = x[tuple(slice(0, 1) if choose.random() < 0.6 else slice(None) for _ in x.shape)]
            return base.expand(x.shape), base
        case "offset":
            base = torch.cat([torch.ones(1, dtype=x.dtype), x.reshape(-1)])
            return base[1:].view(x.shape), base
    return x, x


def disguised(choose: random.Random, inputs: Sequence[Array]) -> list[Any]:
    """The inputs, some of them as arrays of NumPy, some as tensors that require grad."""
    given: list[Any] = []
    for x in inputs:
        roll = choose.random()
        if roll < 0.1 and x.dtype is not torch.bfloat16:
            given.append(x.numpy())
        elif roll < 0.2 and x.dtype.is_floating_point:
            given.append(x.detach().requires_grad_())
        else:
            given.append(x)
    return given


def give_cells(choose: random.Random, given: list[Any], inputs: list[Array], state: State) -> None:
    """Sometimes an input is the live value of a cell, which the call may change.

    The program copies its inputs then, and only copies of what is contiguous have the strides of the original.
    """
    lives: dict[int, Array] = {}
    for i, x in enumerate(inputs):
        alike = [cell for cell in state.cells if cell.type == TensorType(tuple(x.shape), x.dtype)]
        if alike and choose.random() < 0.3:
            lives[i] = state.read(choose.choice(alike))
    if lives:
        inputs[:] = [lives.get(i, x).clone(memory_format=torch.contiguous_format) for i, x in enumerate(inputs)]
        given[:] = [lives.get(i, x) for i, x in enumerate(inputs)]
