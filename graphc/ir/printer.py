"""Typed SSA text of a graph: one line a node, with the user's line and module at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from graphc.errors import one_line
from graphc.ir.node import Node
from graphc.ir.output import Output

__all__ = ["excerpt", "names_of", "print_graph"]


def print_graph(name: str, inputs: Sequence[Node], nodes: Sequence[Node], outputs: Sequence[Output]) -> str:
    """The text of a graph."""
    names = names_of((*inputs, *nodes))
    header = ", ".join(f"{names[node]}: {node.type}" for node in inputs)
    lines = [f"{one_line(name)}({header})"]
    placeholders = set(inputs)
    lines.extend("  " + _line(node, names) for node in nodes if node not in placeholders)
    for output in outputs:
        target = (
            f"update {_quoted(output.cell.name)}"
            if output.cell is not None
            else f"{output.role.value} {_quoted(output.name)}"
        )
        lines.append(f"  {target} = {names[output.node]}")
    return "\n".join(lines) + "\n"


def excerpt(inputs: Sequence[Node], nodes: Sequence[Node], fault: Node, problem: str, context: int = 3) -> str:
    """The lines of the graph around `fault`, with `problem` written under it."""
    names = names_of((*inputs, *nodes))
    order = list(names)
    at = order.index(fault)
    lines = []
    for node in order[max(0, at - context) : at + context + 1]:
        lines.append("  " + _line(node, names))
        if node is fault:
            lines.append(f"  ^^^ {problem}")
    return "\n".join(lines)


def names_of(nodes: Sequence[Node]) -> dict[Node, str]:
    """A short name for each node: `%k` in order."""
    return {node: f"%{i}" for i, node in enumerate(dict.fromkeys(nodes))}


def _line(node: Node, names: Mapping[Node, str]) -> str:
    operands = ", ".join(names.get(operand, "?") for operand in node.inputs)
    attributes = ", ".join(f"{key}={_shown(value)}" for key, value in node.op.attributes.items())
    inside = "; ".join(part for part in (operands, attributes) if part)
    text = f"{names[node]} = {node.op.name}({inside}) : {node.type}"
    notes = [part for part in (node.origin.location, node.origin.module) if part]
    if node.origin.forward is not None:
        notes.append("backward")
    notes.extend(f"by {one_line(name)}" for name in node.origin.passes)
    return f"{text:<64}  # {'  '.join(notes)}" if notes else text


def _shown(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(entry) for entry in value) + ("," if len(value) == 1 else "") + ")"
    return one_line(str(value))


def _quoted(name: str) -> str:
    """Names are only text: quoted, with control characters escaped."""
    return json.dumps(name)
