"""What commands whose results have sections of their own end with: a report, and a few lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verisimile.app import options, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from verisimile.app.terminal import Clock, ExitCode
    from verisimile.core.canonical import JSON
    from verisimile.core.result import Result
    from verisimile.core.run import Run
    from verisimile.report.content import InputSample
    from verisimile.report.document import Document


@dataclass(frozen=True, slots=True)
class Ending:
    """How results are reported: heading, folder, level, and what goes to standard output.

    `schema` names the JSON summary; without a folder `out` there is no page.
    """

    title: str
    schema: str
    out: Path | None
    level: float
    force: bool
    as_json: bool

    def of(
        self,
        run: Run,
        results: Sequence[Result],
        clock: Clock,
        *,
        inputs: Sequence[InputSample] = (),
        notes: Sequence[str] = (),
    ) -> ExitCode:
        """Write the report of results, print their findings, and return the verdict's code."""
        from verisimile.report.content import ReportInput

        content = ReportInput(
            results=tuple(results),
            inputs=tuple(inputs),
            timings=clock.timings,
            warnings=tuple(notes),
            command=options.command_line(),
            level=self.level,
            title=self.title,
        )
        return terminal.conclude(run, content, self.out, self._show, force=self.force)

    def _show(self, report: Document, page: Path | None) -> None:
        if self.as_json:
            verdict: dict[str, JSON] = {
                "verdict": report.verdict,
                "level": report.content.level,
            }
            terminal.print_summary(self.schema, report, page, verdict)
            return
        terminal.print_columns(
            ("of", "question", "verdict", ""),
            [(c.sample, c.hypothesis, c.word, c.sentence) for c in report.findings],
        )
        if page is not None:
            terminal.print_place(report, page)
