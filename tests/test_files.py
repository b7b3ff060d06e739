"""Files are replaced whole."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from graphc import files
from graphc.files import check_writable, replace_file


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run"
    replace_file(str(path), b"one")
    assert path.read_bytes() == b"one"
    path.chmod(0o640)
    replace_file(str(path), b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["run"]


def test_a_new_file_has_the_rights_that_others_have(tmp_path: Path) -> None:
    replace_file(str(tmp_path / "run"), b"one")
    (tmp_path / "other").write_bytes(b"one")
    assert (tmp_path / "run").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"one")
    (tmp_path / "link").symlink_to("real")
    replace_file(str(tmp_path / "link"), b"two")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"two"


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="is a folder"):
        replace_file(str(tmp_path / "folder"), b"one")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is not a plain file"):
        replace_file(str(tmp_path / "pipe"), b"one")


def test_a_name_is_that_of_the_system(tmp_path: Path) -> None:
    """What can be read under the name is what was written, or there is an error."""
    with pytest.raises(OSError, match="is a folder"):
        replace_file(f"{tmp_path}/new/", b"one")
    with pytest.raises(FileNotFoundError, match="No such file"):
        replace_file(f"{tmp_path}/missing/../new", b"one")
    (tmp_path / "folder").mkdir()
    replace_file(f"{tmp_path}/folder/../new", b"one")
    assert (tmp_path / "new").read_bytes() == b"one"
    for name in ("new/", "new/."):
        with pytest.raises(NotADirectoryError, match="Not a directory"):
            replace_file(f"{tmp_path}/{name}", b"two")
    assert (tmp_path / "new").read_bytes() == b"one"


def test_looking_whether_a_file_can_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").write_bytes(b"one")
    check_writable(str(tmp_path / "run"))
    check_writable(str(tmp_path / "new"))
    with pytest.raises(FileNotFoundError, match="No such file"):
        check_writable(str(tmp_path / "missing" / "run"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_long_names(tmp_path: Path) -> None:
    name = "π" * 127  # 254 bytes, and names have at most 255
    replace_file(str(tmp_path / name), b"one")
    assert os.listdir(tmp_path) == [name]


def test_abandoned_drafts_are_removed_and_others_are_not(tmp_path: Path) -> None:
    draft = ".0123456789abcdef.run.partial"
    for name in (draft, ".0123456789abcdef.other.partial", ".x.run.partial", "run.partial"):
        (tmp_path / name).write_bytes(b"cut")
    replace_file(str(tmp_path / "run"), b"one")
    assert sorted(os.listdir(tmp_path)) == [".0123456789abcdef.other.partial", ".x.run.partial", "run", "run.partial"]


def test_drafts_of_writers_that_live_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replaced = os.replace

    def replace_twice(draft: str, target: str) -> None:
        monkeypatch.setattr(files.os, "replace", replaced)
        replace_file(str(tmp_path / "run"), b"by another, in the middle of it")
        replaced(draft, target)

    monkeypatch.setattr(files.os, "replace", replace_twice)
    replace_file(str(tmp_path / "run"), b"one")
    assert (tmp_path / "run").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["run"]


def test_many_writers(tmp_path: Path) -> None:
    path = tmp_path / "run"
    contents = [bytes([i]) * 20_000 for i in range(8)]

    def write(content: bytes) -> None:
        for _ in range(10):
            replace_file(str(path), content)
            assert path.read_bytes() in contents

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_a_failure_leaves_the_old_file(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"
    path.write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(OSError, match="No space left on device"):
        replace_file(str(path), b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run"]


def refusing(folder: Path, error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `folder` be one that cannot be opened."""
    opened = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if Path(path) == folder:
            raise OSError(error, os.strerror(error), str(path))
        return opened(path, flags, mode)

    monkeypatch.setattr(files.os, "open", refuse)


def test_a_folder_that_cannot_be_opened_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run"
    path.write_bytes(b"old")
    refusing(tmp_path, errno.EMFILE, monkeypatch)
    with pytest.raises(OSError, match="Too many open files"):
        replace_file(str(path), b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["run"]


def test_a_folder_that_can_be_written_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(tmp_path, errno.EACCES, monkeypatch)
    check_writable(str(tmp_path / "run"))
    replace_file(str(tmp_path / "run"), b"one")
    assert (tmp_path / "run").read_bytes() == b"one"


def test_in_a_sticky_folder_owners_replace_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").write_bytes(b"one")
    owner = os.geteuid()
    monkeypatch.setattr(files.os, "geteuid", lambda: owner + 1)
    check_writable(str(tmp_path / "run"))
    tmp_path.chmod(0o1777)
    with pytest.raises(PermissionError, match=f"belongs to user {owner}, and in a sticky folder only owners replace"):
        check_writable(str(tmp_path / "run"))
    check_writable(str(tmp_path / "new"))
    for allowed in (0, owner):
        monkeypatch.setattr(files.os, "geteuid", lambda user=allowed: user)
        check_writable(str(tmp_path / "run"))
    assert os.listdir(tmp_path) == ["run"]


def test_short_writes_are_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(files.os, "write", lambda descriptor, data: write(descriptor, bytes(data[:3])))
    replace_file(str(tmp_path / "run"), b"0123456789")
    assert (tmp_path / "run").read_bytes() == b"0123456789"


def test_data_and_name_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def note_replace(draft: str, target: str) -> None:
        done.append("name")
        replace(draft, target)

    monkeypatch.setattr(files.os, "fsync", note_fsync)
    monkeypatch.setattr(files.os, "replace", note_replace)
    replace_file(str(tmp_path / "run"), b"one")
    assert done == ["file", "name", "folder"]
