"""Checkpoints that are not there, not whole or not of this program, and values that are not finite."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save_file

import graphc
from graphc import nn, optim
from tests.mistakes.mistake import built, called, raised

points = graphc.placeholder("points", ("batch", 2))
labels = graphc.placeholder("labels", ("batch", 1))
x, y = torch.ones(8, 2), torch.ones(8, 1)


def network(width: int = 3) -> nn.Sequential:
    """A small one."""
    return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, 1))


def predictor(width: int = 3) -> graphc.Program:
    """A program without updates."""
    return graphc.compile([points], network(width)(points), backend="reference")


def trainer() -> graphc.Program:
    """A program with updates."""
    net = network()
    loss = nn.MSELoss()(net(points), labels)
    updates = optim.Adam(net.parameters()).minimize(loss)
    return graphc.compile([points, labels], loss, updates=updates, backend="reference")


@contextmanager
def checkpoint(name: str, data: bytes = b"", values: Mapping[str, torch.Tensor] | None = None) -> Iterator[str]:
    """The path of a file with these bytes, or with these values as safetensors."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        if values is None:
            path.write_bytes(data)
        else:
            save_file(dict(values), path)
        yield str(path)


def values(width: int = 3) -> dict[str, torch.Tensor]:
    """A state dict of torch for the same network."""
    return torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.Tanh(), torch.nn.Linear(width, 1)).state_dict()


# Files ----------------------------------------------------------------------------------------------------------------


@raised("net.safetensors", "no such file", "no such file")
def checkpoint_is_not_there() -> object:
    with tempfile.TemporaryDirectory() as folder:
        return predictor().load(f"{folder}/net.safetensors")


@raised("nets", "folder", "folder")
def checkpoint_is_a_folder() -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nets")
        path.mkdir()
        return predictor().load(path)


@raised("net.pt", "pickle", "safetensors.torch.save_file")
def checkpoint_is_a_pickle() -> object:
    with checkpoint("net.pt", b"PK\x03\x04" + b"\x80\x02c__builtin__" * 9) as path:
        return predictor().load(path)


@raised("net.txt", "safetensors", "program.save")
def checkpoint_is_text() -> object:
    with checkpoint("net.txt", b"0.weight = 1.0, 2.0, 3.0") as path:
        return predictor().load(path)


@raised("net.safetensors", "safetensors | empty", "program.save")
def checkpoint_is_empty() -> object:
    with checkpoint("net.safetensors") as path:
        return predictor().load(path)


@raised("net.safetensors", "safetensors", "cut off | whole | program.save")
def checkpoint_is_cut_off() -> object:
    with checkpoint("net.safetensors", values=values()) as path:
        Path(path).write_bytes(Path(path).read_bytes()[:-16])
        return predictor().load(path)


@raised("net.json", "safetensors", "program.save | Graph.load")
def checkpoint_is_a_graph() -> object:
    with checkpoint("net.json", json.dumps({"format": "graphc graph"}).encode()) as path:
        return predictor().load(path)


@raised("path", "None", "string | pathlib.Path")
def checkpoint_is_none() -> object:
    return predictor().load(None)  # type: ignore[arg-type]


@raised("path", "OrderedDict", "string & pathlib.Path")
def checkpoint_is_a_state_dict() -> object:
    return predictor().load(values())  # type: ignore[arg-type]


@raised("missing", "no such file", "no such file | folder")
def checkpoint_goes_into_a_folder_that_is_not_there() -> object:
    with tempfile.TemporaryDirectory() as folder:
        return predictor().save(f"{folder}/missing/net.safetensors")


@raised("nets", "folder | directory", "folder | directory")
def checkpoint_goes_over_a_folder() -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nets")
        path.mkdir()
        return predictor().save(path)


# Other programs -------------------------------------------------------------------------------------------------------


@raised("net.safetensors & 0.weight", "[3,2] | [3, 2] | f32[3,2] & [4,2] | [4, 2] | f32[4,2]", "same | program | sizes")
def checkpoint_is_of_a_wider_network() -> object:
    with checkpoint("net.safetensors", values=values(4)) as path:
        return predictor().load(path)


@raised("net.safetensors & 0.weight", "f64[3,2] & f32[3,2]", "build the program")
def checkpoint_is_of_doubles() -> object:
    with checkpoint("net.safetensors", values={name: value.double() for name, value in values().items()}) as path:
        return predictor().load(path)


@raised("net.safetensors & 2.bias", "has no parameter", "strict=False")
def checkpoint_lacks_a_parameter() -> object:
    found = values()
    found.pop("2.bias")
    with checkpoint("net.safetensors", values=found) as path:
        return predictor().load(path)


@raised("net.safetensors & 4.weight", "not have | unexpected | no parameter", "strict=False")
def checkpoint_has_a_parameter_too_many() -> object:
    with checkpoint("net.safetensors", values={**values(), "4.weight": torch.ones(1)}) as path:
        return predictor().load(path)


@raised("net.safetensors & 0.weight", "module.", "remove that from the keys")
def checkpoint_is_of_data_parallel() -> object:
    with checkpoint("net.safetensors", values={f"module.{name}": value for name, value in values().items()}) as path:
        return predictor().load(path)


@raised("net.safetensors & exp_avg | slot | step", "has no slot", "strict=False")
def checkpoint_of_torch_is_to_go_on_training() -> object:
    with checkpoint("net.safetensors", values=values()) as path:
        return trainer().load(path)


@raised("state", "dict", "new_state()")
def checkpoint_is_read_into_a_dict() -> object:
    with checkpoint("net.safetensors", values=values()) as path:
        return predictor().load(path, state={})  # type: ignore[arg-type]


@raised("fit & resume", "True", "checkpoint=path")
def fit_resumes_nothing() -> object:
    return trainer().fit(x, y, batch_size=2, epochs=1, resume=True)


@raised("net.safetensors", "batch_size & 4 & 2", "same | settings | batch_size=4")
def fit_resumes_with_another_batch_size() -> object:
    with tempfile.TemporaryDirectory() as folder:
        path, program = f"{folder}/net.safetensors", trainer()
        program.fit(x, y, batch_size=4, epochs=1, checkpoint=path)
        return program.fit(x, y, batch_size=2, epochs=2, checkpoint=path, resume=True)


@raised("net.safetensors", "samples & 6 & 8", "use the same")
def fit_resumes_with_other_data() -> object:
    with tempfile.TemporaryDirectory() as folder:
        path, program = f"{folder}/net.safetensors", trainer()
        program.fit(x, y, batch_size=4, epochs=1, checkpoint=path)
        return program.fit(x[:6], y[:6], batch_size=4, epochs=2, checkpoint=path, resume=True)


@raised("checkpoint_every", "-1", "0 or more | positive | seconds")
def fit_writes_checkpoints_in_negative_time() -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/net.safetensors"
        return trainer().fit(x, y, batch_size=4, epochs=1, checkpoint=path, checkpoint_every=-1)


@raised("checkpoint_every", "file", "checkpoint=path")
def fit_writes_checkpoints_nowhere() -> object:
    return trainer().fit(x, y, batch_size=4, epochs=1, checkpoint_every=2.0)


# Values that are not finite -------------------------------------------------------------------------------------------


@raised("compile & nancheck", "'yes'", "True & False")
def nancheck_is_a_word() -> object:
    return graphc.compile([points], points.sum(), nancheck="yes")  # type: ignore[arg-type]


@built("log", "nan | NaN | -inf", "input | points")
def nancheck_finds_a_logarithm() -> object:
    logarithm = points.log()  # here
    program = graphc.compile([points], logarithm.sum(), backend="reference", nancheck=True)
    return program(torch.zeros(2, 2))


@called("points", "nan | NaN & 1 & 0", "data | input")
def nancheck_finds_data() -> object:
    p = graphc.placeholder("points", ("batch", 2))  # declared
    program = graphc.compile([p], p.sum(), backend="reference", nancheck=True)
    data = torch.ones(3, 2)
    data[1, 0] = float("nan")
    return program(data)


@built("crossentropyloss | cross_entropy | where", "nan | NaN", "target that is no class")
def nancheck_finds_a_class_that_is_not_there() -> object:
    logits = graphc.placeholder("logits", ("batch", 3))
    classes = graphc.placeholder("classes", ("batch",), torch.int64)
    loss = nn.CrossEntropyLoss()(logits, classes)  # here
    program = graphc.compile([logits, classes], loss, backend="reference", nancheck=True)
    return program(torch.ones(2, 3), torch.tensor([0, 3]))
