"""What the pages name is there: public names, commands with their options, files of the project."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import verisimile as vs
from verisimile.app.cli import app

ROOT = Path(__file__).parents[1]
_COPIES = {"changelog.md", "citing.md", "contributing.md"}  # that the site's build writes here
_DOCS = sorted(each for each in (ROOT / "docs").glob("*.md") if each.name not in _COPIES)
PAGES = [ROOT / "README.md", *_DOCS]
COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands", {})
# The name of a metric, and what `make docs` makes below build/.
ELSEWHERE = {"tests/energy/p_value", "docs/executed", "docs/html"}


def faults_of(text: str) -> Iterator[str]:
    """Yield what a page names and nobody has."""
    for name in sorted(set(re.findall(r"\bvs\.([A-Za-z_]\w*(?:\.\w+)*)", text))):
        found: object = vs
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is None:
            yield f"vs.{name}"
    for name in sorted(set(re.findall(r"\b(?:tests|benchmarks|src|docs)/[\w/.-]*\w", text))):
        if name not in ELSEWHERE and not (ROOT / name).exists():
            yield name
    for words in calls(text):
        try:
            COMMANDS[words[0]].make_context(words[0], words[1:])
        except SystemExit:
            pass
        except Exception as error:
            yield f"{shlex.join(words)}: {type(error).__name__}"


def calls(text: str) -> Iterator[list[str]]:
    """Yield the words of every call of verisimile in the console blocks of a page."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").replace(" && ", "\n").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["verisimile"] and len(words) > 1:
                yield words[1 : words.index("|") if "|" in words else None]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    assert list(faults_of(page.read_text("utf-8"))) == []


def test_the_page_of_measurements_is_made_of_what_is_kept() -> None:
    spec = importlib.util.spec_from_file_location("_page", ROOT / "benchmarks" / "_page.py")
    assert spec is not None
    assert spec.loader is not None
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert (ROOT / "docs" / "measured.md").read_text("utf-8") == maker.page(maker.scripts())


def test_what_is_not_there_is_found() -> None:
    text = (
        "`vs.nothing.at_all`, `tests/test_nothing.py`\n```console\n$ verisimile gof runs/z\n```\n"
    )
    assert list(faults_of(text)) == [
        "vs.nothing.at_all",
        "tests/test_nothing.py",
        "gof runs/z: MissingParameter",
    ]


def test_the_page_of_the_command_line_has_a_row_for_every_command() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `verisimile ([a-z-]+)", page, re.M))
    assert rows == set(COMMANDS)
