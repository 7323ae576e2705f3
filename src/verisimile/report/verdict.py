"""Thresholds and plain sentences: where a result becomes passed, failed or inconclusive."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from verisimile.checks.goodness.result import Goodness
from verisimile.report.content import ReportInput
from verisimile.report.numbers import count, percent
from verisimile.stats.pvalues import matches


class Verdict(StrEnum):
    """What is concluded from one test."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Judged(Protocol):
    """What every kind of finding has: name, question, verdict in words, whether it counts."""

    @property
    def sample(self) -> str: ...  # noqa: D102

    @property
    def hypothesis(self) -> str: ...  # noqa: D102

    @property
    def verdict(self) -> Verdict: ...  # noqa: D102

    @property
    def sentence(self) -> str: ...  # noqa: D102

    @property
    def decisive(self) -> bool: ...  # noqa: D102

    @property
    def headline(self) -> bool: ...  # noqa: D102

    @property
    def outcome(self) -> str: ...  # noqa: D102


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """One row of the summary: a test, its verdict, and what it means.

    Attributes
    ----------
    sample
        Name of the test sample.
    goodness
        The test.
    verdict, sentence
        The conclusion at the report's level, and one plain sentence.
    decisive
        Whether the verdict counts; otherwise it stands for comparison.
    """

    sample: str
    goodness: Goodness
    verdict: Verdict
    sentence: str
    decisive: bool

    @property
    def hypothesis(self) -> str:
        """Null hypothesis of the test."""
        return self.goodness.hypothesis

    @property
    def headline(self) -> bool:
        """Whether it is in the report's first line."""
        return self.decisive

    @property
    def outcome(self) -> str:
        """The verdict in the words of a conclusion."""
        return _OUTCOMES[self.verdict]


_OUTCOMES = {
    Verdict.PASSED: "compatible",
    Verdict.FAILED: "not compatible",
    Verdict.INCONCLUSIVE: "inconclusive",
}
_MODELS = {
    "single": "one member alone, taken as exact",
    "ensemble": "the ensemble with frozen weights",
    "ensemble+uncertainty": "the ensemble within its uncertainty",
}


def findings(content: ReportInput) -> tuple[Finding, ...]:
    """Return one finding per test, in the order of the report."""
    tests = [(sample.name, test) for sample in content.samples for test in sample.goodness]
    decided = any(test.hypothesis == content.decisive for _, test in tests)
    found = []
    for name, test in tests:
        verdict, reason = judge(test, content.level)
        found.append(
            Finding(
                sample=name,
                goodness=test,
                verdict=verdict,
                sentence=_sentence(test, verdict, reason),
                decisive=not decided or test.hypothesis == content.decisive,
            )
        )
    return tuple(found)


def overall(found: Sequence[Judged]) -> Verdict:
    """Return the verdict of a whole report; nothing compared never passes."""
    verdicts = {finding.verdict for finding in found if finding.decisive}
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    return Verdict.PASSED if verdicts == {Verdict.PASSED} else Verdict.INCONCLUSIVE


def judge(test: Goodness, level: float) -> tuple[Verdict, str]:
    r"""Return the verdict of one test, and the reason if there is none.

    Failed: :math:`p \le` level.  Inconclusive: no statistic, too few toys to
    reach the level, or a conclusion that hangs on toys that failed, on a fit to the sample
    that failed, or on events for which the statistic is only a lower bound and whose
    surprise was not tested.
    """
    p = test.p_value
    if math.isnan(test.statistic) or math.isnan(p.value):
        return Verdict.INCONCLUSIVE, "the fit to the sample gave no statistic"
    if 1.0 / (test.most_toys + 1) > level:
        return Verdict.INCONCLUSIVE, _too_few(test.most_toys, level)
    if p.value <= level:
        return Verdict.FAILED, ""
    if _without_failed(test) <= level:
        return Verdict.INCONCLUSIVE, f"it hangs on the {p.n_failed} toys that failed"
    if any(math.isnan(part.statistic) for part in test.parts):
        return Verdict.INCONCLUSIVE, "a fit to the sample gave no statistic"
    if test.capped and test.surprise is None:
        reason = f"{test.capped} events far outside the model make the statistic a lower bound"
        return Verdict.INCONCLUSIVE, reason
    return Verdict.PASSED, ""


def verdict_line(found: Sequence[Judged]) -> str:
    """Return the conclusion of a report in one line."""
    shown = [finding for finding in found if finding.headline]
    if not shown:
        return "Inconclusive: nothing was compared."
    return "; ".join(f"{finding.sample}: {finding.outcome}" for finding in shown)


def _without_failed(test: Goodness) -> float:
    finite = test.toys[np.isfinite(test.toys)]
    return (int((finite >= test.statistic).sum()) + 1) / (finite.size + 1)


def _too_few(toys: int, level: float) -> str:
    needed = math.ceil(1.0 / level - 1e-9) - 1
    return f"{toys} toys cannot reach p = {level:g}; at least {needed} are needed"


def _sentence(test: Goodness, verdict: Verdict, reason: str) -> str:
    if verdict is Verdict.INCONCLUSIVE:
        return f"Nothing can be said: {reason}."
    model = _MODELS.get(test.hypothesis, test.hypothesis)
    if verdict is Verdict.PASSED:
        return f"Compatible with {model}: {_share(test)} deviate at least as much."
    return f"Not compatible with {model}: {_share(test)} deviate as much.{_beyond(test)}"


def _beyond(test: Goodness) -> str:
    """Say so where the events that the model calls impossible are what it fails by."""
    found = test.surprise
    if found is None or found.p_values[1].value > test.leading.p_value.value or found.beyond < 2:
        return ""
    return f" {count(found.beyond)} events lie in a tail where it expects one."


def _share(test: Goodness) -> str:
    thrown, exceeding = test.toys.size, int(matches(test.statistic, test.toys).sum())
    if not exceeding:
        return f"none of {count(thrown)} pseudo-experiments"
    return f"{percent(exceeding / thrown)} of {count(thrown)} pseudo-experiments"
