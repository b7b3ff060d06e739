"""From a graph to the calls that compute it, in order."""

from __future__ import annotations

from graphc.schedule.kernels import Kernel, KernelSchedule, schedule_kernels
from graphc.schedule.schedule import Match, Pattern, Schedule, Step, schedule

__all__ = ["Kernel", "KernelSchedule", "Match", "Pattern", "Schedule", "Step", "schedule", "schedule_kernels"]
