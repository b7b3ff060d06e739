"""What people reach for because torch, NumPy or Keras has it, and what graphc does instead: the texts, and the error.

Looked up only when an attribute is missing, so nothing here costs a program that is right.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

__all__ = [
    "EPOCHS_ELSEWHERE",
    "FUNCTIONS_ELSEWHERE",
    "LAYERS_ELSEWHERE",
    "METHODS_ELSEWHERE",
    "MODULES_ELSEWHERE",
    "OPTIMIZERS_ELSEWHERE",
    "PROGRAMS_ELSEWHERE",
    "REMEDIES",
    "TORCH_ELSEWHERE",
    "UFUNCS",
    "missing",
]

_GRADIENTS = "gradients are graph: graphc.grad(loss, wrt=[...]); what trains is a graphc.Parameter"
_AFTER = "apply torch to what the program returns"
_IN_PLACE = "symbols are immutable, and x = x + y makes a new one: use the method without the underscore"
_LARGEST = "use amax for the largest along dimensions, and graphc.maximum for the larger of two"
_SMALLEST = "use amin for the smallest along dimensions, and graphc.minimum for the smaller of two"
_PIECES = "index it: x[:, :2], x[:, 2:]"
_APART = (
    "for a value without a gradient, leave the tensor out of graphc.grad(loss, wrt=[...]), or compile it apart and "
    "give its value to a placeholder"
)
_STATISTICS: Mapping[str, str] = {
    "norm": "compute it: x.square().sum().sqrt(), or x.abs().sum() for the norm of order 1",
    "var": "compute it: (x - x.mean()).square().mean(), which divides by all elements, torch.var by one less",
    "std": "compute it: (x - x.mean()).square().mean().sqrt(), which divides by all elements, torch.std by one less",
    "cumsum": "multiply by a triangle: x @ torch.ones(k, k).triu(), where k is the last size, a fixed number",
}
"""What is made of other functions."""

METHODS_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("grad", "requires_grad", "requires_grad_", "retain_grad", "is_leaf", "grad_fn"), _GRADIENTS),
    **dict.fromkeys(("add_", "sub_", "mul_", "div_", "zero_", "fill_", "copy_", "clamp_", "relu_"), _IN_PLACE),
    **dict.fromkeys(("argmax", "argmin", "sort", "argsort", "topk", "median", "unique", "nonzero"), _AFTER),
    **dict.fromkeys(("gather", "index_select", "masked_select", "masked_fill", "scatter"), "use graphc.where"),
    **dict.fromkeys(("chunk", "split", "unbind", "narrow", "select"), _PIECES),
    **dict.fromkeys(("cpu", "cuda"), "a program runs where its state is: move that, with program.state.to(device)"),
    **_STATISTICS,
    **dict.fromkeys(("long", "int"), "use x.to(torch.int64)"),
    **dict.fromkeys(("repeat", "tile"), "use graphc.cat([x, x]), or expand for dimensions of size 1"),
    "half": "use x.to(torch.float16)",
    "bool": "compare, as in x != 0",
    "max": _LARGEST,
    "min": _SMALLEST,
    "mm": "use x @ y",
    "bmm": "use x @ y",
    "data": "a symbol has no value yet: compile it; a parameter has .value",
    "value": "a symbol has no value yet: compile it and call the program",
    "device": "a program runs where its state is: program.state.device",
    "detach": _APART,
    "clone": "it needs no copy: symbols are immutable",
    "contiguous": "it needs no such call: the layout of values is the compiler's",
    "astype": "use x.to(torch.float64)",
    "view_as": "use x.reshape(y.shape)",
    "reshape_as": "use x.reshape(y.shape)",
    "expand_as": "use x.expand(y.shape)",
    "save": "save a graph: graphc.compile(inputs, outputs).graph.save(path)",
    "name": "names belong to placeholders, parameters and outputs: outputs={'loss': loss}",
}
"""Of symbolic tensors."""

_STATIC = "a step is one fixed graph: randomness is graphc.dropout; other noise is drawn by torch and given as an input"
_NUMBERS = "use graphc.constant(0.0).broadcast_to(shape), or just the number: operators take it"
_CONTEXT = "leave it out: nothing runs while graph is built, and a program without updates only predicts"

FUNCTIONS_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("sort", "argsort", "argmax", "argmin", "topk", "median", "unique"), _AFTER),
    **dict.fromkeys(("concat", "concatenate", "hstack", "vstack"), "use graphc.cat([a, b], dim)"),
    **dict.fromkeys(("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "eye"), _NUMBERS),
    **dict.fromkeys(("tensor", "array", "as_tensor", "from_numpy"), "use graphc.constant(value)"),
    **dict.fromkeys(("mm", "bmm", "dot", "mv"), "use graphc.matmul, or x @ y"),
    **dict.fromkeys(("Input", "input", "InputLayer"), "use graphc.placeholder(name, shape)"),
    **dict.fromkeys(("rand", "randn", "randint", "bernoulli", "normal"), f"{_STATIC}, drawn by torch.randn"),
    **dict.fromkeys(("no_grad", "inference_mode", "enable_grad"), _CONTEXT),
    **dict.fromkeys(("float16", "bfloat16", "float32", "float64"), "dtypes are torch's: torch.float32, torch.float64"),
    **dict.fromkeys(("int32", "int64", "long", "bool", "dtype"), "dtypes are torch's: torch.int64, torch.bool"),
    **_STATISTICS,
    **dict.fromkeys(("arange", "linspace"), "use graphc.constant(torch.arange(5)), of a fixed length"),
    **dict.fromkeys(("stop_gradient", "detach"), _APART),
    **dict.fromkeys(("layers", "losses", "activations"), "they are in graphc.nn, such as graphc.nn.MSELoss()"),
    **dict.fromkeys(("optimizers", "optimisers"), "they are in graphc.optim, such as graphc.optim.Adam(parameters)"),
    **dict.fromkeys(("vmap", "pmap"), 'functions take whole batches: graphc.placeholder("x", ("batch", 2))'),
    **dict.fromkeys(("autograd", "gradients", "GradientTape"), "use graphc.grad(loss, wrt=[...])"),
    **dict.fromkeys(("mse_loss", "binary_cross_entropy"), "use a layer: nn.MSELoss()(x, y), nn.BCELoss()(p, y)"),
    **dict.fromkeys(("linear", "Linear"), "use graphc.nn.Linear(in_features, out_features)(x)"),
    **dict.fromkeys(("split", "chunk", "narrow"), _PIECES),
    **dict.fromkeys(("Session", "function", "jit", "Function"), "use graphc.compile(inputs, outputs)"),
    "max": _LARGEST,
    "min": _SMALLEST,
    "one_hot": "compare with the classes: (c.unsqueeze(-1) == torch.arange(k)).to(torch.float32)",
    "value_and_grad": "both are graph: graphc.compile(inputs, [loss, *graphc.grad(loss, wrt=[...])])",
    "set_default_dtype": "it is torch's: torch.set_default_dtype(torch.float64), before layers are made",
    "einsum": "use matmul, permute and reshape",
    "variable": "use graphc.Parameter(value), or graphc.Variable(value) for what an update changes",
    "manual_seed": "torch.manual_seed(seed) before layers are made; fit(seed=...) for shuffling and dropout",
    "load": "graphs: graphc.Graph.load(path); values: program.load(path), or net.load_state_dict(values)",
    "save": "graphs: graph.save(path); values: program.save(path), or net.state_dict()",
    "device": "devices are torch's: program.state.to(device)",
    "functional": "functions stand at the top: graphc.relu(x)",
    "Model": "derive from graphc.nn.Module, or use graphc.nn.Sequential",
}
"""Of the package itself."""

_COMPILED = "it has no values of inputs: program = graphc.compile([x], net(x)), and call the program"

MODULES_ELSEWHERE: Mapping[str, str] = {
    **dict.fromkeys(("predict", "fit", "evaluate", "summary"), _COMPILED),
    **dict.fromkeys(("append", "extend", "insert", "pop"), "write all its modules: nn.Sequential(*net, nn.ReLU())"),
    **dict.fromkeys(("half", "bfloat16"), "use .to(torch.float16) before its first call"),
    **dict.fromkeys(("register_buffer", "register_parameter"), "assign: self.mean = graphc.constant(value), or a "
                    "graphc.Parameter(value)"),
    **dict.fromkeys(("save", "load"), "its values are in state_dict(); program.save(path) and graph.save(path) write"),
    "train": "no layer has a mode: a program trains when it is compiled with updates",
    "eval": "no layer has a mode: a program without updates only predicts",
    "training": "no layer has a mode: graphc.compile(training=...) says whether a program trains",
    "zero_grad": "gradients are graph (graphc.grad, optimizer.minimize) and never accumulate between calls",
    "cuda": 'move the values with .to("cuda")',
    "cpu": 'move the values with .to("cpu")',
    "apply": "loop over net.modules(), or over net.parameters() and set their .value",
    "requires_grad_": "give the optimizer only the parameters that it is to train",
    "add_module": "assign an attribute, or setattr(net, name, module)",
    "register_module": "assign an attribute, or setattr(net, name, module)",
    "compile": "use graphc.compile([x], net(x))",
    "buffers": "values that do not train are graphc.constant and graphc.Variable",
    "backward": "gradients are graph: graphc.grad(loss, wrt=[...]), or optimizer.minimize(loss)",
}  # fmt: skip
"""Of modules."""

PROGRAMS_ELSEWHERE: Mapping[str, str] = {
    "optimizer": "updates are part of the program; hyper-parameters are in program.state",
    **dict.fromkeys(("predict", "forward", "run"), "call it: program(x)"),
    **dict.fromkeys(("eval", "train"), "compile twice: graphc.compile(inputs, outputs) without updates only predicts"),
    **dict.fromkeys(("state_dict", "load_state_dict"), "values are in program.state, or in the module: "
                    "net.state_dict(); program.save(path) writes them"),
    "parameters": "they are the module's, net.parameters(); values are in program.state",
    "backend": "compile another, with graphc.compile(..., backend=...)",
    "lr": "hyper-parameters are in the state: program.state['lr'] = 0.1, or epoch.set(lr=0.1) in on_epoch",
    "loss": "outputs are what a call returns: program(x, y); their names are program.output_names",
    "backward": "gradients are graph: compile graphc.grad(loss, wrt=[...]), or optimizer.minimize(loss) as updates",
    "compile": "it is compiled already; other choices make another program, with graphc.compile",
    "to": "a program runs where its state is: program.state.to(device)",
}  # fmt: skip
"""Of programs."""

EPOCHS_ELSEWHERE: Mapping[str, str] = {
    "": "means are in epoch.metrics, by the names of outputs; those on validation data are called validation_NAME",
    **dict.fromkeys(("epoch", "index", "step"), "the first epoch has epoch.number 1"),
    **dict.fromkeys(("program", "model", "net"), "values are in epoch.state"),
    "lr": "hyper-parameters are in the state: epoch.state['lr'], and epoch.set(lr=0.1) sets one",
}
"""Of what `on_epoch` is given; the empty name is for whatever else it lacks."""

_CONNECTED = (
    "version 0.1 has fully connected networks: Linear, activations, Dropout and losses. A layer of your own is an "
    "nn.Module whose forward uses graphc's functions"
)

LAYERS_ELSEWHERE: Mapping[str, str] = {
    "": _CONNECTED,
    **dict.fromkeys(("ModuleList", "ModuleDict", "ParameterList"), "use nn.Sequential, or an attribute for each"),
    **dict.fromkeys(("HuberLoss", "SmoothL1Loss", "KLDivLoss"), "losses are MSELoss, L1Loss, BCELoss, "
                    "BCEWithLogitsLoss, CrossEntropyLoss and NLLLoss; others are graph: (x - y).abs().mean()"),
    **dict.fromkeys(("Swish", "Hardswish", "Mish"), "use nn.SiLU, or nn.GELU"),
    **dict.fromkeys(("Dense", "Lazy", "LazyLinear"), "use nn.Linear(in_features, out_features)"),
    "functional": "functions stand at the top: graphc.relu(x), graphc.cross_entropy(x, y)",
    "init": "set values, as in torch.nn.init.zeros_(layer.weight.value), or give Parameter(initial=...)",
    "utils": "gradients are graph: clip them before optimizer.update(gradients)",
    "Buffer": "use graphc.constant(value), or graphc.Variable(value) for what an update changes",
}  # fmt: skip
"""Of `graphc.nn`; the empty name is for whatever else it lacks."""

OPTIMIZERS_ELSEWHERE: Mapping[str, str] = {
    "": "optimizers are SGD, Adam and AdamW; another one derives from optim.Optimizer and defines update",
    "lr_scheduler": "rates are functions of the step: optim.SGD(params, lr=optim.Cosine(0.1, steps)), StepDecay, "
    "Exponential, Warmup",
}
"""Of `graphc.optim`; the empty name is for whatever else it lacks."""

UFUNCS: Mapping[str, str] = {
    "add": "add",
    "subtract": "sub",
    "multiply": "mul",
    "divide": "div",
    "power": "pow",
    "matmul": "matmul",
    "equal": "eq",
    "not_equal": "ne",
    "less": "lt",
    "less_equal": "le",
    "greater": "gt",
    "greater_equal": "ge",
}
"""What NumPy calls for an operator whose left operand is an array."""

TORCH_ELSEWHERE: Mapping[str, str] = {
    "linear": "use graphc.nn.Linear, which torch.nn.Linear is not, and graphc.nn.Sequential",
    "mse_loss": "use graphc.nn.MSELoss()",
    "l1_loss": "use graphc.nn.L1Loss()",
    "binary_cross_entropy": "use graphc.nn.BCELoss()",
    "binary_cross_entropy_with_logits": "use graphc.nn.BCEWithLogitsLoss()",
    "grad": "use graphc.grad(loss, wrt=[...])",
    "max": "use graphc.amax, or graphc.maximum for the larger of two",
    "min": "use graphc.amin, or graphc.minimum for the smaller of two",
    "zeros_like": "use 0.0 * x, or just the number: operators take it",
    "ones_like": "use the number: operators take it",
}
"""What stands for functions of torch that graphc has no function for."""

REMEDIES = (
    ("needs a floating ", "convert it, with x.to(torch.float32)"),
    ("needs floating dtypes", "convert them, with x.to(torch.float32)"),
    ("needs one floating dtype", "convert one of them, with x.to(torch.float32)"),
    (
        "is not defined for bool",
        "convert it, with x.to(torch.float32) or x.to(torch.int64); for not x write x == False",
    ),
    (
        "inner sizes differ",
        "the columns on the left meet the rows on the right: transpose one of them (x.T) or reshape",
    ),
    ("does not name each of", "name each dimension once, as in x.permute(1, 0, 2)"),
    ("a dimension appears twice", "name each dimension once"),
    (
        "cannot decide whether",
        "sizes that are always equal have the same name, or number, where they are declared; reshape takes -1",
    ),
    (
        "and neither is 1",
        "shapes are compared from the last dimension: put in one of size 1, with unsqueeze or keepdim",
    ),
    ("numbers of dimensions differ", "add dimensions of size 1 with unsqueeze, or reshape"),
    ("sizes differ in dimension", "sizes may differ along dim only: choose another dim, or transpose"),
    ("elements do not fit", "one size may be -1, which is worked out from the others"),
    ("does not broadcast to", "only a size of 1 is repeated; graphc.cat([x, x]) repeats others"),
)
"""What to do about problems that many ops state, by a part of their text: ops say only what is wrong."""


def missing(what: str, name: str, known: Iterable[str], elsewhere: Mapping[str, str]) -> AttributeError:
    """The error for an attribute that is not there: what to use instead, as a text of `elsewhere` or by a like name."""
    message = f"{what} has no attribute {name!r}"
    if name in elsewhere:
        return AttributeError(f"{message}: {elsewhere[name]}")
    by_letters = {each.lower(): each for each in known if not each.startswith("_")}
    close = difflib.get_close_matches(name.lower(), by_letters, n=1, cutoff=0.75)
    if close and not name.startswith("_"):
        return AttributeError(f"{message}; did you mean {by_letters[close[0]]!r}?")
    return AttributeError(f"{message}: {elsewhere['']}" if "" in elsewhere else message)
