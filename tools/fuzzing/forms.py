"""Expressions that passes and patterns look for, and near misses of them: what random ops alone would rarely make.

Each takes the builder (for choices and new leaves), tensors of one type, and a number; what does not fit a dtype or
shape raises a GraphcError, and the builder tries something else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import graphc
from graphc import Tensor
from graphc.dims import Size, symbol
from graphc.types import TensorType

if TYPE_CHECKING:
    from tools.fuzzing.build import Builder

__all__ = ["FORMS", "REARRANGEMENTS"]

Form = Callable[["Builder", Tensor, Tensor, Any], Tensor]


def _linear(b: Builder, x: Tensor, y: Tensor, c: Any) -> Tensor:
    rows = x.reshape((-1, x.shape[-1])) if x.ndim > 2 else x
    weight = b.leaf(TensorType((x.shape[-1], b.static_size()), x.dtype))
    product = rows @ (weight if b.chance(0.5) else (weight.T * c).T)
    bias = b.leaf(TensorType(b.random.choice([(), weight.shape[1:], (1, *weight.shape[1:])]), x.dtype))
    return product + bias if b.chance(0.5) else bias + product


def _product(b: Builder, x: Tensor, y: Tensor, c: Any) -> Tensor:
    product = x @ y.mT
    return product.mT if b.chance(0.7) else product * product.mT


def _softmax(b: Builder, x: Tensor, y: Tensor, c: Any) -> Tensor:
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True)


def _normed(b: Builder, x: Tensor, y: Tensor, c: Any) -> Tensor:
    centred = x - x.mean(0, keepdim=True)
    return centred / (centred.square().mean(0) + 1.0).sqrt()


FORMS: tuple[Form, ...] = (
    _linear,
    _linear,
    _product,
    _softmax,
    _normed,
    lambda b, x, y, c: x * c,
    lambda b, x, y, c: c - x,
    lambda b, x, y, c: x + c,
    lambda b, x, y, c: x - c,
    lambda b, x, y, c: x - 0,
    lambda b, x, y, c: 0 - x + y,
    lambda b, x, y, c: x / c,
    lambda b, x, y, c: x.neg().neg(),
    lambda b, x, y, c: x + (-y),
    lambda b, x, y, c: (-x) + y,
    lambda b, x, y, c: x - (-y),
    lambda b, x, y, c: (-x) - (-y),
    lambda b, x, y, c: x**2 + y**3,
    lambda b, x, y, c: x + y * c,
    lambda b, x, y, c: x * c - y,
    lambda b, x, y, c: x - y * x,
    lambda b, x, y, c: x * y + x * y,
    lambda b, x, y, c: x * y + y,
    lambda b, x, y, c: (x * y) + b.number(x.dtype) * b.number(x.dtype),
    lambda b, x, y, c: b.number(x.dtype) * x + y,
    lambda b, x, y, c: y * (1.0 - x.square()),
    lambda b, x, y, c: y * ((1.0 - x) * x),
    lambda b, x, y, c: y * (1 - x.square()),
    lambda b, x, y, c: y * ((1 - x) * x),
    lambda b, x, y, c: c * ((1 - x) * x),
    lambda b, x, y, c: graphc.where(x <= 0, 0, y),
    lambda b, x, y, c: graphc.where(x <= 0.0, -0.0, y),
    lambda b, x, y, c: graphc.where(x > 0, y, y * c),
    lambda b, x, y, c: graphc.where(x > y, y, y),
    lambda b, x, y, c: graphc.where(b.number(x.dtype) > 0.5, x, c),
    lambda b, x, y, c: graphc.where(x == y, x * 0.0, c),
    lambda b, x, y, c: (x - y).square().mean(),
    lambda b, x, y, c: x.square().sum(),
    lambda b, x, y, c: x.sum(0) * c + y,
    lambda b, x, y, c: (x * y).mean(0) - c,
    lambda b, x, y, c: x.clamp(-0.5, c),
    lambda b, x, y, c: graphc.clamp(x, b.number(x.dtype), y),
    lambda b, x, y, c: x.maximum(c).minimum(y),
    lambda b, x, y, c: x.tanh() * y.sigmoid(),
    lambda b, x, y, c: (x.tanh() * 2 + c).relu(),
    lambda b, x, y, c: x.to(graphc.sum(x).dtype) + y,
    lambda b, x, y, c: graphc.cat([x, y], -1)[..., : x.shape[-1]] * c,
    lambda b, x, y, c: graphc.constant(1.5, x.dtype).broadcast_to(x.shape).exp() * y,
    lambda b, x, y, c: x * graphc.constant(x.shape[0]).to(x.dtype),
    lambda b, x, y, c: b.number(x.dtype).broadcast_to(x.shape).tanh() + y,
)


def _flattened(b: Builder, x: Tensor) -> Tensor:
    first, last = sorted(b.random.choices(range(x.ndim), k=2))
    return x.flatten(first, last)


def _split(b: Builder, x: Tensor) -> Tensor:
    """A static size as a product of two."""
    d = b.random.randrange(x.ndim)
    factor = b.random.choice([2, 3, x.shape[d] if b.chance(0.5) else 1, symbol("n")])
    if isinstance(factor, int) and factor == 0:
        return x.flatten()
    return x.reshape((*x.shape[:d], factor, x.shape[d] // factor, *x.shape[d + 1 :]))


def _permuted(b: Builder, x: Tensor) -> Tensor:
    return x.permute(tuple(b.random.sample(range(x.ndim), x.ndim)))


def _expanded(b: Builder, x: Tensor) -> Tensor:
    shape: list[Size] = [b.any_size() if isinstance(size, int) and size == 1 else size for size in x.shape]
    return x.broadcast_to((*([b.any_size()] if b.chance(0.5) else []), *shape))


def _indexed(b: Builder, x: Tensor) -> Tensor:
    key: list[Any] = []
    for size in x.shape:
        small, large = b.random.randint(0, 2), b.random.randint(1, 3)
        step = b.random.choice([None, None, 2, 3]) if isinstance(size, int) else None
        choices = [slice(None), slice(small, None, step), slice(None, -large), slice(small, -large), 0, -1]
        if isinstance(size, int):
            choices += [slice(small, small + large), slice(-large, None), slice(None, None, 2)]
        key.append(b.random.choice(choices) if b.chance(0.6) else slice(None))
        if b.chance(0.1):
            key.append(None)
    if b.chance(0.2):
        key[b.random.randrange(len(key)) :] = [Ellipsis]
    return x[tuple(key)]


def _joined(b: Builder, x: Tensor) -> Tensor:
    others = [x if b.chance(0.3) else b.operand(x.type) for _ in range(b.random.randint(1, 2))]
    dim = b.random.randrange(x.ndim)
    joined = graphc.cat([x, *others], dim)
    if b.chance(0.3):  # read one part again
        start = x.shape[dim]
        return joined.transpose(0, dim)[start : start + others[0].shape[dim]]
    return joined


def _stacked(b: Builder, x: Tensor) -> Tensor:
    return graphc.stack([x, b.operand(x.type)], b.random.randint(0, x.ndim))


REARRANGEMENTS: tuple[Callable[[Builder, Tensor], Tensor], ...] = (
    _flattened,
    _flattened,
    _split,
    _split,
    _permuted,
    _permuted,
    _expanded,
    _expanded,
    _indexed,
    _indexed,
    _indexed,
    _joined,
    _joined,
    _stacked,
    lambda b, x: x.T,
    lambda b, x: x.mT,
    lambda b, x: x.reshape(-1),
    lambda b, x: x.reshape(tuple(reversed(x.shape))),
    lambda b, x: x.unsqueeze(b.random.randint(0, x.ndim)),
    lambda b, x: x.squeeze(),
    lambda b, x: x.T.reshape(x.shape),
    lambda b, x: x[None].T.flatten(),
    lambda b, x: x[1:][:-1],
    lambda b, x: x[::2].flatten(),
    lambda b, x: x[..., ::2].flatten(),
    lambda b, x: x[..., 1:].flatten(),
    lambda b, x: x.unsqueeze(-1).expand(*x.shape, 2).flatten(),
    lambda b, x: x[..., :-1][..., 1:],
)
