"""The verdicts as JUnit XML, which continuous-integration servers show."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from verisimile.report.document import Document
from verisimile.report.verdict import Judged, Verdict

__all__ = ["junit"]

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
