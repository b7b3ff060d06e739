"""Finding the C compiler, and what is asked of it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from graphc.backends.c import compiler
from graphc.backends.c.compiler import cpu_identity, find_compiler, flags, need_compiler, vector_bytes
from graphc.errors import CompileError

Script = Callable[..., Path]

INTEL = (
    "processor\t: 0\nmodel name\t: Big\nflags\t\t: fpu sse2 avx avx2 avx512f\n\nprocessor\t: 1\nmodel name\t: Small\n"
)
ARM = "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n\n"


def test_finds_one_on_the_path(real: str) -> None:
    found = find_compiler()
    assert found is not None
    assert found.version
    assert os.path.isabs(found.command[0])
    assert find_compiler() is found


def test_cc_comes_first(script: Script) -> None:
    path = script("exit 1")
    found = need_compiler()
    assert (found.command, found.version) == ((str(path),), "fake 1.0")


def test_cc_may_have_arguments(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script("exit 1")
    monkeypatch.setenv("CC", f"'{path}' -m64")
    assert need_compiler().command == (str(path), "-m64")


def test_a_changed_cc_is_noticed(script: Script) -> None:
    first = script("exit 1", "one")
    assert need_compiler().command == (str(first),)
    second = script("exit 1", "two")
    assert need_compiler().command == (str(second),)


def test_an_upgrade_is_another_compiler(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script("exit 1")
    before = need_compiler()
    os.utime(path, (1, 1))
    monkeypatch.setattr(compiler, "_found", {})
    assert need_compiler().identity != before.identity


def test_the_version_is_asked_once(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = need_compiler()
    monkeypatch.setattr(compiler, "_found", {})
    monkeypatch.setattr(subprocess, "run", None)
    assert need_compiler() == before


@pytest.mark.parametrize("damage", [b"", b"gcc 99", bytes(64) + b"\ngcc 99"])
def test_a_damaged_note_is_asked_again(damage: bytes, real: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = need_compiler()
    (note,) = folder.glob("*.note")
    note.write_bytes(damage)
    monkeypatch.setattr(compiler, "_found", {})
    assert need_compiler() == before
    assert note.read_bytes() != damage


def test_a_script_is_asked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it answers depends on more than the script: here on a file that it reads."""
    path = tmp_path / "wrapper"
    path.write_text(f'#!/bin/sh\ncat "{tmp_path}/version"\n')
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    found = []
    for version in ("one", "two"):
        (tmp_path / "version").write_text(version)
        monkeypatch.setattr(compiler, "_found", {})
        found.append(need_compiler())
    assert [each.version for each in found] == ["one", "two"]
    assert found[0].identity != found[1].identity


def test_a_launcher_is_asked_each_time(real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cc` may be a link to ccache, which runs whatever compiler is there now."""
    shutil.copy(real, tmp_path / "ccache")
    (tmp_path / "cc").symlink_to("ccache")
    monkeypatch.setenv("CC", str(tmp_path / "cc"))
    versions = iter(["one", "two"])
    monkeypatch.setattr(compiler, "_version", lambda command: next(versions))
    assert need_compiler().version == "one"
    monkeypatch.setattr(compiler, "_found", {})
    assert need_compiler().version == "two"


def test_a_copy_of_a_machine_has_the_same_compiler(real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file with the same bytes and time is the same compiler, but its version is asked."""
    copy = shutil.copy2(real, tmp_path / "gcc")
    monkeypatch.setenv("CC", str(copy))
    before = need_compiler()
    shutil.copy2(real, tmp_path / "again")
    os.replace(tmp_path / "again", copy)
    monkeypatch.setattr(compiler, "_found", {})
    asked = []
    ask = compiler._version
    monkeypatch.setattr(compiler, "_version", lambda command: asked.append(command) or ask(command))
    assert need_compiler().identity == before.identity
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("/nowhere/gcc", r"C compiler: CC is '/nowhere/gcc', and there is no such program\. Set CC to a C compiler"),
        ("cc '", r"CC is \"cc '\": No closing quotation"),
        ("'' x", "there is no such program"),
    ],
)
def test_a_wrong_cc_is_an_error(setting: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", setting)
    with pytest.raises(CompileError, match=message):
        find_compiler()


def test_a_cc_that_fails_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "broken"
    path.write_text("#!/bin/sh\necho no licence >&2; exit 3\n")
    path.chmod(0o755)
    monkeypatch.setenv("CC", str(path))
    with pytest.raises(CompileError, match="and `--version` ended with 3: no licence"):
        find_compiler()
    path.write_text("#!/nowhere/sh\n")
    with pytest.raises(CompileError, match="and it cannot be run: No such file"):
        find_compiler()


def test_a_broken_cc_on_the_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, status in (("cc", 1), ("gcc", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {name}; exit {status}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert need_compiler().version == "gcc"


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENOMEM])
def test_a_cc_that_cannot_be_run_now_is_there(error: int, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not wrong."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(error, os.strerror(error))

    path = script("exit 1", "cc")
    monkeypatch.setattr(subprocess, "run", refuse)
    with pytest.raises(CompileError, match=f"{path} cannot be run: {os.strerror(error)}. Close files, or end"):
        need_compiler()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(path.parent))
    with pytest.raises(CompileError, match=f"{path} cannot be run: {os.strerror(error)}. Close files, or end"):
        find_compiler()


def test_none_gives_the_remedy(no_compiler: None) -> None:
    assert find_compiler() is None
    with pytest.raises(CompileError, match=r"none on this machine\. Set CC, or .*apt install gcc.*graphc\[c\]"):
        need_compiler()


def test_ziglang_is_the_last_resort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ziglang").mkdir()
    (tmp_path / "ziglang" / "__init__.py").touch()
    (tmp_path / "ziglang" / "__main__.py").write_text("print('clang 99')")
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    found = need_compiler()
    assert found.command == (sys.executable, "-P", "-m", "ziglang", "cc")
    assert found.version == "clang 99"


def test_flags_of_the_user_come_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CFLAGS", "-g '-DA=1 2'")
    assert flags()[-2:] == ("-g", "-DA=1 2")
    monkeypatch.setenv("GRAPHC_CFLAGS", "'")
    with pytest.raises(CompileError, match=r"GRAPHC_CFLAGS is .*No closing quotation"):
        flags()


@pytest.mark.parametrize("flag", ["-ffast-math", "-Ofast", "-funsafe-math-optimizations"])
def test_flags_that_change_the_whole_process_are_refused(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CFLAGS", f"-g {flag}")
    with pytest.raises(CompileError, match=f"GRAPHC_CFLAGS has {flag}, with which a library flushes denormal numbers"):
        flags()
    monkeypatch.setenv("CC", f"cc {flag}")
    with pytest.raises(CompileError, match=f"CC has {flag}, with which a library flushes denormal numbers"):
        need_compiler()


def pretend(cpuinfo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(compiler, "_CPUINFO", str(tmp_path / "cpuinfo"))
    compiler._cpu.cache_clear()


@pytest.mark.parametrize(
    ("cpuinfo", "width"),
    [(INTEL, 64), (INTEL.replace(" avx512f", ""), 32), (INTEL.replace(" avx avx2 avx512f", ""), 16), (ARM, 16)],
)
def test_vector_bytes(cpuinfo: str, width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(cpuinfo, tmp_path, monkeypatch)
    assert vector_bytes() == width


def test_vector_bytes_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", "32")
    assert vector_bytes() == 32
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", "33")
    with pytest.raises(CompileError, match="GRAPHC_VECTOR_BYTES is '33', not 16, 32 or 64"):
        vector_bytes()


def test_the_first_processor_is_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(INTEL, tmp_path, monkeypatch)
    assert "Big" in cpu_identity()
    assert "Small" not in cpu_identity()
    pretend(ARM, tmp_path, monkeypatch)
    assert "0xd0c" in cpu_identity()


def test_without_cpuinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_CPUINFO", "/nowhere")
    monkeypatch.setattr("platform.processor", lambda: "abacus")
    assert "abacus" in cpu_identity()
    assert vector_bytes() == 16
