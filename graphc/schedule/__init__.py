"""From a graph to the calls that compute it, in order."""

from __future__ import annotations

from graphc.schedule.schedule import Match, Pattern, Schedule, Step, schedule

__all__ = ["Match", "Pattern", "Schedule", "Step", "schedule"]
