"""What a person asks for when something is to be drawn: the options of `graphc-viz`, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from graphc.errors import brief
from graphc.viz.errors import DrawingError
from graphc.viz.layout import DEFAULT_TIMEOUT, check_timeout

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

    def __post_init__(self) -> None:
        """Raises DrawingError for what is no such option."""
        for name, kind in (("view", View), ("direction", Direction), ("theme", Theme), ("overlay", Overlay)):
            value, choices = getattr(self, name), get_args(kind)
            if value not in choices and not (name == "overlay" and value is None):
                shown = ", ".join(map(repr, choices))
                raise DrawingError(f"draw: {name} {brief(value)} does not exist; choose one of {shown}")
        if self.depth is not None and (not isinstance(self.depth, int) or self.depth < 0):
            raise DrawingError(f"draw: depth is an integer of 0 or more, or None, not {brief(self.depth)}")
        check_timeout(self.timeout)
