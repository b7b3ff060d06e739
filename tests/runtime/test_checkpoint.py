"""`save` and `load`: whole States, torch's state dicts, and what is refused."""

from __future__ import annotations

import json
import re
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import graphc
from graphc import CheckpointError, Parameter, Program, State, StateError, nn, optim
from graphc.runtime import checkpoint as checkpoints


def network(*more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 5), nn.Dropout(0.5), nn.Sequential(nn.Tanh(), nn.Linear(5, 1)), *more)


def training(net: nn.Module, optimizer: Callable[..., optim.Optimizer] = optim.Adam, **options: Any) -> Program:
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile([x, y], {"loss": loss}, optimizer(net.parameters(), **options).minimize(loss))


def predicting(net: nn.Module, dtype: torch.dtype = torch.float32) -> Program:
    x = graphc.placeholder("x", ("batch", 2), dtype)
    return graphc.compile([x], net(x))


X, Y = torch.randn(40, 2), torch.randn(40, 1)


def train(program: Program, state: State | None = None) -> list[float]:
    return program.fit(X, Y, batch_size=7, epochs=3, state=state)["loss"]


def assert_equal(first: State, second: State) -> None:
    for a, b in zip(first.cells, second.cells, strict=True):
        assert torch.equal(first.read(a), second.read(b)), a


@pytest.mark.parametrize("optimizer", [optim.Adam, optim.AdamW, optim.SGD])
def test_training_goes_on_in_another_program(optimizer: Callable[..., optim.Optimizer], tmp_path: Path) -> None:
    options = {"momentum": 0.9} if optimizer is optim.SGD else {"amsgrad": True}
    first = training(network(), optimizer, lr=optim.Cosine(0.1, steps=50), **options)
    train(first)
    first.save(tmp_path / "run.safetensors")
    second = training(network(), optimizer, lr=optim.Cosine(0.5, steps=10), **options)
    second.load(tmp_path / "run.safetensors")
    assert_equal(first.state, second.state)
    assert train(first) == train(second)
    assert_equal(first.state, second.state)


def test_torch_reads_what_predicts(tmp_path: Path) -> None:
    net = network()
    predict = predicting(net)
    predict.save(tmp_path / "net.safetensors")
    theirs = torch.nn.Sequential(
        torch.nn.Linear(2, 5),
        torch.nn.Dropout(0.5),
        torch.nn.Sequential(torch.nn.Tanh(), torch.nn.Linear(5, 1)),
    ).eval()
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))
    torch.testing.assert_close(predict(X), theirs(X).detach())


def test_torch_finds_the_state_dict_in_a_training_checkpoint(tmp_path: Path) -> None:
    net = network()
    program = training(net)
    train(program)
    program.save(tmp_path / "run.safetensors")
    content = safetensors.torch.load_file(tmp_path / "run.safetensors")
    for name, value in net.state_dict().items():
        assert torch.equal(content.pop(name), value)
    assert all(":" in name for name in content)
    assert "slot:0.weight.exp_avg" in content
    assert "hyper:lr" in content


def test_a_state_dict_of_torch_is_a_checkpoint(tmp_path: Path) -> None:
    theirs = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 1))
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "net.safetensors")
    predict = predicting(nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 1)))
    predict.load(tmp_path / "net.safetensors")
    torch.testing.assert_close(predict(X), theirs(X).detach())


def test_parameters_alone_with_strict_off(tmp_path: Path) -> None:
    predicting(source := network()).save(tmp_path / "net.safetensors")
    program = training(target := network())
    with pytest.raises(CheckpointError, match=r"it has no random counter.* It has parameters only; strict=False"):
        program.load(tmp_path / "net.safetensors")
    program.load(tmp_path / "net.safetensors", strict=False)
    for name, value in target.state_dict().items():
        assert torch.equal(value, source.state_dict()[name])


def test_a_program_takes_what_it_has_cells_for(tmp_path: Path) -> None:
    net, other = network(), network()
    program = training(net)
    train(program)
    program.save(tmp_path / "run.safetensors")
    predict = predicting(other)
    predict.load(tmp_path / "run.safetensors")
    assert torch.equal(predict(X), predicting(net)(X))


def test_states(tmp_path: Path) -> None:
    program = training(network())
    one, two = program.new_state(seed=1), program.new_state(seed=2)
    train(program, one)
    before = program.new_state()
    program.save(tmp_path / "one", state=one)
    program.load(tmp_path / "one", state=two)
    assert_equal(one, two)
    assert_equal(before, program.state)


def test_every_dtype_and_shape(tmp_path: Path) -> None:
    values = [torch.randn(2, 3).to(dtype) for dtype in (torch.float64, torch.float16, torch.bfloat16)]
    values += [torch.arange(3), torch.tensor(7, dtype=torch.uint8), torch.tensor([True, False]), torch.zeros(0, 4)]
    values += [torch.tensor([float("nan"), float("inf"), -0.0, 1e-40])]
    cells = [graphc.Variable(value, name=f"v{i}") for i, value in enumerate(values)]
    program = graphc.compile([], [cell * 1 for cell in cells])
    state = program.new_state()
    program.save(tmp_path / "run")
    for cell in cells:
        cell.value = torch.zeros_like(cell.value)
    program.load(tmp_path / "run")
    for cell in cells:
        assert bits(cell.value) == bits(state[cell])


def bits(x: torch.Tensor) -> list[int]:
    return x.reshape(-1).view(torch.uint8).tolist()


# Names ----------------------------------------------------------------------------------------------------------------


def test_cells_of_one_name_are_told_apart_by_their_order(tmp_path: Path) -> None:
    def pair() -> tuple[Program, Program, list[Parameter]]:
        nets = [nn.Linear(2, 1), nn.Linear(2, 1)]
        x = graphc.placeholder("x", ("batch", 2))
        both = graphc.compile([x], [net(x) for net in nets])
        return both, graphc.compile([x], nets[1](x)), [net.weight for net in nets]

    both, _, weights = pair()
    both.save(tmp_path / "both")
    assert sorted(safetensors.torch.load_file(tmp_path / "both")) == ["bias", "bias#2", "weight", "weight#2"]
    again, single, others = pair()
    again.load(tmp_path / "both")
    for weight, other in zip(weights, others, strict=True):
        assert torch.equal(weight.value, other.value)
    with pytest.raises(CheckpointError, match="2 of parameter 'weight', the program 1, and which is which cannot be"):
        single.load(tmp_path / "both")


@pytest.mark.parametrize("name", ["", "__metadata__", "fit:means", "slot:x", "x#2", "a\nb", "\ud800", "π", "'\"\\"])
def test_names(name: str, tmp_path: Path) -> None:
    parameters = [Parameter(torch.randn(3), name=name), Parameter(torch.randn(3), name="x"), Parameter(torch.randn(3))]
    slots = [graphc.Variable(torch.randn(3), name=name), graphc.Variable(torch.randn(3), name="x")]
    cells = [*parameters, *slots, Parameter(torch.randn(3), name="x")]
    program = graphc.compile([], [cell * 1 for cell in cells])
    values = [cell.value.clone() for cell in cells]
    program.save(tmp_path / "run")
    for cell in cells:
        cell.value = torch.zeros(3)
    program.load(tmp_path / "run")
    for cell, value in zip(cells, values, strict=True):
        assert torch.equal(cell.value, value)


# What is refused ------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    predicting(network()).save(tmp_path / "net")
    wider = predicting(nn.Sequential(nn.Linear(2, 7), nn.Dropout(0.5), nn.Sequential(nn.Tanh(), nn.Linear(7, 1))))
    before = wider(X)
    message = (
        r"net: does not fit the program: parameter '0.weight' is f32\[5,2\] in the file, f32\[7,2\] in the program; "
        r"parameter '0.bias' is f32\[5\] in the file"
    )
    with pytest.raises(CheckpointError, match=message):
        wider.load(tmp_path / "net")
    assert torch.equal(before, wider(X))
    with pytest.raises(CheckpointError, match=r"parameter '0.weight' is f32\[5,2\] in the file, f64\[5,2\]"):
        predicting(network().double(), torch.float64).load(tmp_path / "net")
    longer = predicting(network(nn.Linear(1, 1)))
    with pytest.raises(CheckpointError, match=r"it has no parameter '3.weight'; it has no parameter '3.bias'"):
        longer.load(tmp_path / "net")
    longer.save(tmp_path / "longer")
    with pytest.raises(CheckpointError, match=r"the program has no parameter '3.\w+'.*strict=False takes what fits by"):
        predicting(network()).load(tmp_path / "longer")


def test_names_of_data_parallel(tmp_path: Path) -> None:
    net = nn.Linear(2, 1)
    content = {f"module.{name}": value for name, value in net.state_dict().items()}
    safetensors.torch.save_file(content, tmp_path / "net")
    with pytest.raises(CheckpointError, match=r"begin with 'module\.', as torch's DataParallel writes them: remove"):
        predicting(net).load(tmp_path / "net")


def test_what_fits_in_nothing_is_not_loaded_without_a_word(tmp_path: Path) -> None:
    predicting(network()).save(tmp_path / "run")
    values = safetensors.torch.load_file(tmp_path / "run")
    safetensors.torch.save_file({f"model.{name}": value for name, value in values.items()}, tmp_path / "other")
    with pytest.raises(CheckpointError, match=r"none of its names is one of the program's\. Names follow from"):
        predicting(network()).load(tmp_path / "other", strict=False)


@pytest.mark.parametrize("strict", [True, False])
def test_the_remedy_for_types_is_not_to_be_less_strict(strict: bool, tmp_path: Path) -> None:
    predicting(network()).save(tmp_path / "run")
    values = safetensors.torch.load_file(tmp_path / "run")
    safetensors.torch.save_file({name: value.double() for name, value in values.items()}, tmp_path / "other")
    with pytest.raises(CheckpointError, match=r"f64\[5\] in the file, f32.*Values are neither converted nor matched"):
        predicting(network()).load(tmp_path / "other", strict=strict)


def test_a_name_that_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    path = f"{tmp_path}/run\udcff"
    for action in (predicting(network()).save, predicting(network()).load):
        with pytest.raises(CheckpointError, match=r"run\\udcff.*a path that is not UTF-8"):
            action(path)
    assert not list(tmp_path.iterdir())


def test_names_that_do_not_fit_in_a_header(tmp_path: Path) -> None:
    x = graphc.placeholder("x", ("batch", 2))
    long = Parameter(torch.zeros(2), name="n" * 40_000_000)  # and each name is there three times
    program = graphc.compile([x], x + long, backend="reference")
    with pytest.raises(CheckpointError, match=r"cannot be written: .*header too large\. The names of all cells may"):
        program.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_files_of_other_kinds(tmp_path: Path) -> None:
    program = predicting(network())
    torch.save(nn.Linear(2, 1).state_dict(), tmp_path / "pickle.pt")
    program.graph.save(tmp_path / "graph.json")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("hello " * 10)
    program.save(tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-1])
    expected = {
        "pickle.pt": r"is a pickle, as torch.save writes them, and reading one can run any code",
        "graph.json": r"is text, maybe a saved graph \(Graph.load\)",
        "empty": "is empty",
        "text": "is no whole safetensors file",
        "cut": "is no whole safetensors file",
        "missing": "cannot be read: no such file or directory",
        ".": "is a folder",
        "nul\0": "cannot be read: embedded null",
    }
    for name, message in expected.items():
        path = str(tmp_path / name) if "\0" not in name else name
        with pytest.raises(CheckpointError, match=f"{re.escape(graphc.errors.one_line(path))}: {message}"):
            program.load(path)
    with pytest.raises(CheckpointError, match=r"a path is a string or a pathlib\.Path, not 3"):
        program.load(3)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"a path is a string or a pathlib\.Path, not None"):
        program.save(None)  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match="cannot be written: no such file or directory"):
        program.save(tmp_path / "none" / "run")
    with pytest.raises(CheckpointError, match="cannot be written: is a folder"):
        program.save(tmp_path)
    with pytest.raises(CheckpointError, match="text/: cannot be written: not a directory"):
        program.save(f"{tmp_path}/text/")


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the JSON of a checkpoint."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"]["graphc"])
    change(about)
    header["__metadata__"]["graphc"] = json.dumps(about)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda about: about.update(version=2, graphc="9.1.0"),
            "has version 2, written by graphc 9.1.0, and this graphc reads up to 1. Install a newer graphc",
        ),
        (lambda about: about.update(version=True), "has version True, which there is not"),
        (lambda about: about.update(format="x"), 'is no graphc checkpoint: its header does not say "format"'),
        (lambda about: about.update(cells={}), "has a header without a list of cells"),
        (lambda about: about["cells"].append([1, 2, 3]), r"has a header with \[1, 2, 3\] among its cells"),
        (lambda about: about["cells"][0].__setitem__(1, "x"), "has a header with the role 'x', which there is not"),
        (lambda about: about["cells"][0].__setitem__(0, "x"), "says that it has 'x', and has not"),
        (lambda about: about["cells"].pop(), "has a tensor '.*', of which its header says nothing"),
        (lambda about: about.update(fit=3), "has a header whose record of a run is not one"),
    ],
)
def test_headers_are_checked(change: Callable[[dict[str, Any]], None], match: str, tmp_path: Path) -> None:
    program = training(network())
    program.save(tmp_path / "run")
    rewritten(tmp_path / "run", change)
    before = program.new_state()
    with pytest.raises(CheckpointError, match=match):
        program.load(tmp_path / "run")
    assert_equal(before, program.state)


def test_a_state_that_is_being_updated_is_not_saved(tmp_path: Path) -> None:
    program = training(network())
    state = program.new_state()
    with state.updating(frozenset(program.state.cells)), pytest.raises(StateError, match="being updated by another"):
        program.save(tmp_path / "run", state=state)
    assert not (tmp_path / "run").exists()
    program.save(tmp_path / "run", state=state)
    with state.updating(frozenset(program.state.cells)), pytest.raises(StateError, match="being updated by another"):
        program.load(tmp_path / "run", state=state)


def test_updating_calls_wait_while_values_are_copied(tmp_path: Path) -> None:
    """A thread that saves must not end the training of another."""
    program = training(network())
    began, released, refused = threading.Event(), threading.Event(), []

    class Waiting(State):
        def read(self, cell: Any) -> torch.Tensor:
            if threading.current_thread().name == "saves":
                began.set()
                released.wait(20)
            return super().read(cell)

    state = Waiting(program.state.cells, {cell: cell.value.clone() for cell in program.state.cells})
    before = state.copy()

    def work() -> None:
        try:
            program(X, Y, state=state)
        except StateError as error:
            refused.append(error)

    saves = threading.Thread(target=program.save, args=(tmp_path / "run",), kwargs={"state": state}, name="saves")
    works = threading.Thread(target=work)
    saves.start()
    assert began.wait(20)
    works.start()
    works.join(0.1)
    is_waiting = works.is_alive()
    released.set()
    works.join(20)
    saves.join(20)
    assert is_waiting
    assert not refused
    found = program.new_state()
    program.load(tmp_path / "run", state=found)
    assert_equal(found, before)


def test_a_signal_handler_saves_while_its_thread_does(tmp_path: Path) -> None:
    program = training(network())
    with program.state.resting(program.state.cells):
        program.save(tmp_path / "run")
    assert (tmp_path / "run").exists()


def test_a_state_of_another_program(tmp_path: Path) -> None:
    other = training(network()).new_state()
    with pytest.raises(StateError, match="it was made for another program"):
        predicting(network()).save(tmp_path / "run", state=other)
    assert not (tmp_path / "run").exists()


def test_saving_in_a_callback(tmp_path: Path) -> None:
    program = training(network())
    kept: list[State] = []

    def keep(epoch: Any) -> None:
        program.save(tmp_path / f"{epoch.number}")
        kept.append(program.new_state())

    program.fit(X, Y, batch_size=7, epochs=2, on_epoch=keep)
    state = program.new_state()
    for number, expected in enumerate(kept, 1):
        program.load(tmp_path / str(number), state=state)
        assert_equal(state, expected)


def test_threads_save_at_once(tmp_path: Path) -> None:
    program = training(network())
    states = [program.new_state(seed=i) for i in range(6)]

    def save(state: State) -> None:
        for _ in range(5):
            program.save(tmp_path / "run", state=state)

    threads = [threading.Thread(target=save, args=(state,)) for state in states]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = program.new_state()
    program.load(tmp_path / "run", state=found)
    equal = [all(torch.equal(found.read(c), state.read(c)) for c in program.state.cells) for state in states]
    assert sum(equal) == 1


def test_the_version_is_in_the_file(tmp_path: Path) -> None:
    predicting(network()).save(tmp_path / "run")
    with safetensors.safe_open(tmp_path / "run", framework="pt") as file:
        about = json.loads(file.metadata()["graphc"])
    assert about["format"] == checkpoints.FORMAT
    assert about["version"] == checkpoints.VERSION
    assert about["graphc"] == graphc.__version__
