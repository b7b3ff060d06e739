"""A bad cache heals itself: entries are damaged in every way, loaded again, and must work and be whole again.

A case damages one or two files of one entry: cut short anywhere, bits flipped, bytes written over, another kind of file
in its place, another entry's. Then it loads the program as a new process would. A library that is in use at that moment
is called once more, too: damage to the file must not reach it. Most cases are about a library of one function; every
tenth is about a compiled network, which is compared with the same network as torch calls. A crash fails the case.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch

import graphc
from graphc import nn
from graphc.backends.c import build, cache, compiler
from tools.proving.proof import Proof

__all__ = ["PROOFS", "forget", "own_cache"]

SOURCE = "int table[3000] = {1, 2, 3}; int answer(int i) { return 41 + table[i]; }\n"
OTHER = "int table[3000] = {4, 5, 6}; int answer(int i) { return 43 + table[i]; }\n"

SUFFIXES = (".so", ".so", ".so", ".sha256", ".c", ".lock", ".note")

Damage = Callable[[Path, random.Random], object]


@contextlib.contextmanager
def own_cache() -> Iterator[Path]:
    """A compile cache for one case, in a process that has loaded nothing yet."""
    before, loaded, found = os.environ.get("GRAPHC_CACHE_DIR"), dict(build._loaded), dict(compiler._found)
    with tempfile.TemporaryDirectory(prefix="graphc-cache-", ignore_cleanup_errors=True) as folder:
        os.environ["GRAPHC_CACHE_DIR"] = f"{folder}/cache"
        forget()
        try:
            yield Path(folder, "cache")
        finally:
            forget()
            build._loaded.update(loaded)
            compiler._found.update(found)
            if before is None:
                del os.environ["GRAPHC_CACHE_DIR"]
            else:
                os.environ["GRAPHC_CACHE_DIR"] = before


def forget() -> None:
    """What a new process does not know."""
    build._loaded.clear()
    compiler._found.clear()


def damage(seed: int) -> Mapping[str, int]:
    """One case."""
    rng = random.Random(seed)
    with own_cache() as folder:
        use = _network if seed % 10 == 9 else _function
        use()
        forget()
        held = use()  # from the cache, not from where it was compiled
        other = build.load(OTHER, "other")
        text = Path(held.library._name if isinstance(held, _Network) else held._name)
        _damage(folder, text, Path(other._name), rng)
        _check(held)
        forget()
        _check(use())
        _check(held)
        _whole(folder, text)
    return {"networks": int(isinstance(held, _Network))}


class _Network:
    """A network as native code, and what it must compute."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        x = graphc.placeholder("x", shape=("batch", 3))
        y = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))(x)
        self.program = graphc.compile([x], y, backend="c")
        self.data = torch.randn(5, 3)
        self.expected = graphc.compile([x], y, backend="torch")(self.data)
        self.library = build.load(self.program.source, "step")


def _network() -> _Network:
    return _Network()


def _function() -> build.Library:
    return build.load(SOURCE, "p")


def _check(use: _Network | build.Library) -> None:
    if isinstance(use, _Network):
        torch.testing.assert_close(use.program(use.data), use.expected)
    else:
        values = [use["answer"](i) for i in range(4)]
        assert values == [42, 43, 44, 41], f"wrong code: {values}"


def _whole(folder: Path, library: Path) -> None:
    """The entry is as good as new, and nothing was left behind."""
    assert cache.fetch(library.stem) is not None, "the entry was not made again"
    kinds = {path.suffix or path.name for path in folder.iterdir()}
    assert kinds <= {".c", ".so", ".sha256", ".note", ".lock", ".kept"}, f"left behind: {kinds}"


def _damage(folder: Path, library: Path, other: Path, rng: random.Random) -> None:
    for suffix in dict.fromkeys(rng.sample(SUFFIXES, rng.choice((1, 1, 2)))):
        path = next(folder.glob("*.note")) if suffix == ".note" else library.with_suffix(suffix)
        if suffix == ".lock":
            path.write_bytes(b"")
        if not path.is_file():  # damaged already
            continue
        rng.choice(DAMAGES)(path, rng)
    if rng.random() < 0.1:  # a whole entry of another program, hash and all
        for suffix in (".so", ".sha256"):
            _away(library.with_suffix(suffix))
            shutil.copy2(other.with_suffix(suffix), library.with_suffix(suffix))


def _away(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


# Ways to damage a file, in place where that makes a difference --------------------------------------------------------


def _cut(path: Path, rng: random.Random) -> None:
    size = path.stat().st_size
    os.truncate(path, rng.choice((rng.randrange(size + 1), min(size, 4096 * rng.randrange(8)), min(size, 64), 1)))


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 1, 100)) if content else 0):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    _over(path, bytes(content))


def _zero(path: Path, rng: random.Random) -> None:
    content = path.read_bytes()
    start = rng.randrange(len(content) + 1)
    _over(path, content[:start] + bytes(len(content) - start))


def _digits(path: Path, rng: random.Random) -> None:
    """At the end, where a hash has the size of the library: one that is longer, or another of any length."""
    content = path.read_bytes() if rng.random() < 0.5 else path.read_bytes().rpartition(b" ")[0] + b" "
    path.write_bytes(content + str(rng.randrange(10 ** rng.randrange(1, 20))).encode())


def _over(path: Path, content: bytes) -> None:
    with open(path, "r+b") as file:
        file.write(content)


def _instead(make: Damage) -> Damage:
    def replace(path: Path, rng: random.Random) -> None:
        path.unlink()
        make(path, rng)

    return replace


def _link(path: Path, rng: random.Random) -> None:
    """To a whole copy, which is of no use."""
    path.symlink_to(path.rename(path.with_name(f"{path.name}.kept")))


DAMAGES: list[Damage] = [
    _cut,
    _cut,
    _cut,
    _flip,
    _flip,
    _zero,
    _digits,
    _link,
    _instead(lambda path, rng: None),
    _instead(lambda path, rng: path.touch()),
    _instead(lambda path, rng: path.mkdir()),
    _instead(lambda path, rng: (path / "x").mkdir(parents=True)),
    _instead(lambda path, rng: path.symlink_to("nowhere")),
    _instead(lambda path, rng: path.symlink_to(path.name)),
    _instead(lambda path, rng: os.mkfifo(path)),
    _instead(lambda path, rng: path.write_bytes(rng.randbytes(rng.randrange(20_000)))),
    lambda path, rng: os.truncate(path, rng.choice((path.stat().st_size + 1, 1 << 40))),
    lambda path, rng: path.chmod(rng.choice((0, 0o002, 0o200, 0o666, 0o777))),
    lambda path, rng: os.utime(path, ns=(0, rng.choice((0, 1, 1 << 62)))),
]
if os.geteuid() == 0:
    DAMAGES.append(lambda path, rng: os.chown(path, 4242, 4242))

PROOFS = (Proof("cache-damage", promise=12, unit="damaged entries", full=600, quick=10, case=damage),)
