"""One case, compiled and run in many ways that must all agree with the judge, some of them to the bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from unittest import mock

import torch

import graphc
from graphc import InputError, State, Tensor, Variable, dims
from graphc.backends.c import NativeExecutable, generate_native, plan_native
from graphc.backends.c.check import check as check_native
from graphc.backends.executable import Bound, Executable
from graphc.backends.reference import ReferenceExecutable
from graphc.backends.torch_plan import PATTERNS, TorchExecutable, generate, lower, source
from graphc.ir import Cell, Graph, Output, OutputRole
from graphc.ir.rewrite import Rule, rewrite
from graphc.ir.verify import verify
from graphc.memory import check, plan
from graphc.passes import PASSES, Pass
from graphc.passes.canonicalise import RULES
from graphc.passes.cse import cse
from graphc.passes.decompose import decompose
from graphc.runtime.signature import Signature
from graphc.schedule import Pattern, Schedule, schedule, schedule_kernels
from graphc.types import TensorType
from tools.fuzzing.build import LARGEST, draw
from tools.fuzzing.cases import Case
from tools.fuzzing.judge import Expected, Mismatch, expect, expect_derivatives

__all__ = ["Trial"]

Array = torch.Tensor
VARIANTS = 4
"""How many of the ways that only agree within rounding are tried on each case."""


@dataclass(frozen=True, eq=False)
class Call:
    """A call of the compiled program, as it was: what it was given, what it had to give, and what it gave.

    Somebody has set the cells `assigned` just before.
    """

    sizes: Mapping[str, int]
    inputs: list[Array]
    state: int
    assigned: Collection[Cell]
    before: dict[Cell, Array]
    expected: list[Expected]
    results: list[Array]
    after: dict[Cell, Array]


@dataclass
class Trial:
    """`native`: generated C is tried, too. `what` and `source` say what was being tried when something failed."""

    case: Case
    native: bool = False
    what: str = "compile"
    source: str = ""
    graph: Graph = field(init=False)
    calls: list[Call] = field(default_factory=list)
    elements: int = 0
    firm: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.case.seed)
        self.graph = self._declared(self.case.updates)

    def _declared(self, updates: Mapping[Variable, Tensor]) -> Graph:
        outputs = [Output(x.node, OutputRole.OUTPUT, name) for name, x in self.case.outputs.items()]
        outputs += [Output(x.node, OutputRole.UPDATE, to.name, to.cell) for to, x in updates.items()]
        return Graph(tuple(x.node for x in self.case.inputs), tuple(outputs))

    def _compiled(self, updates: Mapping[Variable, Tensor]) -> graphc.Program:
        # Not for training: the judge goes by `eval`, for which dropout does nothing.
        outputs = dict(self.case.outputs)
        return graphc.compile(list(self.case.inputs), outputs, dict(updates), backend="torch", training=False)

    def run(self) -> None:
        """Raises Mismatch, or whatever graphc raises by mistake."""
        program = self._compiled(self.case.updates)
        self.source = program.source
        stages = {stage.name: stage.value for stage in program.stages}
        steps = stages["schedule"]
        assert isinstance(steps, Schedule), "the torch plan has a schedule"
        self._record(program)
        for call in self.calls:
            self.what = f"the memory checker, at {call.sizes}"
            check(steps, plan(steps), call.sizes)
        self._replay("without reuse of buffers", _torch(steps, reuse=False), exact=True)
        self._replay("with poisoned buffers", _torch(steps), exact=True, poisoned=True)
        with mock.patch.object(source, "PART", 3):
            self._replay("in short parts", _torch(steps), exact=True)
        if self.case.updates:
            self._take_turns()
        for name, make in self._variants(program.graph):
            self.what = f"compile {name}"
            self._replay(name, make())
        if self.native and all(dtype.itemsize != 2 or not dtype.is_floating_point for dtype in _dtypes(program.graph)):
            self._try_native(program.graph)

    def _try_native(self, optimised: Graph) -> None:
        """Generated C for vectors of some length; one compilation, since that takes longer than all the rest."""
        vector_bytes = self.random.choice([16, 32, 64, 64])
        name = f"generated C for {vector_bytes} bytes"
        self.what = f"compile {name}"
        graph = _optimised(optimised, [Pass("decompose", decompose), Pass("cse", cse)])
        native = plan_native(schedule_kernels(graph), vector_bytes)
        for sizes in ({}, *(call.sizes for call in self.calls)):
            check_native(native, {**dict.fromkeys(graph.symbols, 3), **sizes})
        executable = NativeExecutable(native, generate_native(native))
        self._replay(name, executable)
        self._replay(f"{name}, poisoned", executable, poisoned=True)

    # The compiled program against eager.

    def _record(self, program: graphc.Program) -> None:
        """Calls with several sizes and two States in alternation, each checked against the judge."""
        case, declared = self.case, self.graph
        signature = Signature.of(declared)
        states = [program.state, program.new_state()] if case.updates else [program.state]
        held: list[tuple[Array, Array]] = []
        for k, binding in enumerate((*case.bindings, *case.bindings[:2])):
            generator = torch.Generator().manual_seed(case.seed * 100 + k)
            self.what = f"call {k} with {binding}"
            shapes = [[dims.evaluate(size, binding) for size in x.shape] for x in case.inputs]
            if any(size < 0 for shape in shapes for size in shape):
                continue
            drawn = [draw(case.draws[x.node], shape, generator, case.is_wild) for x, shape in zip(case.inputs, shapes)]
            laid = [self._laid_out(x) for x in drawn]
            inputs = [x for x, _ in laid]
            try:
                sizes = signature.bind(inputs)
            except InputError:
                self._refuses(program, inputs)
                continue
            state = states[k % len(states)]
            assigned = self._assign(state)
            before = {cell: state.read(cell).clone() for cell in program.state.cells}
            given = self._given(inputs)
            self._give_cells(given, inputs, state)
            expected = expect(declared, inputs, before, sizes, case.seed)
            bases = [base.clone() for _, base in laid]
            with self.random.choice([nullcontext, torch.no_grad, torch.inference_mode])():
                results = list(program(*given, state=state).values())
            after = {cell: state.read(cell).clone() for cell in program.state.cells}
            for (_, base), old in zip(laid, bases):
                _same_bits(base, old, "an input after the call")
            call = Call(sizes, inputs, k % len(states), assigned, before, expected, results, after)
            self._compare(declared, expected, before, results, after)
            if case.gradients:
                self.what = f"derivatives against torch.autograd, with {sizes}"
                judged = expect_derivatives(case, inputs, before, sizes, case.seed)
                named = dict(zip(case.outputs, expected))
                for name, derivative in judged.items():
                    derivative.slack.add_(named[name].slack)
                    if case.is_wild:  # torch sends zeros along paths that graphc knows to be constant, and 0 · ∞ is NaN
                        derivative.slack[derivative.value.isnan()] = torch.inf
                    derivative.compare(named[name].value, name)
            held.extend((x, x.clone()) for x in results)
            self.calls.append(call)
        self.what = "outputs of earlier calls"
        for x, old in held:
            _same_bits(x, old, "an output that was held")

    def _assign(self, state: State) -> Collection[Cell]:
        """Set some cells, as a schedule of learning rates does, and what training has made large."""
        assigned = {cell for cell in state.cells if bool((state.read(cell).double().abs() > LARGEST).any())}
        if state.cells and self.random.random() < 0.4:
            assigned |= set(self.random.choices(state.cells, k=2))
        for cell in assigned:
            value = state.read(cell)
            scaled = (value * 0.75).clamp(-2.0, 2.0) if value.dtype.is_floating_point else value % 7 + 1
            value.copy_(scaled)
        return assigned

    def _refuses(self, program: graphc.Program, inputs: Sequence[Array]) -> None:
        try:
            program(*inputs)
        except InputError:
            return
        raise Mismatch("sizes that the declared graph refuses are accepted")

    def _laid_out(self, x: Array) -> tuple[Array, Array]:
        """The values of x (for `expanded`, some of them) in another layout, and the memory that they lie in."""
        match self.random.choice(["plain", "plain", "transposed", "sliced", "expanded", "offset"]):
            case "transposed":
                base = x.permute(tuple(reversed(range(x.ndim)))).contiguous()
                return base.permute(tuple(reversed(range(x.ndim)))), base
            case "sliced":
                base = torch.ones([2 * size + 3 for size in x.shape], dtype=x.dtype)
                view = base[tuple(slice(2, 2 + 2 * size, 2) for size in x.shape)]
                return view.copy_(x), base
            case "expanded":
                base = x[tuple(slice(0, 1) if self.random.random() < 0.6 else slice(None) for _ in x.shape)]
                return base.expand(x.shape), base
            case "offset":
                base = torch.cat([torch.ones(1, dtype=x.dtype), x.reshape(-1)])
                return base[1:].view(x.shape), base
        return x, x

    def _given(self, inputs: Sequence[Array]) -> list[Any]:
        """What a user might pass: arrays of NumPy and tensors that require grad, too."""
        given: list[Any] = []
        for x in inputs:
            roll = self.random.random()
            if roll < 0.1 and x.dtype is not torch.bfloat16:
                given.append(x.numpy())
            elif roll < 0.2 and x.dtype.is_floating_point:
                given.append(x.detach().requires_grad_())
            else:
                given.append(x)
        return given

    def _give_cells(self, given: list[Any], inputs: list[Array], state: State) -> None:
        """Sometimes an input is the live value of a cell, which the call may change.

        The program copies its inputs then, and only copies of what is contiguous have the strides of the original.
        """
        lives: dict[int, Array] = {}
        for i, x in enumerate(inputs):
            alike = [cell for cell in state.cells if cell.type == TensorType(tuple(x.shape), x.dtype)]
            if alike and self.random.random() < 0.3:
                lives[i] = state.read(self.random.choice(alike))
        if lives:
            inputs[:] = [lives.get(i, x).clone(memory_format=torch.contiguous_format) for i, x in enumerate(inputs)]
            given[:] = [lives.get(i, x) for i, x in enumerate(inputs)]

    def _compare(
        self,
        graph: Graph,
        expected: Sequence[Expected],
        before: Mapping[Cell, Array],
        results: Sequence[Array],
        after: Mapping[Cell, Array],
    ) -> None:
        unread = iter(results)
        updated = set()
        for output, each in zip(graph.outputs, expected, strict=True):
            if output.cell is None:
                actual, what = next(unread), f"output {output.name!r}"
            else:
                updated.add(output.cell)
                actual, what = after[output.cell], f"the new value of {output.cell.name!r}"
            each.compare(actual, what)
            self.elements += actual.numel()
            self.firm += each.firm
        for cell, value in after.items():
            if cell not in updated:
                _same_bits(value, before[cell], f"the value of {cell.name!r}, which has no update,")

    def _take_turns(self) -> None:
        """Programs that update more or fewer of the cells, on one State."""
        updates = list(self.case.updates.items())
        fewer = [dict(self.random.sample(updates, count)) for count in (0, len(updates) // 2, len(updates))]
        programs = [(self._declared(each), self._compiled(each)) for each in fewer]
        _, largest = programs[-1]
        state = largest.state if self.random.random() < 0.5 else largest.new_state()
        for k in range(6 if self.calls else 0):
            call = self.random.choice(self.calls)
            graph, program = self.random.choice(programs)
            self.what = f"turn {k}, with {call.sizes}"
            self.source = program.source
            self._assign(state)
            before = {cell: state.read(cell).clone() for cell in state.cells}
            expected = expect(graph, call.inputs, before, call.sizes, self.case.seed)
            results = list(program(*call.inputs, state=None if state is largest.state else state).values())
            self._compare(graph, expected, before, results, {cell: state.read(cell) for cell in state.cells})

    # Other ways to compile it.

    def _variants(self, optimised: Graph) -> Iterator[tuple[str, Callable[[], Executable]]]:
        yield "reference", lambda: ReferenceExecutable(optimised)
        declared = self.graph
        rules = self.random.sample(RULES, self.random.randrange(len(RULES)))
        patterns = self.random.sample(PATTERNS, self.random.randrange(len(PATTERNS)))
        fewer = [Pass("canonicalise", lambda graph: rewrite(graph, rules, "canonicalise")), *PASSES[1:]]
        shuffled = self.random.sample(PASSES, len(PASSES))
        ways: list[tuple[str, Callable[[], Executable]]] = [
            ("without passes", lambda: _lowered(declared)),
            ("without lower", lambda: _lowered(optimised, lowering=False)),
            ("without patterns", lambda: _lowered(optimised, patterns=())),
            (f"with the patterns {_names(patterns)}", lambda: _lowered(optimised, patterns=patterns)),
            (f"with the rules {_names(rules)}", lambda: _lowered(_optimised(declared, fewer))),
            (f"with the passes {_names(shuffled)}", lambda: _lowered(_optimised(declared, shuffled))),
        ]
        for off in PASSES:
            passes = [each for each in PASSES if each is not off]
            ways.append((f"without {off.name}", partial(_recompiled, declared, passes)))
        yield from self.random.sample(ways, VARIANTS)

    def _replay(self, name: str, executable: Executable, exact: bool = False, poisoned: bool = False) -> None:
        """The recorded calls again: with `exact` from the first States on, else each from the State as it was."""
        self.source = executable.source
        states: dict[int, State] = {}
        bindings: dict[tuple[Any, ...], Bound] = {}
        for k, call in enumerate(self.calls):
            self.what = f"{name}: call {k} with {call.sizes}"
            if call.state not in states:
                states[call.state] = State(self.graph.cells, {cell: x.clone() for cell, x in call.before.items()})
            state = states[call.state]
            for cell, value in call.before.items():
                if not exact or cell in call.assigned:
                    state.read(cell).copy_(value)
            key = (call.state, *call.sizes.values())
            if key not in bindings or not bindings[key].is_current(state):
                bindings[key] = executable.bind(call.sizes, state)
            if poisoned:
                _poison(bindings[key], 255 if k % 2 else 127)  # as floating numbers: NaN, or a large one
            results = list(bindings[key].run(*call.inputs))
            after = {cell: state.read(cell) for cell in call.after}
            if exact:
                for i, (x, old) in enumerate(zip(results, call.results, strict=True)):
                    _same_bits(x, old, f"output {i}")
                for cell, value in after.items():
                    _same_bits(value, call.after[cell], f"the value of {cell.name!r}")
            else:
                self._compare(self.graph, call.expected, call.before, results, after)


def _names(chosen: Sequence[Pass | Pattern | Rule]) -> str:
    return ", ".join(each.name for each in chosen)


def _recompiled(graph: Graph, passes: Sequence[Pass]) -> Executable:
    return _lowered(_optimised(graph, passes))


def _optimised(graph: Graph, passes: Sequence[Pass]) -> Graph:
    for each in passes:
        graph, _ = each.run(graph)
        verify(graph, f"after {each.name}")
    return graph


def _lowered(graph: Graph, patterns: Sequence[Pattern] = PATTERNS, lowering: bool = True) -> TorchExecutable:
    if lowering:
        graph = _optimised(graph, [Pass("lower", lower)])
    return _torch(schedule(graph, patterns))


def _torch(steps: Schedule, reuse: bool = True) -> TorchExecutable:
    places = plan(steps, reuse=reuse)
    return TorchExecutable(steps, places, generate(steps, places))


def _dtypes(graph: Graph) -> set[torch.dtype]:
    return {node.type.dtype for node in (*graph.inputs, *graph.nodes)}


def _poison(bound: Bound, byte: int) -> None:
    """Overwrite the buffers of a plan, and let it compute anew what it keeps there between calls."""
    if hasattr(bound, "_memory"):  # native code keeps nothing there
        bound._memory.fill_(byte)
        return
    names = bound.run.__globals__
    names["buffer"].__self__._bytes.fill_(byte)
    names["versions"] = None


def _same_bits(actual: Array, expected: Array, what: str) -> None:
    """Equal to the bit, whatever kind of NaN a NaN is."""
    same = (actual == expected) & (actual.signbit() == expected.signbit()) | (actual.isnan() & expected.isnan())
    if actual.shape != expected.shape or actual.dtype is not expected.dtype or not bool(same.all()):
        raise Mismatch(f"{what} differs in its bits: {actual} and {expected}")
