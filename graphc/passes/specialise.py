"""What a graph means in a program that trains, and in one that does not.

Training, a dropout is a random mask, and an update counts the steps that the masks depend on. Else it is its operand,
and nothing of it is left.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from graphc.ir import Graph, Node, Output, OutputRole, Tensor, apply
from graphc.ir.origin import inherited
from graphc.ir.rewrite import rewrite, rule
from graphc.ops.leaves import CellValue, constant
from graphc.ops.randomness import Dropout, RandomMask
from graphc.ops.selections import where

__all__ = ["specialise"]


def specialise(graph: Graph, training: bool) -> tuple[Graph, Mapping[str, int]]:
    """The graph for a program that trains or does not, and how often each rule fired."""
    return _in_training(graph) if training else rewrite(graph, (dropout_in_inference,), "specialise")


@rule(Dropout)
def dropout_in_inference(n: Node) -> Tensor | None:
    return Tensor(n.inputs[0])


def _in_training(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    random = {n.op.source: n for n in graph.nodes if isinstance(n.op, Dropout) and 0.0 < n.op.p < 1.0}
    # In the order of the calls, whatever the order of a program's outputs.
    sources = sorted(random, key=lambda source: source.serial)

    @rule(Dropout)
    def dropout_in_training(n: Node) -> Tensor | None:
        assert isinstance(n.op, Dropout), "the rule is for this op"
        x, p = Tensor(n.inputs[0]), n.op.p
        if p == 0.0:
            return x
        if p == 1.0:
            return constant(0.0, x.dtype).broadcast_to(x.shape)
        mask = RandomMask(sources.index(n.op.source), round(p * (1 << 32)), x.shape)
        return where(apply(mask, apply(CellValue(sources[0]))), x * (1.0 / (1.0 - p)), 0.0)

    result, fired = rewrite(graph, (dropout_in_training,), "specialise")
    if not sources:
        return result, fired
    counter = sources[0]
    with inherited(random[counter].origin, by="specialise"):
        following = apply(CellValue(counter)) + constant(torch.tensor([0, 1], device="cpu"))
    counted = Output(following.node, OutputRole.UPDATE, counter.name, counter)
    return Graph(result.inputs, (*result.outputs, counted), result.name), fired
