"""Module: registration, names, values, scopes, and the explanations it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import CompileError, StateError, SymbolicValueError, nn
from graphc.ir import Node, Scope
from graphc.state import State
from tests.nn.block import Block


def names(module: nn.Module) -> list[str]:
    return [parameter.name for parameter in module.parameters()]


def sizes(net: nn.Module) -> list[tuple[int, ...]]:
    return [tuple(parameter.value.shape) for parameter in net.parameters()]


# Registration and names.


def test_parameters_are_named_from_the_root_however_late_it_comes() -> None:
    block = Block(2)
    assert names(block) == ["scale", "inner.weight", "inner.bias"]
    net = nn.Sequential(nn.Tanh(), block)
    assert names(net) == ["1.scale", "1.inner.weight", "1.inner.bias"]

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = net

    assert names(Net()) == ["body.1.scale", "body.1.inner.weight", "body.1.inner.bias"]


def test_what_stands_under_two_parents_keeps_its_first_name() -> None:
    shared = nn.Linear(2, 2)
    first = nn.Sequential(shared)
    second = nn.Sequential(nn.Tanh(), shared)
    assert names(second) == ["0.weight", "0.bias"]
    nn.Sequential(nn.Tanh(), nn.Tanh(), second)
    assert names(second) == ["0.weight", "0.bias"]
    nn.Sequential(nn.Tanh(), first)
    assert names(second) == ["1.0.weight", "1.0.bias"]


def test_a_given_name_is_kept() -> None:
    block = Block(2)
    block.scale = nn.Parameter(torch.ones(2), name="gain")
    nn.Sequential(block)
    assert names(block) == ["gain", "0.inner.weight", "0.inner.bias"]


def test_replaced_and_deleted_attributes_are_gone() -> None:
    block = Block(2)
    old = block.scale
    block.scale = nn.Parameter(torch.ones(3))
    block.scale = block.scale
    assert sizes(block) == [(3,), (2, 2), (2,)]
    del block.inner
    assert sizes(block) == [(3,)]
    nn.Sequential(block)
    assert old.name == "scale"
    assert block.scale.name == "0.scale"


def test_forgetting_to_call_the_base_constructor_does_no_harm() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 1)

    assert list(Net().state_dict()) == ["layer.weight", "layer.bias"]


def test_parameters_without_recursion_and_with_a_prefix() -> None:
    block = Block(2)
    assert [name for name, _ in block.named_parameters("net")] == ["net.scale", "net.inner.weight", "net.inner.bias"]
    assert list(block.parameters(recurse=False)) == [block.scale]
    assert list(block.children()) == [block.inner]
    assert list(block.modules()) == [block, block.inner]


def test_names_reach_any_depth() -> None:
    layer = nn.Linear(1, 1)
    net: nn.Module = layer
    for _ in range(200):
        net = nn.Sequential(net)
    assert layer.weight.name == "0." * 200 + "weight"
    assert list(net.parameters()) == [layer.weight, layer.bias]


def test_what_cannot_be_registered() -> None:
    block = Block(2)
    match = r"Block: attribute 'fc' is a torch\.nn\.Linear, which builds no graph; .* Use what graphc\.nn has"
    with pytest.raises(CompileError, match=match):
        block.fc = torch.nn.Linear(2, 2)
    with pytest.raises(CompileError, match=r"attribute 'w' is a torch\.nn\.Parameter"):
        block.w = torch.nn.Parameter(torch.ones(2))
    with pytest.raises(CompileError, match=r"'forward' is a method of every module; .* Choose another name"):
        block.forward = nn.Tanh()  # type: ignore[method-assign,assignment]
    with pytest.raises(CompileError, match="'parent' would make the module contain itself"):
        block.inner.parent = block


# Values.


def test_state_dict_is_a_copy_and_load_writes_in_place() -> None:
    block = Block(2)
    live = block.scale.value
    values = block.state_dict()
    values["scale"].fill_(5.0)
    assert live.tolist() == [1.0, 1.0]
    block.load_state_dict(values)
    assert block.scale.value.data_ptr() == live.data_ptr()
    assert live.tolist() == [5.0, 5.0]


def test_loading_lists_every_problem_and_changes_nothing() -> None:
    block = Block(2)
    before = block.state_dict()
    wrong = {"scale": torch.ones(3), "inner.weight": torch.zeros(2, 2).double(), "extra": torch.ones(1)}
    match = (
        r"Block\.load_state_dict: nothing was loaded:\n"
        r"  missing: 'inner\.bias'\n"
        r"  unexpected: 'extra'\n"
        r"  wrong shape: 'scale' is \[2\], the value \[3\]\n"
        r"  wrong dtype: 'inner\.weight' is f32, the value f64\nMake layers of the same sizes as those that were saved$"
    )
    with pytest.raises(StateError, match=match):
        block.load_state_dict(wrong)
    for name, value in block.state_dict().items():
        assert torch.equal(value, before[name])


def test_loading_is_refused_while_a_call_updates() -> None:
    block = Block(2)
    cells = [parameter.cell for parameter in block.parameters()]
    with State(cells).updating(frozenset(cells[:1])), pytest.raises(StateError, match="being updated by another call"):
        block.load_state_dict(block.state_dict())


def test_programs_see_what_is_loaded(backend: str) -> None:
    block = Block(2)
    x = graphc.placeholder("x", (2,))
    program = graphc.compile([x], block(x), backend=backend)
    program(torch.ones(2))
    block.load_state_dict({name: torch.zeros_like(value) for name, value in block.state_dict().items()})
    assert program(torch.ones(2)).tolist() == [0.0, 0.0]


# Calls.


def scopes(tensor: graphc.Tensor) -> tuple[Scope, ...]:
    node: Node = tensor.node
    return node.origin.scopes


def test_nodes_say_which_module_and_which_call_built_them() -> None:
    net = nn.Sequential(Block(2), nn.Tanh())
    x = graphc.placeholder("x", ("batch", 2))
    first, second = net(x), net(x)
    assert first.node.origin.module == "sequential.1"
    assert [scope.kind for scope in scopes(first)] == ["Sequential", "Tanh"]
    assert [scope.call for scope in scopes(first)] == [0, 0]
    assert [scope.call for scope in scopes(second)] == [1, 1]
    assert [scope.ident for scope in scopes(first)] == [scope.ident for scope in scopes(second)]
    assert len({scope.ident for scope in scopes(first)}) == 2
    program = graphc.compile([x], first, backend="reference")
    assert "sequential.0.inner" in str(program.stages[0])


def test_a_root_is_called_after_its_class_and_a_child_after_its_attribute() -> None:
    block = Block(2)
    x = graphc.placeholder("x", ("batch", 2))
    assert block(x).node.origin.module == "block"
    assert block.inner(x).node.origin.module == "inner"


def test_calling_a_module_on_values_explains_what_to_do() -> None:
    match = (
        r"Block: called on a torch\.Tensor, which has values; a module takes symbolic tensors; built at "
        r".*test_module\.py:\d+\. Declare x = graphc\.placeholder.* compile program = graphc\.compile"
    )
    with pytest.raises(SymbolicValueError, match=match):
        Block(2)(torch.ones(3, 2))
    with pytest.raises(SymbolicValueError, match=r"called on a numpy\.ndarray"):
        Block(2)(x=numpy.ones((3, 2)))


def test_a_module_without_forward_says_so() -> None:
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty does not define forward"):
        Empty()(graphc.placeholder("x", ()))


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("train", "a program trains when it is compiled with updates"),
        ("eval", "a program without updates only predicts"),
        ("zero_grad", "never accumulate between calls"),
        ("cuda", r'\.to\("cuda"\)'),
    ],
)
def test_what_torch_has_and_graphc_does_otherwise_is_explained(name: str, instead: str) -> None:
    with pytest.raises(AttributeError, match=f"'Block' object has no attribute '{name}': .*{instead}"):
        getattr(Block(2), name)
    assert not hasattr(Block(2), name)


def test_other_missing_attributes_are_ordinary() -> None:
    with pytest.raises(AttributeError, match=r"'Block' object has no attribute 'scales'; did you mean 'scale'\?$"):
        _ = Block(2).scales  # type: ignore[attr-defined]


def test_extra_repr_stands_before_the_children() -> None:
    class Ours(Block):
        def extra_repr(self) -> str:
            return "size=2"

    assert repr(Ours(2)) == "Ours(\n  size=2\n  (inner): Linear(in_features=2, out_features=2, bias=True)\n)"


def test_a_parameter_is_not_replaced_by_values() -> None:
    layer = nn.Linear(2, 2)
    with pytest.raises(
        graphc.CompileError, match=r"'weight' is a Parameter; a torch tensor .* module\.weight\.value = t"
    ):
        layer.weight = torch.zeros(2, 2)
    assert len(list(layer.parameters())) == 2


def test_a_list_of_modules_is_refused() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(2, 2)]

    with pytest.raises(graphc.CompileError, match=r"'layers' is a list of modules.*\. Use nn\.Sequential"):
        Net()


class Late(nn.Module):
    """Its containers are filled after they were assigned."""

    def __init__(self, fill: Callable[[Any], object]) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.found: list[Any] = []
        self.named: dict[str, Any] = {}
        fill(self)

    def forward(self, x: graphc.Tensor) -> Any:
        return self.first(x)


@pytest.mark.parametrize(
    ("fill", "match"),
    [
        (
            lambda net: net.found.append(nn.Linear(2, 2)),
            r"Late: attribute 'found' is a list of modules.*nn\.Sequential",
        ),
        (lambda net: net.named.update(a=nn.Linear(2, 2)), r"Late: attribute 'named' is a dict of modules"),
        (lambda net: net.found.append([nn.Linear(2, 2)]), r"'found' is a list of modules"),
        (lambda net: net.found.append(nn.Parameter(torch.ones(2))), r"'found' is a list of Parameters.*for each Param"),
    ],
)
def test_containers_that_are_filled_later(fill: Callable[[Any], object], match: str) -> None:
    net = Late(fill)
    root = nn.Sequential(nn.Tanh(), net)
    found: list[Callable[[], object]] = [
        lambda: list(net.parameters()), net.state_dict, lambda: net.parameters(recurse=False).__next__(),
        lambda: list(root.parameters()), root.state_dict, lambda: list(root.modules()), lambda: net.to("cpu"),
    ]  # fmt: skip
    for find in found:
        with pytest.raises(CompileError, match=match):
            find()
    assert "Linear" in repr(root)


def test_containers_of_what_is_registered_too() -> None:
    def fill(net: Any) -> None:
        net.found.extend([net.first, net.first.weight, net.found, 3])
        net.other = nn.Sequential(nn.Linear(2, 2))
        net.named["inner"] = net.other[0]

    assert len(list(Late(fill).parameters())) == 4


def test_containers_of_what_is_not_lost() -> None:
    """What another module of the network has, what is above, and what has no parameters; looked at from below."""

    def fill(net: Any) -> None:
        net.second = nn.Linear(2, 2)
        net.first.found = []
        net.first.found.extend([net, net.second])
        net.found.append(nn.Tanh())

    net = Late(fill)
    assert len(list(net.first.parameters())) == 2
    assert len(list(net.parameters())) == 4


@pytest.mark.parametrize("value", [[[nn.Linear(2, 2)]], {nn.Linear(2, 2)}, {"a": (nn.Linear(2, 2),)}])
def test_containers_in_containers_are_refused(value: object) -> None:
    net = Block(2)
    with pytest.raises(CompileError, match=r"Block: attribute 'layers' is a (list|set|dict) of modules"):
        net.layers = value


@pytest.mark.parametrize(
    ("replace", "match"),
    [
        (lambda net: net.scale * 2.0, r"Block: 'scale' is a Parameter; a graphc\.Tensor in its place.*in forward"),
        (lambda net: graphc.Variable(torch.ones(2)), r"'scale' is a Parameter; a graphc\.Variable in its place"),
        (lambda net: 3, r"'scale' is a Parameter; a int in its place would not train.*module\.scale\.value ="),
        (lambda net: numpy.ones(2), r"'scale' is a Parameter; a numpy\.ndarray in its place would not train"),
    ],
)
def test_what_does_not_stand_for_a_parameter(replace: Callable[[Any], Any], match: str) -> None:
    net = Block(2)
    before = [*net.state_dict()]
    with pytest.raises(CompileError, match=match):
        net.scale = replace(net)
    assert [*net.state_dict()] == before
    net.scale = None  # type: ignore[assignment]
    net.scale = nn.Parameter(torch.zeros(2))


def test_a_module_is_not_replaced_by_what_it_computes() -> None:
    net = Block(2)
    with pytest.raises(CompileError, match=r"'inner' is a Linear; a symbolic tensor in its place would lose"):
        net.inner = net.inner(graphc.placeholder("x", (2,)))
