"""Pages in which everything has a name that means harm: nothing of it runs, whatever is looked at."""

from __future__ import annotations

import pytest

import graphc
from graphc.viz.draw import contents
from graphc.viz.request import Request
from tests.hostile import NAMES, batches, named
from tests.viz.page.browser import Browser

WALK = """
const MOST = 20;  // browsers do not let a page change its address without end
const done = arguments[0];
const wait = () => new Promise((go) => setTimeout(go));
(async () => {
  for (const tab of document.querySelectorAll('#tabs button')) {
    tab.click();
    do { await wait(); } while (document.body.hasAttribute('aria-busy'));
    const drawn = [...document.querySelectorAll('#stage .node, #stage .cluster, #stage .edge')];
    for (const [k, each] of drawn.entries()) {
      each.dispatchEvent(new MouseEvent('pointerover', {bubbles: true}));
      if (k % Math.ceil(drawn.length / MOST) === 0) each.dispatchEvent(new MouseEvent('click', {bubbles: true}));
    }
    await wait();
  }
  const find = document.getElementById('find');
  for (const text of ['<', '"', "'", '&', 'hacked', '\\\\', '(', '[', '*', '\\u0000', '__proto__', '${']) {
    find.value = text;
    find.dispatchEvent(new Event('input', {bubbles: true}));
    await wait();
  }
  return 'walked';
})().then(done, (error) => done(String(error)));
"""


@pytest.mark.parametrize("part", range(11))
def test_pages_run_nothing(browser: Browser, part: int) -> None:
    names = NAMES[:50] if part == 0 else batches(100)[part - 1]  # a program is more views
    parts = named(names)
    value = parts.outputs if part else graphc.compile(parts.inputs, parts.outputs, parts.updates, backend="torch")
    browser.open(contents(value, ".html", Request(depth=9), names[0]).decode())
    browser.driver.set_script_timeout(25)
    assert browser.driver.execute_async_script(WALK) == "walked"
    assert browser.findings() == []
