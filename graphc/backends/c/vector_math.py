"""Mathematical functions of generated C: `tanh_f32x16` and its kin, for any number of lanes.

The functions are C text in `math/`, written once for all numbers of lanes: `vecf`, `veci` and `vecu` stand for a vector
of floating-point numbers, and of signed and unsigned integers as wide, `elem` and `elei` for one element.

That text is fit for vectors that the machine has registers for. Wider ones would work, too, but compilers take their
comparisons apart lane by lane; so a function on a wider vector calls itself on both halves. Which machine it is, the
preprocessor finds out.

There are `tanh exp expm1 log log1p sigmoid erf sin cos sqrt floor pow fma muladd` of floating-point numbers, where
`muladd` rounds once or twice, whichever is faster, and of integers, too, `abs sign minimum maximum select eq ne lt le
gt ge`. Special values are those of torch, and every number of lanes gives the same bits. `math/f32.h` and `math/f64.h`
have the errors.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from importlib import resources

import torch

__all__ = ["definitions", "prelude"]

_BITS = {torch.float32: 32, torch.float64: 64, torch.int32: 32, torch.int64: 64}
_ELEMENTS = {
    "f32": "float",
    "f64": "double",
    "i32": "int",
    "i64": "long long",
    "u32": "unsigned",
    "u64": "unsigned long long",
}

_NARROWEST, _WIDEST = 16, 64  # bytes of a register
_INSTRUCTIONS = {64: "avx512", 32: "avx2", 16: "sse"}
_HEAD = """\
#ifndef __has_builtin
#define __has_builtin(name) 0
#endif
#if defined(__AVX512F__)
#define REGISTER_BYTES 64
#elif defined(__AVX2__)
#define REGISTER_BYTES 32
#else
#define REGISTER_BYTES 16
#endif
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__ARM_FEATURE_FMA)
#define FUSED
#endif
#define INLINE static inline __attribute__((always_inline))
#define SELDOM static __attribute__((noinline, cold))
"""

# What is inline is so always: calls put vectors into memory.
_QUALIFIERS = {"static inline": "INLINE", "static noinline": "SELDOM"}
_SIGNATURE = re.compile(rf"^(?:{'|'.join(_QUALIFIERS)}) (\w+) (\w+)\((.*?)\) {{", re.MULTILINE)
_CALLED = re.compile(r"\b(\w+)\(")


@dataclass(frozen=True)
class _Shape:
    """Vectors of so many elements of so many bits."""

    bits: int
    lanes: int

    @property
    def bytes(self) -> int:
        return self.bits // 8 * self.lanes

    @property
    def half(self) -> _Shape:
        return _Shape(self.bits, self.lanes // 2)

    def name(self, kind: str) -> str:
        return f"{kind}{self.bits}x{self.lanes}"

    def and_parts(self) -> Iterator[_Shape]:
        """This shape, and those that a narrower machine computes it in."""
        yield self
        if self.bytes > _NARROWEST:
            yield from self.half.and_parts()


def prelude(lanes: Collection[tuple[torch.dtype, int]]) -> str:
    """The vector types of these shapes, `f32x16` and for memory `f32x16_u`, each with integers as wide, and `splat`."""
    shapes = {part for dtype, count in lanes for part in _Shape(_BITS[dtype], count).and_parts()}
    parts = [_HEAD]
    for shape in sorted(shapes, key=lambda shape: (shape.bits, shape.lanes)):
        parts += [_typedefs(kind, shape) for kind in "fiu"]
        parts += [_qualified(_functions(shape)[f"splat_{shape.name(kind)}"]) for kind in "fi"]
    return "".join(parts)


def _typedefs(kind: str, shape: _Shape) -> str:
    """One lane is a number like any other. What lies in memory has the alignment of its elements, and any type."""
    name, element = shape.name(kind), _ELEMENTS[f"{kind}{shape.bits}"]
    vector = f" __attribute__((vector_size({shape.bytes})))" if shape.lanes > 1 else ""
    loose = f" __attribute__((aligned({shape.bits // 8}), may_alias))"
    return f"typedef {element} {name}{vector};\ntypedef {name} {name}_u{loose};\n"


def definitions(needed: Iterable[tuple[str, torch.dtype, int]]) -> str:
    """C text of the functions needed and of those that they call: each once, after what it calls.

    What only the halves of wider vectors need is for machines with narrower registers, and the others skip it.
    """
    wanted: dict[tuple[_Shape, str], int] = {}
    for name, dtype, lanes in needed:
        shape = _Shape(_BITS[dtype], lanes)
        kind = "f" if dtype.is_floating_point else "i"
        below = _WIDEST + 1  # used on machines whose registers have fewer bytes than this
        for part in shape.and_parts():
            key = (part, f"{name}_{part.name(kind)}")
            wanted[key] = max(wanted.get(key, 0), below)
            below = min(below, part.bytes)
    groups: dict[tuple[_Shape, int], list[str]] = {}
    for (shape, name), below in wanted.items():
        groups.setdefault((shape, below), []).append(name)
    defined: dict[_Shape, set[str]] = {}
    parts = []
    for shape, below in sorted(groups, key=lambda group: (group[0].bytes, group[0].bits, -group[1])):
        in_prelude = {f"splat_{shape.name(kind)}" for kind in "fi"}
        text = _group(shape, groups[shape, below], defined.setdefault(shape, in_prelude))
        parts.append(f"#if REGISTER_BYTES < {below}\n{text}#endif\n" if below <= _WIDEST else text)
    return "\n".join(parts)


def _group(shape: _Shape, names: Iterable[str], defined: set[str]) -> str:
    """Functions of one shape: as they are where registers hold it, by halves elsewhere."""
    if shape.bytes > _WIDEST:
        return "\n".join(_by_halves(shape, name) for name in names)
    whole = "\n".join(_with_called(shape, names, defined))
    if shape.bytes <= _NARROWEST:
        return whole
    halves = "\n".join(_by_halves(shape, name) for name in names)
    return f"#if REGISTER_BYTES >= {shape.bytes}\n{whole}#else\n{halves}#endif\n"


def _with_called(shape: _Shape, names: Iterable[str], defined: set[str]) -> Iterator[str]:
    functions = _functions(shape)
    for name in names:
        if name not in defined:
            defined.add(name)
            text = functions[name]
            yield from _with_called(shape, [called for called in _CALLED.findall(text) if called in functions], defined)
            yield _qualified(text)


def _by_halves(shape: _Shape, name: str) -> str:
    found = _SIGNATURE.search(_functions(shape)[name])
    assert found is not None, f"{name} has a signature"
    result, parameters = found[1], [parameter.split() for parameter in found[3].split(", ")]

    def half(name: str) -> str:
        return name.replace(f"x{shape.lanes}", f"x{shape.half.lanes}")

    def union(type_: str) -> str:
        return f"union {{ {type_} whole; {half(type_)} half[2]; }}"

    lines = [f"  {union(type_)} {each}s = {{.whole = {each}}};" for type_, each in parameters]
    lines.append(f"  {union(result)} result;")
    for i in range(2):
        arguments = ", ".join(f"{each}s.half[{i}]" for _, each in parameters)
        lines.append(f"  result.half[{i}] = {half(name)}({arguments});")
    return _qualified("\n".join([found[0], *lines, "  return result.whole;", "}\n"]))


def _qualified(text: str) -> str:
    for qualifiers, macro in _QUALIFIERS.items():
        text = text.replace(qualifiers, macro)
    return text


@functools.cache
def _functions(shape: _Shape) -> dict[str, str]:
    """Every function of a shape that fits a register, by its name in C."""
    functions: dict[str, str] = {}
    for part in ("scalar" if shape.lanes == 1 else "vector", "common", f"f{shape.bits}"):
        functions |= _instances(part, shape)
    if shape.bytes in _INSTRUCTIONS:
        for name, text in _instances(_INSTRUCTIONS[shape.bytes], shape).items():
            functions[name] = text.replace("#endif\n", f"#else\n{functions[name]}#endif\n")
    return functions


def _instances(part: str, shape: _Shape) -> dict[str, str]:
    """The functions of one file of `math/`, where blank lines are between functions."""
    values = {
        **{f"vec{kind}": shape.name(kind) for kind in "fiu"},
        "elem": _ELEMENTS[f"f{shape.bits}"],
        "elei": _ELEMENTS[f"i{shape.bits}"],
        "LANES": str(shape.lanes),
        "packed": {32: "ps", 64: "pd"}[shape.bits],
        **{f"libm_{name}": f"__builtin_{name}{'f' if shape.bits == 32 else ''}" for name in ("fma", "pow", "sqrt")},
        # The GNU library's sine of a double is off by thousands of units next to multiples of pi above 1e200.
        **{f"libm_{name}": f"__builtin_{name}{'f' if shape.bits == 32 else 'l'}" for name in ("sin", "cos")},
    }
    functions = {}
    for block in _file(part).split("\n\n"):
        text = re.sub("|".join(values), lambda found: values[found[0]], block)
        if signature := _SIGNATURE.search(text):
            functions[signature[2]] = f"{text.rstrip()}\n"
    return functions


@functools.cache
def _file(part: str) -> str:
    return (resources.files(__package__) / "math" / f"{part}.h").read_text(encoding="utf-8")
