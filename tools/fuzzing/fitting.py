"""`fit` on every backend, against a training loop in eager torch whose rounding is moved at random, too."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

import graphc
from graphc import InputError, State, dims
from graphc.expr.philox import as_int64
from graphc.ir import Cell, Graph, Role
from graphc.runtime.shuffle import permutation
from graphc.runtime.signature import Signature
from tools.fuzzing.build import draw
from tools.fuzzing.cases import Case
from tools.fuzzing.judge import Expected, Noise, evaluate, noises

__all__ = ["Run"]

Array = torch.Tensor


@dataclass(frozen=True, eq=False)
class Run:
    """A few epochs over few samples, and what the cells and the means of each epoch must be."""

    data: list[Array]
    before: Mapping[Cell, Array]
    batch: int
    epochs: int
    shuffle: bool
    seed: int
    cells: dict[Cell, Expected]
    means: dict[str, Expected]

    @staticmethod
    def of(case: Case, graph: Graph, before: Mapping[Cell, Array]) -> Run | None:
        """None where the graph cannot take one of the batches."""
        choose = random.Random(f"{case.seed} fit")
        samples, batch, epochs = choose.choice([1, 7, 12, 19]), choose.randint(1, 8), choose.randint(1, 3)
        shuffle, seed = choose.random() < 0.7, choose.randrange(1000)
        generator = torch.Generator().manual_seed(case.seed)
        shapes = [[dims.evaluate(size, {"n": samples}) for size in x.shape] for x in case.inputs]
        data = [draw(case.draws[x.node], shape, generator, case.is_wild) for x, shape in zip(case.inputs, shapes)]
        try:
            for rows in {min(batch, samples), samples % batch or batch}:
                Signature.of(graph).bind([x[:rows] for x in data])
        except InputError:
            return None
        orders = [permutation(samples, seed, k) if shuffle else torch.arange(samples) for k in range(epochs)]
        start = {cell: x.clone() for cell, x in before.items()}
        for cell in start:
            if cell.role is Role.RANDOM:
                start[cell][0] = as_int64(seed)
        runs = [_run(graph, data, start, batch, orders, noise) for noise in noises(case.seed)]
        cells = {cell: Expected.of([after[cell] for after, _ in runs]) for cell in start}
        means = {name: Expected.of([each[name] for _, each in runs]) for name in runs[0][1]}
        return Run(data, before, batch, epochs, shuffle, seed, cells, means)

    def compare(self, program: graphc.Program, backend: str) -> None:
        """Raises Mismatch."""
        state = State(program.state.cells, {cell: x.clone() for cell, x in self.before.items()})
        given = [x.clone() for x in self.data]
        history = program.fit(
            *given, batch_size=self.batch, epochs=self.epochs, shuffle=self.shuffle, seed=self.seed, state=state
        )
        for name, expected in self.means.items():
            actual = torch.tensor(history[name], dtype=torch.float64)
            expected.compare(actual, f"the means of {name!r} after fit on {backend}")
        for cell, expected in self.cells.items():
            expected.compare(state.read(cell), f"{cell.name!r} after fit on {backend}")


def _run(
    graph: Graph,
    data: Sequence[Array],
    start: Mapping[Cell, Array],
    batch: int,
    orders: Sequence[Array],
    noise: Noise | None,
) -> tuple[dict[Cell, Array], dict[str, Array]]:
    """The cells at the end, and by scalar output the means of each epoch."""
    cells = dict(start)
    scalars = [output for output in graph.outputs if output.cell is None and not output.node.type.shape]
    means: dict[str, list[float]] = {output.name: [] for output in scalars}
    for order in orders:
        totals = dict.fromkeys(means, 0.0)
        for rows in torch.split(order, batch):
            inputs = [x[rows] for x in data]
            values = evaluate(graph, inputs, cells, Signature.of(graph).bind(inputs), noise)
            for output in scalars:
                totals[output.name] += float(values[output.node]) * len(rows)
            cells |= {output.cell: values[output.node] for output in graph.outputs if output.cell is not None}
        for name, total in totals.items():
            means[name].append(total / len(order))
    return cells, {name: torch.tensor(each, dtype=torch.float64) for name, each in means.items()}
