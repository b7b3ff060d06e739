"""Requests for more memory than there is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import graphc
from graphc import CompileError, MemoryLimitError, Parameter, ShapeError, capacity


def test_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < capacity.left() < 1 << 60
    monkeypatch.setenv("GRAPHC_MEMORY", "100000000")
    assert capacity.left() == 10**8
    capacity.need(10**8, lambda: "it")
    with pytest.raises(MemoryLimitError, match=r"^it takes 100\.0 MB, and 100\.0 MB can be had\. Take smaller sizes"):
        capacity.need(10**8 + 1, lambda: "it")
    monkeypatch.setenv("GRAPHC_MEMORY", "0")
    capacity.need(capacity.SMALL - 1, lambda: "what is small")
    monkeypatch.setenv("GRAPHC_MEMORY", "lots")
    with pytest.raises(MemoryLimitError, match="GRAPHC_MEMORY is 'lots', which is no number of bytes"):
        capacity.left()


@pytest.mark.parametrize(
    ("version", "files"), [("0::", ("max", "current")), ("4:memory:", ("limit_in_bytes", "usage_in_bytes"))]
)
def test_limits_of_containers(
    version: str, files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The smallest of the group and those around it; what was read from files can be dropped."""
    groups, process = tmp_path / "groups", tmp_path / "process"
    root = groups / "memory" if "memory" in version else groups
    (root / "outer/inner").mkdir(parents=True)
    (process / "self").mkdir(parents=True)
    (process / "self/cgroup").write_text(f"2:cpu:/other\n{version}/outer/inner\n")
    (process / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:  2000000 kB\nSwapFree:  1000000 kB\n")
    monkeypatch.setattr(capacity, "_GROUPS", groups)
    monkeypatch.setattr(capacity, "_PROCESS", process)
    assert capacity.left() == 3_000_000 * 1024
    for folder, values in (("outer", (9000, 2000)), ("outer/inner", ("max", 1000))):
        for name, value in zip(files, values, strict=True):
            (root / folder / f"memory.{name}").write_text(f"{value}\n")
    (root / "outer/memory.stat").write_text("anon 5\ninactive_file 500\n")
    assert capacity.left() == 9000 - 2000 + 500


def test_too_much_is_refused_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    one = torch.ones(1)
    with pytest.raises(MemoryLimitError, match=r"^a constant, f32\[1000000000000\], takes 4\.0 TB"):
        graphc.constant(one.expand(10**12))
    with pytest.raises(MemoryLimitError, match=r"^w, f32\[1000000000000\] with a copy to start from, takes 8\.0 TB"):
        Parameter(one.expand(10**12), name="w")
    with pytest.raises(ShapeError, match=r"size 9223372036854775808 is not one of a tensor"):
        graphc.placeholder("x", (2**63,))
    large = graphc.constant(1.0).broadcast_to((2**40, 2**40)).sum()
    with pytest.raises(CompileError, match=r"^broadcast: f32\[1099511627776,1099511627776\] has more than 9\.2 EB"):
        graphc.compile([], large, backend="c")


@pytest.mark.parametrize("backend", ["c", "torch", "reference"])
def test_calls_and_runs_that_are_too_large(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x = graphc.placeholder("x", ("batch", 3))
    program = graphc.compile([x], {"y": x * 2, "mean": x.mean()}, backend=backend)
    huge = torch.ones(1).expand(10**12, 3)
    match = (
        r"^a call with batch = 10{12}, whose largest value is f32\[10{12},3\] of mul, takes .* built at .*test_capacity"
    )
    with pytest.raises(MemoryLimitError, match=match):
        program(huge)
    with pytest.raises(
        MemoryLimitError, match=r"^placeholder: f32\[batch,3\], where batch = 10{18}, has more than 9.2 EB"
    ):
        program(torch.ones(1).expand(10**18, 3))
    for data, shuffle in ((huge, True), (huge, False)):
        with pytest.raises(MemoryLimitError, match=r"samples|largest value"):
            program.fit(data, batch_size=10**12, epochs=1, shuffle=shuffle, progress=False)
    assert program(torch.ones(2, 3))["mean"] == 1
