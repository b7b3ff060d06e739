"""The cache is private: whatever others could have changed is not loaded, and whatever they could not, is.

A case is one arrangement: one of a folder on the way, the cache folder, a library and its hash has one of the 1,024
modes with and without the sticky bit, belongs to us or to somebody else, and is itself or a link. The cache has an
entry that is right in all other respects. It must be handed out exactly if nobody else could have put it there. Only
root can give files away, so for others the cases of a foreign owner are those of their own.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from graphc.backends.c import cache
from graphc.errors import CompileError
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

KEY = "0123456789abcdef" * 4
WHAT = ("above", "folder", ".so", ".sha256")
MODES = 0o2000
COUNT = len(WHAT) * MODES * 2 * 2
STEP = 7919  # no factor of COUNT, so that any few cases in a row are about everything
SOMEBODY = 4242
ROOT = os.geteuid() == 0


def arrange(seed: int) -> Mapping[str, int]:
    """One case."""
    number = seed * STEP % COUNT
    number, what = number // len(WHAT), WHAT[number % len(WHAT)]
    number, mode = number // MODES, number % MODES
    foreign, linked = ROOT and bool(number & 1), bool(number & 2)
    with tempfile.TemporaryDirectory(prefix="graphc-private-", ignore_cleanup_errors=True) as home:
        places = {"above": Path(home, "above"), "folder": Path(home, "above", "cache")}
        places |= {suffix: places["folder"] / f"{KEY}{suffix}" for suffix in (".so", ".sha256")}
        before = os.environ.get("GRAPHC_CACHE_DIR")
        os.environ["GRAPHC_CACHE_DIR"] = str(places["folder"])
        path = places[what]
        try:
            with cache.workspace(cache.folder()) as room:
                cache.store(places["folder"], KEY, b"code", room)
            _spoil(path, mode, foreign, linked)
            found = _fetched()
        finally:
            path.chmod(0o700)
            if before is None:
                del os.environ["GRAPHC_CACHE_DIR"]
            else:
                os.environ["GRAPHC_CACHE_DIR"] = before
    closed = not mode & 0o022 or (what == "above" and mode & 0o1000)
    safe = closed and not foreign and (what == "above" or not linked)
    told = f"{what} with mode {mode:o}" + " of somebody else" * foreign + " behind a link" * linked
    assert safe or found is None, f"{told}: handed out, though others could have put it there"
    usable = mode & (0o400 if what.startswith(".") else 0o500) == (0o400 if what.startswith(".") else 0o500)
    assert not safe or found == b"code" or not usable, f"{told}: not handed out"
    return {"refused": int(not safe)}


def _spoil(path: Path, mode: int, foreign: bool, linked: bool) -> None:
    if linked:
        target = path.rename(path.with_name(f"{path.name}-itself"))
        path.symlink_to(target.name)
    if ROOT:  # a group that is not ours, so that its right to write counts
        os.chown(path, SOMEBODY if foreign else os.geteuid(), SOMEBODY)
    path.chmod(mode)


def _fetched() -> bytes | None:
    with warnings.catch_warnings(), contextlib.suppress(CompileError):
        found = cache.fetch(KEY)
        return None if found is None else found[1]
    return None


PROOFS = (Proof("cache-privacy", promise=14, unit="arrangements", full=4096, quick=200, case=arrange),)
