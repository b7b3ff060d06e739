"""Outputs belong to the caller, inputs to whoever gave them: many calls, whose outputs are held, and then spoilt."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import torch

import graphc
from graphc import InputError, State, dims
from graphc.runtime.signature import Signature
from tools.fuzzing.build import draw
from tools.fuzzing.cases import Case
from tools.fuzzing.inputs import laid_out
from tools.fuzzing.judge import Mismatch, same_bits

__all__ = ["CALLS", "hold"]

Array = torch.Tensor
CALLS = 20


def hold(case: Case, program: graphc.Program) -> None:
    """Call the program with several sizes, twice over: outputs are held, and then each is spoilt after its call.

    What was held must not change, nor what inputs are read from; and what callers do to outputs must change nothing.
    Raises Mismatch.
    """
    calls = _calls(case, program)
    given = [hashes(bases) for _, bases in calls]
    first, again = program.new_state(), program.new_state()
    held = [_results(program, inputs, first) for inputs, _ in calls]
    copies = [[x.clone() for x in results] for results in held]
    for k, (inputs, _) in enumerate(calls):
        spoilt = _results(program, inputs, again)
        for i, (x, old) in enumerate(zip(spoilt, copies[k], strict=True)):
            same_bits(x, old, f"output {i} of call {k}, after outputs before it were overwritten,")
            _spoil(x)
    for k, (results, old) in enumerate(zip(held, copies)):
        for i, (x, y) in enumerate(zip(results, old, strict=True)):
            same_bits(x, y, f"output {i} of call {k}, which was held,")
    if [hashes(bases) for _, bases in calls] != given:
        raise Mismatch("an input was written")
    for cell in program.state.cells:
        same_bits(again.read(cell), first.read(cell), f"{cell.name!r} after outputs were overwritten")


def hashes(arrays: Sequence[Array]) -> list[str]:
    """Of the bytes of each."""
    return [hashlib.sha256(x.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()).hexdigest() for x in arrays]


def _calls(case: Case, program: graphc.Program) -> list[tuple[list[Array], list[Array]]]:
    """Inputs, and the memory that they lie in."""
    choose = random.Random(f"{case.seed} held")
    signature = Signature.of(program.stages[0].value)
    calls: list[tuple[list[Array], list[Array]]] = []
    for k in range(3 * CALLS):
        binding = choose.choice(case.bindings)
        shapes = [[dims.evaluate(size, binding) for size in x.shape] for x in case.inputs]
        if any(size < 0 for shape in shapes for size in shape):
            continue
        generator = torch.Generator().manual_seed(case.seed * 100 + k)
        laid = [
            laid_out(choose, draw(case.draws[x.node], shape, generator, case.is_wild))
            for x, shape in zip(case.inputs, shapes)
        ]
        try:
            signature.bind([x for x, _ in laid])
        except InputError:
            continue
        calls.append(([x for x, _ in laid], [base for _, base in laid]))
        if len(calls) == CALLS:
            break
    return calls


def _results(program: graphc.Program, inputs: Sequence[Array], state: State) -> list[Array]:
    return list(program(*inputs, state=state).values())


def _spoil(x: Array) -> None:
    if x.dtype is torch.bool:
        x.logical_not_()
    else:
        x.fill_(float("nan") if x.dtype.is_floating_point else 99)
