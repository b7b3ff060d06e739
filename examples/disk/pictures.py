"""Pictures of what came of the runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import LogLocator, NullFormatter

from examples.disk.data import CENTRE, RADIUS
from examples.disk.training import COUNT, Result

# 0 is blue, 1/2 yellow, 1 red.
COLOURS = LinearSegmentedColormap.from_list("disk", ["#2B5CB8", "#8CC5C9", "#FFE860", "#F28C3A", "#CC2A28"])
LINES = {"train": "#0072B2", "test": "#D55E00"}
RESOLUTION = 300  # pixels along each side of a map


def draw_maps(results: Sequence[Result], path: Path) -> None:
    """What each network says of every point of the square; crosses are the test points that it misclassifies."""
    figure, panels = _panels(results)
    middles = (torch.arange(RESOLUTION) + 0.5) / RESOLUTION
    pixels = torch.cartesian_prod(middles, middles).flip(1)  # row by row from the bottom, as (x, y)
    for axes, result in zip(panels, results):
        scores = result.predict(pixels).reshape(RESOLUTION, RESOLUTION).numpy()
        image = axes.imshow(scores, origin="lower", extent=(0, 1, 0, 1), cmap=COLOURS, vmin=0, vmax=1)
        axes.add_patch(Circle(CENTRE, RADIUS, fill=False, color="black", linewidth=1.2))
        axes.plot(*result.wrong.T.numpy(), "x", color="black", markersize=4, markeredgewidth=1)
        axes.set_title(f"{result.run.name}: {len(result.wrong) / COUNT:.1%}", fontsize=10)
        axes.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    figure.colorbar(image, ax=panels, shrink=0.6, label="output: 0 outside, 1 inside")
    figure.savefig(path, dpi=200)


def draw_curves(results: Sequence[Result], quantity: str, path: Path) -> None:
    """`quantity`, "loss" or "error", after each epoch (pale), and its running median."""
    figure, panels = _panels(results, share_y=quantity == "error")
    for axes, result in zip(panels, results):
        for part, colour in LINES.items():
            values = torch.tensor(result.curves[f"{part}_{quantity}"])
            width = max(1, len(values) // 20)
            medians = values.unfold(0, width, 1).median(dim=1).values
            axes.plot(range(1, len(values) + 1), values.numpy(), color=colour, linewidth=0.8, alpha=0.3)
            middles = torch.arange(len(medians)) + (width + 1) / 2
            axes.plot(middles.numpy(), medians.numpy(), color=colour, linewidth=1.4, label=part)
        axes.set_title(result.run.name, fontsize=10)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%" if quantity == "error" else f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(alpha=0.3)
    panels[0].legend(frameon=False)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("points misclassified" if quantity == "error" else quantity, fontsize=10)
    figure.savefig(path, dpi=200)


def _panels(results: Sequence[Result], *, share_y: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each result, three in a row."""
    columns = 3
    rows = math.ceil(len(results) / columns)
    figure = Figure(figsize=(3 * columns + 0.5, 2.8 * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, sharey=share_y, squeeze=False).flat)
    for unused in panels[len(results) :]:
        unused.set_axis_off()
    return figure, panels[: len(results)]
