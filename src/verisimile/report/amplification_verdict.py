"""What an amplification study says in a sentence, and where it raises the alarm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from verisimile.checks.amplification.result import Amplification
from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.report.content import ReportInput
from verisimile.report.numbers import count, percent, rough
from verisimile.report.verdict import Verdict

__all__ = ["AmplificationFinding", "LEVEL", "amplification_findings", "gain_words"]

LEVEL = 0.68


@dataclass(frozen=True, slots=True)
class AmplificationFinding:
    """A sentence on the gain, or the verdict on memorisation.

    Attributes
    ----------
    sample
        Name of the generator.
    hypothesis
        ``"amplification"`` or ``"memorisation"``.
    verdict, sentence
        A gain is measured, which passes; an alarm fails.
    """

    sample: str
    hypothesis: str
    verdict: Verdict
    sentence: str

    @property
    def decisive(self) -> bool:
        """Both count."""
        return True

    @property
    def headline(self) -> bool:
        """Both are in the report's first line."""
        return True

    @property
    def outcome(self) -> str:
        """The conclusion in a few words."""
        if self.hypothesis == "amplification":
            return f"{self.sentence[0].lower()}{self.sentence[1:]}".rstrip(".")
        return {
            Verdict.PASSED: "no memorised events found",
            Verdict.FAILED: "memorises its training events",
            Verdict.INCONCLUSIVE: "nothing can be said of memorisation",
        }[self.verdict]


def amplification_findings(content: ReportInput) -> tuple[AmplificationFinding, ...]:
    """Return the findings of all amplification studies."""
    return tuple(
        finding for named in content.amplifications for finding in _found(named.name, named.study)
    )


def _found(name: str, study: AmplificationStudy) -> Iterator[AmplificationFinding]:
    yield AmplificationFinding(name, "amplification", Verdict.PASSED, _sentence(study))
    if study.memorisation is not None:
        alarm = study.memorisation.alarm
        yield AmplificationFinding(
            name, "memorisation", Verdict.FAILED if alarm else Verdict.PASSED, _memory(study)
        )


def _sentence(study: AmplificationStudy) -> str:
    """Say the gain at a medium and at the finest resolution: it grows with it."""
    points = study.quantile.points
    middle, finest = points[len(points) // 2], points[-1]
    regions = f"{count(middle.resolution)} regions"
    said = [f"worth {gain_words(middle)} times the training sample at {regions}"]
    if finest is not middle:
        said.append(f"{gain_words(finest)} at {count(finest.resolution)}")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def gain_words(point: Amplification, level: float = LEVEL) -> str:
    """Return G with its interval, an unbounded one said as such.

    The estimate is 1 over that of 1/G, and stands only where it is positive.
    """
    low, high = point.gain_interval(level)
    if math.isnan(low) or math.isnan(high):
        return "not known"
    if math.isinf(low):
        return "no bound"
    if math.isinf(high):
        return f"at least {rough(low)} (no upper bound)"
    value = point.inverse_gain.value
    if value <= 0.0:
        return f"{rough(low)} to {rough(high)}"
    return f"{rough(1.0 / value)} ({rough(low)} to {rough(high)})"


def _memory(study: AmplificationStudy) -> str:
    found = study.memorisation
    if found is None:
        return ""
    share = f"{percent(found.share.value)} of generated events are nearer to training than to "
    said = f"{share}held-out events ({percent(found.expected_share)} expected)"
    if found.copies:
        said += f", and {count(found.copies)} are copies of training events"
    said += f"; p = {rough(found.p_value.value)}"
    return f"{'Memorises' if found.alarm else 'No alarm'}: {said}."
