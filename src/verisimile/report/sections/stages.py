"""Stages of a study that could say nothing: the report on the others must not pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from verisimile.report.content import UnfinishedStage
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Finding, Verdict


@takes(UnfinishedStage)
class UnfinishedStages(Section[UnfinishedStage]):
    """One row for each stage that ended without a result."""

    title = "Stages without a result"
    text = "What was asked for and could not be answered keeps a report from passing."
    question = "the stage of the study"
    caption = "Stages that ended without a result, and why."
    columns: ClassVar = {"Why": "reason"}
    first = "Stage"
    order = 5

    def name(self, result: UnfinishedStage) -> str:
        """Return the section of the study."""
        return result.stage

    def judge(self, name: str, result: UnfinishedStage) -> Iterator[Finding]:
        """Yield that nothing can be said."""
        yield Finding(
            name,
            self.question,
            Verdict.INCONCLUSIVE,
            f"Nothing can be said: {result.reason}",
        )
