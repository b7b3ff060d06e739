"""IEEE special values: NaN, infinities, signed zeros, denormals, and numbers where functions overflow, round or tie.

Some cases are pointwise functions, a few in one program: results and gradients, on every backend and every width of
vectors, against eager torch and torch.autograd. Values are the special ones, random ones around them, and random bits.
Native programs must give each element the same bits in a vector, in the loop for what is left over, and alone; what
constant folding computes must be the same special values. Other cases do so with reductions, integers that wrap around,
and casts; and some look at the floating-point environment, which nothing may change.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import math
import operator
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

import graphc
from graphc import Program
from graphc.ir import FUNCTIONS
from tests.judge import Array, assert_same
from tests.ops.cases import UNARY, torchs
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

WAYS: list[tuple[str, int | None]] = [("reference", None), ("torch", None), ("c", 16), ("c", 32), ("c", 64)]
"""Backends, the native one with vectors of so many bytes."""
FLOATS = (torch.float32, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)

Function = Callable[[Any], Any]
"""Of a symbolic tensor, and of torch's."""


@contextlib.contextmanager
def vectors_of(width: int | None) -> Iterator[None]:
    """Generated code has vectors of so many bytes."""
    before = os.environ.pop("GRAPHC_VECTOR_BYTES", None)
    if width is not None:
        os.environ["GRAPHC_VECTOR_BYTES"] = str(width)
    try:
        yield
    finally:
        os.environ.pop("GRAPHC_VECTOR_BYTES", None)
        if before is not None:
            os.environ["GRAPHC_VECTOR_BYTES"] = before


# Pointwise functions --------------------------------------------------------------------------------------------------

NUMBERS = (0.0, -0.0, 1.0, -1.0, 2.0, 3, 0.1, math.inf, math.nan)
EXPONENTS = (0, 1, 2, 3, 4, 7, -1, -2, -3, 0.0, -0.0, 0.5, -0.5, 1.5, 1 / 3, math.inf, -math.inf, math.nan)


def _pointwise() -> Iterator[tuple[str, Function, Function]]:
    for name in UNARY:
        yield name, FUNCTIONS[name], torchs(name)
    yield "gelu tanh", lambda x: graphc.gelu(x, "tanh"), lambda x: torch.nn.functional.gelu(x, approximate="tanh")
    yield "softplus 2", lambda x: graphc.softplus(x, 2.0, 3.0), lambda x: torch.nn.functional.softplus(x, 2.0, 3.0)
    yield "elu -0.5", lambda x: graphc.elu(x, -0.5), lambda x: torch.nn.functional.elu(x, -0.5)
    yield "leaky_relu -1", lambda x: graphc.leaky_relu(x, -1.0), lambda x: torch.nn.functional.leaky_relu(x, -1.0)
    for limits in ((-1.0, 1.0), (None, 0.0), (-0.0, None), (math.nan, None), (-math.inf, 1.0), (1.0, -1.0)):
        yield (
            f"clamp {limits}",
            functools.partial(_of_x, graphc.clamp, limits),
            functools.partial(_of_x, torch.clamp, limits),
        )
    for exponent in EXPONENTS:
        for turned in (False, True):
            yield (f"{exponent} ** x" if turned else f"x ** {exponent}", *_operator(operator.pow, exponent, turned))
    for name, number, turned in itertools.product(("add", "sub", "mul", "truediv"), NUMBERS, (False, True)):
        yield (f"{name} {number}{' turned' if turned else ''}", *_operator(getattr(operator, name), number, turned))


def _of_x(f: Callable[..., Any], others: tuple[Any, ...], x: Any) -> Any:
    return f(x, *others)


def _operator(f: Callable[[Any, Any], Any], number: float, turned: bool) -> tuple[Function, Function]:
    def both(x: Any) -> Any:
        return f(number, x) if turned else f(x, number)

    return both, both


POINTWISE = list(_pointwise())
TOGETHER = 12
GROUPS = [POINTWISE[k : k + TOGETHER] for k in range(0, len(POINTWISE), TOGETHER)]

CANCELLING = {"tanh", "sigmoid", "elu", "gelu", "silu", "softplus", "erf"}
"""Functions whose formulas, or those of their gradients, subtract from 1: what is left has the error of the 1."""
FLUSHED = {"sigmoid", "silu"}
"""Where torch gives 0 for what is denormal, since it divides by infinity."""
UNITS = 8
"""In the last place, that results differ from torch's: each side is off by some, as documented."""


def values(dtype: torch.dtype, seed: int) -> Array:
    """Where functions are at their worst, the neighbours of that, random bits and plain numbers."""
    info = torch.finfo(dtype)
    generator = torch.Generator().manual_seed(seed)
    tiny, eps, bits = info.smallest_normal, info.eps, {torch.float32: torch.int32, torch.float64: torch.int64}[dtype]
    edges = [math.nan, math.inf, 0.0, tiny * eps, 3 * tiny * eps, tiny / 2, tiny * (1 - eps), tiny, 2 * tiny, eps / 2]
    edges += [eps, 0.25, 0.5, 1 - eps / 2, 1.0, 1 + eps, 1.5, 2.0, 2.5, 3.0, 4.0, 10.0, 20.0, 20.1, 50.0, 1e15, 1e30]
    edges += [88.72, 88.73, 103.9, 104.0, 709.7, 709.8, 745.1, 745.2, 6400.0, 1e5, 1.6e6, 1e9, 1e10, info.max]
    edges += [2.0**22 + 0.5, 2.0**23, 2.0**24 - 1, 2.0**52 - 0.5, 2.0**53, math.sqrt(info.max), math.sqrt(tiny)]
    edges += [math.pi * k for k in (0.25, 0.5, 1.0, 2.0, 1000.0)]
    base = torch.tensor(edges, dtype=torch.float64).to(dtype)
    near = base * (1 + eps * torch.randint(-8, 9, base.shape, generator=generator).to(dtype))
    limits = torch.iinfo(bits)
    random = torch.randint(limits.min, limits.max, (200,), generator=generator, dtype=bits).view(dtype)
    random = random.where(~random.isnan(), torch.nan)  # a signalling NaN is no result of any operation
    plain = torch.randn(101, generator=generator, dtype=dtype) * 5
    return torch.cat([base, -base, near, -near, random, plain])


@functools.cache
def pointwise_program(group: int, dtype: torch.dtype, backend: str, width: int | None) -> Program:
    """Of x and a cotangent: the functions of a group, and their gradients."""
    x, g = graphc.placeholder("x", ("n",), dtype), graphc.placeholder("g", ("n",), dtype)
    outputs = {}
    for name, ours, _ in GROUPS[group]:
        outputs[name] = y = ours(x)
        outputs[f"{name}, gradient"] = graphc.grad((y * g).sum(), [x])[0]
    with vectors_of(width):
        return graphc.compile([x, g], outputs, backend=backend)


def distance(actual: Array, expected: Array) -> Array:
    """In units in the last place; infinite where one is NaN, infinite or a zero of another sign, and the other not."""
    info = torch.finfo(actual.dtype)
    a, e = actual.double(), expected.double()
    unit = e.abs().clamp(min=info.smallest_normal) * info.eps
    units = ((a - e) / unit).abs()
    same = (a == e) & (a.signbit() == e.signbit()) | a.isnan() & e.isnan()
    apart = ~a.isfinite() | ~e.isfinite() | (a == 0) & (e == 0)
    return torch.where(same, 0.0, torch.where(apart, math.inf, units))


def assert_near(name: str, x: Array, g: Array, actual: Array, expected: Array, precise: Array) -> None:
    """`actual` is `expected` but for rounding; or `precise`, the same in double precision, where torch overflows."""
    assert actual.dtype is expected.dtype, f"{name}: {actual.dtype}, not {expected.dtype}"
    info = torch.finfo(actual.dtype)
    fine = torch.minimum(distance(actual, expected), distance(actual, precise.to(actual.dtype))) <= UNITS
    error = (actual.double() - expected.double()).abs()
    function = name.split()[0].rstrip(",")
    if function in CANCELLING:
        scale = torch.maximum(x.double().abs(), torch.tensor(1.0)).clamp(max=100.0) * g.double().abs().clamp(min=1.0)
        fine |= error <= 16 * info.eps * scale
    if function in FLUSHED:
        fine |= (actual.abs() < 8 * info.smallest_normal) & (expected.abs() < 8 * info.smallest_normal)
    if not fine.all():
        k = int((~fine).nonzero()[0])
        shown = f"{name}: x = {x[k].item()!r}, cotangent {g[k].item()!r}"
        raise AssertionError(
            f"{shown}: {actual[k].item()!r}, and torch has {expected[k].item()!r}; {(~fine).sum()} such"
        )


def eager(f: Function, x: Array, g: Array) -> tuple[Array, Array]:
    """torch's result and gradient."""
    leaf = x.clone().requires_grad_()
    y = f(leaf)
    (gradient,) = torch.autograd.grad(y, leaf, g, materialize_grads=True, allow_unused=True)
    return y.detach(), gradient


def pointwise(turn: int, seed: int) -> int:
    """A group of functions, in one dtype, on one backend."""
    group, dtype, (backend, width) = _chosen(turn, range(len(GROUPS)), FLOATS, WAYS)
    x = values(dtype, seed)
    g = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    program = pointwise_program(group, dtype, backend, width)
    results = program(x, g)
    for name, ours, theirs in GROUPS[group]:
        single, double = eager(theirs, x, g), eager(theirs, x.double(), g.double())
        label = f"{backend} {width or ''} {dtype}"
        for what, expected, precise in zip((name, f"{name}, gradient"), single, double, strict=True):
            try:
                assert_near(what, x, g, results[what], expected, precise)
            except AssertionError as error:
                raise AssertionError(f"{label} {error}") from None
        if backend == "c":
            folded = graphc.compile([], ours(graphc.constant(x)), backend="reference")()
            assert_near(f"{name}, folded", x, g, folded, single[0], double[0])
    if backend == "c":
        for shift in (1, 3, 7, 13):
            shifted, alone = program(x.roll(shift), g.roll(shift)), program(x[shift : shift + 1], g[shift : shift + 1])
            for name, result in results.items():
                place = f"{name} on vectors of {width} bytes, and {shift} places on"
                assert_same(shifted[name].roll(-shift), result, place, bits=True)
                assert_same(alone[name], result[shift : shift + 1], f"{name} of one element", bits=True)
    return len(results) * len(x)


# Pairs of operands ----------------------------------------------------------------------------------------------------

PARTS = 3
"""Of large programs, which take a compiler long."""
BINARY = ("add", "sub", "mul", "div", "pow", "minimum", "maximum", "eq", "ne", "lt", "le", "gt", "ge")


@functools.cache
def binary_program(part: int, dtype: torch.dtype, backend: str, width: int | None) -> Program:
    x, y, g = (graphc.placeholder(name, ("n",), dtype) for name in "xyg")
    outputs = {}
    for name in BINARY[part::PARTS]:
        outputs[name] = z = FUNCTIONS[name](x, y)
        if z.dtype is dtype:
            for k, gradient in enumerate(graphc.grad((z * g).sum(), [x, y])):
                outputs[f"{name}, gradient {k}"] = gradient
    with vectors_of(width):
        return graphc.compile([x, y, g], outputs, backend=backend)


def pairs(turn: int, seed: int) -> int:
    """Functions of two operands, on the special values with each other."""
    part, dtype, (backend, width) = _chosen(turn, range(PARTS), FLOATS, WAYS)
    generator = torch.Generator().manual_seed(seed)
    chosen = values(dtype, seed)
    chosen = chosen[torch.randperm(len(chosen), generator=generator)[:40]]
    x, y = (each.flatten() for each in torch.meshgrid(chosen, chosen, indexing="ij"))
    g = torch.randn(x.shape, generator=generator, dtype=dtype)
    results = binary_program(part, dtype, backend, width)(x, y, g)
    for name in BINARY[part::PARTS]:
        leaves = [each.clone().requires_grad_() for each in (x, y)]
        z = torchs(name)(*leaves)
        note = f"{backend} {width or ''} {dtype} {name}"
        if z.dtype is torch.bool:
            assert_same(results[name], z, note)
            continue
        gradients = torch.autograd.grad(z, leaves, g)
        expected = {name: z.detach()} | {f"{name}, gradient {k}": each for k, each in enumerate(gradients)}
        for what, each in expected.items():
            actual = results[what]
            if "imum" in name:  # which of two zeros is the larger one depends, in torch, on the position
                actual, each = (part.where(part != 0, 0.0) for part in (actual, each))
            fine = distance(actual, each) <= UNITS
            if name in ("div", "pow") and "gradient" in what:  # products may overflow in another order
                fine |= _is_extreme(actual, dtype) & _is_extreme(each, dtype)
            if not fine.all():
                k = int((~fine).nonzero()[0])
                operands = f"x = {x[k].item()!r}, y = {y[k].item()!r}, cotangent {g[k].item()!r}"
                raise AssertionError(f"{note} {what}: {operands}: {actual[k].item()!r}, torch has {each[k].item()!r}")
    return len(results) * len(x)


def _is_extreme(x: Array, dtype: torch.dtype) -> Array:
    info = torch.finfo(dtype)
    return ~x.isfinite() | (x.abs() < info.smallest_normal) | (x.abs() > info.max / 4)


# Reductions -----------------------------------------------------------------------------------------------------------


def _reductions() -> Iterator[tuple[str, Function, Function]]:
    for name, dim in itertools.product(("sum", "mean", "amax", "amin", "logsumexp", "softmax", "log_softmax"), (0, 1)):
        yield f"{name} {dim}", *(functools.partial(_of_x, f, (dim,)) for f in (FUNCTIONS[name], torchs(name)))
    for name in ("sum", "mean", "amax", "amin"):
        yield f"{name} all", FUNCTIONS[name], torchs(name)
    yield "matmul 0", lambda x: x @ x.mT, lambda x: x @ x.mT
    yield "matmul 1", lambda x: x.mT @ x, lambda x: x.mT @ x
    yield "sum of squares", lambda x: (x * x).sum(1), lambda x: (x * x).sum(1)


REDUCTIONS = list(_reductions())


@functools.cache
def reducing_program(part: int, dtype: torch.dtype, backend: str, width: int | None) -> Program:
    x, g = graphc.placeholder("x", ("n", "m"), dtype), graphc.placeholder("g", (), dtype)
    outputs = {}
    for name, ours, _ in REDUCTIONS[part::PARTS]:
        outputs[name] = y = ours(x)
        outputs[f"{name}, gradient"] = graphc.grad((y * g).sum(), [x])[0]
    with vectors_of(width):
        return graphc.compile([x, g], outputs, backend=backend)


def reductions(turn: int, seed: int) -> int:
    """Matrices of many shapes with special values somewhere, or everywhere."""
    part, dtype, (backend, width) = _chosen(turn, range(PARTS), FLOATS, WAYS)
    generator = torch.Generator().manual_seed(seed)
    info = torch.finfo(dtype)
    # Large numbers of both signs would sum up to anything, depending on the order.
    pool = [math.nan, math.inf, -math.inf, 0.0, -0.0, info.smallest_normal / 4, -info.smallest_normal, 1.0, -1.0]
    pool = torch.tensor([*pool, info.max / 2, 88.0, -104.0, 800.0, -800.0], dtype=dtype)
    program = reducing_program(part, dtype, backend, width)
    cotangent = torch.tensor(1.5, dtype=dtype)
    compared = 0
    for kind in range(12):
        shape = [int(torch.randint(1, 70 if d == kind % 2 else 9, (), generator=generator)) for d in (0, 1)]
        x = torch.randn(shape, generator=generator, dtype=dtype)
        special = pool[torch.randint(len(pool), shape, generator=generator)]
        share = (0.03, 0.1, 1.0)[kind % 3]
        x = torch.where(torch.rand(shape, generator=generator) < share, special, x)
        if kind in (4, 5):
            x = special[0, 0].expand(shape).clone()
        results = program(x, cotangent)
        for name, _, theirs in REDUCTIONS[part::PARTS]:
            leaf = x.clone().requires_grad_()
            y = theirs(leaf)
            (gradient,) = torch.autograd.grad(y, leaf, torch.full_like(y, 1.5))
            for what, expected in ((name, y.detach()), (f"{name}, gradient", gradient)):
                _assert_reduced(f"{backend} {width or ''} {what} of {shape}", x, results[what], expected)
                compared += expected.numel()
    return compared


def _assert_reduced(note: str, x: Array, actual: Array, expected: Array) -> None:
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape), note
    eps = torch.finfo(x.dtype).eps
    plain = x.where(x.isfinite() & (x.abs() < 1e6), 0.0).abs().max().clamp(min=1.0)
    bound = 64 * eps * torch.maximum(expected.abs(), plain * plain)
    alike = (actual == expected) | actual.isnan() & expected.isnan()
    fine = alike | ((actual - expected).abs() <= bound)
    if "matmul" in note and x.abs().nan_to_num().max() > 1e15:  # whether a product of large numbers is finite
        fine |= _is_extreme(actual, x.dtype) & _is_extreme(expected, x.dtype)
    if not fine.all():
        k = int((~fine).flatten().nonzero()[0])
        problem = f"{actual.flatten()[k].item()!r}, and torch has {expected.flatten()[k].item()!r}"
        raise AssertionError(f"{note}: {problem}; x = {x.tolist()}")


# Integers and casts ---------------------------------------------------------------------------------------------------


def whole_numbers(dtype: torch.dtype, seed: int) -> Array:
    """The ends of the dtype, what floating numbers cannot tell apart, small and random ones."""
    info = torch.iinfo(dtype)
    edges = [0, 1, 2, 3, 7, 31, 32, 63, 64, 100, info.max, info.max - 1, info.max // 2, info.max // 2 + 1, info.min]
    edges += [info.min + 1, -1, -2, -3, info.min // 2, 2**24 + 1, 2**24 + 3, 2**31, 2**53 + 1, 2**53 + 3, 2**40 + 2**16]
    random = torch.randint(info.min, info.max, (60,), generator=torch.Generator().manual_seed(seed), dtype=torch.int64)
    return torch.cat([torch.tensor([each for each in edges if info.min <= each <= info.max]), random]).to(dtype)


def _of_integers() -> Iterator[tuple[str, Function]]:
    for name in ("neg", "abs", "sign", "square", "relu", "floor", "sqrt", "reciprocal"):
        if name == "relu":
            yield name, lambda x: x.relu()
        else:
            yield name, operator.methodcaller(name)
    for exponent in (0, 1, 2, 3, 5, 63, 64, 127):
        yield f"x ** {exponent}", _operator(operator.pow, exponent, False)[0]
    for name, number in itertools.product(("add", "sub", "mul", "truediv", "lt", "eq"), (0, 1, -1, 3, 2**31, 0.5)):
        for turned in (False, True):
            yield f"{name} {number} {turned}", _operator(getattr(operator, name), number, turned)[0]
    for dtype in (*INTEGERS, torch.bool, *FLOATS):
        yield f"to {dtype}", operator.methodcaller("to", dtype)


OF_INTEGERS = list(_of_integers())
OF_TWO_INTEGERS = ("add", "sub", "mul", "truediv", "pow", "lt", "le", "eq")


@functools.cache
def integer_program(dtype: torch.dtype, backend: str, width: int | None) -> Program:
    x, y = graphc.placeholder("x", ("n",), dtype), graphc.placeholder("y", ("n",), dtype)
    outputs = {name: f(x) for name, f in OF_INTEGERS}
    outputs |= {name: getattr(operator, name)(x, y) for name in OF_TWO_INTEGERS}
    with vectors_of(width):
        return graphc.compile([x, y], outputs, backend=backend)


def integers(turn: int, seed: int) -> int:
    """Integers that wrap around, divide by zero to infinity and NaN, and are rounded as floating numbers."""
    dtype, (backend, width) = _chosen(turn, INTEGERS, WAYS)
    x, y = torch.meshgrid(*[whole_numbers(dtype, seed)] * 2, indexing="ij")
    x, y = x.flatten(), y.flatten()
    results = integer_program(dtype, backend, width)(x, y)
    expected = {name: f(x) for name, f in OF_INTEGERS}
    expected |= {name: getattr(operator, name)(x, y) for name in OF_TWO_INTEGERS}
    for name, each in expected.items():
        units = {"rtol": torch.finfo(each.dtype).eps, "atol": 0.0} if name == "sqrt" else {"bits": True}
        assert_same(results[name], each, f"{backend} {width or ''} {dtype} {name}", **units)
    return len(results) * len(x)


@functools.cache
def casting_program(dtype: torch.dtype, backend: str, width: int | None) -> Program:
    x = graphc.placeholder("x", ("n",), dtype)
    with vectors_of(width):
        return graphc.compile([x], [x.to(each) for each in (*INTEGERS, torch.bool, *FLOATS)], backend=backend)


def casts(turn: int, seed: int) -> int:
    """Floating numbers that a dtype holds: halves are cut off, denormals and NaN are True, doubles are rounded."""
    source, (backend, width) = _chosen(turn, FLOATS, WAYS)
    generator = torch.Generator().manual_seed(seed)
    program = casting_program(source, backend, width)
    for dtype in (*INTEGERS, torch.bool, *FLOATS):
        x = values(source, seed)
        if dtype in INTEGERS:
            info = torch.iinfo(dtype)
            inside = torch.rand(200, generator=generator, dtype=torch.float64) * 2 - 1
            x = torch.cat([x.double(), inside * info.max, torch.tensor([info.max - 0.5, info.min + 0.5, -0.9])]).to(
                source
            )
            x = x[(x.double() > info.min - 0.99) & (x.double() < float(info.max) + (0.99 if info.max < 2**32 else 0))]
        result = next(each for each in program(x) if each.dtype is dtype)
        assert_same(result, x.to(dtype), f"{backend} {width or ''} {source} to {dtype}", bits=True)
        for shift in (1, 5):
            again = next(each for each in program(x.roll(shift)) if each.dtype is dtype)
            assert_same(again.roll(-shift), result, f"{backend} {width} {source} to {dtype}, {shift} on", bits=True)
    return len(values(source, seed)) * (len(INTEGERS) + 3)


# The floating-point environment ---------------------------------------------------------------------------------------


def controls() -> tuple[int, ...]:
    """What this thread's processor is told of rounding, exceptions and denormals; not which exceptions there were."""
    rounding = ctypes.CDLL(None).fegetround()
    if platform.machine() not in ("x86_64", "AMD64"):
        return (rounding,)
    environment = (ctypes.c_uint32 * 16)()
    ctypes.CDLL("libm.so.6").fegetenv(environment)
    return (
        rounding,
        environment[0] & 0xFFFF,
        environment[7] & ~0x3F,
    )  # the control word of x87, and MXCSR less its flags


def environment(turn: int, seed: int) -> int:
    """Nothing changes when libraries are loaded and run, in any thread; denormals are as the caller wants them."""
    backend, width = WAYS[turn % len(WAYS)]
    before = controls()
    n = 1 << 20
    x = graphc.placeholder("x", ("n",))
    with vectors_of(width):
        # The constant makes it a library that is not loaded yet.
        program = graphc.compile([x], [x * 0.5, (x * float(seed + 2)).sum()], backend=backend, threads=2)
    assert controls() == before, "compiling and loading changed the floating-point environment"
    tiny = torch.full((n,), 1e-40)
    half = tiny * 0.5
    assert half.min() > 0
    found: list[object] = []

    def run() -> None:
        start = controls()
        result, _ = program(tiny)
        found.append((controls() == start, torch.equal(result, half)))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run()
    assert found == [(True, True)] * 4, f"the environment is as it was, and denormals are kept: {found}"
    assert controls() == before, "running changed the floating-point environment"
    if torch.set_flush_denormal(True):
        try:
            assert program(tiny[:1000])[0].max() == 0, "the caller has denormals flushed"
            assert torch.equal(program(torch.ones(1000))[0], torch.full((1000,), 0.5))
        finally:
            torch.set_flush_denormal(False)
    assert torch.equal(program(tiny)[0], half), "denormals are kept again"
    return n


# ----------------------------------------------------------------------------------------------------------------------


def _chosen(turn: int, *choices: Any) -> tuple[Any, ...]:
    """One of all combinations, by its number."""
    result = []
    for choice in choices:
        turn, k = divmod(turn, len(choice))
        result.append(choice[k])
    return tuple(result)


KINDS: list[tuple[Callable[[int, int], int], int]] = [
    (pointwise, len(GROUPS) * len(FLOATS) * len(WAYS)),
    (pairs, PARTS * len(FLOATS) * len(WAYS)),
    (reductions, PARTS * len(FLOATS) * len(WAYS)),
    (integers, len(INTEGERS) * len(WAYS)),
    (casts, len(FLOATS) * len(WAYS)),
    (environment, len(WAYS)),
]
"""What there is, and in how many combinations."""
COMBINATIONS = sum(count for _, count in KINDS)


def case(seed: int) -> Mapping[str, int]:
    """One combination, with the values of one draw."""
    turn = seed % COMBINATIONS
    for check, count in KINDS:
        if turn < count:
            return {"values": check(turn, seed)}
        turn -= count
    raise AssertionError("every turn has a kind")


PROOFS = (Proof("special-values", promise=17, unit="draws", full=3 * COMBINATIONS, quick=2, case=case),)
