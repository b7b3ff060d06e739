"""A graph as the Python program that builds it.

A node is written as a call of the public function that users would write, if trying that call builds exactly this node,
and otherwise as `apply(OPS["name"](…), …)`, which is exact for every op. One statement a node: nothing is nested.
"""

from __future__ import annotations

import base64
import builtins
import itertools
import keyword
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from graphc.dims import Dim, Size, same, symbols_of
from graphc.ir.attributes import values_of
from graphc.ir.cell import Cell, Role
from graphc.ir.collection import collector_paused
from graphc.ir.node import Node
from graphc.ir.output import Output
from graphc.ir.saved import cells_of
from graphc.ir.tensor import FUNCTIONS, INFIX, Tensor
from graphc.types import DTYPES, TensorType

__all__ = ["builder_code"]

MOST_NUMBERS = 32
"""Constants of more are written as bytes."""
LONGEST_NAME = 40
MOST_LINES = 2000
"""In so long a program, finding the line of each node takes time that grows with the square of the length."""
NOWHERE = "in no module"
WITHOUT_LINES = "with inherited(Origin(next_ident())):"

IMPORTS = {
    "base64": "import base64\n",
    "torch": "import torch\n",
    "graphc": "import graphc",
    "symbol": "from graphc.dims import symbol",
    "ir": "from graphc.ir import {}",
    "inherited": "from graphc.ir.origin import Origin, inherited, next_ident",
    "TensorType": "from graphc.types import TensorType",
}
FROM_IR = ("OPS", "Graph", "Output", "OutputRole", "Role", "apply")
RESERVED = {*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *IMPORTS, *FROM_IR, "Origin", "next_ident", "graph"}

# Functions with another name than the op that they build.
RENAMED = {"broadcast": "broadcast_to", "log_sum_exp": "logsumexp", "size_value": "constant"}


def builder_code(name: str, inputs: Sequence[Node], nodes: Sequence[Node], outputs: Sequence[Output]) -> str:
    """The program of a graph, which ends with `graph = Graph(…)`."""
    with collector_paused():
        return _Program(inputs, nodes, outputs).text(name)


class _Program:
    """The statements so far, and what they call everything."""

    def __init__(self, inputs: Sequence[Node], nodes: Sequence[Node], outputs: Sequence[Output]) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.nodes = tuple(dict.fromkeys((*inputs, *nodes)))
        self.used = {"graphc", "Graph"}
        self.taken = set(RESERVED)
        self.counts: Counter[str] = Counter()
        sizes = itertools.chain.from_iterable((*n.type.shape, *n.op.sizes) for n in self.nodes)
        self.sizes = {each: self.identifier(each, "size") for each in sorted(symbols_of(sizes))}
        self.names: dict[Node, str] = {}
        self.cells: dict[Cell, str] = {}
        self.read: set[Cell] = set()
        values = [value for node in self.nodes for value in values_of(node.op).values()]
        tensors = [value for value in values if isinstance(value, torch.Tensor)]
        uses = Counter(map(id, tensors))
        self.shared = {id(value): value for value in tensors if uses[id(value)] > 1}
        self.constants: dict[int, str] = {}

    def text(self, name: str) -> str:
        for node in self.nodes:
            if node.op.name == "placeholder":
                self.names[node] = self.identifier(str(node.op.attributes["label"]), "input")
        for cell in cells_of(self.nodes, self.outputs):
            self.cells[cell] = self.identifier(cell.name, cell.role.name.lower())
        self.constants.update((key, self.identifier("constant", "")) for key in self.shared)
        declared = [f"{each} = symbol({_quoted(size)})" for size, each in self.sizes.items()]
        if declared:
            self.used.add("symbol")
        made = [f"{each} = {self.variable(cell)}" for cell, each in self.cells.items()]
        given = [f"{each} = {self.placeholder(node)}" for node, each in self.names.items()]
        shared = [f"{self.constants[key]} = {self.constant(value)}" for key, value in self.shared.items()]
        paragraphs = [declared, given, made, shared, self.body(), [self.graph(name)]]
        head = ['"""Builds a graph. Written by graphc.Graph.to_python."""', "", *self.imports()]
        return "\n\n".join("\n".join(lines) for lines in (head, *paragraphs) if lines) + "\n"

    def imports(self) -> list[str]:
        from_ir = [name for name in FROM_IR if name in self.used]
        self.used.add("ir")
        return [line.format(", ".join(from_ir)) for name, line in IMPORTS.items() if name in self.used]

    def body(self) -> list[str]:
        lines = []
        around = NOWHERE
        for i, node in enumerate(self.nodes):
            if node in self.names:
                continue
            if node.op.cell is not None and node.op.cell not in self.read:
                self.names[node] = self.cells[
                    node.op.cell
                ]  # a variable is the tensor of one node; others read its cell
                self.read.add(node.op.cell)
                continue
            place = _place(node) if node.inputs else around
            if place != around:
                lines.append(f"# {place}")
                around = place
            self.names[node] = self.identifier(f"t{i}", "t")
            lines.append(f"{self.names[node]} = {self.expression(node)}")
        if len(lines) > MOST_LINES:
            self.used.add("inherited")
            indented = [f"    {line}" for line in lines]
            return ["# One line for all: Python takes long to find each of so many.", WITHOUT_LINES, *indented]
        return lines

    def graph(self, name: str) -> str:
        inputs = _tuple([f"{self.names[node]}.node" for node in self.inputs])
        lines = ["graph = Graph(", f"    inputs={inputs},", "    outputs=("]
        for output in self.outputs:
            self.used |= {"Output", "OutputRole"}
            cell = "" if output.cell is None else f", {self.cells[output.cell]}.cell"
            role = f"OutputRole.{output.role.name}"
            lines.append(f"        Output({self.names[output.node]}.node, {role}, {_quoted(output.name)}{cell}),")
        return "\n".join([*lines, "    ),", f"    name={_quoted(name)},", ")"])

    # Leaves.

    def placeholder(self, node: Node) -> str:
        label, type_ = node.op.attributes["label"], node.type
        if not label:
            return self.applied(node)
        dtype = "" if type_.dtype is torch.float32 else f", {self.code(type_.dtype)}"
        return f"graphc.placeholder({_quoted(label)}, {self.code(type_.shape)}{dtype})"

    def variable(self, cell: Cell) -> str:
        dtype = self.code(cell.type.dtype)
        value = f"torch.zeros({self.code(cell.type.shape)}, dtype={dtype})"
        if cell.role is Role.HYPER and not cell.type.shape:
            value = f"torch.tensor({self.code(cell.value.item())}, dtype={dtype})"
        if cell.role is Role.PARAMETER:
            return f"graphc.Parameter({value}, name={_quoted(cell.name)})"
        if cell.role is Role.SLOT:
            return f"graphc.Variable({value}, name={_quoted(cell.name)})"
        self.used.add("Role")
        return f"graphc.Variable({value}, name={_quoted(cell.name)}, role=Role.{cell.role.name})"

    def constant(self, value: torch.Tensor) -> str:
        """An expression for a tensor of these bytes."""
        dtype, shape = self.code(value.dtype), self.code(tuple(value.shape))
        if not value.numel():
            return f"torch.zeros({shape}, dtype={dtype})"
        flat = value.detach().cpu().contiguous().reshape(-1)
        if value.numel() <= MOST_NUMBERS and bool(flat.isfinite().all()):
            return f"torch.tensor({value.tolist()}, dtype={dtype})"
        self.used.add("base64")
        text = base64.b64encode(flat.view(torch.uint8).numpy().tobytes()).decode("ascii")
        return f'torch.frombuffer(bytearray(base64.b64decode("{text}")), dtype={dtype}).reshape({shape})'

    # All other nodes.

    def expression(self, node: Node) -> str:
        if node.op.name == "tensor_constant":
            [value] = values_of(node.op).values()
            if id(value) not in self.shared and value.ndim and value.dtype in DTYPES:
                return f"graphc.constant({self.constant(value)})"
        return self.called(node) or self.applied(node)

    def applied(self, node: Node) -> str:
        self.used |= {"OPS", "apply"}
        attributes = ", ".join(f"{name}={self.code(value)}" for name, value in values_of(node.op).items())
        operands = [f'OPS["{node.op.name}"]({attributes})', *(self.names[x] for x in node.inputs)]
        return f"apply({', '.join(operands)})"

    def called(self, node: Node) -> str | None:
        """A call of a public function that builds exactly `node`, if there is one."""
        op, x = node.op, [self.names[operand] for operand in node.inputs]
        values = list(op.attributes.values())
        if any(isinstance(value, Cell) for value in values):
            return None  # which function would take a cell?
        name = RENAMED.get(op.name, op.name)
        handles: list[Any] = [Tensor(operand) for operand in node.inputs]
        match op.name:
            case "pow_number":
                name, text = "pow", f"{x[0]} ** {self.code(values[0])}"
            case "cast":
                text = f"{x[0]}.to({self.code(values[0])})"
            case "neg":
                text = f"-{x[0]}"
            case "cat":
                handles, text = [handles], f"graphc.cat([{', '.join(x)}], {self.code(values[0])})"
            case "slice":
                key, index = self.index(node)
                name, values, text = "getitem", [key], f"{x[0]}[{index}]"
            case _ if name in INFIX:
                text = f"{x[0]} {INFIX[name]} {x[1]}"
            case _:
                text = f"graphc.{name}({', '.join([*x, *map(self.code, values)])})"
        return text if name in FUNCTIONS and _builds(name, [*handles, *values], node) else None

    def index(self, node: Node) -> tuple[Any, str]:
        """The key of a slice, and how it is written."""
        dim, start, length, step = node.op.attributes.values()
        stop = start + (length - 1) * step + 1
        size = node.inputs[0].type.shape[dim]
        first = None if same(start, 0) else start
        last = None if same(stop, size) else stop
        parts = ["" if each is None else self.code(each) for each in (first, last)] + [str(step)] * (step != 1)
        return (*[slice(None)] * dim, slice(first, last, step)), ", ".join([":"] * dim + [":".join(parts)])

    # Values.

    def code(self, value: object) -> str:
        """An expression for an attribute."""
        if isinstance(value, tuple):
            return _tuple([self.code(entry) for entry in value])
        if isinstance(value, Dim):
            return self.size(value)
        if isinstance(value, torch.dtype):
            self.used.add("torch")
            return str(value)
        if isinstance(value, Cell):
            return f"{self.cells[value]}.cell"
        if isinstance(value, TensorType):
            self.used.add("TensorType")
            return f"TensorType({self.code(value.shape)}, {self.code(value.dtype)})"
        if isinstance(value, torch.Tensor):
            return self.constants.get(id(value)) or self.constant(value)
        if isinstance(value, float) and not math.isfinite(value):
            return f'float("{value}")'
        return _quoted(value) if isinstance(value, str) else repr(value)

    def size(self, size: Size) -> str:
        """A polynomial, in the names that the program has for its sizes."""
        text = ""
        for monomial, k in size.terms if isinstance(size, Dim) else (((), size),):
            factors = [self.sizes[name] for name, power in monomial for _ in range(power)]
            if abs(k) != 1 or not factors:
                factors.insert(0, str(abs(k)))
            text += (" - " if k < 0 else " + ") if text else ("-" if k < 0 else "")
            text += " * ".join(factors)
        return text

    def identifier(self, name: str, kind: str) -> str:
        """A name of the program's own that is like `name`, which may be any text."""
        word = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")[:LONGEST_NAME].strip("_")
        if not word or word[0].isdigit():
            word = f"{kind}_{word}".strip("_")
        chosen = word
        while chosen in self.taken:
            self.counts[word] += 1
            chosen = f"{word}_{self.counts[word] + 1}"
        self.taken.add(chosen)
        return chosen


def _tuple(entries: Sequence[str]) -> str:
    return f"({entries[0]},)" if len(entries) == 1 else f"({', '.join(entries)})"


def _place(node: Node) -> str:
    """Where a node was built, for a comment."""
    module = _quoted(node.origin.module) if node.origin.module else ""
    if node.origin.forward is not None:
        return f"backward of {module}" if module else "backward"
    return f"in {module}" if module else NOWHERE


def _quoted(text: str) -> str:
    """A literal in ASCII, whatever is in the text."""
    literal = ascii(text)
    return f'"{literal[1:-1]}"' if literal[0] == "'" and '"' not in literal else literal


def _builds(name: str, arguments: Sequence[Any], node: Node) -> bool:
    try:
        built = FUNCTIONS[name](*arguments).node
    except Exception:  # whatever the function has against it, there is another way to write the node
        return False
    return bool(built.op == node.op and built.inputs == node.inputs and built.type == node.type)
