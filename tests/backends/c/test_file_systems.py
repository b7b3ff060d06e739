"""The compile cache on file systems that are full, read-only, or run nothing, mounted in a namespace of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import gc, os, subprocess, sys, tempfile, warnings
from pathlib import Path
from graphc.backends.c import build, cache, compiler
from graphc.errors import CompileError

place = Path(sys.argv[1])
os.environ["GRAPHC_CACHE_DIR"] = str(place / "cache")
os.environ.pop("GRAPHC_CFLAGS", None)

def mount(*options):
    gc.collect()  # libraries that were loaded are files in use
    subprocess.run(["mount", *options, place], check=True)

def answer(number):
    build._loaded.clear(), compiler._found.clear(), cache._warn.cache_clear(), cache._temporaries.clear()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            result = build.load(f"int answer(void) {{ return {number}; }}", "p")["answer"]()
        except CompileError as error:
            result = str(error)
    return result, " ".join(str(each.message) for each in said)

tmpfs = ("-t", "tmpfs", "tmpfs", "-o")
mount(*tmpfs, "noexec,size=10m,mode=700")
result, said = answer(1)
assert "p: the compiled program cannot be loaded" in result and result.endswith("set GRAPHC_CACHE_DIR to one that does")
assert not said and not list(place.glob("cache/*.so"))

for size in (8, 16, 24, 32, 40):  # KB: full before the compiler runs, in it, and when what it made is stored
    mount(*tmpfs, f"size={size}k,mode=700")
    result, said = answer(size)
    assert result == size, result
    assert f"{place}/cache: No space left on device; what is compiled is kept for this process only" in said, said
    assert not list(place.glob("cache/compiling-*"))

mount(*tmpfs, "size=10m,mode=700")
assert answer(2) == (2, "")
mount("-o", "remount,ro")
assert answer(2) == (2, "")  # hits need nothing that can be written
result, said = answer(3)
assert result == 3 and f"{place}/cache cannot be written; what is compiled is kept for this process only" in said, said
mount("-o", "remount,rw")
try:
    (place / "filling").write_bytes(bytes(20 << 20))
except OSError:
    pass
assert answer(2) == (2, "")  # nor room
result, said = answer(4)
assert result == 4 and "No space left on device" in said, said

mount(*tmpfs, "noexec,size=10m,mode=1777")
os.environ["TMPDIR"] = str(place)  # is not used where there is a cache
tempfile.tempdir = None
os.environ["GRAPHC_CACHE_DIR"] = sys.argv[2]
assert answer(5) == (5, "")
print("done")
"""


def test_mounts(real: str, tmp_path: Path) -> None:
    place = tmp_path / "mounted"
    place.mkdir()
    alone = ["unshare", "--mount", "--map-root-user"]
    try:
        allowed = subprocess.run([*alone, "mount", "-t", "tmpfs", "tmpfs", place], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if allowed.returncode:
        pytest.skip(f"nothing may be mounted: {allowed.stderr.decode(errors='replace').strip()}")
    command = [*alone, sys.executable, "-c", PROGRAM, place, tmp_path / "cache"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
