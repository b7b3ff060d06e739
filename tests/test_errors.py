"""Typical mistakes: each is caught where it is made, in one message that lets the reader fix it.

A message names the function, the conflicting facts, the types, the user's line, and the remedy where there is one.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy
import pytest
import torch

import graphc
from graphc import (
    CompileError,
    DTypeError,
    GradientError,
    GraphcError,
    InputError,
    ShapeError,
    StateError,
    SymbolicValueError,
    VerifyError,
    nn,
)
from graphc.errors import brief, compose, explained, one_line, type_name
from graphc.ir import FUNCTIONS

batch = graphc.placeholder("batch", ("n", 784))
matrix = graphc.placeholder("matrix", (2, 3))
vector = graphc.placeholder("vector", (3,))
cube = graphc.placeholder("cube", (2, 3, 4))
scalar = graphc.placeholder("scalar", ())
counts = graphc.placeholder("counts", (3,), torch.int64)
mask = graphc.placeholder("mask", (3,), torch.bool)
double = graphc.placeholder("double", (3,), torch.float64)
(n, _) = batch.shape
a: Any = matrix  # handed what its types would not allow


class Mistake(NamedTuple):
    """What somebody does, how the message starts, and what else it says."""

    make: Callable[[], object]
    start: str
    says: tuple[str, ...] = ()
    kind: type[GraphcError] = ShapeError


MISTAKES = [
    # Shapes.
    Mistake(
        lambda: matrix + cube, "add: sizes differ in dimension -1, 3 != 4, and neither is 1", ("f32[2,3] + f32[2,3,4]",)
    ),
    Mistake(lambda: vector * torch.ones(4), "mul: sizes differ in dimension -1, 3 != 4", ("f32[3] * f32[4]",)),
    Mistake(
        lambda: batch - torch.ones(32, 784),
        "sub: in dimension -2, cannot decide whether n == 32",
        ("dimension -2", "the same name", "f32[n,784] - f32[32,784]"),
    ),
    Mistake(
        lambda: graphc.maximum(vector, matrix.T),
        "maximum: sizes differ in dimension -1, 3 != 2",
        ("maximum(f32[3], f32[3,2])",),
    ),
    Mistake(
        lambda: graphc.where(mask, matrix, matrix.T),
        "where: sizes differ in dimension -1, 3 != 2",
        ("f32[2,3], f32[3,2]",),
    ),
    Mistake(
        lambda: graphc.where(matrix > 0, vector, torch.ones(4)),
        "where: sizes differ in dimension -1, 3 != 4",
        ("f32[4]",),
    ),
    Mistake(lambda: matrix == torch.ones(2), "eq: sizes differ in dimension -1, 3 != 2", ("f32[2,3] == f32[2]",)),
    Mistake(
        lambda: graphc.clamp(vector, min=torch.zeros(2)),
        "clamp: sizes differ in dimension -1, 3 != 2",
        ("f32[3], f32[2]",),
    ),
    Mistake(
        lambda: batch @ torch.ones(512, 10), "matmul: inner sizes differ, 784 != 512", ("f32[n,784] @ f32[512,10]",)
    ),
    Mistake(lambda: matrix @ matrix, "matmul: inner sizes differ, 3 != 2", ("f32[2,3] @ f32[2,3]",)),
    Mistake(
        lambda: cube @ torch.ones(5, 4, 2), "matmul: sizes differ in dimension -3, 2 != 5", ("f32[2,3,4] @ f32[5,4,2]",)
    ),
    Mistake(lambda: matrix @ 2, "matmul: takes at least 1 dimension on each side", ("f32[2,3] @ i64[]", "Use *")),
    Mistake(
        lambda: batch.T @ torch.ones(32, 10), "matmul: inner sizes: cannot decide whether n == 32", ("f32[784,n]",)
    ),
    Mistake(
        lambda: matrix.reshape(4, 2), "reshape: 6 elements do not fit f32[4,2], which has 8", ("reshape(f32[2,3])",)
    ),
    Mistake(lambda: batch.reshape(-1, 5), "reshape: 784*n elements are not a multiple of 5", ("reshape(f32[n,784])",)),
    Mistake(lambda: batch.reshape(100, 784), "reshape: cannot decide whether 784*n == 78400", ("reshape(f32[n,784])",)),
    Mistake(lambda: matrix.view(-1, -1), "reshape: only one size can be -1", ("reshape(f32[2,3])",)),
    Mistake(
        lambda: a.reshape(2.0, 3),
        'reshape: a size is an integer or a name, such as "batch", not 2.0',
        ("reshape(f32[2,3])",),
    ),
    Mistake(lambda: vector.expand(2, 4), "expand: size 3 does not broadcast to 4", ("expand(f32[3])",)),
    Mistake(lambda: matrix.expand(3), "expand: 2 dimensions do not broadcast to 1", ("expand(f32[2,3])",)),
    Mistake(lambda: graphc.broadcast_to(matrix, (5, 3)), "broadcast_to: size 2 does not broadcast to 5", ("f32[2,3]",)),
    Mistake(
        lambda: matrix.permute(0, 1, 2), "permute: dimension 2 does not exist, there are 2", ("permute(f32[2,3])",)
    ),
    Mistake(lambda: matrix.permute(1, 1), "permute: a dimension appears twice in (1, 1)", ("permute(f32[2,3])",)),
    Mistake(
        lambda: matrix.transpose(0, 2), "transpose: dimension 2 does not exist, there are 2", ("transpose(f32[2,3])",)
    ),
    Mistake(lambda: cube.t(), "t: takes at most 2 dimensions, not 3", ("t(f32[2,3,4])", "Use x.mT")),
    Mistake(lambda: matrix.flatten(2), "flatten: dimension 2 does not exist, there are 2", ("flatten(f32[2,3])",)),
    Mistake(
        lambda: matrix.unsqueeze(5), "unsqueeze: dimension 5 does not exist, there are 3", ("unsqueeze(f32[2,3])",)
    ),
    Mistake(
        lambda: batch.squeeze(0),
        "squeeze: cannot decide whether dimension 0 of size n is 1",
        ("f32[n,784]", "Name the dimensions to drop"),
    ),
    Mistake(lambda: matrix.sum(2), "sum: dimension 2 does not exist, there are 2", ("sum(f32[2,3])",)),
    Mistake(lambda: cube.mean((0, -3)), "mean: a dimension appears twice in (0, -3)", ("mean(f32[2,3,4])",)),
    Mistake(lambda: a.amax("rows"), "amax: a dimension is an integer, not 'rows'", ("amax(f32[2,3])",)),
    Mistake(lambda: a.sum(0.5), "sum: a dimension is an integer, not 0.5", ("sum(f32[2,3])",)),
    Mistake(lambda: matrix[:0].amax(0), "amax: dimension 0 is empty", ("amax(f32[0,3])",)),
    Mistake(
        lambda: graphc.cat([matrix, cube]), "cat: numbers of dimensions differ, 2 != 3", ("cat(f32[2,3], f32[2,3,4])",)
    ),
    Mistake(
        lambda: graphc.cat([matrix, matrix.T]), "cat: sizes differ in dimension 1, 3 != 2", ("cat(f32[2,3], f32[3,2])",)
    ),
    Mistake(
        lambda: graphc.cat([scalar, scalar]), "cat: 0-d tensors cannot be concatenated", ("f32[]", "Use graphc.stack")
    ),
    Mistake(lambda: graphc.cat([matrix, matrix], 2), "cat: dimension 2 does not exist, there are 2", ("f32[2,3]",)),
    Mistake(lambda: graphc.cat(a), "cat: takes a non-empty list of tensors, not <symbolic placeholder : f32[2,3]"),
    Mistake(lambda: graphc.stack([]), "stack: takes a non-empty list of tensors, not []"),
    Mistake(
        lambda: graphc.stack([matrix, vector]), "stack: numbers of dimensions differ, 2 != 1", ("f32[2,3], f32[3]",)
    ),
    Mistake(lambda: matrix.size(2), "size: dimension 2 does not exist, there are 2", ("size(f32[2,3])",)),
    # Indices.
    Mistake(lambda: matrix[2], "getitem: index 2 is out of range for dimension 0 of size 2", ("getitem(f32[2,3])",)),
    Mistake(lambda: matrix[0, 0, 0], "getitem: 3 indices for 2 dimensions", ("getitem(f32[2,3])",)),
    Mistake(lambda: vector[::-1], "getitem: step -1 is not a positive integer", ("getitem(f32[3])",)),
    Mistake(lambda: vector[mask], "getitem: an index is graphc.Tensor", ("getitem(f32[3])", "graphc.where")),
    Mistake(
        lambda: a[[0, 1]], "getitem: an index is list", ("[0, 1], in getitem(f32[2,3])", "graphc.stack([x[0], x[2]])")
    ),
    Mistake(
        lambda: batch[:32],
        "getitem: the length of [:32] on size n depends on whether n reaches 32",
        ("f32[n,784]", "Slice from a position (a:)"),
    ),
    Mistake(
        lambda: batch[::2], "getitem: the length of [::2] on size n, (n) / 2, is not a polynomial", ("Reshape to",)
    ),
    # Element types.
    Mistake(
        lambda: vector @ double,
        "matmul: dtypes differ, f32 != f64",
        ("f32[3] @ f64[3]", "Convert one of them"),
        DTypeError,
    ),
    Mistake(
        lambda: counts.mean(),
        "mean: needs a floating dtype, not i64",
        ("mean(i64[3])", "x.to(torch.float32)"),
        DTypeError,
    ),
    Mistake(lambda: -mask, "neg: is not defined for bool", ("neg(bool[3])",), DTypeError),
    Mistake(lambda: vector - mask, "sub: is not defined for bool", ("f32[3] - bool[3]", "Convert it with"), DTypeError),
    Mistake(lambda: graphc.relu(mask), "relu: is not defined for bool", ("relu(bool[3])",), DTypeError),
    Mistake(
        lambda: graphc.leaky_relu(counts),
        "leaky_relu: needs a floating dtype, not i64",
        ("leaky_relu(i64[3])",),
        DTypeError,
    ),
    Mistake(lambda: counts**-1, "pow: exponent -1 needs a floating base, not i64", ("pow(i64[3])",), DTypeError),
    Mistake(
        lambda: graphc.where(vector, vector, 0.0),
        "where: the condition is f32, not bool",
        ("where(f32[3])",),
        DTypeError,
    ),
    Mistake(lambda: vector + "1", "add: an operand is '1', of type str", ("torch tensors or numbers",), DTypeError),  # type: ignore[operator]
    Mistake(lambda: vector * [1.0, 2.0, 3.0], "mul: an operand is [1.0, 2.0, 3.0], of type list", (), DTypeError),  # type: ignore[operator]
    Mistake(lambda: graphc.tanh(a.shape), "tanh: an operand is (2, 3), of type tuple", (), DTypeError),
    Mistake(lambda: vector.clamp(), "clamp: needs min, max or both", ("clamp(f32[3])",), DTypeError),
    Mistake(
        lambda: a.to("cuda"),
        "cast: dtype 'cuda' is not one that graphc computes with",
        ("torch.float32", "f32[2,3]"),
        DTypeError,
    ),
    Mistake(
        lambda: vector * torch.ones(3).to(torch.complex64),
        "mul: an operand cannot be: dtype torch.complex64 is not one",
        (),
        DTypeError,
    ),
    Mistake(lambda: graphc.constant("one"), "constant: cannot make a tensor of str", (), DTypeError),
    Mistake(lambda: graphc.constant(300, torch.uint8), "constant: cannot make u8 of 300", ("overflow",), DTypeError),
    Mistake(lambda: graphc.constant(vector), "constant: a symbolic tensor is not a constant", ("f32[3]",), DTypeError),
    # Declarations.
    Mistake(
        lambda: graphc.placeholder("x", (-1, 2)),
        "placeholder 'x': size -1 is negative",
        ('give an unknown size a name, such as "batch"',),
    ),
    Mistake(lambda: graphc.placeholder("x", 3), "placeholder 'x': a shape is a sequence of sizes", ("not 3",)),  # type: ignore[arg-type]
    Mistake(
        lambda: graphc.placeholder("x", ("my size",)),
        "placeholder 'x': a size is named like a variable",
        ("'my size'",),
    ),
    Mistake(
        lambda: graphc.placeholder("x", (None, 2)),
        "placeholder 'x': a size is an integer or a name, such as \"batch\", not None",
    ),  # type: ignore[list-item]
    Mistake(
        lambda: graphc.placeholder("x", (2,), float),
        "placeholder 'x': dtype <class 'float'> is not one",
        (),
        DTypeError,
    ),  # type: ignore[arg-type]
    Mistake(lambda: graphc.placeholder((2, 3), "x"), "placeholder: a name is a non-empty string, not (2, 3)"),  # type: ignore[arg-type]
    # Symbols are no values.
    Mistake(
        lambda: 1 if vector.sum() > 0 else 0,
        "bool(): <symbolic gt : bool[]",
        ("graphc.where", "Compile it"),
        SymbolicValueError,
    ),
    Mistake(lambda: vector and 1, "bool(): <symbolic placeholder : f32[3]", ("graphc.where",), SymbolicValueError),
    Mistake(lambda: float(scalar), "float(): <symbolic placeholder : f32[]", ("Compile it",), SymbolicValueError),
    Mistake(lambda: scalar.item(), "item(): <symbolic placeholder : f32[]", ("Compile it",), SymbolicValueError),
    Mistake(
        lambda: [2 * row for row in matrix],
        "iteration: <symbolic placeholder : f32[2,3]",
        ("Index it",),
        SymbolicValueError,
    ),
    Mistake(
        lambda: len(batch),
        "len(): the first size, n, has no number yet",
        ("f32[n,784]", "Use x.shape[0]"),
        SymbolicValueError,
    ),
    Mistake(
        lambda: matrix.__setitem__(0, 1.0),
        "item assignment: symbolic tensors are immutable",
        ("graphc.where or graphc.cat",),
        SymbolicValueError,
    ),
    Mistake(
        lambda: scalar.backward(),
        "backward(): gradients are graph, too",
        ("graphc.grad(loss, wrt=[...])",),
        SymbolicValueError,
    ),
    Mistake(
        lambda: numpy.asarray(vector),
        "conversion to a NumPy array: <symbolic placeholder",
        ("Compile it",),
        SymbolicValueError,
    ),
    Mistake(lambda: torch.relu(a), "torch.relu: torch computes at once", ("Use graphc.relu",), SymbolicValueError),
    Mistake(
        lambda: torch.nn.Linear(3, 2)(a),
        "torch.linear: torch computes at once",
        ("graphc.nn.Linear",),
        SymbolicValueError,
    ),
    # Gradients.
    Mistake(
        lambda: graphc.grad(vector, matrix),
        "grad: the loss has shape [3], not one element",
        ("grad(f32[3])", "Reduce it first, for example with .mean() or .sum()"),
        GradientError,
    ),
    Mistake(
        lambda: graphc.grad(scalar, counts),
        "grad: only floating tensors have gradients, not i64",
        ("grad(i64[3])",),
        GradientError,
    ),
    Mistake(
        lambda: graphc.grad(scalar, torch.ones(3)), "grad: takes symbolic tensors, not torch.Tensor", (), GradientError
    ),  # type: ignore[call-overload]
    Mistake(lambda: graphc.grad(1.0, [scalar]), "grad: takes symbolic tensors, not float", (), GradientError),  # type: ignore[call-overload]
]


def test_enough_mistakes() -> None:
    assert len(MISTAKES) >= 60


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: re.sub(r"\W+", "-", mistake.start[:48]))
def test_mistake(mistake: Mistake) -> None:
    with pytest.raises(mistake.kind, match="; built at ") as caught:
        mistake.make()
    text = str(caught.value)
    assert text.startswith(mistake.start)
    for part in mistake.says:
        assert part in text
    first = mistake.make.__code__.co_firstlineno
    line = re.search(r"built at tests/test_errors.py:(\d+)(\. |$)", text)
    assert line is not None, text
    assert first <= int(line[1]) <= first + 6
    assert "\n" not in text
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


WEIRD: list[Any] = [
    *(
        None,
        "a",
        "",
        b"x",
        1,
        -1,
        99,
        1.5,
        True,
        float("nan"),
        10**30,
        1j,
        (),
        [],
        (1,),
        [1, "a"],
        {},
        {1: 2},
        object(),
    ),
    *(slice(1), ..., range(3), lambda: 0, torch.float32, float, n, 2 * n, batch, matrix, counts, mask, scalar),
    *(
        torch.ones(2),
        torch.ones(2, 3),
        torch.ones(2).to(torch.complex64),
        torch.ones(2, 3).to_sparse(),
        torch.tensor(1),
    ),
    *(numpy.ones(3), numpy.array(["a"]), numpy.float64(1), numpy.bool_(True)),
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nothing_else_is_raised(name: str) -> None:
    """Whatever a function is given, it works or explains itself in one line."""
    f = FUNCTIONS[name]
    parameters = inspect.signature(f).parameters.values()
    least, most = sum(p.default is p.empty for p in parameters), min(len(parameters), 2)
    first = [*WEIRD] if most == 1 or least <= 1 else []
    calls = [(x,) for x in first] + [(x, y) for x in (batch, matrix, mask, scalar) for y in WEIRD if most == 2]
    for arguments in calls:
        if least > len(arguments):
            arguments = (*arguments, *arguments[-1:] * (least - len(arguments)))
        try:
            f(*arguments)
        except GraphcError as error:
            assert re.search(r"built at tests/test_errors.py:\d+", str(error))  # noqa: PT017 - or there is no error
            assert "\n" not in str(error)  # noqa: PT017


# Programs -------------------------------------------------------------------------------------------------------------

weight = graphc.Parameter(torch.ones(3), name="weight")
program = graphc.compile([batch, vector], (batch.sum() * vector), backend="reference")
x, y = torch.ones(2, 784), torch.ones(3)

PROGRAM_MISTAKES: list[tuple[Callable[[], object], type[GraphcError], str]] = [
    (
        lambda: graphc.compile(vector, vector * 2),
        CompileError,
        "inputs is a graphc.Tensor, not a list of placeholders, such as inputs=[points, labels]",
    ),  # type: ignore[arg-type]
    (
        lambda: graphc.compile([vector * 2], vector),
        CompileError,
        "<symbolic mul : f32[3], built at tests/test_errors.py",
    ),
    (lambda: graphc.compile([vector, vector], vector), CompileError, "placeholder 'vector' is listed twice"),
    (
        lambda: graphc.compile([vector], scalar * 2),
        CompileError,
        "placeholder 'scalar' (declared at tests/test_errors.py",
    ),
    (lambda: graphc.compile([vector], []), CompileError, "there is nothing to compute"),
    (lambda: graphc.compile([vector], 2.0), CompileError, "not float"),  # type: ignore[arg-type]
    (lambda: graphc.compile([vector], {"loss": 2.0}), CompileError, "output 'loss' is"),  # type: ignore[dict-item]
    (lambda: graphc.compile([vector], vector, {vector: vector}), CompileError, "updates map variables to tensors"),  # type: ignore[dict-item]
    (
        lambda: graphc.compile([], weight, {weight: weight.sum()}),
        CompileError,
        "<parameter 'weight' : f32[3]> has type f32[]",
    ),
    (lambda: graphc.compile([vector], vector, backend="cuda"), CompileError, "backend 'cuda' does not exist"),
    (lambda: graphc.compile([vector], vector * n), CompileError, "size 'n' is not determined by any input"),
    (lambda: program(x), InputError, "1 inputs given, the program takes 2: batch, vector"),
    (lambda: program(x.double(), y), InputError, "input 'batch' is f64[2,784], expected f32[n,784]"),
    (lambda: program(x, y[None]), InputError, "input 'vector' is f32[1,3], expected f32[3]: 2 dimensions, not 1"),
    (lambda: program(x[:, :3], y), InputError, "input 'batch' has size 3 in dimension 1, expected 784 of f32[n,784]"),
    (lambda: program([1.0], y), InputError, "input 'batch' is list, expected f32[n,784]"),
    (lambda: program(batch, y), InputError, "input 'batch' is graphc.Tensor, expected f32[n,784]"),
    (lambda: program(x.to_sparse(), y), InputError, "input 'batch' is sparse, torch.sparse_coo"),
    (lambda: program(x.to("meta"), y), InputError, "input 'batch' is on meta, the program's state on cpu"),
    (lambda: program(x, y, state=1), StateError, "state is"),  # type: ignore[arg-type]
    (lambda: setattr(weight, "value", torch.ones(4)), StateError, "'weight' has shape [3]; a value of shape [4]"),
]


@pytest.mark.parametrize(("make", "kind", "says"), PROGRAM_MISTAKES, ids=[says[:40] for *_, says in PROGRAM_MISTAKES])
def test_program_mistake(make: Callable[[], object], kind: type[GraphcError], says: str) -> None:
    with pytest.raises(kind, match=re.escape(says)):
        make()


# The exceptions -------------------------------------------------------------------------------------------------------


def test_kinds_fit_pythons_own() -> None:
    """`except ValueError` and `except TypeError` work as people expect."""
    for kind in (ShapeError, GradientError, CompileError, InputError, StateError):
        assert issubclass(kind, ValueError)
    for kind in (DTypeError, SymbolicValueError):
        assert issubclass(kind, TypeError)
    assert issubclass(VerifyError, AssertionError)
    assert all(issubclass(kind, GraphcError) for kind in (ShapeError, DTypeError, VerifyError, StateError))


def test_layout() -> None:
    assert compose("sum", "is too much") == "sum: is too much"
    assert compose("sum", "is too much", where="a.py:1") == "sum: is too much; built at a.py:1"
    assert compose("sum", "is", where="a.py:1", remedy="use mean") == "sum: is; built at a.py:1. Use mean"
    assert compose("sum", "is", remedy="use mean") == "sum: is. Use mean"


def test_names_of_types() -> None:
    assert type_name(1.0) == "float"
    assert type_name(None) == "NoneType"
    assert type_name(torch.ones(1)) == "torch.Tensor"
    assert type_name(numpy.ones(1)) == "numpy.ndarray"
    assert type_name(vector) == "graphc.Tensor"


def test_brief() -> None:
    assert brief((1, "a\n")) == "(1, 'a\\n')"
    assert brief(torch.ones(100)) == "torch.Tensor"


def test_one_line() -> None:
    assert one_line("batch · 2") == "batch · 2"
    assert one_line('a"\n\x1b[0m\u202e') == 'a"\\n\\x1b[0m\\u202e'
    assert one_line(one_line("\n")) == "\\n"


def test_explained() -> None:
    def f(x: int, *rest: int, y: int = 1, **more: object) -> int:
        return x.nothing if more else x + y  # type: ignore[attr-defined, no-any-return]

    def g(x: int) -> int:
        return len(x)  # type: ignore[arg-type]

    class Layer:
        @explained
        def method(self, x: int) -> None: ...

        def __init__(self, size: int, bias: bool = True) -> None: ...

    assert explained(f)(1, y=2) == 3
    assert inspect.signature(explained(f)) == inspect.signature(f)
    with pytest.raises(TypeError, match=r"^f: missing 1 required .*: 'x'\. It takes x, \*rest, y=1, \*\*more$"):
        explained(f)()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^object of type 'int' has no len\(\)$"):
        explained(g)(1)  # raised inside: it is not about the arguments
    with pytest.raises(TypeError, match=r"^method: missing 1 .*: 'x'\. It takes x$"):
        Layer(1).method()  # type: ignore[call-arg]
    made = explained(Layer.__init__, of_class=True, more="; make {}")
    with pytest.raises(
        TypeError, match=r"^Layer: got an unexpected .* 'width'\. It takes size, bias=True; make Layer\(\.\.\.\)$"
    ):
        made(Layer(1), width=1)  # type: ignore[call-arg]


def test_names_of_arguments_are_only_text() -> None:
    for call in (graphc.compile, graphc.placeholder, nn.Linear):
        with pytest.raises(TypeError, match=r"unexpected keyword argument '\\x1b\[31mk'\. It takes") as caught:
            call(**{"\x1b[31mk": 1})
        assert str(caught.value).isprintable()


def test_explained_arguments_are_those_that_users_count() -> None:
    """Python counts `self`; and arguments that are given by name have a star before them, as in definitions."""

    class Layer:
        @explained
        def none(self) -> None: ...

        @explained
        def some(self, x: int, y: int = 2, *, z: int = 3) -> None: ...

        @explained
        def one(self, x: int, *, z: int) -> None: ...

    layer: Any = Layer()
    with pytest.raises(
        TypeError, match=r"^none: too many positional arguments, 1 instead of 0\. It takes no arguments$"
    ):
        layer.none(1)
    with pytest.raises(TypeError, match=r"^some: too many .*, 3 instead of at most 2\. It takes x, y=2, \*, z=3$"):
        layer.some(1, 2, 3)
    with pytest.raises(TypeError, match=r"^one: too many .*, 2 instead of at most 1\. It takes x, \*, z$"):
        layer.one(1, 2, z=12)
    with pytest.raises(TypeError, match=r"^one: missing 1 required keyword-only argument: 'z'\. It takes x, \*, z$"):
        layer.one(1)
    with pytest.raises(TypeError, match=r"^_f: too many .*, 2 instead of at most 1\. It takes x$"):
        explained(_f)(1, 2)  # type: ignore[call-arg]


def _f(x: int) -> int:
    return x
