"""Cases for the tests of `tools/prove.py`: in a module, since worker processes import them."""

from __future__ import annotations

import os
import signal
import time

from tools.proving.proof import Proof

__all__ = ["FINE", "PLANTED"]


def _fine(seed: int) -> dict[str, int]:
    return {"things": seed}


def _planted(seed: int) -> None:
    if seed == 1:
        raise AssertionError("one is broken")
    if seed == 2:
        os._exit(3)
    if seed == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if seed == 4:
        time.sleep(600)


FINE = Proof("fine", 1, "cases", 4, 1, _fine)
PLANTED = Proof("planted", 1, "cases", 6, 1, _planted, limit=1.0)
