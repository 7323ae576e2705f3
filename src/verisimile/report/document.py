"""The whole report as one value: what ``result.json`` holds and every page is made from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from verisimile.core.errors import StoreError
from verisimile.core.result import from_dict, register, to_dict
from verisimile.core.run import Run
from verisimile.report.content import ReportInput
from verisimile.report.environment import Environment, current_environment
from verisimile.report.sections.amplification import (
    AmplificationFinding,
    amplification_findings,
)
from verisimile.report.sections.coverage import CoverageFinding, coverage_findings
from verisimile.report.sections.families import FamilyFinding, family_findings
from verisimile.report.sections.validation_verdict import ValidationFinding, validation_findings
from verisimile.report.verdict import Finding, Judged, findings, overall, verdict_line


@register("conclusion", 1)
@dataclass(frozen=True, slots=True)
class Conclusion:
    """One row of the summary as text, for readers of the JSON."""

    sample: str
    hypothesis: str
    verdict: str
    sentence: str
    decisive: bool


@register("report", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A report: verdict, conclusions, content, environment.

    Attributes
    ----------
    verdict, line
        Overall verdict, and the same in one line.
    conclusions
        One per test.
    content
        The results themselves.
    environment
        Seeds, machine and versions.
    """

    verdict: str
    line: str
    conclusions: tuple[Conclusion, ...]
    content: ReportInput
    environment: Environment

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The conclusions with their tests."""
        return findings(self.content)

    @property
    def coverage_findings(self) -> tuple[CoverageFinding, ...]:
        """The conclusions on coverage, with their studies."""
        return coverage_findings(self.content)

    @property
    def validation_findings(self) -> tuple[ValidationFinding, ...]:
        """The conclusions on generated samples."""
        return validation_findings(self.content)

    @property
    def amplification_findings(self) -> tuple[AmplificationFinding, ...]:
        """The conclusions on amplification."""
        return amplification_findings(self.content)

    @property
    def family_findings(self) -> tuple[FamilyFinding, ...]:
        """The conclusions on families of generators."""
        return family_findings(self.content)

    @property
    def judged(self) -> tuple[Judged, ...]:
        """All conclusions."""
        return _judged(self.content)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know: the content's warnings and its results', each once."""
        tests = [test for sample in self.content.samples for test in sample.goodness]
        lists = [
            *(t.warnings for t in tests),
            *(c.warnings for c in self.content.coverage),
            *(named.validation.warnings for named in self.content.validations),
            *(named.study.warnings for named in self.content.amplifications),
            *(s.comparison.warnings for s in self.content.families if s.comparison is not None),
        ]
        notes = (note for warnings in lists for note in warnings)
        return tuple(dict.fromkeys((*self.content.warnings, *notes)))


def document(run: Run, content: ReportInput) -> Document:
    """Return the report of `content`, judged at its level."""
    found = _judged(content)
    return Document(
        verdict=overall(found).value,
        line=verdict_line(found),
        conclusions=tuple(
            Conclusion(
                sample=finding.sample,
                hypothesis=finding.hypothesis,
                verdict=finding.verdict.value,
                sentence=finding.sentence,
                decisive=finding.decisive,
            )
            for finding in found
        ),
        content=content,
        environment=current_environment(run),
    )


def _judged(content: ReportInput) -> tuple[Judged, ...]:
    return (
        *findings(content),
        *coverage_findings(content),
        *validation_findings(content),
        *amplification_findings(content),
        *family_findings(content),
    )


def dumped(report: Document) -> str:
    """Return the report as strict JSON text."""
    return json.dumps(to_dict(report), indent=1, allow_nan=False, ensure_ascii=False)


def read_report(path: str | Path) -> Document:
    """Return the report in a ``result.json``, ready to be rendered again.

    Raises
    ------
    StoreError
        If the file is missing, damaged or no report.
    """
    file = Path(path)
    try:
        report = from_dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, AttributeError) as error:
        raise StoreError(str(file), got=f"{error}", expected="a report's result.json") from error
    if not isinstance(report, Document):
        raise StoreError(str(file), got=f"a {type(report).__name__}", expected="a report")
    return report
