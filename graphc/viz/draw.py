"""`draw`: from an object to its drawing, or to a file of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from graphc.errors import explained
from graphc.runtime import Program
from graphc.viz.compare import Comparison
from graphc.viz.errors import DrawingError
from graphc.viz.layout import DEFAULT_TIMEOUT
from graphc.viz.model import Drawing
from graphc.viz.output import DOCUMENTS, encoded, encoded_document, rendered, suffix_of, write_bytes
from graphc.viz.quantities import Overlay
from graphc.viz.request import Direction, Request, Theme, View
from graphc.viz.request import Overlay as OverlayName
from graphc.viz.sheets import (
    chart_source,
    document_of,
    document_of_difference,
    document_of_passes,
    measured,
    shown_difference,
    shown_drawing,
)
from graphc.viz.subject import Drawable

__all__ = ["contents", "contents_of_difference", "contents_of_passes", "draw"]


@explained
def draw(
    value: Drawable,
    path: str | os.PathLike[str] | None = None,
    *,
    view: View = "forward",
    direction: Direction = "TB",
    depth: int | None = None,
    collapse: Collection[str] = (),
    only: str = "",
    theme: Theme = "light",
    overlay: OverlayName | None = None,
    sizes: Mapping[str, int] | None = None,
    batch: Sequence[object] | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    name: str = "output",
) -> Drawing:
    """The drawing of a tensor, of a list, tuple or dict of tensors, of a graph or of a program.

    With `path` it is written there too: `.svg`, `.png`, `.pdf`, `.dot`, `.mmd` (Mermaid), `.json` (the drawing as data)
    or `.html` (a page with all views).

    - `view`: "forward" is what leads to the outputs, "backward" has the gradients too, "training" the updates;
      "kernels" is what native code or the torch plan computes together; "memory", for files, which slot has what when.
    - `direction`: "TB" (top to bottom) or "LR". `theme`: "light" or "dark".
    - Modules that are `depth` or more inside others are one box each (None: as much as fits is open), and so are those
      whose path or class is in `collapse`. `only` is the path of the one module to draw.
    - `overlay`: "time", "flops", "bytes", "memory", "gradient" or "nan" shades the boxes by numbers, which are for
      symbolic `sizes` (32 where not given), or for the inputs `batch`.
    - `timeout`: seconds that the layout may take. `name`: what a tensor by itself is called.

    Raises DrawingError.
    """
    request = Request(view, direction, depth, tuple(collapse), only, theme, overlay, dict(sizes or {}), timeout)
    suffix = None if path is None else suffix_of(path)  # raises before any work is done
    numbers = measured(value, request, name, batch)
    seen = None if view == "memory" else shown_drawing(value, request, name, numbers)
    if path is not None and suffix is not None:
        write_bytes(contents(value, suffix, request, name, batch, numbers, seen), path)
    return seen or shown_drawing(value, replace(request, view="kernels"), name, numbers)


def contents(
    value: object,
    suffix: str,
    request: Request,
    name: str = "output",
    batch: Sequence[object] | None = None,
    overlay: Overlay | None = None,
    seen: Drawing | None = None,
) -> bytes:
    """The bytes of a file of `value` whose name ends with `suffix`, shaded by `overlay`. Raises DrawingError.

    `seen` is what is to be seen of it, where that is known already.
    """
    if request.view == "memory" and suffix not in DOCUMENTS:
        if suffix == ".mmd":
            raise DrawingError("Mermaid has no charts of memory: write .svg, .png, .pdf, .dot or .html")
        return rendered(chart_source(value, request, name), suffix, request)

    return encoded(
        suffix,
        request,
        lambda: seen or shown_drawing(value, request, name, overlay),
        lambda: document_of(value, request, name, batch, overlay),
    )


def contents_of_difference(comparison: Comparison, suffix: str, request: Request, name: str) -> bytes:
    """The bytes of a file of two graphs in one. Raises DrawingError."""
    return encoded(
        suffix,
        request,
        lambda: shown_difference(comparison, request),
        lambda: document_of_difference(comparison, request, name),
    )


def contents_of_passes(program: Program, suffix: str, request: Request, name: str) -> bytes:
    """The bytes of a page, or of the data, of what each pass made of a program. Raises DrawingError."""
    if suffix not in DOCUMENTS:
        raise DrawingError("passes are several drawings: write .html or .json, or draw one with graphc-viz diff --pass")
    return encoded_document(suffix, request, document_of_passes(program, request, name))
