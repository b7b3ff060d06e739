"""Element types that do not fit, when graph is built and when a program is given values."""

from __future__ import annotations

import numpy
import torch

import graphc
from graphc import Tensor, nn
from tests.mistakes.mistake import built, called, raised

points = graphc.placeholder("points", ("n", 2))
vector = graphc.placeholder("vector", (3,))
double = graphc.placeholder("double", (3,), torch.float64)
half = graphc.placeholder("half", (3,), torch.float16)
counts = graphc.placeholder("counts", (3,), torch.int64)
mask = graphc.placeholder("mask", (3,), torch.bool)
logits = graphc.placeholder("logits", ("n", 10))
classes = graphc.placeholder("classes", ("n",), torch.int64)
column = graphc.placeholder("column", ("n", 1))


def total(x: Tensor) -> graphc.Program:
    """A program that only adds up."""
    return graphc.compile([x], x.sum(), backend="reference")


# While graph is built -------------------------------------------------------------------------------------------------


@built("Linear & linear", "f64[n,2] & f32", ".to(torch.float32) & .to(torch.float64) | .double()")
def layer_is_given_double() -> object:
    return nn.Linear(2, 1)(points.double())


@built("Linear & linear", "i64[n,2] & f32", ".to(torch.float32) | .float()")
def layer_is_given_integers() -> object:
    return nn.Linear(2, 1)(graphc.placeholder("tokens", ("n", 2), torch.int64))


@built("Linear & linear", "f32[n,2] & f64", ".to(torch.float64) | .double()")
def double_layer_is_given_float() -> object:
    return nn.Linear(2, 1).double()(points)


@built("Linear & sequential.1", "f16[n,2] & f32", ".to(torch.float32)")
def layer_is_given_half() -> object:
    return nn.Sequential(nn.ReLU(), nn.Linear(2, 1))(graphc.placeholder("x", ("n", 2), torch.float16))


@built("Linear & linear", "bool[n,2] & f32", ".to(torch.float32) | .float()")
def layer_is_given_flags() -> object:
    return nn.Linear(2, 1)(points > 0)


@built("matmul", "f32[3] & f64[3] & f32 & f64", "convert | .to(torch.")
def matrix_product_of_float_and_double() -> object:
    return vector @ double


@built("matmul", "f32[3] & i64[3]", "convert | .to(torch.")
def matrix_product_of_float_and_integers() -> object:
    return vector @ counts


@built("MSELoss", "f32[n,1] & i64[n,1]", ".to(torch.float32) | .to(prediction.dtype) | .float()")
def labels_are_integers() -> object:
    return nn.MSELoss()(column, graphc.placeholder("labels", ("n", 1), torch.int64))


@built("BCELoss", "f32[n,1] & bool[n,1]", ".to(torch.float32) | .to(prediction.dtype) | .float()")
def labels_are_flags() -> object:
    return nn.BCELoss()(column.sigmoid(), graphc.placeholder("labels", ("n", 1), torch.bool))


@built("MSELoss", "f32[n,1] & f64[n,1]", ".to(torch.float32) | .to(prediction.dtype) | .float()")
def labels_are_double() -> object:
    return nn.MSELoss()(column, graphc.placeholder("labels", ("n", 1), torch.float64))


@built("L1Loss", "i64[n]", "floating | .float() | .to(torch.float32)")
def both_sides_of_a_loss_are_integers() -> object:
    return nn.L1Loss()(classes, classes)


@built("cross_entropy | CrossEntropyLoss", "f32[n,10] & f32[n]", "int64")
def classes_are_floating() -> object:
    return nn.CrossEntropyLoss()(logits, graphc.placeholder("classes", ("n",)))


@built("cross_entropy | CrossEntropyLoss", "i32[n] | i32 & int64", ".to(torch.int64)")
def classes_are_int32() -> object:
    return nn.CrossEntropyLoss()(logits, graphc.placeholder("classes", ("n",), torch.int32))


@built("cross_entropy | CrossEntropyLoss", "bool[n] | bool & int64", ".to(torch.int64)")
def classes_are_flags() -> object:
    return nn.CrossEntropyLoss()(logits, graphc.placeholder("classes", ("n",), torch.bool))


@built("cross_entropy | CrossEntropyLoss", "f32[n,10] & f64[n,10]", "input | .to(torch.float32) | .to(")
def probabilities_of_classes_are_double() -> object:
    return nn.CrossEntropyLoss()(logits, graphc.placeholder("probabilities", ("n", 10), torch.float64))


@built("cross_entropy", "i64[3]", "floating | .float()")
def class_weights_are_integers() -> object:
    return nn.CrossEntropyLoss(weight=torch.tensor([1, 2, 3]))(logits[:, :3], classes)


@built("mean", "i64[3]", ".to(torch.float32) | .float()")
def mean_of_integers() -> object:
    return counts.mean()


@built("mean", "bool[3]", ".to(torch.float32) | .float()")
def mean_of_flags() -> object:
    return (vector > 0).mean()


@built("softmax", "i64[3]", ".to(torch.float32) | .float()")
def softmax_of_integers() -> object:
    return counts.softmax(0)


@built("dropout & sequential.0", "i64[3]", ".to(torch.float32) | .float()")
def dropout_of_integers() -> object:
    return nn.Sequential(nn.Dropout(0.5))(counts)


@built("neg", "bool[3]", "== False | ~ | .to(torch | logical")
def minus_of_flags() -> object:
    return -mask


@built("sub", "f32[3] & bool[3]", ".to(torch")
def flags_are_subtracted() -> object:
    return vector - mask


@built("relu", "bool[3]", ".to(torch")
def relu_of_flags() -> object:
    return graphc.relu(mask)


@built("leaky_relu", "i64[3]", ".to(torch.float32) | .float()")
def leaky_relu_of_integers() -> object:
    return graphc.leaky_relu(counts)


@built("pow", "i64[3] & -1", ".to(torch.float32) | .float()")
def reciprocal_power_of_integers() -> object:
    return counts**-1


@built("where", "f32[3] & bool", "> 0 | != 0 | comparison | .to(torch.bool)")
def condition_is_floating() -> object:
    return graphc.where(vector, vector, 0.0)


@built("and | &", "bool[3]", "graphc.where | * | minimum", TypeError)
def flags_are_joined_by_and() -> object:
    return (vector > 0) & (vector < 1)  # type: ignore[operator]


@built("or | |", "bool[3]", "graphc.where | + | maximum", TypeError)
def flags_are_joined_by_or() -> object:
    return (vector > 0) | (vector < 1)  # type: ignore[operator]


@built("not | ~", "bool[3]", "== False | graphc.where | ~ | ne", TypeError)
def flags_are_inverted() -> object:
    return ~mask  # type: ignore[operator]


@built("%", "i64[3]", "floor | graphc.floor", TypeError)
def remainder_of_integers() -> object:
    return counts % 2  # type: ignore[operator]


@built("//", "i64[3]", "graphc.floor", TypeError)
def floor_division_of_integers() -> object:
    return counts // 2  # type: ignore[operator]


@built("add", "'1' & str", "number | numbers")
def text_is_added() -> object:
    return vector + "1"  # type: ignore[operator]


@built("mul", "[1.0, 2.0, 3.0] & list", "torch.tensor | graphc.constant")
def list_is_multiplied() -> object:
    return vector * [1.0, 2.0, 3.0]  # type: ignore[operator]


@built("add", "None & NoneType", "number | numbers")
def nothing_is_added() -> object:
    return vector + None  # type: ignore[operator]


@built("tanh", "(3,) & tuple", "tensor")
def function_of_a_shape() -> object:
    return graphc.tanh(vector.shape)  # type: ignore[arg-type]


@built("tanh", "list", "graphc.cat | graphc.stack | tensor")
def function_of_a_list_of_symbols() -> object:
    return graphc.tanh([vector, vector])  # type: ignore[arg-type]


@built("mul", "torch.complex64 | complex", "torch.float32")
def complex_values_are_multiplied() -> object:
    return vector * torch.ones(3).to(torch.complex64)


@built("mul", "1j | complex", "numbers | real | torch.float32")
def complex_number_is_multiplied() -> object:
    return vector * 1j  # type: ignore[operator]


@built("cast | to", "'cuda'", "state.to | .to(torch | torch.float32")
def symbol_is_moved() -> object:
    return vector.to("cuda")  # type: ignore[arg-type]


@built("cast | to", "float64", "torch.float64")
def dtype_is_a_string() -> object:
    return vector.to("float64")  # type: ignore[arg-type]


@built("constant", "str", "number | torch.tensor")
def constant_is_a_word() -> object:
    return graphc.constant("one")


@built("constant", "300 & u8", "torch.int64 | larger | range | 255")
def constant_is_too_large() -> object:
    return graphc.constant(300, torch.uint8)


@built("constant", "f32[3]", "as it is | already")
def constant_of_a_symbol() -> object:
    return graphc.constant(vector)


@built("constant", "list & 2 & 1", "length")
def constant_of_ragged_lists() -> object:
    return graphc.constant([[1.0, 2.0], [3.0]])


@built("placeholder & x", "float", "torch.float32")
def dtype_is_pythons() -> object:
    return graphc.placeholder("x", (2,), float)  # type: ignore[arg-type]


@built("placeholder & x", "numpy.float32", "torch.float32")
def dtype_is_numpys() -> object:
    return graphc.placeholder("x", (2,), numpy.float32)  # type: ignore[arg-type]


@built("placeholder & x", "torch.complex64", "torch.float32")
def dtype_is_complex() -> object:
    return graphc.placeholder("x", (2,), torch.complex64)


@built("placeholder & x", "'float32'", "torch.float32")
def dtype_is_a_name() -> object:
    return graphc.placeholder("x", (2,), "float32")  # type: ignore[arg-type]


@raised("Linear", "i64 | torch.int64", "torch.float32 | floating")
def layer_of_integers() -> object:
    return nn.Linear(2, 1, dtype=torch.int64)


@raised("Linear.to | to", "i64 | torch.int64", "torch.float64 | floating")
def layer_becomes_integer() -> object:
    return nn.Linear(2, 1).to(torch.int64)


@raised("Sequential & 0.weight", "f32 & f64 | torch.float64", "before its first call")
def net_becomes_double_after_its_first_call() -> object:
    net = nn.Sequential(nn.Linear(2, 1))
    net(points)
    return net.double()


# When a program is called ---------------------------------------------------------------------------------------------


@called("x", "f64[5,2] & f32[n,2]", ".to(torch.float32) | .float() | .astype")
def call_with_double_arrays() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return total(x)(numpy.ones((5, 2)))


@called("x", "f64[5,2] & f32[n,2]", ".astype(numpy.float32) | .astype('float32') | .astype(\"float32\")")
def call_with_double_arrays_needs_numpys_remedy() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return total(x)(numpy.random.default_rng(0).normal(size=(5, 2)))


@called("x", "f64[5,2] & f32[n,2]", ".to(torch.float32) | .float()")
def call_with_double_tensors() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return total(x)(torch.ones(5, 2, dtype=torch.float64))


@called("x", "i64[5] & f32[n]", ".to(torch.float32) | .float()")
def call_with_integers() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(torch.arange(5))


@called("y", "f32[5] & i64[n]", ".to(torch.int64) | .long()")
def call_with_floating_classes() -> object:
    y = graphc.placeholder("y", ("n",), torch.int64)  # declared
    return total(y)(torch.ones(5))


@called("y", "i32[5] & i64[n]", ".to(torch.int64) | .long() | .astype")
def call_with_int32_classes() -> object:
    y = graphc.placeholder("y", ("n",), torch.int64)  # declared
    return total(y)(numpy.ones(5, dtype=numpy.int32))


@called("x", "f16[5] & f32[n]", ".to(torch.float32) | .float()")
def call_with_half() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(torch.ones(5).half())


@called("x", "bool[5] & f32[n]", ".to(torch.float32) | .float()")
def call_with_flags() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(torch.ones(5) > 0)


@called("x", "f32[5] & f64[n]", ".to(torch.float64) | .double()")
def call_of_a_double_program_with_float() -> object:
    x = graphc.placeholder("x", ("n",), torch.float64)  # declared
    return total(x)(torch.ones(5))


@called("x", "torch.complex64[5] & f32[n]", ".to(torch.float32) | .real")
def call_with_complex_values() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(torch.ones(5, dtype=torch.complex64))


@called("x", "u16 | uint16 & f32[n]", ".to(torch.float32) | .astype")
def call_with_a_dtype_that_graphc_does_not_have() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(numpy.ones(5, dtype=numpy.uint16))


@called("x", "list & f32[n]", "torch.tensor | torch tensor")
def call_with_a_list() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)([1.0, 2.0])


@called("x", "float & f32[]", "torch.tensor | torch tensor")
def call_with_a_number() -> object:
    x = graphc.placeholder("x", ())  # declared
    return total(x)(1.0)


@called("x", "NoneType | None & f32[n]", "torch.tensor | torch tensor")
def call_with_none() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(None)


@called("x", "str & f32[n]", "torch.tensor | torch tensor")
def call_with_text() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)("1 2 3")


@called("x", "dict & f32[n]", "torch.tensor | torch tensor")
def call_with_a_dict() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)({"x": torch.ones(3)})


@called("x", "tuple & f32[n]", "torch.tensor | torch tensor")
def call_with_a_tuple_of_tensors() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)((torch.ones(3), torch.ones(3)))


@called("x", "graphc.Tensor & f32[n]", "torch.tensor | torch tensor | values")
def call_with_a_symbol() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(x)


@called("x", "<U1 | str & f32[n]", "torch.float32 | number")
def call_with_an_array_of_text() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(numpy.array(["a", "b"]))


@called("x", "object & f32[n,2]", ".astype | torch.float32 | number | lengths")
def call_with_a_ragged_array() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return total(x)(numpy.array([[1.0, 2.0], [3.0]], dtype=object))


class Frame:
    """What a table of pandas is to graphc: a thing with `__array__`, whose numbers are double."""

    def __array__(self, dtype: object = None, copy: object = None) -> numpy.ndarray:
        return numpy.ones((4, 2))


@called("x", "f64[4,2] & f32[n,2]", ".astype | .to_numpy")
def call_with_a_table() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return total(x)(Frame())


class Mixed:
    """A table with a column of text."""

    def __array__(self, dtype: object = None, copy: object = None) -> numpy.ndarray:
        return numpy.array([[1.0, "a"]], dtype=object)


@called("x", "numpy.object_ & f32[n,2]", ".astype")
def call_with_a_table_of_text() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return total(x)(Mixed())


@called("x", "sparse", ".to_dense()")
def call_with_sparse_values() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return total(x)(torch.ones(2, 2).to_sparse())


@called("x", "meta & cpu", ".to(")
def call_with_values_on_another_device() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return total(x)(torch.ones(2, 2, device="meta"))


@called("x", "datetime64 & f32[n]", "torch.float32 | number | .astype")
def call_with_dates() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return total(x)(numpy.array(["2020-01-01"], dtype="datetime64[D]"))


@built("mul", "[3] & gradient", "graphc.Parameter(tensor) & .detach()")
def parameter_of_torch_is_taken() -> object:
    return vector * torch.nn.Parameter(torch.ones(3))


@built("matmul", "[2, 5] & gradient", "graphc.Parameter(tensor) & .detach()")
def tensor_with_a_gradient_is_taken() -> object:
    return points @ torch.ones(2, 5, requires_grad=True)


@built("constant", "[] & gradient", "graphc.Parameter(tensor) & .detach()")
def result_of_autograd_is_made_a_constant() -> object:
    return graphc.constant(torch.ones(3, requires_grad=True).sum())


@built("mul", "meta", "torch tensor | number")
def constant_without_values() -> object:
    return vector * torch.ones(3, device="meta")
