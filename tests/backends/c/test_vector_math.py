"""The mathematical functions of generated C against long double, for every number of lanes and kind of machine."""

from __future__ import annotations

import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from graphc.backends.c.vector_math import definitions, prelude

Vector = np.ndarray[Any, np.dtype[Any]]

# The largest error over all numbers, in units in the last place. What is measured is in graphc/backends/c/math.
BOUNDS = {
    "tanh": 3.8,
    "exp": 1.2,
    "expm1": 2.4,
    "log": 1.4,
    "log1p": 1.4,
    "sigmoid": 2.6,
    "erf": 4.0,
    "sin": 2.8,
    "cos": 2.8,
    "sqrt": 0.5,
    "floor": 0.0,
    "abs": 0.0,
    "sign": 0.0,
}
COMPARISONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
"""The k-th sets bit k of what `compare` gives here."""
ON_INTEGERS = {"abs": 1, "sign": 1, "minimum": 2, "maximum": 2, "select": 3, "compare": 2}
ON_FLOATS = dict.fromkeys(BOUNDS, 1) | ON_INTEGERS | {"pow": 2, "fma": 3}
LANES = (1, 4, 8, 16)

FLOATS = [np.dtype(np.float32), np.dtype(np.float64)]
INTEGERS = [np.dtype(np.int32), np.dtype(np.int64)]
C_NAMES = {torch.float32: "f32", torch.float64: "f64", torch.int32: "i32", torch.int64: "i64"}

FLAGS = ["-std=c11", "-O2", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-Wall"]
FLAGS += ["-Wno-unused-function", "-Wno-psabi"]
MACHINES = {"this one": ["-mcpu=native"]}
if platform.machine() in ("x86_64", "AMD64"):
    MACHINES = {
        "this one": ["-march=native"],
        "avx2": ["-march=x86-64", "-mavx2", "-mfma"],
        "sse": ["-march=x86-64"],
    }

# Running them ---------------------------------------------------------------------------------------------------------


@functools.cache
def compiled(text: str, *flags: str) -> ctypes.CDLL:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler")
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "library.c"), Path(folder, "library.so")
        source.write_text(text, encoding="utf-8")
        command = [compiler, *FLAGS, *flags, str(source), "-o", str(library), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return ctypes.CDLL(str(library))


@functools.cache
def text_of_all() -> str:
    """Every function for every number of lanes, and a loop over arrays for each."""
    shapes = [(dtype, lanes) for dtype in C_NAMES for lanes in LANES]
    needed = []
    loops = []
    for dtype, lanes in shapes:
        element = C_NAMES[dtype]
        vector = f"{element}x{lanes}"
        for name, arity in (ON_FLOATS if dtype.is_floating_point else ON_INTEGERS).items():
            result = vector.replace("f", "i") if name == "compare" else vector
            operands = "abc"[:arity]
            types = [vector.replace("f", "i") if (name, x) == ("select", "a") else vector for x in operands]
            parameters = ", ".join(f"const void *{x}" for x in operands)
            arguments = ", ".join(f"(({type_}_u *){x})[i]" for type_, x in zip(types, operands))
            called = COMPARISONS if name == "compare" else [name]
            needed += [(each, dtype, lanes) for each in called]
            calls = [f"{each}_{vector}({arguments})" for each in called]
            if name == "compare":
                calls = [f"({call} & {1 << k})" for k, call in enumerate(calls)]
            loops.append(
                f"void {name}_{vector}_loop(void *r, {parameters}, long n) {{\n"
                f"  for (long i = 0; i < n / {lanes}; i++) (({result}_u *)r)[i] = {' | '.join(calls)};\n}}\n"
            )
    return "\n".join([prelude(shapes), definitions(needed), *loops])


class Functions:
    """The functions, compiled for one kind of machine."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library

    def __call__(self, name: str, *args: Vector) -> Vector:
        """The function of each element, which has the same bits with any number of lanes."""
        first, *others = (self.with_lanes(name, lanes, *args) for lanes in LANES)
        assert all(same(each, first) for each in others), f"{name} depends on the number of lanes"
        return first

    def with_lanes(self, name: str, lanes: int, *args: Vector) -> Vector:
        dtype = args[-1].dtype
        args = tuple(misaligned(arg) for arg in args)
        result = misaligned(np.zeros(len(args[-1]), np.dtype(f"i{dtype.itemsize}") if name == "compare" else dtype))
        element = C_NAMES[getattr(torch, dtype.name)]
        loop = getattr(self.library, f"{name}_{element}x{lanes}_loop")
        loop(*(ctypes.c_void_p(each.ctypes.data) for each in (result, *args)), ctypes.c_long(len(result)))
        return result


@pytest.fixture(params=MACHINES)
def functions(request: pytest.FixtureRequest) -> Functions:
    if request.param == "avx2" and torch.backends.cpu.get_cpu_capability() == "DEFAULT":
        pytest.skip("this machine has no AVX2")
    return Functions(compiled(text_of_all(), *MACHINES[request.param]))


def misaligned(x: Vector) -> Vector:
    """A copy that starts where no vector is aligned."""
    y = np.empty(len(x) + 64, x.dtype)
    start = -(y.ctypes.data // y.itemsize) % (64 // y.itemsize) + 1
    y[start : start + len(x)] = x
    return y[start : start + len(x)]


def same(x: Vector, y: Vector) -> bool:
    """Equal, zeros by their sign, too; NaN is like NaN."""
    if x.dtype.kind != "f":
        return bool(np.array_equal(x, y))
    return bool(
        np.array_equal(x, y, equal_nan=True) and np.array_equal(np.signbit(x) & (x == 0), np.signbit(y) & (y == 0))
    )


# Where they are tried -------------------------------------------------------------------------------------------------


def padded(*parts: Vector) -> Vector:
    x = np.concatenate(parts)
    return np.concatenate([x, np.zeros(-len(x) % 16, x.dtype)])


def special(dtype: np.dtype[Any]) -> Vector:
    info = np.finfo(dtype)
    positive = [0.0, info.smallest_subnormal, info.tiny, 0.5, 1.0, 1.5, 2.0, 100.0, 800.0, info.max, np.inf, np.nan]
    return padded(np.array([sign * x for x in positive for sign in (1, -1)], dtype))


@functools.cache
def samples(dtype: np.dtype[Any]) -> Vector:
    """All exponents, where functions change fast, and where they end."""
    rng = np.random.default_rng(0)
    count, info = 200_000 if dtype.itemsize == 4 else 60_000, np.finfo(dtype)
    bits = rng.integers(0, 2 ** (8 * dtype.itemsize), count, dtype=f"u{dtype.itemsize}").view(dtype)
    powers = 2.0 ** rng.uniform(-info.nmant, 4, count // 4)
    low, high = np.log(float(info.smallest_subnormal)), np.log(float(info.max))
    ranges = [(-1, 1), (-20, 20), (0.5, 2), (low - 2, low + 40), (high - 2, high + 2)]
    uniform = [rng.uniform(*each, count // 8) for each in ranges]
    return padded(
        special(dtype), bits, *(part.astype(dtype) for part in (powers, -powers, 1 + powers, 1 - powers, *uniform))
    )


@functools.cache
def truth(name: str, dtype: np.dtype[Any]) -> Vector:
    x = samples(dtype).astype(np.float64 if dtype == np.float32 else np.longdouble)
    match name:
        case "erf":
            return true_erf(x.astype(np.longdouble)).astype(x.dtype)
        case "sigmoid":
            return np.asarray(np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x))))
        case "sign":
            return np.asarray(np.where(np.isnan(x) | (x == 0), 0, np.sign(x)))
    return np.asarray(getattr(np, name)(x))


def true_erf(x: Vector) -> Vector:
    text = "#include <math.h>\nvoid loop(long double *x, long n) { for (long i = 0; i < n; i++) x[i] = erfl(x[i]); }\n"
    y = x.copy()
    compiled(text).loop(ctypes.c_void_p(y.ctypes.data), ctypes.c_long(len(y)))
    return y


def ulps(y: Vector, true: Vector) -> Vector:
    """How far y is from the truth, in units in the last place of the truth; infinite where one is no number like it."""
    info = np.finfo(y.dtype)
    nearest = true.astype(y.dtype)
    exponent = np.frexp(np.where(np.isfinite(nearest), true, 1))[1] - 1
    unit = np.ldexp(np.ones_like(true), np.maximum(exponent, info.minexp) - info.nmant)
    error = np.abs(y.astype(true.dtype) - true) / unit
    alike = (y == nearest) & (np.signbit(y) == np.signbit(nearest)) | np.isnan(y) & np.isnan(nearest)
    no_numbers = ~np.isfinite(y) | ~np.isfinite(nearest) | (nearest == 0) & (y == 0)
    return np.asarray(np.where(no_numbers, np.where(alike, 0, np.inf), error))


# What they give -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", BOUNDS)
@np.errstate(all="ignore")
def test_error(functions: Functions, name: str, dtype: np.dtype[Any]) -> None:
    x = samples(dtype)
    y = functions(name, x)
    error = ulps(y, truth(name, dtype))
    worst = int(np.argmax(error))
    assert error[worst] <= BOUNDS[name], f"{name}({x[worst]!r}) = {y[worst]!r} is {error[worst]:.2f} ulps off"


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", BOUNDS)
def test_special_values(functions: Functions, name: str, dtype: np.dtype[Any]) -> None:
    x = padded(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -1, -2, 800, np.finfo(dtype).max], dtype))
    expected = getattr(torch, name)(torch.from_numpy(x)).numpy()
    exact = ~np.isfinite(expected) | np.isin(expected, [0, 1, -1])
    assert exact[:5].all() or name == "sigmoid"
    assert same(functions(name, x)[exact], expected[exact])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["tanh", "erf", "sigmoid"])
def test_never_above_one(functions: Functions, name: str, dtype: np.dtype[Any]) -> None:
    x = np.linspace(3, 40, 160_000).astype(dtype)
    assert functions(name, x).max() == 1


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["tanh", "erf", "sin"])
def test_odd(functions: Functions, name: str, dtype: np.dtype[Any]) -> None:
    x = samples(dtype)
    assert same(functions(name, -x), -functions(name, x))


def angles(dtype: np.dtype[Any]) -> Vector:
    """Of all sizes, where series are long, and beside multiples of π/2, where differences cancel."""
    rng = np.random.default_rng(0)
    high = np.log2(float(np.finfo(dtype).max))
    quarters = np.concatenate([np.arange(1, 5000), 2 ** rng.uniform(0, 30, 5000) // 1])
    zeros = (quarters * np.longdouble("1.57079632679489661923132169163975144")).astype(dtype)
    # of all numbers, those closest to a multiple of π/2 in float64 and in float32, and a large one
    closest = np.array([6381956970095103.0 * 2.0**797, 16367173.0 * 2.0**72, 1.6181200003661493e268])
    parts = [rng.uniform(0, 100, 20_000), 2 ** rng.uniform(-4, high, 20_000), closest[closest < np.finfo(dtype).max]]
    x = np.concatenate([zeros, np.nextafter(zeros, 0), np.nextafter(zeros, 2 * zeros), *parts]).astype(dtype)
    return padded(x, -x)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_angles(functions: Functions, name: str, dtype: np.dtype[Any]) -> None:
    """Also those that lanes have to take elsewhere, among others that they need not."""
    x = np.random.default_rng(1).permutation(angles(dtype))
    y = functions(name, x)
    error = ulps(y, getattr(np, name)(x.astype(np.longdouble)))
    worst = int(np.argmax(error))
    assert error[worst] <= BOUNDS[name], f"{name}({x[worst]!r}) = {y[worst]!r} is {error[worst]:.2f} ulps off"
    assert np.abs(y).max() == 1


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floor(functions: Functions, dtype: np.dtype[Any]) -> None:
    """At integers, next to them, and at the last numbers that have digits after the point."""
    whole = np.concatenate([np.arange(-100, 100), 2.0 ** np.arange(60), -(2.0 ** np.arange(60))]).astype(dtype)
    near = [np.nextafter(whole, limit * np.ones_like(whole)) for limit in (-np.inf, np.inf)]
    x = padded(whole, *near, whole + dtype.type(0.5))
    assert same(functions("floor", x), np.floor(x))


def pairs(x: Vector) -> tuple[Vector, Vector]:
    return np.repeat(x, len(x)), np.tile(x, len(x))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", ["minimum", "maximum"])
def test_extremes(functions: Functions, name: str, dtype: np.dtype[Any]) -> None:
    """NaN if either is. Which of two zeros comes out is open, in torch as well."""
    a, b = pairs(special(dtype))
    expected = getattr(torch, name)(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    assert np.array_equal(functions(name, a, b), expected, equal_nan=True)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS, ids=str)
def test_comparisons(functions: Functions, dtype: np.dtype[Any]) -> None:
    a, b = pairs(special(dtype) if dtype in FLOATS else integers(dtype))
    expected = sum(compare(a, b).astype(f"i{dtype.itemsize}") << k for k, compare in enumerate(COMPARISONS.values()))
    assert np.array_equal(functions("compare", a, b), expected)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS, ids=str)
def test_select(functions: Functions, dtype: np.dtype[Any]) -> None:
    a, b = pairs(special(dtype) if dtype in FLOATS else integers(dtype))
    mask = -(np.arange(len(a)) % 3 == 0).astype(f"i{dtype.itemsize}")
    assert same(functions("select", mask, a, b), np.where(mask, a, b))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_pow(functions: Functions, dtype: np.dtype[Any]) -> None:
    a, b = pairs(special(dtype))
    with np.errstate(all="ignore"):
        true = np.power(a.astype(np.longdouble), b.astype(np.longdouble))
        assert ulps(functions("pow", a, b), true).max() <= 1


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_fma_rounds_once(functions: Functions, dtype: np.dtype[Any]) -> None:
    a, b = np.random.default_rng(0).uniform(1, 2, (2, 1600)).astype(dtype)
    c = -a * b
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c)]
    assert same(functions("fma", a, b, c), np.array([float(x) for x in exact], dtype))


def integers(dtype: np.dtype[Any]) -> Vector:
    info = np.iinfo(dtype)
    return padded(np.array([0, 1, -1, 7, -7, info.max, info.min, info.min + 1], dtype))


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers(functions: Functions, dtype: np.dtype[Any]) -> None:
    a, b = pairs(integers(dtype))
    for name in ("abs", "sign"):
        assert same(functions(name, a), getattr(torch, name)(torch.from_numpy(a)).numpy())
    for name in ("minimum", "maximum"):
        assert same(functions(name, a, b), getattr(torch, name)(torch.from_numpy(a), torch.from_numpy(b)).numpy())


# The text -------------------------------------------------------------------------------------------------------------


def test_only_what_is_needed() -> None:
    text = definitions([("sqrt", torch.float32, 16), ("sqrt", torch.float32, 16)])
    assert text == definitions([("sqrt", torch.float32, 16)])
    assert "exp" not in text
    assert definitions([]) == ""


def test_narrower_machines_use_halves() -> None:
    text = definitions([("sqrt", torch.float64, 16)])
    assert [lanes for lanes in (2, 4, 8, 16) if f" sqrt_f64x{lanes}(f64x{lanes} x) {{" in text] == [2, 4, 8, 16]
    assert "result.half[1] = sqrt_f64x8(xs.half[1]);" in text
