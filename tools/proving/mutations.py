"""Planted compiler bugs: the tests notice each of them.

A case is one mutation of `tools/mutating`. It is applied to a copy of the checkout in a temporary folder, on which the
tests run that probably notice it, then all tests, then the fuzzer, until something fails; and what failed must pass on
the copy without the bug. `python tools/mutate.py` shows the same as a table.
"""

from __future__ import annotations

from tools.mutating.mutations import MUTATIONS
from tools.mutating.trial import tried
from tools.proving.proof import Proof

__all__ = ["PROOFS", "case"]


def case(seed: int) -> dict[str, int]:
    """One mutation, which something has to notice."""
    verdict = tried(MUTATIONS[seed % len(MUTATIONS)])
    assert verdict.is_caught, str(verdict)
    return {f"caught by {verdict.stage}": 1}


# A case takes seconds, unless it needs all tests.
PROOFS = (Proof("mutations", 1, "planted bugs", full=len(MUTATIONS), quick=0, case=case, limit=3600.0),)
