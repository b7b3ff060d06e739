"""Who else could change what stands at a path: libraries are code, so whoever can write one runs as this user."""

from __future__ import annotations

import os
import stat
import sys
from functools import cache
from pathlib import Path

if sys.platform != "win32":
    import grp
    import pwd

__all__ = ["exposed", "exposed_above", "read_private"]

_LINKS = 40
"""Symbolic links that a path may go through, as for the system."""


def exposed(path: Path) -> tuple[str, str] | None:
    """Why others could have put something into the folder `path`, and the remedy; None if only its owner, who is us."""
    status = os.lstat(path)
    if stat.S_ISLNK(status.st_mode):
        return "is a symbolic link, which is not followed", f"use {os.path.realpath(path)} itself"
    if not stat.S_ISDIR(status.st_mode):
        return "is not a folder", "move it away"
    if sys.platform == "win32":  # profiles are private there, and modes say nothing
        return None
    if status.st_uid != os.geteuid():
        return f"belongs to user {status.st_uid}, and this is user {os.geteuid()}", "change its owner"
    if status.st_mode & 0o022:
        return f"can be written by other users (mode {stat.S_IMODE(status.st_mode):o})", f"run `chmod go-w {path}`"
    return None


def exposed_above(path: Path) -> str:
    """Why others could put another folder in the place of `path`; nothing if they cannot.

    Each folder on the way must be ours or the system's and closed to the writes of others, unless it is sticky, as /tmp
    is. Links on the way are followed as the system does, and must be ours or the system's, too. What is not there yet
    will be made, by us.
    """
    if sys.platform == "win32":
        return ""
    place, ahead, links = "/", [part for part in reversed(path.parent.parts) if part != "/"], 0
    while True:
        try:
            status = os.lstat(place)
        except FileNotFoundError:
            return ""
        if status.st_uid not in _trusted():
            return f"{place} belongs to user {status.st_uid}"
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _LINKS:
                return f"{place} goes through too many links"
            target = Path(os.readlink(place))
            place = "/" if target.is_absolute() else os.path.dirname(place)
            ahead += [part for part in reversed(target.parts) if part != "/"]
        elif _open_to_others(status):
            return f"{place} can be written by other users (mode {stat.S_IMODE(status.st_mode):o})"
        if not ahead:
            return ""
        part = ahead.pop()
        place = os.path.dirname(place) if part == ".." else os.path.join(place, part)


def read_private(path: Path, most: int) -> bytes:
    """What a file of at most `most` bytes has in it. An OSError for one that others could have written.

    Nothing is followed and nothing is waited for: a link, a pipe or a device is no file of the cache.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        ours = sys.platform == "win32" or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)
        if not stat.S_ISREG(status.st_mode) or not ours or status.st_size > most:
            raise PermissionError(1, "not a file of the compile cache", str(path))
        return file.read(status.st_size)  # and not `most`, for which Python would make room first


def _open_to_others(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_ISVTX or not status.st_mode & 0o022:
        return False
    return bool(status.st_mode & 0o002) or not _is_own_group(status.st_gid)


@cache
def _trusted() -> frozenset[int]:
    """The users whose folders may be on the way: root and we.

    In a user namespace, all whom it does not know look like one user. The administrator of the system is among them,
    and nobody whom this process could tell from him.
    """
    users = {0, os.geteuid()}
    try:
        known = Path("/proc/self/uid_map").read_text(encoding="ascii").split()
        nobody = int(Path("/proc/sys/kernel/overflowuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return frozenset(users)
    whole = known[:3] == ["0", "0", "4294967295"]
    return frozenset(users if whole else {*users, nobody})


@cache
def _is_own_group(group: int) -> bool:
    """Whether nobody but root and we is in `group`: many systems give each user a group of the same name."""
    if group == 0:
        return True
    try:
        entry, user = grp.getgrgid(group), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return entry.gr_name == user.pw_name and set(entry.gr_mem) <= {user.pw_name}
