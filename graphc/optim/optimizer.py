"""The base of the optimizers: parameters, hyper-parameters, slots, and from a loss to updates."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import NoReturn

import torch

from graphc.errors import GradientError, StateError
from graphc.gradient import grad
from graphc.ir import Node, Role, Tensor, complaint
from graphc.optim.hyper import number
from graphc.optim.rates import LearningRate, Owner, Rate
from graphc.optim.updates import Updates
from graphc.state import Parameter, Variable
from graphc.types import Array

__all__ = ["Optimizer"]

# What people reach for because torch has it, and what graphc does instead.
_ELSEWHERE = {
    "step": "A compiled program steps: graphc.compile(inputs, loss, optimizer.minimize(loss)), then call or fit it",
    "zero_grad": "Gradients are graph and never accumulate between calls",
    "param_groups": "Give each group an optimizer of its own, and merge their updates with |",
    "state_dict": "Slots and hyper-parameters live in the program's State: program.state",
}


class Optimizer:
    """Holds hyper-parameters and slots as variables, created once, so that all programs of one optimizer share them.

    Hyper-parameters are 0-d float64 and may be set at any time, which compiles nothing: `optimizer.lr.value = 0.1` in
    the default State, `state["lr"] = 0.1` in any. An option given as 0 is not in the graph, and its attribute is None.
    `rate` is the learning rate of the present step: `lr` itself if that was given as a number.
    """

    lr: Variable | None = None
    rate: Tensor
    step: Variable
    # Where the learning rate is a function of the step that has them:
    decay_every: Variable
    decay_steps: Variable
    end_lr: Variable
    gamma: Variable
    warmup_steps: Variable

    def __init__(self, params: Iterable[Parameter]) -> None:
        self.params = _checked(type(self).__name__, params)
        # Slots have the parameters' dtypes; taking the nodes fixes these.
        self._nodes = {parameter: parameter.node for parameter in self.params}

    def __getattr__(self, name: str) -> NoReturn:
        remedy = f" {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        raise AttributeError(f"graphc.optim.{type(self).__name__} has no {name!r}.{remedy}")

    def minimize(self, loss: Tensor) -> Updates:
        """The values after one step down the gradient of `loss`, a floating tensor of one element.

        A parameter on which the loss does not depend stays out of it, weight decay included, as torch skips parameters
        without a gradient. Raises GradientError, also when the loss depends on none.
        """
        gradients = grad(loss, self.params)
        reached = _reached(loss.node)
        paired = {
            parameter: gradient
            for parameter, gradient in zip(self.params, gradients, strict=True)
            if self._nodes[parameter] in reached
        }
        if not paired:
            names = ", ".join(repr(parameter.name) for parameter in self.params[:3])
            more = ", …" if len(self.params) > 3 else ""
            problem = f"the loss depends on none of the optimizer's {len(self.params)} parameters ({names}{more})"
            raise complaint(GradientError, f"{type(self).__name__}.minimize", problem)
        return Updates(self.update(paired))

    def update(self, gradients: Mapping[Parameter, Tensor]) -> dict[Variable, Tensor]:
        """The update rule: from parameters' gradients to the new values of parameters and slots.

        The expressions are pointwise and of one form for all parameters, and what they share is a 0-d tensor computed
        once for the step, so that a backend can update all parameters in one go.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    # What subclasses create in their constructors.

    def _hyper(self, name: str, value: float, low: float = 0.0, below: float = math.inf) -> Variable:
        start = number(type(self).__name__, name, value, low, below)
        scalar = torch.tensor(start, dtype=torch.float64, device=self.params[0].value.device)
        return Variable(scalar, name=name, role=Role.HYPER)

    def _option(self, name: str, value: float) -> Variable | None:
        """A hyper-parameter that 0 leaves out of the graph."""
        return self._hyper(name, value) if value else None

    def _rate(self, lr: LearningRate) -> Tensor:
        """The learning rate of the present step. It counts steps if it is a function of them."""
        if isinstance(lr, type):
            raise StateError(f"{type(self).__name__}: lr is the class {lr.__name__}, not one of its instances")
        if isinstance(lr, Rate) or callable(lr):
            return Owner(type(self).__name__, self._hyper_of_rate).rate(lr, self._counter())
        self.lr = self._hyper("lr", lr)
        return self.lr

    def _hyper_of_rate(self, name: str, value: float) -> Variable:
        if name in vars(self):
            raise StateError(f"{type(self).__name__}: two parts of the learning rate have a {name!r}")
        variable = self._hyper(name, value)
        setattr(self, name, variable)
        return variable

    def _counter(self) -> Variable:
        """The steps so far: one number for all parameters, where torch counts for each. There is one, whoever asks."""
        if "step" not in vars(self):
            zero = torch.zeros((), dtype=torch.float64, device=self.params[0].value.device)
            self.step = Variable(zero, name="step")
        return self.step

    def _slots(self, name: str) -> dict[Parameter, Variable]:
        """A slot for each parameter, zeros of the parameter's type."""
        slots = {}
        for i, parameter in enumerate(self.params):
            zeros = partial(_zeros_like, parameter)
            slots[parameter] = Variable(zeros(None), name=f"{parameter.name or i}.{name}", initial=zeros)
        return slots


def _zeros_like(parameter: Parameter, generator: torch.Generator | None) -> Array:
    return torch.zeros_like(parameter.value)


def _checked(kind: str, params: Iterable[Parameter]) -> tuple[Parameter, ...]:
    if isinstance(params, (Tensor, torch.Tensor)) or not isinstance(params, Iterable):
        problem = f"params is a {type(params).__name__}"
        raise complaint(StateError, kind, problem, remedy="give a list of parameters, or net.parameters()")
    found = tuple(params)
    for each in found:
        if isinstance(each, dict):
            problem = "params is a list of groups, which torch has and graphc has not"
            remedy = f"make one {kind} for each group and merge their updates: a.minimize(loss) | b.minimize(loss)"
            raise complaint(StateError, kind, problem, remedy=remedy)
        if not isinstance(each, Parameter):
            problem = f"params has a {type(each).__module__}.{type(each).__qualname__} in it"
            raise complaint(StateError, kind, problem, remedy="give graphc Parameters, such as net.parameters()")
    if not found:
        raise complaint(StateError, kind, "params is empty", remedy="an exhausted generator is, too")
    twice = [parameter.name for parameter, count in Counter(found).items() if count > 1]
    if twice:
        raise complaint(StateError, kind, f"params has {', '.join(map(repr, twice))} more than once")
    return found


def _reached(loss: Node) -> set[Node]:
    """The nodes from which floating values lead to the loss: where torch has gradients, even if they are zero."""
    found = {loss}
    waiting = [loss]
    while waiting:
        for operand in waiting.pop().inputs:
            if operand not in found and operand.type.dtype.is_floating_point:
                found.add(operand)
                waiting.append(operand)
    return found
