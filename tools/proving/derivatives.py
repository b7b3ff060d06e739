"""Derivatives of random graphs in float64, first and second: against torch.autograd, and against finite differences.

A case builds a graph from its seed, whose loss weighs random tensors with inputs, so that cotangents are random, and
whose gradients are weighed with inputs for the second derivatives. The judge of the fuzzer compares with
torch.autograd. Then all leaves move along random directions: what the loss changes by must be what its gradient says,
and what Σ gradient · weight changes by what the second derivatives say. Where differences of two lengths disagree, or
those to either side however short they are, there is an edge of the function, such as that of relu, or too steep a
curve; such directions are counted as "rough".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from graphc import InputError, dims
from graphc.ir import Cell, Graph, Output, OutputRole
from graphc.runtime.signature import Signature
from tools.fuzzing.build import draw
from tools.fuzzing.cases import Case, build
from tools.fuzzing.judge import Derivatives, OutsideDomain, evaluate, expect, expect_derivatives
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
DIRECTIONS = 3
STEP = 1e-4
"""Of a central difference: its error is about the square of it, and rounding divided by it."""
TOLERANCE = 2e-6


def on_graph(seed: int) -> Mapping[str, int]:
    """Raises AssertionError where a derivative is wrong."""
    torch.set_num_threads(1)
    case = _case(seed)
    counts = Counter[str]()
    results = [Output(x.node, OutputRole.OUTPUT, name) for name, x in case.outputs.items()]
    graph = Graph(tuple(x.node for x in case.inputs), tuple(results))
    derivatives = Derivatives.of(case, results)
    generator = torch.Generator().manual_seed(seed)
    cells = {cell: cell.value for cell in graph.cells}
    for binding in (*case.bindings[:2], case.bindings[-1]):
        shapes = [[dims.evaluate(size, binding) for size in x.shape] for x in case.inputs]
        if any(size < 0 for shape in shapes for size in shape):
            continue
        inputs = [draw(case.draws[x.node], shape, generator) for x, shape in zip(case.inputs, shapes)]
        try:
            sizes = Signature.of(graph).bind(inputs)
        except InputError:  # the graph cannot have these sizes
            continue
        found = dict(zip(case.outputs, expect(graph, inputs, cells, sizes, seed)))
        names = (*case.gradients, *case.seconds)
        for name, expected in zip(names, expect_derivatives(derivatives, inputs, cells, sizes, seed)):
            expected.slack.add_(found[name].slack)
            expected.compare(found[name].value, f"seed {seed}: {name} against torch.autograd, with {sizes}")
            counts["derivatives"] += expected.value.numel()
        for _ in range(DIRECTIONS):
            counts.update(_along(case, graph, inputs, cells, sizes, generator))
    return counts


def _case(seed: int) -> Case:
    """The first one from a seed on, of a seed's own, that is in float64 and has gradients by leaves."""
    for attempt in range(50):
        case = build(seed + attempt * 1_000_003, 1 + seed % 8, "smooth")
        floats = {x.node.type.dtype for x in (*case.wrt, *case.outputs.values()) if x.dtype.is_floating_point}
        nodes = Graph((), tuple(Output(x.node, OutputRole.OUTPUT, "") for x in case.outputs.values())).nodes
        floats |= {node.type.dtype for node in nodes if node.type.dtype.is_floating_point}
        if case.seconds and floats == {torch.float64}:
            return case
    raise AssertionError(f"seed {seed}: no graph with gradients in fifty attempts")


def _along(
    case: Case,
    graph: Graph,
    inputs: Sequence[Array],
    cells: Mapping[Cell, Array],
    sizes: Mapping[str, int],
    generator: torch.Generator,
) -> Mapping[str, int]:
    """Differences along one random direction of all leaves."""
    leaves = [x for x in case.wrt if not x.node.inputs]
    directions = {
        x.node: torch.randn([dims.evaluate(size, sizes) for size in x.shape], generator=generator, dtype=x.dtype)
        for x in leaves
    }

    def moved(step: float) -> tuple[Array, Array]:
        """The loss, and Σ gradient · weight."""
        near = [x + step * directions[node] if node in directions else x for node, x in zip(graph.inputs, inputs)]
        by_cell = {node.op.cell: direction for node, direction in directions.items() if node.op.cell is not None}
        around = {cell: x + step * by_cell[cell] if cell in by_cell else x for cell, x in cells.items()}
        values = evaluate(graph, near, around, sizes, judged=True)
        weighed = [
            (values[case.outputs[name].node] * values[weight.node]).sum()
            for name, weight in zip(case.gradients, case.weights)
        ]
        assert case.loss is not None, "cases have losses"
        return values[case.loss.node].sum(), torch.stack(weighed).sum()

    values = evaluate(graph, inputs, cells, sizes)
    counts = Counter[str]()
    try:
        points = [moved(step) for step in (-STEP, -STEP / 2, 0.0, STEP / 2, STEP)]
    except OutsideDomain:
        return Counter(rough=2)
    for order, names in enumerate((case.gradients, case.seconds)):
        parts = [
            float((values[case.outputs[name].node] * directions[x.node]).sum())
            for name, x in zip(names, case.wrt)
            if x.node in directions
        ]
        slope = sum(parts)
        far_left, left, here, right, far_right = (float(point[order]) for point in points)
        coarse, fine = (far_right - far_left) / (2 * STEP), (right - left) / STEP
        allowed = TOLERANCE * max(1.0, *map(abs, parts), abs(fine), abs(here))
        bends = [((far_right - here) - (here - far_left)) / STEP, ((right - here) - (here - left)) / (STEP / 2)]
        is_edge = abs(bends[1]) > max(0.75 * abs(bends[0]), allowed)  # of a smooth function, half as much
        if not abs(coarse - fine) <= allowed or is_edge:
            counts["rough"] += 1
        elif not abs(slope - fine) <= 10 * allowed:
            raise AssertionError(
                f"seed {case.seed}: derivative {order + 1} along a random direction is {slope}, and differences give "
                f"{fine} and {coarse}, with {dict(sizes)}\n{graph}"
            )
        else:
            counts["differences"] += 1
    return counts


PROOFS = (Proof("derivatives", 2, "graphs", 500, 10, on_graph),)
