"""Running compiled programs: the call, the training loop, its history."""

from __future__ import annotations

from graphc.runtime.program import Program, Stage

__all__ = ["Program", "Stage"]
