"""Files that older versions wrote are read, and mean what they meant: a case is one kind of file of one version."""

from __future__ import annotations

from collections.abc import Mapping

from tools.keep_files import KINDS, versions
from tools.proving.proof import Proof

__all__ = ["PROOFS", "case"]

KEPT = [(folder, kind) for folder in versions() for kind in KINDS if (folder / kind.folder).is_dir()]


def case(seed: int) -> Mapping[str, int]:
    """One kind of file of one version."""
    folder, kind = KEPT[seed % len(KEPT)]
    count = kind.check(folder / kind.folder)
    assert count, f"{folder / kind.folder} is empty"
    return {"files": count}


PROOFS = (Proof("old-files", 26, "kinds of files of released versions", full=len(KEPT), quick=0, case=case),)
