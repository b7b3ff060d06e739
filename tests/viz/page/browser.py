"""A browser that opens pages and reports whatever a page must not do: dialogs, errors, requests, foreign elements."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from graphc.viz.page import page_of
from graphc.viz.page.clean import ELEMENTS

__all__ = ["Browser"]

SIZE = (1400, 900)
LONGEST = 25.0
NAMES = (
    "HTML HEAD META TITLE LINK STYLE BODY HEADER H1 H2 H3 DIV SECTION INPUT KBD UL LI BUTTON LABEL SELECT OPTION "
    "P MAIN FOOTER ASIDE DIALOG SCRIPT SPAN B I DL DT DD PRE TABLE CAPTION THEAD TBODY TR TH TD DETAILS SUMMARY"
)
OWN = NAMES.split()
"""Elements that the page is made of. None of them loads anything: scripts and links are checked one by one."""
INSPECT = """
const found = [];
for (const each of document.querySelectorAll('*')) {
  const isDrawn = each.namespaceURI === 'http://www.w3.org/2000/svg';
  const known = isDrawn ? arguments[1].includes(each.localName) : arguments[0].includes(each.tagName);
  if (!known) found.push(`element ${each.tagName}`);
  for (const {name, value} of each.attributes) {
    const isLink = ['href', 'src', 'srcset', 'action', 'formaction', 'xlink:href', 'data'].includes(name);
    const isOwn = each.tagName === 'LINK' && value === 'data:,';
    if (name.startsWith('on') || name === 'style' && !arguments[2].includes(each.id || each.className)) {
      found.push(`attribute ${name} of ${each.tagName}`);
    }
    if (isLink && !isOwn) found.push(`attribute ${name} of ${each.tagName}`);
  }
}
if (document.scripts.length !== 3) found.push(`${document.scripts.length} scripts`);
if (window.hacked !== undefined) found.push('a name ran as a script');
return [...new Set(found)];
"""
STYLED = ["", "band", "band current"]
"""What is placed by the page's own script: the root, which has the panel's width, and bands over lines of code."""


class Browser:
    """Chromium by way of its driver. `folder` is where pages are written to be opened."""

    def __init__(self, folder: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={SIZE[0]},{SIZE[1]}",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.set_capability("unhandledPromptBehavior", "ignore")
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.folder = folder
        self.address = ""
        self.resize(*SIZE)
        self.leave()  # what the browser does by itself at its start

    def close(self) -> None:
        self.driver.quit()

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, theme: str) -> None:
        """Say which theme the system has."""
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def leave(self) -> None:
        self.run("try { localStorage.clear() } catch {}")
        self.driver.get("about:blank")
        self.findings()

    def open(self, page: Mapping[str, object] | str, hash: str = "") -> None:
        """Open the page of a record, or the text of a page, and wait until it has drawn."""
        self.visit(page, hash)
        self.settle()

    def visit(self, page: Mapping[str, object] | str, hash: str = "") -> None:
        """Open a page without waiting for more than its text."""
        path = self.folder / "page.html"
        path.write_text(page if isinstance(page, str) else page_of(page), "utf-8")
        self.address = path.as_uri()
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}{hash}")

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + LONGEST
        while not condition():
            assert time.monotonic() < end, f"waited for {what} in vain"
            time.sleep(0.02)

    def settle(self) -> None:
        """Wait until no layout is under way."""
        self.wait(lambda: not self.run("return document.body.hasAttribute('aria-busy')"), "a layout")

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def texts(self, selector: str) -> list[str]:
        return list(self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector))

    def ids(self, selector: str) -> list[str]:
        """The ids of the boxes, frames or arrows that a selector finds, in order."""
        return sorted(
            self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.id)", f"#stage {selector}")
        )

    def click(self, selector: str) -> None:
        """A click at the middle of an element, by the mouse, on what is there to be clicked."""
        from selenium.webdriver import ActionChains

        ActionChains(self.driver, duration=0).move_to_element(self.one(selector)).click().perform()
        self.settle()

    def press(self, *keys: str) -> None:
        """Keys one after another, to whatever has the focus."""
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)
        self.settle()

    def tab(self, title: str) -> None:
        buttons = [each for each in self.all("#tabs button") if each.text == title]
        buttons[0].click()
        self.settle()

    def findings(self) -> list[str]:
        """What a page must not do, of all that happened since the last call."""
        found = []
        try:
            alert = self.driver.switch_to.alert
            found.append(f"dialog: {alert.text}")
            alert.dismiss()
        except Exception as error:  # selenium's own error, which is known only where selenium is
            if type(error).__name__ != "NoAlertPresentException":
                raise
        found += [f"console: {entry['message']}" for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if url.partition("#")[0] != self.address and not url.startswith(("blob:", "about:", "data:")):
                    found.append(f"request: {url[:200]}")
        if self.address and self.driver.current_url.startswith(self.address):
            found += self.run(INSPECT, sorted(OWN), [*ELEMENTS, "svg"], STYLED)
        return found
