"""`Module`: what owns parameters and builds graph when it is called."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import torch

from graphc.errors import (
    CompileError,
    DTypeError,
    StateError,
    SymbolicValueError,
    brief,
    explained,
    one_line,
    type_name,
)
from graphc.ir import Scope, Tensor, complaint
from graphc.ir.elsewhere import MODULES_ELSEWHERE, missing
from graphc.ir.origin import entered, next_ident
from graphc.state import Parameter, State
from graphc.types import Array, as_array, dtype_name

__all__ = ["Module", "registered"]

_T = TypeVar("_T")

MOST_PROBLEMS = 12
"""How many problems of a state dict are listed."""

_CONTAINERS = (dict, list, tuple, set, frozenset)
_MADE_FIRST = ". A layer is made first and called after: {}(x)"


@dataclass
class _Place:
    """Where a module stands: `name` and `prefix` come from the first parent that it is registered under."""

    ident: int
    name: str = ""
    prefix: str = ""
    """What comes before the names of the parameters: the path from the root, with a dot at the end."""
    owned: set[str] = field(default_factory=set)
    """Attributes whose parameter or module takes its name from here."""
    calls: int = 0

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        # What `copy.deepcopy` makes of a module is another module.
        return replace(self, ident=next_ident(), owned=set(self.owned), calls=0)


class Module:
    """Base of layers, losses and networks: assign parameters and modules to attributes, and define `forward`.

    Attributes register as in torch: `parameters()`, `state_dict()` and their like find them, in order of assignment.
    Calling a module runs `forward` on symbolic tensors, which builds graph under the module's name.
    """

    _place: _Place

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        # Here and not in __init__, so that a subclass which forgets super().__init__() is whole all the same.
        self = super().__new__(cls)
        object.__setattr__(self, "_place", _Place(next_ident()))
        return self

    def __init__(self) -> None:
        """Nothing: a module is what its attributes are."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith("graphc."):  # those of users say what Python says
            if "__init__" in vars(cls):
                cls.__init__ = explained(cls.__init__, of_class=True, more=_MADE_FIRST)  # type: ignore[method-assign]
            if "forward" in vars(cls):
                cls.forward = explained(cls.forward, of_class=True)  # type: ignore[method-assign]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes, on symbolic tensors."""
        raise NotImplementedError(
            f"{type(self).__name__} does not define forward: define forward(self, x), which returns symbolic tensors"
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """`forward(...)`, its nodes marked as built by this module. Raises SymbolicValueError when given values."""
        given = (*args, *kwargs.values())
        values = [value for value in given if isinstance(value, torch.Tensor) or hasattr(value, "__array__")]
        if values and not any(isinstance(value, Tensor) for value in given):
            what = f"{type(values[0]).__module__}.{type(values[0]).__name__}"
            raise complaint(
                SymbolicValueError,
                type(self).__name__,
                f"called on a {what}, which has values; a module takes symbolic tensors",
                remedy='declare x = graphc.placeholder("x", shape=...), compile program = graphc.compile([x], net(x)), '
                "and call the program on the values",
            )
        kind, place = type(self).__name__, self._place
        scope = Scope(place.name or kind.lower(), kind, place.ident, place.calls)
        place.calls += 1
        with entered(scope):
            return self.forward(*args, **kwargs)

    # Attributes.

    def __setattr__(self, key: str, value: object) -> None:
        if isinstance(value, (torch.nn.Module, torch.nn.Parameter)):
            problem = f"attribute {key!r} is a torch.nn.{type(value).__name__}, which builds no graph"
            raise complaint(
                CompileError, type(self).__name__, problem, remedy="use what graphc.nn has, or graphc.Parameter(values)"
            )
        self._check_replacement(key, value)
        if (entry := next(_contained(value), None)) is not None:
            raise self._not_found(key, value, entry)
        if isinstance(value, (Module, Parameter)):
            if vars(self).get(key) is value:
                return  # or it would lose the name that it has from here
            self._check_registration(key, value)
        super().__setattr__(key, value)
        place = self._place
        place.owned.discard(key)
        if isinstance(value, Parameter) and not value.name:
            place.owned.add(key)
            value.cell.name = place.prefix + key
        elif isinstance(value, Module) and not value._place.name:
            place.owned.add(key)
            value._place.name = key
            value._relabel(f"{place.prefix}{key}.")

    def _check_replacement(self, key: str, value: object) -> None:
        """A Parameter gives way to its like or to None: anything else would be in no state dict, untrained."""
        if value is None or isinstance(value, (Module, Parameter)):
            return
        present, is_symbol = vars(self).get(key), isinstance(value, Tensor)
        if isinstance(present, Parameter):
            what = "a torch tensor" if isinstance(value, torch.Tensor) else f"a {type_name(value)}"
            problem = f"{key!r} is a Parameter; {what} in its place would not train"
            remedy = f"set its value with module.{key}.value = tensor, or assign a graphc.Parameter(tensor)"
            if is_symbol:
                remedy = "compute it in forward, or give it an attribute of its own; a step changes values by updates"
        elif isinstance(present, Module) and is_symbol:
            problem = f"{key!r} is a {type(present).__name__}; a symbolic tensor in its place would lose the module"
            remedy = "give what it computes another name"
        else:
            return
        raise complaint(CompileError, type(self).__name__, problem, remedy=remedy)

    def _not_found(self, key: str, value: object, entry: Module | Parameter) -> CompileError:
        """The error for what is registered nowhere, as it stands in a container."""
        what, remedy = "Parameters, which", "assign an attribute for each Parameter"
        if isinstance(entry, Module):
            what = "modules, whose parameters"
            remedy = "use nn.Sequential, which can be indexed, or an attribute for each"
        problem = f"attribute {key!r} is a {type(value).__name__} of {what} would not be found"
        return complaint(CompileError, type(self).__name__, problem, remedy=remedy)

    def _check_registration(self, key: str, value: Module | Parameter) -> None:
        kind = type(self).__name__
        if not key or "." in key:
            raise complaint(
                CompileError,
                kind,
                f"{key!r} cannot name a {type(value).__name__}: names have no dots",
                remedy="dots come from modules in modules; write _ for them",
            )
        if hasattr(Module, key):
            raise complaint(CompileError, kind, f"{key!r} is a method of every module", remedy="choose another name")
        if isinstance(value, Module) and any(module is self for _, module in _walk(value)):
            problem = f"{key!r} would make the module contain itself"
            raise complaint(CompileError, kind, problem, remedy="assign another module")

    def _relabel(self, prefix: str) -> None:
        """Name everything that takes its name from here, after a parent took this module in."""
        waiting = [(self, prefix)]
        while waiting:
            module, prefix = waiting.pop()
            module._place.prefix = prefix
            for key in module._place.owned:
                value = vars(module).get(key)
                if isinstance(value, Module):
                    waiting.append((value, f"{prefix}{key}."))
                elif isinstance(value, Parameter):
                    value.cell.name = prefix + key

    if not TYPE_CHECKING:  # type checkers report unknown attributes themselves

        def __getattr__(self, name: str) -> NoReturn:
            there = ", ".join(key for key in vars(self) if not key.startswith("_"))
            also = {"": f"it has {there}, and what is not assigned in __init__ is not there"} if there else {}
            known = [*vars(self), *dir(type(self))]
            raise missing(f"{type(self).__name__!r} object", name, known, {**also, **MODULES_ELSEWHERE})

    # What is registered.

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules registered here, each once."""
        seen = set()
        for key, module in registered(self, Module):
            if id(module) not in seen:
                seen.add(id(module))
                yield key, module

    def children(self) -> Iterator[Module]:
        return (module for _, module in self.named_children())

    def named_modules(self, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """This module and all below it, parents first. Raises CompileError for what is hidden in a container."""
        found = list(_walk(self, prefix, remove_duplicate))
        _check_containers([module for _, module in found])
        return iter(found)

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """The parameters of this module and, with `recurse`, of all below it; a shared one under its first name."""
        seen = set()
        modules = self.named_modules(prefix, remove_duplicate)
        for path, module in modules if recurse else [(prefix, self)]:
            for key, parameter in registered(module, Parameter):
                if parameter.cell not in seen or not remove_duplicate:
                    seen.add(parameter.cell)
                    yield _join(path, key), parameter

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    # Values.

    def state_dict(self) -> dict[str, Array]:
        """A copy of every value in the default State, under torch's keys; a shared one under each of its names."""
        return {name: parameter.value.clone() for name, parameter in self.named_parameters(remove_duplicate=False)}

    @explained
    def load_state_dict(self, state_dict: Mapping[str, Array]) -> None:
        """Set every value in the default State; `state_dict` may be that of the torch module.

        Raises StateError when a key is missing or unexpected or a value does not fit; then nothing has changed.
        """
        subject = f"{type(self).__name__}.load_state_dict"
        if not isinstance(state_dict, Mapping):
            problem = f"takes a mapping, not {brief(state_dict)}"
            raise complaint(StateError, subject, problem, remedy=_mapping_from(state_dict))
        parameters = dict(self.named_parameters(remove_duplicate=False))
        problems = [f"missing: {name!r}" for name in parameters if name not in state_dict]
        problems += [f"unexpected: {name!r}" for name in state_dict if name not in parameters]
        for name, value in state_dict.items():
            if name in parameters:
                problems.extend(_misfits(name, parameters[name], value))
        if problems:
            listed = "\n  ".join([*problems[:MOST_PROBLEMS], *["…"] * (len(problems) > MOST_PROBLEMS)])
            remedy = _way_out(parameters, state_dict, problems)
            raise StateError(f"{subject}: nothing was loaded:\n  {listed}\n{remedy}")
        state = State({parameter.cell: None for parameter in parameters.values()})
        with state.updating(frozenset(state.cells)):
            for name, parameter in parameters.items():
                state[parameter] = state_dict[name]

    def to(self, target: torch.dtype | torch.device | str) -> Self:
        """Move the values to a device, or convert floating parameters to a dtype. Returns the module.

        A dtype is part of every graph built with the module, so it can change only before the first call and before an
        optimizer is made; fresh initial values are drawn as before and then converted. Raises StateError.
        """
        if not isinstance(target, torch.dtype):
            State(parameter.cell for parameter in self.parameters()).to(target)
            return self
        kind = type(self).__name__
        if not target.is_floating_point:
            raise complaint(DTypeError, f"{kind}.to", f"parameters have a floating dtype, not {dtype_name(target)}")
        changing = [p for p in self.parameters() if p.dtype.is_floating_point and p.dtype is not target]
        used = next((parameter for parameter in changing if parameter.is_used), None)
        if used is not None:
            raise StateError(
                f"{kind}.to({target}): {used.name!r} is part of a graph or an optimizer already, as "
                f"{dtype_name(used.dtype)}. Convert a module before its first call and before making its optimizer"
            )
        for parameter in changing:
            parameter.convert(target)
        return self

    def double(self) -> Self:
        """`to(torch.float64)`."""
        return self.to(torch.float64)

    def float(self) -> Self:
        """`to(torch.float32)`."""
        return self.to(torch.float32)

    # How it prints.

    def extra_repr(self) -> str:
        """The arguments that `repr` shows."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        children = [f"({one_line(key)}): {module!r}".replace("\n", "\n  ") for key, module in registered(self, Module)]
        if not children:
            return f"{one_line(type(self).__name__)}({extra})"
        return f"{one_line(type(self).__name__)}(\n  " + "\n  ".join([extra] * bool(extra) + children) + "\n)"


Module.__init__ = explained(Module.__init__, of_class=True, more=_MADE_FIRST)  # type: ignore[method-assign]


def registered(module: Module, kind: type[_T]) -> list[tuple[str, _T]]:
    """The attributes of `module` that hold a `kind`, in the order of assignment."""
    return [(key, value) for key, value in vars(module).items() if isinstance(value, kind)]


def _walk(root: Module, prefix: str = "", remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
    """`root` and the modules below it with their paths, parents first."""
    seen = set()
    waiting = [(prefix, root)]
    while waiting:
        name, module = waiting.pop()
        if id(module) in seen and remove_duplicate:
            continue
        seen.add(id(module))
        yield name, module
        waiting.extend(reversed([(_join(name, key), child) for key, child in registered(module, Module)]))


def _contained(value: object) -> Iterator[Module | Parameter]:
    """Modules and Parameters in a list or its like, or in such within it."""
    waiting: list[Any] = [value] if isinstance(value, _CONTAINERS) else []
    seen = set()  # a list may contain itself
    while waiting:
        each = waiting.pop()
        if isinstance(each, (Module, Parameter)):
            yield each
        elif id(each) not in seen:
            seen.add(id(each))
            entries = each.values() if isinstance(each, dict) else each
            waiting.extend([entry for entry in entries if isinstance(entry, (*_CONTAINERS, Module, Parameter))])


def _check_containers(modules: Sequence[Module]) -> None:
    """Containers are checked when they are assigned, and may have been empty then."""
    known = {id(module) for module in modules}
    cells = {parameter.cell for module in modules for _, parameter in registered(module, Parameter)}
    for module in modules:
        for key, value in vars(module).items():
            for entry in _contained(value):
                if isinstance(entry, Parameter):
                    is_lost = entry.cell not in cells
                else:
                    is_lost = id(entry) not in known and _is_nowhere(entry, module)
                if is_lost:
                    raise module._not_found(key, value, entry)


def _is_nowhere(entry: Module, holder: Module) -> bool:
    """Whether a module in a list of `holder` has parameters and is registered nowhere, nor is it above `holder`."""
    below = [module for _, module in _walk(entry)]
    has_parameters = any(registered(module, Parameter) for module in below)
    return has_parameters and not entry._place.name and not any(module is holder for module in below)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _misfits(name: str, parameter: Parameter, value: object) -> Iterator[str]:
    try:
        given = as_array(value)
    except (TypeError, ValueError, RuntimeError) as error:
        yield f"no tensor: {name!r} is {brief(value)}: {one_line(str(error))}"
        return
    if tuple(given.shape) != parameter.shape:
        yield f"wrong shape: {name!r} is {list(parameter.shape)}, the value {list(given.shape)}"
    if given.dtype is not parameter.dtype:
        yield f"wrong dtype: {name!r} is {dtype_name(parameter.dtype)}, the value {dtype_name(given.dtype)}"


def _mapping_from(value: object) -> str:
    """Where the values are that somebody meant who gave `value` for them."""
    if isinstance(value, (str, os.PathLike)):
        return "read a file first, with safetensors.torch.load_file(path)"
    if hasattr(value, "state_dict"):
        return "give its .state_dict()"
    return "give a dict from names to tensors, as state_dict() returns it"


def _way_out(parameters: Mapping[str, Parameter], given: Mapping[str, Any], problems: Sequence[str]) -> str:
    """What to do about a state dict that does not fit."""
    nested = next((key for key, value in given.items() if isinstance(value, Mapping)), None)
    if nested is not None:
        return f'The values are in an entry of it: load_state_dict(values["{one_line(str(nested))}"])'
    strange, first = [str(key) for key in given if key not in parameters], next(iter(parameters), "")
    prefix = next((key.removesuffix(first) for key in strange if first and key.endswith(f".{first}")), "")
    if prefix:
        return (
            f"All names have the prefix {prefix!r}, as those of a module around it (such as DataParallel) do: "
            f"{{name.removeprefix({prefix!r}): value for name, value in values.items()}}"
        )
    if all(problem.startswith("wrong dtype") for problem in problems):
        dtype = next(iter(parameters.values())).dtype
        return f"Convert the values, with .to({dtype}), or the module before its first call, with .double()"
    if any(problem.startswith("no tensor") for problem in problems):
        return "Every value is a tensor"
    if any(problem.startswith("wrong shape") for problem in problems):
        return "Make layers of the same sizes as those that were saved"
    return f"It takes all of these keys and no others: {', '.join(map(one_line, parameters))}"
