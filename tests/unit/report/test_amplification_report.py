"""Amplification in a report: what is said of G, the alarm, figures, and every page."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.axes import Axes

from amplification_values import make_averaging, make_memorisation, make_point, make_study
from report_page import Page
from verisimile.app.terminal import ExitCode, verdict_code
from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.report.content import NamedAmplification, ReportInput
from verisimile.report.document import Document, document, read_report
from verisimile.report.sections.amplification import (
    amplification_figure,
    crossing_figure,
    gain_table,
)
from verisimile.report.sections.amplification_first import gain_words
from verisimile.report.style import to_png
from verisimile.report.verdict import Verdict
from verisimile.report.write import write_report

SMOOTH = ((10, 0.4), (20, 0.22), (50, 0.1), (100, 0.05))
SURE, UNSURE = (0.1, 0.01), (0.001, 0.01)


def smooth(**more: object) -> AmplificationStudy:
    return make_study([make_point(k, value, 0.2 * value) for k, value in SMOOTH], **more)  # type: ignore[arg-type]


def report_of(*studies: AmplificationStudy, name: str = "g") -> Document:
    named = tuple(NamedAmplification(name, study) for study in studies)
    return document(Run(Seeds(1)), ReportInput(amplifications=named))


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (0.1, 0.01, "10 (9.1 to 11)"),
        (0.001, 0.01, "at least 92 (no upper bound)"),
        (-0.001, 0.01, "at least 110 (no upper bound)"),
        (-0.1, 0.01, "no bound"),
        (30.0, 10.0, "0.033 (0.025 to 0.05)"),
        (0.0001, 0.000001, "10\N{NARROW NO-BREAK SPACE}000 (9"),
        (math.nan, math.nan, "not known"),
    ],
)
def test_an_unbounded_gain_is_said_to_be_so(value: float, error: float, words: str) -> None:
    said = gain_words(make_point(50, value, error))
    assert said.startswith(words)
    assert "∞" not in said
    assert "inf" not in said
    assert "e+" not in said


def test_a_negative_estimate_within_bounds_gives_no_number() -> None:
    point = make_point(50, -0.001, 0.01)
    bounded = make_point(50, 0.02, 0.01)
    mixed = replace(bounded, inverse_gain=point.inverse_gain)
    assert gain_words(mixed) == "33 to 99"


def test_the_sentence_has_a_medium_and_the_finest_resolution() -> None:
    report = report_of(smooth())
    (found,) = report.findings
    assert found.sentence == (
        "Worth 10 (8.3 to 12) times the training sample at 50 regions; 20 (17 to 25) at 100."
    )
    assert report.line.startswith("g: worth 10 (8.3 to 12) times")
    assert not report.line.endswith(".")
    (single,) = report_of(make_study([make_point(64, *UNSURE)])).findings
    assert single.sentence == (
        "Worth at least 92 (no upper bound) times the training sample at 64 regions."
    )


@pytest.mark.parametrize(
    ("study", "verdict", "code"),
    [
        (smooth(), Verdict.PASSED, ExitCode.COMPATIBLE),
        (smooth(memorisation=make_memorisation(0.51)), Verdict.PASSED, ExitCode.COMPATIBLE),
        # Significant, but no more than every fitted generator depends on its sample.
        (smooth(memorisation=make_memorisation(0.53)), Verdict.PASSED, ExitCode.COMPATIBLE),
        (smooth(memorisation=make_memorisation(0.97)), Verdict.FAILED, ExitCode.INCOMPATIBLE),
        # A generator worth less than its training sample is measured, and not wrong.
        (make_study([make_point(10, 5.0, 0.5)]), Verdict.PASSED, ExitCode.COMPATIBLE),
    ],
)
def test_only_the_alarm_fails(study: AmplificationStudy, verdict: Verdict, code: ExitCode) -> None:
    report = report_of(study)
    assert report.verdict == verdict.value
    assert verdict_code(report) == code


def test_the_alarm_is_said_with_its_copies() -> None:
    report = report_of(smooth(memorisation=make_memorisation(0.97, copies=19_000)))
    _, alarm = report.findings
    assert alarm.hypothesis == "memorisation"
    assert alarm.sentence.startswith("Memorises: 97")
    assert "copies of training events" in alarm.sentence
    assert "g: memorises its training events" in report.line
    quiet = report_of(smooth(memorisation=make_memorisation(0.5))).findings[1]
    assert quiet.sentence.startswith("No alarm: 50")
    assert "copies" not in quiet.sentence


def test_the_table_has_every_measure_and_no_bare_infinity() -> None:
    kolmogorov = {"m": make_point(0, *UNSURE), "pt": make_point(0, -1.0, 0.1)}
    study = smooth(
        averaging=[make_averaging(10)],
        analytic=[make_point(10, *SURE, measure="analytic")],
        kolmogorov=kolmogorov,
        measure="quantile-of-trainings",
    )
    table = gain_table(study)
    assert [row[0] for row in table.rows] == [
        *["quantile, of the trainings"] * 4,
        "averaging",
        "mixture's own errors",
        "energy distance",
        "KS of m",
        "KS of pt",
    ]
    cells = [cell for row in table.rows for cell in row]
    assert not any("∞" in cell or "NaN" in cell for cell in cells)
    assert {len(row) for row in table.rows} == {len(table.columns)}
    # No regions, no number of parameters.
    assert [(row[1], row[-1]) for row in table.rows[-3:]] == [("–", "–")] * 3


def gains(axes: Axes) -> list[float]:
    """Return the ordinates of all estimates in the figure."""
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    return [float(y) for line in dots for y in np.asarray(line.get_ydata())]


def arrows(axes: Axes, marker: str) -> int:
    return sum(np.asarray(x.get_xdata()).size for x in axes.lines if x.get_marker() == marker)


def test_the_figure_shows_gains_and_their_intervals() -> None:
    study = smooth(
        averaging=[make_averaging(k) for k, _ in SMOOTH],
        analytic=[make_point(k, value, 0.1 * value) for k, value in SMOOTH],
    )
    figure = amplification_figure(study)
    (axes,) = figure.axes
    assert gains(axes)[:4] == pytest.approx([1.0 / value for _, value in SMOOTH])
    assert len(gains(axes)) == 12
    assert arrows(axes, "^") == arrows(axes, "v") == 0
    legend = axes.get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 4
    assert to_png(figure).startswith(b"\x89PNG")
    # Neither covers the data nor leaves the figure.
    box, frame = legend.get_window_extent(), axes.get_window_extent()
    assert box.y0 >= frame.y1
    assert box.x1 <= figure.bbox.x1


@pytest.mark.parametrize("points", [[(64, *UNSURE)], [(64, -0.1, 0.01)], [(2, 3e9, 1e8)]])
def test_one_point_is_a_figure(points: list[tuple[int, float, float]]) -> None:
    study = make_study([make_point(*each) for each in points])
    figure = amplification_figure(study)
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert 0.0 < low < 1.0 < high
    assert to_png(figure).startswith(b"\x89PNG")


def test_unbounded_intervals_end_in_an_arrow() -> None:
    # 1/G over five decades, with an interval that reaches zero and one that is empty.
    values = [(5, 30.0, 1.0), (50, *UNSURE), (51, -1.0, 0.1), (5000, 0.0003, 0.0001)]
    study = make_study([make_point(*each) for each in values])
    figure = amplification_figure(study)
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert low > 0.01
    assert high < 1e5
    assert arrows(axes, "^") >= 4
    assert np.isfinite(gains(axes)).sum() == 3
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["5", "50", "5000"]
    assert to_png(figure).startswith(b"\x89PNG")


def test_one_wide_interval_does_not_set_the_range() -> None:
    narrow = [make_point(k, value, 0.1 * value) for k, value in SMOOTH]
    wide = make_point(200, 0.5, 0.2551)  # 95 %: down to nearly zero
    (axes,) = amplification_figure(make_study([*narrow, wide])).axes
    assert 1.0 / wide.interval(0.95).low > 1000
    assert axes.get_ylim()[1] < 100
    assert arrows(axes, "^") == 1


def test_the_crossing_is_drawn() -> None:
    figure = crossing_figure(make_averaging(20))
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert to_png(figure).startswith(b"\x89PNG")


def test_every_page_shows_the_study(tmp_path: Path) -> None:
    note = "quantile measure: <few> events"
    first = smooth(
        averaging=[make_averaging(k) for k, _ in SMOOTH], memorisation=make_memorisation(0.97)
    )
    unsure = make_point(10, *UNSURE, warnings=(note,))
    second = make_study([unsure], kolmogorov={"p<t>": make_point(0, *SURE)})
    studies = [NamedAmplification("a <b>|c", first), second]
    page = write_report(Run(Seeds(1)), studies, tmp_path)
    text = page.read_text(encoding="utf-8")
    words = Page(text).words
    assert "a <b>|c: amplification" in words
    assert "generator 1: amplification" in words
    assert "KS of p<t>" in words
    assert note in words
    assert "<b>" not in text
    assert "What all members have in common" in words
    assert "Memorisation: is the generator nearer" in words
    figures = {path.name for path in (tmp_path / "figures").iterdir()}
    assert figures == {"amplification-1.pdf", "crossing-1.pdf", "amplification-2.pdf"}
    for picture in Page(text).all("img"):
        assert "∞" not in (picture["alt"] or "")
    summary = (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert r"a \<b\>\|c" in summary
    assert "Worth at least 92 (no upper bound)" in summary
    assert r"\<few\>" in summary


def test_junit_and_json_have_both_conclusions(tmp_path: Path) -> None:
    study = smooth(memorisation=make_memorisation(0.97))
    write_report(Run(Seeds(1)), [study], tmp_path)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == ["amplification", "memorisation"]
    failure = cases[1].find("failure")
    assert failure is not None
    assert (failure.get("message") or "").startswith("Memorises")
    stored = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert stored["verdict"] == "failed"
    report = read_report(tmp_path / "result.json")
    assert to_dict(report.content.amplifications[0].study) == to_dict(study)
    assert [c.verdict for c in report.conclusions] == ["passed", "failed"]
