"""Parameters and their values: read, changed, hidden, copied, moved and written in ways of other libraries."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy
import torch

import graphc
from graphc import nn, optim
from tests.mistakes.mistake import built, raised

points = graphc.placeholder("points", ("batch", 2))
net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))
weight: Any = net[0].weight
loss = net(points).square().mean()
sgd = optim.SGD(net.parameters(), lr=0.1)
program = graphc.compile([points], loss, updates=sgd.minimize(loss), backend="reference")
state: Any = program.new_state()


# Values of parameters -------------------------------------------------------------------------------------------------


@built("numpy() & 0.weight", "symbol", "parameter.value")
def parameter_as_an_array() -> object:
    return weight.numpy()


@built("NumPy & 0.weight", "symbol", "parameter.value")
def parameter_given_to_numpy() -> object:
    return numpy.array(weight)


@built("item() & 0.weight", "symbol", "parameter.value")
def parameter_as_an_item() -> object:
    return weight.item()


@built("tolist() & 0.weight", "symbol", "parameter.value")
def parameter_as_a_list() -> object:
    return weight.tolist()


@built("float() & 0.weight", "symbol", "parameter.value")
def parameter_as_a_number() -> object:
    return float(weight)


@built("format() & 0.weight", "symbol", "parameter.value")
def parameter_is_printed_with_digits() -> object:
    return f"{weight:.3f}"


@raised("fill_ & 0.weight", "symbol", "parameter.value.fill_", AttributeError)
def parameter_is_filled() -> object:
    return weight.fill_(0.0)


@raised("copy_ & 0.weight", "symbol", "parameter.value.copy_", AttributeError)
def parameter_is_copied_into() -> object:
    return weight.copy_(torch.ones(4, 2))


@raised("data & 0.weight", "symbol", "parameter.value", AttributeError)
def data_of_a_parameter_is_set() -> object:
    weight.data = torch.ones(4, 2)


@raised("grad & 0.weight", "gradients", "graphc.grad", AttributeError)
def gradient_of_a_parameter_is_set() -> object:
    weight.grad = None


# In modules -----------------------------------------------------------------------------------------------------------


@built("Linear & weight", "Parameter & graphc.Tensor", "forward & updates")
def parameter_is_changed_by_an_operator() -> object:
    layer = nn.Linear(2, 3)
    layer.weight = layer.weight + 1.0  # type: ignore[assignment]


@built("Linear & weight", "Parameter & int", "weight.value")
def parameter_is_replaced_by_a_number() -> object:
    layer = nn.Linear(2, 3)
    layer.weight = 3  # type: ignore[assignment]


class Overwriting(nn.Module):
    """Puts what it computes in the place of its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer: Any = nn.Linear(2, 2)

    def forward(self, x: graphc.Tensor) -> object:
        self.layer = self.layer(x)
        return self.layer


@raised("Overwriting & layer", "Linear & symbolic tensor", "another name")
def layer_is_replaced_by_its_result() -> object:
    net = Overwriting()
    net.layer = net.layer(points)


class Late(nn.Module):
    """Fills its containers after they are assigned."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[nn.Linear] = []
        self.layers.append(nn.Linear(2, 2))

    def forward(self, x: graphc.Tensor) -> object:
        return self.layers[0](x)


@built("Late & layers", "list of modules", "nn.Sequential")
def list_of_layers_is_filled_later() -> object:
    return optim.SGD(Late().parameters(), lr=0.1)


@built("Flatten & start_dim", "'a'", "nn.Flatten()")
def flatten_from_a_letter() -> object:
    return nn.Flatten("a")  # type: ignore[arg-type]


# Gradients and options of optimizers ----------------------------------------------------------------------------------


@built("SGD.update & gradients", "list & mapping", "graphc.grad(loss, p) for p in")
def update_with_a_list() -> object:
    return sgd.update(graphc.grad(loss, list(net.parameters())))  # type: ignore[arg-type]


@built("SGD.update & 0.weight", "f32[] & f32[4,2]", "graphc.grad(loss, p) for p in")
def update_with_the_loss() -> object:
    return sgd.update({weight: loss})


@built("SGD.update & 0.weight", "f64[4,2] & f32[4,2]", ".to(torch.float32)")
def update_in_another_dtype() -> object:
    return sgd.update({weight: graphc.grad(loss, weight).double()})


@built("Adam.update & 2.bias", "1", "make the optimizer with it | leave it out")
def update_of_another_parameter() -> object:
    return optim.Adam([weight]).update({net[2].bias: graphc.grad(loss, net[2].bias)})


@built("SGD.update & 0.weight", "torch.Tensor & symbolic", "graphc.grad(loss, p) for p in")
def update_with_values() -> object:
    return sgd.update({weight: torch.ones(4, 2)})  # type: ignore[dict-item]


@built("SGD.update", "'0.weight' & Parameter", "graphc.grad(loss, p) for p in")
def update_by_name() -> object:
    return sgd.update({"0.weight": graphc.grad(loss, weight)})  # type: ignore[dict-item]


@raised("SGD & lr", "True", "number")
def learning_rate_is_true() -> object:
    return optim.SGD(net.parameters(), lr=True)


@raised("SGD & nesterov", "'yes'", "True or False")
def nesterov_is_a_word() -> object:
    return optim.SGD(net.parameters(), momentum=0.9, nesterov="yes")  # type: ignore[arg-type]


@raised("Adam & amsgrad", "'yes'", "True or False")
def amsgrad_is_a_word() -> object:
    return optim.Adam(net.parameters(), amsgrad="yes")  # type: ignore[arg-type]


@built("SGD.minimize & 0.weight", "depends on none", "copy & parameters of this optimizer")
def copy_of_an_optimizer_minimizes() -> object:
    return copy.deepcopy(sgd).minimize(loss)


# States ---------------------------------------------------------------------------------------------------------------


@raised("State & lr", "no attribute", "state['lr']", AttributeError)
def hyper_parameter_as_an_attribute() -> object:
    return state.lr


@raised("State & items", "no attribute", "for name in state", AttributeError)
def items_of_a_state() -> object:
    return state.items()


@raised("State & get", "no attribute", "in state & state[name]", AttributeError)
def state_is_asked_with_get() -> object:
    return state.get("lr")


@raised("State & update", "no attribute", "state[name] = value", AttributeError)
def state_is_updated_as_a_dict() -> object:
    return state.update({"lr": 0.1})


@raised("State & state_dict", "no attribute", "net.state_dict() & for name in state", AttributeError)
def state_is_asked_for_a_state_dict() -> object:
    return state.state_dict()


@raised("State & clone", "no attribute", "state.copy()", AttributeError)
def state_is_cloned() -> object:
    return state.clone()


@raised("State & save", "no attribute", "program.save(path, state=state)", AttributeError)
def state_is_saved() -> object:
    return state.save("values.st")


@raised("State", "no dict", "for name in state & list(state)", TypeError)
def state_as_a_dict() -> object:
    return dict(state)


@raised("State", "pickled", "program.save(path, state=state) & program.load", TypeError)
def state_is_pickled() -> object:
    return pickle.dumps(state)


@raised("Parameter & module", "pickled", "program.save(path) & net.state_dict()", TypeError)
def module_is_pickled() -> object:
    return pickle.dumps(net)


@raised("State & meta", "no elements & lost", "'cpu'")
def state_is_moved_to_meta() -> object:
    return state.to("meta")


@raised("State & 'cuda:99'", "not one of this torch's | does not exist", "'cpu'")
def state_is_moved_to_a_device_that_is_not_there() -> object:
    return state.to("cuda:99")
