"""The pages of the papers' experiments are made of the kept numbers, and explain what differs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

from published import pages, registry  # noqa: E402

STUDIES = registry.studies()


@pytest.mark.parametrize("name", STUDIES)
def test_the_page_of_a_study_is_that_of_its_numbers(name: str) -> None:
    found = pages.kept(STUDIES[name])
    assert found is not None, f"{name} has never been run"
    page = (pages.PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert page == pages.page(STUDIES[name], found)
    assert not re.search(r"\b(nan|inf|None)\b", page)


def test_the_table_of_studies_is_that_of_their_numbers() -> None:
    found = {name: kept for name, each in STUDIES.items() if (kept := pages.kept(each))}
    assert (pages.DOCS / "studies.md").read_text(encoding="utf-8") == pages.contents(found)


@pytest.mark.parametrize("name", STUDIES)
def test_every_difference_from_a_published_number_is_explained(name: str) -> None:
    """The last column of a comparison is a sentence, or says that there is no difference."""
    page = (pages.PAGES / f"{name}.md").read_text(encoding="utf-8")
    tables = re.findall(
        r"^\|  \| published \| here \| why they differ \|\n((?:\|.*\n?)+)", page, re.M
    )
    rows = [row.strip("| \n").split(" | ") for table in tables for row in table.splitlines()[1:]]
    for quantity, *_, why in rows:
        assert why == "agrees" or len(why.split()) >= 4, quantity
