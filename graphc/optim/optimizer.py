"""The base of the optimizers: parameters, hyper-parameters, slots, and from a loss to updates."""

from __future__ import annotations

import copy
import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from typing import Any, NoReturn, Self

import torch

from graphc.errors import GradientError, StateError, brief, explained, type_name
from graphc.gradient import grad
from graphc.ir import Cell, Node, Role, Tensor, complaint, topological_order
from graphc.optim.hyper import number
from graphc.optim.rates import LearningRate, Owner, Rate
from graphc.optim.updates import Updates
from graphc.state import Parameter, Variable
from graphc.types import Array

__all__ = ["Optimizer"]

# What people reach for because torch has it, and what graphc does instead.
_ELSEWHERE = {
    "step": "A compiled program steps: graphc.compile(inputs, loss, optimizer.minimize(loss)), then call or fit it",
    "zero_grad": "Leave it out: gradients are graph and never accumulate between calls",
    "param_groups": "Give each group an optimizer of its own, and merge their updates with |; the learning rate is "
    "optimizer.lr.value, or state['lr']",
    "add_param_group": "Give each group an optimizer of its own, and merge their updates with |",
    "state_dict": "Slots and hyper-parameters live in the program's State: program.state, program.save(path)",
    "load_state_dict": "Slots and hyper-parameters live in the program's State: program.state, program.load(path)",
}


# What people set because others call it so: here it would be one more attribute, without effect.
_UNDER_OTHER_NAMES = {"betas": ("beta1", "beta2"), "learning_rate": ("lr",)}

_OPTIONS = ("momentum", "weight_decay", "dampening")
"""What is left out of the graph if it is 0."""


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

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.__module__.startswith("graphc.") and "__init__" in vars(cls):  # those of users say what Python says
            cls.__init__ = explained(cls.__init__, of_class=True)  # type: ignore[method-assign]
        if inspect.isfunction(rule := vars(cls).get("update")):
            cls.update = _of_gradients(rule)  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Parameter]) -> None:
        self.params = _checked(type(self).__name__, params)
        self._fix_dtypes()

    def _fix_dtypes(self) -> None:
        for parameter in self.params:
            parameter.node  # noqa: B018 - slots have the parameters' dtypes, which taking the nodes fixes

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """An independent optimizer of copies of the parameters: those of the network if both are copied in one call."""
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        vars(twin).update({name: copy.deepcopy(value, memo) for name, value in vars(self).items()})
        twin._fix_dtypes()
        # What was copied is kept in the memo, under the memo's own number.
        copied: Iterable[object] = memo.get(id(memo), ())  # type: ignore[assignment]
        twins = {old.cell: memo[id(old)].node for old in copied if isinstance(old, Variable)}  # type: ignore[attr-defined]
        for name, value in vars(self).items():
            if isinstance(value, Tensor) and not isinstance(value, Variable):  # such as a rate that counts steps
                vars(twin)[name] = _read_from(twins, value)
        return twin

    def __getattr__(self, name: str) -> NoReturn:
        remedy = f" {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
        raise AttributeError(f"graphc.optim.{type(self).__name__} has no {name!r}.{remedy}")

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(vars(self).get(name), Variable) and not isinstance(value, Variable):
            # Programs read the variable: a number in its place would change nothing.
            kind = type(self).__name__
            raise AttributeError(
                f"{kind}: {name!r} is a variable of the programs, not {brief(value)}. Set its value, with "
                f"optimizer.{name}.value = {brief(value)}, or state[{name!r}] in a State"
            )
        if name in _OPTIONS and name in vars(self) and value is not None and not isinstance(value, Variable):
            problem = f"{type(self).__name__}: {name!r} was 0 when the optimizer was made, and is in no program"
            raise AttributeError(f"{problem}. Make the optimizer with {name}={brief(value)}")
        is_own = type(self).__module__.startswith("graphc.")  # users name the settings of theirs as they like
        names = _UNDER_OTHER_NAMES.get(name, ()) if is_own else ()
        if names and all(isinstance(vars(self).get(each), Variable) for each in names):
            ways = " and ".join(f"optimizer.{each}.value" for each in names)
            raise AttributeError(f"graphc.optim.{type(self).__name__} has no {name!r}: set {ways}")
        super().__setattr__(name, value)

    @explained
    def minimize(self, loss: Tensor) -> Updates:
        """The values after one step down the gradient of `loss`, a floating tensor of one element.

        A parameter on which the loss does not depend stays out of it, weight decay included, as torch skips parameters
        without a gradient. Raises GradientError, also when the loss depends on none.
        """
        try:
            gradients = grad(loss, self.params)
        except GradientError as error:
            error.args = (f"{type(self).__name__}.minimize: {error}",)
            raise
        reached = _reached(loss.node)
        paired = {
            parameter: gradient
            for parameter, gradient in zip(self.params, gradients, strict=True)
            if parameter.node in reached
        }
        if not paired:
            names = ", ".join(repr(parameter.name) for parameter in self.params[:3])
            more = ", …" if len(self.params) > 3 else ""
            problem = f"the loss depends on none of the optimizer's {len(self.params)} parameters ({names}{more})"
            remedy = (
                "build the loss with the parameters of this optimizer, which those of a copy are not; only floating "
                "values have gradients"
            )
            raise complaint(GradientError, f"{type(self).__name__}.minimize", problem, remedy=remedy)
        return Updates(self.update(paired))

    def update(self, gradients: Mapping[Parameter, Tensor]) -> dict[Variable, Tensor]:
        """The update rule: from parameters' gradients to the new values of parameters and slots.

        The expressions are pointwise and of one form for all parameters, and what they share is a 0-d tensor computed
        once for the step, so that a backend can update all parameters in one go. Whoever defines it is given gradients
        of the parameters' types; for others it raises GradientError.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update")

    def _check(self, gradients: object) -> None:
        """Raises GradientError for what is no mapping from parameters of this optimizer to gradients of their types."""
        who = f"{type(self).__name__}.update"
        remedy = "give {p: graphc.grad(loss, p) for p in net.parameters()}, with the gradients changed as you like"
        if not isinstance(gradients, Mapping):
            problem = f"gradients is a {type_name(gradients)}, not a mapping from parameters to their gradients"
            raise complaint(GradientError, who, problem, remedy=remedy)
        own = {parameter.cell for parameter in self.params}
        for p, g in gradients.items():
            if not isinstance(p, Parameter):
                raise complaint(GradientError, who, f"a key is {brief(p)}, not a Parameter", remedy=remedy)
            if p.cell not in own:
                problem = f"{p.name!r} is none of the optimizer's {len(own)} parameters, so that it has no slots for it"
                raise complaint(GradientError, who, problem, remedy="make the optimizer with it, or leave it out")
            if not isinstance(g, Tensor):
                problem = f"the gradient of {p.name!r} is {brief(g)} ({type_name(g)}), not a symbolic tensor"
                raise complaint(GradientError, who, problem, remedy=remedy)
            if g.type != p.type:
                problem = f"the gradient of {p.name!r} is {g.type}, and the parameter {p.type}"
                remedy = f"convert it, with .to({p.dtype})" if g.shape == p.shape else remedy
                raise complaint(GradientError, who, problem, about=(g,), remedy=remedy)

    # What subclasses create in their constructors.

    def _hyper(self, name: str, value: float, low: float = 0.0, below: float = math.inf) -> Variable:
        start = number(type(self).__name__, name, value, low, below)
        scalar = torch.tensor(start, dtype=torch.float64, device=self.params[0].value.device)
        return Variable(scalar, name=name, role=Role.HYPER)

    def _option(self, name: str, value: float) -> Variable | None:
        """A hyper-parameter that 0 leaves out of the graph."""
        return self._hyper(name, value) if number(type(self).__name__, name, value) else None

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


def _of_gradients(rule: Callable[..., dict[Variable, Tensor]]) -> Callable[..., dict[Variable, Tensor]]:
    """An update rule that is given gradients only: others would be broadcast, and train something else in silence."""

    signature, explain = inspect.signature(rule), explained(rule)

    @wraps(rule)
    def update(*arguments: Any, **options: Any) -> dict[Variable, Tensor]:
        try:
            self, gradients, *_ = signature.bind(*arguments, **options).arguments.values()
        except TypeError:
            return explain(*arguments, **options)
        self._check(gradients)
        return rule(*arguments, **options)

    return update


def _read_from(twins: Mapping[Cell, Node], tensor: Tensor) -> Tensor:
    """The same graph, which reads `twins` where it has read the cells."""
    new: dict[Node, Node] = {}
    for node in topological_order([tensor.node]):
        inputs = tuple([new[operand] for operand in node.inputs])
        there = None if node.op.cell is None else twins.get(node.op.cell)
        new[node] = there or (node if inputs == node.inputs else Node(node.op, inputs, node.type, node.origin))
    return Tensor(new[tensor.node])


def _zeros_like(parameter: Parameter, generator: torch.Generator | None) -> Array:
    return torch.zeros_like(parameter.value)


def _checked(kind: str, params: Iterable[Parameter]) -> tuple[Parameter, ...]:
    if isinstance(params, (Tensor, torch.Tensor)) or not isinstance(params, Iterable):
        problem = f"params is a {type_name(params)}"
        raise complaint(StateError, kind, problem, remedy="give a list of parameters, or net.parameters()")
    if hasattr(params, "named_parameters"):
        problem = f"params is a {type_name(params)}, a module"
        raise complaint(StateError, kind, problem, remedy="give net.parameters()")
    found = tuple(params)
    for each in found:
        if isinstance(each, dict):
            problem = "params is a list of groups, which torch has and graphc has not"
            remedy = f"make one {kind} for each group and merge their updates: a.minimize(loss) | b.minimize(loss)"
            raise complaint(StateError, kind, problem, remedy=remedy)
        if not isinstance(each, Parameter):
            problem = f"params has a {type(each).__module__}.{type(each).__qualname__} in it"
            raise complaint(StateError, kind, problem, remedy="give graphc Parameters, such as net.parameters()")
        if not each.dtype.is_floating_point:
            problem = f"params has {each.name!r}, which is {each.type}, and only floating parameters are trained"
            raise complaint(StateError, kind, problem, remedy="give it floating values, such as torch.zeros(3)")
    if not found:
        raise complaint(
            StateError, kind, "params is empty", remedy="an exhausted generator is, too: give net.parameters() itself"
        )
    twice = [parameter.name for parameter, count in Counter(found).items() if count > 1]
    if twice:
        problem = f"params has {', '.join(map(repr, twice))} more than once"
        raise complaint(StateError, kind, problem, remedy="list each once")
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
