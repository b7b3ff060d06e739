"""The verifier: each kind of illegal graph, built by hand, is refused, and the fault is shown in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

import graphc
from graphc import VerifyError
from graphc.ir import OPS, Graph, Node, Op, Output, OutputRole, Tensor
from graphc.ir.origin import current_origin
from graphc.ir.verify import verify
from graphc.ops.arithmetic import Add
from graphc.ops.elementary import Exp
from graphc.ops.leaves import Constant, Placeholder
from graphc.ops.reductions import Sum
from graphc.ops.views import Cat, Permute, Reshape, Slice, SlicePad
from graphc.types import TensorType

F32, F64 = torch.float32, torch.float64
x = graphc.placeholder("x", ("n", 3))
y = graphc.placeholder("y", (2, 3))
parameter = graphc.Parameter(torch.ones(3), name="w\nx")


def node(op: Op, *inputs: Tensor, shape: tuple[object, ...] = (2, 3), dtype: torch.dtype = F32) -> Node:
    return Node(op, tuple(each.node for each in inputs), TensorType(shape, dtype), current_origin())  # type: ignore[arg-type]


def graph(*results: Node, inputs: tuple[Tensor, ...] = (x, y)) -> Graph:
    outputs = tuple(Output(result, OutputRole.OUTPUT, f"output{k}") for k, result in enumerate(results))
    return Graph(tuple(each.node for each in inputs), outputs)


def update(value: Tensor, role: OutputRole = OutputRole.UPDATE, cell: object = parameter.cell) -> Output:
    return Output(value.node, role, "w", cell)  # type: ignore[arg-type]


def unregistered() -> Graph:
    registered = dict(OPS)

    @dataclass(frozen=True)
    class Foreign(Exp):
        pass

    OPS.clear()
    OPS.update(registered)
    return graph(node(Foreign(), y))


def cyclic() -> Graph:
    first = node(Exp(), y)
    second = node(Exp(), Tensor(first))
    object.__setattr__(first, "inputs", (second,))
    return graph(second)


ILLEGAL: dict[str, tuple[Callable[[], Graph], str]] = {
    "type": (lambda: graph(node(Exp(), y, dtype=F64)), r"has type f64\[2,3\], but infer says f32\[2,3\]"),
    "shape": (lambda: graph(node(Exp(), x)), r"has type f32\[2,3\], but infer says f32\[n,3\]"),
    "symbolic shape": (
        lambda: graph(node(Exp(), y, shape=("n", 3))),
        r"has type f32\[n,3\], but infer says f32\[2,3\]",
    ),
    "refused": (
        lambda: graph(node(Reshape((7,)), y, shape=(7,))),
        r"infer fails: ShapeError: 6 elements do not fit f32\[7\]",
    ),
    "dtypes": (lambda: graph(node(Add(), y, y.double())), "infer fails: DTypeError: dtypes differ, f32 != f64"),
    "too few operands": (lambda: graph(node(Add(), y)), r"infer fails: TypeError: .*missing 1 required positional"),
    "too many operands": (lambda: graph(node(Exp(), y, y)), r"infer fails: TypeError: .*takes 2 positional arguments"),
    "not broadcast": (
        lambda: graph(node(Add(), y, y[0])),
        "infer fails: AssertionError: operands are broadcast before",
    ),
    "condition not broadcast": (
        lambda: graph(node(OPS["where"](), y[0] > 0, y, y)),
        "a pointwise op whose operands are not broadcast",
    ),
    "no dimensions": (lambda: graph(node(Sum(()), y)), "infer fails: AssertionError: torch reads an empty list"),
    "dimension": (lambda: graph(node(Permute((0, 2)), y)), "infer fails: IndexError: tuple index out of range"),
    "cat": (lambda: graph(node(Cat(0), y, y.T)), "infer fails: ShapeError: sizes differ in dimension 1, 3 != 2"),
    "slice": (lambda: graph(node(Slice(0, 1, 2), y)), "takes elements that its operand does not have"),
    "slice before": (lambda: graph(node(Slice(0, -1, 2), y)), "takes elements that its operand does not have"),
    "negative size": (
        lambda: graph(node(Slice(0, 1, -1), y, shape=(-1, 3))),
        "takes elements that its operand does not have",
    ),
    "pad": (lambda: graph(node(SlicePad(0, 1, 2), y)), "takes elements that its operand does not have"),
    "unregistered": (unregistered, "Foreign is not a registered op"),
    "cycle": (cyclic, "an operand comes after its user"),
    "foreign placeholder": (
        lambda: graph(node(Exp(), y), inputs=(x,)),
        "a placeholder that is not an input of the graph",
    ),
    "input that is none": (lambda: graph(y.node, inputs=(y, y.exp())), "an input that is not a placeholder"),
    "input twice": (lambda: graph(y.node, inputs=(y, x, y)), "an input that is listed twice"),
    "update without cell": (
        lambda: Graph((), (update(parameter * 2.0, cell=None),)),
        "output 'w' has role update and cell None",
    ),
    "output with cell": (
        lambda: Graph((), (update(parameter * 2.0, role=OutputRole.OUTPUT),)),
        r"output 'w' has role output and cell <parameter 'w\\nx' f32\[3\]>",
    ),
    "update of other type": (
        lambda: Graph((), (update(parameter.sum()),)),
        r"an update of <parameter 'w\\nx' f32\[3\]> that has type f32\[\]",
    ),
    "updated twice": (
        lambda: Graph((), (update(parameter * 2.0), update(parameter * 3.0))),
        r"<parameter 'w\\nx' f32\[3\]> is updated twice",
    ),
}


@pytest.mark.parametrize("build", [build for build, _ in ILLEGAL.values()], ids=ILLEGAL)
def test_illegal_graphs(build: Callable[[], Graph], request: pytest.FixtureRequest) -> None:
    problem = ILLEGAL[request.node.callspec.id][1]
    with pytest.raises(VerifyError, match=rf"^after simplify: {problem}") as caught:
        verify(build(), "after simplify")
    first, *lines = str(caught.value).splitlines()
    fault = lines.index(f"  ^^^ {first.removeprefix('after simplify: ')}")
    assert lines[fault - 1].startswith("  %"), "the faulty node stands above"


def test_fault_is_shown_among_its_neighbours_with_the_names_of_the_printed_graph() -> None:
    a = y.exp()
    b = Tensor(node(Add(), a, y, dtype=F64))
    whole = graph(b.double().sum().node)
    with pytest.raises(VerifyError, match="infer says") as caught:
        verify(whole, "after simplify")
    text = [line.split("  #")[0].rstrip() for line in str(caught.value).splitlines()]
    assert text == [
        "after simplify: has type f64[2,3], but infer says f32[2,3]",
        '  %0 = placeholder(label="x") : f32[n,3]',
        '  %1 = placeholder(label="y") : f32[2,3]',
        "  %2 = exp(%1) : f32[2,3]",
        "  %3 = add(%2, %1) : f64[2,3]",
        "  ^^^ has type f64[2,3], but infer says f32[2,3]",
        "  %4 = sum(%3; dims=(0, 1)) : f64[]",
    ]
    printed = [line.split("  #")[0].rstrip() for line in str(whole).splitlines()]
    assert set(text[3:5]) <= set(printed)


def test_legal_graphs() -> None:
    verify(graph())
    verify(graph(y.node, y.node))
    verify(graph(Tensor(node(Constant(1.0, F32), shape=())).expand(2, 3).node))
    verify(Graph((), (update(parameter * 2.0),)))
    assert isinstance(x.node.op, Placeholder)
    verify(graph(Slice(0, 1, x.shape[0] - 1) and x[1:].node))
