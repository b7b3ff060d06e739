"""Dropout, and the random masks that it is made of while training.

A graph has no mode: `dropout` builds an op that is x itself, and `passes.specialise` makes masks of it in programs that
train. Masks are a function of a counter, which is a cell, so that the graph stays pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from graphc.dims import Size
from graphc.errors import CompileError, DTypeError, ShapeError, brief
from graphc.expr import Expr, Operand, call, flattened, literal
from graphc.expr.philox import DROPOUT, as_int64, random_words
from graphc.ir import Arg, Cell, Op, Role, Sample, Tensor, TensorLike, apply, complaint, function
from graphc.ops.operands import as_tensor
from graphc.ops.pointwise import Pointwise
from graphc.types import Array, TensorType, dtype_name

__all__ = ["check_probability", "counter", "dropout"]

COUNTER = TensorType((2,), torch.int64)
"""A seed and the number of the step."""


def counter() -> Cell:
    """A counter at step 0, with the seed that torch's generator was given last; nothing is drawn from it."""

    def start(generator: torch.Generator | None) -> Array:
        seed = torch.initial_seed() if generator is None else generator.initial_seed()
        return torch.tensor([as_int64(seed), 0], device="cpu")

    with torch.inference_mode(False):  # what is made in inference mode could not be updated outside it
        return Cell("dropout", COUNTER, Role.RANDOM, start(None), start)


@dataclass(frozen=True)
class Dropout(Pointwise):
    """x; in a program that trains, each element is 0 with probability p and else x / (1 - p).

    `source` tells the calls of `dropout` apart: equal ones have one mask, and so a gradient has that of its function.
    The first of those in a program is the counter that its masks depend on.
    """

    p: float
    source: Cell

    def infer(self, x: TensorType) -> TensorType:
        if not x.dtype.is_floating_point:
            raise DTypeError(f"needs a floating dtype, not {dtype_name(x.dtype)}")
        return x

    def eval(self, x: Array) -> Array:
        return x.clone()

    def at(self, i: tuple[Expr, ...], x: Operand) -> Expr:
        return x[i]

    def vjp(self, y: Tensor, g: Tensor) -> tuple[Tensor]:
        return (apply(self, g),)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        source = counter()
        for shape in ((3, 5), (), (0, 2)):
            yield Sample(cls(0.5, source), (Arg(shape),))


@dataclass(frozen=True)
class RandomMask(Op):
    """True where a random word of 32 bits is at least `threshold`; the operand is a counter, a seed and a step.

    Element i, counted row by row, has word i of the stream at that step (see `expr.philox`).
    """

    exempt = ("0-d: a counter is a pair", "zero-size: a counter is a pair")
    stream: int
    threshold: int
    shape: tuple[Size, ...]

    def infer(self, counter: TensorType) -> TensorType:
        if counter.dtype is not COUNTER.dtype:
            raise DTypeError(f"a counter is {COUNTER}, not {counter}")
        if counter.shape != COUNTER.shape:
            raise ShapeError(f"a counter is {COUNTER}, not {counter}")
        return TensorType(self.shape, torch.bool)

    def eval(self, counter: Array) -> Array:
        seed, step = counter.tolist()
        shape = tuple(size for size in self.shape if isinstance(size, int))
        assert len(shape) == len(self.shape), "sizes are bound before anything is evaluated"
        words = random_words(math.prod(shape), seed, step, DROPOUT + self.stream)
        return torch.from_numpy(words >= self.threshold).reshape(shape).to(counter.device)

    def at(self, i: tuple[Expr, ...], counter: Operand) -> Expr:
        seed, step = counter[literal(0),], counter[literal(1),]
        return call("ge", call("philox", seed, step, DROPOUT + self.stream, flattened(i, self.shape)), self.threshold)

    @classmethod
    def samples(cls) -> Iterable[Sample]:
        for shape in ((3, 5), (), (0, 2), (7,)):
            yield Sample(cls(1, 3 << 30, shape), (Arg((2,), torch.int64, 0, 1000),))


@function
def dropout(x: TensorLike, p: float = 0.5) -> Tensor:
    """x, of which a program that trains drops each element with probability p, and scales the others by 1 / (1 - p).

    Each call has a mask of its own, which is another one at each step.
    """
    tensor = as_tensor("dropout", x)
    check_probability("dropout", p)
    return apply(Dropout(float(p), counter()), tensor)


def check_probability(name: str, p: object) -> None:
    """Raises CompileError for what is no probability."""
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0.0 <= p <= 1.0:
        raise complaint(CompileError, name, f"p is a probability from 0 to 1, not {brief(p)}")
