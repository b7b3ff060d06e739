"""graphc: a static computation-graph compiler. Declare first, run after.

points = graphc.placeholder("points", shape=("batch", 2))
net = graphc.nn.Sequential(graphc.nn.Linear(2, 25), graphc.nn.Tanh(), graphc.nn.Linear(25, 1))
program = graphc.compile(inputs=[points], outputs=net(points))
"""

from __future__ import annotations

import gc
import importlib
import sys
from typing import TYPE_CHECKING

# What is imported stays. Looking for garbage meanwhile goes through all that torch has, and takes as long as the rest.
_collects = gc.isenabled()
gc.disable()

from graphc import nn, optim
from graphc.compiler import compile
from graphc.errors import (
    CheckpointError,
    CompileError,
    DTypeError,
    GradientError,
    GraphcError,
    GraphFileError,
    InputError,
    MemoryLimitError,
    NonFiniteError,
    ShapeError,
    StateError,
    SweepError,
    SymbolicValueError,
    VerifyError,
)
from graphc.gradient import grad
from graphc.ir import Graph, Tensor
from graphc.ir.elsewhere import FUNCTIONS_ELSEWHERE, missing
from graphc.ops import abs_ as abs
from graphc.ops import (
    add,
    amax,
    amin,
    broadcast_to,
    cast,
    cat,
    clamp,
    constant,
    cos,
    cross_entropy,
    div,
    dropout,
    elu,
    eq,
    erf,
    exp,
    flatten,
    floor,
    ge,
    gelu,
    gt,
    le,
    leaky_relu,
    log,
    log1p,
    log_softmax,
    logsumexp,
    lt,
    matmul,
    maximum,
    mean,
    minimum,
    mul,
    ne,
    neg,
    nll_loss,
    permute,
    placeholder,
    reciprocal,
    relu,
    reshape,
    sigmoid,
    sign,
    silu,
    sin,
    softmax,
    softplus,
    sqrt,
    square,
    squeeze,
    stack,
    sub,
    tanh,
    transpose,
    unsqueeze,
    where,
)
from graphc.ops import pow_ as pow
from graphc.ops import sum_ as sum
from graphc.runtime import Epoch, History, Outcome, Profile, Program, Run, Sweep
from graphc.state import Parameter, State, Variable

if TYPE_CHECKING:
    from graphc import viz
if "IPython" in sys.modules:
    importlib.import_module("graphc.viz")  # a notebook draws graphs without being asked to

__version__ = "0.1.0"

if _collects:
    gc.enable()


def __getattr__(name: str) -> object:
    """Drawing is half of all modules, and most programs draw nothing: it is loaded when it is first asked for."""
    if name == "viz":
        return importlib.import_module("graphc.viz")
    parts = {"nn": nn.__all__, "optim": optim.__all__}
    inside = {each: f"use graphc.{part}.{each}" for part, names in parts.items() for each in names}
    raise missing("module 'graphc'", name, __all__, {**inside, **FUNCTIONS_ELSEWHERE})


__all__ = [
    "CheckpointError",
    "CompileError",
    "DTypeError",
    "Epoch",
    "GradientError",
    "Graph",
    "GraphFileError",
    "GraphcError",
    "History",
    "InputError",
    "MemoryLimitError",
    "NonFiniteError",
    "Outcome",
    "Parameter",
    "Profile",
    "Program",
    "Run",
    "ShapeError",
    "State",
    "StateError",
    "Sweep",
    "SweepError",
    "SymbolicValueError",
    "Tensor",
    "Variable",
    "VerifyError",
    "abs",
    "add",
    "amax",
    "amin",
    "broadcast_to",
    "cast",
    "cat",
    "clamp",
    "compile",
    "constant",
    "cos",
    "cross_entropy",
    "div",
    "dropout",
    "elu",
    "eq",
    "erf",
    "exp",
    "flatten",
    "floor",
    "ge",
    "gelu",
    "grad",
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
    "nn",
    "optim",
    "permute",
    "placeholder",
    "pow",
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
    "sum",
    "tanh",
    "transpose",
    "unsqueeze",
    "viz",
    "where",
]
