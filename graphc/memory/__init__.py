"""Memory planning: where every value of a schedule lives, and an independent checker of that."""

from __future__ import annotations

from graphc.memory.check import check
from graphc.memory.plan import Area, CellGroup, MemoryPlan, Place, Slot, plan

__all__ = ["Area", "CellGroup", "MemoryPlan", "Place", "Slot", "check", "plan"]
