"""What holds of every op, as functions of a sample: the gradient and its derivative, judged by differences and torch.

The contract tests try them on the values of one draw, `tools/prove.py op-gradients` on many. Random cotangents: a test
that differentiates a sum does not notice a cotangent in the wrong place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch

from graphc import grad, placeholder
from graphc.ir import OPS, Arg, Op, Sample, apply
from graphc.types import TensorType
from tests.judge import Array, assert_same, placeholders_for, random_like, values_of

SAMPLES = [sample for op in OPS.values() for sample in op.samples()]

# Central differences with step h are wrong by h²/6·f‴ and by rounding, about 1e-16·|f|/h; at h = 1e-5 both are below
# 1e-9 for our samples. A wrong rule is off by about as much as the derivative itself.
STEP, TOLERANCE = 1e-5, {"rtol": 1e-6, "atol": 1e-7}


def name_of(sample: Sample) -> str:
    """Which op and which sample, for messages."""
    shapes = [f"{TensorType(arg.shape, arg.dtype)}{' ties' if arg.integer else ''}" for arg in sample.args]
    return f"{sample.op} {' '.join(shapes)}"


def type_of(x: Array) -> TensorType:
    return TensorType(tuple(x.shape), x.dtype)


def draw(args: Sequence[Arg], dtype: torch.dtype | None = None, seed: int = 0) -> list[Array]:
    """Values for the operands; with `dtype`, floating ones are of that dtype."""
    generator = torch.Generator().manual_seed(seed)
    return [arg.draw(generator, dtype if arg.dtype.is_floating_point else None) for arg in args]


def in_float64(op: Op) -> Op:
    """The op with its floating dtypes, such as the target of a cast, made float64."""
    floating = {
        name: torch.float64
        for name, value in op.attributes.items()
        if isinstance(value, torch.dtype) and value.is_floating_point
    }
    return replace(op, **floating) if floating else op  # type: ignore[type-var]


# Operands -------------------------------------------------------------------------------------------------------------


def transposed(x: Array) -> Array:
    """Equal to x, with its dimensions in memory the other way round."""
    order = tuple(reversed(range(x.ndim)))
    return x.permute(order).contiguous().permute(order)


def sliced(x: Array) -> Array:
    """Equal to x, every second element of a larger buffer that starts earlier."""
    big = torch.ones([2 * size + 3 for size in x.shape], dtype=x.dtype)
    view = big[tuple(slice(2, 2 + 2 * size, 2) for size in x.shape)]
    return view.copy_(x)


def expanded(x: Array) -> Array:
    """The first of x along each dimension, repeated without memory of its own."""
    return x[tuple(slice(0, 1) for _ in x.shape)].expand(x.shape)


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": torch.Tensor.contiguous,
    "transposed": transposed,
    "sliced": sliced,
    "expanded": expanded,
}


def special_operands(sample: Sample, values: Array) -> Iterator[list[Array]]:
    """Operands made of `values`: every value meets every other."""
    if sample.op.is_pointwise:
        chosen = [[x.flatten() for x in torch.meshgrid(*[values] * len(sample.args), indexing="ij")]]
    else:
        at = [torch.arange(math.prod(arg.shape)).reshape(arg.shape) for arg in sample.args]
        chosen = [[values[(i + k * shift) % len(values)] for k, i in enumerate(at, 1)] for shift in range(len(values))]
    for arrays in chosen:
        yield [
            x if arg.dtype.is_floating_point else x.nan_to_num().clamp(0, 1).to(arg.dtype)
            for x, arg in zip(arrays, sample.args, strict=True)
        ]


# Gradients ------------------------------------------------------------------------------------------------------------


def is_differentiable(sample: Sample) -> bool:
    """Whether the result and an operand are floating."""
    y = sample.op.infer(*(TensorType(arg.shape, arg.dtype) for arg in sample.args))
    return y.dtype.is_floating_point and any(arg.dtype.is_floating_point for arg in sample.args)


class Differentiated:
    """A sample in float64: result y, a random cotangent g, and what `vjp` makes of them for the floating operands."""

    def __init__(self, sample: Sample, arrays: list[Array] | None = None, seed: int = 0) -> None:
        self.op = in_float64(sample.op)
        self.generator = torch.Generator().manual_seed(seed + 1)
        self.arrays = draw(sample.args, torch.float64, seed) if arrays is None else arrays
        self.x = placeholders_for(self.arrays)
        self.y = apply(self.op, *self.x)
        self.wrt = [k for k, x in enumerate(self.arrays) if x.dtype.is_floating_point]
        self.g = placeholder("g", self.y.shape, self.y.dtype)
        self.cotangent = random_like(torch.empty(self.y.shape, dtype=self.y.dtype), self.generator)
        contributions = self.op.vjp(self.y, self.g)
        assert len(contributions) == len(self.x)
        self.contributions = {k: contributions[k] for k in self.wrt if contributions[k] is not None}
        for k, contribution in self.contributions.items():
            assert contribution.type == self.x[k].type

    def cotangents(self) -> list[Array]:
        """Values of the cotangents of the floating operands."""
        found = values_of(list(self.contributions.values()), [*self.x, self.g], [*self.arrays, self.cotangent])
        known = dict(zip(self.contributions, found, strict=True))
        return [known.get(k, torch.zeros_like(self.arrays[k])) for k in self.wrt]

    def directions(self) -> list[Array]:
        return [random_like(self.arrays[k], self.generator) for k in self.wrt]

    def moved(self, directions: Sequence[Array], step: float) -> list[Array]:
        """The operands, a step further."""
        arrays = list(self.arrays)
        for k, direction in zip(self.wrt, directions, strict=True):
            arrays[k] = arrays[k] + step * direction
        return arrays

    def derivative(self, weights: Sequence[Array]) -> tuple[Any, list[Any]]:
        """The sum of what `vjp` gives, weighted, and its gradients by the floating operands and the cotangent."""
        terms = [(c * w).sum() for c, w in zip(self.contributions.values(), weights, strict=True)]
        total = sum(terms[1:], terms[0])
        return total, grad(total, [*(self.x[k] for k in self.wrt), self.g])


def inner(xs: Sequence[Array], ys: Sequence[Array]) -> Array:
    return sum((torch.sum(x * y) for x, y in zip(xs, ys, strict=True)), torch.zeros((), dtype=torch.float64))


def slope(f: Callable[[float], Array]) -> Array | None:
    """The derivative of f at 0, or None where f has none: it is not finite, or a kink lies within the step."""
    before, here, after = f(-STEP), f(0.0), f(STEP)
    if not torch.isfinite(before + here + after):
        return None
    bend = (after + before - 2.0 * here).abs() / STEP
    numeric = (after - before) / (2.0 * STEP)
    return None if bend > 1e-2 * (1.0 + numeric.abs()) else numeric


def assert_finite_difference(case: Differentiated) -> bool:
    """`vjp` along a random direction is the slope of the result. False where there is no slope to compare with."""
    directions = case.directions()
    numeric = slope(lambda step: inner([case.op.eval(*case.moved(directions, step))], [case.cotangent]))
    if numeric is not None:
        assert_same(inner(case.cotangents(), directions), numeric, name_of_case(case), **TOLERANCE)
    return numeric is not None


def assert_second_finite_difference(case: Differentiated) -> bool:
    """The derivative of <vjp, random> by the operands and by the cotangent, along random directions."""
    if not case.contributions:
        return False  # the derivative is zero everywhere
    weights = [random_like(case.arrays[k], case.generator) for k in case.contributions]
    total, gradients = case.derivative(weights)
    inputs = [*case.x, case.g]
    directions = case.directions()
    turn = random_like(case.cotangent, case.generator)

    def f(step: float) -> Array:
        return values_of([total], inputs, [*case.moved(directions, step), case.cotangent + step * turn])[0]

    numeric = slope(f)
    if numeric is not None:
        found = values_of(gradients, inputs, [*case.arrays, case.cotangent])
        assert_same(inner(found, [*directions, turn]), numeric, name_of_case(case), **TOLERANCE)
    return numeric is not None


def assert_autograd(case: Differentiated) -> None:
    """`vjp` is what torch.autograd makes of `eval`, ties and kinks included."""
    leaves = [x.clone().requires_grad_(x.dtype.is_floating_point) for x in case.arrays]
    y = (case.op.judge or case.op.eval)(*leaves)
    wrt = [leaves[k] for k in case.wrt]
    expected = torch.autograd.grad(y, wrt, case.cotangent, materialize_grads=True)
    for actual, each in zip(case.cotangents(), expected, strict=True):
        assert_same(actual, each, name_of_case(case), rtol=1e-10, atol=1e-12)


def assert_second_autograd(case: Differentiated) -> None:
    """The derivative of <vjp, random> is what torch.autograd makes of its own, ties and kinks included."""
    if not case.contributions:
        return
    weights = [random_like(case.arrays[k], case.generator) for k in case.contributions]
    _, gradients = case.derivative(weights)
    leaves = [x.clone().requires_grad_(x.dtype.is_floating_point) for x in case.arrays]
    cotangent = case.cotangent.clone().requires_grad_()
    y = (case.op.judge or case.op.eval)(*leaves)
    wrt = [leaves[k] for k in case.contributions]
    first = torch.autograd.grad(y, wrt, cotangent, create_graph=True, materialize_grads=True)
    by = [*(leaves[k] for k in case.wrt), cotangent]
    # What has no elements is cut off from the graph.
    known = [(each, weight) for each, weight in zip(first, weights, strict=True) if each.requires_grad]
    second = sum(torch.sum(each * weight) for each, weight in known)
    expected = torch.autograd.grad(second, by, materialize_grads=True) if known else map(torch.zeros_like, by)
    found = values_of(gradients, [*case.x, case.g], [*case.arrays, case.cotangent])
    for actual, each in zip(found, expected, strict=True):
        assert_same(actual, each, name_of_case(case), rtol=1e-8, atol=1e-11)


def name_of_case(case: Differentiated) -> str:
    return f"{case.op} {' '.join(str(type_of(x)) for x in case.arrays)}"
