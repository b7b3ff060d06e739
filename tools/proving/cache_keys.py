"""Never stale: whatever a library depends on is part of its key.

A case has two halves. In one, something that is no part of the source changes (a flag, a variable, the compiler's file,
its answer, a feature of the processor, a version), or a letter of the source: the key must change, and must be the old
one when it is undone. In the other, two programs that differ in one thing (a constant by its last bit or its sign, a
dtype, an op, a dimension) are compiled in one cache, and each must compute what torch computes.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

import graphc
from graphc.backends.c import build, compiler
from tools.proving.cache_damage import own_cache
from tools.proving.proof import Proof

__all__ = ["PROOFS"]


def change(seed: int) -> Mapping[str, int]:
    """One case."""
    rng = random.Random(seed)
    with own_cache() as folder:
        folder.mkdir()
        source = _programs(rng, folder)
        _parts(rng, folder, source)
        _letters(rng, source)
    return {"programs": 2}


# Programs that differ in one thing ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Recipe:
    op: str = "add"
    constant: float = 1.5
    dtype: torch.dtype = torch.float32
    dim: int = 0
    keepdim: bool = False

    def compute(self, where: Any, x: Any) -> Any:
        """With `where` torch or graphc."""
        number = int(self.constant) if not self.dtype.is_floating_point else self.constant
        combined = {"add": x + number, "sub": x - number, "mul": x * number, "rsub": number - x}[self.op]
        return where.where(combined > 0, combined, -combined).sum(dim=self.dim, keepdim=self.keepdim)


def _programs(rng: random.Random, folder: Path) -> str:
    """The source of the first."""
    ops, dtypes = ["add", "sub", "mul", "rsub"], [torch.float32, torch.float64, torch.int64, torch.int32]
    constant = rng.choice((rng.uniform(-9, 9), float(rng.randrange(-9, 9)), 1e-30))
    first = _Recipe(rng.choice(ops), constant, rng.choice(dtypes), rng.randrange(2), rng.random() < 0.5)
    single = torch.tensor(constant)
    second = rng.choice(
        (
            replace(first, constant=math.nextafter(constant, math.inf), dtype=torch.float64),
            replace(first, constant=torch.nextafter(single, single + 1).item(), dtype=torch.float32),
            replace(first, constant=-constant),
            replace(first, op=rng.choice([op for op in ops if op != first.op])),
            replace(first, dtype=rng.choice([dtype for dtype in dtypes if dtype != first.dtype])),
            replace(first, dim=1 - first.dim),
            replace(first, keepdim=not first.keepdim),
        )
    )
    sources = []
    for recipe in (first, second, first):
        x = graphc.placeholder("x", shape=("n", 3), dtype=recipe.dtype)
        program = graphc.compile([x], recipe.compute(graphc, x), backend="c")
        data = (torch.randn(4, 3, generator=torch.Generator().manual_seed(rng.randrange(99))) * 9).to(recipe.dtype)
        expected = recipe.compute(torch, data)
        actual = program(data)
        assert actual.dtype == expected.dtype, f"{recipe}: {actual.dtype}, not {expected.dtype}"
        torch.testing.assert_close(actual, expected, msg=lambda text, recipe=recipe: f"{recipe}: {text}")
        sources.append(program.source)
    tool = compiler.need_compiler()
    keys = [build._key(source, tool) for source in sources]
    assert keys[0] == keys[2], "the same program has two keys"
    code = [" ".join(re.sub(r"/\*.*?\*/", " ", source, flags=re.DOTALL).split()) for source in sources]
    assert (keys[0] == keys[1]) == (code[0] == code[1]), "programs share a key, and their code differs"
    assert {f"{key}.so" for key in keys} <= {path.name for path in folder.iterdir()}, "the hash is not in the file name"
    return sources[0]


# What is no part of the source ----------------------------------------------------------------------------------------


def _parts(rng: random.Random, folder: Path, source: str) -> None:
    tool = folder.parent / "compiler"
    found = compiler.need_compiler()
    tool.write_text(f'#!/bin/sh\nexec "{found.command[0]}" "$@"\n')
    tool.chmod(0o755)
    with _environment("CC", str(tool)):
        before = _key(source)
        for part in rng.sample(PARTS, 4):
            with part(rng, tool):
                assert _key(source) != before, f"{part.__name__} changes, and the key does not"
            assert _key(source) == before, f"{part.__name__} is as it was, and the key is not"


def _key(source: str) -> str:
    """As a new process would make it."""
    compiler._found.clear()
    try:
        return build._key(source, compiler.need_compiler())
    finally:
        compiler._found.clear()


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _set(place: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield
    finally:
        setattr(place, name, before)


def flags(rng: random.Random, tool: Path) -> contextlib.AbstractContextManager[None]:
    return _environment("GRAPHC_CFLAGS", rng.choice(("-O1", "-g", "-DX=1", "-O2 ", "'-DY=a b'")).replace("-O2 ", "-O2"))


def variables(rng: random.Random, tool: Path) -> contextlib.AbstractContextManager[None]:
    return _environment(rng.choice(build._ENVIRONMENT), rng.choice(("/nowhere", "", "a b")))


def options(rng: random.Random, tool: Path) -> contextlib.AbstractContextManager[None]:
    return _environment("CC", f"'{tool}' {rng.choice(('-m64', '-pipe', '-fno-plt'))}")


@contextlib.contextmanager
def path(rng: random.Random, tool: Path) -> Iterator[None]:
    copy = shutil.copy2(tool, tool.with_name(f"compiler {rng.randrange(99)}"))
    with _environment("CC", str(copy)):
        yield


@contextlib.contextmanager
def time_of_file(rng: random.Random, tool: Path) -> Iterator[None]:
    status = tool.stat()
    os.utime(tool, ns=(0, status.st_mtime_ns + rng.choice((1, -1, 10**9)) * 1000))
    try:
        yield
    finally:
        os.utime(tool, ns=(0, status.st_mtime_ns))


@contextlib.contextmanager
def answer(rng: random.Random, tool: Path) -> Iterator[None]:
    ask = compiler._version
    with _set(compiler, "_version", lambda command: f"{ask(command)}{rng.choice(('.1', ' ', '-rc2'))}"):
        yield


@contextlib.contextmanager
def processor(rng: random.Random, tool: Path) -> Iterator[None]:
    fields = dict(compiler._cpu())
    field = rng.choice([name for name in compiler._CPU_FIELDS if name in fields] or ["model name"])
    words = fields.get(field, "").split()
    if words and rng.random() < 0.5:
        words.pop(rng.randrange(len(words)))
    else:
        words.insert(rng.randrange(len(words) + 1), "amx_tile")
    with _set(compiler, "_cpu", lambda: {**fields, field: " ".join(words)}):
        yield


def machine(rng: random.Random, tool: Path) -> contextlib.AbstractContextManager[None]:
    return _set(compiler.platform, "machine", lambda: "riscv64")


def release(rng: random.Random, tool: Path) -> contextlib.AbstractContextManager[None]:
    return _set(graphc, "__version__", f"{graphc.__version__}.{rng.randrange(9)}")


def interface(rng: random.Random, tool: Path) -> contextlib.AbstractContextManager[None]:
    return _set(build, "ABI", build.ABI + 1)


PARTS: list[Callable[[random.Random, Path], contextlib.AbstractContextManager[None]]] = [
    *(flags, variables, options, path, time_of_file, answer, processor, machine, release, interface),
]


def _letters(rng: random.Random, source: str) -> None:
    """A letter of the code changes the key; one of a comment does not."""
    comments = [match.span() for match in re.finditer(r"/\*.*?\*/", source, re.DOTALL)]
    before = _key(source)
    for _ in range(20):
        at = rng.randrange(len(source))
        inside = any(start + 1 < at < end - 2 for start, end in comments)
        edge = any(start <= at <= start + 1 or end - 2 <= at < end for start, end in comments)
        letter = "q" if source[at] != "q" else "r"
        changed = source[:at] + letter + source[at + 1 :]
        if not edge:
            assert (_key(changed) == before) == inside, f"letter {at}: {source[max(0, at - 20) : at + 20]!r}"


PROOFS = (Proof("cache-keys", promise=15, unit="changes", full=200, quick=3, case=change),)
