"""A graph as JSON text and back: data only, with a version, one line for each node.

Nodes are numbered as in the printed graph, operands before users, so a file can have no cycles. Ops are found by name
in the registry, and types are inferred again: what is read is as legal as what was built, or it is refused.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from graphc.errors import GraphFileError, brief, type_name
from graphc.ir.attributes import (
    Tables,
    check_attributes,
    kinds_of,
    read_cell,
    read_tensor,
    values_of,
    write_cell,
    write_tensor,
)
from graphc.ir.cell import Cell
from graphc.ir.collection import collector_paused
from graphc.ir.encoding import (
    list_of,
    read_choice,
    read_fields,
    read_index,
    read_text,
    read_type,
    refuse,
    shown,
    write_type,
)
from graphc.ir.node import Node
from graphc.ir.op import OPS, Op
from graphc.ir.origin import Origin
from graphc.ir.output import Output, OutputRole
from graphc.ir.saved_origins import NODE, WrittenOrigins, read_origins
from graphc.ir.verify import problem_of

__all__ = ["cells_of", "graph_from_json", "graph_to_json"]

FORMAT = "graphc graph"
VERSION = 1

_SECTIONS = ("files", "modules", "cells", "constants", "nodes", "inputs", "outputs")
_dump = json.JSONEncoder(allow_nan=False).encode


def cells_of(nodes: Iterable[Node], outputs: Iterable[Output]) -> list[Cell]:
    """Every cell that a node or an output names, also those that are only told apart, in order of construction."""
    found = {value for node in nodes for value in values_of(node.op).values() if isinstance(value, Cell)}
    found |= {output.cell for output in outputs if output.cell is not None}
    return sorted(found, key=lambda cell: cell.serial)


# Writing --------------------------------------------------------------------------------------------------------------


def graph_to_json(name: str, inputs: Sequence[Node], nodes: Sequence[Node], outputs: Sequence[Output]) -> str:
    """The text of a graph whose nodes, inputs apart, are `nodes`. Raises GraphFileError for what files cannot have."""
    with collector_paused():
        return _text(name, inputs, nodes, outputs)


def _text(name: str, inputs: Sequence[Node], nodes: Sequence[Node], outputs: Sequence[Output]) -> str:
    every = tuple(dict.fromkeys((*inputs, *nodes)))
    number = {node: i for i, node in enumerate(every)}
    cells = cells_of(every, outputs)
    constants: dict[int, torch.Tensor] = {}
    for node in every:
        for value in values_of(node.op).values():
            if isinstance(value, torch.Tensor):
                constants.setdefault(id(value), value)
    numbers: dict[object, int] = {cell: i for i, cell in enumerate(cells)}
    numbers.update((key, i) for i, key in enumerate(constants))
    origins = WrittenOrigins(every)
    sections: dict[str, Iterable[Any]] = {
        "files": origins.files,
        "modules": origins.modules,
        "cells": [write_cell(cell, f"cells[{i}]") for i, cell in enumerate(cells)],
        "constants": [write_tensor(value, f"constants[{i}]") for i, value in enumerate(constants.values())],
        "nodes": [_written(node, number, numbers, origins, f"nodes[{i}]") for i, node in enumerate(every)],
        "inputs": [number[node] for node in inputs],
        "outputs": [
            {
                "name": output.name,
                "role": output.role.value,
                "node": number[output.node],
                **({} if output.cell is None else {"cell": numbers[output.cell]}),
            }
            for output in outputs
        ],
    }
    parts = [f'"format": {_dump(FORMAT)}', f'"version": {VERSION}', f'"name": {_dump(name)}']
    for section, entries in sections.items():
        lines = ",\n".join(map(_dump, entries))
        parts.append(f'"{section}": [\n{lines}\n]' if lines else f'"{section}": []')
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _written(
    node: Node, number: Mapping[Node, int], numbers: Mapping[object, int], origins: WrittenOrigins, place: str
) -> dict[str, Any]:
    if OPS.get(node.op.name) is not type(node.op):
        refuse(place, f"{type(node.op).__name__} is not a registered op")
    found: dict[str, Any] = {"op": node.op.name}
    if node.inputs:
        found["inputs"] = [number[operand] for operand in node.inputs]
    kinds = kinds_of(type(node.op))
    if kinds:
        values = values_of(node.op)
        found["attributes"] = {name: kind.write(values[name], numbers) for name, kind in kinds.items()}
    found["type"] = write_type(node.type, f"{place}.type")
    found["origin"] = origins.written(node.origin)
    return found


# Reading --------------------------------------------------------------------------------------------------------------


def graph_from_json(text: str) -> tuple[str, tuple[Node, ...], tuple[Output, ...]]:
    """Name, inputs and outputs of the graph that `text` is. Raises GraphFileError with the place of what is wrong."""
    with collector_paused():
        return _graph(_parsed(text))


def _parsed(text: str) -> dict[str, Any]:
    if not isinstance(text, str):
        raise GraphFileError(f"is {type_name(text)}, not a text")
    try:
        data = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except GraphFileError:
        raise
    except json.JSONDecodeError as error:
        refuse(f"line {error.lineno}, column {error.colno}", f"is not JSON: {error.msg}")
    except RecursionError:
        raise GraphFileError("is nested too deeply") from None
    except ValueError:  # Python refuses integers of more than some thousand digits
        raise GraphFileError("has a number of too many digits") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise GraphFileError(f'is not a saved graph: it does not say "format": "{FORMAT}"')
    version = data.get("version")
    if version != VERSION or type(version) is not int:
        newer = ", which a newer graphc wrote; this one reads version {}. Update graphc"
        is_newer = type(version) is int and version > VERSION
        reads = (newer if is_newer else ", and this graphc reads version {}").format(VERSION)
        raise GraphFileError(f"has version {shown(version)}{reads}")
    return read_fields(data, "the file", ("format", "version", "name", *_SECTIONS))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        [(twice, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise GraphFileError(f"an object has {brief(twice)} twice")
    return found


def _no_number(text: str) -> float:
    raise GraphFileError(f"{text} is not JSON: numbers that are not finite are quoted")


def _graph(data: dict[str, Any]) -> tuple[str, tuple[Node, ...], tuple[Output, ...]]:
    name = read_text(data["name"], "name")
    entries = {section: list_of(data[section], section) for section in _SECTIONS}
    cells = [read_cell(value, f"cells[{i}]") for i, value in enumerate(entries["cells"])]
    constants = [read_tensor(value, f"constants[{i}]") for i, value in enumerate(entries["constants"])]
    nodes = _nodes(entries["nodes"], Tables(cells, constants), read_origins(entries))
    inputs = tuple(nodes[k] for k in _inputs(entries["inputs"], nodes))
    listed = set(inputs)
    done: set[Node] = set()
    read = {operand for node in nodes for operand in node.inputs}
    for i, node in enumerate(nodes):
        check_attributes(node.op, [x.type for x in node.inputs], node.type, f"nodes[{i}].attributes")
        problem = problem_of(node, done, listed)
        if problem:
            refuse(f"nodes[{i}]", problem)
        done.add(node)
    outputs = tuple(_output(value, f"outputs[{i}]", nodes, cells) for i, value in enumerate(entries["outputs"]))
    read |= listed | {output.node for output in outputs}
    for i, node in enumerate(nodes):
        if node not in read:
            refuse(f"nodes[{i}]", "is neither read nor an output")
    return name, inputs, outputs


def _nodes(values: list[Any], tables: Tables, origin: Callable[[Any, str], Origin]) -> list[Node]:
    nodes: list[Node] = []
    for i, value in enumerate(values):
        place = f"nodes[{i}]"
        found = read_fields(value, place, *NODE)
        name = read_text(found["op"], f"{place}.op")
        if name not in OPS:
            refuse(f"{place}.op", f"{brief(name)} is not an op of this version of graphc")
        operands = list_of(found.get("inputs", []), f"{place}.inputs")
        for position, k in enumerate(operands):
            if type(k) is not int or not 0 <= k < i:
                refuse(f"{place}.inputs[{position}]", f"{shown(k)} is not the number of a node before this one")
        nodes.append(
            Node(
                _op(OPS[name], found.get("attributes", {}), tables, f"{place}.attributes"),
                tuple([nodes[k] for k in operands]),
                read_type(found["type"], f"{place}.type"),
                origin(found["origin"], f"{place}.origin"),
            )
        )
    return nodes


def _op(op: type[Op], attributes: Any, tables: Tables, place: str) -> Op:
    kinds = kinds_of(op)
    found = read_fields(attributes, place, tuple(kinds))
    return op(**{name: kind.read(found[name], f"{place}.{name}", tables) for name, kind in kinds.items()})


def _inputs(values: list[Any], nodes: Sequence[Node]) -> list[int]:
    found: dict[int, None] = {}
    for i, value in enumerate(values):
        k = read_index(value, f"inputs[{i}]", nodes, "nodes")
        if nodes[k].op.name != "placeholder":
            refuse(f"inputs[{i}]", f"node {k} is {nodes[k].op.name}, not a placeholder")
        if k in found:
            refuse(f"inputs[{i}]", f"node {k} is listed twice")
        found[k] = None
    return list(found)


def _output(value: Any, place: str, nodes: Sequence[Node], cells: Sequence[Cell]) -> Output:
    found = read_fields(value, place, ("name", "role", "node"), ("cell",))
    role = OutputRole(read_choice(*(each.value for each in OutputRole))(found["role"], f"{place}.role"))
    if (role is OutputRole.UPDATE) != ("cell" in found):
        refuse(place, f"an update has a cell, and no other output; this is {role.value!r}")
    node = nodes[read_index(found["node"], f"{place}.node", nodes, "nodes")]
    cell = cells[read_index(found["cell"], f"{place}.cell", cells, "cells")] if "cell" in found else None
    return Output(node, role, read_text(found["name"], f"{place}.name"), cell)
