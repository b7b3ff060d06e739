"""What the system tells of processors and memory, in containers too."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graphc.cli import system


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of a made-up machine with 8 processors, and this process in the group `a/b`."""
    monkeypatch.setattr(system, "_CGROUPS", tmp_path)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    read = Path.read_text
    rows = "12:memory:/a/b\n3:cpu,cpuacct:/a/b\n0::/a/b\n"
    monkeypatch.setattr(
        Path, "read_text", lambda path, **how: rows if str(path) == "/proc/self/cgroup" else read(path, **how)
    )
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_affinity_is_a_limit(groups: Path) -> None:
    assert system.cores() == system.Share(8, 6)


@pytest.mark.parametrize(
    ("files", "usable"),
    [
        ({"a/b/cpu.max": "150000 100000\n"}, 1.5),
        ({"a/b/cpu.max": "max 100000\n", "a/cpu.max": "400000 100000\n"}, 4),
        ({"cpu.max": "max 100000\n"}, 6),
        ({"cpu/a/b/cpu.cfs_quota_us": "50000\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, 6),
        ({"a/b/cpu.max": "\n"}, 6),
    ],
)
def test_containers_are_limits(files: dict[str, str], usable: float, groups: Path) -> None:
    for name, text in files.items():
        put(groups / name, text)
    assert system.cores() == system.Share(8, usable)


def test_memory_is_what_programs_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/proc/meminfo").exists():
        assert system.memory() is None
        return
    found = system.memory()
    assert found is not None
    assert 0 < found.usable <= found.there
    monkeypatch.setenv("GRAPHC_MEMORY", "2000")
    assert system.memory() == system.Share(found.there, 2000)
    monkeypatch.setenv("GRAPHC_MEMORY", "9" * 20)
    assert system.memory() == system.Share(found.there, found.there)


def test_this_process_rounds_to_nearest() -> None:
    assert system.rounds_to_nearest()
