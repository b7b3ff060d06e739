"""All mistakes, by family and title."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from tests.mistakes.mistake import Mistake

__all__ = ["MISTAKES", "OUT_OF_REACH"]

FAMILIES = (
    *("shapes", "sizes", "dtypes", "symbols", "calls", "layers", "parameters", "training", "missing", "files"),
    "checkpoints",
)

MISTAKES: Mapping[str, Mistake] = {
    f"{family}.{value.title}": value
    for family in FAMILIES
    for value in vars(importlib.import_module(f"tests.mistakes.{family}")).values()
    if isinstance(value, Mistake)
}

OUT_OF_REACH: Mapping[str, str] = {
    "sizes.array_of_the_size_of_the_batch": "torch reads the arguments and never asks the size",
    "calls.call_with_inputs_by_keyword": "Python says it before the call begins, and calls are to cost nothing more",
    "calls.call_with_an_option_of_fit": "Python says it before the call begins, and calls are to cost nothing more",
    "calls.graph_is_changed": "a frozen dataclass says it, in its own words",
    "missing.layer_in_lower_case": "Python says it of the module of that name",
    "missing.optimizer_in_lower_case": "Python says it of the module of that name",
}
"""What falls short of what a user would want said, and why graphc cannot say it. These count as what they are."""
