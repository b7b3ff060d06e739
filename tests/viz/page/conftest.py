"""One Chromium for all tests of pages, without a window and without a network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.viz.page.browser import Browser


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser; GRAPHC_BROWSER=1 says that there has to be one."""
    reason = _missing()
    if reason and os.environ.get("GRAPHC_BROWSER") == "1":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser, tmp_path: Path) -> Iterator[Browser]:
    """The browser for one test, which fails if the page did anything that a page must not do."""
    chromium.folder = tmp_path
    yield chromium
    assert chromium.findings() == []
    chromium.leave()


def _missing() -> str:
    names = {"chromium": ("chromium", "google-chrome"), "chromedriver": ("chromedriver",)}
    for what, commands in names.items():
        if not any(shutil.which(command) for command in commands):
            return f"no {what} on this machine: pages are tested where there is one (apt install chromium-driver)"
    return ""
