"""Text files that arrive whole: read with one error for whatever is wrong, and written by renaming."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import NoReturn

from graphc.errors import GraphFileError, brief, one_line

__all__ = ["LARGEST_FILE", "read_text_file", "write_text_file"]

LARGEST_FILE = 512 << 20
"""Bytes. What is parsed takes several times as much memory."""


def read_text_file(path: str | os.PathLike[str]) -> str:
    """The text of a file. Raises GraphFileError, which names it."""
    name = _name(path)
    try:
        # Only a plain file has an end: opening a pipe would wait for somebody to write.
        if not stat.S_ISREG(os.stat(name).st_mode):
            _fail(name, "is a folder" if os.path.isdir(name) else "is not a plain file")
        with open(name, "rb") as file:
            if os.fstat(file.fileno()).st_size > LARGEST_FILE:
                _fail(name, f"has more than {LARGEST_FILE >> 20} MiB")
            data = file.read()
    except GraphFileError:
        raise
    except (OSError, ValueError) as error:
        _fail(name, f"cannot be read: {_reason(error)}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        _fail(name, f"is not UTF-8 text: byte {error.start} is {data[error.start]:#04x}")


def write_text_file(path: str | os.PathLike[str], text: str) -> None:
    """Write a file, which is there as a whole or as it was before. Raises GraphFileError, which names it."""
    name = _name(path)
    data = text.encode("utf-8")
    if len(data) > LARGEST_FILE:
        _fail(name, f"would have {len(data) >> 20} MiB, and files have at most {LARGEST_FILE >> 20}")
    try:
        target = os.path.realpath(name)  # a link stays one
        if os.path.exists(target) and not os.path.isfile(target):
            _fail(name, "is a folder" if os.path.isdir(target) else "is not a plain file")
        draft = f"{target}.{secrets.token_hex(8)}.tmp"
        try:
            with open(draft, "xb") as file:
                file.write(data)
            os.replace(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
    except GraphFileError:
        raise
    except (OSError, ValueError) as error:
        _fail(name, f"cannot be written: {_reason(error)}")


def _name(path: object) -> str:
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        raise GraphFileError(f"a path is a string or a pathlib.Path, not {brief(path)}")
    return name


def _fail(name: str, problem: str) -> NoReturn:
    raise GraphFileError(f"{one_line(name)}: {problem}") from None


def _reason(error: OSError | ValueError) -> str:
    return (getattr(error, "strerror", None) or one_line(str(error))).lower()
