"""What the compile cache holds, as a table: which programs, how large, and when they were used."""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

from graphc.backends.c import cache
from graphc.backends.c.privacy import read_private
from graphc.errors import one_line

__all__ = ["megabytes", "programs", "rows", "summary"]

_LONGEST = 64 << 20
_PLACES = re.compile(r"^  /\* .*   \[(.*)\] \*/$", re.MULTILINE)
_PLACE = re.compile(r"(?:(\S+) )?(\S.*):\d+(?: backward)?")


def summary() -> str:
    """The folder, and how much there is."""
    kept = cache.entries()
    size = sum(entry.size for entry in kept)
    return f"{one_line(str(place()))}: {programs(len(kept))}, {megabytes(size)} of at most {megabytes(cache.limit())}"


def place() -> Path:
    """The folder of the cache; where none can be chosen, a temporary one."""
    return cache.chosen() or cache.folder()


def programs(count: int) -> str:
    return f"{count} program" if count == 1 else f"{count} programs"


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def rows() -> list[tuple[str, str, str, str]]:
    """Of each entry, the last used first: the start of its key, its size, its last use, and what it is."""
    now = time.time()
    return [
        (entry.key[:12], f"{entry.size / 1e3:,.0f} kB", _ago(now - entry.used), _what(entry))
        for entry in reversed(cache.entries())
    ]


def _ago(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit} ago"
    return "just now"


def _what(entry: cache.Entry) -> str:
    """The files that a program comes from, by the comments in its source, the one with the most kernels first."""
    kinds = {path.suffix: path for path in entry.files}
    if not {".so", ".sha256"} <= kinds.keys():
        return "not compiled: an error, or under way"
    try:
        source = read_private(kinds[".c"], _LONGEST).decode("utf-8", "replace")
    except (KeyError, OSError):
        return "its source is gone"
    files, modules = Counter[str](), Counter[str]()
    for kernel in _PLACES.findall(source):
        found = [match for each in kernel.split("; ") if (match := _PLACE.fullmatch(each))]
        files.update({match[2] for match in found})
        modules.update({match[1] for match in found if match[1]})
    if not files:
        return "no program of a user"
    return one_line(", ".join(name for name, _ in files.most_common(2)) + _modules(modules))


def _modules(modules: Counter[str]) -> str:
    if not modules:
        return ""
    names = sorted(modules)
    return f": {', '.join(names[:3])}" + (f" and {len(names) - 3} more" if len(names) > 3 else "")
