"""What a study leaves in its folder: a line for each run, and all that is needed to do it again."""

from __future__ import annotations

import csv
import json
import math
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from graphc.backends.c.compiler import find_compiler, processor, vector_bytes
from graphc.errors import InputError

__all__ = ["write_csv", "write_json", "writing"]

RULE = (
    "Points of run r: numpy.random.default_rng([seed of the study, r, part]).random((1000, 2), dtype=float32), where "
    "part is 0 to train on, 1 to test on, 2 to choose on. Label 1 if the distance from (1/2, 1/2), in float64, is less "
    "than 1/sqrt(2 pi). Initial values: torch.manual_seed(seed of the run), then torch.nn.Linear layers from input to "
    "output. Order of epoch e, counted from 0: graphc.runtime.shuffle.permutation(samples, seed of the run, e), where "
    "samples are sorted by random keys of Philox 4x32-10; batches are cut from it in turn. float32 throughout."
)
"""How a run is made, for those who would do it with other tools."""


def write_csv(path: Path, rows: Sequence[Any]) -> None:
    """Dataclasses of one kind, a line each. Numbers are written so that they read back as they are."""
    with writing(path), path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(asdict(rows[0])))
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def write_json(path: Path, contents: Mapping[str, Any]) -> None:
    """`contents`, after the command and what it ran on. Not-a-number is null: JSON has no other word for it."""
    everything = {"command": ["graphc-bench", *sys.argv[1:]], "machine": _machine(), "rule": RULE, **contents}
    with writing(path):
        path.write_text(json.dumps(_plain(everything), indent=1, allow_nan=False) + "\n", encoding="utf-8")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises InputError for what keeps a file from being written inside."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write to {path}: {error.strerror}") from None


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
