"""Files that arrive whole: after a crash, a kill or a full disk there is the old file or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from graphc.errors import one_line

if sys.platform != "win32":
    import fcntl

__all__ = ["check_plain_file", "check_writable", "path_name", "reason", "replace_file"]

_DRAFT = ".partial"


def path_name(path: object) -> str | None:
    """A path as a string; None for what is none."""
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    return name if isinstance(name, str) and name else None


def check_plain_file(name: str) -> str:
    """Why `name` is not to be read, empty if it is. Raises OSError and ValueError.

    Only a plain file has an end: opening a pipe would wait for somebody to write.
    """
    if stat.S_ISREG(os.stat(name).st_mode):
        return ""
    return "is a folder" if os.path.isdir(name) else "is not a plain file"


def reason(error: OSError | ValueError) -> str:
    """Why the system refused, in its words."""
    return (getattr(error, "strerror", None) or one_line(str(error))).lower()


def replace_file(name: str, data: bytes) -> None:
    """Let `data` be what the file has, on disk when this returns. Raises OSError and ValueError, the file as it was.

    The data go to a draft in the same folder, which then takes the name. A link stays one. A draft whose writer was
    killed is removed by whoever writes next to the same name.
    """
    target = _target(name)
    _clear(target)
    with _draft(target) as (descriptor, draft):
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        with contextlib.suppress(FileNotFoundError):
            os.chmod(draft, stat.S_IMODE(os.stat(target).st_mode))
        os.fsync(descriptor)
        with _synced(target.parent):
            os.replace(draft, target)


def check_writable(name: str) -> None:
    """Raises the OSError or ValueError with which `replace_file` would begin: before hours of work, not after them."""
    target = _target(name)
    with _draft(target):
        pass
    _check_owner(target)


def _target(name: str) -> Path:
    """The file to replace. Only links are resolved: a name through a folder that is not there would be another file."""
    target = Path(os.path.realpath(name) if os.path.islink(name) else name)
    says_folder = os.path.basename(name) in ("", ".")
    if target.is_dir() or (says_folder and not target.exists()):
        raise IsADirectoryError(errno.EISDIR, "is a folder", name)
    if says_folder:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "is not a plain file", name)
    return target


def _check_owner(target: Path) -> None:
    """In a sticky folder, such as /tmp, a file is replaced by its owner, by that of the folder, or by root."""
    with contextlib.suppress(FileNotFoundError):
        file, folder = os.stat(target), os.stat(target.parent)
        if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (0, file.st_uid, folder.st_uid):
            problem = f"belongs to user {file.st_uid}, and in a sticky folder only owners replace files"
            raise PermissionError(errno.EPERM, problem, str(target))


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[tuple[int, Path]]:
    """An empty file beside `target`, locked while its writer lives, and removed if it has kept its name."""
    while True:
        draft = target.parent / f".{secrets.token_hex(8)}.{_short(target)}{_DRAFT}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
        try:
            if not _lock(descriptor) or not os.fstat(descriptor).st_nlink:
                continue  # somebody took it for an abandoned one before it was locked
            yield descriptor, draft
            return
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(draft)
            os.close(descriptor)


def _short(target: Path) -> str:
    """The name, or so much of it that the draft's name is no longer than names may be."""
    return os.fsdecode(os.fsencode(target.name)[:200])


def _clear(target: Path) -> None:
    """Remove the drafts of writers that are no more."""
    if sys.platform == "win32":
        return
    end = f".{_short(target)}{_DRAFT}"
    with contextlib.suppress(OSError):
        for entry in os.scandir(target.parent):
            if entry.name.endswith(end) and len(entry.name) == len(end) + 17 and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                    try:
                        if _lock(descriptor):
                            os.unlink(entry.path)
                    finally:
                        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    """Whether nobody else has the file; locks end with their holders."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: its drafts are never taken for abandoned ones
        return True
    return True


@contextlib.contextmanager
def _synced(folder: Path) -> Iterator[None]:
    """Let a name that is given inside be on disk, too. That the folder cannot be opened is raised before that."""
    descriptor = None
    if sys.platform != "win32":
        # A folder that may be written and not read cannot be synced: the system has its names on disk when it likes.
        with contextlib.suppress(PermissionError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
        if descriptor is not None:
            _sync(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _sync(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot
            raise
