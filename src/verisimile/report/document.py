"""The whole report as one value: what ``result.json`` holds and every page is made from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from verisimile.core.documents import json_object, read_document
from verisimile.core.errors import StoreError
from verisimile.core.result import Result, from_dict, register, to_dict
from verisimile.core.run import Run
from verisimile.report import first_screen
from verisimile.report.consequence import cautions
from verisimile.report.content import ReportInput
from verisimile.report.page import Page, Table
from verisimile.report.section import known_sections, sections_of
from verisimile.report.sections.origin import Environment, current_environment, origin_part
from verisimile.report.verdict import Finding, overall, verdict_line


@register("conclusion", 1)
@dataclass(frozen=True, slots=True)
class Conclusion(Result):
    """One finding as text, for readers of the JSON."""

    sample: str
    hypothesis: str
    verdict: str
    sentence: str
    decisive: bool


@register("report", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Document(Result):
    """A report: verdict, conclusions, content, environment.

    Attributes
    ----------
    verdict, line
        Overall verdict, and the same in one line.
    conclusions
        One per test.
    content
        The results themselves.
    environment
        Seeds, machine and versions.
    """

    verdict: str
    line: str
    conclusions: tuple[Conclusion, ...]
    content: ReportInput
    environment: Environment
    listed: ClassVar[tuple[str, ...]] = ("conclusions",)

    @property
    def results(self) -> tuple[Result, ...]:
        """The results themselves: of samples, studies and families, then all others."""
        content = self.content
        parts: list[Result | None] = []
        for sample in content.samples:
            parts += [*sample.goodness, *sample.marginals, sample.hotspots]
        parts += content.coverage
        parts += [named.validation for named in content.validations]
        parts += [named.study for named in content.amplifications]
        for family in content.families:
            parts += [*family.bands, family.comparison]
        parts += content.results
        return tuple(one for one in parts if one is not None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All conclusions."""
        return findings(self.content)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know: the content's warnings and its results', each once."""
        notes = [note for section in sections_of(self.content) for note in section.warnings()]
        return tuple(dict.fromkeys((*self.content.warnings, *notes)))

    @property
    def summaries(self) -> tuple[Table, ...]:
        """The summary tables that have rows, those of one caption as one."""
        found: dict[str, Table] = {}
        for section in sections_of(self.content):
            for table in section.summaries():
                before = found.get(table.caption, replace(table, rows=(), marks=()))
                found[table.caption] = replace(
                    table, rows=before.rows + table.rows, marks=before.marks + table.marks
                )
        return tuple(table for table in found.values() if table.rows)

    @property
    def page(self) -> Page:
        """Its headings, tables and figures."""
        environment, sections = self.environment, sections_of(self.content)
        found = self.findings
        parts = tuple(part for section in sections for part in section.parts())
        answers = first_screen.answers(sections)
        return Page(
            title=self.content.title,
            verdict=self.verdict,
            banners=first_screen.banners(found),
            leads=first_screen.leads(sections, found, parts),
            answers=answers,
            unasked=first_screen.unasked(answers),
            summaries=self.summaries,
            cautions=cautions(self.warnings),
            parts=(*parts, origin_part(self.content, environment)),
            command=self.content.command,
            written=f"{environment.written}, "
            f"verisimile {environment.versions.get('verisimile', '')}",
        )


def findings(content: ReportInput) -> tuple[Finding, ...]:
    """Return all conclusions from the content of a report, in its order."""
    return tuple(found for section in sections_of(content) for found in section.findings())


def conclusions_of(found: Sequence[Finding]) -> tuple[Conclusion, ...]:
    """Return findings as text."""
    return tuple(
        Conclusion(each.sample, each.hypothesis, each.verdict.value, each.sentence, each.decisive)
        for each in found
    )


def document(run: Run, content: ReportInput) -> Document:
    """Return the report of `content`, judged at its level."""
    found = findings(content)
    return Document(
        verdict=overall(found).value,
        line=verdict_line(found),
        conclusions=conclusions_of(found),
        content=content,
        environment=current_environment(run),
    )


def dump(report: Document) -> str:
    """Return the report as strict JSON text."""
    data = to_dict(report)
    content = data["content"]
    if isinstance(content, dict) and not content["results"]:
        # Reports on samples and studies alone are those of versions that knew no other results.
        del content["results"]
    return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False)


def read_report(path: str | Path) -> Document:
    """Return a report, ready to be rendered again, from its folder or its ``result.json``.

    Its `results` are those that were given to `write_report`; `verdict`, `line`, `conclusions`
    and `warnings` say what the page says.

    Raises
    ------
    StoreError
        If the file is missing, damaged or no report.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import verisimile as vs
    >>> run = vs.Run(vs.Seeds(1))
    >>> x = run.seeds.numpy().normal(size=(60, 2))
    >>> found = vs.two_sample(run, x[:30], x[30:], permutations=19)
    >>> with TemporaryDirectory() as folder:
    ...     _ = vs.write_report(run, [found], folder)
    ...     report = vs.read_report(folder)
    >>> report.results[0].p_value == found.p_value
    True
    """
    known_sections()  # only classes whose modules are loaded can be read
    file = Path(path) / "result.json" if Path(path).is_dir() else Path(path)
    try:
        report = from_dict(json_object(read_document(file), str(file)))
    except (ValueError, AttributeError) as error:
        raise StoreError(str(file), got=f"{error}", expected="a report's result.json") from error
    if not isinstance(report, Document):
        raise StoreError(str(file), got=f"a {type(report).__name__}", expected="a report")
    return report
