"""The C compiler of this machine, how it is called, and what processor it compiles for."""

from __future__ import annotations

import errno
import functools
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.backends.c import cache
from graphc.errors import CompileError, compose, one_line

__all__ = [
    "REMEDY",
    "Compiler",
    "cpu_identity",
    "find_compiler",
    "flags",
    "need_compiler",
    "processor",
    "vector_bytes",
]

REMEDY = (
    "set CC, or install a C compiler (Debian and Ubuntu: apt install gcc; macOS: xcode-select --install; "
    'anywhere: pip install "graphc[c]")'
)

# Values must not depend on what a compiler fuses or reorders: no -ffast-math, no contraction. Nobody reads errno or the
# floating-point status, and without them more loops vectorise. -w: people cannot act on a warning about generated code.
# -O3 doubles the compile time and -O1 does not shorten it. No flag that only concerns linking made a difference.
# Loops have vectors already, and the vectoriser of gcc 12 makes wrong sums of what is left to it: four sums of small
# integers, taken in turn from one row, mixed up their terms. clang knows these two names, not -fno-tree-loop-vectorize.
_FLAGS = (
    "-std=c11",
    "-O2",
    "-fno-tree-vectorize",
    "-ftree-slp-vectorize",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fPIC",
    "-shared",
    "-pipe",
    "-w",
    "-Wno-psabi",
)
_FLUSHING = ("-Ofast", "-ffast-math", "-funsafe-math-optimizations")
"""Linking with one of these adds code that changes the floating-point environment when the library is loaded."""
_NATIVE = {
    "x86_64": ("-march=native",),
    "amd64": ("-march=native",),
    "aarch64": ("-mcpu=native",),
    "arm64": ("-mcpu=native",),
}
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN)
"""What keeps this process from running any program, and says nothing of a compiler."""
_LAUNCHERS = ("buildcache", "ccache", "distcc", "icecc", "sccache")
_CPUINFO = "/proc/cpuinfo"
_CPU_FIELDS = ("model name", "flags", "Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part")


@dataclass(frozen=True)
class Compiler:
    """A C compiler: the words that call it, the first line of its `--version`, and a hash that tells it from others."""

    command: tuple[str, ...]
    version: str
    identity: str


# Finding it -----------------------------------------------------------------------------------------------------------

_found: dict[tuple[str, str | None], Compiler] = {}


def find_compiler() -> Compiler | None:
    """The compiler that $CC names, else cc, gcc or clang on the PATH, else that of the package `ziglang`, else None.

    A $CC that does not work is an error: who sets it means it. Finding nothing is not remembered, since people install
    a compiler while a notebook is open.
    """
    setting = os.environ.get("CC", "").strip()
    place = (setting, os.environ.get("PATH"))
    if place not in _found:
        found = _asked_for(setting) if setting else _at_hand()
        if found is None:
            return None
        _found[place] = found
    return _found[place]


def need_compiler() -> Compiler:
    """The compiler, or a CompileError that says how to get one."""
    if (compiler := find_compiler()) is None:
        raise CompileError(compose("C compiler", "there is none on this machine", remedy=REMEDY))
    return compiler


def _asked_for(setting: str) -> Compiler:
    remedy = "set CC to a C compiler that works, or unset it"
    try:
        words = [setting] if shutil.which(setting) else shlex.split(setting)
    except ValueError as error:
        raise CompileError(compose("C compiler", f"CC is {setting!r}: {error}", remedy=remedy)) from None
    _refuse_flushing("CC", words[1:])
    program = shutil.which(words[0]) if words else None
    if program is None:
        problem = f"CC is {setting!r}, and there is no such program"
        raise CompileError(compose("C compiler", problem, remedy=remedy))
    try:
        return _examine((os.path.abspath(program), *words[1:]))
    except _UnusableError as error:
        raise CompileError(compose("C compiler", f"CC is {setting!r}, and {error}", remedy=remedy)) from None


def _at_hand() -> Compiler | None:
    for command in _candidates():
        try:
            return _examine(command)
        except _UnusableError:  # such as the `cc` of a Mac that has no compiler, which only says so
            continue
    return None


def _candidates() -> Iterator[tuple[str, ...]]:
    for name in ("cc", "gcc", "clang"):
        if program := shutil.which(name):
            yield (os.path.abspath(program),)
    if importlib.util.find_spec("ziglang") is not None:
        yield (sys.executable, "-P", "-m", "ziglang", "cc")


class _UnusableError(Exception):
    """`--version` failed, and how."""


def _examine(command: tuple[str, ...]) -> Compiler:
    """Ask the compiler for its version, unless the cache remembers what the same file answered."""
    files = tuple(_files(command))
    states = [os.stat(path) for path in files]
    known = [(path, state.st_size, state.st_mtime_ns) for path, state in zip(files, states)]
    key = _hash(*command, *map(repr, known))
    # Where a file was is no part of the compiler, so that copies of one machine share a cache; but it tells of changes.
    asked = _hash(key, *(f"{state.st_ino} {state.st_ctime_ns}" for state in states))
    version = cache.recall(asked) if _speaks_for_itself(files[-1]) else None
    if version is None:
        version = _version(command)
        if _speaks_for_itself(files[-1]):
            cache.note(asked, version)
    return Compiler(command, version, _hash(key, version))


def _files(command: tuple[str, ...]) -> Iterator[str]:
    """What an upgrade would change. All words count, so that `ccache gcc` is known by gcc too."""
    paths = [shutil.which(word) for word in command if not word.startswith("-")]
    if "ziglang" in command and (package := importlib.util.find_spec("ziglang")) is not None:
        paths.append(package.origin)
    yield from (os.path.realpath(path) for path in paths if path is not None)


def _speaks_for_itself(path: str) -> bool:
    """Whether a compiler that answers differently is another file. A script or a launcher runs what it finds."""
    try:
        with open(path, "rb") as file:
            return file.read(2) != b"#!" and os.path.basename(path) not in _LAUNCHERS
    except OSError:  # it may be run, and not be read
        return False


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()


def _version(command: tuple[str, ...]) -> str:
    try:
        answer = subprocess.run(
            [*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        if error.errno in _SCARCE:
            problem = one_line(f"{command[0]} cannot be run: {error.strerror}")
            remedy = "close files, or end what takes memory and processes, or raise the limit of the shell (ulimit)"
            raise CompileError(compose("C compiler", problem, remedy=remedy)) from None
        raise _UnusableError(f"it cannot be run: {error.strerror}") from None
    if answer.returncode:
        complaint = (answer.stderr or answer.stdout).strip().partition("\n")[0]
        raise _UnusableError(f"`--version` ended with {answer.returncode}" + (f": {complaint}" if complaint else ""))
    return answer.stdout.strip().partition("\n")[0]


# Calling it -----------------------------------------------------------------------------------------------------------


def flags() -> tuple[str, ...]:
    """What every program is compiled with; the words of $GRAPHC_CFLAGS come last, so they win."""
    extra = os.environ.get("GRAPHC_CFLAGS", "")
    try:
        added = shlex.split(extra)
    except ValueError as error:
        problem, remedy = f"GRAPHC_CFLAGS is {extra!r}: {error}", "close the quotation, or unset GRAPHC_CFLAGS"
        raise CompileError(compose("C compiler", problem, remedy=remedy)) from None
    _refuse_flushing("GRAPHC_CFLAGS", added)
    return (*_FLAGS, *_NATIVE.get(platform.machine().lower(), ()), *added)


def _refuse_flushing(setting: str, words: Sequence[str]) -> None:
    for word in words:
        if word in _FLUSHING:
            problem = f"{setting} has {word}, with which a library flushes denormal numbers in the whole process"
            remedy = "leave it out, or name the parts of it that are meant, such as -fassociative-math"
            raise CompileError(compose("C compiler", problem, remedy=remedy))


# The processor --------------------------------------------------------------------------------------------------------


def cpu_identity() -> str:
    """What `-march=native` depends on, as text."""
    fields = _cpu()
    return "\n".join((platform.machine(), *(fields[name] for name in _CPU_FIELDS if name in fields)))


def processor() -> str:
    """The processor's name, as the system knows it."""
    return _cpu().get("model name", "") or platform.processor()


def vector_bytes() -> int:
    """The bytes of the widest register for floats; $GRAPHC_VECTOR_BYTES overrides it."""
    if setting := os.environ.get("GRAPHC_VECTOR_BYTES"):
        if setting not in ("16", "32", "64"):
            raise CompileError(compose("C compiler", f"GRAPHC_VECTOR_BYTES is {setting!r}, not 16, 32 or 64"))
        return int(setting)
    features = _cpu().get("flags", "").split()
    if "avx512f" in features:
        return 64
    return 32 if "avx" in features else 16


@functools.cache
def _cpu() -> Mapping[str, str]:
    """The first processor's block of /proc/cpuinfo, read no further: the file is long on large machines."""
    block = b""
    try:
        with open(_CPUINFO, "rb", buffering=0) as file:
            while b"\n\n" not in block and (more := file.read(4096)):
                block += more
    except OSError:
        return {"model name": platform.processor()}
    lines = block.partition(b"\n\n")[0].decode(errors="replace").splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
