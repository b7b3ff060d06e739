"""Pages in a browser: what is seen, what a click and a key do, and what the address keeps."""

from __future__ import annotations

import pytest

from tests.viz.page.browser import Browser
from tests.viz.page.records import arrow, box, frame, large, node, record, repeated, training, view

ENTER, ESCAPE, UP, DOWN = "\ue007", "\ue00c", "\ue013", "\ue015"


def heading(browser: Browser) -> str:
    return browser.texts("#facts h2")[0]


def search(browser: Browser, text: str) -> list[str]:
    browser.press("/")
    browser.run("document.getElementById('find').select()")
    browser.press(text)
    return browser.texts("#hits [role=option] b")


def band(browser: Browser) -> list[str]:
    """Which lines of code are said to belong to the selection."""
    return browser.texts("#code .note")


# Views and selection --------------------------------------------------------------------------------------------------


def test_tabs_and_drawings(browser: Browser) -> None:
    browser.open(training())
    assert browser.texts("#tabs button") == ["Forward", "Backward", "Kernels", "Memory", "Passes"]
    assert browser.ids(".node") == ["n0", "n1", "n2", "n3", "n4"]
    assert browser.ids(".cluster") == ["f0", "f1"]
    browser.tab("Backward")
    assert browser.ids(".node.gradient_op") == ["n1", "n2"]
    browser.tab("Kernels")
    assert browser.ids(".node") == ["f0", "n0", "n3"]
    assert browser.one("#zoom").is_displayed()
    browser.tab("Passes")
    assert browser.texts("#table tbody tr")[0].startswith("1cse1.0 ms4035057equal ×49")
    assert not browser.one("#zoom").is_displayed()


def test_selection_goes_with_the_tabs(browser: Browser) -> None:
    browser.open(training())
    browser.click("#stage [id=n3] text")
    assert browser.ids(".selected") == ["n3"]
    browser.tab("Backward")
    assert browser.ids(".selected") == ["n0"]
    assert browser.ids(".partner") == ["n1"]
    browser.tab("Kernels")
    assert browser.ids(".selected") == []
    assert browser.ids(".holds") == ["f0"]
    browser.tab("Memory")
    assert browser.ids(".selected") == ["s0"]


def test_panel(browser: Browser) -> None:
    browser.open(training())
    assert "null" not in browser.one("#facts").text
    browser.click("#stage [id=n3] text")
    assert heading(browser) == "tanh"
    assert "null" not in browser.one("#facts").text
    facts = dict(zip(browser.texts("#facts dt"), browser.texts("#facts dd")))
    assert facts["Type"] == "f32[batch,25]"
    assert facts["Module"] == "net.1"
    assert facts["Built at"] == "model.py:13"
    assert facts["Printed as"] == "%3 in Forward, %9 in Kernels"
    assert facts["FLOPs"] == "300 flop · 25% of the largest"
    assert browser.texts("#facts h3") == ["Gradient", "Operands", "Used by", "Also in"]


def test_operands_and_partner_are_links(browser: Browser) -> None:
    browser.open(training())
    browser.click("#stage [id=n3] text")
    links = {each.text: each for each in browser.all("#facts .links button")}
    links["x @ y"].click()
    assert heading(browser) == "x @ y"
    assert browser.ids(".selected") == ["n2"]
    browser.click("#stage [id=n3] text")
    browser.press("g")
    assert browser.texts("#tabs [aria-selected=true]") == ["Backward"]
    assert heading(browser) == "× (1 − y²)"
    browser.press("g")
    assert heading(browser) == "tanh"


def test_code_of_a_node_and_of_a_kernel(browser: Browser) -> None:
    browser.open(training())
    browser.click("#stage [id=n3] text")
    assert browser.texts("#code [aria-selected=true]") == ["C"]
    assert band(browser) == ["lines 120–124 · 1 of 2"]
    top = browser.run("return document.querySelector('#code .scroll').scrollTop")
    height = browser.run("return document.querySelector('#code .scroll').clientHeight")
    assert top < 119 * 18 < 124 * 18 < top + height
    browser.click("#code .head .link")
    assert band(browser) == ["lines 130–131 · 2 of 2"]
    browser.click("#stage [id=n2] text")
    assert browser.texts("#code [aria-selected=true]") == ["Plan"]
    assert band(browser) == ["line 4"]
    browser.tab("Kernels")
    browser.click("#stage [id=n3] text")
    assert band(browser) == ["lines 150–160"]
    browser.press("u")
    assert heading(browser) == "kernel 4"
    assert band(browser) == ["lines 150–160"]


def test_a_chart(browser: Browser) -> None:
    browser.open(training(), "#view=memory&node=2")
    assert browser.texts("#facts p.soft") == ["Not in Memory."]
    assert browser.one("#stage [id=s0]").value_of_css_property("fill") == "rgb(86, 180, 233)"
    browser.click("#stage [id=s0]")
    assert browser.ids(".selected") == ["s0"]
    assert heading(browser) == "tanh"
    assert browser.texts("#facts p.soft") == []
    assert "null" not in browser.one("#facts").text


# Opening and closing --------------------------------------------------------------------------------------------------


def test_click_on_a_title_closes_and_opens(browser: Browser) -> None:
    browser.open(training())
    before = browser.one("#stage [id=f1] text").rect
    browser.click("#stage [id=f1] text")
    assert browser.ids(".node") == ["f1", "n0", "n3", "n4"]
    after = browser.one("#stage [id=f1]").rect
    assert abs(after["x"] - before["x"]) < 30
    assert abs(after["y"] - before["y"]) < 30
    assert browser.one("#stage [id=f1]").get_attribute("aria-expanded") == "false"
    browser.click("#stage [id=f1] text")
    assert browser.ids(".cluster") == ["f0", "f1"]
    browser.click("#stage [id=f0] .mark")
    assert browser.ids(".node") == ["f0", "n0", "n4"]


def test_depths(browser: Browser) -> None:
    browser.open(training())
    for depth, nodes in (("0", 3), ("1", 4), ("All", 5)):
        button = next(each for each in browser.all("#depths button") if each.text == depth)
        button.click()
        browser.settle()
        assert len(browser.ids(".node")) == nodes
        assert browser.texts("#depths [aria-pressed=true]") == [depth]


def test_shift_click_opens_everything_below(browser: Browser) -> None:
    browser.open(training(), "#view=forward&open=")
    assert browser.ids(".cluster") == []
    browser.press("/")
    browser.press("net: Seq", ENTER)
    browser.press("\ue008" + ENTER)
    assert browser.ids(".cluster") == ["f0", "f1"]


def test_repetitions(browser: Browser) -> None:
    browser.open(repeated(6))
    assert browser.ids(".node") == ["n0", "n1", "n19", "n2", "n3"]
    assert browser.ids(".edge") == ["e0", "e1", "e18", "e2"]
    browser.click("#stage [id=f0] .fold")
    assert len(browser.ids(".node")) == 20
    assert len(browser.ids(".edge")) == 19
    browser.click("#stage [id=f0] .fold")
    assert len(browser.ids(".node")) == 5
    browser.click("#stage [id=f0] .mark:not(.fold)")
    assert browser.ids(".node") == ["f0", "n0", "n19"]


def test_a_box_of_a_later_repetition_is_found_in_the_first(browser: Browser) -> None:
    browser.open(repeated(6))
    assert len(search(browser, "tanh net.4")) == 1
    browser.press(ENTER)
    assert browser.ids(".selected") == ["n3"]
    assert "A repetition of tanh" in browser.one("#facts").text


def test_what_is_in_a_frame_does_not_take_over_its_looks(browser: Browser) -> None:
    thick = repeated(6)
    thick["views"][0]["frames"][0]["dot"] += " penwidth=5"
    browser.open(thick)
    widths = [browser.one(f"#stage [id={i}] path").get_attribute("stroke-width") for i in ("f0", "f1")]
    assert widths == ["5", None]


def test_too_many_boxes_are_asked_for_first(browser: Browser) -> None:
    browser.open(large(20, 10, 10))
    assert browser.one("#message").text.startswith("Too large to draw at once, so modules are closed.")
    assert len(browser.ids(".node")) == 200
    next(each for each in browser.all("#depths button") if each.text == "All").click()
    message = browser.one("#message").text
    assert message.startswith("2,000 boxes would be visible, which takes long: close some modules.")
    browser.press(ESCAPE)
    assert browser.all("#message:not([hidden])") == []
    assert len(browser.ids(".node")) == 200


def test_a_layout_can_be_cancelled(browser: Browser) -> None:
    browser.open(large(10, 10, 10), "#view=forward&open=")
    assert len(browser.ids(".node")) == 10
    browser.run("document.querySelectorAll('#depths button')[2].click()")
    browser.wait(lambda: browser.texts("#message:not([hidden]) button") == ["Cancel"], "the offer to cancel")
    browser.one("#message button").click()
    browser.settle()
    assert browser.all("#message:not([hidden])") == []
    assert len(browser.ids(".node")) == 10
    browser.click("#stage [id=f0] text")
    assert browser.ids(".cluster") == ["f0"]


def test_a_failed_layout_says_so_and_keeps_the_drawing(browser: Browser) -> None:
    broken = training()
    broken["views"][0]["frames"][1]["closed"] = 'label="'
    browser.open(broken)
    browser.click("#stage [id=f1] text")
    assert browser.one("#message").text.startswith("The layout failed (")
    assert "close some modules" in browser.one("#message").text
    assert len(browser.ids(".node")) == 5


# Search ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("tan", "tanh"),
        ("weight", "weight · [25, 3]"),
        ("%2", "x @ y"),
        ("linear", "0: Linear"),
        ("model.py:20", "mean"),
    ],
)
def test_search_finds(browser: Browser, asked: str, first: str) -> None:
    browser.open(training())
    assert search(browser, asked)[0] == first


def test_search_opens_what_hides_the_hit(browser: Browser) -> None:
    browser.open(training(), "#view=forward&open=")
    assert search(browser, "@") == ["x @ y"]
    browser.press(ENTER)
    assert browser.ids(".selected") == ["n2"]
    assert browser.ids(".cluster") == ["f0", "f1"]
    place, stage = browser.one("#stage [id=n2]").rect, browser.one("#stage").rect
    assert abs(place["x"] + place["width"] / 2 - stage["x"] - stage["width"] / 2) < 40


def test_search_by_arrow_keys(browser: Browser) -> None:
    browser.open(training())
    assert search(browser, "net") == ["net: Sequential", "weight · [25, 3]", "x @ y", "tanh"]
    browser.press(DOWN, DOWN, UP, DOWN, DOWN, ENTER)
    assert heading(browser) == "tanh"
    assert search(browser, "nowhere to be found") == []
    assert browser.texts("#hits li") == ["Nothing in Forward matches."]
    browser.press(ESCAPE)
    assert browser.all("#hits:not([hidden])") == []


# Overlays -------------------------------------------------------------------------------------------------------------


def choose(browser: Browser, overlay: str) -> None:
    browser.run(
        "const s = document.getElementById('overlay'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))",
        overlay,
    )


def test_overlay(browser: Browser) -> None:
    browser.open(training())
    choose(browser, "flops")
    assert browser.ids(".measured") == ["n2", "n3"]
    assert browser.ids(".heat-8") == ["n2"]
    assert "FLOPs: 1.2 kflop" in browser.texts("#stage [id=n2] title")[0]
    assert browser.texts("#facts tbody tr") == [
        "%2 x @ ynet.0 · model.py:121.2 kflop80%",
        "%3 tanhnet.1 · model.py:13300 flop20%",
    ]
    browser.all("#facts tbody tr")[1].click()
    assert browser.ids(".selected") == ["n3"]
    assert browser.texts("#facts tr.chosen th button") == ["%3 tanh"]
    browser.tab("Kernels")
    assert browser.ids(".measured") == ["f0"]
    choose(browser, "")
    assert browser.ids(".measured") == []
    assert "FLOPs" not in "".join(browser.texts("#stage [id=f0] title"))


# Keys -----------------------------------------------------------------------------------------------------------------


def test_arrow_keys_follow_arrows(browser: Browser) -> None:
    browser.open(training())
    browser.press(DOWN)
    assert heading(browser) == "x"
    browser.press(DOWN)
    assert heading(browser) == "x @ y"
    assert browser.run("return document.activeElement.id") == "n2"
    browser.press(DOWN, DOWN)
    assert heading(browser) == "mean"
    browser.press(UP)
    assert heading(browser) == "tanh"
    browser.press("u")
    assert heading(browser) == "net: Sequential"
    browser.press(" ")
    assert browser.ids(".node") == ["f0", "n0", "n4"]
    browser.press(ENTER)
    assert len(browser.ids(".node")) == 5
    browser.press(ESCAPE)
    assert browser.ids(".selected") == []


def test_letters(browser: Browser) -> None:
    browser.open(training())
    scale = browser.texts("#scale")
    browser.press("+")
    assert browser.texts("#scale") != scale
    browser.press("0")
    assert browser.texts("#scale") == ["100%"]
    browser.press("-", "f", "]")
    assert browser.texts("#tabs [aria-selected=true]") == ["Backward"]
    browser.press("[", "[")
    assert browser.texts("#tabs [aria-selected=true]") == ["Passes"]
    browser.press("p")
    assert not browser.one("#side").is_displayed()
    browser.press("?")
    assert browser.one("#about").is_displayed()
    assert "Eclipse Public License - v 2.0" in browser.texts("#about pre")[0]
    browser.press(ESCAPE)
    assert not browser.one("#about").is_displayed()


def test_tab_reaches_everything(browser: Browser) -> None:
    browser.open(training())
    reached = []
    for _ in range(40):
        browser.press("\ue004")
        reached.append(browser.run("const e = document.activeElement; return e.id || e.textContent || e.tagName"))
    for each in ("Forward", "find", "theme", "help", "All", "overlay", "fit", "sides", "n0", "grip", "facts", "C"):
        assert each in reached, reached
    names = browser.run(
        "return [...document.querySelectorAll('button, input, select, [role=tab], [tabindex]')]"
        ".filter((e) => !e.textContent.trim() && !e.getAttribute('aria-label') && !e.closest('label')).length"
    )
    assert names == 0


# The address ----------------------------------------------------------------------------------------------------------


def test_address_is_kept_and_restored(browser: Browser) -> None:
    browser.open(training())
    browser.tab("Kernels")
    browser.click("#stage [id=f0] text")
    browser.click("#stage [id=n2] text")
    choose(browser, "flops")
    address = browser.run("return location.hash")
    assert address == "#view=kernels&node=3&open=0-1&overlay=flops"
    browser.open(training(), address)
    assert browser.run("return location.hash") == address
    assert browser.texts("#tabs [aria-selected=true]") == ["Kernels"]
    assert browser.ids(".selected") == ["n2"]
    assert browser.ids(".cluster") == ["f0", "f1"]
    assert browser.run("return document.getElementById('overlay').value") == "flops"


def test_a_new_address_in_an_open_page(browser: Browser) -> None:
    browser.open(training())
    for address, count in (("#view=forward&open=&node=3", 3), ("#view=forward&open=0", 4), ("#view=forward", 5)):
        browser.run("location.hash = arguments[0]", address)
        browser.wait(lambda count=count: len(browser.ids(".node")) == count, "the drawing of an address")


@pytest.mark.parametrize(
    "address",
    [
        "#view=nowhere&node=99999999999&open=x,-1,5-2,0-999999999&overlay=none",
        "#view=__proto__&node=1e3&overlay=constructor",
        "#%&%E0%A4%A&view=%00&=&&&",
        "#<script>alert(1)</script>",
        "#view=forward&view=kernels&frame=77&box=-3&unfold=9",
        "#javascript:alert(1)",
    ],
)
def test_hostile_addresses(browser: Browser, address: str) -> None:
    browser.open(training(), address)
    assert browser.texts("#tabs [aria-selected=true]") == ["Forward"]
    assert "n0" in browser.ids(".node")


# Looks ----------------------------------------------------------------------------------------------------------------

COLORS = """
const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, w, i) => {
  const x = rgb(c)[i] / 255;
  return sum + w * (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
}, 0);
return [...document.querySelectorAll('#stage .node, #stage .cluster')].map((part) => {
  const fill = getComputedStyle(part.querySelector('path, polygon')).fill;
  const text = getComputedStyle(part.querySelector('text')).fill;
  const [low, high] = [light(fill), light(text)].sort((a, b) => a - b);
  return [part.id, (high + 0.05) / (low + 0.05)];
});
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("overlay", ["", "flops"])
def test_text_stands_out(browser: Browser, theme: str, overlay: str) -> None:
    browser.prefer(theme)
    browser.open(training(), f"#overlay={overlay}")
    assert browser.run("return document.documentElement.dataset.theme") == theme
    for name in ("Forward", "Backward", "Kernels"):
        browser.tab(name)
        contrasts = browser.run(COLORS)
        assert len(contrasts) >= 3
        assert [each for each in contrasts if each[1] < 4.5] == []
    browser.prefer("")


def test_theme_is_switched(browser: Browser) -> None:
    browser.open(training())
    browser.one("#theme").click()
    assert browser.run("return document.documentElement.dataset.theme") == "dark"
    browser.press("t")
    assert browser.run("return document.documentElement.dataset.theme") == "light"


def test_legend_has_what_occurs(browser: Browser) -> None:
    browser.open(training())
    assert browser.texts("#foot .entry") == ["input", "parameter", "op", "output"]
    browser.tab("Backward")
    assert browser.texts("#foot .entry") == ["op", "gradient op", "gradient"]


def test_tall_drawings_start_readable_at_the_top(browser: Browser) -> None:
    boxes = [box("op", f"op{i}", nodes=(i,)) for i in range(80)]
    tall = record(
        [view("forward", boxes, [arrow(i, i + 1) for i in range(79)], [])], [node(f"op{i}") for i in range(80)]
    )
    browser.open(tall)
    assert int(browser.texts("#scale")[0].rstrip("%")) >= 60
    assert 0 < browser.one("#stage [id=n0]").rect["y"] - browser.one("#stage").rect["y"] < 60
    browser.press("f")
    assert int(browser.texts("#scale")[0].rstrip("%")) < 60


def test_wheel_grows_around_the_pointer(browser: Browser) -> None:
    from selenium.webdriver.common.action_chains import ActionChains, ScrollOrigin

    browser.open(training())
    before = browser.one("#stage [id=n2]").rect
    ActionChains(browser.driver, duration=0).scroll_from_origin(
        ScrollOrigin.from_element(browser.one("#stage [id=n2]")), 0, -200
    ).perform()
    after = browser.one("#stage [id=n2]").rect
    assert after["width"] > before["width"] * 1.2
    assert abs(after["x"] + after["width"] / 2 - before["x"] - before["width"] / 2) < 8


def test_dragging_moves_and_selects_nothing(browser: Browser) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    browser.open(training())
    before = browser.one("#stage [id=n2]").rect
    ActionChains(browser.driver, duration=0).drag_and_drop_by_offset(browser.one("#stage [id=n2]"), 60, 40).perform()
    after = browser.one("#stage [id=n2]").rect
    assert (round(after["x"] - before["x"]), round(after["y"] - before["y"])) == (60, 40)
    assert browser.ids(".selected") == []


@pytest.mark.parametrize("size", [(1400, 900), (800, 600), (500, 800)])
def test_nothing_is_cut_off(browser: Browser, size: tuple[int, int]) -> None:
    browser.resize(*size)
    browser.open(training(), "#node=3")
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    assert browser.run("return document.documentElement.scrollHeight") <= size[1]
    stage = browser.one("#stage").rect
    assert stage["width"] > 200
    assert stage["height"] > 200
    browser.resize(1400, 900)


def test_print_shows_all_of_the_drawing(browser: Browser) -> None:
    browser.open(training())
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert len(browser.run("return document.querySelector('#stage svg').getAttribute('viewBox').split(' ')")) == 4
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert not browser.run("return document.querySelector('#stage svg').hasAttribute('viewBox')")
    assert browser.driver.execute_cdp_cmd("Page.printToPDF", {})["data"].startswith("JVBERi0")


def test_without_scripts_the_first_drawing_is_there(browser: Browser) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.visit(training())
        assert browser.one("#stage svg").is_displayed()
        stroke = browser.one("#stage [id=n2] path").value_of_css_property("stroke")
        assert stroke == "rgb(95, 107, 118)"
        assert not browser.one("header").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


# Size -----------------------------------------------------------------------------------------------------------------


def test_ten_thousand_boxes(browser: Browser) -> None:
    browser.open(large())
    assert len(browser.ids(".node")) == 100
    assert search(browser, "op57_3_9") == ["op57_3_9"]
    browser.press(ENTER)
    assert heading(browser) == "op57_3_9"
    assert browser.ids(".cluster") == ["f627", "f631"]
    assert len(browser.ids(".node")) == 99 + 9 + 10


# Names ----------------------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>hacked=1</script>",
    "</script><script>hacked=1</script>",
    "<img src=x onerror=hacked=1>",
    '"><svg onload=hacked=1>',
    "&lt;b&gt; &amp;",
    "\\N \\G \\l \\",
    '" onmouseover="hacked=1',
    "]]><!-- --> <!--",
    "javascript:hacked=1",
    "${hacked=1} @data@ @script@",
    "line\u2028and\u2029paragraph",
    "ends with \\",
]


def test_hostile_names(browser: Browser) -> None:
    boxes = [box("op", name, name, frame=0, nodes=(i,)) for i, name in enumerate(HOSTILE)]
    arrows = [arrow(i, i + 1, HOSTILE[i]) for i in range(len(HOSTILE) - 1)]
    nodes = [node(name, name, name, names=name) for name in HOSTILE]
    hostile = record([view("forward", boxes, arrows, [frame(HOSTILE[1])])], nodes, summary=HOSTILE, name=HOSTILE[1])
    hostile["code"] = [
        {"title": HOSTILE[0], "language": "c", "text": "\n".join(HOSTILE), "kernels": {}, "nodes": {"0": [[1, 1]]}}
    ]
    browser.open(hostile)
    assert browser.run("return document.title") == HOSTILE[1]
    for i, name in enumerate(HOSTILE):
        browser.run("graphcPage.app.goTo(arguments[0])", f"n{i}")
        browser.settle()
        assert heading(browser) == name
        assert browser.texts(f"#stage [id=n{i}] text")[0].strip() == name
    browser.press("/")
    browser.press("script")
    assert f"{HOSTILE[0]} · {HOSTILE[0]}" in browser.texts("#hits b")
    browser.press(ESCAPE, ESCAPE)
    browser.press("u", " ")
    assert browser.ids(".node") == ["f0"]
    assert HOSTILE[1] in browser.texts("#stage [id=f0] text")
    browser.press(" ")
    assert len(browser.ids(".node")) == len(HOSTILE)


def test_titles_stand_inside_their_frames(browser: Browser) -> None:
    """Also where the layout engine took their letters for wider ones."""
    browser.open(training())
    browser.run("[...document.querySelectorAll('#depths button')].at(0).click()")
    browser.settle()
    browser.run("[...document.querySelectorAll('#depths button')].at(-1).click()")
    browser.settle()
    lefts = browser.run(
        "return [...document.querySelectorAll('#stage .cluster')].map((frame) => "
        "['text', 'path, polygon'].map((part) => frame.querySelector(part).getBBox().x))"
    )
    assert lefts
    assert all(4 < text - frame < 12 for text, frame in lefts)
