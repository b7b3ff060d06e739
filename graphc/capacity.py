"""How much memory there is: what does not fit is refused before anything is allocated.

Linux hands out more memory than the machine has, and ends the process that touches it. What is large is therefore
compared with what can be had now: what the kernel calls available and free swap, or what the limit of a container or
of the process (`ulimit -v`) leaves, if that is less. $GRAPHC_MEMORY, in bytes, replaces all of these.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from graphc.errors import MemoryLimitError

__all__ = ["LARGEST", "fits", "left", "need", "refusal", "written"]

LARGEST = (1 << 63) - 1
"""Bytes of a tensor at most: sizes, strides and offsets are integers of 64 bits."""

SMALL = 1 << 26
"""Bytes that are not worth a look at what is left."""

_PROCESS = Path("/proc")
_GROUPS = Path("/sys/fs/cgroup")


def need(nbytes: int, what: Callable[[], str]) -> None:
    """Raises MemoryLimitError if `nbytes` of this machine's memory cannot be had. `what` says what takes them."""
    if not fits(nbytes):
        raise refusal(nbytes, what())


def fits(nbytes: int) -> bool:
    """Whether `nbytes` of this machine's memory can be had."""
    return nbytes < SMALL or nbytes <= left()


def refusal(nbytes: int, what: str, where: str = "") -> MemoryLimitError:
    """The error for `what`, built at `where`, which takes `nbytes` that cannot be had."""
    free = written(max(0, int(left())))
    place = f"; built at {where}" if where else ""
    return MemoryLimitError(
        f"{what} takes {written(nbytes)}, and {free} can be had{place}. Take smaller sizes, such as a smaller batch; "
        "GRAPHC_MEMORY=BYTES says how much there is where the system does not know"
    )


def left() -> float:
    """Bytes that can be had; infinite where the system does not say."""
    setting = os.environ.get("GRAPHC_MEMORY", "").strip()
    if setting:
        if not setting.isdecimal():
            raise MemoryLimitError(f"GRAPHC_MEMORY is {setting!r}, which is no number of bytes")
        return int(setting)
    return min(_of_machine(), _of_process(), *_of_containers(), math.inf)


def written(nbytes: int) -> str:
    """`nbytes` as people write it."""
    for name, unit in (("EB", 10**18), ("PB", 10**15), ("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if nbytes >= unit:
            return f"{nbytes / unit:,.1f} {name}"
    return f"{nbytes:,} bytes"


def _of_machine() -> float:
    found = dict(re.findall(r"^(MemAvailable|SwapFree):\s+(\d+) kB", _text(_PROCESS / "meminfo"), re.MULTILINE))
    if "MemAvailable" in found:
        return 1024 * sum(map(int, found.values()))
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return math.inf


def _of_process() -> float:
    limit = re.search(r"^Max address space\s+(\d+)", _text(_PROCESS / "self/limits"), re.MULTILINE)
    pages = _text(_PROCESS / "self/statm").split()
    return int(limit[1]) - int(pages[0]) * os.sysconf("SC_PAGE_SIZE") if limit and pages else math.inf


def _of_containers() -> Iterator[float]:
    """What the control groups of this process have left, those around them included. Files that were read count as
    free: the kernel drops them when memory is wanted.
    """
    for line in _text(_PROCESS / "self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root = _GROUPS / controllers
        limit, usage = ("limit_in_bytes", "usage_in_bytes") if controllers else ("max", "current")
        group = root / path.lstrip("/")
        for each in (group, *group.parents):
            most, used = (_text(each / f"memory.{name}").strip() for name in (limit, usage))
            if most.isdecimal() and used.isdecimal():
                cached = re.search(r"^(?:total_)?inactive_file (\d+)", _text(each / "memory.stat"), re.MULTILINE)
                yield int(most) - int(used) + (int(cached[1]) if cached else 0)
            if each == root:
                break


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
