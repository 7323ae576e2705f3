"""The summary in Markdown, for comments on a change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from verisimile.report.document import Document
from verisimile.report.summaries import summaries

__all__ = ["markdown"]


def markdown(report: Document) -> str:
    """Return title, verdict, summary table and warnings."""
    verdict = report.verdict.capitalize()
    lines = [f"# {_text(report.content.title)}", "", f"**{verdict}.** {_text(report.line)}"]
    for table in summaries(report):
        rule = "|" + " --- |" * len(table.columns)
        lines += ["", _row(table.columns), rule, *map(_row, table.rows), "", _text(table.caption)]
    if report.warnings:
        lines += ["", "## Warnings", "", *(f"- {_text(warning)}" for warning in report.warnings)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


def _text(text: str) -> str:
    """Return `text` on one line, with what Markdown or HTML would take for markup escaped."""
    escaped = re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)
    return " ".join(escaped.split())
