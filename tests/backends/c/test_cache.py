"""The compile cache: who may write there, what it hands out, and what it removes."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from graphc.backends.c import cache
from graphc.errors import CompileError

A, B, C = "a" * 64, "b" * 64, "c" * 64


def put(key: str, content: bytes = b"library", age: float = 0.0) -> Path:
    """Store an entry that was last of use `age` seconds ago."""
    with cache.workspace() as room:
        cache.write(room.parent / f"{key}.c", "source", room)
        (room / "built").write_bytes(content)
        library = cache.store(key, room / "built")
    for file in library.parent.glob(f"{key}.*"):
        os.utime(file, (time.time() - age,) * 2)
    return library


# The folder -----------------------------------------------------------------------------------------------------------


def test_a_new_folder_is_private(folder: Path) -> None:
    before = os.umask(0)
    try:
        assert cache.folder() == folder
        library = put(A)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(library.stat().st_mode) == 0o700
    assert stat.S_IMODE(library.with_suffix(".sha256").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_folder_that_others_can_write_is_refused(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(CompileError, match=rf"can be written by other users \(mode {mode:o}\)\. Run `chmod go-w"):
        cache.folder()


def test_a_folder_of_somebody_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(CompileError, match=f"belongs to user {owner}, and this is user {owner + 1}"):
        cache.folder()


def test_a_link_to_an_own_folder_is_followed(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    folder.symlink_to(target)
    assert put(A).is_file()
    target.chmod(0o777)
    with pytest.raises(CompileError, match="can be written by other users"):
        cache.folder()


def test_a_link_of_somebody_else_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    folder.symlink_to(target)
    made = os.lstat(folder)
    foreign = os.stat_result((*made[:4], made.st_uid + 1, *made[5:]))
    monkeypatch.setattr(os, "lstat", lambda path: foreign)
    with pytest.raises(CompileError, match=f"is a link that belongs to user {made.st_uid + 1}"):
        cache.folder()


def test_a_file_is_no_folder(folder: Path) -> None:
    folder.touch()
    with pytest.raises(CompileError, match="is not a folder"):
        cache.folder()


def test_where_no_folder_can_be_made_a_temporary_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="for this process only. Set GRAPHC_CACHE_DIR to a folder that can be"):
        path = cache.folder()
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert cache.folder() == path  # and no second warning, which would be an error here


def test_a_read_only_folder_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        assert cache.folder() != folder


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/var/x"}, "/var/x/graphc"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/graphc"),
        ("linux", {}, "/home/me/.cache/graphc"),
        ("darwin", {}, "/home/me/Library/Caches/graphc"),
        ("linux", {"GRAPHC_CACHE_DIR": "~/here"}, "/home/me/here"),
    ],
)
def test_where_it_is(platform: str, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "GRAPHC_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert cache._chosen() == Path(expected)


# Entries --------------------------------------------------------------------------------------------------------------


def test_what_was_stored_is_handed_out() -> None:
    assert cache.fetch(A) is None
    library = put(A, b"code")
    assert cache.fetch(A) == library
    assert library.read_bytes() == b"code"


@pytest.mark.parametrize("content", [b"", b"cod", b"coda", b"code "])
def test_a_damaged_library_is_not(content: bytes) -> None:
    put(A, b"code").write_bytes(content)
    assert cache.fetch(A) is None


@pytest.mark.parametrize("suffix", [".so", ".sha256"])
def test_half_an_entry_is_not(suffix: str) -> None:
    put(A).with_suffix(suffix).unlink()
    assert cache.fetch(A) is None


def test_use_is_noted_once_a_day() -> None:
    fresh, old = put(A, age=3600), put(B, age=2 * cache.DAY)
    before = fresh.stat().st_mtime
    assert cache.fetch(A) is not None
    assert cache.fetch(B) is not None
    assert fresh.stat().st_mtime == before
    assert old.stat().st_mtime > time.time() - 60


def test_the_longest_unused_go_first(folder: Path) -> None:
    put(A, age=3000)
    put(B, age=1000)
    put(C, age=2000)
    assert cache.evict(max_entries=3) == 0
    assert cache.evict(max_entries=2) == 1
    assert {path.name[0] for path in folder.iterdir()} == {"b", "c"}
    assert cache.evict(max_bytes=100) == 1
    assert {path.name[0] for path in folder.iterdir()} == {"b"}


def test_eviction_leaves_what_is_not_the_caches(folder: Path) -> None:
    put(A)
    for name in ("letter.txt", "library.so", A):
        (folder / name).write_text("mine")
    assert cache.evict(max_entries=0) == 1
    assert cache.clear() == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(["letter.txt", "library.so", A])


def test_workspaces_of_killed_processes_are_removed(folder: Path) -> None:
    old, new = (cache.folder() / f"compiling-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.mkdir()
    os.utime(old, (1, 1))
    cache.evict()
    assert [path for path in folder.iterdir() if path.is_dir()] == [new]


def test_clear_removes_everything(folder: Path) -> None:
    put(A)
    put(B)
    cache.note(C, "hello")
    assert cache.recall(C) == "hello"
    assert [len(entry.files) for entry in cache.entries()] == [3, 3]
    assert cache.clear() == 2
    assert list(folder.iterdir()) == []
    assert cache.recall(C) is None
