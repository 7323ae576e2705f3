"""Two reports side by side: what belongs together, what differs, and whose verdict counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import verisimile as vs
from report_values import make_content, make_goodness
from verisimile.core.errors import StoreError
from verisimile.report.again import judged_again, kept_report
from verisimile.report.content import ReportInput
from verisimile.report.difference import (
    Change,
    ReportComparison,
    number_changes,
    origin_changes,
    paired,
    paired_parts,
    stored_numbers,
    table_changes,
)
from verisimile.report.document import Document, document
from verisimile.report.page import Table
from verisimile.report.sections.comparison import (
    overview_table,
    picture_pairs,
    verdicts_table,
    warnings_table,
)
from verisimile.report.write import gather, write_document

RUN = vs.Run(vs.Seeds(7))


def report(content: ReportInput | None = None, run: vs.Run = RUN) -> Document:
    return document(run, make_content() if content is None else content)


def against(second: Document, first: Document | None = None) -> ReportComparison:
    return ReportComparison(("a", "b"), report() if first is None else first, second)


def rejected() -> ReportInput:
    """Return the usual content, with a sample that is called otherwise and is not compatible."""
    content = make_content()
    (sample,) = content.samples
    goodness = (*sample.goodness[:-1], make_goodness(1000.0))
    return replace(content, samples=(replace(sample, name="tune B", goodness=goodness),))


@pytest.mark.parametrize(
    ("first", "second", "pairs"),
    [
        ("abc", "cab", [("a", "a"), ("b", "b"), ("c", "c")]),
        ("aab", "ab", [("a", "a"), ("a", None), ("b", "b")]),
        ("ax", "ay", [("a", "a"), ("x", "y")]),
        ("axy", "az", [("a", "a"), ("x", None), ("y", None), (None, "z")]),
        ("", "a", [(None, "a")]),
    ],
)
def test_equal_names_belong_together_then_what_is_left_over(
    first: str, second: str, pairs: Sequence[tuple[str | None, str | None]]
) -> None:
    assert paired(first, second, lambda letter: letter) == pairs


def test_cells_are_matched_by_row_and_column() -> None:
    first = Table("", ("Test", "p", "Z"), (("ks", "0.1", "1.3"), ("energy", "0.2", "0.8")))
    second = Table("", ("Test", "Z", "n"), (("energy", "0.8", "9"), ("ks", "1.4", "9")))
    assert list(table_changes("tests", first, second)) == [
        Change("tests", "ks", "p", "0.1", "–"),
        Change("tests", "ks", "Z", "1.3", "1.4"),
        Change("tests", "ks", "n", "–", "9"),
        Change("tests", "energy", "p", "0.2", "–"),
        Change("tests", "energy", "n", "–", "9"),
    ]


def test_a_report_and_itself_differ_in_nothing() -> None:
    same = against(report(), first=(mine := report()))
    assert not list(number_changes(paired_parts(same)))
    assert not list(origin_changes(same))
    stored = stored_numbers(same)
    assert stored.compared > 100
    assert (stored.different, stored.unpaired) == (0, 0)
    assert warnings_table(same) is None
    assert {row[-1] for row in overview_table(replace(same, second=mine), []).rows} == {"same"}


def test_what_differs_is_named() -> None:
    second = replace(rejected(), level=0.01, warnings=("Mind the gap.",), command="other")
    found = against(report(second, vs.Run(vs.Seeds(8))))
    changed = {row[0] for row in overview_table(found, []).rows if row[-1] == "changed"}
    assert {"Verdict", "Level", "Random streams", "Command"} <= changed
    assert not changed & {"Samples", "Python", "verisimile"}
    assert Change("Seeds and versions", "Random streams (entropy:path)", "Value", "7:", "8:") in (
        list(origin_changes(found))
    )
    verdicts = verdicts_table(found).rows
    assert [row[2] for row in verdicts] == ["passed", "passed → failed"]
    assert verdicts[0][0] == "held-out | truth → tune B"
    notes = warnings_table(found)
    assert notes is not None
    assert ("a", "Look & see.") in notes.rows
    assert ("b", "Mind the gap.") in notes.rows
    numbers = [each for each in number_changes(paired_parts(found)) if each.column == "t"]
    assert [(each.part, each.first, each.second) for each in numbers] == [("Summary", "30", "1000")]


def test_stored_numbers_are_compared_to_the_last_bit() -> None:
    value = 0.1
    first, second, more = (
        report(gather([vs.Estimate(each, 0.5), *others]))
        for each, others in (
            (value, ()),
            (math.nextafter(value, 1.0), ()),
            (value, (vs.Estimate(math.nan, 1.0),)),
        )
    )
    stored = stored_numbers(against(second, first))
    assert (stored.different, stored.unpaired) == (1, 0)
    assert stored.largest == pytest.approx(1.4e-16, rel=0.05)
    assert not list(number_changes(paired_parts(against(second, first))))
    assert stored_numbers(against(more, first)).unpaired == 2


def test_figures_are_side_by_side_under_their_reports_names() -> None:
    found = against(report(rejected()))
    _, (one, other), *_ = paired_parts(found)
    pictures = picture_pairs(found, one, other, "1")
    assert [picture.caption[:2] for picture in pictures] == ["a:", "b:"] * (len(pictures) // 2)
    assert len({picture.name for picture in pictures}) == len(pictures)
    assert pictures


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [(None, rejected(), "failed"), (rejected(), None, "passed")],
)
def test_the_second_verdict_counts(
    first: ReportInput | None, second: ReportInput | None, verdict: str
) -> None:
    found = document(RUN, gather([against(report(second), report(first))]))
    assert found.verdict == verdict
    assert [each.decisive for each in found.conclusions] == [False, True]


def test_a_report_that_was_judged_otherwise_keeps_the_old_verdict_as_a_warning() -> None:
    old = replace(report(), verdict="failed", line="something", conclusions=())
    again = judged_again(old)
    assert again.verdict == "passed"
    assert (again.line, again.conclusions) == (report().line, report().conclusions)
    assert again.warnings[0].startswith("The verdict of this report was failed when it was written")
    assert again.environment is old.environment
    assert judged_again(report()).warnings == report().warnings


def test_a_kept_report_is_found_by_its_folder_or_its_file(tmp_path: Path) -> None:
    page = write_document(report(gather([vs.Estimate(1.0, 0.5)])), tmp_path / "r")
    kept = [kept_report(place) for place in (page.parent, page.with_name("result.json"))]
    assert [each.line for each in kept] == ["Estimate: value 1.00 ± 0.50"] * 2
    for nothing in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match=r"no result\.json"):
            kept_report(nothing)
