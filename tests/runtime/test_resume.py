"""`fit(checkpoint=..., resume=True)`: runs that go on bit for bit. `tools/prove.py resume` cuts many more."""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import struct
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import graphc
from graphc import CheckpointError, InputError, Program, nn, optim
from graphc.runtime import resume
from graphc.runtime.runner import Runner

X, Y = torch.randn(53, 2), torch.randn(53, 1)


def training(backend: str = "auto", activation: type[nn.Module] = nn.Tanh) -> Program:
    torch.manual_seed(0)
    x, y = graphc.placeholder("x", ("batch", 2)), graphc.placeholder("y", ("batch", 1))
    net = nn.Sequential(nn.Linear(2, 5), nn.Dropout(0.3), activation(), nn.Linear(5, 1))
    loss = nn.MSELoss()(net(x), y)
    return graphc.compile([x, y], {"loss": loss}, optim.Adam(net.parameters()).minimize(loss), backend=backend)


def bits(program: Program) -> list[bytes]:
    return [program.state.read(cell).numpy().tobytes() for cell in program.state.cells]


def fit(program: Program, **options: Any) -> graphc.History:
    return program.fit(X, Y, **{"batch_size": 10, "epochs": 6, "seed": 4, **options})


class Cut(Exception):  # noqa: N818 - what ends a process
    """The process ends here."""


def cut_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """End the run after so many checkpoints."""
    write, left = resume.write_checkpoint, [writes]

    def count(*arguments: Any) -> None:
        write(*arguments)
        left[0] -= 1
        if not left[0]:
            raise Cut("here")

    monkeypatch.setattr(resume, "write_checkpoint", count)


@pytest.mark.parametrize("backend", ["c", "torch", "reference"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("validation", [None, (X[:20], Y[:20])])
def test_a_run_goes_on_with_the_same_bits(
    backend: str, shuffle: bool, validation: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"shuffle": shuffle, "validation": validation}
    whole = training(backend)
    expected = fit(whole, **options)
    path = tmp_path / "run"
    for writes in (2, 3, 8):  # in the middle of epochs where Python leads the steps, between them in native runs
        program = training(backend)
        with monkeypatch.context() as patched:
            cut_after(writes, patched)
            patched.setattr("graphc.backends.c.loop.BUDGET", 0.0)
            with pytest.raises(Cut, match="here"):
                fit(program, checkpoint=path, checkpoint_every=0.0, resume=True, **options)
    program = training(backend)
    history = fit(program, checkpoint=path, resume=True, **options)
    assert history.metrics == expected.metrics
    assert history.steps == expected.steps
    assert len(history.seconds) == 6
    assert bits(program) == bits(whole)


def test_native_runs_are_cut_in_the_middle_of_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = training("c")
    expected = fit(whole)
    monkeypatch.setattr("graphc.backends.c.loop.BUDGET", 0.0)
    seen = set()
    program = training("c")
    for _ in range(40):
        with monkeypatch.context() as patched:
            cut_after(1, patched)
            with pytest.raises(Cut, match="here"):
                fit(program, checkpoint=tmp_path / "run", checkpoint_every=0.0, resume=True)
        record = about(tmp_path / "run")["fit"]
        seen.add((record["epochs"], record["samples"]))
        program = training("c")
        if record["epochs"] == 6:
            break
    assert any(samples for _, samples in seen)
    history = fit(program, checkpoint=tmp_path / "run", resume=True)
    assert history.metrics == expected.metrics
    assert bits(program) == bits(whole)


@pytest.mark.parametrize("backend", ["c", "torch"])
@pytest.mark.parametrize("turn", [1, 5, 6, 7, 12])
def test_an_interrupt_does_not_keep_an_epoch_from_its_callback(
    backend: str, turn: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `on_epoch` sets after an epoch belongs to the checkpoint of that epoch's end."""

    def slower(epoch: graphc.Epoch) -> None:
        epoch.set(lr=0.1 / epoch.number)

    whole = training(backend)
    expected = fit(whole, epochs=3, on_epoch=slower, validation=(X[:9], Y[:9]))
    program = training(backend)
    work, turns = Runner.advance if backend == "c" else Runner.step, [turn]

    def interrupted(*arguments: Any) -> Any:
        turns[0] -= 1
        result = work(*arguments)
        if not turns[0]:
            signal.raise_signal(signal.SIGINT)
        return result

    options = {"epochs": 3, "on_epoch": slower, "validation": (X[:9], Y[:9]), "checkpoint": tmp_path / "run"}
    with monkeypatch.context() as patched:
        patched.setattr("graphc.backends.c.loop.BUDGET", 0.0)  # one step or an epoch's end at a time
        patched.setattr(Runner, work.__name__, interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            fit(program, **options)
    fresh = training(backend)
    history = fit(fresh, resume=True, **options)
    assert history.metrics == expected.metrics
    assert bits(fresh) == bits(whole)


@pytest.mark.parametrize("backend", ["c", "torch"])
@pytest.mark.parametrize(
    ("target", "turn"),
    [
        ("graphc.runtime.training.permutation", 2),  # the order of an epoch
        ("graphc.runtime.training._pass_over", 3),  # a whole epoch, or its validation
        ("graphc.runtime.history.History.add", 1),
        ("graphc.runtime.history.History.add", 2),
        ("graphc.runtime.resume.Saver.mark", 2),
        ("graphc.runtime.resume.Saver.write", 2),
    ],
)
def test_an_interrupt_between_steps_leaves_a_checkpoint(
    backend: str, target: str, turn: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"epochs": 3, "validation": (X[:9], Y[:9])}
    is_native = backend == "c" and "training." in target  # then it is not called
    whole = training(backend)
    expected = fit(whole, **options)
    work, turns = pkgutil.resolve_name(target), [turn]

    def interrupted(*arguments: Any) -> Any:
        turns[0] -= 1
        if not turns[0]:
            signal.raise_signal(signal.SIGINT)
        return work(*arguments)

    path, program = tmp_path / "run", training(backend)
    with monkeypatch.context() as patched:
        patched.setattr("graphc.backends.c.loop.BUDGET", 0.0)
        patched.setattr(target, interrupted)
        with nullcontext() if is_native else pytest.raises(KeyboardInterrupt, match=r"^$"):
            fit(program, checkpoint=path, checkpoint_every=0.0, **options)
    assert (turns[0] > 0) == is_native
    assert path.exists()
    fresh = training(backend)
    history = fit(fresh, checkpoint=path, resume=True, **options)
    assert history.metrics == expected.metrics
    assert bits(fresh) == bits(whole)


def test_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    whole = training()
    expected = fit(whole, epochs=9)
    path = tmp_path / "run"
    fit(training(), checkpoint=path)
    program = training()
    history = fit(program, checkpoint=path, resume=True, epochs=9)
    assert history.metrics == expected.metrics
    assert bits(program) == bits(whole)
    again = fit(training(), checkpoint=path, resume=True, epochs=9)
    assert again.metrics == expected.metrics
    with pytest.raises(InputError, match=r"epochs is 6, and the run in .*run has done 9"):
        fit(training(), checkpoint=path, resume=True)


def test_a_run_that_was_stopped_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "run"
    fit(training(), checkpoint=path, on_epoch=lambda epoch: epoch.stop() if epoch.number == 3 else None)
    numbers: list[int] = []
    history = fit(training(), checkpoint=path, resume=True, on_epoch=lambda epoch: numbers.append(epoch.number))
    assert history.epochs == 3
    assert not numbers


def test_hyper_parameters_that_were_set_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def halve(epoch: graphc.runtime.training.Epoch) -> None:
        epoch.set(lr=epoch.state["lr"].item() / 2)

    whole = training()
    expected = fit(whole, on_epoch=halve)
    with monkeypatch.context() as patched:
        cut_after(3, patched)
        with pytest.raises(Cut, match="here"):
            fit(training(), checkpoint=tmp_path / "run", checkpoint_every=0.0, on_epoch=halve)
    program = training()
    assert fit(program, checkpoint=tmp_path / "run", resume=True, on_epoch=halve).metrics == expected.metrics
    assert bits(program) == bits(whole)


def test_the_program_of_a_checkpoint_predicts_and_loads(tmp_path: Path) -> None:
    program = training()
    fit(program, checkpoint=tmp_path / "run")
    other = training()
    other.load(tmp_path / "run")
    assert bits(other) == bits(program)


# What is refused ------------------------------------------------------------------------------------------------------


def about(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    found: dict[str, Any] = json.loads(header["__metadata__"]["graphc"])
    return found


def test_a_file_is_not_written_over_unasked(tmp_path: Path) -> None:
    path = tmp_path / "run"
    fit(training(), checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=r"run: is there already. Pass resume=True to go on with the run in it"):
        fit(training(), checkpoint=path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"batch_size": 11}, "batch_size is 11 here, and 10 in the run that it has. Use the same"),
        ({"seed": 5}, "seed is 5 here, and 4 in the run that it has"),
        ({"shuffle": False}, "shuffle is 0 here, and 1 in the run"),
        ({"validation": (X, Y)}, "its run is one with other validation data, or without any"),
    ],
)
def test_another_way_to_train(change: dict[str, Any], match: str, tmp_path: Path) -> None:
    fit(training(), checkpoint=tmp_path / "run")
    program = training()
    before = bits(program)
    with pytest.raises(CheckpointError, match=match):
        fit(program, checkpoint=tmp_path / "run", resume=True, **change)
    assert bits(program) == before


def test_other_data_and_other_programs(tmp_path: Path) -> None:
    fit(training(), checkpoint=tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"its run is one on other data. program.load\(path\) takes the values"):
        training().fit(X + 1, Y, batch_size=10, epochs=6, seed=4, checkpoint=tmp_path / "run", resume=True)
    with pytest.raises(CheckpointError, match="its run is one of another program: the graph has changed"):
        fit(training(activation=nn.ReLU), checkpoint=tmp_path / "run", resume=True)
    with pytest.raises(CheckpointError, match=r"samples is 50 here, and 53 in the run"):
        training().fit(X[:50], Y[:50], batch_size=10, epochs=6, seed=4, checkpoint=tmp_path / "run", resume=True)
    laid_out = torch.stack([X, X], -1)[..., 0]  # other strides
    training().fit(laid_out, Y, batch_size=10, epochs=6, seed=4, checkpoint=tmp_path / "run", resume=True)


def test_lines_and_rates_may_change(tmp_path: Path) -> None:
    program = training()
    fit(program, checkpoint=tmp_path / "run")
    program = training()
    program.state["lr"] = 0.5
    fit(program, checkpoint=tmp_path / "run", resume=True)
    assert program.state["lr"].item() == 0.001


def test_files_without_a_run(tmp_path: Path) -> None:
    program = training()
    program.save(tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"has values, but no run to go on with. program.load\(path\) reads them"):
        fit(program, checkpoint=tmp_path / "run", resume=True)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda fit: fit.update(epochs=-1), "the record of its run is not whole"),
        (lambda fit: fit.update(epochs=7), "the record of its run is not whole"),
        (lambda fit: fit.update(samples=54), "the record of its run is not whole"),
        (lambda fit: fit.update(samples=45), "the record of its run is not whole"),
        (lambda fit: fit.update(names=["a", "b"]), "the record of its run is not whole"),
        (lambda fit: fit.update(names=[3]), "the record of its run is not whole"),
        (lambda fit: fit.update(steps=1.5), "the record of its run has 1.5 for 'steps'"),
        (lambda fit: fit.pop("settings"), "the record of its run has None for 'settings'"),
    ],
)
def test_records_are_checked(change: Callable[[dict[str, Any]], None], match: str, tmp_path: Path) -> None:
    path = tmp_path / "run"
    fit(training(), checkpoint=path)
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header, changed = json.loads(data[8 : 8 + length]), about(path)
    change(changed["fit"])
    header["__metadata__"]["graphc"] = json.dumps(changed)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    program = training()
    before = bits(program)
    with pytest.raises(CheckpointError, match=match):
        fit(program, checkpoint=path, resume=True)
    assert bits(program) == before


@pytest.mark.parametrize("sums", [0, 2])
def test_a_position_within_an_epoch_has_its_sums(sums: int, tmp_path: Path) -> None:
    fit(training(), checkpoint=tmp_path / "run")
    changed, tensors = about(tmp_path / "run"), safetensors.torch.load_file(tmp_path / "run")
    changed["fit"]["samples"] = 20
    tensors["fit:totals"] = torch.zeros(sums, dtype=torch.float64)
    safetensors.torch.save_file(tensors, tmp_path / "run", {"graphc": json.dumps(changed)})
    with pytest.raises(CheckpointError, match="the record of its run is not whole"):
        fit(training(), checkpoint=tmp_path / "run", resume=True, epochs=7)


def test_a_run_that_is_longer_than_asked_for_changes_nothing(tmp_path: Path) -> None:
    fit(training(), checkpoint=tmp_path / "run")
    program = training()
    before = bits(program)
    with pytest.raises(InputError, match=r"epochs is 5, and the run in .*run has done 6"):
        fit(program, checkpoint=tmp_path / "run", resume=True, epochs=5)
    assert bits(program) == before


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("missing/run", "cannot be written: no such file or directory"),
        ("folder", "cannot be written: is a folder"),
        ("new/", "cannot be written: is a folder"),
        ("pipe", "cannot be written: is not a plain file"),
        ("a\0b", "cannot be written: embedded null byte"),
    ],
)
@pytest.mark.parametrize("resumed", [True, False])
def test_a_path_that_cannot_be_written_is_refused_before_training(
    name: str, match: str, resumed: bool, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    program = training()
    before = bits(program)
    with pytest.raises(CheckpointError, match=match):
        fit(program, checkpoint=f"{tmp_path}/{name}", resume=resumed)
    assert bits(program) == before
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "pipe"}


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"resume": True}, "resume=True goes on with the run of a file; name it with checkpoint=path"),
        ({"checkpoint_every": 60.0}, "checkpoint_every says when a file is written; name it with checkpoint=path"),
        ({"checkpoint": 3}, "checkpoint is a path, not 3"),
        ({"checkpoint": "x", "resume": "yes"}, "resume is True or False, not 'yes'"),
        ({"checkpoint": ""}, "checkpoint is a path, not ''"),
        ({"checkpoint": "x", "checkpoint_every": -1}, "checkpoint_every is a number of seconds, 0 or more, not -1"),
        ({"checkpoint": "x", "checkpoint_every": "1"}, "checkpoint_every is a number of seconds"),
        ({"checkpoint": "x", "checkpoint_every": float("nan")}, "checkpoint_every is a number of seconds"),
    ],
)
def test_options_are_checked(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        fit(training(), **options)
