"""What the curves of families of generators say in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from verisimile.checks.precision_recall.tracing import BOUND
from verisimile.report.content import FamilyStudy, ReportInput
from verisimile.report.numbers import fixed, p_value, percent, plain_number
from verisimile.report.variance_table import variance_sentence
from verisimile.report.verdict import Verdict

__all__ = ["FamilyFinding", "family_findings"]

_VARIANCE = "variance of the area"


@dataclass(frozen=True, slots=True)
class FamilyFinding:
    """What the curves of one family, or of two, say in a sentence."""

    sample: str
    hypothesis: str
    sentence: str

    @property
    def verdict(self) -> Verdict:
        """Curves are measured, which passes."""
        return Verdict.PASSED

    @property
    def decisive(self) -> bool:
        """They count: something was compared."""
        return True

    @property
    def headline(self) -> bool:
        """They are in the report's first line, without what the areas' variance is made of."""
        return self.hypothesis != _VARIANCE

    @property
    def outcome(self) -> str:
        """The sentence as the end of another."""
        return f"{self.sentence[0].lower()}{self.sentence[1:].rstrip('.')}"


def family_findings(content: ReportInput) -> tuple[FamilyFinding, ...]:
    """Return one finding per family and one per comparison."""
    return tuple(finding for study in content.families for finding in _found(study))


def _found(study: FamilyStudy) -> Iterator[FamilyFinding]:
    for name, band in zip(study.names, study.bands, strict=True):
        spread = float(band.auc.std(ddof=1))
        yield FamilyFinding(
            name,
            "precision and recall",
            f"Area {'at most ' if band.thresholds == BOUND else ''}"
            f"{fixed(float(band.auc.mean()), places=4)}, spread "
            f"{plain_number(spread, digits=2)} over {len(band.auc)} generators, by {band.score}.",
        )
    for name, found in zip(study.names, study.variances, strict=False):
        yield FamilyFinding(name, _VARIANCE, variance_sentence(found))
    if study.comparison is not None:
        yield FamilyFinding(" and ".join(study.names), "difference", _difference(study))


def _difference(study: FamilyStudy) -> str:
    found = study.comparison
    if found is None:
        return "Not compared."
    p = found.p_value
    bounds = "bounds of the areas" if study.bands[0].thresholds == BOUND else "areas"
    area = (
        f"difference of the {bounds} {found.auc.value:+.4f} ({found.auc.low:+.4f} to "
        f"{found.auc.high:+.4f}, 95 %)"
    ).replace("-", "\N{MINUS SIGN}")
    if found.fraction_familywise > 0.0:
        return (
            f"The curves differ, p = {p_value(p)}, at {percent(found.fraction_familywise)} of all "
            f"angles; {area}."
        )
    return f"No difference of the curves found, p = {p_value(p)}; {area}."
