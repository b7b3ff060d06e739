"""Pictures of studies: curves over training, maps of what networks say, tables as colours."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import torch

from graphc.bench.disk.data import CENTRE, RADIUS, Samples
from graphc.bench.statistics import Interval
from graphc.errors import InputError
from graphc.types import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Panel", "draw_curves", "draw_heat", "draw_histogram", "draw_maps", "need_matplotlib"]

# 0 is blue, 1/2 yellow, 1 red.
COLOURS = ["#2B5CB8", "#8CC5C9", "#FFE860", "#F28C3A", "#CC2A28"]
LINES = {"train": "#0072B2", "test": "#D55E00"}
RESOLUTION = 400
"""Pixels along each side of a map."""


def need_matplotlib() -> None:
    """Raises InputError where it is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError(
            "pictures need matplotlib: install it with pip install 'graphc[plot]', or say --no-pictures"
        ) from None


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    """As PNG with a palette: a third of the bytes, and nobody sees the difference."""
    from PIL import Image  # which matplotlib needs

    picture = io.BytesIO()
    figure.savefig(picture, dpi=110, format="png")
    Image.open(picture).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, format="png", optimize=True)


def _panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    rows = math.ceil(count / columns)
    figure = _figure(width * columns, height * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[count:]:
        unused.set_axis_off()
    return figure, panels[:count]


@dataclass(frozen=True)
class Panel:
    """One plot of `draw_curves`: `train_NAME` and `test_NAME` of each run, for `quantity` NAME, as `label`."""

    title: str
    quantity: str
    label: str
    places: Sequence[float]
    runs: Sequence[Mapping[str, Sequence[float]]]
    log: bool = True
    transform: Callable[[float], float] = lambda value: value


def draw_curves(panels: Sequence[Panel], x_label: str, path: Path, columns: int = 2) -> None:
    """The first run as a thin line, the median of all runs as a thick one, and where nine tenths of the runs are."""
    figure, all_axes = _panels(len(panels), min(columns, len(panels)), 4.2, 3)
    for axes, panel in zip(all_axes, panels):
        for part, colour in LINES.items():
            values = numpy.array([run[f"{part}_{panel.quantity}"] for run in panel.runs], dtype=float)
            values = numpy.vectorize(panel.transform)(values)
            if len(values) > 1:
                low, middle, high = numpy.quantile(values, [0.05, 0.5, 0.95], axis=0)
                axes.fill_between(panel.places, low, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(panel.places, middle, color=colour, linewidth=1.6, label=f"{part}, median")
            axes.plot(panel.places, values[0], color=colour, linewidth=0.6, alpha=0.6, label=f"{part}, one run")
        if panel.log:
            axes.set_yscale("log")
        axes.set(title=panel.title, xlabel=x_label, ylabel=panel.label)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def draw_maps(maps: Sequence[tuple[str, Callable[[Array], Array], Samples]], path: Path, columns: int = 3) -> None:
    """For each title, what scores says of every point of the square, and the samples that it misclassifies, as crosses.

    The middle of the colours is where the network is undecided; the black circle is the true boundary.
    """
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Circle

    colours = LinearSegmentedColormap.from_list("disk", COLOURS)
    figure, all_axes = _panels(len(maps), min(columns, len(maps)), 3.4, 3.3)
    middles = (torch.arange(RESOLUTION) + 0.5) / RESOLUTION
    pixels = torch.cartesian_prod(middles, middles).flip(1)  # row by row from the bottom, as (x, y)
    for axes, (title, scores, data) in zip(all_axes, maps):
        said = scores(pixels).reshape(RESOLUTION, RESOLUTION).numpy()
        wrong = data.points[((scores(data.points) > 0.5) != (data.labels > 0.5)).flatten()]
        image = axes.imshow(said, origin="lower", extent=(0, 1, 0, 1), cmap=colours, vmin=0, vmax=1)
        axes.add_patch(Circle(CENTRE, RADIUS, fill=False, color="black", linewidth=1.1))
        axes.plot(*wrong.T.numpy(), "x", color="black", markersize=4, markeredgewidth=1)
        axes.set_title(f"{title}: {len(wrong)} of {len(data):,} wrong", fontsize=9)
        axes.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    figure.colorbar(image, ax=all_axes, shrink=0.6, label="output: 0 outside, 1 inside")
    _save(figure, path)


def draw_histogram(
    values: Mapping[str, Sequence[float]], step: float, published: Interval, x_label: str, path: Path
) -> None:
    """How many runs of each name came to which multiple of `step`; the published interval of the mean is grey."""
    figure, all_axes = _panels(len(values), min(3, len(values)), 4, 2.6)
    everything = [value for each in values.values() for value in each]
    edges = numpy.arange(min(everything) - step / 2, max(everything) + step, step).tolist()
    for axes, (name, each) in zip(all_axes, values.items()):
        axes.hist(each, bins=edges, color=LINES["test"], alpha=0.8)
        axes.axvspan(published.low, published.high, color="#777777", alpha=0.5, label="published mean")
        axes.axvline(float(numpy.mean(each)), color="black", linewidth=1.2, label="mean of these runs")
        axes.set(title=name, xlabel=x_label, ylabel="runs")
        axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def draw_heat(
    tables: Mapping[str, Sequence[Sequence[float]]],
    rows: tuple[str, Sequence[str]],
    columns: tuple[str, Sequence[str]],
    label: str,
    path: Path,
) -> None:
    """A table of numbers for each title, in colours of one logarithmic scale, and written in as percentages."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import LogLocator, NullFormatter

    finite = [value for table in tables.values() for line in table for value in line if value > 0]
    norm = LogNorm(min(finite), max(finite)) if finite else LogNorm(0.01, 1)
    figure, all_axes = _panels(
        len(tables), min(4, len(tables)), 1.2 + 0.62 * len(columns[1]), 1.1 + 0.42 * len(rows[1])
    )
    for axes, (title, table) in zip(all_axes, tables.items()):
        image = axes.imshow(numpy.array(table, dtype=float), cmap="viridis_r", norm=norm, aspect="auto")
        for i, line in enumerate(table):
            for j, value in enumerate(line):
                shade = "white" if value > 0.15 else "black"
                axes.text(j, i, f"{100 * value:.1f}", ha="center", va="center", fontsize=8, color=shade)
        axes.set_title(title, fontsize=9)
        axes.set_xticks(range(len(columns[1])), columns[1], fontsize=8)
        axes.set_yticks(range(len(rows[1])), rows[1], fontsize=8)
        axes.set(xlabel=columns[0], ylabel=rows[0])
    bar = figure.colorbar(image, ax=all_axes, shrink=0.8, label=label)
    bar.ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    _save(figure, path)
