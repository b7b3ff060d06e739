"""What this machine has, as the system tells it: processors, memory, and how much of both this process may use."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from graphc.capacity import left

__all__ = ["Share", "cores", "memory", "rounds_to_nearest"]

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Share:
    """What there is, and what of it this process may use, by affinity and by the limits of its container."""

    there: float
    usable: float


def cores() -> Share:
    """Processors; a container may be allowed a part of one."""
    there = float(os.cpu_count() or 1)
    mine = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else there
    limits = [there, mine]
    for quota, period in (
        *(text.split()[:2] for text in _limits("cpu.max") if len(text.split()) >= 2),
        *zip(_limits("cpu.cfs_quota_us", "cpu"), _limits("cpu.cfs_period_us", "cpu")),
    ):
        if quota.isdigit() and period.isdigit() and int(period):
            limits.append(int(quota) / int(period))
    return Share(there, min(limits))


def memory() -> Share | None:
    """Bytes, of which programs may take those that are left; None where the system does not tell.

    Raises MemoryLimitError for a setting that is no number.
    """
    try:
        found = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return None
    if found is None:
        return None
    there = int(found[1]) * 1024
    return Share(there, min(there, left()))


def _limits(name: str, controller: str = "") -> list[str]:
    """The file `name` of each control group that this process is in, from the inside out."""
    try:
        rows = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for row in rows:
        _, controllers, path = row.split(":", 2)
        if controller not in controllers.split(","):
            continue
        root = _CGROUPS / controller
        inner = root / path.lstrip("/")
        for folder in dict.fromkeys((inner, *inner.parents, root)):
            if folder == root or root in folder.parents:
                try:
                    found.append((folder / name).read_text(encoding="ascii").strip())
                except (OSError, UnicodeDecodeError):  # the root has no limits, and containers hide what is around them
                    continue
    return found


def rounds_to_nearest() -> bool:
    """Whether sums are rounded as everybody expects, to nearest. Some libraries leave another mode behind."""
    one, small = float(len("x")), sys.float_info.epsilon / 8
    return one + small == one and one - small == one
