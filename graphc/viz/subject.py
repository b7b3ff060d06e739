"""What can be drawn, and the graph of it."""

from __future__ import annotations

from collections.abc import Sequence

from graphc.ir import Graph, Node, Output, OutputRole, Tensor, topological_order
from graphc.ops import Placeholder
from graphc.runtime import Program
from graphc.types import Array
from graphc.viz.errors import DrawingError
from graphc.viz.labels import shown

__all__ = ["Drawable", "declared_graph", "describe", "is_drawable", "is_module", "subject_of"]

Drawable = Tensor | Sequence[Tensor] | dict[str, Tensor] | Graph | Program


def subject_of(value: object, name: str = "output") -> tuple[Graph, tuple[Node, ...]]:
    """The graph to draw for `value`, and the inputs that nothing in it uses. Raises DrawingError.

    A program is drawn as it was declared. Tensors that are named one by one are drawn whatever they are.
    """
    if isinstance(value, (Graph, Program)):
        graph = value if isinstance(value, Graph) else declared_graph(value)
        if not graph.outputs:
            raise DrawingError(f"{name!r} has nothing to draw: it has no outputs")
        return graph, tuple(node for node in graph.inputs if node not in graph.users)
    if not is_drawable(value):
        raise DrawingError(f"{name!r} is {describe(value)}; {_remedy(value, name)}")
    outputs = [
        Output(tensor.node, OutputRole.OUTPUT if tensor.node.origin.forward is None else OutputRole.GRADIENT, label)
        for label, tensor in _tensors(value, name)
    ]
    inputs = [node for node in topological_order(o.node for o in outputs) if isinstance(node.op, Placeholder)]
    return Graph(tuple(inputs), tuple(outputs)), ()


def _tensors(value: object, name: str) -> list[tuple[str, Tensor]]:
    """The tensors of `value`, each with a name. Those of a list are called `name[0]`, …"""
    if isinstance(value, dict):
        return [(str(key), tensor) for key, tensor in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"{name}[{i}]", tensor) for i, tensor in enumerate(value)]
    assert isinstance(value, Tensor), "checked before"
    return [(name, value)]


def is_drawable(value: object) -> bool:
    """Whether `value` is a tensor, a non-empty list, tuple or dict of them, a graph or a program."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(each, Tensor) for each in value)
    return isinstance(value, (Tensor, Graph, Program))


def describe(value: object) -> str:
    """What `value` is, for a message: `a list of 2 tensors`, `a Sequential module`."""
    kind = shown(type(value).__name__)
    if isinstance(value, (list, tuple, dict)):
        if not value:
            return f"an empty {kind}"
        return f"a {kind} of {len(value)} tensor{'s' if len(value) > 1 else ''}" if is_drawable(value) else f"a {kind}"
    if isinstance(value, Tensor):
        return "a tensor"
    if isinstance(value, (Graph, Program)):
        return f"a {kind.lower()}"
    return f"{'an' if kind[:1].lower() in 'aeio' else 'a'} {kind}{' module' if is_module(value) else ''}"


def is_module(value: object) -> bool:
    """Whether `value` is called on tensors and has parameters, as layers do."""
    return not isinstance(value, type) and callable(value) and callable(getattr(value, "named_parameters", None))


def _remedy(value: object, name: str) -> str:
    if is_module(value):
        return f"it has no graph until it is called: write y = {name}(x) in the file and draw y"
    if isinstance(value, Array):
        return "torch's tensors have values and no graph: draw a symbolic tensor, a graph or a program"
    return "what can be drawn is a tensor, a list, tuple or dict of tensors, a graph or a program"


def declared_graph(program: Program) -> Graph:
    """The graph as the user declared it: the first stage."""
    return next((stage.value for stage in program.stages if isinstance(stage.value, Graph)), program.graph)
