"""A graph that could not be built: what there is of it, up to the call that raised the error."""

from __future__ import annotations

import textwrap
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from graphc.errors import GraphcError
from graphc.ir import Graph, Node, Op, Output, OutputRole, topological_order
from graphc.ir.tensor import Attempt
from graphc.ops import Placeholder
from graphc.types import TensorType
from graphc.viz.build import drawing_of
from graphc.viz.collapse import opening, visible, with_parts
from graphc.viz.document import Document, Sheet
from graphc.viz.errors import DrawingError
from graphc.viz.labels import shown
from graphc.viz.legend import legend_of
from graphc.viz.model import Drawing, Kind
from graphc.viz.output import encoded
from graphc.viz.request import Request

__all__ = ["BuildFailure", "Failure", "failure_contents", "failure_drawing", "failure_of", "one_line_of"]

LINE_WIDTH, MOST_LINES = 48, 8


@dataclass(frozen=True)
class Failure:
    """An error of graphc's own, and the call that raised it instead of building a node."""

    kind: str
    message: str
    attempt: Attempt


class BuildFailure(DrawingError):  # noqa: N818 - what it carries is a Failure
    """A graph that can be drawn only up to `failure`."""

    def __init__(self, message: str, failure: Failure) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(frozen=True)
class Failed(Op, abstract=True):
    """Stands in a drawing for the call that failed. It has a type only because every node has one."""

    type: TensorType

    @property
    def attributes(self) -> dict[str, object]:
        return {}

    def infer(self, *inputs: TensorType) -> TensorType:
        return self.type


def failure_of(what: str, error: Exception, file: Path) -> DrawingError:
    """What to raise when `what` fails with `error`: a BuildFailure where there is something to draw."""
    message = f"{what}: {one_line_of(error, file)}"
    attempt = error.attempt if isinstance(error, GraphcError) else None
    if isinstance(attempt, Attempt) and attempt.operands:
        return BuildFailure(message, Failure(type(error).__name__, str(error), attempt))
    return DrawingError(message)


def one_line_of(error: Exception, file: Path) -> str:
    """The exception, and the line of `file` that raised it."""
    path = str(file.resolve())
    if isinstance(error, SyntaxError) and error.filename == path:
        message, lines = error.msg, [error.lineno]
    else:
        message = str(error)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    text = shown(f"{type(error).__name__}: {' '.join(message.split())}".removesuffix(": "), None)
    is_told = not lines or f"{file.name}:{lines[-1]}" in message
    return text if is_told else f"{text} (line {lines[-1]})"


def failure_drawing(failure: Failure) -> Drawing:
    """All that the operands of the failed call need, and a box with the error where its node would have been."""
    return _marked(drawing_of(_graph(failure)), failure)


def failure_contents(failure: Failure, suffix: str, request: Request, name: str) -> bytes:
    """The bytes of a file of the drawing whose name ends with `suffix`. Raises DrawingError."""
    whole = with_parts(failure_drawing(failure))
    open_ = opening(whole, request.depth, request.collapse) | _around_error(whole)
    summary = (f"{failure.kind}: {shown(failure.message, None)}",)

    def document() -> Document:
        sheet = Sheet("forward", f"Forward, up to the {failure.kind}", whole, open_)
        graphs = {"declared": _graph(failure)}
        return Document(name, (sheet,), graphs, request.direction, request.theme, summary)

    return encoded(suffix, request, lambda: visible(whole, open_), document)


def _around_error(drawing: Drawing) -> frozenset[int]:
    """The frames around the error: it is seen, whatever else is closed."""
    frame = next(box.frame for box in drawing.boxes if box.kind is Kind.ERROR)
    around = []
    while frame is not None:
        around.append(frame)
        frame = drawing.frames[frame].parent
    return frozenset(around)


def _graph(failure: Failure) -> Graph:
    """The graph that leads to the failed call, which is a node in it: so it has a module, and arrows like any other."""
    operands = tuple(operand.node for operand in failure.attempt.operands)
    inputs = tuple(node for node in topological_order(operands) if isinstance(node.op, Placeholder))
    type_ = operands[0].type
    failed = Node(Failed(type_), operands, type_, failure.attempt.origin)
    return Graph(inputs, (Output(failed, OutputRole.OUTPUT, "failed"),))


def _marked(drawing: Drawing, failure: Failure) -> Drawing:
    """`drawing` with the error in the box of the failed call, and without the output that led out of it."""
    ident = failure.attempt.origin.ident
    place = next(i for i, box in enumerate(drawing.boxes) if ident in box.nodes)
    last = len(drawing.boxes) - 1
    boxes = list(drawing.boxes[:last])
    boxes[place] = replace(
        boxes[place], kind=Kind.ERROR, lines=_lines(failure), tooltip=(shown(failure.message, None),)
    )
    return replace(
        drawing,
        boxes=tuple(boxes),
        arrows=tuple(arrow for arrow in drawing.arrows if arrow.head != last),
        legend=legend_of(boxes, drawing.frames),
    )


def _lines(failure: Failure) -> tuple[str, ...]:
    """The function and what is wrong, in lines that are no longer than a name may be."""
    name = failure.attempt.name
    problem = shown(failure.message.removeprefix(f"{name}: "), None)
    lines = textwrap.wrap(problem, LINE_WIDTH, max_lines=MOST_LINES, placeholder=" …")
    return f"{shown(name, LINE_WIDTH - len(failure.kind) - 2)}: {failure.kind}", *lines
