"""Compiling: what is built once, what is built again, and what is said when it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from graphc.backends.c import build, cache, compiler
from graphc.backends.c.build import load
from graphc.errors import CompileError

Script = Callable[..., Path]

SOURCE = "int answer(void) { return 42; }\n"
OTHER = "int answer(void) { return 43; }\n"


@pytest.fixture
def calls(script: Script, real: str, tmp_path: Path) -> Callable[[], int]:
    """Makes $CC a compiler that counts, and gives the count."""
    log = tmp_path / "calls"
    log.touch()
    script(f'echo call >> "{log}"; exec {real} "$@"')
    return lambda: len(log.read_text().splitlines())


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the next process."""
    monkeypatch.setattr(build, "_loaded", {})
    monkeypatch.setattr(compiler, "_found", {})


# What is kept ---------------------------------------------------------------------------------------------------------


def test_a_source_is_compiled_once(calls: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    library = load(SOURCE, "p")
    assert library.answer() == 42
    assert load(SOURCE, "p") is library
    assert calls() == 1
    forget(monkeypatch)
    monkeypatch.setattr(subprocess, "Popen", None)  # a hit starts no process at all
    assert load(SOURCE, "q").answer() == 42


def test_what_is_left_in_the_folder(real: str, folder: Path) -> None:
    library = build.build(SOURCE, "p")
    assert library.parent == folder
    assert library.with_suffix(".c").read_text() == SOURCE
    kinds = sorted(path.suffix for path in folder.iterdir())
    assert kinds == [".c", ".note", ".sha256", ".so"]


def test_each_part_of_the_key_counts(
    calls: Callable[[], int], script: Script, real: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = [build.build(SOURCE, "p"), build.build(OTHER, "p")]
    monkeypatch.setenv("GRAPHC_CFLAGS", "-DNOTHING")
    built.append(build.build(SOURCE, "p"))
    monkeypatch.setattr(build, "cpu_identity", lambda: "another processor")
    built.append(build.build(SOURCE, "p"))
    monkeypatch.setattr(build, "ABI", build.ABI + 1)
    built.append(build.build(SOURCE, "p"))
    assert calls() == 5
    script(f'exec {real} "$@"', "another compiler")
    built.append(build.build(SOURCE, "p"))
    assert len(set(built)) == 6


@pytest.mark.parametrize("keep", [0, 1000, -1])
def test_a_damaged_library_is_built_again(keep: int, calls: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    library = build.build(SOURCE, "p")
    good = library.read_bytes()
    library.write_bytes(good[:keep])
    assert load(SOURCE, "p").answer() == 42
    assert calls() == 2
    assert library.read_bytes() == good


def test_a_foreign_library_is_never_loaded(calls: Callable[[], int]) -> None:
    foreign = build.build(OTHER, "p").read_bytes()
    library = build.build(SOURCE, "p")
    library.write_bytes(foreign)
    assert load(SOURCE, "p").answer() == 42
    assert calls() == 3


def test_a_library_that_was_evicted_is_built_again(
    calls: Callable[[], int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(SOURCE, "p")
    cache.evict(max_entries=0)
    assert load(SOURCE, "p") is first
    assert calls() == 1
    forget(monkeypatch)
    assert load(SOURCE, "p").answer() == 42
    assert calls() == 2


def test_some_compilations_make_room(real: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.evict, "__defaults__", (cache.MAX_BYTES, 1))
    sources = (f"int answer(void) {{ return {n}; }}" for n in range(1000))
    keys = ((build._key(source, compiler.need_compiler()), source) for source in sources)
    chosen = next(source for key, source in keys if key.startswith("0"))
    old = build.build(SOURCE, "p")
    for file in folder.glob(f"{old.stem}.*"):
        os.utime(file, (1, 1))
    latest = build.build(chosen, "p")
    assert list(folder.glob("*.so")) == [latest]


# Several at once ------------------------------------------------------------------------------------------------------


def test_threads_compile_once(calls: Callable[[], int]) -> None:
    with ThreadPoolExecutor(4) as pool:
        libraries = list(pool.map(lambda n: load(SOURCE, f"p{n}"), range(4)))
    assert len(set(map(id, libraries))) == 1
    assert calls() == 1


def test_processes_compile_once_and_without_locks_do_no_harm(script: Script, real: str, tmp_path: Path) -> None:
    log = tmp_path / "calls"
    script(f'echo "$@" >> "{log}"; sleep 0.2; exec {real} "$@"')
    program = f"""if True:
        import contextlib
        from graphc.backends.c import build, cache
        input()
        assert build.load({SOURCE!r}, "p").answer() == 42
        cache.locked = lambda key: contextlib.nullcontext()
        assert build.load({OTHER!r}, "p").answer() == 43
    """
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, complaint = process.communicate()
        assert process.returncode == 0, complaint
    key = build.build(SOURCE, "p").stem
    commands = log.read_text().splitlines()
    assert len([command for command in commands if key in command]) == 1
    assert len(commands) in (2, 3)


def test_an_interrupt_ends_the_compiler_and_leaves_nothing(script: Script, folder: Path, tmp_path: Path) -> None:
    started = tmp_path / "started"
    script(
        f'sleep 60 & echo half > "$TMPDIR/half.o"; echo "$! $$" > "{started}.tmp"; mv "{started}.tmp" "{started}"; wait'
    )
    program = f"from graphc.backends.c import build; build.load({SOURCE!r}, 'p')"
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    while not started.exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate()
    assert complaint.rstrip().endswith("KeyboardInterrupt")
    for child in map(int, started.read_text().split()):
        with pytest.raises(ProcessLookupError, match="No such process"):
            _wait_for(child)
    assert sorted(path.suffix for path in folder.iterdir()) == [".c", ".note"]


def _wait_for(process: int) -> None:
    """Until it is gone, which is an error; or five seconds, since nobody may be there to collect an orphan's status."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat")
        if state.exists() and state.read_text().rpartition(") ")[2].startswith("Z"):
            raise ProcessLookupError("No such process: a zombie")
        time.sleep(0.01)


# Failures -------------------------------------------------------------------------------------------------------------


def test_a_failing_compiler_is_quoted(script: Script, folder: Path) -> None:
    path = script("for i in $(seq 30); do echo p.c:$i: error: nonsense >&2; done; exit 1")
    with pytest.raises(CompileError, match=r"^p: the C compiler ended with 1: ") as raised:
        load(SOURCE, "p")
    message = str(raised.value)
    assert f"'{path}' -std=c11 -O2" in message
    assert "\np.c:20: error: nonsense\n… and 10 more lines\nThe source is kept in " in message
    kept = Path(message.rpartition(" ")[2])
    assert kept.read_text() == SOURCE
    assert kept.parent == folder
    assert sorted(file.suffix for file in folder.iterdir()) == [".c", ".note"]


def test_a_source_that_is_no_c(real: str) -> None:
    with pytest.raises(CompileError, match="error: "):
        load("int f(", "p")


def test_a_compiler_that_makes_nothing(script: Script) -> None:
    script("exit 0")
    with pytest.raises(CompileError, match=r"p: the C compiler made no library: .*\nThe source is kept in .*\.c$"):
        load(SOURCE, "p")


def test_a_compiler_that_dies(script: Script) -> None:
    script("kill -9 $$")
    with pytest.raises(CompileError, match="p: the C compiler ended with -9"):
        load(SOURCE, "p")


def test_a_compiler_that_has_gone(script: Script) -> None:
    path = script("exit 1")
    compiler.need_compiler()
    path.unlink()
    with pytest.raises(CompileError, match=r"p: .*fake cc cannot be run: No such file"):
        load(SOURCE, "p")


def test_a_library_that_cannot_be_loaded_is_not_kept(calls: Callable[[], int]) -> None:
    for attempt in (1, 2):
        with pytest.raises(CompileError, match=r"p: the compiled program cannot be loaded: .*missing"):
            load("int missing(void); int answer(void) { return missing(); }", "p")
        assert calls() == attempt


def test_a_cache_that_is_full(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x.c")

    monkeypatch.setattr(cache, "write", full)
    with pytest.raises(CompileError, match=r"p: the compile cache cannot be written: x\.c: No space left on device"):
        load(SOURCE, "p")


def test_no_compiler(no_compiler: None) -> None:
    with pytest.raises(CompileError, match="there is none on this machine"):
        load(SOURCE, "p")


def test_paths_may_have_any_name(real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "my töols; rm $x"
    tools.mkdir()
    (tools / "c c").write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    (tools / "c c").chmod(0o755)
    monkeypatch.setenv("CC", str(tools / "c c"))
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tools / "@cache 'é'"))
    assert load(SOURCE, "p").answer() == 42


def test_trial(real: str) -> None:
    build.trial(compiler.need_compiler())
    assert cache.entries() == []


def test_a_trial_that_goes_wrong(real: str, script: Script) -> None:
    wrong = "float twice(float x) { return x; }"
    script(f'while [ "$1" != -o ]; do shift; done; echo "{wrong}" > "$2.c"; {real} -shared -fPIC -o "$2" "$2.c"')
    with pytest.raises(CompileError, match=r"trial: 1\.5 \+ 1\.5 gave 1\.5"):
        build.trial(compiler.need_compiler())


def test_the_compiler_knows_the_flags(real: str) -> None:
    command = [real, *compiler.flags(), "-x", "c", "-c", os.devnull, "-o", os.devnull]
    done = subprocess.run([word for word in command if word != "-shared"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
