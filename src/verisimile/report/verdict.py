"""What is concluded from results: verdicts with plain sentences, and the line that joins them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from verisimile.report.numbers import p_and_z
from verisimile.stats.pvalues import PValue


class Verdict(StrEnum):
    """What is concluded from one test."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


OUTCOMES = {
    Verdict.PASSED: "compatible",
    Verdict.FAILED: "not compatible",
    Verdict.INCONCLUSIVE: "inconclusive",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One conclusion: of what, to which question, the verdict, and what it means.

    Attributes
    ----------
    sample, hypothesis
        What the reader knows the subject by, and what was asked of it.
    verdict, sentence
        The conclusion at the report's level, and one plain sentence.
    decisive
        Whether the verdict counts; otherwise it stands for comparison.
    headline
        Whether it is in the report's first line.
    outcome
        The conclusion in a few words.
    measured
        Whether a number was measured, which neither passes nor fails.
    headline_sentence
        The conclusion in one sentence with its subject, for the banner; of subject and sentence
        if there is none.
    """

    sample: str
    hypothesis: str
    verdict: Verdict
    sentence: str
    decisive: bool = True
    headline: bool = True
    outcome: str = ""
    measured: bool = False
    headline_sentence: str = ""

    @property
    def banner(self) -> str:
        """The conclusion in one sentence that names its subject."""
        if self.headline_sentence:
            return self.headline_sentence
        # What is written in capitals, a name or a symbol, keeps them.
        small = self.sentence[1:2].islower()
        first = self.sentence[:1].lower() if small else self.sentence[:1]
        return f"{self.sample}: {first}{self.sentence[1:]}"

    @property
    def word(self) -> str:
        """The verdict as tables show it."""
        return "measured" if self.measured else self.verdict.value

    @property
    def mark(self) -> str:
        """The verdict as the mark of a row."""
        return self.word if self.decisive else "aside"


def measurement(sample: str, question: str, sentence: str, *, decisive: bool = False) -> Finding:
    """Return the finding of a measurement, which alone makes no report pass unless `decisive`."""
    outcome = f"{sentence[0].lower()}{sentence[1:].rstrip('.')}"
    return Finding(
        sample, question, Verdict.PASSED, sentence, decisive, outcome=outcome, measured=True
    )


def decision(
    sample: str,
    question: str,
    p: PValue,
    level: float,
    *,
    passed: str = "No difference found",
    failed: str = "Rejected",
) -> Finding:
    r"""Return the finding of a test: failed for :math:`p \le` level.

    Inconclusive: no p-value, too few draws of the null to reach the level, or a conclusion that
    hangs on draws that failed, each of which counts as an exceedance.
    """
    said = p_and_z(p)
    if reason := _undecided(p, level):
        return Finding(sample, question, Verdict.INCONCLUSIVE, f"Nothing can be said: {reason}.")
    if p.value <= level:
        return Finding(sample, question, Verdict.FAILED, f"{failed}: {said}.")
    return Finding(sample, question, Verdict.PASSED, f"{passed}: {said}.")


def _undecided(p: PValue, level: float) -> str:
    if math.isnan(p.value):
        return "there is no p-value"
    if p.n_null and 1.0 / (p.n_null + 1) > level:
        return too_few(p.n_null, level, "draws of the null")
    finite = p.n_null + 1 - p.n_failed
    without = (p.value * (p.n_null + 1) - p.n_failed) / finite
    if p.n_failed and without <= level < p.value:
        return f"it hangs on the {p.n_failed} draws of the null that failed"
    return ""


def too_few(draws: int, level: float, what: str = "toys") -> str:
    """Return that so few draws cannot reach the level, and how many can."""
    needed = math.ceil(1.0 / level - 1e-9) - 1
    return f"{draws} {what} cannot reach p = {level:g}; at least {needed} are needed"


def overall(found: Sequence[Finding]) -> Verdict:
    """Return the verdict of a whole report; nothing compared never passes."""
    verdicts = {finding.verdict for finding in found if finding.decisive}
    if Verdict.FAILED in verdicts:
        return Verdict.FAILED
    return Verdict.PASSED if verdicts == {Verdict.PASSED} else Verdict.INCONCLUSIVE


def verdict_line(found: Sequence[Finding]) -> str:
    """Return the conclusion of a report in one line."""
    shown = [
        f"{finding.sample}: {finding.outcome or OUTCOMES[finding.verdict]}"
        for finding in found
        if finding.headline
    ]
    return "; ".join(shown) or "Inconclusive: nothing was compared."
