"""Layers and modules: how they are made, put together and changed, and what is loaded into them."""

from __future__ import annotations

from collections import OrderedDict

import numpy
import torch

import graphc
from graphc import nn
from tests.mistakes.mistake import built, raised

points = graphc.placeholder("points", ("batch", 2))


def small() -> nn.Sequential:
    """A network with four parameters."""
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))


def values() -> dict[str, torch.Tensor]:
    """What torch has for the same network."""
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)).state_dict()


# Constructors ---------------------------------------------------------------------------------------------------------


@raised("Linear & out_features", "-1", "0 or more")
def layer_of_negative_width() -> object:
    return nn.Linear(2, -1)


@raised("Linear & in_features", "2.0 & float | 2.0", "integer")
def layer_of_floating_width() -> object:
    return nn.Linear(4 / 2, 3)  # type: ignore[arg-type]


@raised("Linear & in_features", "'2'", "integer")
def layer_of_width_in_text() -> object:
    return nn.Linear("2", 3)  # type: ignore[arg-type]


@raised("Linear & in_features", "None", "integer")
def layer_of_no_width() -> object:
    return nn.Linear(None, 3)  # type: ignore[arg-type]


@raised("Linear & in_features", "(28, 28)", "integer & Flatten | integer")
def layer_of_a_shape() -> object:
    return nn.Linear((28, 28), 10)  # type: ignore[arg-type]


@raised("Linear & in_features", "batch", "integer | number")
def layer_as_wide_as_the_batch() -> object:
    return nn.Linear(points.shape[0], 10)  # type: ignore[arg-type]


@raised("Linear & out_features", "missing", "out_features", TypeError)
def layer_of_one_size() -> object:
    return nn.Linear(2)  # type: ignore[call-arg]


@raised("Linear & hidden", "unexpected | no argument", "in_features & out_features", TypeError)
def layer_with_an_argument_that_is_not_there() -> object:
    return nn.Linear(2, hidden=3)  # type: ignore[call-arg]


@raised("Linear & activation", "unexpected | no argument", "in_features & bias", TypeError)
def layer_with_keras_activation() -> object:
    return nn.Linear(2, 3, activation="relu")  # type: ignore[call-arg]


@raised("Linear & bias", "0.0 | 'none' | torch", "True & False")
def layer_with_an_activation_for_a_bias() -> object:
    return nn.Linear(2, 3, "none")  # type: ignore[arg-type]


@raised("Linear & dtype", "'float32'", "torch.float32")
def layer_with_a_dtype_in_text() -> object:
    return nn.Linear(2, 3, dtype="float32")  # type: ignore[arg-type]


@raised("Linear & device", "'gpu'", "'cpu' & 'cuda'")
def layer_on_a_device_that_is_not_there() -> object:
    return nn.Linear(2, 3, device="gpu")


@raised("Dropout & p", "2", "0 & 1")
def dropout_of_two() -> object:
    return nn.Dropout(p=2)


@raised("Dropout & p", "-0.1", "0 & 1")
def dropout_of_less_than_nothing() -> object:
    return nn.Dropout(p=-0.1)


@raised("Dropout & p", "'half'", "0 & 1")
def dropout_of_a_word() -> object:
    return nn.Dropout(p="half")  # type: ignore[arg-type]


@raised("Dropout & p", "nan", "0 & 1")
def dropout_of_no_number() -> object:
    return nn.Dropout(p=float("nan"))


@raised("Dropout & p", "Tensor | f32[batch,2]", "0 & 1")
def dropout_of_a_symbol() -> object:
    return nn.Dropout(p=points)  # type: ignore[arg-type]


@raised("Dropout & inplace", "unexpected | no argument", "p", TypeError)
def dropout_in_place() -> object:
    return nn.Dropout(0.5, inplace=True)  # type: ignore[call-arg]


@raised("ReLU & inplace", "unexpected | no argument", "no arguments | without | leave it out", TypeError)
def relu_in_place() -> object:
    return nn.ReLU(inplace=True)  # type: ignore[call-arg]


@raised("GELU & approximate", "'fast'", "'tanh' & 'none'")
def gelu_in_a_form_that_is_not_there() -> object:
    return nn.GELU(approximate="fast")  # type: ignore[arg-type]


@raised("LeakyReLU & negative_slope", "'0.1' | str", "number")
def leaky_relu_with_a_slope_in_text() -> object:
    return nn.LeakyReLU("0.1")  # type: ignore[arg-type]


@raised("Softmax & dim", "missing", "dim", TypeError)
def softmax_without_a_dimension() -> object:
    return nn.Softmax()  # type: ignore[call-arg]


@raised("Softmax & dim", "1.0 | float", "integer")
def softmax_over_a_floating_dimension() -> object:
    return nn.Softmax(dim=1.0)  # type: ignore[arg-type]


@raised("MSELoss & reduction", "'average'", "'mean' & 'sum' & 'none'")
def loss_with_a_reduction_that_is_not_there() -> object:
    return nn.MSELoss(reduction="average")  # type: ignore[arg-type]


@raised("BCELoss & reduction", "None", "'none'")
def loss_with_no_reduction() -> object:
    return nn.BCELoss(reduction=None)  # type: ignore[arg-type]


@raised("MSELoss & size_average", "unexpected | no argument", "reduction", TypeError)
def loss_with_an_old_argument() -> object:
    return nn.MSELoss(size_average=True)  # type: ignore[call-arg]


@raised("CrossEntropyLoss & label_smoothing", "2.0", "0 & 1")
def cross_entropy_smoothed_too_much() -> object:
    return nn.CrossEntropyLoss(label_smoothing=2.0)


@raised("CrossEntropyLoss & ignore_index", "1.5 | float", "integer")
def cross_entropy_that_ignores_half_a_class() -> object:
    return nn.CrossEntropyLoss(ignore_index=1.5)  # type: ignore[arg-type]


@raised("BCEWithLogitsLoss & pos_weight", "str | 'balanced'", "number | numbers | tensor")
def loss_with_a_weight_in_text() -> object:
    return nn.BCEWithLogitsLoss(pos_weight="balanced")  # type: ignore[arg-type]


@raised("MSELoss & target", "missing", "target", TypeError)
def loss_of_one_argument() -> object:
    return nn.MSELoss()(points)


@raised("Linear", "1 & 2 & positional", "takes x", TypeError)
def layer_of_two_inputs() -> object:
    return nn.Linear(2, 3)(points, points)


@raised("MSELoss", "called | constructor | arguments | placeholder | Tensor", "MSELoss()(", TypeError)
def loss_class_is_called_on_symbols() -> object:
    return nn.MSELoss(points, points)  # type: ignore[call-arg]


@raised("ReLU", "Tensor | arguments", "ReLU()( | graphc.relu", TypeError)
def activation_class_is_called_on_a_symbol() -> object:
    return nn.ReLU(points)  # type: ignore[call-arg]


# Putting together -----------------------------------------------------------------------------------------------------


@raised("Sequential & 1", "class ReLU | ReLU", "nn.ReLU()")
def sequential_of_a_class() -> object:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU)


@raised("Sequential & 1", "function | tanh", "nn.Tanh() | module")
def sequential_of_a_function() -> object:
    return nn.Sequential(nn.Linear(2, 3), graphc.tanh)


@raised("Sequential & 0", "torch.nn", "graphc.nn | nn.Linear")
def sequential_of_torchs_modules() -> object:
    return nn.Sequential(torch.nn.Linear(2, 3), nn.ReLU())


@raised("Sequential & 0", "list", "* | Sequential(a, b)")
def sequential_of_a_list() -> object:
    return nn.Sequential([nn.Linear(2, 3), nn.ReLU()])


@raised("Sequential & 2", "None", "nn.Identity() | nn.Tanh()")
def sequential_with_a_hole() -> object:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), None)


@raised("Sequential & 1", "Tensor | tensor | f32[batch,2]", "module | nn.")
def sequential_of_a_symbol() -> object:
    return nn.Sequential(nn.Linear(2, 3), points)


@raised("Sequential", "5 & 3", "index | 0 to 2 | modules", IndexError)
def module_of_a_sequential_that_is_not_there() -> object:
    return small()[5]


@raised("Sequential", "'0' | str", "integer", TypeError)
def module_of_a_sequential_by_name() -> object:
    return small()["0"]  # type: ignore[call-overload]


@raised("Sequential & append", "append", "nn.Sequential(", AttributeError)
def sequential_is_extended() -> object:
    return small().append(nn.ReLU())


@raised("Sequential & [0] | item assignment", "Sequential", "nn.Sequential( | setattr", TypeError)
def sequential_is_changed() -> object:
    net = small()
    net[0] = nn.Linear(2, 4)  # type: ignore[index]


@raised("Model & layers", "list & parameters", "nn.Sequential")
def module_with_a_list_of_modules() -> object:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(2, 2), nn.Linear(2, 2)]  # here

    return Model()


@raised("Model & layers", "dict & parameters", "nn.Sequential | attribute")
def module_with_a_dict_of_modules() -> object:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = {"first": nn.Linear(2, 2)}  # here

    return Model()


@raised("Model & weights", "list & Parameter", "attribute | one by one")
def module_with_a_list_of_parameters() -> object:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = [graphc.Parameter(torch.ones(2)), graphc.Parameter(torch.ones(2))]  # here

    return Model()


@raised("Model & inner", "torch.nn & Linear", "graphc.nn")
def module_with_a_module_of_torch() -> object:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(2, 2)  # here

    return Model()


@raised("Model & scale", "torch.nn & Parameter", "graphc.Parameter | nn.Parameter")
def module_with_a_parameter_of_torch() -> object:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(2))  # here

    return Model()


@raised("Model & forward", "forward", "define", NotImplementedError)
def module_without_forward() -> object:
    class Model(nn.Module):
        pass

    return Model()(points)


@raised("Model & froward | forward", "forward", "define", NotImplementedError)
def module_with_forward_misspelt() -> object:
    class Model(nn.Module):
        def froward(self, x: graphc.Tensor) -> graphc.Tensor:
            return x

    return Model()(points)


@raised("Model & hidden", "attribute", "__init__ | assign | there are | first", AttributeError)
def module_without_the_layer_that_it_calls() -> object:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(2, 2)

        def forward(self, x: graphc.Tensor) -> graphc.Tensor:
            return self.hidden(x)  # type: ignore[no-any-return]  # here

    return Model()(points)


@built("Linear & 2 | sequential.2", "NoneType | None", "return | symbolic tensor")
def module_that_returns_nothing() -> object:
    class Print(nn.Module):
        def forward(self, x: graphc.Tensor) -> None:
            repr(x)

    return nn.Sequential(nn.Linear(2, 2), Print(), nn.Linear(2, 1))(points)


@raised("Sequential & parameters", "parameters", "another name")
def module_named_like_a_method() -> object:
    net = small()
    net.parameters = nn.Linear(2, 2)  # type: ignore[assignment, method-assign]


@raised("Sequential & me", "contain itself | itself", "another | module")
def module_in_itself() -> object:
    net = small()
    net.me = net


@raised("Sequential & a.b", "dots", "without | names have no dots | setattr")
def module_with_a_dot_in_its_name() -> object:
    return nn.Sequential(OrderedDict({"a.b": nn.Linear(2, 3)}))


@raised("train", "mode", "graphc.compile | compiled with updates", AttributeError)
def module_is_told_to_train() -> object:
    return small().train()


@raised("eval", "mode", "without updates", AttributeError)
def module_is_told_to_evaluate() -> object:
    return small().eval()


@raised("zero_grad", "gradients", "graphc.grad & minimize", AttributeError)
def module_is_told_to_forget_gradients() -> object:
    return small().zero_grad()


@raised("cuda", "Sequential", '.to("cuda")', AttributeError)
def module_is_moved_to_a_graphics_processor() -> object:
    return small().cuda()


@raised("half", "Sequential", "torch.float16 | .to(", AttributeError)
def module_becomes_half() -> object:
    return small().half()


@raised("apply", "Sequential", "modules() | parameters() | named_parameters", AttributeError)
def module_is_initialised_by_a_function() -> object:
    return small().apply(print)


@raised("requires_grad_", "Sequential", "parameters | optimizer", AttributeError)
def module_is_frozen() -> object:
    return small().requires_grad_(False)


@raised("register_buffer", "Sequential", "graphc.constant | graphc.Variable", AttributeError)
def module_registers_a_buffer() -> object:
    return small().register_buffer("mean", torch.ones(2))


@raised("add_module", "Sequential", "setattr | assign", AttributeError)
def module_adds_a_module() -> object:
    return small().add_module("extra", nn.ReLU())


@raised("predict", "Sequential", "graphc.compile", AttributeError)
def module_is_asked_to_predict() -> object:
    return small().predict(torch.ones(3, 2))


@raised("fit", "Sequential", "graphc.compile", AttributeError)
def module_is_asked_to_fit() -> object:
    return small().fit(torch.ones(3, 2))


# Parameters -----------------------------------------------------------------------------------------------------------


@raised("weight", "torch.Tensor | torch tensor & Parameter", ".value = ")
def weight_is_replaced_by_values() -> object:
    layer = nn.Linear(2, 3)
    layer.weight = torch.zeros(3, 2)  # type: ignore[assignment]


@raised("weight", "[3,2] | [3, 2] & [2,3] | [2, 3]", ".T | transpose | shape")
def value_of_a_weight_has_another_shape() -> object:
    layer = nn.Linear(2, 3)
    layer.weight.value = torch.zeros(2, 3)


@raised("weight", "f32 & f64", ".to(")
def value_of_a_weight_is_double() -> object:
    layer = nn.Linear(2, 3)
    layer.weight.value = torch.zeros(3, 2, dtype=torch.float64)


@raised("weight", "f32 & f64", ".to( | .astype")
def value_of_a_weight_is_a_double_array() -> object:
    layer = nn.Linear(2, 3)
    layer.weight.value = numpy.zeros((3, 2))  # type: ignore[assignment]


@raised("weight", "str | 'zeros'", "tensor")
def value_of_a_weight_is_text() -> object:
    layer = nn.Linear(2, 3)
    layer.weight.value = "zeros"  # type: ignore[assignment]


@raised("weight", "None", "tensor")
def value_of_a_weight_is_none() -> object:
    layer = nn.Linear(2, 3)
    layer.weight.value = None  # type: ignore[assignment]


@raised("weight", "graphc.Tensor | symbolic", "updates | value | compile")
def value_of_a_weight_is_a_symbol() -> object:
    layer = nn.Linear(2, 3)
    layer.weight.value = layer.weight * 2.0  # type: ignore[assignment]


@raised("Parameter", "str | 'ones'", "tensor")
def parameter_of_text() -> object:
    return graphc.Parameter("ones")


@raised("Parameter", "None", "tensor")
def parameter_of_nothing() -> object:
    return graphc.Parameter(None)


@raised("Parameter", "graphc.Tensor | symbolic", "tensor with values | torch tensor")
def parameter_of_a_symbol() -> object:
    return graphc.Parameter(points)


# State dicts ----------------------------------------------------------------------------------------------------------


@raised("Sequential & 2.bias", "missing", "key | keys | all")
def state_dict_lacks_a_key() -> object:
    found = values()
    found.pop("2.bias")
    return small().load_state_dict(found)


@raised("Sequential & 4.weight", "unexpected", "remove | leave out | keys | takes")
def state_dict_has_a_key_too_many() -> object:
    return small().load_state_dict({**values(), "4.weight": torch.ones(1)})


@raised("Sequential & 0.weight", "[3, 2] | [3,2] & [4, 2] | [4,2]", "same | sizes | nn.Linear")
def state_dict_is_of_a_wider_network() -> object:
    return small().load_state_dict({**values(), "0.weight": torch.ones(4, 2)})


@raised("Sequential & 0.weight", "f32 & f64", ".to(torch.float32) | .double()")
def state_dict_is_double() -> object:
    return small().load_state_dict({name: value.double() for name, value in values().items()})


@raised("Sequential & 0.weight", "module.0.weight & module.", "removeprefix | prefix")
def state_dict_is_of_data_parallel() -> object:
    return small().load_state_dict({f"module.{name}": value for name, value in values().items()})


@raised("Sequential & 0.weight", "net.0.weight & net.", "removeprefix | prefix")
def state_dict_is_of_a_module_around_it() -> object:
    return small().load_state_dict({f"net.{name}": value for name, value in values().items()})


@raised("Sequential", "model_state_dict", '["model_state_dict"]')
def state_dict_is_a_whole_checkpoint() -> object:
    return small().load_state_dict({"epoch": 3, "model_state_dict": values()})  # type: ignore[dict-item]


@raised("Sequential & load_state_dict", "str | 'net.pt'", "safetensors | load_file")
def state_dict_is_a_path() -> object:
    return small().load_state_dict("net.pt")  # type: ignore[arg-type]


@raised("Sequential & load_state_dict", "torch.nn | Sequential", ".state_dict()")
def state_dict_is_a_module_of_torch() -> object:
    return small().load_state_dict(torch.nn.Sequential(torch.nn.Linear(2, 3)))  # type: ignore[arg-type]


@raised("Sequential & load_state_dict", "None", "mapping | state_dict()")
def state_dict_is_none() -> object:
    return small().load_state_dict(None)  # type: ignore[arg-type]


@raised("Sequential & load_state_dict", "list", "mapping | dict")
def state_dict_is_a_list() -> object:
    return small().load_state_dict(list(values().items()))  # type: ignore[arg-type]


@raised("Sequential & 0.weight", "str | 'ones'", "tensor")
def state_dict_has_text() -> object:
    return small().load_state_dict({**values(), "0.weight": "ones"})  # type: ignore[dict-item]


@raised("Sequential & 0.weight", "None", "tensor")
def state_dict_has_none() -> object:
    return small().load_state_dict({**values(), "0.weight": None})  # type: ignore[dict-item]


@raised("Sequential & 0.bias", "f64", ".to(torch.float32) | .astype")
def state_dict_has_double_arrays() -> object:
    return small().load_state_dict({**values(), "0.bias": numpy.zeros(3)})  # type: ignore[dict-item]


@raised("load_state_dict & strict", "strict", "state_dict", TypeError)
def state_dict_is_loaded_loosely() -> object:
    return small().load_state_dict({}, strict=False)  # type: ignore[call-arg]


@raised("Sequential & 0.weight", "missing", "key | keys | all")
def state_dict_is_empty() -> object:
    return small().load_state_dict({})
