"""The pages lead where they say, all are in the contents, and the main names have examples."""

from __future__ import annotations

import importlib.util
import operator
import re
from pathlib import Path

import verisimile
from public_names import stubs
from verisimile.app.cli import COMMANDS

ROOT = Path(__file__).parents[1]
_PLACE = ROOT / "docs" / "building" / "links.py"
_SPEC = importlib.util.spec_from_file_location("site_links", _PLACE)
assert _SPEC is not None
assert _SPEC.loader is not None
links = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(links)
# Needs an ensemble of conditional densities, or many of them, or a tracker: their pages show it.
WITHOUT_EXAMPLE = {
    "ConditionalMixture",
    "CorrectedMixture",
    "MLflowLogger",
    "SampledTruth",
    "WandbLogger",
    "coverage_retrained",
    "fit_conditional_mixture",
    "goodness_in_context",
    "log_report",
    "saturation",
}


def test_links_between_files_lead_somewhere() -> None:
    assert links.faults_of_files() == []


def test_every_page_is_in_the_contents() -> None:
    tables = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    made = {"index.md", "changelog.md", "citing.md", "contributing.md"}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - made
    assert pages <= set(re.findall(r"^\| \[[^\]]*\]\((\S+?)\) \|", tables, re.MULTILINE))


def test_broken_links_of_a_site_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<h1 id="top">A</h1><a href="#top">x</a><a href="b.html#there">x</a>'
        '<a href="b.html#not">x</a><a href="c.html">x</a><a href="https://example.org">x</a>'
        '<script src="https://example.org/x.js"></script>',
        encoding="utf-8",
    )
    (tmp_path / "b.html").write_text('<p id="there">B</p>', encoding="utf-8")
    assert links.faults_of_site(tmp_path) == [
        "a.html: loads https://example.org/x.js",
        "a.html: b.html#not: no such place on the page",
        "a.html: c.html: no such page",
    ]


def test_main_names_have_examples() -> None:
    names = stubs()["verisimile"]
    shown = {name for name in names if ">>> " in (getattr(verisimile, name).__doc__ or "")}
    assert set(names) - shown == WITHOUT_EXAMPLE


def test_every_name_in_the_coverage_of_the_papers_exists() -> None:
    page = (ROOT / "docs" / "coverage-of-the-papers.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`vs\.([\w.]+)`", page))
    assert len(names) > 50
    for name in names:
        assert operator.attrgetter(name)(verisimile) is not None
    assert set(re.findall(r"`verisimile ([\w-]+)`", page)) <= {*COMMANDS}


def test_every_equation_of_the_papers_has_its_row() -> None:
    page = (ROOT / "docs" / "coverage-of-the-papers.md").read_text(encoding="utf-8")
    for paper, equations in {"B": 6, "V": 39}.items():
        parts = re.findall(rf"^## \[{paper}\].*?(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
        spans = re.findall(r"eqs?\. (\d+)(?: (to|and) (\d+))?", "".join(parts))
        covered = {n for low, _, high in spans for n in range(int(low), int(high or low) + 1)}
        assert covered == set(range(1, equations + 1)), paper
