"""`tools/prove.py`: the first cases of every proof, and that what breaks is seen."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools.planted import FINE, PLANTED
from tools.proving import record
from tools.proving.journal import Journal
from tools.proving.proof import Proof, proofs
from tools.proving.workers import Outcome, outcomes, tried

PROOFS = proofs()
PROMISES = 26


# Python says what it drops: an interrupt that comes while a callback of the collector runs, as hypothesis has one.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("proof", [proof for proof in PROOFS.values() if proof.quick], ids=lambda proof: proof.name)
def test_the_first_cases_of_each_proof(proof: Proof) -> None:
    for seed in range(proof.quick):
        outcome = tried(proof, seed)
        assert not outcome.failure, outcome.failure


def test_every_promise_has_a_proof() -> None:
    assert {proof.promise for proof in PROOFS.values()} == set(range(1, PROMISES + 1))


def test_every_proof_is_on_the_page() -> None:
    page = record.PAGE.read_text(encoding="utf-8")
    numbers = re.findall(r"^\| (\d+) \| [A-Z]", page, re.MULTILINE)
    assert numbers == [str(number) for number in range(1, PROMISES + 1)]
    for name in PROOFS:
        assert f"`python tools/prove.py {name}`" in page, name
    assert record.table(PROOFS, record.read()) in page, "the table is written by tools/prove.py --record"


def test_crashes_and_hangs_are_failures() -> None:
    found = {outcome.seed: outcome for outcome in outcomes(PLANTED, range(6), jobs=2)}
    assert sorted(found) == list(range(6))
    assert "AssertionError: one is broken" in found[1].failure
    assert found[2].failure == "the process ended: status 3"
    assert found[3].failure == "the process ended: SIGSEGV"
    assert found[4].failure == "no end after 1 s"
    assert not found[0].failure
    assert not found[5].failure


def test_a_run_goes_on_where_it_was(tmp_path: Path) -> None:
    journal = Journal.of(FINE, 0, 4, tmp_path)
    journal.add(Outcome(0, 0.1, {"things": 5}), 1.0)
    journal.add(Outcome(1, 0.1, {}, "broken"), 2.5)
    with journal.path.open("a", encoding="utf-8") as file:
        file.write('{"seed": 2, "sec')  # killed in the middle of a line
    again = Journal.of(FINE, 0, 4, tmp_path)
    assert again.wall == 2.5
    assert again.left(range(4)) == [1, 2, 3]
    again.add(Outcome(1, 0.1, {"things": 1}), 3.0)
    assert again.counts == {"things": 6}
    third = Journal.of(FINE, 0, 4, tmp_path)
    assert len(third.outcomes) == 2
    assert third.left(range(4)) == [2, 3]


def test_a_run_of_other_code_begins_anew(tmp_path: Path) -> None:
    journal = Journal.of(FINE, 0, 4, tmp_path)
    journal.add(Outcome(0, 0.1), 1.0)
    lines = journal.path.read_text(encoding="utf-8").splitlines()
    lines[0] = json.dumps({**json.loads(lines[0]), "code": "other"})
    journal.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert Journal.of(FINE, 0, 4, tmp_path).left(range(4)) == [0, 1, 2, 3]


def test_results_stand_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RECORD", tmp_path / "promises.json")
    page = tmp_path / "promises.md"
    page.write_text(f"before\n{record.BEGIN}\nold\n{record.END}\nafter\n", encoding="utf-8")
    result = record.Result("2026-11-22", 0, 4, 0, 300.0, {"things": 12000})
    record.write({"fine": result})
    record.render(page, {"fine": FINE, "other": replace(FINE, name="other")})
    text = page.read_text(encoding="utf-8")
    assert "| 1 | `python tools/prove.py fine` | 4 cases, 12,000 things | 2026-11-22 | 0 | 5 min |\n" in text
    assert "| 1 | `python tools/prove.py other` | none of 4 cases | | | |\n" in text
    assert "4 cases, 2 failed" in replace(result, failures=2).tried(FINE)
    assert "3 of 4 cases" in replace(result, count=3).tried(FINE)
    assert text.startswith("before\n")
    assert text.endswith("after\n")
