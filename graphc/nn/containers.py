"""Modules that hold modules."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NoReturn, overload

import torch

from graphc.errors import CompileError, brief, one_line, type_name
from graphc.ir import complaint
from graphc.nn.module import Module, registered
from graphc.types import as_index

__all__ = ["Sequential"]


class Sequential(Module):
    """Modules one after another: each takes what the one before it gives.

    `Sequential(a, b)` names them "0" and "1"; `Sequential(OrderedDict(first=a, second=b))` names them as it says.
    """

    @overload
    def __init__(self, *modules: Module) -> None: ...
    @overload
    def __init__(self, modules: OrderedDict[str, Module], /) -> None: ...
    def __init__(self, *modules: Any) -> None:
        super().__init__()
        single = modules[0] if len(modules) == 1 else None
        named = single.items() if isinstance(single, dict) else ((str(i), each) for i, each in enumerate(modules))
        for name, module in named:
            if not isinstance(module, Module):
                problem, remedy = _no_module(name, module)
                raise complaint(CompileError, "Sequential", problem, remedy=remedy)
            setattr(self, name, module)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(registered(self, Module))

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in registered(self, Module))

    def __setitem__(self, index: object, module: object) -> NoReturn:
        problem = f"Sequential: item assignment, [{brief(index)}] = ..., is not how modules are exchanged"
        raise TypeError(f"{problem}. Make another, as in nn.Sequential(*net[:1], module, *net[2:])")

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        """A module, or a Sequential of the same modules under the same names."""
        modules = registered(self, Module)
        if isinstance(index, slice):
            return Sequential(OrderedDict(modules[index]))
        place = as_index(index)
        if place is None:
            raise TypeError(f"Sequential: an index is an integer or a slice, not {brief(index)}")
        if not -len(modules) <= place < len(modules):
            raise IndexError(f"index {place} is out of range for a Sequential of {len(modules)} modules")
        return modules[place][1]


def _no_module(name: str, value: object) -> tuple[str, str]:
    """What is wrong with an entry that is not a module, and what to do."""
    if isinstance(value, type):
        problem, remedy = f"the class {one_line(value.__name__)}", f"make an object of it, as in nn.{value.__name__}()"
    elif isinstance(value, torch.nn.Module):
        problem, remedy = f"a torch.nn.{type(value).__name__}", f"use graphc.nn.{type(value).__name__}"
    elif isinstance(value, (list, tuple)):
        problem, remedy = f"a {type_name(value)}", "write its modules one by one: nn.Sequential(*modules)"
    else:
        shown = f"the function {one_line(value.__name__)}" if inspect.isroutine(value) else brief(value)
        problem, remedy = shown, "entries are modules such as nn.Tanh(), and nn.Identity() for none"
    return f"entry {name!r} is {problem}, not a module", remedy
