"""What a study leaves in its folder: a line for each run, and all that is needed to do it again."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from graphc.backends.c.compiler import find_compiler, processor, vector_bytes

__all__ = ["write_csv", "write_json"]


def write_csv(path: Path, rows: Sequence[Any]) -> None:
    """Dataclasses of one kind, a line each. Numbers are written so that they read back as they are."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def write_json(path: Path, contents: Mapping[str, Any]) -> None:
    """`contents`, after the command and what it ran on. Not-a-number is null: JSON has no other word for it."""
    everything = {"command": ["graphc-bench", *sys.argv[1:]], "machine": _machine(), **contents}
    path.write_text(json.dumps(_plain(everything), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _machine() -> dict[str, Any]:
    compiler = find_compiler()
    return {
        "graphc": version("graphc"),
        "torch": version("torch"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "vector_bytes": vector_bytes(),
        "compiler": None if compiler is None else compiler.version,
    }
