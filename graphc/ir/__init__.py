"""The graph: ops, nodes, tensor handles, graphs, and what rewrites, checks and prints them."""

from __future__ import annotations

from graphc.ir.cell import Cell, Role
from graphc.ir.graph import Graph, topological_order
from graphc.ir.node import Node
from graphc.ir.op import OPS, Arg, Op, Sample, TorchCall
from graphc.ir.origin import Origin, Scope
from graphc.ir.output import Output, OutputRole
from graphc.ir.tensor import FUNCTIONS, Tensor, TensorLike, apply, complaint, function, is_number, is_tensor_like

__all__ = [
    "FUNCTIONS",
    "OPS",
    "Arg",
    "Cell",
    "Graph",
    "Node",
    "Op",
    "Origin",
    "Output",
    "OutputRole",
    "Role",
    "Sample",
    "Scope",
    "Tensor",
    "TensorLike",
    "TorchCall",
    "apply",
    "complaint",
    "function",
    "is_number",
    "is_tensor_like",
    "topological_order",
]
