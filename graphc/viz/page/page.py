"""From the record of a drawing to its page: a template, a style, scripts, and the record as data."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graphc.viz.page.clean import ATTRIBUTES, ELEMENTS, clean
from graphc.viz.page.colors import colors

__all__ = ["SCRIPTS", "page_of"]

FOLDER = Path(__file__).parent
SCRIPTS = (
    "dom",
    "model",
    "graphviz",
    "drawing",
    "stage",
    "code",
    "details",
    "ranking",
    "search",
    "keys",
    "state",
    "views",
    "selection",
    "around",
    "address",
    "main",
)
LAYOUT = FOLDER / "vendor" / "viz-global.js"
LICENSES = FOLDER / "vendor" / "LICENSES.txt"


def page_of(record: Mapping[str, object]) -> str:
    """The page of `record`, as the text of one HTML file that loads nothing else. Raises DrawingError.

    The engine that lays out drawings in the browser comes with it only where something can be opened or closed.
    """
    views, drawing = _views(record)
    is_live = any(_is_live(view) for view in views)
    data = {
        "record": {**record, "views": views},
        "svg": {"elements": ELEMENTS, "attributes": ATTRIBUTES},
        "licenses": LICENSES.read_text("utf-8") if is_live else "",
    }
    style = colors() + (FOLDER / "page.css").read_text("utf-8")
    script = _script()
    return _filled(
        (FOLDER / "page.html").read_text("utf-8"),
        {
            "policy": _policy(style, script),
            "title": html.escape(_plain(str(record["name"]))),
            "style": style,
            "drawing": drawing,
            "data": _json(data),
            "engine": _engine() if is_live else "",
            "script": script,
        },
    )


def _views(record: Mapping[str, object]) -> tuple[list[dict[str, Any]], str]:
    """The views with their drawings cleaned, and the drawing that is seen first, which stands in the page itself."""
    given: Any = record["views"]
    views: list[dict[str, Any]] = [
        {**view, "svg": clean(view["svg"], str(view["name"])) if view.get("svg") else None} for view in given
    ]
    start = next((k for k, view in enumerate(views) if view["name"] == record.get("start")), 0)
    drawing = views[start]["svg"] if views else None
    if drawing:
        views[start]["svg"] = True
    return views, drawing or ""


def _is_live(view: Mapping[str, Any]) -> bool:
    return not view.get("static") and (not view.get("svg") or bool(view.get("frames")))


@functools.cache
def _engine() -> str:
    """The layout engine, packed: it is half as large, and nothing but letters, which every editor leaves alone."""
    return base64.b64encode(zlib.compress(LAYOUT.read_bytes(), 9)).decode()


def _script() -> str:
    parts = "\n".join((FOLDER / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();'


def _policy(style: str, script: str) -> str:
    """Nothing is allowed but this style, this script, and the layout engine in a worker made from the page itself."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}' 'wasm-unsafe-eval'; worker-src blob:; "
        f"style-src '{_hash(style)}'; img-src data: blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(value: Mapping[str, object] | Sequence[object]) -> str:
    """JSON that ends no element and starts none."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)  # in ASCII, so that no line separators are left
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(text: str) -> str:
    """`text` without what UTF-8 or HTML cannot hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _filled(template: str, values: Mapping[str, str]) -> str:
    """`template` with each `@name@` replaced; a value is not looked at for further names."""
    return re.sub(r"@([a-z]+)@", lambda match: values[match[1]], template)
