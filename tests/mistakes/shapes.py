"""Sizes that do not fit together, and questions about sizes that have no answer yet."""

from __future__ import annotations

import torch

import graphc
from graphc import nn
from tests.mistakes.mistake import built

batch = graphc.placeholder("batch", ("n", 784))
points = graphc.placeholder("points", ("n", 2))
labels = graphc.placeholder("labels", ("n",))
column = graphc.placeholder("column", ("n", 1))
matrix = graphc.placeholder("matrix", (2, 3))
vector = graphc.placeholder("vector", (3,))
cube = graphc.placeholder("cube", (2, 3, 4))
images = graphc.placeholder("images", ("n", 1, 28, 28))
scalar = graphc.placeholder("scalar", ())
logits = graphc.placeholder("logits", ("n", 10))
classes = graphc.placeholder("classes", ("n",), torch.int64)


# Layers ---------------------------------------------------------------------------------------------------------------


@built("Linear & sequential.2", "f32[n,25] & 30", "nn.Linear(25, | in_features=25")
def layers_of_a_sequential_do_not_follow() -> object:
    return nn.Sequential(nn.Linear(2, 25), nn.Tanh(), nn.Linear(30, 1))(points)


@built("Linear & linear", "f32[n,784] & 512", "nn.Linear(784, | in_features=784")
def first_layer_is_too_narrow() -> object:
    return nn.Linear(512, 10)(batch)


@built("Linear & sequential.1", "f32[n,1,28,28] & 28 & 784", "nn.Flatten | .flatten(1) | in_features=28")
def images_are_not_flattened() -> object:
    return nn.Sequential(nn.Identity(), nn.Linear(784, 10))(images)


@built("Linear", "f32[2,3] & 2", "nn.Linear(3, | in_features=3 | transpose | .T")
def sizes_of_a_layer_are_swapped() -> object:
    return nn.Linear(2, 3)(matrix)


@built("Linear", "f32[] & 3", "reshape | unsqueeze")
def layer_is_given_a_scalar() -> object:
    return nn.Linear(3, 1)(scalar)


@built("Linear", "f32[n] & 1", "reshape | unsqueeze")
def layer_is_given_one_feature_without_its_dimension() -> object:
    return nn.Linear(1, 5)(labels)


@built("Linear", "f32[784,n] & 784", "transpose | .T | fixed | number")
def layer_is_given_a_transposed_batch() -> object:
    return nn.Linear(784, 5)(batch.T)


@built("model.second & Linear", "f32[n,8] & 16", "nn.Linear(8, | in_features=8")
def layer_of_an_own_module_does_not_fit() -> object:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(2, 8)
            self.second = nn.Linear(16, 1)

        def forward(self, x: graphc.Tensor) -> graphc.Tensor:
            return self.second(self.first(x))  # here

    return Model()(points)


@built("outer.inner.0 & Linear", "f32[n,8] & 16", "nn.Linear(8, | in_features=8")
def layer_of_a_module_in_a_module_does_not_fit() -> object:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(2, 8)
            self.inner = nn.Sequential(nn.Linear(16, 1))

        def forward(self, x: graphc.Tensor) -> graphc.Tensor:
            hidden = self.first(x)
            return self.inner(hidden)  # here

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.outer = Inner()

        def forward(self, x: graphc.Tensor) -> graphc.Tensor:
            return self.outer(x)

    return Whole()(points)


@built("flatten & sequential.0", "f32[n] & 1", "unsqueeze | start_dim | from -1 to 0")
def flatten_has_nothing_to_flatten() -> object:
    return nn.Sequential(nn.Flatten())(labels)


@built("softmax", "f32[n,10] & 2", "from -2 to 1 | -1")
def softmax_over_a_dimension_that_is_not_there() -> object:
    return nn.Softmax(dim=2)(logits)


@built("Softmax | softmax", "dimension | dim & None", "dim=-1 | integer")
def softmax_is_told_no_dimension() -> object:
    return nn.Softmax(dim=None)(logits)  # type: ignore[arg-type]


@built("Linear & sequential.0", "f32[n,3] & 2", "in_features=3 | nn.Linear(3,")
def layer_after_a_cat_is_too_narrow() -> object:
    net = nn.Sequential(nn.Linear(2, 1))
    return net(graphc.cat([points, column], 1))


# Losses ---------------------------------------------------------------------------------------------------------------


@built("MSELoss", "f32[n,1] & f32[n]", "reshape | unsqueeze")
def labels_lack_the_dimension_of_outputs() -> object:
    return nn.MSELoss()(nn.Linear(2, 1)(points), labels)


@built("L1Loss", "f32[n,10] & f32[n,1]", "reshape | out_features | shape")
def prediction_has_more_columns_than_labels() -> object:
    return nn.L1Loss()(logits, column)


@built("BCELoss", "f32[n,1] & f32[n]", "reshape | unsqueeze")
def probabilities_and_labels_differ() -> object:
    return nn.BCELoss()(column.sigmoid(), labels)


@built("BCEWithLogitsLoss", "f32[n,2] & f32[n,1]", "reshape | out_features | shape")
def two_logits_for_one_label() -> object:
    return nn.BCEWithLogitsLoss()(points, column)


@built("MSELoss", "f32[n,1] & f32[m,1] & n & m", "same name")
def prediction_and_target_have_batches_of_two_names() -> object:
    return nn.MSELoss()(column, graphc.placeholder("target", ("m", 1)))


@built("MSELoss", "f32[n,1] & f32[32,1]", 'same name | "n"')
def target_has_a_fixed_batch() -> object:
    return nn.MSELoss()(column, graphc.placeholder("target", (32, 1)))


@built("CrossEntropyLoss | cross_entropy", "f32[n,10] & f32[n,1]", "int64")
def classes_are_floating_columns() -> object:
    return nn.CrossEntropyLoss()(logits, column)


@built("CrossEntropyLoss | cross_entropy", "[n,1] & [n]", "squeeze | reshape | placeholder")
def classes_are_columns() -> object:
    return nn.CrossEntropyLoss()(logits, classes.unsqueeze(1))


@built("CrossEntropyLoss | cross_entropy", "[n,10] & [n]", "torch.float32 | argmax | number of the class | one-hot")
def classes_are_one_hot_integers() -> object:
    return nn.CrossEntropyLoss()(logits, graphc.placeholder("one_hot", ("n", 10), torch.int64))


@built("CrossEntropyLoss | cross_entropy", "i64[n] & [n,classes", "swap | first | input")
def prediction_and_classes_are_swapped() -> object:
    return nn.CrossEntropyLoss()(classes, logits)


@built("cross_entropy", "f32[3] & 10", "one | each")
def class_weights_are_too_few() -> object:
    return nn.CrossEntropyLoss(weight=torch.ones(3))(logits, classes)


@built("nll_loss | NLLLoss", "f32[n,10] & f32[n]", "int64")
def numbers_of_classes_are_floating() -> object:
    return nn.NLLLoss()(logits, labels)


@built("BCELoss & weight", "f32[3,3] & f32[n,1]", "reshape")
def weights_of_a_loss_do_not_broadcast() -> object:
    return nn.BCELoss(weight=torch.ones(3, 3))(column.sigmoid(), column)


@built("BCEWithLogitsLoss", "3 & 2", "pos_weight | reshape")
def positive_weights_are_too_many() -> object:
    return nn.BCEWithLogitsLoss(pos_weight=torch.ones(3))(points, points)


@built("CrossEntropyLoss | cross_entropy", "[] & [classes]", "dimension | reshape | unsqueeze | [classes]")
def cross_entropy_of_a_scalar() -> object:
    return nn.CrossEntropyLoss()(scalar, classes)


# Operators ------------------------------------------------------------------------------------------------------------


@built("add", "f32[2,3] & f32[2,3,4] & 3 & 4", "reshape | unsqueeze")
def sum_of_a_matrix_and_a_cube() -> object:
    return matrix + cube


@built("mul", "f32[3] & f32[4]", "reshape | unsqueeze")
def product_of_vectors_of_two_lengths() -> object:
    return vector * torch.ones(4)


@built("sub", "f32[n,784] & f32[32,784] & n & 32", "same name")
def difference_of_a_batch_and_values() -> object:
    return batch - torch.ones(32, 784)


@built("div", "f32[2,3] & f32[2] & 3 & 2", "keepdim | unsqueeze | reshape")
def rows_are_divided_by_their_sums() -> object:
    return matrix / matrix.sum(1)


@built("maximum", "f32[3] & f32[3,2]", "reshape | unsqueeze")
def maximum_of_shapes_that_do_not_broadcast() -> object:
    return graphc.maximum(vector, matrix.T)


@built("where", "f32[2,3] & f32[3,2]", "reshape | unsqueeze")
def choice_between_two_shapes() -> object:
    return graphc.where(matrix > 0, matrix, matrix.T)


@built("eq", "f32[2,3] & f32[2]", "reshape | unsqueeze")
def comparison_of_two_shapes() -> object:
    return matrix == torch.ones(2)


@built("clamp", "f32[3] & f32[2]", "reshape | unsqueeze")
def clamp_with_limits_of_another_length() -> object:
    return graphc.clamp(vector, min=torch.zeros(2))


@built("add", "n & m & f32[n] & f32[m]", "same name")
def sum_over_batches_of_two_names() -> object:
    return labels + graphc.placeholder("other", ("m",))


@built("matmul", "f32[n,784] & f32[512,10] & 784 & 512", "transpose | .T | reshape | columns")
def matrix_product_of_wrong_width() -> object:
    return batch @ torch.ones(512, 10)


@built("matmul", "f32[2,3] & 3 & 2", "transpose | .T | .mT")
def matrix_times_itself() -> object:
    return matrix @ matrix


@built("matmul", "f32[2,3,4] & f32[5,4,2] & 2 & 5", "reshape | unsqueeze")
def batched_product_of_two_batches() -> object:
    return cube @ torch.ones(5, 4, 2)


@built("matmul", "f32[2,3] & i64[]", "*")
def matrix_product_with_a_number() -> object:
    return matrix @ 2


@built("matmul", "f32[784,n] & f32[32,10] & n & 32", "same name | name | fixed")
def product_over_the_batch_with_fixed_rows() -> object:
    return batch.T @ torch.ones(32, 10)


# Views ----------------------------------------------------------------------------------------------------------------


@built("reshape", "f32[2,3] & 6 & 8", "-1")
def reshape_to_more_elements() -> object:
    return matrix.reshape(4, 2)


@built("reshape | view", "f32[n,784] & 784*n & 5", "multiple")
def rest_of_a_view_is_not_whole() -> object:
    return batch.view(-1, 5)


@built("reshape", "f32[n,784] & 784*n & 78400", "-1 | shape[0]")
def reshape_fixes_the_batch() -> object:
    return batch.reshape(100, 784)


@built("reshape", "f32[2,3] & -1", "only one")
def reshape_with_two_unknown_sizes() -> object:
    return matrix.reshape(-1, -1)


@built("reshape", "2.0 & f32[2,3]", "// | integer")
def reshape_to_half_a_size() -> object:
    return matrix.reshape(6 / 3, 3)


@built("expand", "f32[3] & 3 & 4", "1")
def expand_of_what_is_not_one() -> object:
    return vector.expand(2, 4)


@built("expand", "f32[2,3] & 2 & 1", "dimensions")
def expand_to_fewer_dimensions() -> object:
    return matrix.expand(3)


@built("broadcast_to", "f32[2,3] & 2 & 5", "1 | expand | repeat | cat")
def broadcast_instead_of_repeat() -> object:
    return graphc.broadcast_to(matrix, (5, 3))


@built("permute", "f32[2,3] & 2 & (0, 1, 2) | 3", "each dimension | 0 to 1 | from -2 to 1")
def permutation_of_too_many_dimensions() -> object:
    return matrix.permute(0, 1, 2)


@built("permute", "f32[2,3,4] & (1, 0) & 3", "each dimension")
def permutation_of_too_few_dimensions() -> object:
    return cube.permute(1, 0)


@built("permute", "f32[2,3] & (1, 1)", "each dimension | twice")
def permutation_with_a_dimension_twice() -> object:
    return matrix.permute(1, 1)


@built("transpose", "f32[2,3] & 2", "from -2 to 1")
def transpose_of_a_dimension_that_is_not_there() -> object:
    return matrix.transpose(0, 2)


@built("t", "f32[2,3,4] & 3 & 2", ".mT | transpose")
def t_of_a_cube() -> object:
    return cube.t()


@built("flatten", "f32[2,3] & 2", "from -2 to 1")
def flatten_from_a_dimension_that_is_not_there() -> object:
    return matrix.flatten(2)


@built("unsqueeze", "f32[2,3] & 5", "from -3 to 2")
def unsqueeze_far_away() -> object:
    return matrix.unsqueeze(5)


@built("squeeze", "f32[n,784] & n & 0", "name the dimensions | squeeze(1 | index")
def squeeze_of_the_batch() -> object:
    return batch.squeeze(0)


@built("squeeze", "f32[n,1] & n", "name the dimensions | squeeze(1 | squeeze(-1")
def squeeze_of_everything() -> object:
    return column.squeeze()


@built("cat", "f32[2,3] & f32[2,3,4] & 2 & 3", "unsqueeze | reshape")
def cat_of_a_matrix_and_a_cube() -> object:
    return graphc.cat([matrix, cube])


@built("cat", "f32[2,3] & f32[3,2] & 3 & 2", "dim")
def cat_along_the_wrong_dimension() -> object:
    return graphc.cat([matrix, matrix.T])


@built("cat", "f32[n,2] & f32[n,784] & 2 & 784", "dim=1 | dim")
def cat_of_features_along_the_batch() -> object:
    return graphc.cat([points, batch])


@built("cat", "f32[]", "graphc.stack")
def cat_of_scalars() -> object:
    return graphc.cat([scalar, scalar])


@built("cat", "f32[2,3] & 2", "from -2 to 1")
def cat_along_a_dimension_that_is_not_there() -> object:
    return graphc.cat([matrix, matrix], 2)


@built("cat", "f32[2,3]", "list | [a, b]")
def cat_without_a_list() -> object:
    return graphc.cat(matrix, vector)  # type: ignore[arg-type]


@built("cat", "[]", "list | non-empty")
def cat_of_nothing() -> object:
    return graphc.cat([])


@built("stack", "f32[2,3] & f32[3] & 2 & 1", "same shape | graphc.cat | unsqueeze")
def stack_of_two_shapes() -> object:
    return graphc.stack([matrix, vector])


@built("sum", "f32[2,3] & 2", "from -2 to 1")
def sum_over_a_dimension_that_is_not_there() -> object:
    return matrix.sum(2)


@built("mean", "f32[2,3,4] & (0, -3)", "once | twice")
def mean_over_one_dimension_twice() -> object:
    return cube.mean((0, -3))


@built("sum", "f32[2,3] & 'rows' | str", "integer")
def sum_over_a_named_dimension() -> object:
    return matrix.sum("rows")  # type: ignore[arg-type]


@built("sum", "f32[2,3] & 0.5", "integer")
def sum_over_half_a_dimension() -> object:
    return matrix.sum(0.5)  # type: ignore[arg-type]


@built("mean", "f32[n] & 1", "0 | -1")
def mean_over_columns_of_a_vector() -> object:
    return labels.mean(1)


@built("amax", "f32[0,3] & 0", "at least one | sum | no maximum | empty")
def largest_of_nothing() -> object:
    return matrix[:0].amax(0)


@built("size", "f32[2,3] & 2", "from -2 to 1")
def size_of_a_dimension_that_is_not_there() -> object:
    return matrix.size(2)


# Indices --------------------------------------------------------------------------------------------------------------


@built("getitem", "f32[2,3] & 2 & 0", "from -2 to 1")
def index_beyond_the_end() -> object:
    return matrix[2]


@built("getitem", "f32[2,3] & 3 & 2", "...")
def more_indices_than_dimensions() -> object:
    return matrix[0, 0, 0]


@built("getitem", "f32[3] & -1", "flip | positive | permute | backwards")
def slice_backwards() -> object:
    return vector[::-1]


@built("getitem", "f32[3] & bool[3]", "graphc.where")
def index_with_a_mask() -> object:
    return vector[vector > 0]


@built("getitem", "f32[2,3] & list | [0, 1]", "graphc.stack | graphc.cat | slices")
def index_with_a_list() -> object:
    return matrix[[0, 1]]


@built("getitem", "f32[n,10] & i64[n]", "cross_entropy | nll_loss | graphc.where")
def index_with_numbers_of_classes() -> object:
    return logits[:, classes]


@built("getitem", "f32[n,784] & 32 & n", "batch_size | (a:) | :-b")
def first_rows_of_a_batch() -> object:
    return batch[:32]


@built("getitem", "f32[n,784] & 2 & n", "reshape")
def every_second_row_of_a_batch() -> object:
    return batch[::2]


@built("getitem", "f32[n,784] & k", "integer")
def one_row_of_a_batch_of_any_size() -> object:
    return batch[graphc.placeholder("other", ("k",)).shape[0]]


@built("getitem", "f32[2,3] & 1.0", "integer")
def index_is_a_float() -> object:
    return matrix[1.0]


@built("getitem", "f32[2,3] & 'a'", "integer")
def index_is_a_string() -> object:
    return matrix["a"]


@built("getitem", "f32[3] & 0 & step", "positive")
def slice_without_a_step() -> object:
    return vector[::0]
