"""From C source to a loaded library, by way of the compile cache.

What is loaded is a file that nobody else knows and that is gone at once: the one that the compiler has just made, or a
copy of what the cache has. So whatever becomes of the cache, a program that runs keeps running, and no library is taken
for another that was loaded from the same path before. Debuggers find the cache's own file by its name.
"""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
import hashlib
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, MutableMapping
from concurrent.futures import Future
from pathlib import Path
from typing import NoReturn
from weakref import WeakValueDictionary

from graphc.backends.c import cache
from graphc.backends.c.compiler import Compiler, cpu_identity, flags, need_compiler
from graphc.errors import CompileError, compose, one_line

__all__ = ["ABI", "Library", "load", "trial"]

ABI = 2
"""The version of how graphc calls what it generated: goes up when the meaning of an exported function changes."""

_SHOWN_LINES = 20

PATIENCE = 10.0
"""Seconds in which a thread starts, if it does."""

MANY = 1000
"""Files of a cache at which to look takes as long as a small compilation: from there on, one in sixteen makes room."""

_PROBE = 4 << 20
"""Bytes that a compiler may need, for a library and its own files."""

_COMMENTS = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""", re.DOTALL)

_ENVIRONMENT = ("COMPILER_PATH", "CPATH", "C_INCLUDE_PATH", "GCC_EXEC_PREFIX", "LIBRARY_PATH", "SDKROOT")
"""What compilers look at, besides their options, to find the parts that they are made of."""


class Library(ctypes.CDLL):
    """A loaded library, which is closed when nobody holds it or a function of it.

    Functions are read as `library[name]` and hold it. Those read as attributes it would hold, too, so that it stayed
    open until the garbage collector comes.
    """

    def __reduce__(self) -> NoReturn:
        raise TypeError("a loaded library cannot be copied")  # both would close it

    def __del__(self) -> None:
        if sys.platform != "win32" and "_handle" in self.__dict__:  # or it could not be opened
            _ctypes.dlclose(self._handle)


_loaded: MutableMapping[str, Library] = WeakValueDictionary()


def load(source: str, name: str) -> Library:
    """The library that `source` compiles to; `name` is what messages call the program. Compiles only if it has to."""
    compiler = need_compiler()
    key = _key(source, compiler)
    library = _loaded.get(key)
    if library is None:
        library = _loaded.setdefault(key, _kept(key, name) or _made(key, source, name, compiler))
    return library


def _key(source: str, compiler: Compiler) -> str:
    """The hash of all that the library depends on."""
    code = _COMMENTS.sub(_blank, source)  # these say where users built what: a line that moves compiles nothing anew
    version = sys.modules[__name__.partition(".")[0]].__version__  # of the package, which no module in it imports
    settings = (f"{name}={os.environ[name]}" for name in _ENVIRONMENT if name in os.environ)
    parts = (str(ABI), version, compiler.identity, *flags(), *settings, cpu_identity(), code)
    sizes = ",".join(str(len(part)) for part in parts)  # so that no two lists of parts read alike
    return hashlib.sha256("\0".join((sizes, *parts)).encode(errors="surrogateescape")).hexdigest()


def _blank(match: re.Match[str]) -> str:
    """What C reads in the place of a comment. Text in quotes stays, whatever is in it."""
    return " " if match[0].startswith("/*") else match[0]


def _kept(key: str, name: str) -> Library | None:
    """The library as the cache has it, if it has one that can be loaded."""
    if (found := cache.fetch(key)) is None:
        return None
    path, content = found
    try:
        with cache.workspace(path.parent) as room:
            copy = room / path.name
            copy.write_bytes(content)
            copy.chmod(0o700)  # whatever the umask says
            return _open(copy, path, name)
    except CompileError:
        return None  # compiled anew, it loads, or shows what is wrong
    except OSError:  # a folder that cannot be written or is full: nobody cuts a file short there, either
        with contextlib.suppress(CompileError):
            return _open(path, path, name)
        return None


def _made(key: str, source: str, name: str, compiler: Compiler) -> Library:
    """The library, compiled now unless another process is faster; where the cache is full, for this process only."""
    shelf = cache.folder()
    try:
        return _made_in(shelf, key, source, name, compiler)
    except OSError as error:
        problem = f"{shelf}: {error.strerror}"
    try:
        return _made_in(cache.temporary(problem), key, source, name, compiler)
    except OSError as error:
        remedy = "make room, or set GRAPHC_CACHE_DIR to a folder that can be written"
        problem = f"nothing can be written, neither in {problem}, nor in a temporary folder: {error.strerror}"
        raise CompileError(compose(name, one_line(problem), remedy=remedy)) from error


def _made_in(shelf: Path, key: str, source: str, name: str, compiler: Compiler) -> Library:
    cache.limit()  # a setting that is no size is an error before the compiler has run
    with cache.locked(shelf, key):
        if (library := _kept(key, name)) is not None:
            return library  # another process was faster
        with cache.workspace(shelf) as room:
            text, kept = room / f"{key}.c", shelf / f"{key}.c"
            cache.write(text, source, room)  # here, where nobody clears it away
            try:
                built = _compile(text, room, name, compiler)
            except CompileError as error:
                cache.write(kept, source, room)
                raise CompileError(f"{error}\nThe source is kept in {one_line(str(kept))}") from None
            library = _open(built, kept.with_suffix(".so"), name)  # what cannot be loaded is not kept
            cache.write(kept, source, room)
            cache.store(shelf, key, built.read_bytes(), room)
    if key.startswith("0") or len(os.listdir(shelf)) < MANY:
        cache.evict(shelf)
    return library


def trial(compiler: Compiler) -> None:
    """Compile and run a small program, past the cache; a CompileError says what went wrong."""
    try:
        with cache.workspace(cache.folder()) as room:
            text = room / "trial.c"
            cache.write(text, "float twice(float x) { return x + x; }\n", room)
            built = _compile(text, room, "trial", compiler)
            twice = _open(built, built, "trial")["twice"]
    except OSError as error:
        problem = f"nothing can be written in {cache.folder()}: {error.strerror}"
        raise CompileError(compose("trial", one_line(problem))) from error
    twice.argtypes, twice.restype = [ctypes.c_float], ctypes.c_float
    if (result := twice(1.5)) != 3.0:
        raise CompileError(compose("trial", f"1.5 + 1.5 gave {result}"))


def _compile(text: Path, room: Path, name: str, compiler: Compiler) -> Path:
    """Compile the file `text` in `room` to a library there. An OSError if the disk is full."""
    library = text.with_suffix(".so")
    debugged = f"-fdebug-prefix-map={room}={room.parent}"  # where debuggers find the source afterwards
    command = [*compiler.command, *flags(), debugged, "-o", str(library), str(text), "-lm"]
    status, output = _run(command, room, name)
    if status or not library.exists():
        _probe(room)
        problem = f"the C compiler ended with {status}" if status else "the C compiler made no library"
        if extra := os.environ.get("GRAPHC_CFLAGS"):
            problem += f" (GRAPHC_CFLAGS is {extra!r}; try without)"
        lines = output.replace(f"{room}/", f"{room.parent}/").strip().splitlines()
        if len(lines) > _SHOWN_LINES:
            lines[_SHOWN_LINES:] = [f"… and {len(lines) - _SHOWN_LINES} more lines"]
        raise CompileError("\n".join((one_line(f"{name}: {problem}: {shlex.join(command)}"), *lines)))
    return library


def _probe(room: Path) -> None:
    """An OSError if there is no room for what a compiler writes: its own words for that are in any language."""
    (room / "probe").write_bytes(bytes(_PROBE))
    (room / "probe").unlink()


def _open(library: Path, home: Path, name: str) -> Library:
    """Load the file `library`, which is soon gone; `home` is where the cache has it."""
    try:
        with _loadable(library) as path:
            loaded = Library(path)
    except OSError as error:
        problem = one_line(f"the compiled program cannot be loaded: {error}")
        remedy = "if that folder does not allow libraries (noexec), set GRAPHC_CACHE_DIR to one that does"
        raise CompileError(compose(name, problem, remedy=remedy)) from None
    loaded._name = str(home)
    return loaded


@contextlib.contextmanager
def _loadable(library: Path) -> Iterator[str]:
    """The file `library` under a name in which the loader of glibc has nothing to expand, as it does `$ORIGIN`.

    By its names, too, it knows what is loaded already; the last part of this one has the key, and is of no other.
    """
    if "$" not in str(library) or not sys.platform.startswith("linux"):
        yield str(library)
        return
    folder = os.open(library.parent, os.O_PATH | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{library.name}"
    finally:
        os.close(folder)


def _run(command: list[str], room: Path, name: str) -> tuple[int, str]:
    """Run the compiler. If we are interrupted, it ends with all that it started, and only then we go on.

    It has a process group, so that all of it can be ended, and its temporary files are in `room`, so that they go, too.
    Another thread starts it, since Python handles signals in the main thread: an interrupt between the start and our
    knowing the process would leave it running. It is not one of a pool: those end with the main thread, and others may
    go on compiling then.
    """
    starting: Future[subprocess.Popen[str]] = Future()

    def start() -> None:
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": str(room)},
                text=True,
                errors="replace",
                umask=0o077,  # whatever ours says: it writes files, reads them again, and leaves one for us
                process_group=0,
            )
        except BaseException as error:
            starting.set_exception(error)
        else:
            starting.set_result(child)

    try:
        threading.Thread(target=start).start()
        child = starting.result()
        output, _ = child.communicate()
    except OSError as error:
        raise CompileError(compose(name, f"{command[0]} cannot be run: {error.strerror}")) from None
    except BaseException:
        with contextlib.suppress(TimeoutError):  # the interrupt may have come before there was a thread
            child = starting.result(PATIENCE)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()  # until nobody is left who could write
        raise
    return child.returncode, output
