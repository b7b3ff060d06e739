"""The results of the last runs: kept in docs/promises.json, shown in a table of docs/promises.md."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.proving.journal import ROOT, Journal
from tools.proving.proof import Proof

__all__ = ["PAGE", "Result", "read", "render", "write"]

PAGE = ROOT / "docs" / "promises.md"
RECORD = ROOT / "docs" / "promises.json"
BEGIN, END = "<!-- results: written by tools/prove.py --record -->", "<!-- end of results -->"


@dataclass(frozen=True)
class Result:
    """A run of a proof: when, from which seed, how many cases, how many failed, how long it took (seconds)."""

    date: str
    seed: int
    count: int
    failures: int
    seconds: float
    counts: dict[str, int]

    @staticmethod
    def of(journal: Journal, seed: int) -> Result:
        """Of what a journal has: all cases, or those that there was time for."""
        today = time.strftime("%Y-%m-%d", time.gmtime())
        count = len(journal.outcomes)
        return Result(today, seed, count, len(journal.failures), round(journal.wall, 1), journal.counts)

    def line(self, proof: Proof) -> str:
        """For a terminal."""
        return f"{proof.name}: {self.tried(proof)}; {_span(self.seconds)}"

    def tried(self, proof: Proof) -> str:
        """How many cases, of how many if these are not all, and what was counted in them."""
        counts = "".join(f", {count:,} {what}" for what, count in self.counts.items())
        whole = "" if self.count >= proof.full else f" of {proof.full:,}"
        failed = f", {self.failures:,} failed" if self.failures else ""
        return f"{self.count:,}{whole} {proof.unit}{failed}{counts}"


def read() -> dict[str, Result]:
    """What was recorded, by the names of proofs."""
    if not RECORD.exists():
        return {}
    return {name: Result(**fields) for name, fields in json.loads(RECORD.read_text(encoding="utf-8")).items()}


def write(results: Mapping[str, Result]) -> None:
    """Record these."""
    lines = {name: asdict(results[name]) for name in sorted(results)}
    RECORD.write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")


def render(page: Path, known: Mapping[str, Proof]) -> None:
    """Write the table of results into `page`, between its two marks."""
    text = page.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table(known, read())}{END}{after}", encoding="utf-8")


def table(known: Mapping[str, Proof], results: Mapping[str, Result]) -> str:
    """A row for each proof."""
    rows = ["| promise | command | tried | date | seed | time |", "|---|---|---|---|---|---|"]
    for name, proof in known.items():
        start = f"| {proof.promise} | `python tools/prove.py {name}` | "
        if (result := results.get(name)) is None:
            rows.append(f"{start}none of {proof.full:,} {proof.unit} | | | |")
            continue
        rows.append(f"{start}{result.tried(proof)} | {result.date} | {result.seed} | {_span(result.seconds)} |")
    return "\n".join(rows) + "\n"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
