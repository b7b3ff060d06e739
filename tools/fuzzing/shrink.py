"""Smaller cases that fail in the same way: fewer outputs and nodes, smaller sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import graphc
from graphc import Tensor, Variable
from graphc.dims import Size
from graphc.ir import Arg, Node, apply, topological_order
from graphc.ops.leaves import Constant
from graphc.ops.views import Broadcast
from tools.fuzzing.cases import Case
from tools.fuzzing.trial import Step, Trial

__all__ = ["Failure", "failure_of", "shrink"]

SECONDS = 30.0
"""How long to look for smaller cases."""


@dataclass(frozen=True, eq=False)
class Failure:
    """A trial that failed, and its error."""

    trial: Trial
    error: Exception

    @property
    def kind(self) -> tuple[object, ...]:
        """Equal for failures of the same kind."""
        return type(self.error), self.trial.step.name, self.is_derivative

    @property
    def is_derivative(self) -> bool:
        return self.trial.what.startswith("derivatives")


def failure_of(trial: Trial, only: Step | None = None) -> Failure | None:
    """What is wrong, if anything: whatever is raised is what the fuzzer looks for."""
    try:
        trial.run(only)
    except Exception as error:
        return Failure(trial, error)
    return None


def shrink(failure: Failure, seconds: float = SECONDS) -> Failure:
    """A failure of the same kind with as small a graph as could be found in some seconds."""
    return _Shrinker(failure, time.monotonic() + seconds).run()


class _Shrinker:
    def __init__(self, failure: Failure, until: float) -> None:
        self.found, self.until = failure, until
        self.kind = failure.kind

    def run(self) -> Failure:
        steps: list[Callable[[Case], Iterator[Case]]] = [
            _fewer_bindings,
            self._fewer_outputs,
            self._earlier_outputs,
            self._cut,
            self._fewer_nodes,
            _fewer_inputs,
            self._smaller_sizes,
        ]
        before = None
        while before is not self.found and time.monotonic() < self.until:
            before = self.found
            for step in steps:
                while self._first(step(self.found.trial.case)):
                    pass
        return self.found

    def _first(self, cases: Iterator[Case]) -> bool:
        while time.monotonic() < self.until:
            try:
                case = next(cases)
            except StopIteration:
                return False
            except (graphc.GraphcError, AssertionError):  # the rest of the step does not fit
                return False
            if self._takes(case):
                return True
        return False

    def _weight(self, case: Case) -> tuple[int, ...]:
        """What becomes less with each step."""
        nodes = topological_order(self._roots(case))
        asked = (*case.outputs, *case.updates, *case.gradients, *case.seconds)
        given = (*nodes, *(x.node for x in case.inputs))
        known = sum(size for node in given for size in node.type.shape if isinstance(size, int))
        bound = sum(1 + sum(binding.values()) for binding in case.bindings)
        return len(nodes), len(asked), len(case.inputs), len(case.bindings), known, bound

    def _takes(self, case: Case) -> bool:
        if self._weight(case) >= self._weight(self.found.trial.case):
            return False
        try:
            trial = Trial(case, self.found.trial.native, self.found.trial.aspects)
        except graphc.GraphcError:
            return False
        trial.recorded, trial.vector_bytes = self.found.trial.recorded, self.found.trial.vector_bytes
        failure = failure_of(trial, self.found.trial.step)
        if failure is None or failure.kind != self.kind:
            return False
        self.found = failure
        return True

    # Outputs.

    def _fewer_outputs(self, case: Case) -> Iterator[Case]:
        if self.found.is_derivative:
            assert case.loss is not None, "there are derivatives"
            if case.seconds or len(case.outputs) > 1 + len(case.gradients):
                yield _differentiated(case, case.loss, case.wrt)
            if len(case.wrt) > 1:
                for x in case.wrt:
                    yield _differentiated(case, case.loss, (x,))
            return
        if case.gradients:
            yield replace(case, loss=None, wrt=(), gradients=(), weights=(), seconds=())
        if len(case.outputs) + len(case.updates) > 1:
            yield replace(case, updates={})
            for name, x in case.outputs.items():
                yield replace(case, outputs={name: x}, updates={})
                yield replace(case, outputs={name: x})
            for variable, new in case.updates.items():
                yield replace(case, outputs={}, updates={variable: new})
            for variable in case.updates:
                yield replace(case, updates={k: v for k, v in case.updates.items() if k is not variable})
            for name in case.outputs:
                yield replace(case, outputs={k: v for k, v in case.outputs.items() if k != name})

    def _earlier_outputs(self, case: Case) -> Iterator[Case]:
        """An operand of an output in its place, or of the loss."""
        if self.found.is_derivative:
            assert case.loss is not None, "there are derivatives"
            for node in topological_order([case.loss.node])[:-1]:
                if node.inputs and node.type.dtype.is_floating_point:
                    reached = set(topological_order([node]))
                    wrt = tuple(x for x in case.wrt if x.node in reached and x.node is not node)
                    x = Tensor(node)
                    yield _differentiated(case, x.sum() if x.ndim else x, wrt)
            return
        for name, x in case.outputs.items():
            for operand in x.node.inputs:
                yield replace(case, outputs={**case.outputs, name: Tensor(operand)})
        for variable, new in case.updates.items():
            for operand in new.node.inputs:
                if operand.type == variable.type:
                    yield replace(case, updates={**case.updates, variable: Tensor(operand)})

    # Nodes.

    def _roots(self, case: Case) -> list[Node]:
        if self.found.is_derivative:
            assert case.loss is not None, "there are derivatives"
            return [case.loss.node, *(x.node for x in case.wrt)]
        return [x.node for x in (*case.outputs.values(), *case.updates.values())]

    def _cut(self, case: Case) -> Iterator[Case]:
        """Everything before some node given instead of computed."""
        nodes = topological_order(self._roots(case))
        kept = 1
        while kept < len(nodes):
            early, late = set(nodes[:-kept]), nodes[-kept:]
            border = [x for node in late for x in node.inputs if x in early and x.inputs and not _is_number(x)]
            if border:
                yield self._with(case, {x: _given(x) for x in dict.fromkeys(border)})
            kept *= 2

    def _fewer_nodes(self, case: Case) -> Iterator[Case]:
        for node in reversed(topological_order(self._roots(case))):
            if node.op.name == "placeholder":
                continue
            for x in node.inputs:
                if x.type == node.type:
                    yield self._with(case, {node: x})
            if not _is_number(node):
                yield self._with(case, {node: _given(node)})

    def _smaller_sizes(self, case: Case) -> Iterator[Case]:
        """One number everywhere in the types of inputs and in attributes as a smaller one."""
        nodes = topological_order(self._roots(case))
        sizes = {size for node in nodes for size in node.type.shape if isinstance(size, int) and size > 1}
        for size in sorted(sizes, reverse=True):
            for smaller in (1, 2, size // 2):
                if smaller < size:
                    try:
                        yield self._with(case, {}, {size: smaller})
                    except (graphc.GraphcError, AssertionError, ValueError):
                        continue
        for binding in case.bindings[:1]:
            for name, size in binding.items():
                for smaller in (0, 1, 2, size // 2):
                    if smaller < size:
                        yield replace(case, bindings=({**binding, name: smaller},))

    def _with(self, case: Case, changes: Mapping[Node, Node], sizes: Mapping[Size, Size] | None = None) -> Case:
        """The case with nodes replaced, and with other sizes, in which variables without updates are inputs."""
        new: dict[Node, Node] = {}
        draws = {**case.draws, **{x: _range(x) for x in changes.values() if x.op.name == "placeholder"}}
        for node in topological_order(self._roots(case)):
            if node in changes:
                replacement = changes[node]
                new[node] = new.get(replacement, replacement)
            elif sizes:
                new[node] = _resized(node, [new[x] for x in node.inputs], sizes, draws)
            else:
                new[node] = Node(node.op, tuple(new[x] for x in node.inputs), node.type, node.origin)
                if not node.inputs:
                    new[node] = node
        given = [Tensor(node) for node in dict.fromkeys(new.values()) if node.op.name == "placeholder"]
        kept = [x for x in case.inputs if x.node not in new and not sizes]
        inputs = (*kept, *given)
        case = replace(case, inputs=inputs, draws=draws)
        if self.found.is_derivative:
            assert case.loss is not None, "there are derivatives"
            return _differentiated(case, Tensor(new[case.loss.node]), [Tensor(new[x.node]) for x in case.wrt])
        outputs = {name: Tensor(new[x.node]) for name, x in case.outputs.items()}
        return replace(case, outputs=outputs, updates=_updates(case.updates, new))


def _updates(updates: Mapping[Variable, Tensor], new: Mapping[Node, Node]) -> Mapping[Variable, Tensor]:
    return {variable: Tensor(new[x.node]) for variable, x in updates.items() if new[x.node].type == variable.type}


def _fewer_bindings(case: Case) -> Iterator[Case]:
    if len(case.bindings) > 1:
        for binding in case.bindings:
            yield replace(case, bindings=(binding,))


def _fewer_inputs(case: Case) -> Iterator[Case]:
    results = (*case.outputs.values(), *case.updates.values())
    needed = set(topological_order(x.node for x in results))
    idle = [x for x in case.inputs if x.node not in needed]
    if idle:
        yield replace(case, inputs=tuple(x for x in case.inputs if x.node in needed))
        for x in idle:
            yield replace(case, inputs=tuple(y for y in case.inputs if y is not x))


def _differentiated(case: Case, loss: Tensor, wrt: Sequence[Tensor]) -> Case:
    """Nothing but first derivatives."""
    gradients = {f"gradient{i}": g for i, g in enumerate(graphc.grad(loss, list(wrt)))}
    outputs = {"loss": loss, **gradients}
    asked: dict[str, Any] = {"weights": (), "seconds": (), "updates": {}}
    return replace(case, outputs=outputs, loss=loss, wrt=tuple(wrt), gradients=tuple(gradients), **asked)


def _is_number(node: Node) -> bool:
    return isinstance(node.op, Constant) or (isinstance(node.op, Broadcast) and isinstance(node.inputs[0].op, Constant))


def _given(node: Node) -> Node:
    """An input of the type of a node."""
    return graphc.placeholder("given", node.type.shape, node.type.dtype).node


def _range(node: Node) -> Arg:
    return Arg((), node.type.dtype)


def _resized(node: Node, inputs: Sequence[Node], sizes: Mapping[Size, Size], draws: dict[Node, Arg]) -> Node:
    if node.op.name == "placeholder":
        label = str(node.op.attributes["label"])
        result = graphc.placeholder(label, [sizes.get(size, size) for size in node.type.shape], node.type.dtype).node
        draws[result] = draws[node]
        return result
    changes: dict[str, Any] = {}
    for each in fields(node.op):  # type: ignore[arg-type]  # every op is a dataclass
        value = getattr(node.op, each.name)
        if each.type == "tuple[Size, ...]":
            changes[each.name] = tuple(sizes.get(size, size) for size in value)
        elif each.type == "Size" and isinstance(value, int):
            changes[each.name] = sizes.get(value, value)
    if not inputs and any(size in sizes for size in node.type.shape):  # a variable, or a constant tensor
        smaller = tuple(sizes.get(size, size) for size in node.type.shape)
        result = graphc.placeholder("given", smaller, node.type.dtype).node
        draws[result] = _range(result)
        return result
    if not inputs:
        return node
    return apply(replace(node.op, **changes), *map(Tensor, inputs)).node  # type: ignore[type-var]
