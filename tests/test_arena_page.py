"""The arena's page is that of its kept table, and says what the table says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

from arena.page import page  # noqa: E402

from verisimile.core.result import load  # noqa: E402
from verisimile.ranking.result import Arena, ArenaCosts  # noqa: E402
from verisimile.ranking.suite import Suite  # noqa: E402


@pytest.fixture(scope="module")
def table() -> Arena:
    found = load(ROOT / "benchmarks" / "results" / "arena.json")
    assert isinstance(found, Arena)
    return found


def test_the_page_is_made_of_the_kept_table(table: Arena) -> None:
    costs = load(ROOT / "benchmarks" / "results" / "arena_costs.json")
    assert isinstance(costs, ArenaCosts)
    made = page(table, costs)
    assert (ROOT / "docs" / "arena.md").read_text(encoding="utf-8") == made
    assert "@" not in made
    assert all(f"| {one.metric} |" in made for one in table.standings)


def test_the_table_is_of_the_default_suite_and_has_everybody(table: Arena) -> None:
    suite = Suite()
    assert table.laws == tuple(law.name for law in suite.laws)
    assert len(table.laws) >= 3
    assert len(table.defects) >= 10
    assert {len(strengths) for strengths in table.strengths} == {3}
    assert table.sizes == suite.sizes
    makers = {one.by.partition(" ")[0] for one in table.standings}
    assert "verisimile" in makers
    assert len(makers) >= 2
