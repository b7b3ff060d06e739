"""Random typed graphs over every registered op, driven by the ops' own samples: a new op is fuzzed without a line here.

Every tensor is evaluated while the graph is built, at one binding of the sizes, so that graphs stay within the domains
of their ops and values stay moderate. Wild cases do without that and have special values among their inputs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any, Literal

import torch

import graphc
from graphc import Parameter, Tensor, Variable, dims
from graphc.dims import Size, symbol
from graphc.errors import GraphcError
from graphc.ir import OPS, Arg, Node, Op, Role, Sample, apply, topological_order
from graphc.types import DTYPES, TensorType, same_shape
from tools.fuzzing.forms import FORMS, REARRANGEMENTS

__all__ = ["LARGEST", "MAX_ELEMENTS", "PLAIN", "ROUND_VECTORS", "SAMPLES", "SMALL", "Builder", "Kind", "draw"]

Array = torch.Tensor
Kind = Literal["any", "smooth"]
LARGEST = 1e4
"""Larger magnitudes are left out: they make everything that depends on them a matter of rounding."""
MAX_ELEMENTS = 2000
MAX_RANK = 5
PLAIN = Arg(())
SMALL = (1, 2, 3, 4, 5)
ROUND_VECTORS = (7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 66, 67)
"""Sizes next to the lengths of vectors, of blocks of vectors, and of a cache line."""
SAMPLED = [op for op in OPS.values() if list(op.samples())]
SAMPLES = [sample for op in SAMPLED for sample in op.samples()]
SPECIAL = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e-40, -1e-40]
NAMES = ["x", "points", "in 1", "class", "π", "x", '"; raise SystemExit #', "in0", "n", "v3", "a\nb"]


class Refused(Exception):  # noqa: N818 - not an error: a choice that does not fit, and the builder makes another
    """A choice that does not fit."""


def draw(arg: Arg, shape: Sequence[int], generator: torch.Generator, wild: bool = False) -> Array:
    """Values for an input; wild ones have special values among them."""
    low = max(arg.low, 0.0) if arg.dtype is torch.uint8 else arg.low
    x = replace(arg, shape=tuple(shape), low=low).draw(generator)
    if wild and x.dtype.is_floating_point:
        index = torch.randint(0, 8 * len(SPECIAL), x.shape, generator=generator)
        special = torch.tensor(SPECIAL, dtype=x.dtype)[index % len(SPECIAL)]
        x = torch.where(index < len(SPECIAL), special, x)
    return x


class Builder:
    """One graph in the making. `pool` has the tensors that later ones may use.

    The first op is one of all samples, by turns: so many seeds have every op, with every dtype of its samples.
    `kind` restricts: "smooth" graphs are in float64 and do not train, for finite differences.
    """

    def __init__(self, seed: int, size: int, kind: Kind = "any") -> None:
        self.seed, self.size = seed, size
        self.random: random.Random = random.Random(f"{seed} {size}")
        self.generator = torch.Generator().manual_seed(self.random.getrandbits(48))
        self.is_smooth = kind == "smooth"
        self.is_wild = not self.is_smooth and self.chance(0.08)
        self.is_training = not self.is_smooth and self.chance(0.4)
        self.is_batched = self.is_training and self.chance(0.15)
        self.main = torch.float64 if self.is_smooth else self.random.choice([torch.float32, torch.float64])
        self.wide = self.random.choice([0.0, 0.0, 0.0, 0.25])
        self.sizes = {"n": self.random.randint(2, 6), "m": self.random.randint(2, 5)}
        if self.chance(self.wide):
            self.sizes["n"] = self.random.choice(ROUND_VECTORS)
        self.wanted: Tensor | None = None
        self.pool: list[Tensor] = []
        self.values: dict[Node, Array] = {}
        self.draws: dict[Node, Arg] = {}
        self.inputs: list[Tensor] = []
        self.variables: list[Variable] = []
        self.network: Tensor | None = None
        self._start()

    def grow(self) -> None:
        """Choose ops, from what the pool has."""
        steps = [self.from_sample] * 11 + [self.rearranged] * 5 + [self.formed] * 5
        turn, number = divmod(self.seed, len(SAMPLES))
        goal = len(self.pool) + self.size
        for attempt in range(6):
            self.wanted = self.attempt(partial(self.from_sample, SAMPLES[number], exactly=turn % 2 == 0 or attempt > 0))
            if self.wanted is not None:
                break
        for _ in range(8 * self.size):
            if len(self.pool) >= goal:
                break
            self.attempt(self.random.choice(steps))

    def _start(self) -> None:
        """Inputs that determine the named sizes, and parameters."""
        n, m = symbol("n"), symbol("m")
        self.placeholder(TensorType((n, self.static_size()), self.main))
        if self.is_batched:
            del self.sizes["m"]
            self.placeholder(TensorType(self.random.choice([(n,), (n, 2), (n, 3, 2)]), self.main))
        else:
            self.placeholder(TensorType(self.random.choice([(m,), (n, m), (m, 2), (m + n, m)]), self.main))
        if not self.is_batched and self.chance(0.2):
            self.placeholder(TensorType((self.random.choice([n + 1, 2 * n, n * m]), 3), self.main))
        shape = self.shape(static=True)
        for _ in range(self.random.randint(2, 4) if self.is_training else self.random.randint(0, 2)):
            self.parameter(TensorType(shape if self.chance(0.4) else self.shape(static=True), self.main))
        if self.chance(0.5 if self.is_training else 0.1):
            self.network = self._network(self.inputs[0])

    def _network(self, x: Tensor) -> Tensor:
        """A few layers, so that some losses depend on many parameters."""
        for _ in range(self.random.randint(1, 3)):
            width = self.random.choice([1, 2, 3, 5])
            weight = self.parameter(TensorType((x.shape[-1], width), self.main))
            x = x @ weight
            if self.chance(0.8):
                x = x + self.parameter(TensorType((width,), self.main))
            x = self.keep(self.random.choice([graphc.tanh, graphc.sigmoid, graphc.relu, graphc.leaky_relu])(x))
            if self.chance(0.3):
                x = self.keep(graphc.dropout(x, self.random.choice([0.1, 0.5, 0.9])))
        return x

    # Choices.

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def attempt(self, make: Callable[[], Tensor | None]) -> Tensor | None:
        """A tensor that fits, taken into the pool, or None."""
        try:
            x = make()
            return None if x is None else self.keep(x)
        except (Refused, GraphcError):
            return None

    def pick(self, fits: Callable[[Tensor], bool] = lambda x: True) -> Tensor:
        """A tensor of the pool, more often a late one."""
        found = [x for x in self.pool if fits(x)]
        if not found:
            raise Refused
        return found[int(len(found) * self.random.random() ** 0.6)]

    def static_size(self) -> int:
        if self.chance(self.wide):
            return self.random.choice(ROUND_VECTORS)
        return self.random.choice([1, 1, 2, 3, 3, 4, 5, 7, 0] if self.chance(0.3) else SMALL)

    def any_size(self) -> Size:
        return (
            symbol(self.random.choice("nn" if self.is_batched else "nnm")) if self.chance(0.4) else self.static_size()
        )

    def shape(self, static: bool = False) -> tuple[Size, ...]:
        rank = self.random.choice([0, 1, 1, 2, 2, 2, 3])
        if self.chance(0.1):
            return (self.static_size() if static else self.any_size(),) * 2
        return tuple(self.static_size() if static else self.any_size() for _ in range(rank))

    def number(self, dtype: torch.dtype) -> Tensor:
        """A 0-d tensor."""
        return self.operand(TensorType((), dtype))

    # Leaves.

    def leaf(self, type_: TensorType, arg: Arg = PLAIN) -> Tensor:
        kinds = [self.constant]
        if self._may_be_given(type_):
            kinds += [self.placeholder, self.placeholder]
        if type_.is_static:
            kinds += [self.parameter, self.parameter]
        return self.random.choice(kinds)(type_, arg)

    def placeholder(self, type_: TensorType, arg: Arg = PLAIN) -> Tensor:
        if not self._may_be_given(type_):
            raise Refused
        name = self.random.choice(NAMES) if self.chance(0.2) else f"x{len(self.inputs)}"
        x = graphc.placeholder(name, type_.shape, type_.dtype)
        integer = arg.integer or self.chance(0.15)
        self.draws[x.node] = replace(arg, dtype=type_.dtype, integer=integer)
        self.values[x.node] = self.draw(type_, self.draws[x.node])
        self.inputs.append(x)
        self.pool.append(x)
        return x

    def _may_be_given(self, type_: TensorType) -> bool:
        """`fit` cuts batches along a size that all inputs share."""
        return not self.is_batched or (type_.ndim > 0 and dims.same(type_.shape[0], symbol("n")))

    def parameter(self, type_: TensorType, arg: Arg = PLAIN) -> Tensor:
        value = self.draw(type_, arg)
        name = f"p{len(self.variables)}" if self.chance(0.8) else self.random.choice(NAMES)
        x: Variable
        if type_.dtype.is_floating_point and self.chance(0.65):
            x = Parameter(value, name=name)
        else:
            x = Variable(value, name=name, role=self.random.choice([Role.SLOT, Role.HYPER]))
        self.values[x.node] = value
        self.variables.append(x)
        self.pool.append(x)
        return x

    def constant(self, type_: TensorType, arg: Arg = PLAIN) -> Tensor:
        if type_.is_static and self.chance(0.5):
            x = graphc.constant(self.draw(type_, arg))
        else:
            number = draw(replace(arg, dtype=type_.dtype, integer=self.chance(0.5)), (), self.generator)
            x = graphc.constant(number).broadcast_to(type_.shape)
        return self.keep(x)

    def draw(self, type_: TensorType, arg: Arg = PLAIN) -> Array:
        """Values of this type, at the sizes of the builder."""
        shape = [dims.evaluate(size, self.sizes) for size in type_.shape]
        if any(size < 0 for size in shape):
            raise Refused
        return draw(replace(arg, dtype=type_.dtype), shape, self.generator)

    def keep(self, x: Tensor) -> Tensor:
        """`x`, taken into the pool when its value is a moderate one."""
        for node in topological_order([x.node]):
            if node not in self.values:
                self.values[node] = self._evaluate(node)
        if not any(x.node is other.node for other in self.pool):
            self.pool.append(x)
        return x

    def _evaluate(self, node: Node) -> Array:
        guards = node.op.guards(*(x.type for x in node.inputs))
        shape = [dims.evaluate(size, self.sizes) for size in node.type.shape]
        if any(size < 0 for size in (*shape, *(dims.evaluate(guard, self.sizes) for guard in guards))):
            raise Refused
        numel = torch.Size(shape).numel()
        if numel > MAX_ELEMENTS or len(shape) > MAX_RANK or (self.is_wild and _truncates(node)):
            raise Refused
        value = node.op.bound(self.sizes).eval(*[self.values[x] for x in node.inputs])
        if not self.is_wild and numel and not bool((value.double().abs() < LARGEST).all()):
            raise Refused
        return value

    # Operands.

    def operand(self, type_: TensorType, arg: Arg = PLAIN) -> Tensor:
        """A tensor of this type: one of the pool, one made from the pool, or a new leaf."""
        exact = [x for x in self.pool if x.type == type_]
        x: Tensor | None = None
        if exact and self.chance(0.6):
            x = exact[int(len(exact) * self.random.random() ** 0.6)]
        elif self.chance(0.8):
            x = self.adapted(type_)
        return self.into_domain(self.leaf(type_, arg) if x is None else x, arg)

    def into_domain(self, x: Tensor, arg: Arg) -> Tensor:
        """`x` with values within the limits of a sample's operand."""
        drawn = self.draws.get(x.node, PLAIN)
        fits = arg.low <= drawn.low and drawn.high <= arg.high
        if (arg.low, arg.high) == (PLAIN.low, PLAIN.high) or x.dtype is torch.bool or fits:
            return x
        if x.dtype.is_floating_point:
            return x if self.is_wild and self.chance(0.5) else x.sigmoid() * (arg.high - arg.low) + arg.low
        return x.clamp(int(arg.low), int(arg.high))

    def adapted(self, type_: TensorType) -> Tensor | None:
        """A tensor of the pool, made to fit."""
        ways = [_reshaped, _broadcast, _permuted, _cut, _reduced, _indexed, self._extended]
        for _ in range(6):
            x = self.pick()
            for way in self.random.sample(ways, len(ways)):
                try:
                    result = way(x, type_.shape)
                except GraphcError:
                    continue
                if result is not None and same_shape(result.shape, type_.shape):
                    return self.attempt(partial(self.cast, result, type_.dtype))
        return None

    def cast(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """By way of int64: what becomes of a negative number in uint8 depends on the processor."""
        return x.to(dtype) if not x.dtype.is_floating_point or dtype.is_floating_point else x.to(torch.int64).to(dtype)

    def _extended(self, x: Tensor, shape: Sequence[Size]) -> Tensor | None:
        """With something more along one dimension."""
        differing = [d for d in range(x.ndim) if x.ndim == len(shape) and not dims.same(x.shape[d], shape[d])]
        if len(differing) != 1:
            return None
        (d,) = differing
        more = shape[d] - x.shape[d]
        if not dims.non_negative(more):
            return None
        rest = self.leaf(TensorType((*x.shape[:d], more, *x.shape[d + 1 :]), x.dtype))
        return graphc.cat([x, rest] if self.chance(0.5) else [rest, x], d)

    # Steps.

    def formed(self) -> Tensor:
        x = self.pick(lambda x: x.ndim > 0 and (x.dtype.is_floating_point or self.chance(0.2)))
        floating = x.dtype.is_floating_point
        number = self.random.choice([2.0, 0.5, -1.0, 1.0, 0.0, -0.0, 3, 1] if floating else [2, 1, -1, 0, True])
        return self.random.choice(FORMS)(self, x, self.operand(x.type), number)

    def rearranged(self) -> Tensor:
        x = self.pick(lambda x: x.ndim > 0)
        for _ in range(self.random.choice([1, 1, 2, 3])):  # views of views
            x = self.random.choice(REARRANGEMENTS)(self, x)
            if not x.ndim:
                break
        return x

    def from_sample(self, sample: Sample | None = None, *, exactly: bool = False) -> Tensor:
        """An op as in one of its samples, a random one if None, on other sizes, and unless `exactly` another dtype."""
        sample = sample or self.random.choice(list(self.random.choice(SAMPLED).samples()))
        op, types = sample.op, [TensorType(arg.shape, arg.dtype) for arg in sample.args]
        for change in (self._resized,) if exactly else (self._resized, self._retyped):
            changed, new_types = change(op, types)
            if self.chance(0.9) and _accepts(changed, new_types):
                op, types = changed, new_types
        return apply(op, *[self.operand(type_, arg) for type_, arg in zip(types, sample.args)])

    def _resized(self, op: Op, types: Sequence[TensorType]) -> tuple[Op, list[TensorType]]:
        """Each size renamed to another one, in the operands and in the attributes that are sizes."""
        if op.is_pointwise:
            shape = self.pick().shape
            return op, [TensorType(shape, type_.dtype) for type_ in types]
        renamed: dict[Size, Size] = {}
        alike = [x for x in self.pool if x.ndim == types[0].ndim]
        if alike:
            for old, new in zip(types[0].shape, self.random.choice(alike).shape):
                renamed.setdefault(old, new)
        for type_ in types:
            for size in type_.shape:
                renamed.setdefault(size, size if size in (0, 1) and self.chance(0.8) else self.any_size())
        changes: dict[str, Any] = {}
        for each in fields(op):  # type: ignore[arg-type]  # every op is a dataclass
            value = getattr(op, each.name)
            if each.type == "tuple[Size, ...]":
                changes[each.name] = tuple(renamed.get(size, size) for size in value)
            elif each.type == "Size" and value > 1:
                changes[each.name] = renamed.get(value, value)
        new_types = [TensorType(tuple(renamed[size] for size in type_.shape), type_.dtype) for type_ in types]
        return replace(op, **changes), new_types  # type: ignore[type-var]

    def _retyped(self, op: Op, types: Sequence[TensorType]) -> tuple[Op, list[TensorType]]:
        """Floating dtypes made the graph's main one; sometimes the main dtype of the op made any."""
        old = types[-1].dtype
        if old.is_floating_point and (self.is_smooth or (old is torch.float32 and self.chance(0.85))):
            new = self.main
        else:
            new = self.random.choice([each for each in DTYPES if each.itemsize != 2 or self.chance(0.5)])
        if old.is_floating_point and not new.is_floating_point and op.name == "cast":
            return op, list(types)
        return op, [TensorType(type_.shape, new if type_.dtype is old else type_.dtype) for type_ in types]


def _truncates(node: Node) -> bool:
    """Whether a node makes floating numbers integers: what becomes of NaN and infinities depends on the processor."""
    source = node.inputs[0].type.dtype if node.inputs else torch.int64
    target = node.type.dtype
    return node.op.name == "cast" and source.is_floating_point and not target.is_floating_point


def _accepts(op: Op, types: Sequence[TensorType]) -> bool:
    try:
        op.infer(*types)
    except (GraphcError, AssertionError):  # assertions state what the functions see to before they build an op
        return False
    return True


# Ways to give a tensor another shape; None or a GraphcError where one does not apply.


def _reshaped(x: Tensor, shape: Sequence[Size]) -> Tensor | None:
    return x.reshape(shape) if dims.same(x.numel(), dims.product(shape)) else None


def _broadcast(x: Tensor, shape: Sequence[Size]) -> Tensor | None:
    return x.broadcast_to(shape) if x.ndim <= len(shape) else None


def _permuted(x: Tensor, shape: Sequence[Size]) -> Tensor | None:
    free, order = list(range(x.ndim)), list[int]()
    for size in reversed(shape):
        found = next((d for d in free if dims.same(x.shape[d], size)), None)
        if found is None:
            return None
        free.remove(found)
        order.insert(0, found)
    return None if free else x.permute(tuple(order))


def _cut(x: Tensor, shape: Sequence[Size]) -> Tensor | None:
    if x.ndim != len(shape):
        return None
    key = []
    for old, new in zip(x.shape, shape):
        rest = old - new
        if not isinstance(rest, int) or rest < 0:
            return None
        start = rest // 2
        key.append(slice(start, None if start == rest else -(rest - start)))
    return x[tuple(key)] if key else None


def _reduced(x: Tensor, shape: Sequence[Size]) -> Tensor | None:
    return x.sum().broadcast_to(shape) if x.ndim else None


def _indexed(x: Tensor, shape: Sequence[Size]) -> Tensor | None:
    return x[(0,) * (x.ndim - len(shape))] if x.ndim > len(shape) else None
