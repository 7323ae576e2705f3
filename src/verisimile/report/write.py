"""Writing a report: every file whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from verisimile.checks.amplification.study import AmplificationStudy
from verisimile.checks.coverage.result import Coverage
from verisimile.checks.goodness.marginals import MarginalComparison
from verisimile.checks.goodness.result import Goodness
from verisimile.core.errors import InputError
from verisimile.core.run import Run
from verisimile.core.store import write_atomic
from verisimile.mixture.fit import WeightFit
from verisimile.report.content import (
    FamilyStudy,
    InputSample,
    MemberTraining,
    NamedAmplification,
    NamedValidation,
    ReportInput,
    SampleResult,
    Timings,
)
from verisimile.report.document import Document, document, dumped
from verisimile.report.html import page_of, pictures, render
from verisimile.report.style import to_pdf, to_png
from verisimile.report.summaries import junit, markdown
from verisimile.validation.result import Validation


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


def gathered(results: Sequence[object]) -> ReportInput:
    """Return a report's content from loose results.

    Tests and marginals are put together by their test sample; of weight fits
    and timings there may be one.

    Raises
    ------
    InputError
        If something among them has no place in a report.
    """
    for result in results:
        if not isinstance(result, _ACCEPTED):
            raise InputError(
                "results",
                got=f"a {type(result).__name__}",
                expected=f"any of {', '.join(kind.__name__ for kind in _ACCEPTED)}",
                remedy="Give a ReportInput to arrange a report yourself.",
            )
    fits = [result for result in results if isinstance(result, WeightFit)]
    timings = [result for result in results if isinstance(result, Timings)]
    if len(fits) > 1 or len(timings) > 1:
        raise InputError(
            "results",
            got=f"{len(fits)} weight fits and {len(timings)} timings",
            expected="at most one of each",
        )
    samples, validations = _by_sample(results), _validations(results)
    return ReportInput(
        samples=samples,
        coverage=tuple(result for result in results if isinstance(result, Coverage)),
        validations=validations,
        amplifications=_amplifications(results),
        families=tuple(result for result in results if isinstance(result, FamilyStudy)),
        training=tuple(result for result in results if isinstance(result, MemberTraining)),
        fit=fits[0] if fits else None,
        inputs=tuple(result for result in results if isinstance(result, InputSample)),
        timings=timings[0] if timings else Timings(),
        title=_title(results, samples, validations),
    )


def _title(
    results: Sequence[object],
    samples: tuple[SampleResult, ...],
    validations: tuple[NamedValidation, ...],
) -> str:
    if samples:
        return ReportInput().title
    if validations:
        return "Validation"
    families = any(isinstance(result, FamilyStudy) for result in results)
    return "Precision and recall" if families else ReportInput().title


def _by_sample(results: Sequence[object]) -> tuple[SampleResult, ...]:
    tests = [result for result in results if isinstance(result, Goodness)]
    marginals = [result for result in results if isinstance(result, MarginalComparison)]
    digests = dict.fromkeys(
        [test.events_digest for test in tests] + [item.events_digest for item in marginals]
    )
    return (
        *(result for result in results if isinstance(result, SampleResult)),
        *(
            SampleResult(
                name=f"sample {digest[:8]}",
                goodness=tuple(test for test in tests if test.events_digest == digest),
                marginals=tuple(item for item in marginals if item.events_digest == digest),
            )
            for digest in digests
        ),
    )


def _validations(results: Sequence[object]) -> tuple[NamedValidation, ...]:
    loose = [result for result in results if isinstance(result, Validation)]
    return (
        *(result for result in results if isinstance(result, NamedValidation)),
        *(NamedValidation(f"generated sample {i}", found) for i, found in enumerate(loose, 1)),
    )


def _amplifications(results: Sequence[object]) -> tuple[NamedAmplification, ...]:
    loose = [result for result in results if isinstance(result, AmplificationStudy)]
    return (
        *(result for result in results if isinstance(result, NamedAmplification)),
        *(NamedAmplification(f"generator {i}", found) for i, found in enumerate(loose, 1)),
    )


_ACCEPTED = (
    Goodness,
    MarginalComparison,
    Coverage,
    Validation,
    NamedValidation,
    AmplificationStudy,
    NamedAmplification,
    FamilyStudy,
    WeightFit,
    SampleResult,
    MemberTraining,
    InputSample,
    Timings,
)
