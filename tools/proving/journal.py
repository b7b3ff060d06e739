"""What a run has found so far, in a file: a run that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tools.proving.proof import Proof
from tools.proving.workers import Outcome

__all__ = ["Journal"]

ROOT = Path(__file__).resolve().parents[2]
_SUFFIXES = {".py", ".h", ".c", ".js", ".css", ".html"}


@cache
def _fingerprint() -> str:
    """The hash of graphc's code: what was found for other code says nothing about this one."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "graphc").rglob("*")):
        if path.suffix in _SUFFIXES:
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@dataclass
class Journal:
    """The outcomes of a run of `count` cases from `seed` on, each also a line of the file `path`."""

    path: Path
    head: dict[str, object]
    outcomes: list[Outcome]
    wall: float = 0.0
    """Seconds that the run has taken so far, stops aside."""

    @staticmethod
    def of(proof: Proof, seed: int, count: int, folder: Path) -> Journal:
        """The journal of such a run: that of one that was stopped, or a new one."""
        path = folder / f"{proof.name}-{seed}-{count}.jsonl"
        head: dict[str, object] = {"proof": proof.name, "seed": seed, "count": count, "code": _fingerprint()}
        found = _read(path)
        if not found or found[0] != head:
            found = [head]
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in found), encoding="utf-8")  # whole lines only
        known = {line["seed"]: _outcome(line) for line in found[1:]}  # a case that was tried again counts once
        return Journal(path, head, list(known.values()), found[-1].get("wall", 0.0))

    def add(self, outcome: Outcome, wall: float) -> None:
        """One more, `wall` seconds after the start."""
        self.wall = wall
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**asdict(outcome), "wall": round(wall, 3)}) + "\n")
        self.outcomes.append(outcome)

    def left(self, seeds: Sequence[int]) -> list[int]:
        """Those that have not been tried, or that failed."""
        self.outcomes = [outcome for outcome in self.outcomes if not outcome.failure]
        done = {outcome.seed for outcome in self.outcomes}
        return [seed for seed in seeds if seed not in done]

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.failure]

    @property
    def counts(self) -> dict[str, int]:
        return dict(sum((Counter(outcome.counts) for outcome in self.outcomes), Counter()))


def _outcome(line: dict[str, Any]) -> Outcome:
    return Outcome(**{name: value for name, value in line.items() if name != "wall"})


def _read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal; the last one may have been cut short."""
    lines: list[dict[str, Any]] = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return lines
