"""Every page opens in a real browser, asks for nothing, and can be read on any of its media."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from browser.pages import COMMANDS, ODD, run_commands

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1800)]

SHOTS = Path(__file__).parents[2] / "build" / "browser"
"""Where pictures of all pages are kept, to be looked at."""

LARGEST = 2_000_000  # bytes of a page
PAPER = 794  # pixels: the width of A4
MEDIA: dict[str, dict[str, Any]] = {
    "wide": {"viewport": {"width": 1280, "height": 900}},
    "narrow": {"viewport": {"width": 400, "height": 800}},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "print": {"viewport": {"width": PAPER, "height": 1123}},
}

# What sticks out of its box without a bar to scroll it, or lies beyond the right edge.
_CUT = """() => [...document.querySelectorAll('body *')].filter(e => {
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  if (!box.width || style.position === 'absolute' || e.closest('.skip, svg')) return false;
  for (let up = e; up; up = up.parentElement)
    if (['auto', 'scroll'].includes(getComputedStyle(up).overflowX)) return false;
  return box.right > innerWidth + 1;
}).slice(0, 5).map(e => e.outerHTML.slice(0, 120))"""

_PICTURES = "() => [...document.images].filter(i => !i.naturalWidth || !i.alt).length"
_HIDDEN = """() => [...document.querySelectorAll('details')].filter(
  e => ![...e.children].some(c => c.localName !== 'summary' && c.getBoundingClientRect().height)
).length"""
_LIGHT = """() => {
  const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).map(Number);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}"""


@pytest.fixture(scope="session")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return run_commands(tmp_path_factory.mktemp("commands"))


@pytest.fixture(scope="module", params=[*COMMANDS, *ODD])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = request.param
    if name in ODD:
        return ODD[name](tmp_path_factory.mktemp(name) / name)
    pages: dict[str, Path] = request.getfixturevalue("commanded")
    return pages[name]


@contextmanager
def opened(chromium: Any, file: Path, medium: str) -> Iterator[Any]:  # noqa: ANN401
    """Open a page on a medium; fail for what it says on the console, or asks for."""
    context = chromium.new_context(**MEDIA[medium])
    sheet, faults, asked = context.new_page(), [], []
    sheet.on("console", lambda message: faults.append(message.text))
    sheet.on("pageerror", lambda error: faults.append(str(error)))
    sheet.on("request", lambda request: asked.append(request.url))
    if medium == "print":
        sheet.emulate_media(media="print")
    address = file.resolve().as_uri()
    sheet.goto(address)
    yield sheet
    context.close()
    assert faults == []
    assert [url for url in asked if url != address and not url.startswith("data:")] == []


def test_pages_are_small(page: Path) -> None:
    assert page.stat().st_size < LARGEST


@pytest.mark.parametrize("medium", MEDIA)
def test_it_can_be_read(chromium: Any, axe: Any, page: Path, medium: str) -> None:  # noqa: ANN401
    with opened(chromium, page, medium) as sheet:
        SHOTS.mkdir(parents=True, exist_ok=True)
        sheet.screenshot(path=SHOTS / f"{page.parent.name}-{medium}.png", full_page=True)
        width = sheet.evaluate("innerWidth")
        assert sheet.evaluate("document.documentElement.scrollWidth") <= width
        assert sheet.evaluate(_CUT) == []
        assert sheet.evaluate(_PICTURES) == 0
        found = axe.run(sheet).response["violations"]
        assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []


def test_dark_is_dark(chromium: Any, page: Path) -> None:  # noqa: ANN401
    with opened(chromium, page, "dark") as sheet:
        assert sheet.evaluate(_LIGHT) < 0.2


def test_print_shows_what_is_folded(chromium: Any, page: Path) -> None:  # noqa: ANN401
    with opened(chromium, page, "print") as sheet:
        assert sheet.evaluate(_HIDDEN) == 0
        assert sheet.evaluate(_LIGHT) > 0.99
        assert sheet.pdf(format="A4").startswith(b"%PDF")


def test_the_first_key_leads_to_the_content(chromium: Any, page: Path) -> None:  # noqa: ANN401
    with opened(chromium, page, "wide") as sheet:
        sheet.keyboard.press("Tab")
        assert sheet.evaluate("document.activeElement.getAttribute('href')") == "#content"
