"""What readers are told of errors: with a discrepancy, without, learnt from too few events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from report_values import make_band, make_content, make_fit, make_goodness, make_summary
from result_kinds import RUN
from verisimile.checks.goodness.result import Goodness
from verisimile.core.result import from_dict, to_dict
from verisimile.data.feature import Feature
from verisimile.report.claims import AS_PUBLISHED, UNMOVED, claimed, reservation, supported
from verisimile.report.content import ReportInput, SampleResult
from verisimile.report.document import findings
from verisimile.report.section import sections_of
from verisimile.report.sections.discrepancy import discrepancy_table
from verisimile.report.sections.goodness import goodness_table
from verisimile.report.verdict import Verdict
from verisimile.report.write import gather, write_report

REJECTED, ACCEPTED = make_goodness(200.0), make_goodness(30.0)


def said_of(test: Goodness) -> tuple[Verdict, str]:
    (found,) = findings(ReportInput(samples=(SampleResult("test", (test,)),)))
    return found.verdict, found.sentence


def test_claims_are_told_in_one_sentence() -> None:
    said = claimed(make_summary())
    assert said.startswith("Claimed errors of the features' bins are 0.60 of the counting error")
    assert "0.15 without the discrepancy" in said
    assert "23 of its 412 functions" in said
    assert "pt <ll> between 20 and 300 GeV: +12 ± 4.1 %" in said
    assert said.endswith(" %.")
    assert UNMOVED in claimed(make_summary(make_band(off=0.01)))
    assert claimed(None) == AS_PUBLISHED


def test_support_is_the_size_where_counting_and_claimed_errors_are_equal() -> None:
    found = make_summary()
    assert found.supports == pytest.approx(4000 / 0.6**2)
    test = replace(ACCEPTED, learnt_from=4000.0, supports=found.supports)
    assert "support a test of 11 000 events" in supported(test).replace("\u202f", " ")
    assert supported(ACCEPTED) == ""


def test_a_rejection_beyond_what_was_learnt_is_not_called_the_datas() -> None:
    few = replace(REJECTED, n_training=2000, learnt_from=400.0, supports=900.0)
    verdict, sentence = said_of(few)
    assert verdict is Verdict.FAILED
    assert "learnt from 400 events, fewer than the 500 tested" in sentence
    assert "cannot be told from what the ensemble has not learnt" in sentence
    assert "Fit on as many events as are tested, or test 400 at most." in sentence
    # As many were learnt from as are tested: the rejection stands as it is.
    enough = replace(few, learnt_from=500.0)
    verdict, sentence = said_of(enough)
    assert verdict is Verdict.FAILED
    assert sentence.endswith("deviate as much.")
    # Nothing is reserved about a test that rejects nothing.
    assert "learnt" not in said_of(replace(few, statistic=30.0, p_value=ACCEPTED.p_value))[1]


@pytest.mark.parametrize(("n_training", "reserved"), [(4999, True), (5000, False), (None, False)])
def test_a_plain_mixture_leaves_out_what_members_miss_alike(
    n_training: int | None, reserved: bool
) -> None:
    test = replace(REJECTED, n_training=n_training)
    verdict, sentence = said_of(test)
    assert verdict is Verdict.FAILED
    assert ("all members miss alike" in sentence) is reserved
    assert bool(reservation(test)) is reserved
    corrected = replace(test, learnt_from=500.0, supports=900.0)
    assert reservation(corrected) == ""


def test_tables_hold_the_record_and_the_numbers_of_tests() -> None:
    rows = {row[0]: row[1] for row in discrepancy_table(make_summary()).rows}
    assert rows["Largest ratio to the density of the members"] == "2"
    assert rows["Off by more than two errors"] == "pt <ll> between 20 and 300 GeV: +12 ± 4.1 %"
    assert rows["Of them determined"] == "23.4"
    unmoved = discrepancy_table(make_summary(make_band(off=0.0)))
    assert {row[0]: row[1] for row in unmoved.rows}["Bins"] == UNMOVED
    told = replace(ACCEPTED, learnt_from=4000.0, supports=11_111.0)
    single = make_goodness(hypothesis="single")
    rows_of = {row[0]: row[1:] for row in goodness_table((single, told)).rows}
    learnt = rows_of["Events that the discrepancy was learnt from"]
    assert learnt == ("–", "4\u202f000")
    assert "Events that the discrepancy was learnt from" not in {
        row[0] for row in goodness_table((single, ACCEPTED)).rows
    }


def test_a_report_shows_the_errors_or_says_what_they_leave_out(tmp_path: Path) -> None:
    content = make_content()
    texts = {part.title: part.text for s in sections_of(content) for part in s.parts()}
    assert texts["Ensemble and weights"] == AS_PUBLISHED
    content = replace(content, results=(make_summary(),))
    parts = {part.title: part for s in sections_of(content) for part in s.parts()}
    assert parts["Ensemble and weights"].text == ""
    shown = parts["What the errors hold"]
    assert shown.text == claimed(make_summary())
    assert [picture.name for picture in shown.illustrations] == ["errors-1"]
    page = write_report(RUN, content, tmp_path).read_text(encoding="utf-8")
    assert "What the errors hold" in page
    assert (tmp_path / "figures" / "errors-1.pdf").stat().st_size > 5000


def test_of_many_features_those_that_moved_most_are_drawn() -> None:
    bands = [make_band(Feature(f"x{i}"), off=0.01 * i) for i in range(14)]
    content = gather([make_fit(), make_summary(*bands)])
    (picture,) = [
        one
        for section in sections_of(content)
        for part in section.parts()
        for one in part.illustrations
        if one.name == "errors-1"
    ]
    assert "The 2 features that moved least are left out." in picture.caption
    drawn = [axes.get_xlabel() for axes in picture.figure.axes if axes.get_xlabel()]
    assert drawn == [f"x{i}" for i in range(2, 14)]


def test_tests_of_older_versions_are_read() -> None:
    data = to_dict(ACCEPTED)
    for name in ("n_training", "learnt_from", "supports"):
        del data[name]
    data["schema"] = "verisimile.goodness/3"
    read = from_dict(data)
    assert isinstance(read, Goodness)
    assert (read.n_training, read.learnt_from, read.supports) == (None, None, None)
