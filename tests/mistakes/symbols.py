"""A symbol that is taken for a number, or for a torch tensor."""

from __future__ import annotations

import math

import numpy
import torch

import graphc
from graphc import nn
from tests.mistakes.mistake import built, raised

vector = graphc.placeholder("vector", (3,))
matrix = graphc.placeholder("matrix", (2, 3))
batch = graphc.placeholder("batch", ("n", 3))
scalar = graphc.placeholder("scalar", ())
counts = graphc.placeholder("counts", (3,), torch.int64)


# As a number ----------------------------------------------------------------------------------------------------------


@built("bool() | if", "bool[]", "graphc.where")
def condition_of_an_if() -> object:
    return 1 if vector.sum() > 0 else 0


@built("bool() | if", "f32[3]", "graphc.where")
def choice_by_and() -> object:
    return vector and 1


@built("bool() | while", "bool[]", "graphc.where")
def condition_of_a_while() -> object:
    while scalar > 0:  # here
        break


@built("bool() | not", "bool[3]", "graphc.where | == False")
def not_of_a_comparison() -> object:
    return not (vector > 0)


@built("bool() | ==", "bool[3]", "graphc.where | compile")
def assertion_of_equality() -> object:
    assert vector == vector


@built("bool() | in", "f32[3] | bool[3]", "graphc.where | is | any | identity")
def symbol_in_a_list() -> object:
    return vector in [batch[0], vector]


@built("in", "f32[3]", "graphc.where | ==")
def number_in_a_symbol() -> object:
    return 1.0 in vector


@built("bool()", "bool[]", "graphc.maximum | maximum")
def pythons_max() -> object:
    return max(scalar, scalar * 2)


@built("iteration | max", "f32[3]", "amax")
def pythons_max_of_a_vector() -> object:
    return max(vector)


@built("iteration | sum", "f32[3]", ".sum()")
def pythons_sum() -> object:
    return sum(vector)


@built("bool()", "bool[]", "sort | graphc.where | compile")
def pythons_sorted() -> object:
    return sorted([scalar, scalar * 2])


@built("float()", "f32[]", "compile")
def float_of_a_symbol() -> object:
    return float(scalar)


@built("int()", "f32[]", ".to(torch.int64) | compile")
def int_of_a_symbol() -> object:
    return int(scalar)


@built("complex()", "f32[]", "compile")
def complex_of_a_symbol() -> object:
    return complex(scalar)


@built("round", "f32[]", "graphc.floor | compile")
def round_of_a_symbol() -> object:
    return round(scalar)


@built("float() | math", "f32[]", "graphc.sqrt")
def square_root_of_math() -> object:
    return math.sqrt(scalar)


@built("floor", "f32[]", "graphc.floor | .floor()")
def floor_of_math() -> object:
    return math.floor(scalar)


@built("item()", "f32[]", "compile")
def item_of_a_loss() -> object:
    return scalar.item()


@built("tolist()", "f32[3]", "compile")
def list_of_a_symbol() -> object:
    return vector.tolist()


@built("numpy()", "f32[3]", "compile")
def array_of_a_symbol() -> object:
    return vector.numpy()


@raised("detach", "f32[3]", "gradient | graphc.grad", AttributeError)
def detached_symbol() -> object:
    return vector.detach().numpy()


@built("index", "f32[]", "loop | shape | compile")
def range_over_a_symbol() -> object:
    return list(range(scalar))


@built("index", "f32[]", "compile | slices")
def symbol_as_an_index_of_a_list() -> object:
    return [1, 2, 3][scalar]


@built("iteration", "f32[2,3]", "x[0] | index it")
def loop_over_rows() -> object:
    return [2 * row for row in matrix]


@built("iteration", "f32[n,3]", "x[:, 1]")
def unpacked_columns() -> object:
    _a, _b, _c = batch


@built("len()", "n & f32[n,3]", "shape[0]")
def length_of_a_batch() -> object:
    return len(batch)


@built("len()", "f32[]", "shape | numel | 0-d")
def length_of_a_scalar() -> object:
    return len(scalar)


@built("iteration | enumerate", "f32[n,3]", "index it | x[0]")
def enumeration_of_a_batch() -> object:
    return list(enumerate(batch))


@built("iteration | zip", "f32[3]", "index it | x[0]")
def zip_of_symbols() -> object:
    return list(zip(vector, vector))


@built("iteration | splat", "f32[3]", "index it | x[0]")
def symbol_spread_over_arguments() -> object:
    return print(*vector)  # noqa: T201


@built("format()", "f32[]", "compile")
def loss_in_a_format() -> object:
    return f"loss {scalar:.4f}"


@built("float() | %", "f32[]", "compile")
def loss_in_an_old_format() -> object:
    return "loss %.4f" % scalar  # noqa: UP031


@built("item assignment", "f32[2,3]", "graphc.where | graphc.cat")
def assignment_to_a_row() -> object:
    matrix[0] = 1.0


@built("item assignment", "f32[3]", "graphc.where")
def assignment_where_a_mask_holds() -> object:
    vector[vector > 0] = 0.0


@built("item assignment", "f32[3]", "graphc.where | graphc.cat")
def element_is_increased() -> object:
    vector[0] += 1.0


@built("item deletion | del", "f32[3]", "slice | index | graphc.cat", TypeError)
def row_is_deleted() -> object:
    del vector[0]


# NumPy ----------------------------------------------------------------------------------------------------------------


@built("NumPy", "f32[3]", "compile")
def array_made_of_a_symbol() -> object:
    return numpy.asarray(vector)


@built("numpy.sin | sin", "f32[3]", "graphc.sin", TypeError)
def sine_of_numpy() -> object:
    return numpy.sin(vector)


@built("numpy.exp | exp", "f32[3]", "graphc.exp", TypeError)
def exponential_of_numpy() -> object:
    return numpy.exp(vector)


@raised("mean", "axis", "dim", TypeError)
def mean_of_numpy() -> object:
    return numpy.mean(vector)


@built("concatenate | NumPy", "f32[3]", "graphc.cat | compile")
def concatenation_of_numpy() -> object:
    return numpy.concatenate([vector, vector])


@built("numpy.maximum | maximum", "f32[3]", "graphc.maximum", TypeError)
def maximum_of_numpy() -> object:
    return numpy.maximum(vector, 0.0)


@built("dot | NumPy", "f32[2,3]", "@ | graphc.matmul | compile", TypeError)
def product_of_numpy() -> object:
    return numpy.dot(numpy.ones((3, 2)), matrix)


# torch ----------------------------------------------------------------------------------------------------------------


@built("torch.tanh", "f32[3]", "graphc.tanh")
def tanh_of_torch() -> object:
    return torch.tanh(vector)  # type: ignore[arg-type]


@built("torch.relu", "f32[3]", "graphc.relu | nn.ReLU")
def relu_of_torch() -> object:
    return torch.nn.functional.relu(vector)  # type: ignore[arg-type]


@built("torch.cat", "f32[3]", "graphc.cat", TypeError)
def cat_of_torch() -> object:
    return torch.cat([vector, vector])  # type: ignore[list-item]


@built("torch.stack", "f32[3]", "graphc.stack", TypeError)
def stack_of_torch() -> object:
    return torch.stack([vector, vector])  # type: ignore[list-item]


@built("torch.where", "f32[3]", "graphc.where")
def where_of_torch() -> object:
    return torch.where(vector > 0, vector, vector)  # type: ignore[call-overload]


@built("torch.sum", "f32[3]", "graphc.sum")
def sum_of_torch() -> object:
    return torch.sum(vector)  # type: ignore[call-overload]


@built("torch.matmul", "f32[2,3]", "graphc.matmul")
def product_of_torch() -> object:
    return torch.matmul(torch.ones(3, 2), matrix)  # type: ignore[arg-type]


@built("torch.max", "f32[3]", "graphc.amax")
def largest_of_torch() -> object:
    return torch.max(vector)  # type: ignore[call-overload]


@built("torch.zeros_like", "f32[3]", "0.0 * | graphc.constant | broadcast_to")
def zeros_like_of_torch() -> object:
    return torch.zeros_like(vector)  # type: ignore[arg-type]


@built("torch.tensor | len()", "f32[] | f32[3]", "compile | compiled", TypeError)
def tensor_of_a_symbol() -> object:
    return torch.tensor(vector)


@built("torch.linear | Linear", "f32[2,3]", "nn.Linear")
def layer_of_torch() -> object:
    return torch.nn.Linear(3, 2)(matrix)


@built("torch.linear | Linear", "f32[2,3]", "graphc.nn | nn.Sequential | nn.Linear")
def network_of_torch() -> object:
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())(matrix)


@built("cross_entropy", "f32[n,3]", "graphc.cross_entropy | nn.CrossEntropyLoss")
def loss_of_torch() -> object:
    return torch.nn.CrossEntropyLoss()(batch, counts)


@built("mse_loss | MSELoss", "f32[3]", "nn.MSELoss")
def squared_error_of_torch() -> object:
    return torch.nn.functional.mse_loss(vector, vector)  # type: ignore[arg-type]


@built("torch.autograd.grad | grad", "f32[]", "graphc.grad", TypeError)
def gradient_of_torch() -> object:
    return torch.autograd.grad(scalar, [vector])  # type: ignore[arg-type, list-item]


@built("backward()", "f32[]", "graphc.grad & minimize")
def backward_of_a_loss() -> object:
    return scalar.backward()


@raised("grad", "f32[3]", "graphc.grad", AttributeError)
def gradient_attribute() -> object:
    return vector.grad


@raised("requires_grad_", "f32[3]", "graphc.grad | Parameter", AttributeError)
def symbol_is_asked_for_gradients() -> object:
    return vector.requires_grad_()


@raised("requires_grad", "graphc.Tensor | Tensor | f32[3]", "graphc.grad | Parameter", AttributeError)
def symbol_is_told_to_have_gradients() -> object:
    vector.requires_grad = True


@raised("cpu", "f32[3]", "program | compile", AttributeError)
def symbol_is_moved_to_the_processor() -> object:
    return vector.cpu()


@raised("data", "f32[3]", "compile | value", AttributeError)
def data_of_a_symbol() -> object:
    return vector.data


@raised("argmax", "f32[n,3]", "torch & program", AttributeError)
def argmax_of_a_symbol() -> object:
    return batch.argmax(1)


@raised("max", "f32[3]", "amax", AttributeError)
def max_of_a_symbol() -> object:
    return vector.max()  # type: ignore[attr-defined]


@raised("std", "f32[3]", "mean | sqrt", AttributeError)
def deviation_of_a_symbol() -> object:
    return vector.std()


@raised("add_", "f32[3]", ".add( | +", AttributeError)
def symbol_is_changed_in_place() -> object:
    return vector.add_(1.0)


@raised("contiguous", "f32[3,2]", "layout | leave it out | needs no", AttributeError)
def symbol_is_made_contiguous() -> object:
    return matrix.T.contiguous()


@raised("repeat", "f32[3]", "expand | graphc.cat", AttributeError)
def symbol_is_repeated() -> object:
    return vector.repeat(2)


@raised("chunk", "f32[2,3]", "slice | index | x[", AttributeError)
def symbol_is_cut_in_chunks() -> object:
    return matrix.chunk(2)


@raised("long", "f32[3]", ".to(torch.int64)", AttributeError)
def symbol_becomes_long() -> object:
    return vector.long()


@raised("half", "f32[3]", ".to(torch.float16)", AttributeError)
def symbol_becomes_half() -> object:
    return vector.half()


@raised("tahn", "f32[3]", "tanh", AttributeError)
def method_is_misspelt() -> object:
    return vector.tahn()


# Modules on values ----------------------------------------------------------------------------------------------------


@built("Sequential", "torch.Tensor", "graphc.placeholder & graphc.compile")
def network_is_called_on_values() -> object:
    return nn.Sequential(nn.Linear(3, 1))(torch.ones(5, 3))


@built("Linear", "numpy.ndarray", "graphc.placeholder & graphc.compile")
def layer_is_called_on_an_array() -> object:
    return nn.Linear(3, 1)(numpy.ones((5, 3)))


@built("Linear", "list", "graphc.placeholder | graphc.constant | symbolic tensor")
def layer_is_called_on_a_list() -> object:
    return nn.Linear(3, 1)([[1.0, 2.0, 3.0]])


@built("MSELoss", "torch.Tensor", "graphc.placeholder & graphc.compile")
def loss_is_called_on_values() -> object:
    return nn.MSELoss()(torch.ones(3), torch.ones(3))


@built("Linear", "NoneType | None", "symbolic tensor | graphc.placeholder")
def layer_is_called_on_none() -> object:
    return nn.Linear(3, 1)(None)


@built("ReLU | relu", "NoneType | None", "symbolic tensor | symbolic tensors | graphc.placeholder")
def activation_is_called_on_none() -> object:
    return nn.ReLU()(None)


@built("Tanh | tanh", "tuple", "symbolic tensor | graphc.placeholder | graphc.cat")
def activation_is_called_on_a_tuple() -> object:
    return nn.Sequential(nn.Tanh())((vector, vector))


@built("MSELoss", "NoneType | None", "symbolic tensor | symbolic tensors | graphc.placeholder | torch tensor")
def loss_is_called_without_a_target() -> object:
    return nn.MSELoss()(vector, None)


@raised("clone", "f32[3]", "needs no | immutable | as it is", AttributeError)
def symbol_is_cloned() -> object:
    return vector.clone()


@built("constant", "list & symbolic", "graphc.stack")
def constant_of_symbols() -> object:
    return graphc.constant([scalar, scalar])  # type: ignore[list-item]


@built("constant", "list & symbolic", "graphc.stack")
def constant_of_rows_with_a_symbol() -> object:
    return graphc.constant([[1.0, 2.0], [scalar, 3.0]])  # type: ignore[list-item]
