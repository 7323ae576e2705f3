"""The page: one self-contained HTML file without scripts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

import jinja2

from verisimile.report.content import ReportInput, SampleResult
from verisimile.report.document import Document
from verisimile.report.page import Illustration, Page, Section, Table
from verisimile.report.sections import goodness, goodness_figures
from verisimile.report.sections.amplification import amplification_section, amplification_summary
from verisimile.report.sections.coverage import coverage_section, coverage_summary
from verisimile.report.sections.families import family_section, family_summary
from verisimile.report.sections.goodness import hotspot_table, summary_table
from verisimile.report.sections.validation import validation_sections
from verisimile.report.sections.validation_tables import validation_summary


def page_of(report: Document) -> Page:
    """Return the headings, tables and figures of a report."""
    content = report.content
    return Page(
        title=content.title,
        verdict=report.verdict,
        line=report.line,
        summaries=summaries(report),
        warnings=report.warnings,
        sections=(
            *(_sample(sample, number) for number, sample in enumerate(content.samples, 1)),
            *(
                coverage_section(finding, content.level, number)
                for number, finding in enumerate(report.coverage_findings, 1)
            ),
            *(
                section
                for number, named in enumerate(content.validations, 1)
                for section in validation_sections(named, content.level, number)
            ),
            *(
                amplification_section(named, number)
                for number, named in enumerate(content.amplifications, 1)
            ),
            *(family_section(study, number) for number, study in enumerate(content.families, 1)),
            *_model(content),
            *_origin(report),
        ),
        command=content.command,
        written=f"{report.environment.written}, "
        f"verisimile {report.environment.versions.get('verisimile', '')}",
    )


def render(page: Page, images: Mapping[str, bytes]) -> str:
    """Return the page as HTML, with the PNG of each illustration by its name."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("verisimile.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    encoded = {name: b64encode(png).decode("ascii") for name, png in images.items()}
    return environment.get_template("report.html.j2").render(page=page, images=encoded)


def pictures(page: Page) -> tuple[Illustration, ...]:
    """Return all illustrations in reading order."""
    return tuple(picture for section in page.sections for picture in section.illustrations)


def _sample(sample: SampleResult, number: int) -> Section:
    found = [goodness.goodness_table(sample.goodness)] if sample.goodness else []
    if sample.marginals:
        found.append(goodness.marginal_table(sample.marginals))
    if sample.hotspots is not None:
        found.append(hotspot_table(sample.hotspots))
    return Section(
        title=f"Test sample: {sample.name}",
        text=sample.about,
        illustrations=goodness_figures.of_sample(sample, number),
        tables=tuple(found),
    )


def _model(content: ReportInput) -> tuple[Section, ...]:
    shown, listed = [], []
    if content.training:
        shown.append(goodness_figures.of_ensemble(content.training))
    if content.fit is not None:
        shown.append(goodness_figures.of_weights(content.fit))
        listed += [goodness.fit_table(content.fit), goodness.weight_table(content.fit)]
    if content.training:
        listed.append(goodness.member_table(content.training))
    if not (shown or listed):
        return ()
    return (Section("Ensemble and weights", "", tuple(shown), tuple(listed)),)


def _origin(report: Document) -> tuple[Section, ...]:
    content = report.content
    listed = []
    if content.inputs:
        listed.append(goodness.input_table(content.inputs))
        listed.append(goodness.feature_table(content.inputs[0].features))
    if content.timings.stages:
        listed.append(goodness.timing_table(content.timings))
    listed.append(goodness.environment_table(report.environment))
    return (Section("Where this comes from", tables=tuple(listed)),)


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
