"""What of an SVG gets into a page, and the text of the page itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

import pytest

from graphc.viz.errors import DrawingError
from graphc.viz.page import page_of
from graphc.viz.page.clean import clean
from graphc.viz.page.page import FOLDER
from tests.viz.page.records import record, training

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'


def cleaned(inside: str) -> str:
    return clean(f"{HEAD}{inside}</svg>", "forward").removeprefix('<svg xmlns="http://www.w3.org/2000/svg">')[:-6]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("<script>x</script>", ""),
        ("<style>x</style><rect/>", "<rect></rect>"),
        ("<foreignObject><p/></foreignObject>", ""),
        ("<image href='http://a/b'/>", ""),
        ("<use xlink:href='#a'/>", ""),
        ("<animate attributeName='x'/>", ""),
        ('<rect onclick="x" width="3" style="fill:red"/>', '<rect width="3"></rect>'),
        ('<rect fill="url(http://a/b)"/>', "<rect></rect>"),
        ('<rect fill=" URL(http://a/b)"/>', "<rect></rect>"),
        ('<rect fill="url(#a)"/>', '<rect fill="url(#a)"></rect>'),
        (
            '<a xlink:href="javascript:x" xlink:title="&lt;b&gt;"><path d="M0,0"/></a>',
            '<g><title>&lt;b&gt;</title><path d="M0,0"></path></g>',
        ),
        ('<g class="node"><title>n0</title><text>a &lt; b</text></g>', '<g class="node"><text>a &lt; b</text></g>'),
        ("<g><title>kept</title></g>", "<g><title>kept</title></g>"),
        ("<!-- gone --><g>a<script>b</script>c</g>", "<g>ac</g>"),
        ('<p xmlns="http://www.w3.org/1999/xhtml">x</p>', ""),
        ("<svg><rect/></svg>", ""),
        ('<text xml:space="preserve"> a </text>', '<text xml:space="preserve"> a </text>'),
    ],
)
def test_clean(given: str, kept: str) -> None:
    assert cleaned(given) == kept


@pytest.mark.parametrize("text", ["", "<svg", "<p/>", "<svg></svg>", "not xml"])
def test_not_svg(text: str) -> None:
    with pytest.raises(DrawingError, match="the drawing 'forward' is not SVG: "):
        clean(text, "forward")


def test_no_entities() -> None:
    with pytest.raises(DrawingError, match="declares entities"):
        clean('<!DOCTYPE svg [<!ENTITY a "b">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>', "forward")


def test_depth() -> None:
    count = 100_000
    assert cleaned("<g>" * count + "</g>" * count) == "<g>" * count + "</g>" * count


def policy(page: str) -> str:
    return page.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0]


def test_the_policy_allows_exactly_what_is_there() -> None:
    page = page_of(training())
    script = page.rpartition("<script>")[2].removesuffix("</script>\n</body>\n</html>\n")
    style = page.split("<style>")[1].split("</style>")[0]
    for text in (script, style):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy(page)
    assert "unsafe-inline" not in policy(page)
    assert "default-src 'none'" in policy(page)


def test_the_page_says_the_same_each_time() -> None:
    assert page_of(training()) == page_of(training())


def test_the_engine_is_there_only_where_it_is_needed() -> None:
    chart = record([training()["views"][3]], training()["nodes"])
    assert len(page_of(training())) > 500_000
    assert len(page_of(chart)) < 200_000
    assert "Eclipse Public License" not in page_of(chart)


def test_data_ends_no_element() -> None:
    hostile: dict[str, Any] = record([], [], name="</script><!--\u2028&amp;\ud800")
    page = page_of(hostile)
    data = page.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    assert json.loads(data)["record"] == hostile
    assert not re.search("[<>&\u2028\u2029]", data)
    page.encode()


def test_files_are_short() -> None:
    for path in (*FOLDER.glob("*.js"), *FOLDER.glob("*.css"), *FOLDER.glob("*.html")):
        assert len(path.read_text("utf-8").splitlines()) <= 600, path.name
