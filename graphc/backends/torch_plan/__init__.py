"""The torch plan: a schedule as generated Python of torch operations on planned buffers."""

from __future__ import annotations

from graphc.backends.torch_plan.executable import TorchExecutable
from graphc.backends.torch_plan.lower import lower
from graphc.backends.torch_plan.patterns import PATTERNS
from graphc.backends.torch_plan.source import PlanSource, generate

__all__ = ["PATTERNS", "PlanSource", "TorchExecutable", "generate", "lower"]
