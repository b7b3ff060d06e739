"""The compile cache: a folder of shared libraries, each under the hash of everything that went into it.

An entry is three files: `KEY.c`, the source, for reading and for debuggers; `KEY.so`, the library; `KEY.sha256`, the
hash of the library's bytes. Libraries are code, so nobody else may be able to write to the folder, and no library is
handed out unless its bytes have the hash that stands beside it: what a full disk or a crash cut short is a miss. The
hash is not appended to the library, because macOS signs libraries as they are.

Files arrive whole, by renaming, the hash after the library. Whoever looks between the two finds a miss, waits for the
lock, and looks again. The lock is per key, so that processes which start with the same program (test workers, a sweep)
compile it once: eight of them on two cores have their library after 0.4 s, without the lock after 1.1 to 2.4 s. It is
`flock`, which ends with its holder and wakes who waits; the package filelock asks again and again, and takes longer to
import than a warm start may.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from graphc.errors import CompileError, compose

if sys.platform != "win32":
    import fcntl

__all__ = [
    "Entry",
    "clear",
    "entries",
    "evict",
    "fetch",
    "folder",
    "locked",
    "note",
    "recall",
    "store",
    "workspace",
    "write",
]

MAX_BYTES = 512 << 20
MAX_ENTRIES = 2000
DAY = 24 * 3600.0

# What the cache itself writes. Nothing else in the folder is ever removed: GRAPHC_CACHE_DIR might be somebody's home.
_ENTRY = re.compile(r"([0-9a-f]{64})\.(?:c|so|sha256|lock)")
_NOTE = re.compile(r"[0-9a-f]{64}\.note")
_WORKSPACE = "compiling-"


@dataclass(frozen=True)
class Entry:
    """What is kept under one key: its files, their bytes together, and when it was last of use (seconds since 1970)."""

    files: tuple[Path, ...]
    size: int
    used: float


# The folder -----------------------------------------------------------------------------------------------------------


def folder() -> Path:
    """The cache folder, made and checked; a temporary one of this process where there can be none."""
    path = _chosen()
    if path is None:
        return _temporary("there is no home folder")
    try:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            os.makedirs(path, mode=0o700, exist_ok=True)
            status = os.stat(path)
    except OSError as error:
        return _temporary(f"{path}: {error.strerror}")
    if problem := _insecure(path, status):
        remedy = f"{problem[1]}, or set GRAPHC_CACHE_DIR to a folder of your own"
        raise CompileError(compose("compile cache", f"{path} {problem[0]}", remedy=remedy))
    if not os.access(path, os.W_OK | os.X_OK):
        return _temporary(f"{path} cannot be written")
    return path


def _chosen() -> Path | None:
    if chosen := os.environ.get("GRAPHC_CACHE_DIR"):
        return Path(os.path.abspath(os.path.expanduser(chosen)))
    if sys.platform == "darwin":
        caches = os.path.expanduser("~/Library/Caches")
    else:
        caches = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(caches):  # the XDG specification says to ignore such a value
            caches = os.path.expanduser("~/.cache")
    return Path(caches, "graphc") if os.path.isabs(caches) else None


def _insecure(path: Path, status: os.stat_result) -> tuple[str, str] | None:
    """Why somebody else could have put a library there, and what to do about it."""
    if not stat.S_ISDIR(status.st_mode):
        return "is not a folder", "move it away"
    if sys.platform == "win32":  # profiles are private there, and modes say nothing
        return None
    link = os.lstat(path)
    if stat.S_ISLNK(link.st_mode) and link.st_uid not in (os.getuid(), 0):
        return f"is a link that belongs to user {link.st_uid}", "remove it"
    if status.st_uid != os.getuid():
        return f"belongs to user {status.st_uid}, and this is user {os.getuid()}", "change its owner"
    if status.st_mode & 0o022:
        return f"can be written by other users (mode {stat.S_IMODE(status.st_mode):o})", f"run `chmod go-w {path}`"
    return None


@functools.cache
def _temporary(reason: str) -> Path:
    path = Path(tempfile.mkdtemp(prefix="graphc-"))
    owner = os.getpid()
    atexit.register(lambda: shutil.rmtree(path, ignore_errors=True) if os.getpid() == owner else None)
    problem = f"{reason}; what is compiled is kept for this process only"
    message = compose("compile cache", problem, remedy="set GRAPHC_CACHE_DIR to a folder that can be written")
    warnings.warn(message, RuntimeWarning, stacklevel=2)
    return path


# Entries --------------------------------------------------------------------------------------------------------------


def fetch(key: str) -> Path | None:
    """The library under `key`, or None if there is none, or one that is not what was stored."""
    library = folder() / f"{key}.so"
    try:
        expected = library.with_suffix(".sha256").read_bytes()
        if hashlib.sha256(library.read_bytes()).hexdigest().encode() != expected:
            return None
        if time.time() - library.stat().st_mtime > DAY:
            os.utime(library)  # eviction goes by this; once a day is exact enough, and most hits write nothing
    except OSError:
        return None
    return library


def store(key: str, built: Path) -> Path:
    """Move the library `built`, which stands in a workspace, under `key`."""
    library = folder() / f"{key}.so"
    built.chmod(0o700)  # whatever the umask says
    digest = hashlib.sha256(built.read_bytes()).hexdigest()
    os.replace(built, library)
    write(library.with_suffix(".sha256"), digest, built.parent)
    return library


def write(path: Path, text: str, workspace: Path) -> None:
    """Let `path` have `text`, all at once."""
    draft = workspace / path.name
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.replace(draft, path)


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A folder for files in the making, on the file system of the cache, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=_WORKSPACE, dir=folder(), ignore_cleanup_errors=True) as path:
        yield Path(path)


@contextlib.contextmanager
def locked(key: str) -> Iterator[None]:
    """Keep other processes and threads from compiling `key` meanwhile, where the file system can."""
    if sys.platform == "win32":
        yield
        return
    path = folder() / f"{key}.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # no locks on this file system: two may compile, and the later one stays
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # Whoever waits for this file gets its lock next and finds the library, as does who makes a new one.
        with contextlib.suppress(OSError):
            path.unlink()
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough if another thread has forked
        os.close(descriptor)


def entries() -> list[Entry]:
    """All that is kept, the longest unused first."""
    found: dict[str, list[os.DirEntry[str]]] = {}
    with os.scandir(folder()) as files:
        for file in files:
            if match := _ENTRY.fullmatch(file.name):
                found.setdefault(match[1], []).append(file)
    kept = []
    for group in found.values():
        with contextlib.suppress(FileNotFoundError):  # somebody else removes it
            states = [file.stat(follow_symlinks=False) for file in group]
            paths = tuple(Path(file.path) for file in group)
            kept.append(Entry(paths, sum(state.st_size for state in states), max(state.st_mtime for state in states)))
    return sorted(kept, key=lambda entry: entry.used)


def evict(max_bytes: int = MAX_BYTES, max_entries: int = MAX_ENTRIES) -> int:
    """Remove what was unused longest until the rest is within the bounds, and say how many entries that were."""
    kept = entries()
    size = sum(entry.size for entry in kept)
    count = 0
    while len(kept) - count > max_entries or size > max_bytes:
        size -= kept[count].size
        _remove(kept[count].files)
        count += 1
    _sweep()
    return count


def clear() -> int:
    """Remove everything that the cache wrote, and say how many entries that were. Programs that run keep running."""
    kept = entries()
    for entry in kept:
        _remove(entry.files)
    _remove(path for path in folder().iterdir() if _NOTE.fullmatch(path.name))
    _sweep()
    return len(kept)


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink()


def _sweep() -> None:
    """Remove the workspaces of processes that were killed: no compilation takes a day."""
    for path in folder().glob(f"{_WORKSPACE}*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(path)


# Notes ----------------------------------------------------------------------------------------------------------------


def recall(key: str) -> str | None:
    """The text that was noted under `key`, if any."""
    try:
        return (folder() / f"{key}.note").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def note(key: str, text: str) -> None:
    """Keep a short text, such as what a compiler answered, if that can be: whoever recalls it can do without it."""
    with contextlib.suppress(OSError), workspace() as room:
        write(folder() / f"{key}.note", text, room)
