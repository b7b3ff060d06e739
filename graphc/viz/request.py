"""What a person asks for when something is to be drawn: the options of `graphc-viz`, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from graphc.viz.layout import DEFAULT_TIMEOUT

__all__ = ["Direction", "Overlay", "Request", "Theme", "View"]

Direction = Literal["TB", "LR"]
View = Literal["forward", "backward", "training", "kernels", "memory"]
Theme = Literal["light", "dark"]
Overlay = Literal["time", "flops", "bytes", "memory", "gradient", "nan"]


@dataclass(frozen=True)
class Request:
    """How to draw. Everything has a default, which is what the command does without options.

    `depth`: modules nested deeper are one box each; None is as much as fits. `collapse` has paths or kinds of modules
    that are always one box, `only` the path of the one module whose inside is drawn ("" for all). `sizes` are values
    for symbolic sizes, which the overlay is measured or computed with. `timeout` is what the layout may take, in
    seconds.
    """

    view: View = "forward"
    direction: Direction = "TB"
    depth: int | None = None
    collapse: tuple[str, ...] = ()
    only: str = ""
    theme: Theme = "light"
    overlay: Overlay | None = None
    sizes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    timeout: float = DEFAULT_TIMEOUT
