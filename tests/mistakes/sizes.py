"""Symbolic sizes that are taken for numbers, how sizes are declared, and what a call makes of them."""

from __future__ import annotations

from typing import Any

import torch

import graphc
from tests.mistakes.mistake import built, called, raised

batch = graphc.placeholder("batch", ("n", 784))
points = graphc.placeholder("points", ("n", 2))
classes = graphc.placeholder("classes", ("n",), torch.int64)


# Sizes ----------------------------------------------------------------------------------------------------------------


@raised("n | size", "n", "graphc.constant | shape | fixed | number")
def symbolic_size_as_a_number() -> object:
    return int(batch.shape[0])


@raised("n | size", "n", "graphc.constant | shape | fixed | loop")
def loop_over_the_batch() -> object:
    return [points for _ in range(batch.shape[0])]  # type: ignore[arg-type]


@raised("n", "n & 32", "placeholder | fixed | number")
def question_whether_the_batch_is_large() -> object:
    return 1 if batch.shape[0] > 32 else 0


@raised("n", "n & 1", "placeholder | fixed | number")
def question_whether_the_batch_is_one() -> object:
    return 1 if batch.shape[0] == 1 else 0


@raised("n", "n & 2", "// | graphc.constant")
def half_of_the_batch() -> object:
    return points.reshape(batch.shape[0] / 2, 4)


@raised("n", "n & 0.5", "// | graphc.constant")
def half_of_the_batch_by_a_product() -> object:
    return points.reshape(batch.shape[0] * 0.5, 4)  # type: ignore[operator]


@raised("n", "n % 2", "// | graphc.constant")
def rest_of_the_batch() -> object:
    return 1 if batch.shape[0] % 2 else 0


@raised("n", "n & 3", "multiple | fixed | placeholder | name")
def third_of_the_batch() -> object:
    return points.reshape(batch.shape[0] // 3, 6)


@raised("n", "n", "graphc.constant | fixed | number")
def array_of_the_size_of_the_batch() -> object:
    return torch.zeros(batch.shape[0], 2)  # type: ignore[call-overload]


@raised("n", "n", "graphc.constant")
def square_root_of_the_batch() -> object:
    return points.sum() / batch.shape[0] ** 0.5


# Declarations ---------------------------------------------------------------------------------------------------------


@built("placeholder & x", "-1", '"batch"')
def size_is_minus_one() -> object:
    return graphc.placeholder("x", (-1, 2))


@built("placeholder & x", "None", '"batch"')
def size_is_none() -> object:
    return graphc.placeholder("x", (None, 2))  # type: ignore[list-item]


@built("placeholder & x", "3", "(3,) | sequence")
def shape_is_a_number() -> object:
    return graphc.placeholder("x", 3)  # type: ignore[arg-type]


@built("placeholder & x", "'batch'", '("batch",) | sequence')
def shape_is_a_name() -> object:
    return graphc.placeholder("x", "batch")


@built("placeholder & x", "'my size'", '"batch" | variable')
def size_has_a_blank() -> object:
    return graphc.placeholder("x", ("my size",))


@built("placeholder & x", "2.0", "integer")
def size_is_a_float() -> object:
    return graphc.placeholder("x", ("batch", 4 / 2))  # type: ignore[list-item]


@built("placeholder", "(2, 3)", "name")
def placeholder_without_a_name() -> object:
    return graphc.placeholder((2, 3), "x")  # type: ignore[arg-type]


@built("placeholder & x", "2*n | '2*n'", "shape[0] | variable")
def size_is_an_expression_in_a_string() -> object:
    return graphc.placeholder("x", ("2*n",))


@built("placeholder & x", "i64[n]", "shape[0] | integer")
def size_is_a_tensor() -> object:
    return graphc.placeholder("x", (classes, 2))  # type: ignore[arg-type]


# Sizes at a call ------------------------------------------------------------------------------------------------------


@called("batch", "f32[2,3] | 3 & 784", "reshape | declared | last")
def call_with_too_few_features() -> object:
    x = graphc.placeholder("batch", ("n", 784))  # declared
    return graphc.compile([x], x.sum(), backend="reference")(torch.ones(2, 3))


@called("b", "3 & 2 & a", "same")
def call_with_two_batch_sizes() -> object:
    a = graphc.placeholder("a", ("n", 2))
    b = graphc.placeholder("b", ("n", 2))  # declared
    return graphc.compile([a, b], (a * b).sum(), backend="reference")(torch.ones(2, 2), torch.ones(3, 2))


@called("x", "f32[2] & f32[n,2] & 1 & 2", "unsqueeze | x[None]")
def call_with_one_sample() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return graphc.compile([x], x.sum(), backend="reference")(torch.ones(2))


@called("y", "f32[5] & f32[n,1]", "unsqueeze | reshape")
def call_with_labels_in_one_dimension() -> object:
    y = graphc.placeholder("y", ("n", 1))  # declared
    return graphc.compile([y], y.sum(), backend="reference")(torch.ones(5))


@called("x", "f32[4,1,2] & f32[n,2]", "squeeze | reshape")
def call_with_a_dimension_of_one_too_many() -> object:
    x = graphc.placeholder("x", ("n", 2))  # declared
    return graphc.compile([x], x.sum(), backend="reference")(torch.ones(4, 1, 2))


@called("x", "f32[] & f32[n]", "reshape | unsqueeze")
def call_with_a_scalar() -> object:
    x = graphc.placeholder("x", ("n",))  # declared
    return graphc.compile([x], x.sum(), backend="reference")(torch.tensor(1.0))


@called("x", "5 & 2*n", "even | multiple | size")
def call_with_an_odd_number_of_rows() -> object:
    n = graphc.placeholder("y", ("n",)).shape[0]
    x = graphc.placeholder("x", (2 * n,))  # declared
    return graphc.compile([x], x.sum(), backend="reference")(torch.ones(5))


@built("getitem | slice | [3:]", "n >= 3 & n = 2", "another number of rows")
def call_with_fewer_rows_than_are_cut_off() -> object:
    program = graphc.compile([points], points[3:].sum(), backend="reference")  # here
    return program(torch.ones(2, 2))


# Memory ---------------------------------------------------------------------------------------------------------------


@raised("memory.nbytes & n", "m", '"n": 32')
def memory_at_a_size_that_is_not_there() -> object:
    x = graphc.placeholder("x", ("n", 4))
    memory: Any = graphc.compile([x], (x @ torch.ones(4, 4)).softmax(0).sum(), backend="torch").memory
    return memory.nbytes({"m": 25})


@raised("memory.nbytes & n", "-5", "0 or more")
def memory_at_a_negative_size() -> object:
    x = graphc.placeholder("x", ("n", 4))
    memory: Any = graphc.compile([x], (x @ torch.ones(4, 4)).softmax(0).sum(), backend="torch").memory
    return memory.nbytes({"n": -5})
