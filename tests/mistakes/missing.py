"""What torch has and graphc has not, or has under another name; arguments that do not exist."""

from __future__ import annotations

import torch

import graphc
from graphc import nn, optim
from tests.mistakes.mistake import built, raised

x = graphc.placeholder("x", ("n", 3))
vector = graphc.placeholder("vector", (3,))

# Functions, layers, optimizers ----------------------------------------------------------------------------------------


@raised("graphc & sort", "sort", "torch & program", AttributeError)
def function_sort() -> object:
    return graphc.sort(x)


@raised("graphc & argmax", "argmax", "torch & program", AttributeError)
def function_argmax() -> object:
    return graphc.argmax(x)


@raised("graphc & max", "max", "amax & maximum", AttributeError)
def function_max() -> object:
    return graphc.max(x)


@raised("graphc & min", "min", "amin & minimum", AttributeError)
def function_min() -> object:
    return graphc.min(x)


@raised("graphc & concat", "concat", "graphc.cat", AttributeError)
def function_concat() -> object:
    return graphc.concat([x, x])


@raised("graphc & concatenate", "concatenate", "graphc.cat", AttributeError)
def function_concatenate() -> object:
    return graphc.concatenate([x, x])


@raised("norm", "norm", "x.square().sum().sqrt()", AttributeError)
def method_norm() -> object:
    return x.norm()


@raised("graphc & norm", "norm", "x.square().sum().sqrt()", AttributeError)
def function_norm() -> object:
    return graphc.norm(x)


@raised("graphc & one_hot", "one_hot", "torch.arange & ==", AttributeError)
def function_one_hot() -> object:
    return graphc.one_hot(x, 3)


@raised("cumsum", "cumsum", "triu", AttributeError)
def method_cumsum() -> object:
    return x.cumsum(1)


@raised("graphc & arange", "arange", "graphc.constant(torch.arange", AttributeError)
def function_arange() -> object:
    return graphc.arange(3)


@raised("graphc & vmap", "vmap", '"batch"', AttributeError)
def function_vmap() -> object:
    return graphc.vmap(graphc.tanh)


@raised("graphc & value_and_grad", "value_and_grad", "graphc.grad & graphc.compile", AttributeError)
def function_value_and_grad() -> object:
    return graphc.value_and_grad(graphc.tanh)


@raised("graphc & stop_gradient", "stop_gradient", "wrt=[", AttributeError)
def function_stop_gradient() -> object:
    return graphc.stop_gradient(x)


@raised("graphc & set_default_dtype", "set_default_dtype", "torch.set_default_dtype", AttributeError)
def function_set_default_dtype() -> object:
    return graphc.set_default_dtype(torch.float64)


@raised("graphc & Sequential", "Sequential", "graphc.nn.Sequential", AttributeError)
def layer_of_graphc() -> object:
    return graphc.Sequential()


@raised("graphc & Adam", "Adam", "graphc.optim.Adam", AttributeError)
def optimizer_of_graphc() -> object:
    return graphc.Adam([])


@raised("graphc & losses", "losses", "graphc.nn", AttributeError)
def losses_of_graphc() -> object:
    return graphc.losses.MSELoss()


@raised("graphc & layers", "layers", "graphc.nn", AttributeError)
def layers_of_graphc() -> object:
    return graphc.layers.Dense(3)


@raised("graphc & mm", "mm", "graphc.matmul", AttributeError)
def function_mm() -> object:
    return graphc.mm(x, x)


@raised("graphc & einsum", "einsum", "matmul", AttributeError)
def function_einsum() -> object:
    return graphc.einsum("ij,jk->ik", x, x)


@raised("graphc & zeros", "zeros", "graphc.constant & broadcast_to", AttributeError)
def function_zeros() -> object:
    return graphc.zeros(3)


@raised("graphc & tensor", "tensor", "graphc.constant", AttributeError)
def function_tensor() -> object:
    return graphc.tensor([1.0, 2.0])


@raised("graphc & Input", "Input", "graphc.placeholder", AttributeError)
def function_input() -> object:
    return graphc.Input("x", (3,))


@raised("graphc & variable", "variable", "graphc.Variable | graphc.Parameter", AttributeError)
def function_variable() -> object:
    return graphc.variable(torch.ones(3))


@raised("graphc & gradients", "gradients", "graphc.grad", AttributeError)
def function_gradients() -> object:
    return graphc.gradients(x, x)


@raised("graphc & randn", "randn", "dropout | placeholder | torch.randn", AttributeError)
def function_randn() -> object:
    return graphc.randn(3)


@raised("graphc & no_grad", "no_grad", "without updates | leave it out | graphc.grad", AttributeError)
def context_no_grad() -> object:
    return graphc.no_grad()


@raised("graphc & load", "load", "Graph.load | load_state_dict", AttributeError)
def function_load() -> object:
    return graphc.load("net.json")


@raised("graphc & save", "save", "graph.save | state_dict", AttributeError)
def function_save() -> object:
    return graphc.save(x, "net.json")


@raised("graphc & float32", "float32", "torch.float32", AttributeError)
def dtype_of_graphc() -> object:
    return graphc.placeholder("x", (3,), graphc.float32)


@raised("graphc & sigmiod", "sigmiod", "sigmoid", AttributeError)
def function_misspelt() -> object:
    return graphc.sigmiod(x)


@raised("graphc & manual_seed", "manual_seed", "torch.manual_seed", AttributeError)
def function_manual_seed() -> object:
    return graphc.manual_seed(0)


@raised("nn & Conv2d", "Conv2d", "Linear | fully connected", AttributeError)
def layer_conv() -> object:
    return nn.Conv2d(1, 8, 3)


@raised("nn & LSTM", "LSTM", "Linear | fully connected", AttributeError)
def layer_lstm() -> object:
    return nn.LSTM(3, 3)


@raised("nn & BatchNorm1d", "BatchNorm1d", "Linear | fully connected", AttributeError)
def layer_batch_norm() -> object:
    return nn.BatchNorm1d(3)


@raised("nn & LayerNorm", "LayerNorm", "mean | own module | nn.Module", AttributeError)
def layer_norm() -> object:
    return nn.LayerNorm(3)


@raised("nn & Embedding", "Embedding", "fully connected", AttributeError)
def layer_embedding() -> object:
    return nn.Embedding(10, 3)


@raised("nn & ModuleList", "ModuleList", "nn.Sequential", AttributeError)
def layer_module_list() -> object:
    return nn.ModuleList([nn.Linear(3, 3)])


@raised("nn & HuberLoss", "HuberLoss", "MSELoss & L1Loss", AttributeError)
def layer_huber_loss() -> object:
    return nn.HuberLoss()


@raised("nn & functional", "functional", "graphc.relu | graphc.", AttributeError)
def functional() -> object:
    return nn.functional.relu(x)


@raised("nn & init", "init", ".value | initial", AttributeError)
def initialisation() -> object:
    return nn.init.zeros_(nn.Linear(3, 3).weight)


@raised("nn & Swish", "Swish", "SiLU", AttributeError)
def layer_swish() -> object:
    return nn.Swish()


@raised("nn & linear", "linear", "Linear", AttributeError)
def layer_in_lower_case() -> object:
    return nn.linear(3, 3)


@raised("nn & CrossEntropy", "CrossEntropy", "CrossEntropyLoss", AttributeError)
def loss_without_its_ending() -> object:
    return nn.CrossEntropy()


@raised("optim & RMSprop", "RMSprop", "SGD & Adam & AdamW", AttributeError)
def optimizer_rmsprop() -> object:
    return optim.RMSprop(nn.Linear(3, 3).parameters())


@raised("optim & lr_scheduler", "lr_scheduler", "Cosine & StepDecay", AttributeError)
def rates_of_torch() -> object:
    return optim.lr_scheduler.StepLR(None, 10)


@raised("optim & adam", "adam", "Adam", AttributeError)
def optimizer_in_lower_case() -> object:
    return optim.adam(nn.Linear(3, 3).parameters())


# Arguments ------------------------------------------------------------------------------------------------------------


@raised("sum & axis", "axis", "dim", TypeError)
def sum_over_an_axis() -> object:
    return x.sum(axis=1)


@raised("mean & keepdims", "keepdims", "keepdim", TypeError)
def mean_keeps_dims() -> object:
    return x.mean(1, keepdims=True)


@raised("sum & dtype", "dtype", "dim & keepdim | .to(", TypeError)
def sum_in_a_dtype() -> object:
    return graphc.sum(x, dtype=torch.float64)


@raised("cat & axis", "axis", "dim", TypeError)
def cat_along_an_axis() -> object:
    return graphc.cat([x, x], axis=1)


@raised("softmax & axis", "axis", "dim", TypeError)
def softmax_along_an_axis() -> object:
    return graphc.softmax(x, axis=1)


@raised("softmax & dim", "missing", "dim", TypeError)
def softmax_along_nothing() -> object:
    return graphc.softmax(x)


@raised("relu & inplace", "inplace", "x", TypeError)
def relu_function_in_place() -> object:
    return graphc.relu(x, inplace=True)


@raised("add & alpha", "alpha", "* | other | x", TypeError)
def add_with_alpha() -> object:
    return graphc.add(x, x, alpha=2)


@raised("clamp & low", "low", "min & max", TypeError)
def clamp_with_other_names() -> object:
    return graphc.clamp(x, low=0.0)


@raised("placeholder & type", "type", "dtype", TypeError)
def placeholder_of_a_type() -> object:
    return graphc.placeholder("x", (3,), type=torch.float64)


@raised("placeholder & shape", "missing", "shape", TypeError)
def placeholder_without_a_shape() -> object:
    return graphc.placeholder("x")


@raised("placeholder & dims", "dims", "shape", TypeError)
def placeholder_of_dims() -> object:
    return graphc.placeholder("x", dims=(3,))


@raised("tanh", "2 & 1", "x", TypeError)
def tanh_of_two() -> object:
    return graphc.tanh(x, x)


@raised("reshape & shape", "shape", "reshape(2, 3) | *shape | (", TypeError)
def reshape_by_keyword() -> object:
    return x.reshape(shape=(3, -1))


@raised("dropout & training", "training", "graphc.compile | p", TypeError)
def dropout_function_with_a_mode() -> object:
    return graphc.dropout(x, 0.5, training=True)


@built("dropout & p", "1.5", "0 & 1")
def dropout_function_of_too_much() -> object:
    return graphc.dropout(x, 1.5)


@raised("cross_entropy & target", "missing", "target", TypeError)
def cross_entropy_of_one_argument() -> object:
    return graphc.cross_entropy(x)


@raised("cross_entropy & size_average", "size_average", "reduction", TypeError)
def cross_entropy_with_an_old_argument() -> object:
    return graphc.cross_entropy(x, vector, size_average=False)


@raised("where & 3 | x & y", "missing", "other | y | x", TypeError)
def where_of_a_condition_alone() -> object:
    return graphc.where(x > 0)


@built("clamp", "f32[3]", "min & max")
def clamp_without_limits() -> object:
    return vector.clamp()


@built("keepdim & sum", "'yes' | str", "True & False")
def keepdim_is_a_word() -> object:
    return x.sum(1, "yes")  # type: ignore[arg-type]


@built("sum & keepdim", "1 | int", "dim=(0, 1) | tuple | True & False")
def second_dimension_is_taken_for_keepdim() -> object:
    return x.sum(0, 1)  # type: ignore[arg-type]


@raised("transpose", "missing", "dim1", TypeError)
def transpose_of_one_dimension() -> object:
    return x.transpose(0)  # type: ignore[call-arg]
