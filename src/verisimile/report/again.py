"""A report from what is kept of it, judged again without any number being computed again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from verisimile.core.errors import StoreError
from verisimile.report.document import Document, conclusions_of, findings, read_report
from verisimile.report.verdict import overall, verdict_line


def kept_report(place: str | Path) -> Document:
    """Return the report in a folder, or in a ``result.json``, judged by this version.

    Raises
    ------
    StoreError
        If there is none, or it is damaged.
    """
    path = Path(place)
    file = path if path.is_file() else path / "result.json"
    if not file.exists():
        raise StoreError(
            str(place),
            got="no result.json",
            expected="a folder in which a command wrote its report, or a result.json",
            remedy="Check the path: it is what the command said after `Report:`.",
        )
    return judged_again(read_report(file))


def judged_again(report: Document) -> Document:
    """Return a report with the conclusions of this version, which judges as its tables do.

    Where the verdict is another one than the report had, a warning keeps the old one.
    """
    found = findings(report.content)
    verdict, content = overall(found), report.content
    if verdict.value != report.verdict:
        version = report.environment.versions.get("verisimile", "of unknown version")
        note = (
            f"The verdict of this report was {report.verdict} when it was written "
            f"({report.environment.written}, verisimile {version}); the version that made this "
            f"page judges the same numbers as {verdict.value}."
        )
        content = replace(content, warnings=(note, *content.warnings))
    return replace(
        report,
        verdict=verdict.value,
        line=verdict_line(found),
        conclusions=conclusions_of(found),
        content=content,
    )
