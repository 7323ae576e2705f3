"""Where a coverage study becomes passed, failed or inconclusive."""

from __future__ import annotations

from dataclasses import dataclass

from verisimile.checks.coverage.result import CONDITIONAL, Coverage, ObservableCoverage
from verisimile.report.content import ReportInput
from verisimile.report.numbers import count, percent
from verisimile.report.verdict import Verdict
from verisimile.stats.intervals import clopper_pearson

__all__ = ["CoverageFinding", "coverage_findings", "family_interval", "judge_coverage"]


@dataclass(frozen=True, slots=True, eq=False)
class CoverageFinding:
    """The verdict of one study, and one plain sentence.

    Attributes
    ----------
    sample
        How the reader knows the study.
    coverage
        The study.
    verdict, sentence
        The conclusion at the report's level.
    """

    sample: str
    coverage: Coverage
    verdict: Verdict
    sentence: str

    @property
    def hypothesis(self) -> str:
        """What was tested."""
        return f"coverage, {self.coverage.mode}"

    @property
    def decisive(self) -> bool:
        """Every study counts."""
        return True

    @property
    def headline(self) -> bool:
        """Every study is in the report's first line."""
        return True

    @property
    def outcome(self) -> str:
        """The verdict in the words of a conclusion."""
        return _OUTCOMES[self.verdict]


_OUTCOMES = {
    Verdict.PASSED: "the truth is in the intervals as often as stated",
    Verdict.FAILED: "the truth is not in the intervals as often as stated",
    Verdict.INCONCLUSIVE: "inconclusive",
}
_OF = {CONDITIONAL: "for these members", "retrained": "for the whole procedure"}


def coverage_findings(content: ReportInput) -> tuple[CoverageFinding, ...]:
    """Return one finding per study."""
    found = []
    for study in content.coverage:
        verdict, sentence = judge_coverage(study, content.level)
        name = f"Coverage, {study.mode}"
        found.append(CoverageFinding(name, study, verdict, sentence))
    return tuple(found)


def judge_coverage(study: Coverage, level: float) -> tuple[Verdict, str]:
    r"""Return the verdict of a study and one sentence.

    Failed: the nominal level lies outside the exact interval of an observable,
    of confidence :math:`1 - \mathrm{level} / K` for K observables (Bonferroni).
    Inconclusive: so few data sets that even full coverage would pass.
    """
    items = study.observables
    tail = level / max(len(items), 1)
    blind = clopper_pearson(study.datasets, study.datasets, level=1.0 - tail)[0] <= study.level
    if blind or not items:
        return Verdict.INCONCLUSIVE, (
            f"Nothing can be said: {count(study.datasets)} data sets cannot tell "
            f"full coverage from {percent(study.level)}."
        )
    missed = [item for item in items if not _holds(study, item, level)]
    if not missed:
        return Verdict.PASSED, (
            f"The truth is in the intervals as often as stated, {percent(study.level)}, "
            f"{_OF.get(study.mode, study.mode)}: {len(items)} of {len(items)} observables."
        )
    rates = ", ".join(f"{item.name} {percent(item.rate)}" for item in missed)
    return Verdict.FAILED, f"Not {percent(study.level)} as stated: {rates}."


def family_interval(
    item: ObservableCoverage, observables: int, level: float
) -> tuple[float, float]:
    """Return the exact interval of a rate that is one of several."""
    return clopper_pearson(item.covered, item.trials, level=1.0 - level / observables)


def _holds(study: Coverage, item: ObservableCoverage, level: float) -> bool:
    low, high = family_interval(item, len(study.observables), level)
    return low <= study.level <= high
