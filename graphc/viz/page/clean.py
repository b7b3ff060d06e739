"""SVG for a page: elements and attributes that only draw. What is not on the lists stays out."""

from __future__ import annotations

import html
from collections.abc import Mapping
from xml.etree import ElementTree

from graphc.viz.errors import DrawingError

__all__ = ["ATTRIBUTES", "ELEMENTS", "clean"]

SVG = "{http://www.w3.org/2000/svg}"
TOOLTIP = "{http://www.w3.org/1999/xlink}title"
SPACE = "{http://www.w3.org/XML/1998/namespace}space"


DRAWS = "svg g path polygon polyline ellipse circle rect line text tspan title desc defs clipPath linearGradient stop"
LOOKS = (
    "id class transform viewBox width height d points cx cy rx ry r x y x1 y1 x2 y2 dx dy fill fill-opacity fill-rule "
    "stroke stroke-width stroke-dasharray stroke-opacity stroke-linecap stroke-linejoin opacity text-anchor "
    "dominant-baseline font-family font-size font-weight font-style text-decoration role aria-label aria-hidden"
)
ELEMENTS, ATTRIBUTES = DRAWS.split(), LOOKS.split()
NAMED = frozenset({"graph", "node", "edge", "cluster"})
"""Classes of groups whose title is the name that Graphviz has for them, which is for nobody to see."""


def clean(text: str, what: str) -> str:
    """The SVG element of `text` with nothing in it that links, loads or runs. Raises DrawingError, naming `what`.

    Links become groups, and the tooltips of links become titles, which browsers show.
    """
    if "<!ENTITY" in text:
        raise DrawingError(f"the drawing {what!r} declares entities, which no drawing needs")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise DrawingError(f"the drawing {what!r} is not SVG: {error}") from None
    if root.tag != f"{SVG}svg":
        raise DrawingError(f"the drawing {what!r} is not SVG: there is no svg element at its root")
    parts = [_start(root)]
    work: list[ElementTree.Element | str] = [f"</{_name(root)}>", *_content(root)]
    while work:
        each = work.pop()
        if isinstance(each, str):
            parts.append(each)
        else:
            parts.append(_start(each))
            work += [f"</{_name(each)}>", *_content(each)]
    return "".join(parts)


def _content(element: ElementTree.Element) -> list[ElementTree.Element | str]:
    """What of an element's children is kept, and the text between them, the last first."""
    content: list[ElementTree.Element | str] = []
    for child in reversed(element):
        content.append(html.escape(child.tail or "", quote=False))
        if _is_kept(child, element):
            content.append(child)
    return content


def _is_kept(element: ElementTree.Element, parent: ElementTree.Element) -> bool:
    tag = element.tag if isinstance(element.tag, str) else ""  # comments have a function here
    if not tag.startswith(SVG):
        return False
    name = tag.removeprefix(SVG)
    if name == "title" and NAMED & set(parent.get("class", "").split()):
        return False
    return name == "a" or (name in ELEMENTS and name != "svg")


def _name(element: ElementTree.Element) -> str:
    name = str(element.tag).removeprefix(SVG)
    return "g" if name == "a" else name


def _start(element: ElementTree.Element) -> str:
    name = _name(element)
    attributes = "".join(f' {key}="{html.escape(value)}"' for key, value in _attributes(element.attrib).items())
    space = ' xmlns="http://www.w3.org/2000/svg"' if name == "svg" else ""
    tooltip = element.get(TOOLTIP, "").strip()
    title = f"<title>{html.escape(tooltip, quote=False)}</title>" if tooltip else ""
    return f"<{name}{space}{attributes}>{title}{html.escape(element.text or '', quote=False)}"


def _attributes(given: Mapping[str, str]) -> dict[str, str]:
    # A value may point to what is in the drawing itself, and to nothing else.
    kept = {
        key: value
        for key, value in given.items()
        if key in ATTRIBUTES and ("url(" not in value.lower() or value.startswith("url(#"))
    }
    return {**kept, **({"xml:space": "preserve"} if given.get(SPACE) == "preserve" else {})}
