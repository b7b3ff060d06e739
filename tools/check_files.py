"""Check what every file of the project keeps to, whatever its language: ends of lines, end of file, size.

    python tools/check_files.py FILE...

Texts are UTF-8, their lines end in a line feed with no blanks before it, and the last line does, too. No file is large,
no conflict of a merge is left in one. Files that other programs write are left as they are.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["main", "problems"]

LARGEST = 512 << 10
"""Bytes: a repository keeps every version of every file for good."""
LARGE = ("graphc/viz/page/vendor/viz-global.js",)
"""Files that are larger, with a reason: Graphviz for the page, as it is released."""
FOREIGN = re.compile(r"^(graphc/viz/page/vendor/|tests/goldens/|docs/images/)")
"""What tools write: pictures, and what tests compare with."""
CONFLICT = re.compile(rb"^(<{7} |>{7} |={7}$)", re.MULTILINE)


def problems(path: str, data: bytes) -> Iterator[str]:
    """What is wrong with a file of this content, each with its line."""
    if len(data) > LARGEST and path not in LARGE:
        yield f"{path}: {len(data) >> 10} KiB, more than {LARGEST >> 10}"
    if b"\0" in data or FOREIGN.match(path):
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        yield f"{path}: byte {error.start} is not UTF-8"
        return
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.endswith(b"\r"):
            yield f"{path}:{number}: ends in a carriage return"
        elif line.endswith((b" ", b"\t")):
            yield f"{path}:{number}: blanks at the end"
    for found in CONFLICT.finditer(data):
        number = data.count(b"\n", 0, found.start()) + 1
        yield f"{path}:{number}: a conflict of a merge"
    if data and not data.endswith(b"\n"):
        yield f"{path}: the last line does not end"
    if data.endswith(b"\n\n") or data == b"\n":
        yield f"{path}: empty lines at the end"


def main(paths: Sequence[str]) -> int:
    """The command. Returns the exit status."""
    found = [each for path in paths for each in problems(path, Path(path).read_bytes())]
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
