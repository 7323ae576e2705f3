"""The tables that come first: one for each kind of question that a report answers."""

from __future__ import annotations

from verisimile.report.amplification_page import amplification_summary
from verisimile.report.coverage_page import coverage_summary
from verisimile.report.document import Document
from verisimile.report.family_page import family_summary
from verisimile.report.page import Table
from verisimile.report.tables import summary_table
from verisimile.report.validation_tables import validation_summary

__all__ = ["summaries"]


def summaries(report: Document) -> tuple[Table, ...]:
    """Return the summary tables that have rows."""
    level = report.content.level
    tables = (
        summary_table(report.findings, level),
        coverage_summary(report.coverage_findings, level),
        amplification_summary(report.amplification_findings),
        family_summary(report.family_findings),
        *(validation_summary(named, level) for named in report.content.validations),
    )
    return tuple(table for table in tables if table.rows)
