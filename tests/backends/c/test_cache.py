"""The compile cache: who may write there, what it hands out, and what it removes."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from graphc.backends.c import cache, privacy
from graphc.errors import CompileError

A, B, C = "a" * 64, "b" * 64, "c" * 64

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


def put(key: str, content: bytes = b"library", age: float = 0.0) -> Path:
    """Store an entry that was last of use `age` seconds ago."""
    shelf = cache.folder()
    with cache.workspace(shelf) as room:
        cache.write(shelf / f"{key}.c", "source", room)
        cache.store(shelf, key, content, room)
    for file in shelf.glob(f"{key}.*"):
        os.utime(file, (time.time() - age,) * 2)
    return shelf / f"{key}.so"


def fetched(key: str) -> bytes | None:
    found = cache.fetch(key)
    return None if found is None else found[1]


# The folder -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_a_new_folder_is_private(mask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "home" / ".cache" / "graphc"
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(folder))
    before = os.umask(mask)
    try:
        assert cache.folder() == folder
        library = put(A)
    finally:
        os.umask(before)
    for path in (folder, folder.parent, folder.parent.parent):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(library.stat().st_mode) == 0o700
    assert stat.S_IMODE(library.with_suffix(".sha256").stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_folder_that_others_can_write_is_refused(folder: Path, mode: int) -> None:
    put(A)
    folder.chmod(mode)
    for use in (cache.folder, lambda: cache.fetch(A), cache.entries):
        with pytest.raises(CompileError, match=rf"can be written by other users \(mode {mode:o}\)\. Run `chmod go-w"):
            use()


def test_a_folder_of_somebody_else_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    monkeypatch.setattr(privacy, "_trusted", lambda: {0, owner})
    with pytest.raises(CompileError, match=f"belongs to user {owner}, and this is user {owner + 1}"):
        cache.folder()


@as_root
def test_a_folder_that_was_given_away_is_refused(folder: Path) -> None:
    put(A)
    os.chown(folder, 4242, 4242)
    for use in (cache.folder, lambda: cache.fetch(A)):
        with pytest.raises(CompileError, match="belongs to user 4242, and this is user 0"):
            use()


def test_a_new_folder_is_ours_whatever_the_umask_says(folder: Path) -> None:
    before = os.umask(0o777)
    try:
        cache.folder()
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("mask", [0o277, 0o777])
def test_folders_in_the_making_are_ours_whatever_the_umask_says(mask: int, folder: Path) -> None:
    before = os.umask(mask)
    try:
        with cache.workspace(cache.folder()) as room:
            assert stat.S_IMODE(room.stat().st_mode) == 0o700
        with pytest.warns(RuntimeWarning, match="for this process only"):
            path = cache.temporary(f"the umask is {mask:o}")
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_folder_that_is_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o700)
    folder.symlink_to(target)
    for use in (cache.folder, lambda: cache.fetch(A)):
        with pytest.raises(CompileError, match=f"is a symbolic link, which is not followed. Use {target} itself, or"):
            use()


@pytest.mark.parametrize("absolute", [True, False])
def test_a_link_on_the_way_is_followed(absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch" / "mine").mkdir(parents=True)
    (tmp_path / ".cache").symlink_to(tmp_path / "scratch" / "mine" if absolute else "scratch/../scratch/mine")
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / ".cache" / "graphc"))
    put(A, b"code")
    assert (tmp_path / "scratch" / "mine" / "graphc" / f"{A}.so").is_file()
    assert fetched(A) == b"code"


@pytest.mark.parametrize("linked", [True, False])
def test_what_others_can_replace_is_not_used(linked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can write to a folder above it can put another in its place."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (tmp_path / "link").symlink_to(shared)
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str((tmp_path / "link" if linked else shared) / "mine"))
    put(A, b"code")
    assert fetched(A) == b"code"
    shared.chmod(0o777)
    assert fetched(A) is None
    with pytest.warns(RuntimeWarning, match=f"is not safe: {shared} can be written by other users .mode 777.; what is"):
        assert cache.folder() not in shared.iterdir()
    shared.chmod(0o1777)
    assert cache.folder() == cache.chosen()
    assert fetched(A) == b"code"


@as_root
@pytest.mark.parametrize("what", ["shared", "link"])
def test_what_is_above_it_belongs_to_us_or_the_system(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "link").symlink_to("shared")
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "link" / "mine"))
    put(A)
    os.chown(tmp_path / what, 4242, 4242, follow_symlinks=False)
    assert fetched(A) is None
    with pytest.warns(RuntimeWarning, match=f"is not safe: .*{what} belongs to user 4242"):
        cache.folder()


def test_links_that_go_in_circles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "a" / "cache"))
    with pytest.warns(RuntimeWarning, match="goes through too many links"):
        cache.folder()


@pytest.mark.parametrize(("name", "members", "own"), [("me", ["me"], True), ("me", ["you"], False), ("lab", [], False)])
def test_the_group_of_a_user_is_the_user(
    name: str, members: list[str], own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each user has a group of the same name, folders on the way may be open to it, and often are."""
    monkeypatch.setattr("grp.getgrgid", lambda gid: SimpleNamespace(gr_name=name, gr_mem=members))
    monkeypatch.setattr("pwd.getpwuid", lambda uid: SimpleNamespace(pw_name="me"))
    privacy._is_own_group.cache_clear()
    try:
        assert privacy._is_own_group(1000) is own
    finally:
        privacy._is_own_group.cache_clear()


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
    put(A, b"code")
    assert cache.folder() == path  # and no second warning, which would be an error here
    assert fetched(A) == b"code"
    shutil.rmtree(path)
    put(B, b"other")  # a service that cleans up /tmp may have come
    assert (fetched(A), fetched(B)) == (None, b"other")


def test_a_read_only_folder_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(A, b"code")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert fetched(A) == b"code"
    cache.note(B, "not kept, and nobody is told")
    with pytest.warns(RuntimeWarning, match="cannot be written"):
        assert cache.folder() != folder


def test_a_folder_that_cannot_be_listed_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is stored there, where nothing would ever be evicted."""
    put(A, b"code")

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.R_OK)
    monkeypatch.setattr(os, "scandir", refuse)
    assert fetched(A) == b"code"
    message = f"{folder} cannot be listed: Permission denied. Run `chmod u.rwx {folder}`"
    for use in (cache.entries, cache.clear):
        with pytest.raises(CompileError, match=message):
            use()
    with pytest.warns(RuntimeWarning, match="cannot be listed; what is compiled is kept for this process only"):
        assert cache.folder() != folder


def test_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    with (
        pytest.warns(RuntimeWarning, match="for this process only"),
        pytest.raises(
            CompileError, match=r"no temporary folder can be made: No such file or directory\. Set GRAPHC_CAC"
        ),
    ):
        cache.folder()


def test_a_temporary_folder_that_others_can_replace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "shared"))
    with (
        pytest.warns(RuntimeWarning, match="for this process only"),
        pytest.raises(CompileError, match=r"is not safe: .*shared can be written by other users"),
    ):
        cache.folder()


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/var/x"}, "/var/x/graphc"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/graphc"),
        ("linux", {}, "/home/me/.cache/graphc"),
        ("darwin", {}, "/home/me/Library/Caches/graphc"),
        ("linux", {"GRAPHC_CACHE_DIR": "~/here"}, "/home/me/here"),
        ("linux", {"GRAPHC_CACHE_DIR": "/a/../-b %s"}, "/-b %s"),
        ("linux", {"HOME": ""}, None),
        ("linux", {"HOME": "relative"}, None),
        ("linux", {"GRAPHC_CACHE_DIR": "~nobody-has-this-name/here"}, None),
    ],
)
def test_where_it_is(
    platform: str, variables: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_CACHE_HOME", "GRAPHC_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    assert cache.chosen() == (None if expected is None else Path(expected))


def test_a_relative_folder_is_in_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", "-rf")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    put(A)
    assert (tmp_path / "here" / "-rf" / f"{A}.so").is_file()
    shutil.rmtree(tmp_path / "here")
    with pytest.warns(RuntimeWarning, match="there is no home folder"):
        cache.folder()


# Entries --------------------------------------------------------------------------------------------------------------


def test_what_was_stored_is_handed_out() -> None:
    assert cache.fetch(A) is None
    library = put(A, b"code")
    assert cache.fetch(A) == (library, b"code")


@pytest.mark.parametrize("content", [b"", b"cod", b"coda", b"code "])
def test_a_damaged_library_is_not(content: bytes) -> None:
    put(A, b"code").write_bytes(content)
    assert cache.fetch(A) is None


@pytest.mark.parametrize("content", [b"", b" ", b"x 4", b"0 4", b"4", b"\xff 4", b"0 -4", b"0 99999999999999999999"])
def test_a_damaged_hash_is_not_believed(content: bytes) -> None:
    put(A, b"code").with_suffix(".sha256").write_bytes(content)
    assert cache.fetch(A) is None


@pytest.mark.parametrize("digits", [b"0", b"0000000", b"99999999999"])
def test_a_size_that_is_not_the_librarys_is_not_believed(digits: bytes) -> None:
    """Nor is there memory for as much as it says."""
    with open(put(A, b"code").with_suffix(".sha256"), "ab") as file:
        file.write(digits)
    assert cache.fetch(A) is None


@pytest.mark.parametrize("suffix", [".so", ".sha256"])
def test_half_an_entry_is_not(suffix: str) -> None:
    put(A).with_suffix(suffix).unlink()
    assert cache.fetch(A) is None


def test_an_entry_of_another_key_is_not() -> None:
    """With its hash, which is right about the bytes."""
    first, second = put(A, b"code"), put(B, b"other")
    for suffix in (".so", ".sha256"):
        second.with_suffix(suffix).rename(first.with_suffix(suffix))
    assert cache.fetch(A) is None


def beside(path: Path) -> Path:
    """Move a file away, and say where it is."""
    return path.rename(path.with_name("elsewhere"))


STRANGE = {
    "a link": lambda path: path.symlink_to(beside(path)),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a full folder": lambda path: (path.unlink(), (path / "x").mkdir(parents=True)),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "of a group": lambda path: path.chmod(0o720),
    "of everyone": lambda path: path.chmod(0o702),
    "a large file": lambda path: os.truncate(path, 1 << 40),
}
if os.geteuid() == 0:
    STRANGE["of somebody else"] = lambda path: os.chown(path, 4242, 4242)


@pytest.mark.parametrize("suffix", [".so", ".sha256", ".c"])
@pytest.mark.parametrize("what", STRANGE)
def test_what_is_strange_is_not_read_and_replaced(what: str, suffix: str) -> None:
    library = put(A, b"code")
    STRANGE[what](library.with_suffix(suffix))
    assert suffix == ".c" or cache.fetch(A) is None
    put(A, b"code")
    assert cache.fetch(A) == (library, b"code")
    assert all(library.with_suffix(each).is_file() and not library.with_suffix(each).is_symlink() for each in SUFFIXES)


SUFFIXES = (".c", ".so", ".sha256")


@pytest.mark.parametrize("what", ["a link to nothing", "a full folder", "a pipe", "of everyone"])
def test_a_strange_lock_is_no_obstacle(what: str, folder: Path) -> None:
    path = cache.folder() / f"{A}.lock"
    path.touch()
    STRANGE[what](path)
    with cache.locked(folder, A):
        pass
    assert list(folder.iterdir()) == []


def test_use_is_noted() -> None:
    put(A, age=3000)
    put(B, age=1000)
    assert [entry.key for entry in cache.entries()] == [A, B]
    assert cache.fetch(A) is not None
    assert [entry.key for entry in cache.entries()] == [B, A]


def test_the_longest_unused_go_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(A, age=3000)
    put(B, age=1000)
    put(C, age=2000)
    assert cache.evict(folder, max_entries=3) == 0
    assert cache.evict(folder, max_entries=2) == 1
    assert {path.name[0] for path in folder.iterdir()} == {"b", "c"}
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", "100")
    assert cache.evict(folder) == 1
    assert {path.name[0] for path in folder.iterdir()} == {"b"}
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", "0")
    assert cache.evict(folder) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "size"),
    [("", 512_000_000), ("7", 7), (" 20 MB ", 20_000_000), ("1.5k", 1500), ("2gb", 2 * 10**9), ("1TB", 10**12)],
)
def test_the_limit_can_be_set(setting: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", setting)
    assert cache.limit() == size


@pytest.mark.parametrize("setting", ["much", "-1", "1 PB", "MB", "nan", "1e9", "0x10", "9" * 400, "1\u212ab", "٣"])
def test_a_limit_that_is_no_size(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_SIZE", setting)
    message = re.escape(f"GRAPHC_CACHE_SIZE is {setting!a}, which is no number of bytes. Set it to")
    with pytest.raises(CompileError, match=message):
        cache.limit()


def test_eviction_leaves_what_is_not_the_caches(folder: Path) -> None:
    put(A)
    for name in ("letter.txt", "library.so", A):
        (folder / name).write_text("mine")
    assert cache.evict(folder, max_entries=0) == 1
    assert cache.clear() == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(["letter.txt", "library.so", A])


def test_what_killed_processes_left_is_removed(folder: Path) -> None:
    """Workspaces and locks that nobody holds, a minute later; those that somebody holds are left alone."""
    left, new = (cache.folder() / f"compiling-{name}" for name in ("left", "new"))
    for path in (left, new, folder / "mine"):
        path.mkdir()
    lock, other = folder / f"{A}.lock", folder / "my.lock"
    lock.touch()
    other.touch()
    with cache.workspace(folder) as room, cache.locked(folder, B):
        for path in (left, room, lock, other, folder / f"{B}.lock"):
            os.utime(path, (time.time() - 100,) * 2)
        cache.evict(folder)
        assert sorted(folder.iterdir()) == sorted([new, room, other, folder / f"{B}.lock", folder / "mine"])
    assert sorted(folder.iterdir()) == sorted([new, other, folder / "mine"])


def test_without_locks_a_day_has_to_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with cache.workspace(cache.folder()) as room, cache.locked(folder, A):
        os.utime(room, (time.time() - cache.DAY / 2,) * 2)
        cache.evict(folder)
        assert room.is_dir()
        os.utime(room, (time.time() - cache.DAY * 2,) * 2)
        cache.evict(folder)
        assert not room.exists()


def test_clear_removes_everything(folder: Path) -> None:
    put(A)
    put(B)
    cache.note(C, "hello")
    assert cache.recall(C) == "hello"
    assert [len(entry.files) for entry in cache.entries()] == [3, 3]
    assert cache.clear() == 2
    assert list(folder.iterdir()) == []
    assert cache.recall(C) is None


@pytest.mark.parametrize(("suffix", "gone"), [(".so", 1), (".note", 2)])
def test_what_cannot_be_removed_is_not_counted(
    suffix: str, gone: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(A)
    put(B)
    cache.note(A, "hello")
    unlink = Path.unlink

    def refuse(path: Path) -> None:
        if path.name == f"{A}{suffix}":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        unlink(path)

    monkeypatch.setattr(Path, "unlink", refuse)
    message = (
        f"{A}{suffix} cannot be removed: Permission denied; {gone} of 2 programs are gone. Make the folder one that"
    )
    with pytest.raises(CompileError, match=message):
        cache.clear()
    assert [path.name for path in folder.iterdir()] == [f"{A}{suffix}"]


@pytest.mark.parametrize("damage", ["a folder", "a pipe", "of everyone"])
def test_a_strange_note_is_not_read_and_replaced(damage: str, folder: Path) -> None:
    cache.note(A, "hello")
    STRANGE[damage](folder / f"{A}.note")
    assert cache.recall(A) is None
    cache.note(A, "hello")
    assert cache.recall(A) == "hello"


def test_looking_makes_nothing(folder: Path) -> None:
    assert (cache.fetch(A), cache.recall(A), cache.entries(), cache.clear()) == (None, None, [], 0)
    assert not folder.exists()
