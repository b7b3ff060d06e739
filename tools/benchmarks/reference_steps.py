"""C by hand (reference.c), compiled by gcc for this processor, an epoch a call."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tools.benchmarks.epochs import Epochs
from tools.benchmarks.workloads import Workload

FLAGS = ("-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp", "-shared", "-fPIC")
ROW, NET_ROWS = 32, 72
FLOAT, INT, LONG = ctypes.c_float, ctypes.c_int, ctypes.c_long


def epochs(work: Workload, threads: int) -> Epochs:
    """The small networks use one thread, and the pointwise chain those of the environment."""
    del threads
    library = compiled("reference.c")
    return _pointwise(library, work) if work.pointwise else _network(library, work)


def compiled(name: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "library.so"
        source = Path(__file__).with_name(name)
        subprocess.run(["gcc", *FLAGS, str(source), "-o", str(library), "-lmvec", "-lm"], check=True)
        return ctypes.CDLL(str(library))


def _network(library: ctypes.CDLL, work: Workload) -> Epochs:
    x, targets = (np.stack(arrays) for arrays in zip(*work.batches(), strict=True))
    columns = _aligned(work.steps, targets.shape[2], ROW)
    columns[:, :, : work.batch] = targets.transpose(0, 2, 1)
    losses = np.zeros(work.steps, np.float32)
    data = (_pointer(x), _pointer(columns), INT(work.steps), FLOAT(work.options["lr"]), _pointer(losses))
    net, *moments = _net(work.parameters()), _aligned(NET_ROWS, ROW), _aligned(NET_ROWS, ROW)
    powers = np.ones(2)
    if work.optimiser == "SGD":
        epoch = functools.partial(library.epoch_sgd, _pointer(net), *data)
    else:
        epoch = functools.partial(library.epoch_adam, _pointer(net), *map(_pointer, moments), _pointer(powers), *data)

    def train(count: int, _arrays: object = (x, columns, net, moments, powers)) -> list[float]:  # C has only addresses
        for _ in range(count):
            epoch()
        return losses.tolist()

    return train


def _net(parameters: dict[str, np.ndarray]) -> np.ndarray:
    """As `Net` of reference.c has them: the last layer's weights as outputs × inputs, everything else as it is."""
    net = _aligned(NET_ROWS, ROW)
    names = ("weight0", "bias0", "weight1", "weight2", "bias1", "bias2", "weight3", "bias3")
    for name, row in zip(names, (0, 2, 3, 35, 67, 68, 69, 71), strict=True):
        value = parameters[name].T if name == "weight3" else np.atleast_2d(parameters[name])
        net[row : row + value.shape[0], : value.shape[1]] = value
    return net


def _pointwise(library: ctypes.CDLL, work: Workload) -> Epochs:
    library.pointwise.restype = ctypes.c_double
    (x,), parameters = work.data(), work.parameters()
    arrays = [_aligned(work.samples) for _ in range(3)]
    for room, value in zip(arrays, (x, parameters["a"], parameters["b"]), strict=True):
        room[:] = value

    def train(count: int) -> list[float]:
        arguments = (*map(_pointer, arrays), LONG(work.samples), FLOAT(work.options["lr"]))
        return [library.pointwise(*arguments) for _ in range(count)][-1:]

    return train


def _aligned(*shape: int) -> np.ndarray:
    """Zeros that start at a multiple of 64 bytes, as vectors have to."""
    count = int(np.prod(shape))
    room = np.zeros(count + 16, np.float32)
    start = -room.ctypes.data % 64 // 4
    return room[start : start + count].reshape(shape)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
