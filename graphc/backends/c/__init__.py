"""Native code: a program as one C file, compiled by the system's compiler, kept in a cache."""

from __future__ import annotations

from graphc.backends.c.executable import NativeExecutable
from graphc.backends.c.plan import NativePlan, Relayout, plan_native
from graphc.backends.c.scalars import not_native
from graphc.backends.c.source import NativeSource, generate_native

__all__ = ["NativeExecutable", "NativePlan", "NativeSource", "Relayout", "generate_native", "not_native", "plan_native"]
