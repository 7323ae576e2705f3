"""Writing a report, its page and what machines read: every file whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from verisimile.core.durable import write_atomic
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.report.content import SEVERAL, TITLE, ReportInput
from verisimile.report.document import Document, document, dump
from verisimile.report.owned import NAMES, REMARK, check_own
from verisimile.report.page import render
from verisimile.report.section import known_sections
from verisimile.report.style import to_pdf, to_png
from verisimile.report.verdict import Finding, Verdict

_FORBIDDEN = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


def write_report(run: Run, results: object, folder: str | Path, *, force: bool = False) -> Path:
    """Write a report on test results and return the path of its page.

    Makes ``report.html`` (self-contained, no scripts), ``result.json`` (all
    numbers that the page shows), ``junit.xml``, ``summary.md`` and
    ``figures/*.pdf``.  Verdicts are made here, at the content's level; results
    have none.

    Parameters
    ----------
    run
        Gives seeds and executor to the record of origin.
    results
        A result, or a sequence of results and of such sequences: goodness of fit, two-sample
        tests, bands and so on.  Or a :class:`~verisimile.report.content.ReportInput` that
        arranges them.
    folder
        Made if need be; files of earlier reports are replaced.
    force
        Whether files of the same names that verisimile has not written are replaced too.

    Raises
    ------
    InputError
        If something among the results has no place in a report, or a file in the folder is
        somebody else's.
    StoreError
        If the file system refuses.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import verisimile as vs
    >>> rng = np.random.default_rng(1)
    >>> run = vs.Run(vs.Seeds(1))
    >>> x, y = rng.normal(size=(2, 50, 1))
    >>> found = vs.two_sample(run, x, y, permutations=99)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = vs.write_report(run, [found], folder)
    ...     written = sorted(file.name for file in page.parent.glob("*.*"))
    >>> written
    ['junit.xml', 'report.html', 'result.json', 'summary.md']
    """
    content = results if isinstance(results, ReportInput) else gather(results)
    return write_document(document(run, content), folder, force=force)


def write_document(report: Document, folder: str | Path, *, force: bool = False) -> Path:
    """Write the files of a report, new or read back from its ``result.json``.

    Nothing is written if one of them is somebody else's, unless by `force`.
    """
    target = Path(folder)
    page = report.page
    files = {p.name: f"figures/{p.name}.pdf" for p in page.pictures if not p.glance}
    check_own(target, (*NAMES, *files.values()), force=force, way="force=True (--force)")
    images = {}
    for picture in page.pictures:
        images[picture.name] = to_png(picture.figure)
        if picture.name in files:
            write_atomic(target / files[picture.name], to_pdf(picture.figure))
    write_atomic(target / "result.json", dump(report).encode())
    write_atomic(target / "junit.xml", junit(report))
    write_atomic(target / "summary.md", markdown(report).encode())
    html = target / "report.html"
    write_atomic(html, render(page, images).encode())
    return html


def gather(results: object) -> ReportInput:
    """Return a report's content from loose results, each given to the section that takes it.

    Raises
    ------
    InputError
        If something among them has no place in a report, or there are two of what a report has
        one of.
    """
    sections = known_sections()
    taken: list[list[object]] = [[] for _ in sections]
    for result in _flat(results):
        takers = (
            mine
            for mine, each in zip(taken, sections, strict=True)
            if isinstance(result, each.kinds)
        )
        mine = next(takers, None)
        if mine is None:
            known = [kind.__name__ for section in sections for kind in section.kinds]
            raise InputError(
                "results",
                got=f"a {type(result).__name__}",
                expected=f"any of {', '.join(known)}",
                remedy="Give a ReportInput to arrange a report yourself.",
            )
        mine.append(result)
    fields: dict[str, Any] = {"results": ()}
    titles = set()
    for section, mine in zip(sections, taken, strict=True):
        if mine:
            stored = dict(section.stored(mine))
            fields["results"] += stored.pop("results", ())
            fields |= stored
            titles |= {section.title} - {""}
    title = TITLE if not titles else titles.pop() if len(titles) == 1 else SEVERAL
    return ReportInput(title=title, **fields)


def _flat(results: object) -> Iterator[object]:
    if isinstance(results, Sequence) and not isinstance(results, str):
        for result in results:
            yield from _flat(result)
    else:
        yield results


def junit(report: Document) -> bytes:
    """Return one test case per finding.

    A rejection is a ``failure``, an inconclusive test an ``error`` (nothing
    compared never passes), and a test that stands for comparison only is
    ``skipped``.
    """
    suite = ElementTree.Element("testsuite", name=_clean(report.content.title))
    for finding in report.findings:
        suite.append(_case(finding))
    if not report.findings:
        case = ElementTree.SubElement(suite, "testcase", classname="report", name="nothing")
        ElementTree.SubElement(case, "error", message="nothing was compared")
    for outcome, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{outcome}"))))
    suite.set("tests", str(len(suite)))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + f"\n{REMARK}\n".encode()


def _case(finding: Finding) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=_clean(finding.sample), name=_clean(finding.hypothesis)
    )
    outcome = _outcome(finding)
    if outcome:
        ElementTree.SubElement(case, outcome, message=_clean(finding.sentence))
    return case


def _outcome(finding: Finding) -> str:
    if not finding.decisive:
        return "skipped"
    return {Verdict.PASSED: "", Verdict.FAILED: "failure", Verdict.INCONCLUSIVE: "error"}[
        finding.verdict
    ]


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def markdown(report: Document) -> str:
    """Return title, verdict, what matters most, answers, summary table and warnings."""
    page, verdict = report.page, report.verdict.capitalize()
    said = [sentence for banner in page.banners for sentence in banner.sentences]
    lines = [f"# {_text(page.title)}", "", f"**{verdict}.** {_text(said[0])}"]
    lines += ["", *(f"- {_text(sentence)}" for sentence in said[1:])] if said[1:] else []
    named = [f"- **{_text(e.name)}** {_text(e.shown)}: {_text(e.words)}" for e in page.leads]
    asked = [
        f"- **{answer.question.value}** {_text(f'{answer.word} {answer.sentence}')}"
        for answer in page.answers
    ]
    lines += [line for block in (named, asked) if block for line in ("", *block)]
    for table in report.summaries:
        rule = "|" + " --- |" * len(table.columns)
        lines += ["", _row(table.columns), rule, *map(_row, table.rows), "", _text(table.caption)]
    if page.cautions:
        lines += ["", "## Warnings"]
    for caution in page.cautions:
        lines += ["", f"{caution.heading}:", "", *(f"- {_text(each)}" for each in caution.texts)]
    return "\n".join([*lines, "", REMARK]) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_text(cell) for cell in cells) + " |"


def _text(text: str) -> str:
    """Return `text` on one line, with what Markdown or HTML would take for markup escaped."""
    escaped = re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)
    return " ".join(escaped.split())
