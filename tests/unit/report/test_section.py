"""A new kind of result and its section, made in this file alone, get into a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from matplotlib.figure import Figure

from report_page import Page
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.report import section, style
from verisimile.report.document import read_report
from verisimile.report.page import Illustration
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Verdict, decision, measurement
from verisimile.report.write import gather, write_report
from verisimile.stats.pvalues import PValue

RUN = Run(Seeds(1))


@register("sharpness-of-this-test", 1)
@dataclass(frozen=True)
class Sharpness(Result):
    """What a stranger measured."""

    edge: Estimate
    events: int
    warnings: tuple[str, ...] = ()


@register("bluntness-of-this-test", 1)
@dataclass(frozen=True)
class Bluntness:
    """What a stranger tested."""

    p_value: PValue


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make sections known to this file's tests alone."""
    section.known_sections()
    monkeypatch.setattr(section, "_KNOWN", [*section._KNOWN])

    @takes(Sharpness)
    class SharpnessSection(Section[Sharpness]):
        title = "Sharpness"
        question = "how sharp"
        caption = "Sharpness of edges."
        columns: ClassVar = {"Edge": "edge", "Events": "events"}

    @takes(Bluntness)
    class BluntnessSection(Section[Bluntness]):
        title = "Bluntness"
        question = "how blunt"

        def figures(self) -> Iterator[Illustration]:
            yield Illustration("blunt", "An axis.", "An axis without anything.", _axis())


def _axis() -> Figure:
    return style.draw(lambda figure: figure.subplots().set_xlabel("x"))  # type: ignore[arg-type]


def _blunt(value: float, *, toys: int = 999, failed: int = 0) -> Bluntness:
    return Bluntness(PValue(value, value, value, "toys", toys, failed))


def test_a_measurement_of_four_lines_has_its_place(tmp_path: Path) -> None:
    found = [Sharpness(Estimate(0.5, 0.1), 1200, ("Look & see.",)), Sharpness(Estimate(1, 0.1), 7)]
    html = write_report(RUN, found, tmp_path)
    words = Page(html.read_text(encoding="utf-8")).words
    for needed in (
        "Sharpness 1 how sharp measured Edge 0.50 ± 0.10.",
        "Sharpness 2 1.00 ± 0.10 7",
        "Sharpness of edges.",
        "Look & see.",
    ):
        assert needed in words, needed
    assert json.loads((tmp_path / "result.json").read_text())["verdict"] == "inconclusive"
    report = read_report(tmp_path / "result.json")
    assert report.content.results == tuple(found)
    assert report.line == "Sharpness 1: edge 0.50 ± 0.10; Sharpness 2: edge 1.00 ± 0.10"


def test_a_test_is_judged_and_its_figure_shown(tmp_path: Path) -> None:
    html = write_report(RUN, _blunt(0.004), tmp_path)
    page = Page(html.read_text(encoding="utf-8"))
    assert page.all("img")[0]["alt"] == "An axis without anything."
    assert read_report(tmp_path / "result.json").verdict == "failed"


@pytest.mark.parametrize(
    ("p", "number", "verdict"),
    [
        (_blunt(0.04), 1, "failed"),
        (_blunt(0.04), 2, "passed"),
        (_blunt(0.06), 1, "passed"),
        (_blunt(0.5, toys=18), 1, "inconclusive"),
        (_blunt(float("nan")), 1, "inconclusive"),
        (_blunt(0.06, failed=30), 1, "inconclusive"),
        (_blunt(0.06, failed=5), 1, "passed"),
    ],
)
def test_tests_of_a_section_share_the_level(p: Bluntness, number: int, verdict: str) -> None:
    content = gather([p, *[_blunt(0.9)] * (number - 1)])
    (own,) = section.sections_of(content)
    assert next(own.findings()).verdict.value == verdict


def test_a_measurement_counts_only_where_it_compares() -> None:
    assert not measurement("a", "b", "Long.").decisive
    assert measurement("a", "b", "Long.", decisive=True).mark == "measured"
    assert measurement("a", "b", "Long.").mark == "aside"
    p = PValue(0.0, 0.0, 0.0, "chi-square", 0, 0)
    assert decision("a", "b", p, 0.05).sentence == "Rejected: p < 1e-12, Z > 7.03."
    assert decision("a", "b", p, 0.05).verdict is Verdict.FAILED


def test_a_report_of_several_kinds_is_called_after_none_of_them() -> None:
    sharp = Sharpness(Estimate(0.25, 0.01), 9)
    assert gather([sharp]).title == "Sharpness"
    assert gather([sharp, PValue.exact(0.3, null="closed form")]).title == "Report"
