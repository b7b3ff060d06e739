"""Text files that arrive whole: read with one error for whatever is wrong, and written by renaming."""

from __future__ import annotations

import os
from typing import NoReturn

from graphc.errors import GraphFileError, brief, one_line
from graphc.files import check_plain_file, path_name, reason, replace_file

__all__ = ["LARGEST_FILE", "read_text_file", "write_text_file"]

LARGEST_FILE = 512 << 20
"""Bytes. What is parsed takes several times as much memory."""


def read_text_file(path: str | os.PathLike[str]) -> str:
    """The text of a file. Raises GraphFileError, which names it."""
    name = _name(path)
    try:
        if problem := check_plain_file(name):
            _fail(name, f"{problem}, and a graph is a plain file")
        with open(name, "rb") as file:
            if os.fstat(file.fileno()).st_size > LARGEST_FILE:
                _fail(name, f"has more than {LARGEST_FILE >> 20} MiB")
            data = file.read()
    except GraphFileError:
        raise
    except (OSError, ValueError) as error:
        _fail(name, f"cannot be read: {reason(error)}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text: byte {error.start} is {data[error.start]:#04x}"
        _fail(name, f"{problem}. Graphs are written by graph.save(path); values are for net.load_state_dict")


def write_text_file(path: str | os.PathLike[str], text: str) -> None:
    """Write a file, which is there as a whole or as it was before. Raises GraphFileError, which names it."""
    name = _name(path)
    data = text.encode("utf-8")
    if len(data) > LARGEST_FILE:
        _fail(name, f"would have {len(data) >> 20} MiB, and files have at most {LARGEST_FILE >> 20}")
    try:
        replace_file(name, data)
    except (OSError, ValueError) as error:
        _fail(name, f"cannot be written: {reason(error)}")


def _name(path: object) -> str:
    name = path_name(path)
    if name is None:
        raise GraphFileError(f"a path is a string or a pathlib.Path, not {brief(path)}")
    return name


def _fail(name: str, problem: str) -> NoReturn:
    raise GraphFileError(f"{one_line(name)}: {problem}") from None
