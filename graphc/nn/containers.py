"""Modules that hold modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, overload

from graphc.errors import CompileError
from graphc.ir import complaint
from graphc.nn.module import Module, registered

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
                what = f"class {module.__name__}" if isinstance(module, type) else f"{type(module).__name__} object"
                problem = f"entry {name!r} is the {what}, not a module"
                raise complaint(CompileError, "Sequential", problem, remedy="entries are objects such as nn.Tanh()")
            setattr(self, name, module)

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x)
        return x

    def __len__(self) -> int:
        return len(registered(self, Module))

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in registered(self, Module))

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        """A module, or a Sequential of the same modules under the same names."""
        modules = registered(self, Module)
        if isinstance(index, slice):
            return Sequential(OrderedDict(modules[index]))
        if not -len(modules) <= index < len(modules):
            raise IndexError(f"index {index} is out of range for a Sequential of {len(modules)} modules")
        return modules[index][1]
