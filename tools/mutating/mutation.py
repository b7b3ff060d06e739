"""A mutation: one edit of a file of graphc that makes a bug of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["ROOT", "Mutation"]

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


@dataclass(frozen=True)
class Mutation:
    """One edit of `file`, which is relative to graphc/: `old` occurs in it once, and becomes `new`.

    `kind` says what bug that is. `tests` are those that probably notice, relative to tests/ (what mirrors the file, if
    there are none), of them those whose names match `only`, an expression as `pytest -k` takes it.
    """

    name: str
    kind: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = ()
    only: str = ""

    @property
    def room(self) -> str:
        """The folder of graphc/ that the file is in, or the file's own name."""
        folder = str(PurePosixPath(self.file).parent)
        return PurePosixPath(self.file).stem if folder == "." else folder

    @property
    def likely(self) -> tuple[str, ...]:
        """Paths of the tests to try first, from the checkout."""
        if self.tests:
            return tuple(f"tests/{path}" for path in self.tests)
        folder = PurePosixPath("tests") / PurePosixPath(self.file).parent
        own = folder / f"test_{PurePosixPath(self.file).stem}.py"
        return (str(own) if (ROOT / own).exists() else str(folder),)

    def applied(self, text: str) -> str:
        """The text of the file with the bug. Raises ValueError where `old` does not occur just once."""
        count = text.count(self.old)
        if count != 1:
            found = f"graphc/{self.file} has {self.old!r} {count} times"
            raise ValueError(f"{self.name}: {found}, not once; bring the mutation up to date")
        return text.replace(self.old, self.new)
