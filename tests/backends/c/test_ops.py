"""Every op as generated C, over all of its samples: the judge is `eval`. A new op needs no line here.

Compiling takes longer than all the rest, so that many samples share a program.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

import graphc
from graphc import DTypeError
from graphc.expr import Call, Reduce
from graphc.ir import OPS, Op, Sample, apply
from graphc.types import DTYPES
from tests.expr.source import element_of
from tests.judge import Array, assert_same, placeholders_for, special_values
from tests.ops.laws import SAMPLES, draw, special_operands, type_of
from tests.ops.test_contract import DECOMPOSED, TRANSCENDENTAL, is_composed, parts_of, with_dtype

Case = tuple[Op, list[Array]]
TOGETHER = 60
"""Cases in one program."""

HALVES = (torch.float16, torch.bfloat16)


def tolerance(op: Op, arrays: Sequence[Array], result: Array) -> dict[str, Any]:
    """Exactly equal, unless there is something to round that C rounds otherwise."""
    if not result.dtype.is_floating_point:
        return {"bits": True}
    eps = torch.finfo(result.dtype).eps
    parts = [] if op.name in DECOMPOSED else list(parts_of(element_of(op, *map(type_of, arrays))))
    rounds = op.name in DECOMPOSED or any(isinstance(part, Call) and part.function in TRANSCENDENTAL for part in parts)
    if rounds or any(isinstance(part, Reduce) and part.combine == "sum" for part in parts):
        return {"rtol": 8 * eps, "atol": 16 * eps}
    if any(isinstance(part, Call) and part.function == "sqrt" for part in parts):
        return {"rtol": eps, "atol": 0.0}  # torch's vectors round it otherwise
    if any(isinstance(part, Reduce) or getattr(part, "function", "") in ("maximum", "minimum") for part in parts):
        return {"rtol": 0.0, "atol": 0.0}  # which of two zeros is the larger one depends on their order and their place
    return {"bits": True}


def check(cases: Sequence[Case]) -> None:
    """All cases as outputs of one program."""
    inputs = [placeholders_for(arrays) for _, arrays in cases]
    outputs = [apply(op, *x) for (op, _), x in zip(cases, inputs)]
    program = graphc.compile([x for each in inputs for x in each], outputs, backend="c")
    results = program(*(array for _, arrays in cases for array in arrays))
    for (op, arrays), result in zip(cases, results, strict=True):
        expected = op.eval(*arrays)
        label = f"{op} {', '.join(str(type_of(x)) for x in arrays)}"
        assert_same(result, expected, label, **tolerance(op, arrays, expected))


def of_samples(samples: Sequence[Sample]) -> Iterator[Case]:
    """The samples with every dtype that native code has and the op takes."""
    for sample, dtype in itertools.product(samples, DTYPES):
        generator = torch.Generator().manual_seed(0)  # one for all operands, which would be equal else
        arrays = [arg.draw(generator, each) for arg, each in with_dtype(sample, dtype)]
        try:
            y = sample.op.infer(*map(type_of, arrays))
        except DTypeError:
            continue
        if not {y.dtype, *(x.dtype for x in arrays)} & set(HALVES):
            yield sample.op, arrays


def chunks(cases: Iterator[Case]) -> Iterator[list[Case]]:
    while chunk := list(itertools.islice(cases, TOGETHER)):
        yield chunk


PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_samples(part: int) -> None:
    names = sorted(OPS)[part::PARTS]
    for chunk in chunks(of_samples([sample for sample in SAMPLES if sample.op.name in names])):
        check(chunk)


@pytest.mark.parametrize("vector_bytes", [16, 32])
def test_shorter_vectors(vector_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_VECTOR_BYTES", str(vector_bytes))
    samples = [sample for name in sorted(OPS) for sample in list(OPS[name].samples())[:1]]
    for chunk in chunks(of_samples(samples)):
        check(chunk)


def test_special_values() -> None:
    """NaN, infinities, signed zeros and denormals; pointwise ops, at lengths that fill no vector."""
    cases: list[Case] = []
    for sample in SAMPLES:
        if not sample.op.is_pointwise or not any(arg.dtype.is_floating_point for arg in sample.args):
            continue
        if sample.op.name == "cast" and not sample.op.infer(*map(type_of, draw(sample.args))).dtype.is_floating_point:
            continue  # what an integer is made of NaN or infinity depends on the processor
        for dtype in (torch.float32, torch.float64):
            values = special_values(dtype)
            if dtype is torch.float32 and is_composed(element_of(sample.op, *map(type_of, draw(sample.args, dtype)))):
                values = values[~(values.abs() > 1e30)]  # torch may call oneDNN, which overflows
            cases += [(sample.op, operands) for operands in special_operands(sample, values)]
    for chunk in chunks(iter(cases)):
        check(chunk)
