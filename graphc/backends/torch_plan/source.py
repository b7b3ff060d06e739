"""The generated Python: straight-line torch calls on buffers that are bound beforehand.

The source is run once for each binding of sizes, State and workspace. Its module level gives names to cells, constants,
scratch buffers and views of them; `run` is the step. Whatever lies in the memory of an input, or belongs to the caller,
is made inside `run`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from graphc.dims import Dim, Size
from graphc.ir import Cell, Node, Op, Output
from graphc.memory import CellGroup, MemoryPlan, Slot
from graphc.ops import Pack, Placeholder
from graphc.schedule import Schedule, Step

__all__ = ["PlanSource", "generate", "size_name"]

PART = 1000
"""Statements in one function; longer plans are split, since Python compiles long functions slowly."""


@dataclass(frozen=True)
class PlanSource:
    """The text, and what it asks for by number: cells, constants, and ops that evaluate themselves."""

    text: str
    cells: tuple[Cell, ...]
    constants: tuple[Node, ...]
    evaluated: tuple[Op, ...]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Statement:
    """A line of `run`, with the names of one call that it reads and makes."""

    text: str
    reads: tuple[str, ...] = ()
    makes: str = ""


def generate(schedule: Schedule, plan: MemoryPlan) -> PlanSource:
    """The source of a schedule on a memory plan."""
    return _Writer(schedule, plan).write()


class _Writer:
    def __init__(self, schedule: Schedule, plan: MemoryPlan) -> None:
        self.schedule = schedule
        self.plan = plan
        self.graph = schedule.graph
        self.imports = _Imports()
        self.head: list[str] = []
        self.settings: list[_Statement] = []
        self.body: list[_Statement] = []
        self.evaluated: list[Op] = []
        self.cell_names = {cell: f"cell{i}" for i, cell in enumerate(self.graph.cells)}
        self.names = {node: f"v{name[1:]}" for node, name in schedule.names.items()}
        self.inputs = self._name_inputs()
        self.per_call = set(self.inputs)
        self.bound: dict[str, str] = {}
        self.known = {*self.graph.inputs, *schedule.constants}
        self.returned: dict[Output, str] = {}
        self.note = ""

    def write(self) -> PlanSource:
        self._bind_leaves()
        used = self._used()
        for i, step in enumerate(self.schedule.steps):
            if i == self.schedule.settings:
                self.settings, self.body, self.note = self.body, [], ""
            if self._writes_cells(step):
                self._give_known_outputs()
            if step.node in used or not step.is_view:
                self._step(step)
                self.known.add(step.node)
        self._give_known_outputs()
        self._copies()
        returned = [self.returned[output] for output in self.graph.outputs if output.cell is None]
        lines = [*self._title(), *self.imports.lines(), *self.head, "", "", *self._functions(returned)]
        return PlanSource("\n".join(lines) + "\n", self.graph.cells, self.schedule.constants, tuple(self.evaluated))

    def _name_inputs(self) -> list[str]:
        names: list[str] = []
        for position, node in enumerate(self.graph.inputs):
            assert isinstance(node.op, Placeholder), "compile checks its inputs"
            label = node.op.label
            name = f"in_{label}" if re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", label) else f"in{position}"
            names.append(name if name not in names else f"in{position}")
            self.names[node] = names[-1]
        return names

    def _title(self) -> list[str]:
        return [
            "# A step of the program, as torch calls. Names: cellN values of the State, vN the node %N of the graph,",
            "# n_NAME the size NAME. Buffers are pieces of one workspace: slot, offset in bytes, shape, dtype.",
        ]

    def _used(self) -> set[Node]:
        """What a call, an output or a copy reads; views for updates that are in place already are not among it."""
        used = {output.node for output in self.graph.outputs if output.cell is None}
        used |= {output.node for output in self.plan.copies}
        for step in reversed(self.schedule.steps):
            if not step.is_view or step.node in used:
                used.update(step.operands)
        return used

    # Module level.

    def _bind_leaves(self) -> None:
        for i, (cell, name) in enumerate(self.cell_names.items()):
            self.head.append(f"{name} = cell({i})  # {_plain(cell.role.value)} {_plain(cell.name)} : {cell.type}")
        for node in self.graph.nodes:
            if node.op.cell is not None:
                self.names[node] = self.cell_names[node.op.cell]
                self.known.add(node)
        for i, node in enumerate(self.schedule.constants):
            self.head.append(f"{self.names[node]} = constant({i})  # {node.type}")

    def _bind_buffer(self, node: Node) -> None:
        place = self.plan.places[node]
        area = place.area.index if isinstance(place.area, Slot) else f"group({place.area.index})"
        buffer = f"buffer({area}, {place.offset}, {_shape(node.type.shape)}, {self.imports.dtype(node.type.dtype)})"
        self.head.append(f"{self.names[node]} = {self.bound.setdefault(buffer, buffer)}")
        self.bound[buffer] = self.names[node]

    # The step.

    def _step(self, step: Step) -> None:
        node, name = step.node, self.names[step.node]
        if isinstance(node.op, Pack) and node in self.plan.places:
            self._pack(step)
            return
        operands = [self.names[x] for x in step.operands]
        reads = tuple(x for x in operands if x in self.per_call)
        if step.call is None:
            self.evaluated.append(node.op)
            self.per_call.add(name)
            self._say(node, f"{name} = op({len(self.evaluated) - 1})({', '.join(operands)})", reads, name)
            return
        call = step.call
        function: Callable[..., object] | str = call.function
        if call.factory:
            function = f"call_{name}"
            chosen = [_literal(getattr(node.op, attribute)) for attribute in call.factory]
            self.head.append(f"{function} = {self.imports.call(call.function, chosen, ())}")
        given = [_tuple(operands)] if call.sequence else operands
        arguments = [*given, *map(self._argument, step.arguments)]
        keywords = [f"{key}={_literal(value)}" for key, value in step.keywords.items()]
        if step.is_view and not reads:
            # `view` where the graph says reshape: it raises rather than copies, which would be a copy for ever.
            function = torch.Tensor.view if call.function is torch.reshape else call.function
            self.head.append(f"{name} = {self.imports.call(function, arguments, keywords)}")
            return
        if node in self.plan.places:
            self._bind_buffer(node)
            makes = ""
        else:
            self.per_call.add(name)
            makes = name
        if call.form == "view" or (makes and call.form == "out" and call.destination == "out"):
            self._say(node, f"{name} = {self.imports.call(function, arguments, keywords)}", reads, name)
            return
        if makes:
            dtype = self.imports.dtype(node.type.dtype)
            self._say(node, f"{name} = empty({_shape(node.type.shape)}, dtype={dtype}, device=device)", (), name)
            reads = (*reads, name)
        if call.form == "into":
            arguments.insert(0, name)
        else:
            keywords.append(f"{call.destination}={name}")
        self._say(node, self.imports.call(function, arguments, keywords), reads)

    def _argument(self, value: object) -> str:
        return self.imports.dtype(value) if isinstance(value, torch.dtype) else _literal(value)

    def _pack(self, step: Step) -> None:
        """Bind the whole; copy only the operands that are not inside already."""
        whole = self.plan.places[step.node]
        self._bind_buffer(step.node)
        offset = 0
        for k, x in enumerate(step.operands):
            place = self.plan.places.get(self.schedule.whole(x))
            if place is None or place.area is not whole.area or place.offset != whole.offset + offset:
                piece = f"{self.names[step.node]}_{k}"
                start = offset // x.type.dtype.itemsize
                self.head.append(
                    f"{piece} = {self.names[step.node]}.narrow(0, {start}, {x.type.numel}).view({_shape(x.type.shape)})"
                )
                operand = self.names[x]
                reads = (operand,) if operand in self.per_call else ()
                self._say(step.node, f"{piece}.copy_({operand})", reads)
            assert isinstance(x.type.nbytes, int), "packs have no symbolic sizes"
            offset += x.type.nbytes

    def _say(self, node: Node, text: str, reads: Sequence[str] = (), makes: str = "") -> None:
        origin = node.origin
        parts = [origin.module, origin.location, "backward" if origin.forward is not None else ""]
        note = _plain("  ".join(part for part in parts if part))
        if note and note != self.note:
            self.body.append(_Statement(f"# {note}"))
        self.note = note
        self.body.append(_Statement(text, tuple(reads), makes))

    def _writes_cells(self, step: Step) -> bool:
        place = self.plan.places.get(step.node)
        return place is not None and isinstance(place.area, CellGroup) and not isinstance(step.node.op, Pack)

    def _give_known_outputs(self) -> None:
        """Make tensors that nothing else holds of the outputs that are known by now.

        That comes before the first write to a cell, so that a call which runs out of memory leaves the State as it was.
        """
        for output in self.graph.outputs:
            node = output.node
            if output.cell is not None or output in self.returned or node not in self.known:
                continue
            step = self.schedule.step_of.get(node)
            name = self.names[node]
            owned = step is not None and not step.is_view and node not in self.plan.places and step.call is not None
            if not owned or name in self.returned.values():
                copy = f"out{len(self.returned)}"
                self.per_call.add(copy)
                reads = (name,) if name in self.per_call else ()
                self.body.append(_Statement(f"{copy} = {name}.clone()", reads, copy))
                name = copy
            self.returned[output] = name

    def _copies(self) -> None:
        """Updates that are not in place. Values that lie in cells are taken aside before the first cell changes."""
        pairs: list[tuple[str, str]] = []
        for k, output in enumerate(self.plan.copies):
            assert output.cell is not None, "only updates are copied"
            name = self.names[output.node]
            place = self.plan.places.get(self.schedule.root(output.node))
            if place is not None and isinstance(place.area, CellGroup):
                reads = (name,) if name in self.per_call else ()
                self.per_call.add(f"new{k}")
                self.body.append(_Statement(f"new{k} = {name}.clone()", reads, f"new{k}"))
                name = f"new{k}"
            pairs.append((self.cell_names[output.cell], name))
        for cell, name in pairs:
            reads = (name,) if name in self.per_call else ()
            self.body.append(_Statement(f"{cell}.copy_({name})", reads))

    def _functions(self, returned: Sequence[str]) -> list[str]:
        """`run`, in parts if it is long. A part takes the names of earlier parts that it reads, and returns its own."""
        head = f"def run({', '.join(self.inputs)}):"
        setup: list[str] = []
        if any(statement.text[0] != "#" for statement in self.settings):
            versions = _tuple([f"{self.cell_names[cell]}._version" for cell in self._hyper_cells()])
            setup = [
                "versions = None",
                "",
                "",
                "def set_up():  # what depends on hyper-parameters only, whenever one was set",
                *(f"    {statement.text}" for statement in self.settings),
                "",
                "",
            ]
            head += "\n    global versions"
            # Read once: if somebody sets a value while `set_up` runs, the next call runs it again.
            head += f"\n    now = {versions}\n    if now != versions:\n        set_up()\n        versions = now"
        result = f"    return {_tuple(returned)}"
        if len(self.body) <= PART:
            return [*setup, head, *(f"    {statement.text}" for statement in self.body), result]
        parts = [self.body[i : i + PART] for i in range(0, len(self.body), PART)]
        wanted = set(returned)
        later: list[set[str]] = []
        for part in reversed(parts):
            later.append(set(wanted))
            wanted |= {name for statement in part for name in statement.reads}
        lines: list[str] = []
        calls: list[str] = []
        for k, (part, after) in enumerate(zip(parts, reversed(later), strict=True)):
            made = {statement.makes for statement in part if statement.makes}
            taken = sorted({name for statement in part for name in statement.reads} - made)
            left = sorted(made & after)
            lines.append(f"def part{k}({', '.join(taken)}):")
            lines.extend(f"    {statement.text}" for statement in part)
            lines += [f"    return {_tuple(left)}", "", ""]
            target = f"{_tuple(left)} = " if left else ""
            calls.append(f"    {target}part{k}({', '.join(taken)})")
        return [*setup, *lines, head, *calls, result]

    def _hyper_cells(self) -> list[Cell]:
        read = {x.op.cell for step in self.schedule.steps[: self.schedule.settings] for x in step.operands}
        return [cell for cell in self.graph.cells if cell in read]


class _Imports:
    """How the source calls a function: as a method of its first argument, or by a name that it imports."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._names: dict[Callable[..., object], str] = {}

    def lines(self) -> list[str]:
        return ["from torch import empty", *sorted(self._lines.values()), ""]

    def dtype(self, dtype: torch.dtype) -> str:
        name = str(dtype).removeprefix("torch.")
        self._lines[name] = f"from torch import {name}" if name != "bool" else "from torch import bool as bool_"
        return name if name != "bool" else "bool_"

    def call(self, function: Callable[..., object] | str, arguments: Sequence[str], keywords: Sequence[str]) -> str:
        if isinstance(function, str):
            return f"{function}({', '.join([*arguments, *keywords])})"
        name = getattr(function, "__name__", "")
        if getattr(torch.Tensor, name, None) is function:
            return f"{arguments[0]}.{name}({', '.join([*arguments[1:], *keywords])})"
        return f"{self._name(function)}({', '.join([*arguments, *keywords])})"

    def _name(self, function: Callable[..., object]) -> str:
        if function not in self._names:
            name = function.__name__
            if isinstance(function, torch._ops.OpOverload):
                packet, overload = name.split(".")
                name = packet
                # `_op` is what the overload calls; its own wrapper in Python costs a third of a microsecond more.
                line = f"from torch import ops; {name} = ops.aten.{packet}.{overload}._op"
            elif getattr(torch, name, None) is function:
                line = f"from torch import {name}"
            elif getattr(torch._C._nn, name, None) is function:
                line = f"from torch._C._nn import {name}"
            else:
                line = f"from {function.__module__} import {name}"
            self._lines[name] = line
            self._names[function] = name
        return self._names[function]


def size_name(name: str) -> str:
    """What the source calls the size `name`: a prefix keeps it apart from everything else.

    Python takes some letters for others when it reads source, so names beyond ASCII are spelled in hexadecimal.
    """
    return f"n_{name}" if name.isascii() else f"n0{name.encode().hex()}"


def _tuple(entries: Sequence[str]) -> str:
    return f"({', '.join(entries)}{',' if len(entries) == 1 else ''})"


def _shape(shape: Sequence[Size]) -> str:
    return _tuple([_size(size) for size in shape])


def _size(size: Size) -> str:
    """A size as Python."""
    if isinstance(size, Dim):
        size = Dim(tuple((tuple((size_name(n), power) for n, power in factors), k) for factors, k in size.terms))
    return str(size)


def _literal(value: object) -> str:
    if isinstance(value, Dim):
        return _size(value)
    if isinstance(value, tuple):
        return _tuple([_literal(entry) for entry in value])
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return repr(value)


def _plain(text: str) -> str:
    """Names are only text: nothing in them ends the comment that they stand in."""
    return text.encode("unicode_escape").decode("ascii")
