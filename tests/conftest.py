"""What many tests share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Time limits would fail on a busy machine. In CI every run tries the same examples.
settings.register_profile("graphc", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("graphc")

os.environ.setdefault("GRAPHC_VERIFY", "1")  # every graph between two passes is checked

GOLDENS = Path(__file__).parent / "goldens"
BACKENDS = ["reference", "torch"]
"""The backends that whole-program tests run on."""


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pytest_configure(config: pytest.Config) -> None:
    """A compile cache of this run, which its workers and the processes that tests start share: never the user's own."""
    if "PYTEST_XDIST_WORKER" not in os.environ:  # workers inherit it
        folder = tempfile.TemporaryDirectory(prefix="graphc-tests-", ignore_cleanup_errors=True)
        os.environ["GRAPHC_CACHE_DIR"] = folder.name
        config.add_cleanup(folder.cleanup)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="write what tests compare with, then look at the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the file of that name under tests/goldens, or with --update-goldens writes it there."""

    def compare(name: str, text: str) -> None:
        file = GOLDENS / name
        if request.config.getoption("--update-goldens"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert file.exists(), f"there is no {file}: run pytest --update-goldens, and look at what it wrote"
        assert text == file.read_text(encoding="utf-8"), "run pytest --update-goldens if the change is meant"

    return compare
