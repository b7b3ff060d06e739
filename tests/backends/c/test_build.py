"""Compiling: what is built once, what is built again, and what is said when it fails."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import graphc
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


def forget(monkeypatch: pytest.MonkeyPatch, *, compilers: bool = True) -> None:
    """As in the next process."""
    monkeypatch.setattr(build, "_loaded", {})
    if compilers:
        monkeypatch.setattr(compiler, "_found", {})


def at(library: ctypes.CDLL) -> Path:
    """Where the cache has it."""
    return Path(library._name)


# What is kept ---------------------------------------------------------------------------------------------------------


def test_a_source_is_compiled_once(calls: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    library = load(SOURCE, "p")
    assert library.answer() == 42
    assert load(SOURCE, "p") is library
    assert calls() == 1
    forget(monkeypatch, compilers=False)
    monkeypatch.setattr(subprocess, "Popen", None)  # a hit starts no process at all
    assert load(SOURCE, "q").answer() == 42


def test_what_is_left_in_the_folder(real: str, folder: Path) -> None:
    library = at(load(SOURCE, "p"))
    assert library.parent == folder
    assert library.with_suffix(".c").read_text() == SOURCE
    kinds = sorted(path.suffix for path in folder.iterdir())
    assert kinds == [".c", ".note", ".sha256", ".so"]


def test_each_part_of_the_key_counts(
    calls: Callable[[], int], script: Script, real: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = [at(load(SOURCE, "p")), at(load(OTHER, "p"))]
    for name, value in (("GRAPHC_CFLAGS", "-DNOTHING"), ("CPATH", "/nowhere")):
        monkeypatch.setenv(name, value)
        built.append(at(load(SOURCE, "p")))
    for place, name, value in (
        (build, "cpu_identity", lambda: "another processor"),
        (build, "ABI", build.ABI + 1),
        (graphc, "__version__", "99"),
    ):
        monkeypatch.setattr(place, name, value)
        built.append(at(load(SOURCE, "p")))
    assert calls() == 7
    script(f'exec {real} "$@"', "another compiler")
    built.append(at(load(SOURCE, "p")))
    assert len(set(built)) == 8


def test_parts_of_the_key_do_not_run_together(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    for words in ("-DA -DB", "-DA-DB", "-DA-D B"):
        monkeypatch.setenv("GRAPHC_CFLAGS", words)
        built.append(build._key(SOURCE, compiler.need_compiler()))
    assert len(set(built)) == 3


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("int answer(void) { /* here */ return 42; }\n", True),
        ("int answer(void) { /* there\n // */ return 42; }\n", True),
        ("int answer(void) { return 4/**/2; }\n", False),
        ("int answer(void) { return 42; } // /* \nint x; /* */\n", False),
        ('const char *x = "/*"; int answer(void) { return 42; } const char *y = "*/";\n', False),
    ],
)
def test_only_comments_are_no_part_of_the_key(text: str, same: bool, real: str) -> None:
    plain = "int answer(void) {   return 42; }\n"
    tool = compiler.need_compiler()
    assert (build._key(text, tool) == build._key(plain, tool)) is same
    other = text.replace("42", "43").replace("4/**/2", "42").replace("int x", "int z").replace("return", "return 1 +")
    assert build._key(other, tool) != build._key(text, tool)


@pytest.mark.parametrize("keep", [0, 1000, -1])
def test_a_damaged_library_is_built_again(keep: int, calls: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    library = at(load(SOURCE, "p"))
    good = library.read_bytes()
    library.write_bytes(good[:keep])
    forget(monkeypatch)
    assert load(SOURCE, "p").answer() == 42
    assert calls() == 2
    assert library.read_bytes() == good


def test_a_foreign_library_is_never_loaded(calls: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = at(load(OTHER, "p")).read_bytes()
    library = at(load(SOURCE, "p"))
    library.write_bytes(foreign)
    forget(monkeypatch)
    assert load(SOURCE, "p").answer() == 42
    assert calls() == 3


def test_what_is_loaded_is_not_the_file_of_the_cache(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has mapped a file is killed when the file is cut short, and runs what is written over it."""
    built = load(SOURCE, "p")
    forget(monkeypatch)
    found = load(SOURCE, "p")
    library, foreign = at(built), at(load(OTHER, "p")).read_bytes()
    library.write_bytes(foreign)
    assert (built.answer(), found.answer()) == (42, 42)
    os.truncate(library, 0)
    assert (built.answer(), found.answer()) == (42, 42)
    forget(monkeypatch)
    assert load(SOURCE, "p").answer() == 42


def test_a_library_that_does_not_load_here_is_built_again(
    calls: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that was linked on a machine with a newer C library."""
    library = at(load(SOURCE, "p"))
    with cache.workspace(library.parent) as room:
        cache.store(library.parent, library.stem, b"no library at all", room)
    forget(monkeypatch)
    assert load(SOURCE, "p").answer() == 42
    assert calls() == 2


def test_a_library_that_was_evicted_is_built_again(
    calls: Callable[[], int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(SOURCE, "p")
    cache.evict(folder, max_entries=0)
    assert load(SOURCE, "p") is first
    assert calls() == 1
    forget(monkeypatch)
    assert load(SOURCE, "p").answer() == 42
    assert calls() == 2


def test_compilations_make_room(real: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = at(load(SOURCE, "p")), at(load(OTHER, "p"))
    forget(monkeypatch)
    load(SOURCE, "p")  # used last
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", str(int(2.5 * first.stat().st_size)))
    third = at(load("int answer(void) { return 44; }", "p"))
    assert set(folder.glob("*.so")) == {first, third}
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", "1")
    assert load("int answer(void) { return 45; }", "p").answer() == 45
    assert list(folder.glob("*.so")) == []
    assert second not in folder.iterdir()


@pytest.mark.parametrize("first", [True, False])
def test_of_many_files_some_compilations_make_room(
    first: bool, real: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MANY", 0)
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", "1")
    sources = (f"int answer(void) {{ return {n}; }}" for n in range(1000))
    chosen = next(each for each in sources if build._key(each, compiler.need_compiler()).startswith("0") is first)
    load(chosen, "p")
    assert len(list(folder.glob("*.so"))) == (not first)


def test_a_limit_that_is_no_size_is_an_error_before_compiling(
    calls: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", "much")
    with pytest.raises(CompileError, match="GRAPHC_CACHE_SIZE is 'much'"):
        load(SOURCE, "p")
    assert calls() == 0


def test_a_cache_that_is_cleared_during_a_compilation(script: Script, real: str, folder: Path) -> None:
    """Nothing that the compiler needs is among what is cleared."""
    script(f'rm -f "{folder}"/*.*; exec {real} "$@"')
    assert load(SOURCE, "p").answer() == 42
    assert at(load(SOURCE, "p")).with_suffix(".c").read_text() == SOURCE


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
        cache.locked = lambda shelf, key: contextlib.nullcontext()
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
    key = at(load(SOURCE, "p")).stem
    commands = log.read_text().splitlines()
    assert len([command for command in commands if key in command]) == 1
    assert len(commands) in (2, 3)


def test_a_thread_compiles_after_the_main_one_has_ended(real: str, folder: Path) -> None:
    code = f"""
import threading, time
from graphc.backends.c.build import load
def work():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    print(load({SOURCE!r}, "p")["answer"]())
threading.Thread(target=work).start()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("42\n", "")


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
    assert list(folder.iterdir()) == []


def test_an_interrupt_at_the_start_of_the_compiler_leaves_nothing(
    script: Script, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, begin = tmp_path / "started", threading.Thread.start
    script(f'echo "$$" > "{started}"; sleep 60')

    def start(thread: threading.Thread) -> None:
        begin(thread)
        raise KeyboardInterrupt("while the thread starts")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt, match="while the thread starts"):
        load(SOURCE, "p")
    time.sleep(0.3)  # in which a compiler that was left running would begin
    assert not started.exists() or not Path(f"/proc/{started.read_text().strip()}").exists()
    assert list(folder.iterdir()) == []


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
    assert [file.suffix for file in folder.iterdir()] == [".c"]


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


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "x.c")


def test_where_nothing_can_be_written(real: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "write", full)
    with (
        pytest.warns(RuntimeWarning, match=r"cache: No space left on device; what is compiled is kept"),
        pytest.raises(CompileError, match=r"^p: nothing can be written, neither in .*cache: No space left on de"),
    ):
        load(SOURCE, "p")


@pytest.mark.parametrize("place", ["store", "_probe"])
def test_a_full_disk_is_gone_around(
    place: str, calls: Callable[[], int], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the library is stored, and while the compiler runs, which then only says so in words."""
    module = {"store": cache, "_probe": build}[place]
    original, compiled = getattr(module, place), build._run

    def until_elsewhere(*arguments: Any) -> Any:
        return full() if folder in (arguments[0], arguments[0].parent) else original(*arguments)

    monkeypatch.setattr(module, place, until_elsewhere)
    if place == "_probe":
        monkeypatch.setattr(
            build,
            "_run",
            lambda command, room, name: (1, "kein Platz") if room.parent == folder else compiled(command, room, name),
        )
    with pytest.warns(RuntimeWarning, match="No space left on device; what is compiled is kept for this process only"):
        assert load(SOURCE, "p").answer() == 42
    assert not list(folder.glob("*.so"))


def test_hits_need_no_room(real: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load(SOURCE, "p")
    forget(monkeypatch)
    monkeypatch.setattr(cache, "workspace", full)  # as on a full disk, or where nothing can be written
    assert load(SOURCE, "p").answer() == 42


def test_no_compiler(no_compiler: None) -> None:
    with pytest.raises(CompileError, match="there is none on this machine"):
        load(SOURCE, "p")


@pytest.mark.parametrize(
    "name",
    [
        *("my töols; rm $x", "@a 'b' \"c\"", "-rf", "100%s%{o}", "$(id)`id`", "a\nb\\c", "=a,b:c", "\udcff"),
        *("*?[a]#&|", "$ORIGIN", "${PLATFORM}", "a$LIB"),  # loaders expand the last three
    ],
)
def test_paths_may_have_any_name(name: str, real: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / name
    tools.mkdir()
    (tools / name).write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    (tools / name).chmod(0o755)
    monkeypatch.setenv("CC", str(tools / name))
    monkeypatch.setenv("TMPDIR", str(tools))
    monkeypatch.setenv("GRAPHC_CACHE_DIR", "-cache" + name)
    monkeypatch.chdir(tools)
    library = load(SOURCE, f"p {name}")
    assert library.answer() == 42
    assert at(library).parent == tools / f"-cache{name}"
    assert sorted(path.name for path in tools.iterdir()) == sorted([name, f"-cache{name}"])
    other = load(OTHER, f"p {name}")
    forget(monkeypatch)
    assert (load(SOURCE, f"p {name}").answer(), load(OTHER, f"p {name}").answer(), other.answer()) == (42, 43, 43)


def test_whatever_the_umask_says(real: str, script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made can be read, by the compiler while it makes it, and by us."""
    script(f'umask > "{tmp_path}/umask"; exec {real} "$@"')
    modes, opened = [], build._open

    def note(library: Path, home: Path, name: str) -> build.Library:
        modes.append(library.stat().st_mode & 0o700)
        return opened(library, home, name)

    monkeypatch.setattr(build, "_open", note)
    before = os.umask(0o777)
    try:
        load(SOURCE, "p")
        forget(monkeypatch)
        load(SOURCE, "p")
    finally:
        os.umask(before)
    assert (tmp_path / "umask").read_text() == "0077\n"
    assert modes == [0o700, 0o700]


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
