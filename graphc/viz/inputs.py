"""Calling a module that is to be drawn: on the inputs that a person described, or on a guess."""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import cast

import torch

from graphc.ir import Tensor
from graphc.ops import placeholder
from graphc.types import DTYPES
from graphc.viz.errors import DrawingError
from graphc.viz.failure import failure_of, one_line_of
from graphc.viz.find import TargetError, meant, pick
from graphc.viz.labels import shown
from graphc.viz.names import assigned_names
from graphc.viz.subject import describe, is_drawable, is_module

__all__ = ["Input", "called", "input_of", "opened", "size_of", "values_of"]

BATCH = "batch"
EXAMPLE = f"--input {BATCH},2"
LONGEST_NUMBER = 18
"""Digits of a size. More of them would not be the size of anything, and take long to read."""


@dataclass(frozen=True)
class Input:
    """One argument of a module; an empty `name` is that of the parameter in its place."""

    name: str
    shape: tuple[int | str, ...]
    dtype: torch.dtype = torch.float32

    def __str__(self) -> str:
        return f"{shown(self.name)}: {DTYPES[self.dtype]}[{','.join(map(str, self.shape))}]"


def opened(file: Path, name: str, names: Mapping[str, object], inputs: Sequence[Input] = ()) -> object:
    """The object called `name` among the `names` of `file`; what it gives for `inputs`, if it is a module.

    Raises DrawingError; BuildFailure where a module could build only some of its graph.
    """
    value = pick(names, file, name)
    if is_module(value):
        return called(value, name, inputs, file)
    if inputs:
        raise TargetError(f"--input is for modules, which are called on it; {shown(name)!r} is {describe(value)}")
    return value


def values_of(value: object, name: str) -> tuple[object, ...]:
    """The values of `--batch NAME`, one for each input. Raises TargetError."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not values or not all(_has_values(each) for each in values):
        what = (
            f"a {type(value).__name__} of other things, or empty"
            if isinstance(value, (list, tuple))
            else describe(value)
        )
        raise TargetError(f"{shown(name)!r} is {what}; --batch names a torch tensor, or a list or tuple of them")
    return values


def _has_values(value: object) -> bool:
    return isinstance(value, torch.Tensor) or (hasattr(value, "__array__") and not isinstance(value, Tensor))


def input_of(text: str) -> Input:
    """An input from `batch,2`, `points=batch,2` or `labels=batch:int64`. Raises DrawingError."""
    name, equals, rest = text.rpartition("=")
    if equals and not name.isidentifier():
        raise DrawingError(f"{shown(text)!r}: an input is named like a variable, as in points={BATCH},2")
    sizes, colon, dtype = rest.partition(":")
    shape = tuple(size_of(part.strip()) for part in sizes.split(",")) if sizes.strip() not in ("", "()") else ()
    if not sizes.strip():
        raise DrawingError(f"{shown(text)!r} has no sizes: write them as in {BATCH},2, or () for a 0-d tensor")
    return Input(name, shape, _dtype_of(dtype.strip()) if colon else torch.float32)


def size_of(text: str) -> int | str:
    """A size: a number, or the name of one. Raises DrawingError."""
    if re.fullmatch(rf"[0-9]{{1,{LONGEST_NUMBER}}}", text):
        return int(text)
    if text.isidentifier():
        return text
    raise DrawingError(f"{shown(text)!r} is no size: a size is a number from 0, or a name such as {BATCH}")


def _dtype_of(text: str) -> torch.dtype:
    known = {str(dtype).removeprefix("torch."): dtype for dtype in DTYPES}
    if text not in known:
        raise DrawingError(f"there is no dtype {shown(text)!r}{meant(text, known)}; use one of {', '.join(known)}")
    return known[text]


def called(module: object, name: str, inputs: Sequence[Input], file: Path) -> object:
    """What the module called `name` in `file` gives for placeholders like `inputs`, or for a guess if there are none.

    Raises DrawingError; BuildFailure where the module could build only some of its graph on `inputs`.
    """
    call = cast("Callable[..., object]", module)
    given = _named(call, inputs) if inputs else (_guess(call, name),)
    call_there = _located(file, assigned_names(file).get(name.split(".")[0], 1))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            value = call_there(call, given)
    except Exception as error:
        listed = ", ".join(map(str, given))
        if inputs:
            raise failure_of(f"{shown(name)!r} fails on {listed}", error, file) from error
        problem = f"{shown(name)!r} fails on the input that was guessed, {listed}: {one_line_of(error, file)}"
        raise DrawingError(f"{problem}; {_remedy(call)}") from error
    if not is_drawable(value):
        raise DrawingError(
            f"{shown(name)!r} gives {describe(value)}, not a tensor, or a list, tuple or dict of tensors"
        )
    return value


def _located(file: Path, line: int) -> Callable[[Callable[..., object], Sequence[Input]], object]:
    """`_call` as if it were written on that line of `file`: nodes and errors then have a line that means something."""
    # The body of `_call` is one line below its first.
    return FunctionType(_call.__code__.replace(co_filename=str(file.resolve()), co_firstlineno=line - 1), globals())


def _call(module: Callable[..., object], given: Sequence[Input]) -> object:
    return module(*_placeholders(given))


def _placeholders(given: Sequence[Input]) -> list[Tensor]:
    return [placeholder(each.name, each.shape, each.dtype) for each in given]


def _guess(module: Callable[..., object], name: str) -> Input:
    """A batch of what the first matrix among the parameters is multiplied by: torch keeps it as [out, in]."""
    needed = [parameter for parameter in _parameters(module) if parameter.default is parameter.empty]
    if len(needed) > 1:
        names = ", ".join(shown(parameter.name) for parameter in needed)
        raise DrawingError(f"{shown(name)!r} takes {len(needed)} inputs, {names}; {_remedy(module)}")
    for _, parameter in module.named_parameters():  # type: ignore[attr-defined]  # what makes it a module
        shape = tuple(getattr(parameter, "shape", ()))
        if len(shape) == 2 and isinstance(shape[-1], int) and parameter.dtype in DTYPES:
            return _named(module, [Input("", (BATCH, shape[-1]), parameter.dtype)])[0]
    raise DrawingError(f"{shown(name)!r} has no matrix that would say what it takes; {_remedy(module)}")


def _named(module: Callable[..., object], inputs: Sequence[Input]) -> tuple[Input, ...]:
    """`inputs` with the names of the parameters in their places."""
    names = [parameter.name for parameter in _parameters(module)]
    names += [f"input{i}" for i in range(len(names), len(inputs))]
    return tuple(Input(each.name or name, each.shape, each.dtype) for each, name in zip(inputs, names))


def _parameters(module: Callable[..., object]) -> list[inspect.Parameter]:
    """The parameters that take the module's arguments one by one, as far as they can be known."""
    try:
        found: Iterable[inspect.Parameter] = inspect.signature(getattr(module, "forward", module)).parameters.values()
    except (TypeError, ValueError):
        return []
    return [each for each in found if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]


def _remedy(module: Callable[..., object]) -> str:
    several = ", once for each argument" if len(_parameters(module)) > 1 else ""
    return f"say what it takes with {EXAMPLE}{several}"
