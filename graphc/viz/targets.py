"""From the targets of the commands to what they name: objects, whole graphs, programs, and their passes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphc.ir import Graph
from graphc.runtime import Program
from graphc.viz.compare import Comparison
from graphc.viz.find import SAVED, TargetError, meant, pick, run, saved, split_target
from graphc.viz.inputs import Input, opened, values_of
from graphc.viz.labels import shown
from graphc.viz.passes import pass_rows
from graphc.viz.subject import describe, subject_of

__all__ = ["comparison_of", "graph_of", "program_of", "read"]


def read(
    file: Path, name: str, inputs: Sequence[Input] = (), batch: str | None = None
) -> tuple[object, tuple[object, ...] | None]:
    """The object to draw, and the values of the batch. Raises DrawingError."""
    if file.suffix == SAVED:
        for option in [*(["--input"] if inputs else []), *(["--batch"] if batch is not None else [])]:
            raise TargetError(f"{option} is for Python files; {shown(str(file), None)!r} is a saved graph")
        return saved(file), None
    names = run(file)
    return opened(file, name, names, inputs), None if batch is None else values_of(pick(names, file, batch), batch)


def graph_of(target: str, names: dict[Path, Mapping[str, object]]) -> Graph:
    """All that is declared of a target. `names` are those of the files that were run already, and of this one then."""
    file, name = split_target(target)
    if file.suffix == SAVED:
        return saved(file)
    if file.resolve() not in names:
        names[file.resolve()] = run(file)
    return subject_of(opened(file, name, names[file.resolve()]), name)[0]


def program_of(target: str) -> Program:
    value, _ = read(*split_target(target))
    if not isinstance(value, Program):
        raise TargetError(f"{shown(target, None)!r} is {describe(value)}; passes make a program, by graphc.compile")
    return value


def comparison_of(program: Program, name: str) -> Comparison:
    """What the pass `name` made of the graph; the second one of that name is `name#2`. Raises TargetError."""
    found: dict[str, Comparison] = {}
    count: Counter[str] = Counter()
    for row in pass_rows(program):
        if row.comparison is not None:
            count[row.name] += 1
            found[row.name if count[row.name] == 1 else f"{row.name}#{count[row.name]}"] = row.comparison
    if name not in found:
        raise TargetError(f"there is no pass {shown(name)!r}{meant(name, found)}; there are {', '.join(found)}")
    return found[name]
