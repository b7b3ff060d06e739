"""Checkpoints: the values of a State in one safetensors file, with what they mean as JSON in its header.

Parameters stand under the names that torch's state dicts have, so that torch reads them, and a state dict that was
saved as safetensors is a checkpoint of a program that only predicts. All else stands under `role:name`. Of several
cells with one name, the second is called `name#2`. A run of `fit` adds a record of where it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, NoReturn

import torch

from graphc.errors import CheckpointError, brief, one_line
from graphc.files import check_plain_file, path_name, reason, replace_file
from graphc.ir import Cell, Role
from graphc.runtime.interrupt import DeferredInterrupt
from graphc.state import State
from graphc.types import DTYPES, Array, TensorType

__all__ = ["Checkpoint", "checked_path", "copies", "put", "read_checkpoint", "values_for", "write_checkpoint"]

FORMAT = "graphc checkpoint"
VERSION = 1

_ROLES = {Role.PARAMETER: "parameter", Role.SLOT: "slot", Role.HYPER: "hyper", Role.RANDOM: "random"}
_RECORD = "fit:"
"""Before the names of tensors that belong to the record of a run."""

LONGEST_PROBLEM = 1500
"""Characters of a message: names may have any length."""

_LISTED = 5
"""How many names a message shows."""


@dataclass(frozen=True)
class Checkpoint:
    """What a file has: tensors by role and name (the second of one name after the first), and the record of a run.

    Of a state dict, nothing tells more about the tensors than their names: all count as parameters.
    """

    path: str
    values: Mapping[tuple[Role, str], Sequence[Array]]
    record: Mapping[str, Any] | None = None
    tensors: Mapping[str, Array] | None = None
    """Those of the record."""


# Writing --------------------------------------------------------------------------------------------------------------


def copies(cells: Iterable[Cell], read: Callable[[Cell], Array]) -> dict[Cell, Array]:
    """The values of `cells`, apart: those that programs have moved share storage, which the format does not have."""
    return {cell: read(cell).detach().clone(memory_format=torch.contiguous_format) for cell in cells}


def write_checkpoint(
    path: object,
    values: Mapping[Cell, Array],
    record: Mapping[str, Any] | None = None,
    tensors: Mapping[str, Array] | None = None,
) -> None:
    """Write `values`, which share no storage; after this returns they are on disk. Raises CheckpointError, the file as
    it was.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save

    name = checked_path(path)
    named = _entries(values)
    content = {entry: values[cell] for entry, cell in named}
    content.update({_RECORD + key: tensor for key, tensor in (tensors or {}).items()})
    about: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "graphc": _version(),
        "cells": [[entry, _ROLES[cell.role], cell.name] for entry, cell in named],
    }
    if record is not None:
        about["fit"] = record
    try:
        data = save(content, {"format": "pt", "graphc": json.dumps(about, allow_nan=False)})
        replace_file(name, data)
    except (OSError, ValueError) as error:
        _fail(name, f"cannot be written: {reason(error)}")
    except SafetensorError as error:
        _fail(name, f"cannot be written: {one_line(str(error))}. The names of all cells may take 100 MB")


@cache
def _version() -> str:
    """The installed version of graphc, which stands in a file."""
    return version("graphc")


def _entries(cells: Iterable[Cell]) -> list[tuple[str, Cell]]:
    """Cells with the names of their tensors, parameters first, each kind in order of construction."""
    taken = {"__metadata__"}  # which the format keeps for itself
    found = []
    for cell in sorted(cells, key=lambda cell: (cell.role is not Role.PARAMETER, cell.serial)):
        name = cell.name.encode(errors="backslashreplace").decode()  # a lone surrogate has no UTF-8
        is_plain = cell.role is Role.PARAMETER and name and not name.startswith(_RECORD)
        first = entry = name if is_plain else f"{_ROLES[cell.role]}:{name}"
        number = 1
        while entry in taken:
            number += 1
            entry = f"{first}#{number}"
        taken.add(entry)
        found.append((entry, cell))
    return found


# Reading --------------------------------------------------------------------------------------------------------------


def read_checkpoint(path: object) -> Checkpoint:
    """What a file has. Nothing in it is executed. Raises CheckpointError for whatever is no checkpoint."""
    from safetensors import SafetensorError

    name = checked_path(path)
    try:
        problem = check_plain_file(name) or _foreign(name)
        metadata, tensors = ({}, {}) if problem else _content(name)
    except (OSError, ValueError) as error:
        problem = f"cannot be read: {reason(error)}"
    except SafetensorError as error:
        problem = f"is no whole safetensors file: {one_line(str(error))}. program.save(path) writes them"
    if problem:
        _fail(name, problem)
    if "graphc" not in metadata:
        return Checkpoint(name, {(Role.PARAMETER, key): [value] for key, value in tensors.items()})
    about = _about(name, metadata["graphc"])
    values: dict[tuple[Role, str], list[Array]] = {}
    for entry, role, label in about["cells"]:
        if entry not in tensors:
            _fail(name, f"says that it has {brief(entry)}, and has not")
        values.setdefault((role, label), []).append(tensors.pop(entry))
    own = {key.removeprefix(_RECORD): value for key, value in tensors.items() if key.startswith(_RECORD)}
    if len(own) < len(tensors):
        stray = next(key for key in tensors if not key.startswith(_RECORD))
        _fail(name, f"has a tensor {brief(stray)}, of which its header says nothing")
    return Checkpoint(name, values, about.get("fit"), own)


def _content(name: str) -> tuple[dict[str, str], dict[str, Array]]:
    """Metadata and tensors. An interrupt within the package would look like a fault of the file: it waits."""
    from safetensors import safe_open

    tensors = {}
    with safe_open(name, framework="pt", device="cpu") as file:
        metadata = file.metadata() or {}
        for key in list(file.keys()):
            with DeferredInterrupt():
                tensors[key] = file.get_tensor(key)
    return metadata, tensors


def _about(name: str, text: str) -> dict[str, Any]:
    """The JSON of the header, checked."""
    try:
        about = json.loads(text)
    except (ValueError, RecursionError):
        _fail(name, "has a header that is not JSON")
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        _fail(name, f'is no graphc checkpoint: its header does not say "format": "{FORMAT}"')
    found = about.get("version")
    if type(found) is not int or found < 1:
        _fail(name, f"has version {brief(found)}, which there is not")
    if found > VERSION:
        maker = about.get("graphc")
        by = f", written by graphc {maker}" if isinstance(maker, str) and len(maker) < 40 else ""
        _fail(name, f"has version {found}{by}, and this graphc reads up to {VERSION}. Install a newer graphc")
    roles = {text: role for role, text in _ROLES.items()}
    cells = about.get("cells")
    if not isinstance(cells, list):
        _fail(name, "has a header without a list of cells")
    checked = []
    for cell in cells:
        if not isinstance(cell, list) or len(cell) != 3 or not all(isinstance(part, str) for part in cell):
            _fail(name, f"has a header with {brief(cell)} among its cells")
        if cell[1] not in roles:
            _fail(name, f"has a header with the role {brief(cell[1])}, which there is not")
        checked.append((cell[0], roles[cell[1]], cell[2]))
    if "fit" in about and not isinstance(about["fit"], dict):
        _fail(name, "has a header whose record of a run is not one")
    return {**about, "cells": checked}


def values_for(checkpoint: Checkpoint, cells: Sequence[Cell], strict: bool = True) -> dict[Cell, Array]:
    """The value of each cell. With `strict` every cell has one and every parameter of the file is one of the cells;
    without, what both have.

    Raises CheckpointError, which lists what does not fit.
    """
    groups: dict[tuple[Role, str], list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.serial):
        groups.setdefault((cell.role, cell.name), []).append(cell)
    problems = list(_problems(checkpoint, groups, strict))
    if groups and not problems and not any(key in checkpoint.values for key in groups):
        problems = ["none of its names is one of the program's"]
    if problems:
        more = f"; and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        remedy = _remedy(checkpoint, groups)
        _fail(checkpoint.path, f"does not fit the program: {'; '.join(problems[:_LISTED])}{more}. {remedy}")
    return {
        cell: value
        for key, group in groups.items()
        if key in checkpoint.values
        for cell, value in zip(group, checkpoint.values[key], strict=True)
    }


def put(values: Mapping[Cell, Array], state: State) -> None:
    """Let `state` have `values`. Raises StateError while another call updates it."""
    with DeferredInterrupt(), state.updating(frozenset(values)):
        for cell, value in values.items():
            state.read(cell).copy_(value)


def _problems(checkpoint: Checkpoint, groups: Mapping[tuple[Role, str], list[Cell]], strict: bool) -> Iterator[str]:
    """What does not fit, a line each."""
    for key, group in groups.items():
        what = f"{key[0].value} {one_line(repr(key[1]))}"
        found = checkpoint.values.get(key, ())
        if not found:
            if strict:
                yield f"it has no {what}"
        elif len(found) != len(group):
            yield f"it has {len(found)} of {what}, the program {len(group)}, and which is which cannot be told"
        else:
            for cell, value in zip(group, found, strict=True):
                if tuple(value.shape) != cell.type.shape or value.dtype is not cell.type.dtype:
                    yield f"{what} is {_type(value)} in the file, {cell.type} in the program"
    if strict:
        for role, name in checkpoint.values:
            if role is Role.PARAMETER and (role, name) not in groups:
                yield f"the program has no parameter {one_line(repr(name))}"


def _type(value: Array) -> str:
    """As types are printed, also of what graphc has no type for."""
    known = value.dtype in DTYPES
    return str(TensorType(tuple(value.shape), value.dtype)) if known else f"{value.dtype}{list(value.shape)}"


def _remedy(checkpoint: Checkpoint, groups: Mapping[tuple[Role, str], list[Cell]]) -> str:
    if any(_problems(checkpoint, groups, strict=False)):
        return "Values are neither converted nor matched by guess: build the program with what the file has"
    if all(role is Role.PARAMETER for role, _ in checkpoint.values) and any(
        role is not Role.PARAMETER for role, _ in groups
    ):
        return "It has parameters only; strict=False takes these and leaves the optimizer as it is"
    names = [name for role, name in checkpoint.values if role is Role.PARAMETER]
    if names and all(name.startswith("module.") for name in names):
        return "Its names begin with 'module.', as torch's DataParallel writes them: remove that from the keys"
    if not any(key in checkpoint.values for key in groups):
        return "Names follow from how a network is built: build it as the one that was saved"
    return "strict=False takes what fits by name"


def _foreign(name: str) -> str:
    """What the file is instead, if one can tell by how it begins."""
    with open(name, "rb") as file:
        start = file.read(16)
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return (
            "is a pickle, as torch.save writes them, and reading one can run any code. Where you trust it, convert it: "
            "safetensors.torch.save_file(torch.load(path), new_path)"
        )
    if start.startswith((b"\x89HDF", b"\x93NUMPY")):
        return "is a file of another format; checkpoints are safetensors"
    if start.lstrip()[:1] == b"{":
        return "is text, maybe a saved graph (Graph.load); checkpoints are safetensors"
    return "is empty. program.save(path) writes checkpoints" if not start else ""


def checked_path(path: object) -> str:
    """A path as a string. Raises CheckpointError for what is none, and for one that could be written and not read."""
    name = path_name(path)
    if name is None:
        raise CheckpointError(f"a path is a string or a pathlib.Path, not {brief(path)}")
    try:
        name.encode()
    except UnicodeEncodeError:
        problem = f"{name!a}: a path that is not UTF-8, which the package safetensors does not open. Use another"
        raise CheckpointError(problem) from None
    return name


def _fail(name: str, problem: str) -> NoReturn:
    short = problem if len(problem) <= LONGEST_PROBLEM else f"{problem[:LONGEST_PROBLEM]}…"
    raise CheckpointError(f"{one_line(name)}: {short}") from None
