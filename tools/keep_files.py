"""Keep the files that this version of graphc writes, so that later versions are tested to read them.

    python tools/keep_files.py            # at a release, once; writes tests/old_files/VERSION
    python tools/keep_files.py --again    # before the release of this version: the files are written anew

Each kind of file has a folder, a function that writes some of them with the values that they must have, and one that
reads those of any version. A kind that is added gets its files at the next release; older versions do not have it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

import graphc
from graphc import Graph, Program, State, nn, optim
from graphc.backends.reference import evaluate
from graphc.ir import Cell, apply
from graphc.ir.verify import verify
from graphc.runtime.signature import Signature
from graphc.types import DTYPES
from tests.ir.structure import GRAPHS, SAMPLES
from tests.judge import graph_of

__all__ = ["FOLDER", "KINDS", "Kind", "keep", "versions"]

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "old_files"
KEPT = ("training-0-graph", "classes-5-dce", "float64-8-cse", "sizes", "leaves", "empty")
"""Graphs of `tests/ir/structure.py`: networks as they were declared and after passes, sizes, constants, cells."""
SIZES = {"batch": 3, "n": 4, "m": 5}
"""What is put in for symbolic sizes."""


@dataclass(frozen=True)
class Kind:
    """`keep` writes files of the present version into a folder. `check` reads what any version put there, raises what
    is wrong with it, and gives the number of files.
    """

    folder: str
    keep: Callable[[Path], None]
    check: Callable[[Path], int]


# Graphs ---------------------------------------------------------------------------------------------------------------


def graphs() -> Iterator[tuple[str, Graph]]:
    """Every op that can be saved, and whole networks."""
    outputs, inputs = [], []
    for sample in SAMPLES:
        operands = [
            graphc.placeholder(f"x{len(inputs) + k}", arg.shape, arg.dtype) for k, arg in enumerate(sample.args)
        ]
        inputs += operands
        outputs.append(apply(sample.op, *operands))
    yield "every-op", graph_of(outputs, inputs)
    for name in KEPT:
        yield name, GRAPHS[name]


def keep_graphs(folder: Path) -> None:
    """Each graph as `save` writes it, and beside it values of its inputs, cells and outputs."""
    generator = torch.Generator().manual_seed(1)
    for name, graph in graphs():
        graph.save(folder / f"{name}.json")
        inputs = [_drawn(tuple(_bound(size) for size in x.type.shape), x.type.dtype, generator) for x in graph.inputs]
        read = Graph.load(folder / f"{name}.json")
        cells = sorted(read.cells, key=lambda cell: cell.serial)
        for cell in cells:
            if cell.role.value in ("parameter", "slot"):
                cell.value = _drawn(cell.type.shape, cell.type.dtype, generator)
        whole = {
            "inputs": list(map(_written, inputs)),
            "cells": [_written(cell.value) for cell in cells],
            "outputs": list(map(_written, _results(read, inputs))),
        }
        text = json.dumps(whole, allow_nan=False)
        (folder / f"{name}.values").write_text(text + "\n", encoding="ascii")


def check_graphs(folder: Path) -> int:
    """Each loads, is legal, computes what it computed then, and can be written again."""
    count = 0
    for path in sorted(folder.glob("*.json")):
        graph = Graph.load(path)
        verify(graph)
        values = json.loads(path.with_suffix(".values").read_text(encoding="ascii"))
        cells = sorted(graph.cells, key=lambda cell: cell.serial)
        assert len(cells) == len(values["cells"]), f"{path}: {len(cells)} cells are not {len(values['cells'])}"
        for cell, value in zip(cells, values["cells"], strict=True):
            cell.value = _read(value)
        results = _results(graph, list(map(_read, values["inputs"])))
        for output, result, value in zip(graph.outputs, results, values["outputs"], strict=True):
            expected = _read(value)
            note = f"{path}: output {output.name!r}: "
            torch.testing.assert_close(
                result, expected, rtol=1e-5, atol=1e-6, equal_nan=True, msg=lambda text, note=note: note + text
            )
        assert Graph.from_json(graph.to_json()).to_json() == graph.to_json(), f"{path}: is other when written again"
        count += 1
    return count


def _bound(size: Any) -> int:
    return size if isinstance(size, int) else int(size.evaluate({name: SIZES[name] for name in size.symbols}))


def _drawn(shape: Any, dtype: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Values between 0 and 1, which are positive, and probabilities; as whole numbers and classes, 0 and 1."""
    values = torch.rand(shape, generator=generator, dtype=torch.float64)
    return (values if dtype.is_floating_point else values.round()).to(dtype)


def _results(graph: Graph, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    values = evaluate(graph, inputs, Signature.of(graph).bind(inputs), State(graph.cells))
    return [values[output.node] for output in graph.outputs]


def _written(value: torch.Tensor) -> dict[str, Any]:
    """Numbers as text, by which float64 comes back as it was; all other types fit into it."""
    numbers = value.to(torch.float64 if value.is_floating_point() else torch.int64).flatten().tolist()
    return {"dtype": DTYPES[value.dtype], "shape": list(value.shape), "numbers": list(map(repr, numbers))}


def _read(value: Mapping[str, Any]) -> torch.Tensor:
    dtype = next(dtype for dtype, name in DTYPES.items() if name == value["dtype"])
    kind, number = (torch.float64, float) if dtype.is_floating_point else (torch.int64, int)
    return torch.tensor([number(each) for each in value["numbers"]], dtype=kind).to(dtype).reshape(value["shape"])


# Checkpoints ----------------------------------------------------------------------------------------------------------


def programs() -> Iterator[tuple[str, Program]]:
    """Training steps with every kind of cell."""
    for name, kind in (("adam", optim.Adam), ("sgd", optim.SGD)):
        torch.manual_seed(1)
        x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
        net = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Tanh(), nn.Linear(3, 1))
        loss = nn.MSELoss()(net(x), y)
        options = {"momentum": 0.9} if kind is optim.SGD else {"amsgrad": True}
        optimizer = kind(net.parameters(), optim.Cosine(0.01, steps=100), **options)
        yield name, graphc.compile([x, y], {"loss": loss}, optimizer.minimize(loss), backend="reference")


def keep_checkpoints(folder: Path) -> None:
    """Each after a run of two epochs, and beside it the value of each cell, in order of construction."""
    for name, program in programs():
        generator = torch.Generator().manual_seed(1)
        x, y = torch.randn(10, 2, generator=generator), torch.randn(10, 1, generator=generator)
        program.fit(x, y, batch_size=4, epochs=2, checkpoint=folder / f"{name}.safetensors", progress=False)
        text = json.dumps([_written(program.state.read(cell)) for cell in _in_order(program)], allow_nan=False)
        (folder / f"{name}.values").write_text(text + "\n", encoding="ascii")


def check_checkpoints(folder: Path) -> int:
    """Each loads into the program of its name, with its values."""
    found = dict(programs())
    paths = sorted(folder.glob("*.safetensors"))
    for path in paths:
        program = found[path.stem]
        program.load(path)
        values = json.loads(path.with_suffix(".values").read_text(encoding="ascii"))
        for cell, value in zip(_in_order(program), values, strict=True):
            assert torch.equal(program.state.read(cell), _read(value)), f"{path}: {cell} is another"
    return len(paths)


def _in_order(program: Program) -> list[Cell]:
    return sorted(program.state.cells, key=lambda cell: cell.serial)


KINDS = (Kind("graphs", keep_graphs, check_graphs), Kind("checkpoints", keep_checkpoints, check_checkpoints))


# All kinds ------------------------------------------------------------------------------------------------------------


def keep(folder: Path) -> None:
    """Write the files of all kinds."""
    for kind in KINDS:
        (folder / kind.folder).mkdir(parents=True)
        kind.keep(folder / kind.folder)


def versions() -> list[Path]:
    """The folders of the versions whose files are kept."""
    return sorted(path for path in FOLDER.iterdir() if path.is_dir() and path.name[0].isdigit())


def main() -> int:
    """The command. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--again", action="store_true", help="write over the files of this version")
    options = parser.parse_args()
    folder = FOLDER / graphc.__version__
    if folder.exists():
        if not options.again:
            print(f"{folder} is there already: files of a release stay as they are. See --again", file=sys.stderr)
            return 1
        shutil.rmtree(folder)
    keep(folder)
    print(f"{folder}: {sum(1 for path in folder.rglob('*') if path.is_file())} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
