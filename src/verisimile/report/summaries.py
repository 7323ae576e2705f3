"""The verdicts for machines and for comments: JUnit XML and Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from verisimile.report.document import Document
from verisimile.report.html import summaries
from verisimile.report.verdict import Judged, Verdict

_FORBIDDEN = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def junit(report: Document) -> bytes:
    """Return one test case per finding.

    A rejection is a ``failure``, an inconclusive test an ``error`` (nothing
    compared never passes), and a test that stands for comparison only is
    ``skipped``.
    """
    suite = ElementTree.Element("testsuite", name=_clean(report.content.title))
    for finding in report.judged:
        suite.append(_case(finding))
    if not report.judged:
        case = ElementTree.SubElement(suite, "testcase", classname="report", name="nothing")
        ElementTree.SubElement(case, "error", message="nothing was compared")
    for outcome, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{outcome}"))))
    suite.set("tests", str(len(suite)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text


def _case(finding: Judged) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=_clean(finding.sample), name=_clean(finding.hypothesis)
    )
    outcome = _outcome(finding)
    if outcome:
        ElementTree.SubElement(case, outcome, message=_clean(finding.sentence))
    return case


def _outcome(finding: Judged) -> str:
    if not finding.decisive:
        return "skipped"
    return {Verdict.PASSED: "", Verdict.FAILED: "failure", Verdict.INCONCLUSIVE: "error"}[
        finding.verdict
    ]


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


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
