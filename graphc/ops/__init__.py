"""Every op, each declared once; a file a family."""

from __future__ import annotations

from graphc.ops.activations import leaky_relu, relu, sigmoid, tanh
from graphc.ops.arithmetic import add, div, mul, neg, pow_, reciprocal, square, sub
from graphc.ops.classification import Reduction, check_reduction, check_smoothing, cross_entropy, nll_loss
from graphc.ops.comparisons import cast, eq, ge, gt, le, lt, ne
from graphc.ops.contractions import matmul
from graphc.ops.elementary import abs_, cos, erf, exp, floor, log, log1p, sign, sin, sqrt
from graphc.ops.indexing import getitem
from graphc.ops.leaves import CellValue, Constant, Placeholder, SizeValue, TensorConstant, constant, placeholder
from graphc.ops.likelihoods import binary_cross_entropy_terms
from graphc.ops.linear_units import check_approximate, elu, gelu, silu, softplus
from graphc.ops.operands import as_float, as_tensor
from graphc.ops.packing import Pack
from graphc.ops.randomness import check_probability, dropout
from graphc.ops.reductions import amax, amin, mean, sum_
from graphc.ops.selections import clamp, maximum, minimum, where
from graphc.ops.softmax import log_softmax, logsumexp, softmax
from graphc.ops.views import (
    broadcast_to,
    cat,
    expand,
    flatten,
    permute,
    reshape,
    squeeze,
    stack,
    t,
    transpose,
    unsqueeze,
)

__all__ = [
    "CellValue",
    "Constant",
    "Pack",
    "Placeholder",
    "Reduction",
    "SizeValue",
    "TensorConstant",
    "abs_",
    "add",
    "amax",
    "amin",
    "as_float",
    "as_tensor",
    "binary_cross_entropy_terms",
    "broadcast_to",
    "cast",
    "cat",
    "check_approximate",
    "check_probability",
    "check_reduction",
    "check_smoothing",
    "clamp",
    "constant",
    "cos",
    "cross_entropy",
    "div",
    "dropout",
    "elu",
    "eq",
    "erf",
    "exp",
    "expand",
    "flatten",
    "floor",
    "ge",
    "gelu",
    "getitem",
    "gt",
    "le",
    "leaky_relu",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "lt",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "mul",
    "ne",
    "neg",
    "nll_loss",
    "permute",
    "placeholder",
    "pow_",
    "reciprocal",
    "relu",
    "reshape",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "sub",
    "sum_",
    "t",
    "tanh",
    "transpose",
    "unsqueeze",
    "where",
]
