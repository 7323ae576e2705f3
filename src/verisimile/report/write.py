"""Writing a report: every file whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from verisimile.core.atomic import write_atomic
from verisimile.core.run import Run
from verisimile.report.content import ReportInput
from verisimile.report.document import Document, document, dumped
from verisimile.report.gathering import gathered
from verisimile.report.html import page_of, pictures, render
from verisimile.report.junit import junit
from verisimile.report.markdown import markdown
from verisimile.report.style import to_pdf, to_png

__all__ = ["write_document", "write_report"]


def write_report(run: Run, results: Sequence[object] | ReportInput, folder: str | Path) -> Path:
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
        Goodness-of-fit results, marginals, a weight fit and so on, or a
        :class:`~verisimile.report.content.ReportInput` that arranges them.
    folder
        Made if need be; older files of the same names are replaced.

    Raises
    ------
    InputError
        If something among the results has no place in a report.
    StoreError
        If the file system refuses.
    """
    content = results if isinstance(results, ReportInput) else gathered(results)
    return write_document(document(run, content), folder)


def write_document(report: Document, folder: str | Path) -> Path:
    """Write the files of a report, new or read back from its ``result.json``."""
    target = Path(folder)
    page = page_of(report)
    images = {}
    for picture in pictures(page):
        images[picture.name] = to_png(picture.figure)
        write_atomic(target / "figures" / f"{picture.name}.pdf", to_pdf(picture.figure))
    write_atomic(target / "result.json", dumped(report).encode())
    write_atomic(target / "junit.xml", junit(report))
    write_atomic(target / "summary.md", markdown(report).encode())
    html = target / "report.html"
    write_atomic(html, render(page, images).encode())
    return html
