"""What is trained: data, initial weights, networks, losses and optimisers, in NumPy and names alone.

Every contender reads this module, and some run in an interpreter that has neither torch nor graphc.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Chain:
    """Linear layers, each with what follows it: the name of an activation, or "" for none."""

    sizes: tuple[int, ...]
    activations: tuple[str, ...]

    def weights(self, random: np.random.Generator) -> list[np.ndarray]:
        """Weights of inputs × outputs and biases, by turns, in the distribution of torch's Linear."""
        found = []
        for size_in, size_out in zip(self.sizes[:-1], self.sizes[1:], strict=True):
            bound = 1 / math.sqrt(size_in)
            found.append(random.uniform(-bound, bound, (size_in, size_out)).astype(np.float32))
            found.append(random.uniform(-bound, bound, size_out).astype(np.float32))
        return found


@dataclass(frozen=True)
class Workload:
    """A training run in small: `chains` is one network, two that share (`sharing`), or none for the pointwise chain."""

    name: str
    title: str
    chains: tuple[Chain, ...]
    loss: str
    optimiser: str
    options: dict[str, float]
    batch: int
    make_data: Callable[[np.random.Generator], tuple[np.ndarray, ...]]
    samples: int
    checked: int = 2
    """The mean loss of this epoch is compared between contenders."""

    @property
    def sharing(self) -> bool:
        return len(self.chains) == 2

    @property
    def pointwise(self) -> bool:
        return not self.chains

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return self.samples // self.batch

    def data(self) -> tuple[np.ndarray, ...]:
        return self.make_data(np.random.default_rng(7))

    def batches(self) -> list[tuple[np.ndarray, ...]]:
        rows = [slice(start, start + self.batch) for start in range(0, self.samples, self.batch)]
        return [tuple(np.ascontiguousarray(array[each]) for array in self.data()) for each in rows]

    def parameters(self) -> Arrays:
        """`weight0`, `bias0`, `weight1`, … in order of the layers; `a` and `b` of the pointwise chain."""
        random = np.random.default_rng(11)
        if self.pointwise:
            return {name: random.standard_normal(self.samples).astype(np.float32) for name in "ab"}
        arrays = [array for chain in self.chains for array in chain.weights(random)]
        return {f"{'bias' if i % 2 else 'weight'}{i // 2}": array for i, array in enumerate(arrays)}


def pointwise_chain(x: Any, a: Any, b: Any, exp: Callable, tanh: Callable, sigmoid: Callable) -> Any:
    """Some twenty operations on each element, for any library of arrays."""
    affine = x * a + b
    bent = tanh(affine)
    gated = bent * sigmoid(affine)
    shifted = gated + x
    bell = exp(-(shifted * shifted))
    wave = tanh(bell * a + bent)
    switch = sigmoid(wave * b - gated)
    centre = switch * affine + bell
    return exp(-(centre * centre)) * wave + centre


def _disk(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    points = random.random((1000, 2), dtype=np.float32)
    inside = np.square(points - 0.5).sum(axis=1, keepdims=True) < 1 / (2 * np.pi)
    return points, inside.astype(np.float32)


def _disk_two_columns(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    points, inside = _disk(random)
    return points, np.concatenate([inside, 1 - inside], axis=1)


def _pairs(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = random.random((1000, 4), dtype=np.float32)
    return x, (x[:, :2].sum(axis=1, keepdims=True) > x[:, 2:].sum(axis=1, keepdims=True)).astype(np.float32)


def _classes(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return random.standard_normal((1024, 784), dtype=np.float32), random.integers(0, 10, 1024)


def _wide(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return tuple(random.standard_normal((1024, 1024), dtype=np.float32) for _ in range(2))


ELEMENTS = 1 << 22
ADAM = {"lr": 1e-3}
TANH = ("tanh", "tanh", "tanh", "")
MIXED = ("tanh", "relu", "relu", "sigmoid")

WORKLOADS = {
    work.name: work
    for work in (
        Workload(
            "disk_sgd",
            "2-25-25-25-2 tanh, MSE, SGD, batch 25",
            (Chain((2, 25, 25, 25, 2), TANH),),
            "MSELoss",
            "SGD",
            {"lr": 0.01},
            25,
            _disk_two_columns,
            1000,
        ),
        Workload(
            "disk_adam",
            "2-25-25-25-1 tanh relu relu sigmoid, BCE, Adam, batch 25",
            (Chain((2, 25, 25, 25, 1), MIXED),),
            "BCELoss",
            "Adam",
            ADAM,
            25,
            _disk,
            1000,
        ),
        Workload(
            "sharing_adam",
            "shared 2-25-25 relu, cat, 50-25-1 relu sigmoid, MSE, Adam, batch 25",
            (Chain((2, 25, 25), ("relu", "relu")), Chain((50, 25, 1), ("relu", "sigmoid"))),
            "MSELoss",
            "Adam",
            ADAM,
            25,
            _pairs,
            1000,
        ),
        Workload(
            "mlp_mid",
            "784-512-512-10 relu, cross-entropy, Adam, batch 128",
            (Chain((784, 512, 512, 10), ("relu", "relu", "")),),
            "CrossEntropyLoss",
            "Adam",
            ADAM,
            128,
            _classes,
            1024,
        ),
        Workload(
            "mlp_wide",
            "1024-2048-2048-1024 gelu, MSE, SGD momentum, batch 256",
            (Chain((1024, 2048, 2048, 1024), ("gelu", "gelu", "")),),
            "MSELoss",
            "SGD",
            {"lr": 0.01, "momentum": 0.9},
            256,
            _wide,
            1024,
        ),
        Workload(
            "pointwise",
            "20 pointwise operations on 4,194,304 elements, mean, SGD of both parameters",
            (),
            "mean",
            "SGD",
            {"lr": 1000.0},
            ELEMENTS,
            lambda random: (random.standard_normal(ELEMENTS, dtype=np.float32),),
            ELEMENTS,
            checked=10,
        ),
    )
}
