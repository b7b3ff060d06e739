"""Errors help: each mistake of tests/mistakes is made, and its message must have what was written down for it by hand.

A case is one mistake, some milliseconds of it. Its counts are how many messages meet each criterion (see
tests/mistakes/mistake.py), and how many meet all. Those that graphc cannot reach, because Python or
torch speaks before it, count as they are and fail no case: with them, at least 95 of 100 messages help.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from tests.mistakes.corpus import MISTAKES, OUT_OF_REACH
from tests.mistakes.mistake import CRITERIA, score
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

TITLES = tuple(MISTAKES)


def case(seed: int) -> Mapping[str, int]:
    """Make one mistake and score what is said. Raises AssertionError with the message where it does not help."""
    title = TITLES[seed % len(TITLES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is tried
        found = score(MISTAKES[title])
    if not found.helps and title not in OUT_OF_REACH:
        raise AssertionError(f"{title} lacks {', '.join(found.lacks)}: {found.message}")
    counts = {f"with {criterion}": int(criterion in found.met) for criterion in CRITERIA}
    return {"messages that help": int(found.helps), **counts}


PROOFS = (Proof("mistakes", 21, "mistakes", full=len(TITLES), quick=0, case=case, limit=30.0),)
