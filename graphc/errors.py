"""The exceptions that users meet, and how a message is laid out.

Every message is one sentence of facts, then where the user wrote it, then what to do:
`matmul: inner sizes differ, 784 != 512, in f32[batch,784] @ f32[512,10]; built at model.py:12`.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CompileError",
    "DTypeError",
    "GradientError",
    "GraphFileError",
    "GraphcError",
    "InputError",
    "ShapeError",
    "StateError",
    "SweepError",
    "SymbolicValueError",
    "VerifyError",
    "brief",
    "compose",
    "one_line",
    "type_name",
]


class GraphcError(Exception):
    """Base of everything that graphc raises on purpose."""

    attempt: object = None
    """The call that was to build graph and could not, as `graphc.ir.tensor.Attempt`; None where it was no such call."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Tensors stay in their process, where their cells and functions are: what travels is the message.
        return type(self), self.args, {name: value for name, value in vars(self).items() if name != "attempt"}


class ShapeError(GraphcError, ValueError):
    """Sizes that do not fit together, or a size question that has no single answer for symbolic sizes."""


class DTypeError(GraphcError, TypeError):
    """An element type that an operation cannot take."""


class SymbolicValueError(GraphcError, TypeError):
    """A symbolic tensor was used where Python needs a number: nothing has run yet."""


class GradientError(GraphcError, ValueError):
    """A derivative that does not exist or was asked for in a way that has no meaning."""


class CompileError(GraphcError, ValueError):
    """What was given to `compile` does not make a program."""


class InputError(GraphcError, ValueError):
    """A value given to a compiled program does not fit what the program was declared with."""


class GraphFileError(GraphcError, ValueError):
    """A file that is no saved graph, or a graph that cannot be saved. Names the file and the place in it."""


class StateError(GraphcError, ValueError):
    """Parameter or optimiser values that do not fit, are missing, or are being updated by somebody else."""


class SweepError(GraphcError, RuntimeError):
    """Runs of a Sweep failed. `errors` has what each raised, by the number of the run."""

    def __init__(self, message: str, errors: dict[int, Exception] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or {}


class VerifyError(GraphcError, AssertionError):
    """A graph, schedule or memory plan broke one of its own rules: a bug in graphc, not in the user's program."""


def one_line(text: str) -> str:
    """`text` with line breaks and all else that is not printable escaped: names are only text, wherever they end up."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def type_name(value: object) -> str:
    """The type of `value` as users know it: `float`, `torch.Tensor`, `graphc.Tensor`."""
    kind = type(value)
    package = kind.__module__.split(".")[0]
    return kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"


def brief(value: object) -> str:
    """`value` within a message: as Python writes it if that is short, else its type."""
    text = one_line(repr(value))
    return text if len(text) <= 120 else type_name(value)


def compose(subject: str, problem: str, *, where: str = "", remedy: str = "") -> str:
    """Lay out a message: `subject: problem; built at where. Remedy`."""
    message = f"{subject}: {problem}"
    if where:
        message += f"; built at {where}"
    if remedy:
        message += f". {remedy[0].upper()}{remedy[1:]}"
    return message
