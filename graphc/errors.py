"""The exceptions that users meet, and how a message is laid out.

Every message is one sentence of facts, then where the user wrote it, then what to do:
`matmul: inner sizes differ, 784 != 512, in f32[batch,784] @ f32[512,10]; built at model.py:12`.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "CheckpointError",
    "CompileError",
    "DTypeError",
    "GradientError",
    "GraphFileError",
    "GraphcError",
    "InputError",
    "MemoryLimitError",
    "NonFiniteError",
    "ShapeError",
    "StateError",
    "SweepError",
    "SymbolicValueError",
    "VerifyError",
    "brief",
    "compose",
    "explained",
    "one_line",
    "type_name",
]


class GraphcError(Exception):
    """Base of everything that graphc raises on purpose."""

    attempt: object = None
    """The call that was to build graph and could not, as `graphc.ir.tensor.Attempt`; None where it was no such call."""

    def __str__(self) -> str:
        """The message. Whatever names are in it, what is shown has no control characters but ends of lines."""
        return "\n".join(map(one_line, super().__str__().split("\n")))

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


class MemoryLimitError(GraphcError, MemoryError):
    """More memory was asked for than there is, or a tensor of more bytes than 64 bits count. Nothing was allocated."""


class NonFiniteError(GraphcError, ArithmeticError):
    """NaN or infinity in a program that was compiled with `nancheck`. `index` is its first place in the value.

    `is_input` says whether the value was given to the program as data.
    """

    def __init__(self, message: str, index: tuple[int, ...] = (), is_input: bool = False) -> None:
        super().__init__(message)
        self.index = index
        self.is_input = is_input


class GraphFileError(GraphcError, ValueError):
    """A file that is no saved graph, or a graph that cannot be saved. Names the file and the place in it."""


class CheckpointError(GraphcError, ValueError):
    """A checkpoint that cannot be written or read, or that is not one of this program or run. Names the file."""


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
    try:
        text = one_line(repr(value))
    except ValueError:  # Python does not write an integer of thousands of digits
        return type_name(value)
    return text if len(text) <= 120 else type_name(value)


def compose(subject: str, problem: str, *, where: str = "", remedy: str = "") -> str:
    """Lay out a message: `subject: problem; built at where. Remedy`."""
    message = f"{subject}: {problem}"
    if where:
        message += f"; built at {where}"
    if remedy:
        message += f". {remedy[0].upper()}{remedy[1:]}"
    return message


_P = ParamSpec("_P")
_T = TypeVar("_T")


def explained(f: Callable[_P, _T], *, of_class: bool = False, more: str = "") -> Callable[_P, _T]:
    """`f`, which when it is called with arguments that it does not take says which it takes.

    A constructor is `of_class`, under whose name it speaks; `more` is what else to say, with `{}` for how it is called.
    """

    @functools.wraps(f)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return f(*args, **kwargs)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:  # raised inside f
                raise
            problem = one_line(str(error).partition("() ")[2] or str(error))  # names of arguments are only text
        parameters = list(inspect.signature(f).parameters.values())
        counted = 0
        if parameters and parameters[0].name == "self":
            del parameters[0]
            counted = 1  # by Python, and not by users
        if found := _TOO_MANY.match(problem):
            most, given = (int(number) - counted for number in found.groups())
            problem = f"too many positional arguments, {given} instead of {'at most ' * (most > 0)}{most}"
        title = type(args[0]).__name__ if of_class else f.__name__
        takes = ", ".join(_shown_parameters(parameters)) or "no arguments"
        made = f"{title}({'...' * any(each.default is each.empty for each in parameters)})"
        raise TypeError(f"{title}: {problem}. It takes {takes}{more.format(made)}")

    return call


_TOO_MANY = re.compile(r"takes (?:from \d+ to )?(\d+) positional arguments? but (\d+) ")


def _shown_parameters(parameters: Iterable[inspect.Parameter]) -> Iterator[str]:
    """As they are written in a definition, without types."""
    stars = False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not stars:
            yield "*"
        stars = stars or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        if each.default is each.empty:
            yield str(each.replace(annotation=each.empty))
        else:
            yield f"{each.name}={brief(each.default)}"
