"""From C source to a loaded library, by way of the compile cache."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import shlex
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from graphc.backends.c import cache
from graphc.backends.c.compiler import Compiler, cpu_identity, flags, need_compiler
from graphc.errors import CompileError, compose

__all__ = ["ABI", "build", "load", "trial"]

ABI = 2
"""The version of how graphc calls what it generated: goes up when the meaning of an exported function changes."""

_SHOWN_LINES = 20

_COMMENTS = re.compile(r"/\*.*?\*/", re.DOTALL)

_loaded: dict[str, ctypes.CDLL] = {}


def load(source: str, name: str) -> ctypes.CDLL:
    """The library that `source` compiles to; `name` is what messages call the program. Compiles only if it has to."""
    compiler = need_compiler()
    key = _key(source, compiler)
    library = _loaded.get(key)
    if library is None:
        path = _build(key, source, name, compiler)
        try:
            library = _loaded.setdefault(key, _open(path, name))
        except CompileError:
            path.with_suffix(".sha256").unlink(missing_ok=True)  # the next attempt compiles again
            raise
    return library


def build(source: str, name: str) -> Path:
    """The shared library of `source` as a file, compiled now unless the cache has it."""
    compiler = need_compiler()
    return _build(_key(source, compiler), source, name, compiler)


def _key(source: str, compiler: Compiler) -> str:
    """The hash of all that the library depends on."""
    code = _COMMENTS.sub("", source)  # these say where users built what: a line that moves compiles nothing anew
    parts = (str(ABI), compiler.identity, *flags(), cpu_identity(), code)
    sizes = ",".join(str(len(part)) for part in parts)  # so that no two lists of parts read alike
    return hashlib.sha256("\0".join((sizes, *parts)).encode(errors="surrogateescape")).hexdigest()


def _build(key: str, source: str, name: str, compiler: Compiler) -> Path:
    if (found := cache.fetch(key)) is not None:
        return found
    try:
        with cache.locked(key):
            if (found := cache.fetch(key)) is not None:
                return found  # another process was faster
            with cache.workspace() as room:
                text = room.parent / f"{key}.c"
                cache.write(text, source, room)
                library = cache.store(key, _compile(text, room, name, compiler))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise CompileError(compose(name, f"the compile cache cannot be written: {where}{error.strerror}")) from error
    if key.startswith("0"):  # one in sixteen: to look at all of a full cache takes as long as a small compilation
        cache.evict()
    return library


def trial(compiler: Compiler) -> None:
    """Compile and run a small program, past the cache; a CompileError says what went wrong."""
    with cache.workspace() as room:
        text = room / "trial.c"
        cache.write(text, "float twice(float x) { return x + x; }\n", room)
        twice = _open(_compile(text, room, "trial", compiler), "trial").twice
    twice.argtypes, twice.restype = [ctypes.c_float], ctypes.c_float
    if (result := twice(1.5)) != 3.0:
        raise CompileError(compose("trial", f"1.5 + 1.5 gave {result}"))


def _compile(text: Path, room: Path, name: str, compiler: Compiler) -> Path:
    """Compile the file `text` to a library in `room`."""
    library = room / "library.so"
    command = [*compiler.command, *flags(), "-o", str(library), str(text), "-lm"]
    status, output = _run(command, room, name)
    if status or not library.exists():
        problem = f"the C compiler ended with {status}" if status else "the C compiler made no library"
        lines = output.strip().splitlines()
        if len(lines) > _SHOWN_LINES:
            lines[_SHOWN_LINES:] = [f"… and {len(lines) - _SHOWN_LINES} more lines"]
        if text.parent != room:
            lines.append(f"The source is kept in {text}")
        raise CompileError("\n".join((f"{name}: {problem}: {shlex.join(command)}", *lines)))
    return library


def _open(library: Path, name: str) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        problem = f"the compiled program cannot be loaded: {error}"
        remedy = "if that folder does not allow libraries, set GRAPHC_CACHE_DIR to one that does"
        raise CompileError(compose(name, problem, remedy=remedy)) from None


def _run(command: list[str], room: Path, name: str) -> tuple[int, str]:
    """Run the compiler. If we are interrupted, it ends with all that it started, and only then we go on.

    It has a process group, so that all of it can be ended, and its temporary files are in `room`, so that they go, too.
    Another thread starts it, since Python handles signals in the main thread: an interrupt between the start and our
    knowing the process would leave it running.
    """

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(room)},
            text=True,
            errors="replace",
            process_group=0,
        )

    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(start)
        try:
            child = starting.result()
            output, _ = child.communicate()
        except OSError as error:
            raise CompileError(compose(name, f"{command[0]} cannot be run: {error.strerror}")) from None
        except BaseException:
            child = starting.result()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()  # until nobody is left who could write
            raise
    return child.returncode, output
