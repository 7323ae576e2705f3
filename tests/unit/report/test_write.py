"""A report is one page without network, its numbers in strict JSON, whole or absent."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from report_page import Page
from report_values import FEATURE, make_content, make_fit, make_goodness, make_marginal
from verisimile.core.errors import InputError, StoreError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.feature import Feature
from verisimile.report.content import ReportInput, SampleResult, Timings
from verisimile.report.document import read_report
from verisimile.report.write import gather, write_document, write_report

FILES = {"report.html", "result.json", "junit.xml", "summary.md", "figures"}


Written = Callable[[ReportInput], Path]


@pytest.fixture
def write(tmp_path: Path) -> Written:
    def written(content: ReportInput) -> Path:
        return write_report(Run(Seeds(7)), content, tmp_path / "report").parent

    return written


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole report that tests read and do not change."""
    target = tmp_path_factory.mktemp("whole")
    return write_report(Run(Seeds(7)), make_content(), target).parent


def test_all_files_are_there(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    names = {path.name for path in (folder / "figures").iterdir()}
    assert names == {
        "marginal-1-1-pt-ll.pdf",
        "null-1-1-single.pdf",
        "null-1-2-ensemble-uncertainty.pdf",
        "training.pdf",
        "weights.pdf",
    }


def test_page_needs_nothing_else(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert not page.all("script")
    assert not re.search(r"https?://|url\(|@import", text)
    sources = [image["src"] or "" for image in page.all("img")]
    assert len(sources) == 6  # five figures, and one of them at a glance
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert len(text) < 3_000_000


def test_page_is_accessible(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) > 5
    assert all(cell["scope"] in ("col", "row") for cell in page.all("th"))
    names = [attributes["name"] for attributes in page.all("meta") if "name" in attributes]
    assert "viewport" in names
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_text_of_others_is_escaped(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "A < B & C" in page.words
    assert "7 events are shared <b>!</b>" in page.words
    assert not page.all("b")
    assert r"held-out \| truth" in (folder / "summary.md").read_text(encoding="utf-8")


def test_page_shows_what_it_must(folder: Path) -> None:
    words = Page((folder / "report.html").read_text(encoding="utf-8")).words
    for needed in (
        "Passed. held-out | truth is compatible with the fitted model (p = 0.7).",
        "z = +2.5 held-out | truth: excess, 1.1 times the mixture.",
        "Compatible with the ensemble within its uncertainty: 70",
        "Look & see.",
        "Effective rank",
        "Where the sample deviates most: the 2 of 31 kernels",
        "+4.2 33 0.1 37.2 20.5",
        "Negative mass NaN ± NaN",
        "Largest leverage",
        "data/<odd> name.parquet",
        "verisimile gof runs/z 'a b.parquet'",
        "1 min 1 s",
        "7:",
        "numpy",
    ):
        assert needed in words, needed


def test_what_matters_comes_first(folder: Path) -> None:
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    order = [tag for tag, _ in page.tags if tag in ("h1", "img", "dl", "table")]
    assert order[:4] == ["h1", "img", "dl", "table"]
    places = [
        page.words.index(text)
        for text in (
            "Passed. held-out",
            "The largest of 6 bins",
            "Same distribution?",
            "Verdicts at",
            "Limit the verdict (2)",
            "Settings and diagnostics",
        )
    ]
    assert places == sorted(places)


def test_json_is_strict_and_complete(folder: Path) -> None:

    def refuse(constant: str) -> float:
        raise AssertionError(constant)

    text = (folder / "result.json").read_text(encoding="utf-8")
    data = json.loads(text, parse_constant=refuse)
    assert data["schema"] == "verisimile.report/1"
    assert data["verdict"] == "passed"
    assert [c["verdict"] for c in data["conclusions"]] == ["passed", "passed"]
    assert data["content"]["fit"]["record"]["negative_mass"] == "NaN"
    assert data["environment"]["seeds"] == "7:"


def test_page_can_be_made_again_from_the_json(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    write_document(read_report(folder / "result.json"), again)
    for path in folder.rglob("*.*"):
        assert (again / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("statistics", "outcomes"),
    [
        ((30.0,), []),
        ((1000.0,), ["failure"]),
        ((math.nan,), ["error"]),
        ((30.0, 1000.0), ["failure"]),
    ],
)
def test_junit(write: Written, statistics: tuple[float, ...], outcomes: list[str]) -> None:
    samples = tuple(SampleResult(f"s{t}", (make_goodness(t),)) for t in statistics)
    root = ElementTree.parse(write(ReportInput(samples=samples)) / "junit.xml").getroot()
    assert [item.tag for item in root.findall("testsuite/testcase/*")] == outcomes
    suite = root.find("testsuite")
    assert suite is not None
    assert suite.get("tests") == str(len(statistics))
    assert suite.get("failures") == str(outcomes.count("failure"))


def test_junit_skips_what_stands_for_comparison(folder: Path) -> None:
    root = ElementTree.parse(folder / "junit.xml").getroot()
    assert [case.get("name") for case in root.findall(".//testcase[skipped]")] == ["single"]


def test_a_report_on_nothing_does_not_pass(write: Written) -> None:
    folder = write(ReportInput())
    assert json.loads((folder / "result.json").read_text())["verdict"] == "inconclusive"
    assert "<error" in (folder / "junit.xml").read_text()
    assert "nothing was compared" in (folder / "report.html").read_text()
    assert "Inconclusive" in (folder / "summary.md").read_text()


@pytest.mark.parametrize("statistic", [math.inf, math.nan])
def test_what_is_not_finite_is_shown_as_such(write: Written, statistic: float) -> None:
    test = make_goodness(statistic, failed=99)
    folder = write(ReportInput(samples=(SampleResult("s", (test,), (make_marginal(),)),)))
    row = (folder / "summary.md").read_text(encoding="utf-8")
    assert ("∞" if statistic == math.inf else "NaN") in row


def test_control_characters_do_not_break_the_xml(write: Written) -> None:
    sample = SampleResult("a\x00b\x1b", (make_goodness(),))
    ElementTree.parse(write(ReportInput(samples=(sample,))) / "junit.xml")


def test_features_of_like_names_keep_their_own_figures(write: Written) -> None:
    marginals = (make_marginal(Feature("a b")), make_marginal(Feature("a-b")))
    folder = write(ReportInput(samples=(SampleResult("s", (), marginals),)))
    assert len(list((folder / "figures").iterdir())) == 2


def test_loose_results_are_put_together() -> None:
    other = make_goodness(digest="b" * 64)
    content = gather([make_goodness(), make_marginal(), other, make_fit(), Timings()])
    assert [len(sample.goodness) for sample in content.samples] == [1, 1]
    assert [len(sample.marginals) for sample in content.samples] == [1, 0]
    assert content.fit is not None


@pytest.mark.parametrize("stranger", [3.0, FEATURE, None])
def test_strangers_are_refused(stranger: object) -> None:
    with pytest.raises(InputError, match=r"expected any of .*\bGoodness\b"):
        gather([make_goodness(), stranger])


def test_two_fits_are_refused() -> None:
    with pytest.raises(InputError, match="2 weight fits"):
        gather([make_fit(), make_fit()])


def test_a_damaged_report_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for text in ("{", "[1]", '{"schema": "verisimile.estimate/1", "value": 1.0, "error": 0.1}'):
        path.write_text(text)
        with pytest.raises(StoreError):
            read_report(path)
    with pytest.raises(StoreError):
        read_report(path.with_name("none.json"))


def test_no_file_is_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bytes:
        raise MemoryError

    run, folder = Run(Seeds(7)), tmp_path / "report"
    content = ReportInput(samples=(SampleResult("s", (make_goodness(),)),))
    write_report(run, content, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    monkeypatch.setattr("verisimile.report.write.render", full)
    with pytest.raises(MemoryError):
        write_report(run, replace(content, title="Other"), folder)
    page = folder / "report.html"
    assert page.read_bytes() == before[page]
    assert not list(folder.rglob("*.tmp"))
