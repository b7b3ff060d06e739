"""DOT: three networks as text, names that mean harm as mere text, colours that everyone can read."""

from __future__ import annotations

import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
import torch

import graphc
from graphc.ir.origin import Scope, entered
from graphc.viz import draw
from graphc.viz.dot import dot_source
from graphc.viz.layout import render
from graphc.viz.model import Arrow, Box, Change, Drawing, Frame, FrameKind, Kind
from graphc.viz.palette import THEMES, Palette, contrast
from tests.viz.networks import GALLERY, shared

SVG = "{http://www.w3.org/2000/svg}"
TITLE = "{http://www.w3.org/1999/xlink}title"


@pytest.mark.parametrize("name", GALLERY)
def test_goldens(name: str, golden: Callable[[str, str], None]) -> None:
    build, view = GALLERY[name]
    source = dot_source(draw(build(), view=view, name="y"), "LR" if name == "shared" else "TB")  # type: ignore[arg-type]
    # Lines and folders are where this checkout happens to have them.
    golden(f"viz/{name}.dot", re.sub(r"\\n[^\"\\]*\bnetworks\.py:\d+", r"\\nnetworks.py", source))


# Names are text -------------------------------------------------------------------------------------------------------

HOSTILE = [
    '"; system("rm -rf ~")',
    'x"]; evil [label="',
    "</svg><script>alert(1)</script>",
    "<b>bold</b>",
    "<<TABLE><TR><TD>cell</TD></TR></TABLE>>",
    "\\N \\G \\L \\T \\E \\H \\l \\r",
    "back\\slash\\",
    "&lt; &amp; &#65; &nbsp;",
    "charset=",
    'charset="utf-16"',
    "} digraph { a -> b",
    "// comment # /* */",
    "Größe 尺寸 ∂ 🙂",
    "${jndi} %s {0} $HOME `id`",
    "' OR 1=1 --",
]


def svg_of(drawing: Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(render(dot_source(drawing), "svg"))


def texts(svg: ElementTree.Element) -> set[str]:
    # XML collapses nothing here, but Graphviz writes the spaces that edge labels have around them.
    return {"".join(text.itertext()).strip().replace("\xa0", " ") for text in svg.iter(f"{SVG}text")}


def hostile_drawing(name: str) -> Drawing:
    boxes = (Box(Kind.INPUT, (name, name), (name,)), Box(Kind.OUTPUT, ("y",), (name, "second")))
    return Drawing(boxes, (Arrow(0, 1, name, "", (name,)),), (Frame(name, 2, (name,)),))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_in_every_place(name: str) -> None:
    drawing = hostile_drawing(name)
    boxes = (drawing.boxes[0], Box(Kind.OUTPUT, ("y",), (name, "second"), frame=0))
    svg = svg_of(Drawing(boxes, drawing.arrows, drawing.frames))
    assert texts(svg) == {name, f"{name}  ×2", "y"}
    tooltips = {link.get(TITLE) for link in svg.iter(f"{SVG}a")}
    assert {name, f"{name}\nsecond"} <= tooltips
    assert {element.tag.removeprefix(SVG) for element in svg.iter()} <= {
        *("svg", "g", "a", "title", "text", "path", "polygon", "polyline", "ellipse"),
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_users_are_text(name: str) -> None:
    weight = graphc.Parameter(torch.zeros(2), name=name)
    with entered(Scope(name, name, 10**9)):
        y = (graphc.placeholder(name, (2,)) * weight).tanh()
    svg = svg_of(draw({name: y}))
    assert {name} <= texts(svg)
    assert not list(svg.iter(f"{SVG}script"))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", "two\\nlines"),
        ("nul\0bell\a", "nul\\x00bell\\x07"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("lone \ud800", "lone \\ud800"),
        ("long " * 30, "long " * 9 + "lo…"),
    ],
)
def test_names_that_cannot_be_shown_are_escaped(name: str, shown: str) -> None:
    x = graphc.placeholder(name, (2,))
    assert shown in texts(svg_of(draw(x.tanh())))


def test_the_same_drawing_is_the_same_text() -> None:
    assert dot_source(draw(shared())) == dot_source(draw(shared()))


# Colours --------------------------------------------------------------------------------------------------------------


THEME = pytest.mark.parametrize("palette", THEMES.values(), ids=THEMES)


@THEME
def test_every_kind_has_a_style_of_its_own(palette: Palette) -> None:
    assert set(palette.boxes) == set(Kind)
    assert set(palette.frames) == set(FrameKind)
    assert set(palette.changes) == set(Change)
    assert len({tuple(style.items()) for style in palette.boxes.values()}) == len(Kind)


@THEME
@pytest.mark.parametrize("kind", Kind)
def test_text_stands_out_from_its_box(palette: Palette, kind: Kind) -> None:
    style = palette.boxes[kind]
    assert contrast(style.get("fontcolor", palette.ink), style["fillcolor"]) >= 4.5


@THEME
@pytest.mark.parametrize("kind", FrameKind)
def test_labels_of_arrows_stand_out_from_frames(palette: Palette, kind: FrameKind) -> None:
    assert contrast(palette.soft_ink, palette.frames[kind]["fillcolor"]) >= 7


@THEME
@pytest.mark.parametrize("change", Change)
def test_text_stands_out_from_what_has_changed(palette: Palette, change: Change) -> None:
    style = palette.changes[change]
    assert contrast(style["fontcolor"], style["fillcolor"]) >= 4.5


@THEME
def test_text_stands_out_from_every_shade(palette: Palette) -> None:
    for share in (k / 200 for k in range(201)):
        style = palette.shade(share)
        assert contrast(style["fontcolor"], style["fillcolor"]) >= 4.5


def test_shades_grow_darker() -> None:
    fills = [THEMES["light"].shade(k / 50)["fillcolor"] for k in range(51)]
    found = [contrast("#FFFFFF", fill) for fill in fills]
    assert found == sorted(found)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)
