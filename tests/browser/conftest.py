"""A real browser: without one every test that asks for it fails, and says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_NEEDED = {"playwright": "playwright", "axe_playwright_python": "axe-playwright-python"}
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_NONE = (
    "no browser to test the pages with. `make browser` installs what is needed; by hand: "
    "pip install --group browser, then playwright install chromium, or CHROMIUM=/path/to/chromium."
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return Chromium: that of the variable CHROMIUM, of the system, or playwright's own."""
    missing = [name for module, name in _NEEDED.items() if find_spec(module) is None]
    if missing:
        pytest.fail(f"{' and '.join(missing)} not installed: {_NONE}", pytrace=False)
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    with import_module("playwright.sync_api").sync_playwright() as driver:
        program = found or driver.chromium.executable_path
        if not Path(program).exists():
            pytest.fail(f"no program {program}: {_NONE}", pytrace=False)
        # Without a sandbox, as in a container: it opens our own files alone.
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> Any:  # noqa: ANN401  (of a library without types)
    """Return the checker of accessibility rules."""
    return import_module("axe_playwright_python.sync_playwright").Axe()
