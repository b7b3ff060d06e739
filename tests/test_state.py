"""Variables and States: where values live, who shares them, how they are drawn anew, and who may change them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

import graphc
from graphc import DTypeError, Parameter, Program, State, StateError, Variable, nn, optim
from graphc.ir import Role
from tests.judge import assert_same


def network(backend: str = "torch") -> tuple[nn.Sequential, Program]:
    """A small network and a program that trains it with momentum."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = graphc.placeholder("x", ("n", 2))
    loss = net(x).square().mean()
    updates = optim.SGD(net.parameters(), lr=0.1, momentum=0.9).minimize(loss)
    return net, graphc.compile([x], loss, updates, backend=backend)


X = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 0.25]])

# Variables ------------------------------------------------------------------------------------------------------------


def test_a_variable_starts_from_a_copy() -> None:
    value = torch.tensor([1.0, 2.0])
    p = Parameter(value)
    value.fill_(0.0)
    assert p.value.tolist() == [1.0, 2.0]
    assert Parameter([1, 2]).dtype is torch.int64
    assert Parameter(numpy.ones((2, 3))[:, ::-1]).type == Parameter(torch.ones(2, 3).double()).type
    assert Parameter(torch.ones(3, 2).T).value.is_contiguous()
    assert Parameter(torch.ones(1).expand(3)).value.is_contiguous()
    assert not Parameter(torch.nn.Parameter(torch.ones(2))).value.requires_grad


def test_what_no_variable_can_be() -> None:
    with pytest.raises(DTypeError, match=r"dtype torch\.complex64 is not one that graphc computes with"):
        Parameter(torch.ones(2, dtype=torch.complex64))
    with pytest.raises(StateError, match=r"^'Parameter': the value is 'abc', a str that cannot be read as a tensor: "):
        Parameter("abc")


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor([3.0, 4.0]),
        torch.tensor([3.0, 4.0], requires_grad=True),
        torch.nn.Parameter(torch.tensor([3.0, 4.0])),
        torch.tensor([3.0, 0.0, 4.0])[::2],
        numpy.array([3.0, 4.0], dtype=numpy.float32),
        numpy.array([4.0, 3.0], dtype=numpy.float32)[::-1],
        [3.0, 4.0],
        (3, 4),
    ],
    ids=["tensor", "requires grad", "torch.nn.Parameter", "strided", "NumPy", "NumPy backwards", "list", "integers"],
)
def test_values_that_can_be_assigned(value: Any, backend: str) -> None:
    p = Parameter(torch.zeros(2))
    program = graphc.compile([], p * 1.0, {p: p + 1.0}, backend=backend)
    program()
    live = p.value
    p.value = value
    assert p.value.data_ptr() == live.data_ptr(), "copied into place"
    assert not p.value.requires_grad
    result = program()
    assert result.tolist() == [3.0, 4.0]
    assert not result.requires_grad
    assert p.value.tolist() == [4.0, 5.0]


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (torch.zeros(3), r"'p' has shape \[2\]; a value of shape \[3\] does not fit"),
        (torch.zeros(()), r"'p' has shape \[2\]; a value of shape \[\] does not fit"),
        (1.0, r"'p' has shape \[2\]; a value of shape \[\] does not fit"),
        (torch.zeros(2).double(), r"'p' is f32; a value of f64 does not fit. Convert it with \.to\(torch\.float32\)"),
        (numpy.zeros(2), r"'p' is f32; a value of f64 does not fit"),
        (torch.zeros(2, dtype=torch.int64), r"'p' is f32; a value of i64 does not fit"),
    ],
)
def test_values_that_cannot(value: Any, match: str) -> None:
    p = Parameter(torch.zeros(2), name="p")
    state = State([p.cell])
    for assign in (lambda: setattr(p, "value", value), lambda: state.__setitem__("p", value)):
        with pytest.raises(StateError, match=match):
            assign()
    assert p.value.tolist() == [0.0, 0.0]


def test_numbers_are_taken_as_they_are() -> None:
    rate = Variable(torch.tensor(0.0, dtype=torch.float64), name="lr", role=Role.HYPER)
    rate.value = 0.1
    assert rate.value.item() == 0.1
    State([rate.cell])["lr"] = 1 / 3
    assert rate.value.item() == 1 / 3


def test_copies_of_a_variable_are_independent() -> None:
    p = Parameter(torch.zeros(2), name="p")
    twin = copy.deepcopy(p)
    twin.value = [1.0, 2.0]
    assert p.value.tolist() == [0.0, 0.0]
    assert (type(twin), twin.name, twin.type) == (Parameter, "p", p.type)
    assert twin.cell is not p.cell


# Sharing --------------------------------------------------------------------------------------------------------------


def test_programs_share_the_default_state(backend: str) -> None:
    net, train = network(backend)
    x = graphc.placeholder("x", ("n", 2))
    predict = graphc.compile([x], net(x), backend=backend)
    before = predict(X)
    train(X)
    after = predict(X)
    assert not torch.equal(before, after)
    assert_same(after.square().mean(), train(X))
    places = [value.data_ptr() for value in (predict.state["0.weight"], train.state["0.weight"], net[0].weight.value)]
    assert len(set(places)) == 1


def test_a_new_state_is_a_copy(backend: str) -> None:
    net, train = network(backend)
    train(X)
    train.state["lr"] = 0.5
    state = train.new_state()
    assert not state.is_default
    assert list(state) == list(train.state)
    for name in state:
        assert_same(state[name], train.state[name], bits=True)
        assert state[name].untyped_storage().data_ptr() != train.state[name].untyped_storage().data_ptr()
    values = {name: state[name].clone() for name in state}
    train(X)
    for name, value in values.items():
        assert_same(state[name], value, bits=True)
    train(X, state=state)
    for name in state:
        assert_same(state[name], train.state[name], bits=True)
    parameters = net.state_dict()
    for _ in range(3):
        train(X, state=state)
    for name, value in net.state_dict().items():
        assert_same(value, parameters[name], bits=True)


def test_a_state_of_one_program_serves_another_that_needs_less(backend: str) -> None:
    net, train = network(backend)
    x = graphc.placeholder("x", ("n", 2))
    predict = graphc.compile([x], net(x), backend=backend)
    state = train.new_state(seed=5)
    assert_same(predict(X, state=state).square().mean(), train(X, state=state))
    with pytest.raises(
        StateError,
        match=r"this State has no value for \w+ '[\w.]+': it was made for another program\. Make it with new_state\(\) "
        r"of the program that updates",
    ):
        train(X, state=predict.new_state())


# Drawn anew -----------------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_values_of_construction(backend: str) -> None:
    """In the order of construction, whatever the order in the graph; the global generator stays where it is."""

    def build() -> tuple[list[nn.Linear], nn.Sequential]:
        layers = [nn.Linear(3, 4), nn.Linear(2, 3), nn.Linear(4, 1, bias=False)]
        return layers, nn.Sequential(layers[1], nn.Tanh(), layers[0], layers[2])

    layers, net = build()
    x = graphc.placeholder("x", ("n", 2))
    loss = net(x).square().mean()
    program = graphc.compile([x], loss, optim.Adam(net.parameters(), lr=0.1).minimize(loss), backend=backend)
    program(X)
    program.state["lr"] = 0.7
    for seed in (0, 1, 2**40):
        torch.manual_seed(seed)
        expected, _ = build()
        torch.manual_seed(123)
        start = torch.get_rng_state()
        state = program.new_state(seed)
        assert torch.equal(torch.get_rng_state(), start)
        for ours, theirs in zip(layers, expected, strict=True):
            for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
                assert_same(state[p], q.value, bits=True)
        assert state["lr"].item() == 0.1
        assert state["step"].item() == 0.0
        assert not any(state[name].any() for name in state if "exp_avg" in name)
        assert program(X, state=state).isfinite()
        assert state["step"].item() == 1.0


def test_a_value_without_a_draw_starts_where_it_started(backend: str) -> None:
    p = Parameter(torch.tensor([1.0, 2.0]), name="p")
    program = graphc.compile([], p.sum(), {p: p * 2.0}, backend=backend)
    program()
    assert program.new_state(seed=0)["p"].tolist() == [1.0, 2.0]
    assert program.new_state()["p"].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "initial",
    [
        lambda _: torch.arange(6.0).reshape(3, 2).T,
        lambda _: torch.nn.Parameter(torch.arange(6.0).reshape(3, 2).T.contiguous()),
        lambda _: torch.arange(6.0, dtype=torch.float64).reshape(3, 2).T,
    ],
    ids=["strided", "torch.nn.Parameter", "dtype"],
)
def test_draws_of_any_kind(initial: Callable[[torch.Generator | None], torch.Tensor], backend: str) -> None:
    p = Parameter(torch.zeros(2, 3), name="p", initial=initial)
    q = Parameter(torch.zeros(2), name="q")
    rate = Variable(torch.tensor(2.0))
    program = graphc.compile([], p.sum(), {p: p * rate, q: q * rate}, backend=backend)
    state = program.new_state(seed=0)
    assert program(state=state).item() == 15.0
    assert_same(state["p"], torch.arange(6.0).reshape(3, 2).T * 2.0)


# Reading and writing --------------------------------------------------------------------------------------------------


def test_names_and_handles() -> None:
    net, program = network()
    for state in (program.state, program.new_state()):
        assert state["0.weight"].data_ptr() == state[net[0].weight].data_ptr()
        state["0.weight"] = torch.full((3, 2), 2.0)
        assert state[net[0].weight].tolist() == [[2.0, 2.0]] * 3
        state[net[2].bias] = [5.0]
        assert state["2.bias"].item() == 5.0
        assert "0.weight" in state
        assert net[0].weight in state
        assert "1.weight" not in state
        assert Parameter(torch.ones(1)) not in state
        assert len(state) == len(list(state)) == 10
        assert set(state) >= {"0.weight", "0.bias", "2.weight", "2.bias", "lr", "momentum", "0.weight.momentum_buffer"}
    assert repr(program.state) == "<default State: 4 parameters, 4 slots, 2 hypers>"
    assert repr(program.new_state()) == "<State: 4 parameters, 4 slots, 2 hypers>"


def test_values_are_read_as_views_of_the_memory(backend: str) -> None:
    """What is done to a tensor that was read stays with the reader, but for its elements."""
    net, train = network(backend)
    train(X)
    weight = net[0].weight
    own = train.new_state()
    for state, read in ((train.state, lambda: weight.value), (own, lambda: own["0.weight"])):
        read().requires_grad_()
        assert not read().requires_grad
        assert read().stride() == state.read(weight.cell).stride()
        read().mul_(0.0)
        assert not state["0.weight"].any()
        state["0.weight"] = torch.ones(3, 2)
        assert read().all()
        train(X, state=state)
        assert not read().all() or not torch.equal(read(), torch.ones(3, 2))
    net.load_state_dict(net.state_dict())


def test_loading_after_requires_grad(backend: str, tmp_path: Path) -> None:
    net, train = network(backend)
    train.save(tmp_path / "start.safetensors")
    start = net.state_dict()
    train(X)
    net[2].weight.value.requires_grad_()
    train.load(tmp_path / "start.safetensors")
    assert all(torch.equal(value, start[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("lr", r"values are read as state\['lr'\]$"),
        ("items", r"\{name: state\[name\]\.clone\(\) for name in state\}"),
        ("get", r"state\[name\] reads"),
        ("update", r"state\[name\] = value"),
        ("state_dict", r"net\.state_dict\(\) has the parameters"),
        ("load_state_dict", r"net\.load_state_dict\(values\)"),
        ("clone", r"state\.copy\(\)"),
        ("cpu", r'state\.to\("cpu"\)'),
        ("save", r"program\.save\(path, state=state\)"),
        ("coppy", r"did you mean 'copy'\?$"),
    ],
)
def test_what_a_state_has_not(name: str, match: str) -> None:
    _, program = network()
    with pytest.raises(AttributeError, match=rf"^State has no attribute '{name}'.*{match}"):
        getattr(program.state, name)
    assert not hasattr(program.state, name)


def test_a_state_is_no_dict() -> None:
    _, program = network()
    dicts: list[Callable[[Any], object]] = [dict, lambda state: {**state}, lambda state: state.keys()]
    for made in dicts:
        with pytest.raises(TypeError, match=r"State: no keys\(\).*list\(state\); .*for name in state"):
            made(program.state)


@pytest.mark.parametrize("kind", [Parameter, Variable])
def test_what_only_the_value_of_a_variable_has(kind: type[Variable]) -> None:
    variable = kind(torch.ones(2), name="v")
    there = f"{kind.__name__.lower()}.value"
    asked: list[Callable[[Any], object]] = [float, int, bool, numpy.array, lambda v: f"{v:.3f}"]
    asked += [lambda v: v.item(), lambda v: v.numpy(), lambda v: v.tolist()]
    for ask in asked:
        with pytest.raises(graphc.SymbolicValueError, match=rf"'v' : f32\[2\]> is a symbol, .*value is {there}"):
            ask(variable)
    for name in ("fill_", "copy_", "uniform_", "detach", "clone", "device"):
        with pytest.raises(AttributeError, match=rf"has no attribute '{name}': .*use {there}\.{name}$"):
            getattr(variable, name)
    with pytest.raises(AttributeError, match=rf"has no attribute 'data': .*use {there}, which may be set$"):
        variable.data = torch.zeros(2)  # type: ignore[attr-defined]
    for name in ("grad", "requires_grad"):
        with pytest.raises(AttributeError, match=rf"has no attribute '{name}': gradients are graph"):
            setattr(variable, name, None)
    with pytest.raises(AttributeError, match=r"has no attribute 'other'$"):
        variable.other = 3  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="name"):
        variable.name = "w"  # type: ignore[misc]


def test_attributes_of_own_kinds_of_parameters() -> None:
    class Ours(Parameter):
        pass

    ours = Ours(torch.ones(2))
    ours.group = 3  # type: ignore[attr-defined]
    assert ours.group == 3  # type: ignore[attr-defined]


def test_errors_of_names() -> None:
    p, q, other = Parameter(torch.ones(2), name="p"), Parameter(torch.ones(2), name="p"), Parameter(torch.ones(2))
    state = graphc.compile([], p + q).new_state()
    with pytest.raises(StateError, match=r"there is no cell called 'x'; there are 'p'$"):
        state["x"]
    with pytest.raises(StateError, match=r"2 cells are called 'p'; use a handle instead"):
        state["p"]
    with pytest.raises(StateError, match=r"2 cells are called 'p'"):
        state["p"] = torch.zeros(2)
    with pytest.raises(StateError, match=r"this State has no value for parameter ''"):
        state[other]
    with pytest.raises(StateError, match=r"there is no cell called 'x'; there are none"):
        State([])["x"]
    assert state[p].data_ptr() != state[q].data_ptr()


def test_the_empty_state() -> None:
    x = graphc.placeholder("x", (2,))
    program = graphc.compile([x], x * 2.0)
    assert repr(program.state) == "<default State: empty>"
    assert program(torch.ones(2), state=program.new_state()).tolist() == [2.0, 2.0]
    assert program(torch.ones(2), state=program.new_state(seed=1)).tolist() == [2.0, 2.0]
    assert program.state.device == torch.device("cpu")


# Devices --------------------------------------------------------------------------------------------------------------


def test_a_state_moves_as_a_whole(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`meta` stands for another device: it keeps shapes and computes nothing."""
    monkeypatch.setattr("graphc.state.NO_VALUES", "none")
    _, program = network(backend)
    program(X)
    state = program.new_state()
    assert state.to("cpu") is state
    before = program(X, state=state)
    assert state.to("meta") is state
    assert state.device == torch.device("meta")
    assert all(state[name].device == torch.device("meta") for name in state)
    result = program(X.to("meta"), state=state)
    assert (result.device, result.shape) == (torch.device("meta"), before.shape)
    with pytest.raises(graphc.InputError, match=r"input 'x' is on cpu, the program's state on meta"):
        program(X, state=state)
    assert program.state.device == torch.device("cpu"), "the default State stays where it is"
    assert program(X).isfinite()
    assert program.new_state(seed=0).device == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a torch without CUDA")
@pytest.mark.parametrize(
    ("device", "match"),
    [
        (
            "cuda",
            r"^State\.to: device 'cuda' is not one of this torch's: .*\. Stay on 'cpu', or install a torch for it$",
        ),
        ("meta", r"^State\.to: tensors on meta have no elements, and all values would be lost\. Give 'cpu'"),
        ("gpu", r"^State\.to: device 'gpu' does not exist\. Give one of torch's, such as 'cpu' or 'cuda'$"),
        (None, r"^State\.to: device None does not exist"),
    ],
)
def test_a_state_stays_where_its_values_have_no_place(device: Any, match: str) -> None:
    net, program = network()
    state = program.new_state()
    for move in (state.to, net.to):
        with pytest.raises(StateError, match=match):
            move(device)
    assert state.device == program.state.device == torch.device("cpu")


# Who may update -------------------------------------------------------------------------------------------------------

BUSY = (
    r"this State is being updated by another call\. Give each concurrent training call a State of its own "
    r"\(program\.new_state\(\)\)"
)


def test_a_state_that_is_being_updated_refuses_another_update(backend: str) -> None:
    net, train = network(backend)
    x = graphc.placeholder("x", ("n", 2))
    predict = graphc.compile([x], net(x), backend=backend)
    head = graphc.compile([x], net(x), {net[2].bias: net[2].bias + 1.0}, backend=backend)
    slot = Variable(torch.zeros(()))
    counter = graphc.compile([x], slot, {slot: slot + 1.0}, backend=backend)
    states = [(train.state, train.state), (state := train.new_state(), state)]
    for busy, same in states:
        with train.running(busy):
            for program in (train, head):
                with pytest.raises(StateError, match=BUSY):
                    program(X, state=same)
            with pytest.raises(StateError, match=BUSY):
                train.fit(X, batch_size=2, epochs=1, state=same)
            predict(X, state=same)
            train(X, state=train.new_state())
            counter(X)
        train(X, state=same)
        head(X, state=same)
    with train.running(train.state):
        train(X, state=state)
        with pytest.raises(StateError, match=BUSY):
            head(X)
        with pytest.raises(StateError, match=BUSY):
            net.load_state_dict(net.state_dict())


def test_a_refused_call_frees_nothing(backend: str) -> None:
    """What the first call holds stays held, also after others were turned away."""
    _, train = network(backend)
    with train.running(train.state):
        for _ in range(3):
            with pytest.raises(StateError, match=BUSY):
                train(X)


def test_an_error_inside_frees_the_state(backend: str) -> None:
    _, train = network(backend)
    with pytest.raises(ValueError, match="inside"), train.running(train.state):
        raise ValueError("inside")
    with pytest.raises(graphc.InputError, match="inputs given"):
        train()
    train(X)


def test_moves_are_counted_after_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that binds in another thread while values move must not take the old place for the new one."""
    _, train = network("torch")
    train(X)
    seen: list[tuple[int, bool]] = []
    state = train.new_state()
    cell = state.cells[0]
    storage = torch.zeros(cell.type.shape)

    def watch(frame: Any, event: str, argument: object) -> Any:
        if frame.f_code is State.place.__code__:
            seen.append((State.moves, state.read(cell) is storage))
        return watch

    before = State.moves
    threading.settrace(watch)
    try:
        thread = threading.Thread(target=state.place, args=(cell, storage))
        thread.start()
        thread.join()
    finally:
        threading.settrace(None)  # type: ignore[arg-type]  # as `sys.settrace`
    assert State.moves == before + 1
    assert all(moved for count, moved in seen if count > before)
    assert any(moved and count == before for count, moved in seen)


def test_a_value_may_be_the_cell_in_another_order() -> None:
    """Its elements are not read again after they were written over."""
    weight = Parameter(torch.arange(9.0).reshape(3, 3), name="weight")
    state = graphc.compile([], weight * 1).state
    state["weight"] = state["weight"].T
    assert torch.equal(state["weight"], torch.arange(9.0).reshape(3, 3).T)
    state["weight"] = state["weight"].numpy()[::-1]
    assert torch.equal(state["weight"], torch.arange(9.0).reshape(3, 3).T.flip(0))
    with pytest.raises(StateError, match=r"^'weight': the value is .* cannot be read as a tensor: .*sparse_coo"):
        state["weight"] = torch.eye(3).to_sparse()
    with pytest.raises(StateError, match=r"^'weight': the value is on meta, where tensors have no elements"):
        state["weight"] = torch.eye(3, device="meta")


def test_values_are_not_attributes() -> None:
    state = graphc.compile([], Parameter(torch.zeros(2), name="p") * 1).state
    with pytest.raises(
        AttributeError, match=r"^State: 'p' is no attribute, .*\. Set a value with state\['p'\] = 0\.5$"
    ):
        state.p = 0.5  # type: ignore[attr-defined]
