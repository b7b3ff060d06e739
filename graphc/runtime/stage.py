"""A stage of compilation, as it is kept and shown."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Stage"]


@dataclass(frozen=True)
class Stage:
    """One stage of compilation: its value prints as text; `counts` says how often each rule fired."""

    name: str
    value: object
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        counts = "".join(f" {rule}×{count}" for rule, count in self.counts.items())
        return f"<stage {self.name}: {self.seconds * 1e3:.2f} ms{counts}>"
