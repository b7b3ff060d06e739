"""All mutations, those of graphs first."""

from __future__ import annotations

from tools.mutating import meaning, native, planning, running
from tools.mutating.mutation import Mutation

__all__ = ["MUTATIONS"]

MUTATIONS: tuple[Mutation, ...] = (*meaning.MUTATIONS, *planning.MUTATIONS, *native.MUTATIONS, *running.MUTATIONS)
