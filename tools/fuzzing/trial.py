"""One case, compiled and run in many ways that must all agree with the judge, some of them to the bit."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from unittest import mock

import torch

import graphc
from graphc import InputError, State, Tensor, Variable, dims
from graphc.backends.c import NativePlan, not_native
from graphc.backends.c.check import check as check_native
from graphc.backends.executable import Bound, Executable
from graphc.ir import Cell, Graph, Output, OutputRole, Role
from graphc.memory import MemoryPlan, check
from graphc.passes.specialise import specialise
from graphc.runtime.signature import Signature
from graphc.schedule import Schedule
from tools.fuzzing.build import LARGEST, draw
from tools.fuzzing.cases import Case
from tools.fuzzing.fitting import Run
from tools.fuzzing.holding import hold
from tools.fuzzing.inputs import disguised, give_cells, laid_out
from tools.fuzzing.judge import Derivatives, Expected, Mismatch, expect, expect_derivatives, same_bits
from tools.fuzzing.ways import Way, native_ways, switched_ways

__all__ = ["ASPECTS", "Call", "Trial"]

Array = torch.Tensor
ASPECTS = ("backends", "passes", "reuse", "held")
"""What may be tried: each backend against eager; passes, rules and patterns on and off; reuse of memory on and off, and
poisoned; outputs that are held and inputs that are left alone."""

FLAGS = ("-O0", "-O1", "", "")
"""For the C compiler, by turns: it takes several times longer to optimise, and what graphc generates is the same."""


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


@dataclass(frozen=True, eq=False)
class Step:
    """Something to try with a case. `name` and `way` tell it from others, also of a smaller case."""

    name: str
    run: Callable[[], None]
    way: Way | None = None


Results = Sequence[tuple[Sequence[Array], Mapping[Cell, Array]]]
"""Outputs and cells after each call."""


@dataclass
class Trial:
    """`native`: C is generated, too. `what`, `source` and `step` say what was being tried when something failed."""

    case: Case
    native: bool = False
    aspects: Collection[str] = ASPECTS
    what: str = "compile"
    source: str = ""
    step: Step = field(init=False)
    graph: Graph = field(init=False)
    calls: list[Call] = field(default_factory=list)
    latest: tuple[Sequence[Array], Mapping[Cell, Array]] | None = None
    """Inputs and cells of the call that was tried last."""
    elements: int = 0
    firm: int = 0

    def __post_init__(self) -> None:
        self.graph = self._declared(self.case.updates)
        self.specialised, _ = specialise(self.graph, self.case.training)
        if self.case.training:  # else the judge evaluates dropouts themselves, for which they do nothing
            self.graph = self.specialised
        self.native = self.native and not_native(self.specialised) is None
        choose = self.random = random.Random(self.case.seed)
        self.vector_bytes = choose.choice([16, 32, 64, 64])
        is_apart = set(self.aspects) & {"passes", "reuse"}  # what they compare with is a plan of torch calls
        self.recorded = "c" if self.native and not is_apart and choose.random() < 0.5 else "torch"
        self.step = Step("program", self._record)

    def _declared(self, updates: Mapping[Variable, Tensor]) -> Graph:
        outputs = [Output(x.node, OutputRole.OUTPUT, name) for name, x in self.case.outputs.items()]
        outputs += [Output(x.node, OutputRole.UPDATE, to.name, to.cell) for to, x in updates.items()]
        graph = Graph(tuple(x.node for x in self.case.inputs), tuple(outputs))
        return specialise(graph, True)[0] if self.case.training else graph

    def compiled(self, backend: str, updates: Mapping[Variable, Tensor] | None = None) -> graphc.Program:
        chosen = self.case.updates if updates is None else updates
        inputs, outputs = list(self.case.inputs), dict(self.case.outputs)
        return graphc.compile(inputs, outputs, dict(chosen), backend=backend, training=self.case.training)

    @property
    def environment(self) -> dict[str, str]:
        """How C is generated and compiled, where compiling takes it from the environment."""
        flags = os.environ.get("GRAPHC_CFLAGS", FLAGS[self.case.seed % len(FLAGS)])
        return {"GRAPHC_VECTOR_BYTES": str(self.vector_bytes), "GRAPHC_CFLAGS": flags, "GRAPHC_VERIFY": "1"}

    def run(self, only: Step | None = None) -> None:
        """Everything, or of what follows the first calls `only` one step. Raises what is wrong."""
        with mock.patch.dict(os.environ, self.environment):
            for step in (self.step, *self._steps(only)):
                self.step, self.what = step, step.name
                self.random.seed(f"{self.case.seed} {step.name}")
                step.run()

    def _steps(self, only: Step | None) -> Iterator[Step]:
        if only is not None and only.way is not None:
            way = only.way
            yield Step(only.name, partial(self._replay_way, way), way)
            return
        for step in self._all_steps():
            if only is None or only.name == step.name:
                yield step

    def _all_steps(self) -> Iterator[Step]:
        choose = random.Random(f"{self.case.seed} ways")
        if "backends" in self.aspects:
            others = [Way("reference"), *([Way("torch")] if self.recorded == "c" else [])]
            if self.native and self.recorded == "torch":
                others.append(next(native_ways(choose)))
            yield from map(self._way, others)
            if self.case.updates:
                yield Step("turns", self._take_turns)
            if self.case.is_batched and self.case.updates:
                yield Step("fit", self._fit)
        if "passes" in self.aspects:
            yield from map(self._way, itertools.islice(switched_ways(choose, "torch"), 4))
            if self.native:
                yield from map(self._way, itertools.islice(switched_ways(choose, "c"), 1))
        if "reuse" in self.aspects:
            yield Step("the memory checker", self._check_memory)
            yield Step("reuse of buffers", self._try_reuse)
            if self.native:
                yield Step("reuse of native buffers", self._try_native_reuse)
        if "held" in self.aspects:
            yield Step("held outputs", lambda: hold(self.case, self.compiled(self.recorded)))

    def _way(self, way: Way) -> Step:
        return Step(f"way {way}", partial(self._replay_way, way), way)

    # The compiled program against eager.

    def _record(self) -> None:
        """Calls with several sizes and two States in alternation, each checked against the judge."""
        program = self.compiled(self.recorded)
        case = self.case
        self.source = program.source
        signature = Signature.of(self.graph)
        states = [program.state, program.new_state()] if program.state.cells else [program.state]
        derivatives = Derivatives.of(case, self.graph_outputs) if case.gradients else None
        held: list[tuple[Array, Array]] = []
        again = case.bindings[:2] if "backends" in self.aspects else ()
        for k, binding in enumerate((*case.bindings, *again)):
            choose = random.Random(f"{case.seed} {k}")
            generator = torch.Generator().manual_seed(case.seed * 100 + k)
            self.what = f"call {k} with {dict(binding)}"
            shapes = [[dims.evaluate(size, binding) for size in x.shape] for x in case.inputs]
            if any(size < 0 for shape in shapes for size in shape):
                continue
            drawn = [draw(case.draws[x.node], shape, generator, case.is_wild) for x, shape in zip(case.inputs, shapes)]
            laid = [laid_out(choose, x) for x in drawn]
            inputs = [x for x, _ in laid]
            try:
                sizes = signature.bind(inputs)
            except InputError:
                self._refuses(program, inputs)
                continue
            state = states[k % len(states)]
            assigned = self._assign(choose, state)
            before = {cell: state.read(cell).clone() for cell in program.state.cells}
            given = disguised(choose, inputs)
            give_cells(choose, given, inputs, state)
            self.latest = inputs, before
            expected = expect(self.graph, inputs, before, sizes, case.seed)
            bases = [base.clone() for _, base in laid]
            with choose.choice([nullcontext, torch.no_grad, torch.inference_mode])():
                results = list(program(*given, state=state).values())
            after = {cell: state.read(cell).clone() for cell in program.state.cells}
            for (_, base), old in zip(laid, bases):
                same_bits(base, old, "an input after the call")
            self._compare(self.graph, expected, before, results, after)
            if derivatives is not None:
                self.what = f"derivatives against torch.autograd, with {sizes}"
                self._compare_derivatives(derivatives, expected, inputs, before, sizes)
            held.extend((x, x.clone()) for x in results)
            self.calls.append(Call(sizes, inputs, k % len(states), assigned, before, expected, results, after))
        self.what = "outputs of earlier calls"
        for x, old in held:
            same_bits(x, old, "an output that was held")

    @property
    def graph_outputs(self) -> Sequence[Output]:
        """Of the graph as it was declared."""
        outputs = [Output(x.node, OutputRole.OUTPUT, name) for name, x in self.case.outputs.items()]
        return outputs + [Output(x.node, OutputRole.UPDATE, to.name, to.cell) for to, x in self.case.updates.items()]

    def _compare_derivatives(
        self,
        derivatives: Derivatives,
        expected: Sequence[Expected],
        inputs: Sequence[Array],
        before: Mapping[Cell, Array],
        sizes: Mapping[str, int],
    ) -> None:
        names = (*self.case.gradients, *self.case.seconds)
        named = dict(zip(self.case.outputs, expected))
        for name, derivative in zip(names, expect_derivatives(derivatives, inputs, before, sizes, self.case.seed)):
            derivative.slack.add_(named[name].slack)
            if self.case.is_wild:
                # torch sends zeros along paths that graphc knows to be constant, and 0 · ∞ is NaN. What its elu gives
                # for NaN depends on the place: 1 in what is left over from vectors, else NaN.
                derivative.slack[derivative.value.isnan() | named[name].value.isnan()] = torch.inf
            derivative.compare(named[name].value, name)

    def _assign(self, choose: random.Random, state: State) -> Collection[Cell]:
        """Set some cells, as a schedule of learning rates does, and what training has made large."""
        cells = [cell for cell in state.cells if cell.role is not Role.RANDOM]
        assigned = {cell for cell in cells if bool((state.read(cell).double().abs() > LARGEST).any())}
        if state.cells and choose.random() < 0.4:
            assigned |= set(choose.choices(state.cells, k=2))
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
                same_bits(value, before[cell], f"the value of {cell.name!r}, which has no update,")

    def _take_turns(self) -> None:
        """Programs that update more or fewer of the cells, on one State."""
        updates = list(self.case.updates.items())
        fewer = [dict(self.random.sample(updates, count)) for count in (0, len(updates) // 2, len(updates))]
        programs = [(self._declared(each), self.compiled("torch", each)) for each in fewer]
        _, largest = programs[-1]
        cells = dict.fromkeys(cell for _, program in programs for cell in program.state.cells)
        # A program without some of the updates may count its random masks with another counter.
        is_whole = set(cells) <= set(largest.state.cells)
        state = largest.new_state() if is_whole and self.random.random() < 0.5 else largest.state
        for k in range(6 if self.calls else 0):
            call = self.random.choice(self.calls)
            graph, program = self.random.choice(programs)
            self.what = f"turn {k}, with {call.sizes}"
            self.source = program.source
            self._assign(self.random, state)
            before = {cell: state.read(cell).clone() for cell in cells}
            expected = expect(graph, call.inputs, before, call.sizes, self.case.seed)
            results = list(program(*call.inputs, state=None if state is largest.state else state).values())
            self._compare(graph, expected, before, results, {cell: state.read(cell) for cell in cells})

    def _fit(self) -> None:
        if not self.calls:
            return
        run = Run.of(self.case, self.graph, self.calls[0].before)
        for backend in ("reference", "torch", "c") if self.native else ("reference", "torch"):
            if run is not None:
                self.what = f"fit on {backend}"
                program = self.compiled(backend)
                self.source = program.source
                run.compare(program, backend)

    # Other ways to compile it.

    def _replay_way(self, way: Way) -> None:
        self.what = f"compile: {way}"
        executable = way.executable(self.specialised)
        before = torch.get_num_threads()
        torch.set_num_threads(way.threads)
        try:
            self._replay(str(way), executable)
        finally:
            torch.set_num_threads(before)

    def _check_memory(self) -> None:
        programs = [self.compiled("torch"), *([self.compiled("c")] if self.native else [])]
        for program in programs:
            for call in self.calls:
                match program.schedule, program.memory:
                    case Schedule() as steps, MemoryPlan() as places:
                        check(steps, places, call.sizes)
                    case _, NativePlan() as native:
                        check_native(native, {**dict.fromkeys(native.graph.symbols, 3), **call.sizes})

    def _try_reuse(self) -> None:
        """A plan of torch calls: with and without reuse, with poisoned buffers, and in short parts."""
        bits = [(call.results, call.after) for call in self.calls]
        reusing = Way("torch").executable(self.specialised)
        self._replay("with poisoned buffers", reusing, bits, poisoned=True)
        self._replay("without reuse of buffers", Way("torch", reuse=False).executable(self.specialised), bits)
        self._replay("in short parts", Way("torch", choices=(("PART", 3),)).executable(self.specialised), bits)

    def _try_native_reuse(self) -> None:
        chosen = next(native_ways(self.random))
        way = Way("c", choices=chosen.choices, vector_bytes=chosen.vector_bytes)
        reusing = way.executable(self.specialised)
        bits = self._replay(f"{way}, continued", reusing, continued=True)
        self._replay(f"{way}, with poisoned buffers", reusing, bits, poisoned=True)
        apart = Way("c", choices=way.choices, vector_bytes=way.vector_bytes, reuse=False)
        self._replay(str(apart), apart.executable(self.specialised), bits)

    def _replay(
        self,
        name: str,
        executable: Executable,
        bits: Results | None = None,
        *,
        continued: bool = False,
        poisoned: bool = False,
    ) -> Results:
        """The recorded calls again. With `bits` they must give these, each going on from the State that the last left.

        Else, unless `continued`, each starts from the State as it was, and the judge says what it must give.
        """
        self.source = executable.source
        states: dict[int, State] = {}
        bindings: dict[tuple[object, ...], Bound] = {}
        found: list[tuple[Sequence[Array], Mapping[Cell, Array]]] = []
        is_judged = bits is None and not continued
        for k, call in enumerate(self.calls):
            self.what = f"{name}: call {k} with {call.sizes}"
            self.latest = call.inputs, call.before
            if call.state not in states:
                states[call.state] = State(tuple(call.before), {cell: x.clone() for cell, x in call.before.items()})
            state = states[call.state]
            for cell, value in call.before.items():
                if is_judged or cell in call.assigned:
                    state.read(cell).copy_(value)
            key = (call.state, *call.sizes.values())
            if key not in bindings or not bindings[key].is_current(state):
                bindings[key] = executable.bind(call.sizes, state)
            if poisoned:
                _poison(bindings[key], 255 if k % 2 else 127)  # as floating numbers: NaN, or a large one
            results = list(bindings[key].run(*call.inputs))
            after = {cell: state.read(cell) for cell in call.after}
            if bits is not None:
                for i, (x, old) in enumerate(zip(results, bits[k][0], strict=True)):
                    same_bits(x, old, f"output {i}")
                for cell, value in after.items():
                    same_bits(value, bits[k][1][cell], f"the value of {cell.name!r}")
            elif is_judged:
                self._compare(self.graph, call.expected, call.before, results, after)
            found.append((results, {cell: value.clone() for cell, value in after.items()}))
        return found


def _poison(bound: Bound, byte: int) -> None:
    """Overwrite the buffers of a plan, and let it compute anew what it keeps there between calls."""
    if hasattr(bound, "_memory"):  # native code keeps nothing there
        bound._memory.fill_(byte)
        return
    names = bound.run.__globals__
    names["buffer"].__self__._bytes.fill_(byte)
    names["versions"] = None
