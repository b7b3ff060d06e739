"""What a training run leaves behind: means by epoch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from graphc.errors import InputError, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["History"]


class History:
    """Means of the scalar outputs over each epoch, weighted by samples. `history["loss"]` is a list, an entry an epoch.

    Outputs on validation data are called `validation_NAME`. `seconds` is the time that the steps of each epoch took,
    validation and callbacks aside; `steps` is the number of steps of all epochs.
    """

    def __init__(self) -> None:
        self.metrics: dict[str, list[float]] = {}
        self.seconds: list[float] = []
        self.steps = 0

    @property
    def epochs(self) -> int:
        """Number of epochs that were finished."""
        return len(self.seconds)

    def add(self, metrics: Mapping[str, float], seconds: float, steps: int) -> None:
        """Append one epoch."""
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append(value)
        self.seconds.append(seconds)
        self.steps += steps

    def __getitem__(self, name: str) -> list[float]:
        if name not in self.metrics:
            raise KeyError(f"history has no {name!r}; it has {', '.join(map(repr, self.metrics)) or 'nothing'}")
        return self.metrics[name]

    def __contains__(self, name: object) -> bool:
        return name in self.metrics

    def __repr__(self) -> str:
        last = ", ".join(f"{one_line(name)} {values[-1]:.4g}" for name, values in self.metrics.items() if values)
        return f"<History: {self.epochs} epochs in {sum(self.seconds):.2f} s{f'; last {last}' if last else ''}>"

    def to_dict(self) -> dict[str, list[float]]:
        """Plain lists, with `seconds` among them: ready for JSON or a data frame."""
        return {**{name: list(values) for name, values in self.metrics.items()}, "seconds": list(self.seconds)}

    def plot(self, path: str | os.PathLike[str] | None = None, *, log: bool = True) -> Figure:
        """Curves over epochs, on a logarithmic axis if `log`; saved to `path` if given. Needs matplotlib."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise InputError("plot needs matplotlib: install it with pip install matplotlib") from None
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot()
        for name, values in self.metrics.items():
            axes.plot(
                range(1, len(values) + 1),
                values,
                label=one_line(name).replace("_", " "),
                marker="o" if len(values) == 1 else None,
            )
        if log and any(value > 0 for values in self.metrics.values() for value in values):
            axes.set_yscale("log")
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        if self.metrics:
            for text in axes.legend(frameon=False).get_texts():
                text.set_parse_math(False)  # names are only text: two dollars would make one a formula
        if path is not None:
            figure.savefig(path, dpi=150)
        return figure
