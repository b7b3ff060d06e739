"""What this machine has, as the system tells it: processors, memory, and how much of both this process may use."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

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
    """Bytes, of which those that are not in use now can be had; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        kilobytes = {name: int(text.split()[0]) for name, _, text in (line.partition(":") for line in lines)}
        there, free = kilobytes["MemTotal"] * 1024, kilobytes["MemAvailable"] * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return None
    bounds = [
        int(text) for text in (*_limits("memory.max"), *_limits("memory.limit_in_bytes", "memory")) if text.isdigit()
    ]
    return Share(there, min([free, *bounds]))


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
