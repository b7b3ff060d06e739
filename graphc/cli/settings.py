"""The environment variables that graphc looks at, and what is wrong with those that are set."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from graphc.backends.c.cache import limit
from graphc.backends.c.compiler import flags, vector_bytes
from graphc.capacity import left
from graphc.compiler import asked_for
from graphc.errors import CompileError, MemoryLimitError

__all__ = ["KNOWN", "OTHERS", "wrong"]

KNOWN = (
    "GRAPHC_CACHE_DIR",
    "GRAPHC_CACHE_SIZE",
    "GRAPHC_CFLAGS",
    "GRAPHC_DUMP",
    "GRAPHC_MEMORY",
    "GRAPHC_NANCHECK",
    "GRAPHC_VECTOR_BYTES",
    "GRAPHC_VERIFY",
)
OTHERS = ("CC", "XDG_CACHE_HOME", "TMPDIR", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY")
"""Of other programs; they matter to graphc, too."""

_PREFIX = "GRAPHC_"
_CHECKS: Mapping[str, Callable[[], object]] = {
    "GRAPHC_CACHE_SIZE": limit,
    "GRAPHC_CFLAGS": flags,
    "GRAPHC_MEMORY": left,
    "GRAPHC_NANCHECK": partial(asked_for, "GRAPHC_NANCHECK"),
    "GRAPHC_VECTOR_BYTES": vector_bytes,
    "GRAPHC_VERIFY": partial(asked_for, "GRAPHC_VERIFY"),
}
_TESTS = ("GRAPHC_BROWSER",)
"""What only the tests of graphc look at."""


def wrong() -> Iterator[tuple[str, str, bool]]:
    """Each variable with a fault: its name, what is wrong, and whether it keeps programs from being compiled."""
    for name, value in sorted(os.environ.items()):
        if name in _CHECKS:
            try:
                _CHECKS[name]()
            except (CompileError, MemoryLimitError) as error:
                yield name, str(error), True
        elif name.startswith(_PREFIX) and name not in (*KNOWN, *_TESTS):
            endings = [each.removeprefix(_PREFIX) for each in KNOWN]
            near = difflib.get_close_matches(name.removeprefix(_PREFIX), endings, 1)
            yield name, "graphc knows no such setting" + (f"; did you mean {_PREFIX}{near[0]}?" if near else ""), False
        elif name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            counts = value.split(",")  # one for each level of nesting
            if not all(count.strip().isdigit() and int(count) > 0 for count in counts):
                yield name, f"{value!r} is no number of threads, and is ignored; set it to a number, or unset it", False
