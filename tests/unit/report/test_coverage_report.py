"""Coverage in a report: verdict by exact intervals, and every page shows it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from verisimile.checks.coverage.result import Coverage, Outcomes, summarise
from verisimile.core.random import Seeds
from verisimile.core.result import Estimate
from verisimile.core.run import Run
from verisimile.report.content import ReportInput
from verisimile.report.document import read_report
from verisimile.report.sections.coverage import judge_coverage
from verisimile.report.verdict import Verdict
from verisimile.report.write import write_report


def make_coverage(covered: int, datasets: int = 100, observables: int = 2) -> Coverage:
    """Return a study in which `covered` data sets of the first observable contain the truth."""
    pulls = np.tile(np.where(np.arange(datasets) < round(0.68 * datasets), 0.5, 1.5), (2, 1)).T
    pulls[:, 0] = np.where(np.arange(datasets) < covered, 0.5, 1.5)
    pulls = pulls[:, :observables]
    return summarise(
        Outcomes(pulls, np.ones(pulls.shape), np.zeros(pulls.shape)),
        ["mean <pt>", "other"][:observables],
        [Estimate(0.0, 0.0)] * observables,
        mode="conditional",
        level=0.6827,
        n_events=10,
    )


@pytest.mark.parametrize(
    ("study", "verdict"),
    [
        (make_coverage(68), Verdict.PASSED),
        (make_coverage(50), Verdict.FAILED),
        (make_coverage(85), Verdict.FAILED),
        # 58 of 100 is outside the 95 % interval of one observable, and inside that of two.
        (make_coverage(58), Verdict.PASSED),
        (make_coverage(58, observables=1), Verdict.FAILED),
        (make_coverage(5, datasets=5), Verdict.INCONCLUSIVE),
    ],
)
def test_the_exact_intervals_decide_together(study: Coverage, verdict: Verdict) -> None:
    assert judge_coverage(study, 0.05)[0] is verdict


def test_the_page_shows_a_study(tmp_path: Path) -> None:
    page = write_report(Run(Seeds(1)), [make_coverage(50)], tmp_path)
    text = page.read_text()
    assert "not in the intervals as often as stated" in text
    assert "mean &lt;pt&gt;" in text
    assert "No test was made" not in text
    assert (tmp_path / "figures" / "coverage-1-conditional.pdf").exists()
    assert "mean \\<pt\\>" in (tmp_path / "summary.md").read_text()
    junit = (tmp_path / "junit.xml").read_text()
    assert 'failures="1"' in junit
    assert "nothing was compared" not in junit
    report = read_report(tmp_path / "result.json")
    assert report.verdict == "failed"
    assert json.loads((tmp_path / "result.json").read_text())["conclusions"][0]["decisive"]
    np.testing.assert_array_equal(report.content.coverage[0].pulls, make_coverage(50).pulls)


def test_an_empty_report_still_concludes_nothing(tmp_path: Path) -> None:
    page = write_report(Run(Seeds(1)), ReportInput(), tmp_path)
    assert "No test was made" in page.read_text()
