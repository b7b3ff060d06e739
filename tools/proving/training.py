"""Training: networks of every kind, trained for 1,000 steps next to torch, with its autograd and its optimizers.

A case is a model, an optimizer and a dtype: the model is written once and built from `torch.nn` and from `graphc.nn`,
with the same initial values and the same batches, and trained by calls on the torch plan and in native code, by `fit`
in native code, and for fewer steps on the reference backend.

Two correct implementations add in different orders, and training can magnify the last bit without bound. So torch is
trained twice, once with the rows of every batch permuted: what it then differs by from itself, step by step, is what
can be asked of anybody. In float64, parameters have to stay within 1e-10 for as many steps as torch stays that close to
itself (counted as `steps`; those after are `steps too sensitive to judge`), or within ten times what it has differed
from itself by up to then: Adam makes steps of the size of the learning rate out of what rounding leaves of a gradient
that is zero, as that of the keys' bias is. In float32, they have to stay within 300 times what torch has differed from
itself, and 3e-5 of the largest parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch.nn import functional

import graphc
from graphc import nn, optim
from graphc.backends.threads import Threads
from tools.proving.proof import Proof

__all__ = ["PROOFS"]

Array = torch.Tensor
NN = Any  # torch.nn or graphc.nn
STEPS = 1000
EVERY = 100
ROWS, BATCHES = 8, 4
REFERENCE_STEPS = 20

EXACT, TIMES_EXACT = 1e-10, 10.0
TIMES, FLOOR = 300.0, 3e-5


@dataclass(frozen=True)
class Model:
    """`layers` makes modules by name; `loss` is what is trained, of those, the inputs, and a namespace of functions.

    `lr` is the rate of optimizers that divide by the size of gradients; others take ten times as much.
    """

    layers: Callable[[NN], dict[str, Any]]
    loss: Callable[[dict[str, Any], NN, Any, Any, Any], Any]
    target: str = "number"
    lr: float = 1e-3


def mlp(*layers: Callable[[NN], Any]) -> Callable[[NN], dict[str, Any]]:
    return lambda nn: {"net": nn.Sequential(*(layer(nn) for layer in layers))}


def _activated(name: str, *options: Any) -> Model:
    def act(nn: NN) -> Any:
        return getattr(nn, name)(*options)

    layers = mlp(lambda nn: nn.Linear(3, 8), act, lambda nn: nn.Linear(8, 8), act, lambda nn: nn.Linear(8, 1))
    return Model(layers, lambda m, nn, f, x, y: nn.MSELoss()(m["net"](x), y))


def _lost(name: str, reduction: str, target: str, last: str) -> Model:
    layers = mlp(
        lambda nn: nn.Linear(3, 8), lambda nn: nn.Tanh(), lambda nn: nn.Linear(8, 3 if target == "class" else 1),
        lambda nn: getattr(nn, last)(*([1] if "Soft" in last else [])),
    )  # fmt: skip
    lr = 1e-3 if reduction == "mean" else 1e-4
    return Model(layers, lambda m, nn, f, x, y: getattr(nn, name)(reduction=reduction)(m["net"](x), y), target, lr)


def _shared(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    def branch(part: Any) -> Any:
        return m["branch"](part).tanh()

    return nn.MSELoss()(m["head"](f.cat([branch(x[:, :1]), branch(x[:, 1:2]), branch(x[:, 2:])], 1)), y)


def _recurrent(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    state = m["enter"](x)
    for _ in range(4):
        state = m["core"](state).tanh()
    return nn.MSELoss()(m["leave"](state), y)


def _residual(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    h = m["enter"](x)
    for name in ("first", "second"):
        h = h + f.relu(m[name](h)) * 0.5
    return nn.MSELoss()(m["leave"](h), y)


def _autoencoder(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    return nn.MSELoss()(m["decode"](m["encode"](x).tanh()), x) + 1e-3 * m["encode"](x).abs().mean()


def _ensemble(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    outputs = [m[name](x) for name in ("a", "b", "c")]
    mean = (outputs[0] + outputs[1] + outputs[2]) / 3.0
    return nn.MSELoss()(mean, y) + sum(nn.MSELoss()(each, y) for each in outputs) * 0.1


def _gradient(f: Any, value: Any, x: Any) -> Any:
    if f is _Functions:
        [found] = torch.autograd.grad(value, x, create_graph=True)
        return found
    return graphc.grad(value, x)


def _penalised(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    """Regression whose slope is to be small: a gradient of a gradient."""
    out = m["net"](x)
    return nn.MSELoss()(out, y) + 0.01 * _gradient(f, out.sum(), x).square().mean()


def _physics(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    """u″ = -u along the first coordinate: third derivatives in all."""
    u = m["net"](x)
    slope = _gradient(f, u.sum(), x)[:, :1]
    bend = _gradient(f, slope.sum(), x)[:, :1]
    return (bend + u).square().mean() + nn.MSELoss()(u, y)


def _attention(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    """Rows look at each other."""
    q, k, v = m["q"](x), m["k"](x), m["v"](x)
    weights = f.softmax(q @ k.T * 0.5, 1)
    return nn.MSELoss()(m["leave"](weights @ v), y)


def _normalised(m: dict[str, Any], nn: NN, f: Any, x: Any, y: Any) -> Any:
    h = m["enter"](x)
    h = h - h.mean(1, keepdim=True)
    h = h / (h.square().mean(1, keepdim=True) + 1e-5).sqrt()
    return nn.MSELoss()(m["leave"](h.tanh()), y)


def _linears(**sizes: tuple[int, int]) -> Callable[[NN], dict[str, Any]]:
    return lambda nn: {name: nn.Linear(*size) for name, size in sizes.items()}


def _small(nn: NN) -> Any:
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1))


MODELS: dict[str, Model] = {
    **{f"{name} network": _activated(name) for name in ("ReLU", "GELU", "SiLU", "Softplus", "ELU", "Tanh", "Sigmoid")},
    "LeakyReLU network": _activated("LeakyReLU", 0.1),
    **{f"L1 loss, {r}": _lost("L1Loss", r, "number", "Identity") for r in ("mean", "sum")},
    "squared loss, sum": _lost("MSELoss", "sum", "number", "Identity"),
    **{f"binary loss, {r}": _lost("BCELoss", r, "binary", "Sigmoid") for r in ("mean", "sum")},
    **{f"binary loss of logits, {r}": _lost("BCEWithLogitsLoss", r, "binary", "Identity") for r in ("mean", "sum")},
    **{f"softmax classifier, {r}": _lost("CrossEntropyLoss", r, "class", "Identity") for r in ("mean", "sum")},
    "log-softmax classifier": _lost("NLLLoss", "mean", "class", "LogSoftmax"),
    "softmax and squares": Model(
        mlp(lambda nn: nn.Linear(3, 5), lambda nn: nn.Softmax(1), lambda nn: nn.Linear(5, 1)),
        lambda m, nn, f, x, y: nn.MSELoss()(m["net"](x), y),
    ),
    "shared branch": Model(_linears(branch=(1, 5), head=(15, 1)), _shared),
    "recurrent": Model(_linears(enter=(3, 6), core=(6, 6), leave=(6, 1)), _recurrent),
    "residual": Model(_linears(enter=(3, 6), first=(6, 6), second=(6, 6), leave=(6, 1)), _residual),
    "autoencoder": Model(_linears(encode=(3, 2), decode=(2, 3)), _autoencoder),
    "ensemble": Model(lambda nn: {name: _small(nn) for name in ("a", "b", "c")}, _ensemble),
    "gradient penalty": Model(lambda nn: {"net": _small(nn)}, _penalised),
    "physics-informed": Model(lambda nn: {"net": _small(nn)}, _physics, lr=3e-4),
    "attention": Model(_linears(q=(3, 4), k=(3, 4), v=(3, 4), leave=(4, 1)), _attention),
    "normalised": Model(_linears(enter=(3, 6), leave=(6, 1)), _normalised),
    "no bias, wide": Model(
        mlp(lambda nn: nn.Linear(3, 40, bias=False), lambda nn: nn.Tanh(), lambda nn: nn.Linear(40, 1, bias=False)),
        lambda m, nn, f, x, y: nn.MSELoss()(m["net"](x), y),
    ),
}  # fmt: skip

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {}),
    "SGD with momentum": ("SGD", {"momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}),
    "SGD, nesterov": ("SGD", {"momentum": 0.8, "nesterov": True}),
    "Adam": ("Adam", {}),
    "Adam, amsgrad": ("Adam", {"betas": (0.8, 0.99), "weight_decay": 0.01, "amsgrad": True}),
    "AdamW": ("AdamW", {"weight_decay": 0.1}),
    "AdamW by schedule": ("AdamW", {"amsgrad": True}),
}
DTYPES = (torch.float64, torch.float32)


def rate(step: Any, base: float) -> Any:
    """Of the schedule, for numbers and in graph."""
    return base * (1.0 - 0.8 * step / STEPS)


@cache
def batches(target: str, dtype: torch.dtype) -> tuple[Array, Array]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS * BATCHES, 3, generator=generator, dtype=torch.float64).to(dtype)
    y = torch.randn(ROWS * BATCHES, 1, generator=generator, dtype=torch.float64).to(dtype)
    if target == "class":
        return x, (y[:, 0] * 1.5).clamp(-1, 1).round().long() + 1
    return x, (y > 0).to(dtype) if target == "binary" else y


def _layers(model: Model, modules: NN, dtype: torch.dtype) -> tuple[dict[str, Any], list[Any]]:
    torch.manual_seed(0)
    layers = model.layers(modules)
    for layer in layers.values():
        layer.to(dtype)
    return layers, [each for layer in layers.values() for each in layer.parameters()]


def in_torch(
    model: Model, name: str, options: dict[str, Any], dtype: torch.dtype, permute: bool
) -> Iterator[list[Array]]:
    """The parameters after every `EVERY` steps."""
    kind, chosen = OPTIMIZERS[name][0], {"lr": model.lr * (10 if "SGD" in name else 1), **options}
    layers, parameters = _layers(model, torch.nn, dtype)
    optimizer = getattr(torch.optim, kind)(parameters, foreach=False, **chosen)
    x, y = batches(model.target, dtype)
    generator = torch.Generator().manual_seed(3)
    for step in range(STEPS):
        if "schedule" in name:
            optimizer.param_groups[0]["lr"] = rate(step, chosen["lr"])
        start = step % BATCHES * ROWS
        rows = torch.randperm(ROWS, generator=generator) if permute else torch.arange(ROWS)
        xs = x[start + rows].requires_grad_()
        optimizer.zero_grad()
        model.loss(layers, torch.nn, _Functions, xs, y[start + rows]).backward()
        optimizer.step()
        if (step + 1) % EVERY == 0 or step + 1 == REFERENCE_STEPS:
            yield [parameter.detach().clone() for parameter in parameters]


class _Functions:
    """torch's, where graphc has them at its top level."""

    cat, softmax, relu = torch.cat, functional.softmax, torch.relu


def in_graphc(
    model: Model, name: str, options: dict[str, Any], dtype: torch.dtype, backend: str, run: str
) -> Iterator[list[Array]]:
    kind, chosen = OPTIMIZERS[name][0], {"lr": model.lr * (10 if "SGD" in name else 1), **options}
    layers, parameters = _layers(model, nn, dtype)
    x = graphc.placeholder("x", ("batch", 3), dtype)
    y = graphc.placeholder("y", ("batch",), torch.int64)
    if model.target != "class":
        y = graphc.placeholder("y", ("batch", 1), dtype)
    loss = model.loss(layers, nn, graphc, x, y)
    base = chosen.pop("lr")
    lr = partial(rate, base=base) if "schedule" in name else base
    updates = getattr(optim, kind)(parameters, lr=lr, **chosen).minimize(loss)
    program = graphc.compile([x, y], loss, updates, backend=backend)
    data = batches(model.target, dtype)
    if run == "fit":
        for _ in range(STEPS // EVERY):
            program.fit(*data, batch_size=ROWS, epochs=EVERY // BATCHES, shuffle=False)
            yield [parameter.value.clone() for parameter in parameters]
        return
    for step in range(REFERENCE_STEPS if backend == "reference" else STEPS):
        start = step % BATCHES * ROWS
        program(*(each[start : start + ROWS] for each in data))
        if (step + 1) % EVERY == 0 or step + 1 == REFERENCE_STEPS:
            yield [parameter.value.clone() for parameter in parameters]


def distance(a: Sequence[Array], b: Sequence[Array]) -> float:
    """The largest difference; NaN if there is one anywhere, which is within no limit."""
    return float(torch.stack([(x.double() - y.double()).abs().max() for x, y in zip(a, b, strict=True)]).max())


def case(seed: int) -> dict[str, int]:
    model = list(MODELS)[seed % len(MODELS)]
    optimizer = list(OPTIMIZERS)[seed // len(MODELS) % len(OPTIMIZERS)]
    dtype = DTYPES[seed // (len(MODELS) * len(OPTIMIZERS)) % 2]
    return follow(model, optimizer, dtype)


def follow(model: str, optimizer: str, dtype: torch.dtype) -> dict[str, int]:
    """Train on all backends. Raises AssertionError for one that leaves torch."""
    with Threads(1):  # such small operations are slower on more, and a hundred times so on a busy machine
        return _follow(model, optimizer, dtype)


def _follow(model: str, optimizer: str, dtype: torch.dtype) -> dict[str, int]:
    options = OPTIMIZERS[optimizer][1]
    judged = list(in_torch(MODELS[model], optimizer, options, dtype, False))
    itself = list(in_torch(MODELS[model], optimizer, options, dtype, True))
    marks = sorted({REFERENCE_STEPS, *range(EVERY, STEPS + 1, EVERY)})
    apart, allowed, steps = 0.0, {}, 0
    for mark, a, b in zip(marks, judged, itself, strict=True):
        apart = max(apart, distance(a, b))
        size = max(float(each.abs().max()) for each in a)
        if dtype is torch.float32:
            allowed[mark] = TIMES * apart + FLOOR * size
        elif apart <= EXACT:
            allowed[mark] = max(EXACT, TIMES_EXACT * apart)
        else:
            break
        steps = mark
    assert steps >= EVERY, f"{model}, {optimizer}: torch leaves itself within {EVERY} steps ({apart:.1e})"
    expected = dict(zip(marks, judged, strict=True))
    for backend, run in (("c", "fit"), ("c", "call"), ("torch", "call"), ("reference", "call")):
        at = [mark for mark in marks if run != "fit" or mark != REFERENCE_STEPS]
        for mark, found in zip(at, in_graphc(MODELS[model], optimizer, options, dtype, backend, run)):
            if mark in allowed:
                far = distance(found, expected[mark])
                what = f"{model}, {optimizer}, {dtype}, {backend} ({run}): after {mark} steps, "
                assert far <= allowed[mark], f"{what}{far:.1e} from torch, {allowed[mark]:.1e} are allowed"
    return {"trainings": 3, "steps": 3 * steps, "steps too sensitive to judge": 3 * (STEPS - steps)}


PROOFS = (
    Proof("training", 7, "models with optimizers", len(MODELS) * len(OPTIMIZERS) * len(DTYPES), 0, case, limit=300.0),
)
