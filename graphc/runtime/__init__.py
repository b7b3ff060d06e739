"""Running compiled programs: the call, the training loop, its history."""

from __future__ import annotations

from graphc.runtime.history import History
from graphc.runtime.profile import Profile
from graphc.runtime.program import Program
from graphc.runtime.stage import Stage
from graphc.runtime.sweep import Outcome, Run, Sweep
from graphc.runtime.training import Epoch

__all__ = ["Epoch", "History", "Outcome", "Profile", "Program", "Run", "Stage", "Sweep"]
