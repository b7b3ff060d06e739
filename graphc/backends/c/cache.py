"""The compile cache: a folder of shared libraries, each under the hash of everything that went into it.

An entry is three files: `KEY.c`, the source, for reading and for debuggers; `KEY.so`, the library; `KEY.sha256`, a
hash of the key and of the library's bytes, and their number. Libraries are code, so nobody else may be able to write to
the folder or to put another in its place, and no library is handed out unless its bytes have the hash beside it: what a
full disk or a crash cut short is a miss. The hash is not appended to the library, because macOS signs libraries as they
are. What is handed out are the bytes that were checked, not the file: others may evict, replace or damage it at any
time, and a process that has mapped a file which is cut short is killed (SIGBUS), or runs something else.

Files arrive whole, by renaming, the hash after the library. Whoever looks between the two finds a miss, waits for the
lock, and looks again. The lock is per key, so that processes which start with the same program (test workers, a sweep)
compile it once: eight of them on two cores have their library after 0.4 s, without the lock after 1.1 to 2.4 s. It is
`flock`, which ends with its holder and wakes who waits; the package filelock asks again and again, and takes longer to
import than a warm start may. Workspaces are locked, too: those that nobody holds are of processes that were killed.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from graphc.backends.c.privacy import exposed, exposed_above, read_private
from graphc.errors import CompileError, compose, one_line

if sys.platform != "win32":
    import fcntl

__all__ = [
    "Entry",
    "chosen",
    "clear",
    "entries",
    "evict",
    "fetch",
    "folder",
    "limit",
    "locked",
    "note",
    "recall",
    "store",
    "temporary",
    "workspace",
    "write",
]

MAX_BYTES = 512_000_000
MAX_ENTRIES = 2000

ABANDONED = 60.0
"""Seconds after which what nobody has locked was left by a process that was killed."""
DAY = 24 * 3600.0
"""Seconds after which that is so where there are no locks: no compilation takes a day."""

# What the cache itself writes. Nothing else in the folder is ever removed: GRAPHC_CACHE_DIR might be somebody's home.
_ENTRY = re.compile(r"([0-9a-f]{64})\.(?:c|so|sha256|lock)")
_NOTE = re.compile(r"[0-9a-f]{64}\.note")
_WORKSPACE = "compiling-"

_SIZE = re.compile(r"(\d{1,18}(?:\.\d+)?) ?([kMGT]?)B?", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_LONGEST_TEXT = 1 << 16  # of a hash or a note


@dataclass(frozen=True)
class Entry:
    """What is kept under one key: its files, their bytes together, and when it was last of use (seconds since 1970)."""

    key: str
    files: tuple[Path, ...]
    size: int
    used: float


# The folder -----------------------------------------------------------------------------------------------------------

_temporaries: list[Path] = []


def folder() -> Path:
    """The folder to store in, made and checked; a temporary one of this process where there can be none."""
    path, problem = _usable()
    return temporary(problem) if path is None else path


def chosen() -> Path | None:
    """Where the cache is to be, by the settings; None where there is no home folder."""
    if setting := os.environ.get("GRAPHC_CACHE_DIR"):
        path = os.path.expanduser(setting)
        return None if path.startswith("~") else _absolute(path)
    if sys.platform == "darwin":
        caches = os.path.expanduser("~/Library/Caches")
    else:
        caches = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(caches):  # the XDG specification says to ignore such a value
            caches = "" if os.environ.get("HOME") == "" else os.path.expanduser("~/.cache")
    return Path(caches, "graphc") if os.path.isabs(caches) else None


def limit() -> int:
    """The bytes that are kept at most, by $GRAPHC_CACHE_SIZE."""
    setting = os.environ.get("GRAPHC_CACHE_SIZE", "").strip()
    if not setting:
        return MAX_BYTES
    if (match := _SIZE.fullmatch(setting)) is None:
        problem = f"GRAPHC_CACHE_SIZE is {setting!a}, which is no number of bytes"
        raise CompileError(compose("compile cache", problem, remedy="set it to such as 200MB or 2GB, or unset it"))
    return int(float(match[1]) * _UNITS[match[2].upper()])


def temporary(reason: str) -> Path:
    """A folder of this process and those that it forks, gone when it ends. A warning says why, once."""
    _warn(reason)
    if not (_temporaries and _temporaries[-1].is_dir()):  # it may have gone: services clean up /tmp
        _temporaries.append(_make_temporary())
    return _temporaries[-1]


def _usable() -> tuple[Path | None, str]:
    """The chosen folder if it can be written, or None, and why. Raises CompileError for one that others can write."""
    path = chosen()
    if path is None:
        return None, "there is no home folder"
    try:
        if problem := exposed_above(path):
            return None, f"{path} is not safe: {problem}"
        _make(path)
        _check(path)
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    for mode, what in ((os.W_OK | os.X_OK, "written"), (os.R_OK, "listed")):  # what is not listed is never evicted
        if not os.access(path, mode):
            return None, f"{path} cannot be {what}"
    return path, ""


def _absolute(path: str) -> Path | None:
    try:
        return Path(os.path.abspath(path))
    except FileNotFoundError:  # the current folder was removed
        return None


def _make(path: Path) -> None:
    """Make `path` and what is missing above it, for this user alone, whatever the umask says."""
    for each in (*reversed(path.parents), path):
        if not os.path.lexists(each):
            with contextlib.suppress(FileExistsError):  # somebody else was faster
                os.mkdir(each, 0o700)
                os.chmod(each, 0o700)


def _new_folder(prefix: str, inside: Path | None = None) -> Path:
    """A new folder in `inside`, else where temporary ones are, for this user alone, whatever the umask says."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=inside))
    path.chmod(0o700)
    return path


def _check(path: Path) -> None:
    if problem := exposed(path):
        remedy = f"{problem[1]}, or set GRAPHC_CACHE_DIR to a folder of your own"
        raise CompileError(compose("compile cache", one_line(f"{path} {problem[0]}"), remedy=one_line(remedy)))


def _shelves() -> Iterator[Path]:
    """The folders that may have what was stored: the chosen one, even if it cannot be written, and a temporary one."""
    path = chosen()
    with contextlib.suppress(OSError):  # it is not there, or not for us
        if path is not None and not exposed_above(path):
            _check(path)
            yield path
    yield from _temporaries[-1:]


@functools.cache
def _warn(reason: str) -> None:
    problem = one_line(f"{reason}; what is compiled is kept for this process only")
    message = compose("compile cache", problem, remedy="set GRAPHC_CACHE_DIR to a folder that can be written")
    warnings.warn(message, RuntimeWarning, stacklevel=2)


def _make_temporary() -> Path:
    remedy = "set GRAPHC_CACHE_DIR or TMPDIR to a folder of your own that can be written"
    try:
        path = _new_folder("graphc-")
        problem = exposed_above(path)
    except OSError as error:
        problem = f"no temporary folder can be made: {error.strerror}"
        raise CompileError(compose("compile cache", one_line(problem), remedy=remedy)) from None
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(path, ignore_errors=True) if os.getpid() == owner else None)
    if problem:
        raise CompileError(compose("compile cache", one_line(f"{path} is not safe: {problem}"), remedy=remedy))
    return path


# Entries --------------------------------------------------------------------------------------------------------------


def fetch(key: str) -> tuple[Path, bytes] | None:
    """The library under `key`: where it is, and its bytes. None if there is none, or not what was stored."""
    for shelf in _shelves():
        library = shelf / f"{key}.so"
        try:
            digest, _, size = read_private(library.with_suffix(".sha256"), _LONGEST_TEXT).partition(b" ")
            if not size.isdigit() or len(size) > 12:
                continue
            content = read_private(library, int(size))
        except OSError:
            continue
        if len(content) == int(size) and _digest(key, content) == digest:
            with contextlib.suppress(OSError):
                now = time.time_ns()  # finer than the clock of the file system
                os.utime(library, ns=(now, now))  # eviction goes by this
            return library, content
    return None


def store(shelf: Path, key: str, content: bytes, workspace: Path) -> None:
    """Keep the library `content` under `key` in the folder `shelf`."""
    library = shelf / f"{key}.so"
    _put(library, content, workspace, 0o700)
    _put(library.with_suffix(".sha256"), b"%s %d" % (_digest(key, content), len(content)), workspace)


def write(path: Path, text: str, workspace: Path) -> None:
    """Let `path` have `text`, all at once."""
    _put(path, text.encode(errors="surrogateescape"), workspace)


def _put(path: Path, content: bytes, workspace: Path, mode: int = 0o600) -> None:
    draft = workspace / f"{path.name}.draft"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    draft.chmod(mode)  # whatever the umask says
    try:
        os.replace(draft, path)
    except OSError:  # something else is in the way, such as a folder
        _remove([path])
        os.replace(draft, path)


def _digest(key: str, content: bytes) -> bytes:
    """Of both: a library that belongs to another key is none."""
    return hashlib.sha256(key.encode() + content).hexdigest().encode()


@contextlib.contextmanager
def workspace(shelf: Path) -> Iterator[Path]:
    """A folder for files in the making, on the file system of `shelf`, gone afterwards."""
    with contextlib.ExitStack() as stack:
        # Not a TemporaryDirectory: when a process ends that was forked meanwhile, that would be removed, too.
        path = _new_folder(_WORKSPACE, shelf)
        stack.callback(shutil.rmtree, path, ignore_errors=True)
        with contextlib.suppress(OSError):  # without locks, it is as old as it looks
            stack.enter_context(_flock(path, os.O_RDONLY, wait=False))
        yield path


@contextlib.contextmanager
def locked(shelf: Path, key: str) -> Iterator[None]:
    """Keep other processes and threads from compiling `key` meanwhile, where the file system can."""
    path = shelf / f"{key}.lock"
    flags = os.O_RDWR | os.O_CREAT
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_flock(path, flags))
        except OSError:  # what is there is no lock; or there are none here, and two may compile: the later one stays
            _remove([path])
            with contextlib.suppress(OSError):
                stack.enter_context(_flock(path, flags))
        # Whoever waits for this file gets its lock next and finds the library, as does who makes a new one.
        stack.callback(_remove, [path])
        yield


@contextlib.contextmanager
def _flock(path: Path, flags: int, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a file or folder. An OSError if it has none, or if somebody has it and we do not wait."""
    if sys.platform == "win32":
        raise OSError("no flock")
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough if another thread has forked
        os.close(descriptor)


def entries() -> list[Entry]:
    """All that is kept, the longest unused first. Raises CompileError for a folder that cannot be listed."""
    found = []
    for shelf in _shelves():
        try:
            found += _entries(shelf)
        except FileNotFoundError:  # since it was listed
            continue
        except OSError as error:
            problem, remedy = f"{shelf} cannot be listed: {error.strerror}", f"run `chmod u+rwx {shelf}`"
            raise CompileError(compose("compile cache", one_line(problem), remedy=one_line(remedy))) from None
    return found


def _entries(shelf: Path) -> list[Entry]:
    found: dict[str, list[os.DirEntry[str]]] = {}
    with os.scandir(shelf) as files:
        for file in files:
            if match := _ENTRY.fullmatch(file.name):
                found.setdefault(match[1], []).append(file)
    kept = []
    for key, group in found.items():
        with contextlib.suppress(FileNotFoundError):  # somebody else removes it
            states = [file.stat(follow_symlinks=False) for file in group]
            paths = tuple(Path(file.path) for file in group)
            used = max(state.st_mtime_ns for state in states) / 1e9
            kept.append(Entry(key, paths, sum(state.st_size for state in states), used))
    return sorted(kept, key=lambda entry: entry.used)


def evict(shelf: Path, max_entries: int = MAX_ENTRIES) -> int:
    """Remove what was unused longest until the rest is within the bounds, and say how many entries that were."""
    kept, max_bytes = _entries(shelf), limit()
    size = sum(entry.size for entry in kept)
    count = 0
    while len(kept) - count > max_entries or size > max_bytes:
        size -= kept[count].size
        _remove(kept[count].files)
        count += 1
    _sweep(shelf)
    return count


def clear() -> int:
    """Remove everything that the cache wrote, and say how many entries that were. Programs that run keep running.

    Raises CompileError if some of it cannot be removed, when the rest is gone.
    """
    kept = entries()
    left = [error for entry in kept if (error := _remove(entry.files))]
    count = len(kept) - len(left)
    for shelf in _shelves():
        if error := _remove(path for path in shelf.iterdir() if _NOTE.fullmatch(path.name)):
            left.append(error)
        _sweep(shelf)
    if left:
        problem = f"{left[0].filename} cannot be removed: {left[0].strerror}; {count} of {len(kept)} programs are gone"
        remedy = "make the folder one that you can write, and clear it again"
        raise CompileError(compose("compile cache", one_line(problem), remedy=remedy))
    return count


def _remove(files: Iterable[Path]) -> OSError | None:
    """Remove what can be removed, and say why something is still there."""
    left = None
    for file in files:
        try:
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            else:
                file.unlink()
        except FileNotFoundError:  # somebody else was faster
            pass
        except OSError as error:
            left = error
    return left


def _sweep(shelf: Path) -> None:
    """Remove the workspaces and the locks of processes that were killed."""
    for path in (*shelf.glob(f"{_WORKSPACE}*"), *shelf.glob("*.lock")):
        with contextlib.suppress(OSError):
            age = time.time() - path.lstat().st_mtime
            if age > ABANDONED and (path.name.startswith(_WORKSPACE) or _ENTRY.fullmatch(path.name)):
                with contextlib.nullcontext() if age > DAY else _flock(path, os.O_RDONLY, wait=False):
                    _remove([path])


# Notes ----------------------------------------------------------------------------------------------------------------


def recall(key: str) -> str | None:
    """The text that was noted under `key`, if any."""
    for shelf in _shelves():
        try:
            digest, _, text = read_private(shelf / f"{key}.note", _LONGEST_TEXT).partition(b"\n")
        except OSError:
            continue
        if _digest(key, text) == digest:
            return text.decode()
    return None


def note(key: str, text: str) -> None:
    """Keep a short text, such as what a compiler answered, if that can be: whoever recalls it can do without it."""
    shelf, _ = _usable()
    if shelf is not None:
        with contextlib.suppress(OSError), workspace(shelf) as room:
            write(shelf / f"{key}.note", f"{_digest(key, text.encode()).decode()}\n{text}", room)
