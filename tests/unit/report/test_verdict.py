"""Thresholds are applied here only, and nothing compared never passes."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from report_values import make_content, make_goodness, make_surprise
from verisimile.core.errors import InputError
from verisimile.report.content import ReportInput, SampleResult
from verisimile.report.document import findings
from verisimile.report.sections.goodness import judge
from verisimile.report.verdict import Verdict, overall, verdict_line


def _content(*statistics: float) -> ReportInput:
    return ReportInput(
        samples=tuple(
            SampleResult(f"sample {i}", (make_goodness(t),)) for i, t in enumerate(statistics)
        )
    )


@pytest.mark.parametrize(
    ("statistic", "verdict"),
    [
        # 99 toys 0, 1, ..., 98: the p-value of t is (99 - ceil(t) + 1) / 100.
        (30.0, Verdict.PASSED),
        (94.0, Verdict.PASSED),  # p = 0.06
        (95.0, Verdict.FAILED),  # p = 0.05
        (1000.0, Verdict.FAILED),
        (math.inf, Verdict.FAILED),
        (math.nan, Verdict.INCONCLUSIVE),
    ],
)
def test_level_decides(statistic: float, verdict: Verdict) -> None:
    assert judge(make_goodness(statistic), 0.05)[0] is verdict


def test_too_few_toys_cannot_pass_or_fail() -> None:
    for statistic in (-1.0, 1000.0):
        verdict, reason = judge(make_goodness(statistic, toys=18), 0.05)
        assert verdict is Verdict.INCONCLUSIVE
        assert "at least 19 are needed" in reason
    assert judge(make_goodness(1000.0, toys=19), 0.05)[0] is Verdict.FAILED
    assert judge(make_goodness(-1.0, toys=19), 0.05)[0] is Verdict.PASSED


def test_failed_toys_must_not_make_a_test_pass() -> None:
    # Each failed toy counts as extreme: 20 of them alone give p = 0.21.
    hidden = make_goodness(1000.0, failed=20)
    assert hidden.p_value.value > 0.05
    verdict, reason = judge(hidden, 0.05)
    assert verdict is Verdict.INCONCLUSIVE
    assert "20 toys that failed" in reason
    assert judge(make_goodness(30.0, failed=20), 0.05)[0] is Verdict.PASSED
    assert judge(make_goodness(1000.0, failed=2), 0.05)[0] is Verdict.FAILED


def test_a_lower_bound_can_fail_but_not_pass() -> None:
    assert judge(make_goodness(30.0, capped=3), 0.05)[0] is Verdict.INCONCLUSIVE
    assert judge(make_goodness(1000.0, capped=3), 0.05)[0] is Verdict.FAILED
    # Where their surprise is part of the p-value, they are accounted for.
    seen = replace(make_goodness(30.0, capped=3), surprise=make_surprise())
    assert judge(seen, 0.05)[0] is Verdict.PASSED


def test_nothing_compared_is_inconclusive() -> None:
    assert overall(()) is Verdict.INCONCLUSIVE
    assert "nothing was compared" in verdict_line(())


@pytest.mark.parametrize(
    ("statistics", "verdict"),
    [
        ((30.0, 30.0), Verdict.PASSED),
        ((30.0, 1000.0), Verdict.FAILED),
        ((30.0, math.nan), Verdict.INCONCLUSIVE),
        ((1000.0, math.nan), Verdict.FAILED),
    ],
)
def test_the_worst_sample_decides(statistics: tuple[float, ...], verdict: Verdict) -> None:
    found = findings(_content(*statistics))
    assert overall(found) is verdict
    assert verdict_line(found).count("sample") == len(statistics)


def test_other_hypotheses_stand_for_comparison() -> None:
    tests = (make_goodness(1000.0, hypothesis="single"), make_goodness(30.0))
    content = ReportInput(samples=(SampleResult("s", tests),))
    single, decisive = findings(content)
    assert (single.verdict, single.decisive) == (Verdict.FAILED, False)
    assert (decisive.verdict, decisive.decisive) == (Verdict.PASSED, True)
    assert overall((single, decisive)) is Verdict.PASSED


def test_without_the_decisive_hypothesis_all_count() -> None:
    tests = (make_goodness(1000.0, hypothesis="single"),)
    found = findings(ReportInput(samples=(SampleResult("s", tests),)))
    assert found[0].decisive
    assert overall(found) is Verdict.FAILED


def test_sentences_say_what_happened() -> None:
    assert "none of 99" in findings(_content(1000.0))[0].sentence
    assert findings(_content(30.0))[0].sentence.startswith("Compatible with the ensemble within")
    assert findings(_content(math.nan))[0].sentence.startswith("Nothing can be said")


@pytest.mark.parametrize("level", [0.0, 1.0, -0.1, math.nan])
def test_a_level_is_a_probability(level: float) -> None:
    with pytest.raises(InputError, match="level"):
        replace(make_content(), level=level)
